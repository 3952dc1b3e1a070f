"""Attendance on the command line: onecard ledger attendance month, enter, withdraw, entries."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, Json, refuse

attendance = typer.Typer(
    help="Who came and left when, and what a person enters by hand.", no_args_is_help=True
)

FirstDay = Annotated[str, typer.Option("--from", help="The first day, such as 2026-12-01.")]
Person = Annotated[str, typer.Option("--by", help=f"Who answers for it. {LOGGED_IN}")]
Because = Annotated[str, typer.Option(help="Why it was so.")]
Unmasked = Annotated[
    str, typer.Option("--because", help="Why numbers are needed unmasked; this is kept.")
]
Offset = Annotated[
    int,
    typer.Option(
        "--utc-offset-s", min=-86_400, max=86_400, help="Local time: seconds ahead of UTC."
    ),
]
_U32 = 0xFFFFFFFF


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
    card_no: Annotated[int, typer.Option("--card", min=0, max=_U32, help="The card's number.")],
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
    number: Annotated[int, typer.Option(min=1, max=_U32, help="As `enter` printed it.")],
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


@attendance.command("shift")
def shift(
    database: InputFile,
    name: Annotated[str, typer.Option(help="What the shift is called.")],
    hours: Annotated[
        str, typer.Option(help='"mon-fri 08:00-12:00,13:00-17:00", "mon-sun 22:00-06:00".')
    ],
    first: FirstDay,
    person: Person = "",
    grace_min: Annotated[int, typer.Option(min=0, max=120, help="Nobody is late by so much.")] = 0,
) -> None:
    """Say the hours of a shift in DATABASE, from a day on; months of before keep theirs."""
    from tools.ledger_rosters import set_shift

    _say(lambda: set_shift(database, name, hours, (first, grace_min), person, int(time.time())))


@attendance.command("staff")
def staff(
    database: InputFile,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    person: Person = "",
) -> None:
    """Enter who works where (xlsx or CSV: person_no,team,shift,from; 工号,班组,班次,起始日).

    Shift "-" or 离职: nowhere, from that day on. All lines are entered, or none.
    """
    from tools.ledger_rosters import enter

    _say(lambda: enter(database, file, person, int(time.time())))


@attendance.command("roster")
def roster(
    database: InputFile,
    day: Annotated[str, typer.Option(help="Such as 2026-11-26; today.")] = "",
    utc_offset_s: Offset = 28_800,
    because: Unmasked = "",
    person: Person = "",
) -> None:
    """Print who works where on a day in DATABASE, masked unless --because says why."""
    from tools.ledger_rosters import show

    why = because, person
    _say(lambda: show(database, day, utc_offset_s, why, int(time.time())))


@attendance.command("report")
def report(
    database: InputFile,
    month: Annotated[str, typer.Argument(help="Such as 2026-11.")],
    out: Annotated[Path, typer.Option(help="The workbook (xlsx), for its owner alone.")],
    utc_offset_s: Offset = 28_800,
    because: Unmasked = "",
    person: Person = "",
) -> None:
    """Write the month of who is on the roster, against their shifts; entries by hand marked.

    Numbers of persons are masked, unless --because says why.
    """
    from tools.timesheet_book import write

    why = because, person
    _say(lambda: write(database, month, out, utc_offset_s, why, int(time.time())))


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


def _say(what: Callable[[], str]) -> None:
    from ledger.dialect import StoreUnavailable
    from ledger.rosters import RosterRefused
    from ledger.signatures import NotAllowed
    from tools.ledger_attendance import BadDate
    from tools.ledger_forks import NotBooks
    from tools.ledger_lives import BadInput

    try:
        typer.echo(what())
    except (NotBooks, NotAllowed, BadDate, RosterRefused, StoreUnavailable, BadInput) as error:
        refuse(error)
