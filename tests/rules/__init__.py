"""Tests of protocols.rules."""
