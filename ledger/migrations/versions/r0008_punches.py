"""Revision 0008: punches."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(8))
