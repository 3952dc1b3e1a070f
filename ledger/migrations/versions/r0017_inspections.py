"""Revision 0017: inspections."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0017", "0016"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(17))
