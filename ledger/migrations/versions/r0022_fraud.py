"""Revision 0022: fraud."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0022", "0021"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(22))
