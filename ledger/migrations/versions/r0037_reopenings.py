"""Revision 0037: merchants that are closed are opened again where money comes behind that."""

from alembic import op

from ledger.postgres_schema import migration

revision, down_revision = "0037", "0036"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(migration(37))
