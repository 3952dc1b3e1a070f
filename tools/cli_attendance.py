"""Attendance on the command line: onecard ledger attendance month, enter, withdraw, entries."""

import time
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, Json, refuse

attendance = typer.Typer(
    help="Who came and left when, and what a person enters by hand.", no_args_is_help=True
)

Person = Annotated[str, typer.Option("--by", help=f"Who answers for it. {LOGGED_IN}")]
Because = Annotated[str, typer.Option(help="Why it was so.")]
Offset = Annotated[int, typer.Option("--utc-offset-s", help="Local time: seconds ahead of UTC.")]


@attendance.command("month")
def month(
    database: InputFile,
    month: Annotated[str, typer.Argument(help="Such as 2026-11.")],
    day_begins: Annotated[
        str, typer.Option(help="Before then a punch is of the day before: night shifts.")
    ] = "00:00",
    utc_offset_s: Offset = 28_800,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    as_json: Json = False,
) -> None:
    """Print the first and the last punch of each card and day in DATABASE (SQLite)."""
    from tools.ledger_attendance import BadDate, to_csv, to_json, to_text, zone
    from tools.ledger_attendance import month as find
    from tools.ledger_forks import NotBooks

    try:
        where = zone(utc_offset_s, day_begins)
        found = find(database, month, where)
    except (NotBooks, BadDate) as error:
        refuse(error)
    if as_json:
        typer.echo(to_json(found))
    else:
        typer.echo(to_csv(found, where) if as_csv else to_text(found, where))


@attendance.command("enter")
def enter(
    database: InputFile,
    card_no: Annotated[int, typer.Option("--card", min=0, help="The card's number.")],
    at: Annotated[str, typer.Option(help="When: ISO 8601 with its zone.")],
    because: Because,
    person: Person = "",
) -> None:
    """Enter in DATABASE (SQLite) a punch that no machine tells; it stays marked as that."""
    from ledger.attendance import EntryRefused
    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from tools.ledger_attendance import BadDate
    from tools.ledger_attendance import enter as book
    from tools.ledger_forks import NotBooks

    try:
        number = book(database, card_no, at, person, because, int(time.time()))
    except (NotBooks, BadDate, EntryRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    typer.echo(f"entry {number}: card {card_no} at {at}")


@attendance.command("withdraw")
def withdraw(
    database: InputFile,
    number: Annotated[int, typer.Option(min=1, help="As `enter` printed it.")],
    because: Because,
    person: Person = "",
) -> None:
    """Withdraw an entry of DATABASE (SQLite): it stays to be read and counts no more."""
    from ledger.attendance import EntryRefused
    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from tools.ledger_attendance import withdraw as book
    from tools.ledger_forks import NotBooks

    try:
        book(database, number, person, because, int(time.time()))
    except (NotBooks, EntryRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    typer.echo(f"entry {number} is withdrawn")


@attendance.command("entries")
def entries(database: InputFile, utc_offset_s: Offset = 28_800) -> None:
    """Print every entry by hand in DATABASE (SQLite), and who answers for it."""
    from tools.ledger_attendance import Zone
    from tools.ledger_attendance import entries as find
    from tools.ledger_forks import NotBooks

    try:
        typer.echo(find(database, Zone(utc_offset_s)))
    except NotBooks as error:
        refuse(error)
