"""Who has what, and what to send next; no I/O, no clock, no randomness."""
