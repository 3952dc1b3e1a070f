"""Revision 0035: debts of merchants that are written off."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0035", "0034"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(35))
