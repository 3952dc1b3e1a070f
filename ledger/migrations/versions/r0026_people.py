"""Revision 0026: operators, their sessions and acts."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0026", "0025"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(26))
