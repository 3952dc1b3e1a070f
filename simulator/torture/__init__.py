"""Torture: every cut there is, tried one by one, and what must hold after each."""
