"""Revision 0004: loads."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(4))
