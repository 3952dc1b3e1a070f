"""Revision 0012: reissues."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0012", "0011"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(12))
