"""Tests of edge_agent, between a reader and a ledger that speak the wire."""
