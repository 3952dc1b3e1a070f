"""Revision 0013: code entries."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0013", "0012"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(13))
