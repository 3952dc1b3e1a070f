"""Revision 0039: where in a door's journal entries of a time are."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0039", "0038"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(39))
