"""Revision 0024: procedures of merchants and devices."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0024", "0023"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(24))
