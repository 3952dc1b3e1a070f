"""Revision 0003: chips."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(3))
