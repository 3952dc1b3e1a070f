"""A city lives: districts of campus readers and their books, with outages at lunch (ADR 85)."""
