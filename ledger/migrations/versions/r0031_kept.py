"""Revision 0031: nothing; its number is kept for another change."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0031", "0030"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(31))
