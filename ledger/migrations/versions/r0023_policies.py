"""Revision 0023: policies of readers."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0023", "0022"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(23))
