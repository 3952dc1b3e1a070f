"""Revision 0011: aggregate."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0011", "0010"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(11))
