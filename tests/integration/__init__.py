"""Tests of whole processes over real brokers."""
