"""One file for each migration of ledger/schema.py: what Alembic calls a revision."""
