"""Tests of simulator.cards."""
