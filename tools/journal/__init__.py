"""Journals of readers as evidence: taken, shown, verified, followed and replayed."""
