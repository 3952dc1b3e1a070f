"""Revision 0015: menus."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0015", "0014"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(15))
