"""Revision 0043: the tables refuse a second correction of one sale."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0043", "0042"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(43))
