"""The commands of `onecard ledger` about its HTTP API: to serve it, and to let a client in."""

import logging
from typing import Annotated

import typer

from tools.cli_options import LOG_FORMAT, InputFile, refuse


def serve(config: InputFile) -> None:
    """Serve the HTTP API of the books that CONFIG (TOML) names, until it is told to stop.

    It runs beside `onecard ledger run`, or without it.
    """
    from ledger.api.server import REFUSALS, run

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        run(config)
    except REFUSALS as error:
        refuse(error)


def console(config: InputFile) -> None:
    """Serve the card centre's console of the books that CONFIG (TOML) names, until told to stop.

    `onecard ledger run` starts it by itself where CONFIG has [console].
    """
    from ledger.console.server import REFUSALS, run

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        run(config)
    except REFUSALS as error:
        refuse(error)


def token(
    name: Annotated[str, typer.Argument(help="The client's: a-z and -, at most 16.")],
    scopes: Annotated[list[str], typer.Option("--scope", help="What it may do; may be repeated.")],
) -> None:
    """Make a token for the client NAME of the HTTP API; print it, and the lines that let it in.

    Only its hash is in those lines, and nobody can print the token again.
    """
    from ledger.api.clients import Scope, check, hash_of, new_token
    from ledger.config import ConfigError

    made = new_token()
    table = {"name": name, "token_sha256": hash_of(made).hex(), "scopes": scopes}
    try:
        check(table)
    except ConfigError as error:
        refuse(error)
    listed = ", ".join(f'"{Scope(scope)}"' for scope in scopes)
    typer.echo(made)
    typer.echo(f'\n[[client]]\nname = "{name}"\ntoken_sha256 = "{table["token_sha256"]}"')
    typer.echo(f"scopes = [{listed}]")
