"""Delivery: who has what, what to send next."""
