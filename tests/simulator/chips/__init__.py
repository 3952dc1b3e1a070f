"""Tests of simulator.chips."""
