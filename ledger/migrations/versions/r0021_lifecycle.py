"""Revision 0021: the lives of cards."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0021", "0020"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(21))
