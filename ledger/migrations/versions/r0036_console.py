"""Revision 0036: forms of the console that were done, and names of holders."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0036", "0035"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(36))
