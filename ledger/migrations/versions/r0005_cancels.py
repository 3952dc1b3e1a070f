"""Revision 0005: cancels."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(5))
