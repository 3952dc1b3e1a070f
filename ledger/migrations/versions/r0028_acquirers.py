"""Revision 0028: acquirers, and who binds a phone."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0028", "0027"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(28))
