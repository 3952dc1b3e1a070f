"""The ledger's migrations on PostgreSQL, run by Alembic: `ledger.postgres.migrate`."""
