"""Policies in the books on the command line: onecard ledger policy set, ... list."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, refuse

policy = typer.Typer(help="Which limits readers have.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


@policy.command("set")
def policy_set(
    database: InputFile,
    file: PolicyFile,
    person: Annotated[str, typer.Option(help=f"Who sets it, by name. {LOGGED_IN}")] = "",
    site: Annotated[str, typer.Option(help="For the readers in this building.")] = "",
    device: Annotated[int, typer.Option(min=0, help="For this reader.")] = 0,
) -> None:
    """Set the policy FILE (TOML, its table as in a reader's settings, without epoch) for readers.

    Those whose agent is there have it within five minutes. Locks get none: they have no line.
    """
    from ledger.dialect import StoreUnavailable
    from ledger.policies import PolicyRefused
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks
    from tools.ledger_policy import set_policy
    from tools.reader_settings import BadSettings

    try:
        told = set_policy(database, file, device, site, person, int(time.time()))
    except (BadSettings, NotBooks, PolicyRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    typer.echo(told)


@policy.command("list")
def policy_list(database: InputFile) -> None:
    """Print the newest policy of each reader, by whom, and which readers have not got it."""
    from tools.ledger_forks import NotBooks
    from tools.ledger_policy import show

    try:
        typer.echo(show(database))
    except NotBooks as error:
        refuse(error)
