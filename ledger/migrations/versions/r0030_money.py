"""Revision 0030: what money rests on when it leaves a card."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0030", "0029"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(30))
