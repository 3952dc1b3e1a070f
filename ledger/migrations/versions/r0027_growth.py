"""Revision 0027: what books need that have grown."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0027", "0026"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(27))
