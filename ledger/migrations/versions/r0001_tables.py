"""Revision 0001: tables."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0001", None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(1))
