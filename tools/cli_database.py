"""The command of `onecard ledger` that its database's owner runs: tables, and who may use them."""

from typing import Annotated

import typer

from tools.cli_options import refuse


def migrate(
    url: Annotated[str, typer.Argument(help="postgresql://OWNER@HOST/DATABASE, no password.")],
    service_role: Annotated[
        str, typer.Option(help="The role of the ledger's service; it gets what it needs.")
    ] = "",
) -> None:
    """Bring the tables in the PostgreSQL database URL up to this program's.

    A password is where libpq looks for it (~/.pgpass). The service's role can add to the journals
    and change nothing in them.
    """
    import psycopg

    from ledger.dialect import POSTGRESQL, SchemaTooOld, says_password
    from ledger.postgres import let_serve
    from ledger.postgres import migrate as lead
    from ledger.schema import MIGRATIONS

    if not url.startswith(POSTGRESQL) or says_password(url):
        refuse(f"not {POSTGRESQL}OWNER@HOST/DATABASE without a password")
    try:
        lead(url)
        if service_role:
            let_serve(url, service_role)
    except (psycopg.Error, SchemaTooOld, ValueError) as error:
        refuse(error)
    typer.echo(f"the tables are those of version {len(MIGRATIONS)}")
