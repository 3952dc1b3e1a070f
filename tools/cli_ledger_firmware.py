"""Firmware in the books on the command line: onecard ledger firmware set, ... list."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, refuse

firmware = typer.Typer(help="Which readers get which firmware.", no_args_is_help=True)

ReleaseFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


@firmware.command("set")
def firmware_set(
    database: InputFile,
    file: ReleaseFile,
    key: Annotated[list[Path], typer.Option(help="A public key that counts; more than once.")],
    percent: Annotated[int, typer.Option(min=0, max=100, help="Of all readers; 0 is a halt.")],
    person: Annotated[str, typer.Option(help=f"Who sets it, by name. {LOGGED_IN}")] = "",
    needed: Annotated[int, typer.Option(min=1, help="So many keys have to have signed.")] = 1,
    between: Annotated[str, typer.Option(help="The hours of a day, in UTC.")] = "18:00-21:00",
    site: Annotated[str, typer.Option(help="In this building; without: everywhere.")] = "",
    force: Annotated[bool, typer.Option("--force", help="At any hour.")] = False,
) -> None:
    """Give the release FILE to a share of the readers that it is for: 1, then 5, then 100 percent.

    The share is of all readers but doors and locks, whatever program they run: of another program
    they take nothing. A stage for all sites ends those for single ones. An agent hears of it
    within five minutes.
    """
    from ledger.dialect import StoreUnavailable
    from ledger.release_file import BadRelease
    from ledger.signatures import NotAllowed
    from tools.ledger_firmware import set_stage
    from tools.ledger_forks import NotBooks

    now_s = int(time.time())
    try:
        line = set_stage(
            database, file, key, needed, percent, between, site, person, now_s, is_forced=force
        )
    except (BadRelease, NotBooks, NotAllowed, StoreUnavailable, OSError) as error:
        refuse(error)
    typer.echo(line)


@firmware.command("list")
def firmware_list(database: InputFile) -> None:
    """Print every stage, and which version how many readers have said that they run."""
    from tools.ledger_firmware import show
    from tools.ledger_forks import NotBooks

    try:
        typer.echo(show(database))
    except NotBooks as error:
        refuse(error)
