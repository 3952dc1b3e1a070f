"""`onecard ledger device`: readers that were opened or moved, and who approves that they go on."""

from enum import StrEnum
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, refuse

device = typer.Typer(help="Readers that were opened or moved (R18).", no_args_is_help=True)


class Step(StrEnum):
    """Who approves: first the department that answers for the reader, then the centre."""

    DEPARTMENT = "department"
    CENTRE = "centre"


@device.command("list")
def device_list(database: InputFile) -> None:
    """List readers in DATABASE (SQLite) that take nothing, why, and who has to approve what."""
    from tools.ledger_device import show
    from tools.ledger_forks import NotBooks

    try:
        code, text = show(database)
    except NotBooks as error:
        refuse(error)
    typer.echo(text)
    raise typer.Exit(code)


@device.command("approve")
def device_approve(
    database: InputFile,
    number: Annotated[int, typer.Option("--device", min=1, help="The reader's number.")],
    record: Annotated[int, typer.Option(min=1, help="As `list` prints it.")],
    step: Annotated[Step, typer.Option("--as", help="Which of the two steps (R18.2).")],
    person: Annotated[
        str, typer.Option("--by", help=f"Who, in a word of a-z, 0-9 and -. {LOGGED_IN}")
    ] = "",
    site: Annotated[str, typer.Option(help="From now on it belongs there; centre only.")] = "",
) -> None:
    """Approve in DATABASE (SQLite) that a reader goes on; two steps by two persons."""
    import time

    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from ledger.tampers import STEPS, ApprovalRefused
    from tools.ledger_device import approve
    from tools.ledger_forks import NotBooks

    try:
        done = approve(database, number, record, step.value, person, site, int(time.time()))
    except (NotBooks, ApprovalRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    typer.echo(f"reader {number}, record {record}: {done} of {len(STEPS)} steps")
