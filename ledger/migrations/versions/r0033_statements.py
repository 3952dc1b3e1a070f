"""Revision 0033: an acquirer's statements as they were told, and told anew."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0033", "0032"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(33))
