"""Revision 0006: card changes."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(6))
