"""Tests of protocols.card."""
