"""Revision 0034: readers and merchants that have ended."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0034", "0033"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(34))
