"""Revision 0025: settlement of merchants."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0025", "0024"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(25))
