"""Tests of adapters, on real sockets and files."""
