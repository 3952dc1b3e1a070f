"""Revision 0018: proofs."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0018", "0017"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(18))
