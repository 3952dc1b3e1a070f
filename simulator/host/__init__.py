"""Readers as objects in this CPython process: the board, its hardware, and its home."""
