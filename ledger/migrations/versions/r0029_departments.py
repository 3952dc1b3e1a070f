"""Revision 0029: shifts, ends of grants, and who has asked who opened a door."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0029", "0028"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(29))
