"""Revision 0007: codes."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(7))
