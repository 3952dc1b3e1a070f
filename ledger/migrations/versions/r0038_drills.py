"""Revision 0038: drills of outages, each with what proves it."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0038", "0037"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(38))
