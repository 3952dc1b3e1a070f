"""Revision 0043: what the ledger's clock knows."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0044", "0043"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(44))
