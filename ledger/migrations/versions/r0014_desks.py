"""Revision 0014: desks."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0014", "0013"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(14))
