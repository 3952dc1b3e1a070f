"""What the commands of onecard have in common: exit codes, how they refuse, some arguments."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

# Of every option that names who signs.
LOGGED_IN = "Where the books have operators: whoever has logged in; it may be left out."
EXIT_FAILED = 1
EXIT_USAGE = 2
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

InputFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
CardKeyFileNeeded = Annotated[
    Path, typer.Option(help="TOML file with the card centre's keys, mode 0600.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

AfterHours = Annotated[
    int | None,
    typer.Option(min=0, help="From the report of a loss to its carry-over: the policy, or 72."),
]


def refuse(error: object) -> NoReturn:
    """Say what is wrong with the input and leave."""
    typer.echo(f"onecard: {error}", err=True)
    raise typer.Exit(EXIT_USAGE)


def say(text: str) -> None:
    typer.echo(text, err=True)
