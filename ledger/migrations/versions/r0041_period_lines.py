"""Revision 0041: what a page asks of a period's lines stands in their index."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0041", "0040"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(41))
