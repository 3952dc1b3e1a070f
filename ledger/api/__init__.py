"""The ledger's HTTP API: what payment channels, apps and the card centre's own systems may ask.

It runs as a process of its own beside the ledger (ADR 44), on the same books.
"""
