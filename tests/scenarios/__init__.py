"""Whole runs: scenario files, their reports, and the checkers that judge them."""
