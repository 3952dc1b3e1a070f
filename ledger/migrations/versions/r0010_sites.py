"""Revision 0010: sites."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(10))
