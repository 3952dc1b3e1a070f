"""Revision 0019: top-ups of channels."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0019", "0018"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(19))
