"""Revision 0016: locks."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0016", "0015"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(16))
