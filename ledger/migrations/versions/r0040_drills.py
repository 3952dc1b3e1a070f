"""Revision 0040: drills of outages, each with what proves it."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0040", "0039"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(40))
