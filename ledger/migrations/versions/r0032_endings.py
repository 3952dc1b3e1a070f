"""Revision 0032: readers and merchants that have ended."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0032", "0031"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(32))
