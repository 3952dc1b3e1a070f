"""Revision 0042: records and intents are written where the file ends; nothing on PostgreSQL."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0042", "0041"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(42))
