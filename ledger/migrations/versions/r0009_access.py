"""Revision 0009: access."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(9))
