"""Revision 0002: device keys."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(2))
