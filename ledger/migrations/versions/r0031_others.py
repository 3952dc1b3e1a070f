"""Revision 0031: kept free."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0031", "0030"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(31))
