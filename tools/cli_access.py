"""Doors on the command line: onecard ledger access grant, revoke, hours, ..."""

import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.cli_options import EXIT_FAILED, LOGGED_IN, InputFile, refuse

if TYPE_CHECKING:
    from ledger.access import AccessBook

access = typer.Typer(help="Who may open which door (R8.2, R9.2).", no_args_is_help=True)


class ScopeName(StrEnum):
    """Whose doors these are: R8 dormitories, R9 family and public places."""

    DORM = "dorm"
    PUBLIC = "public"


Device = Annotated[int, typer.Option(min=1, help="The door's device number.")]
Scope = Annotated[ScopeName, typer.Option(help="Whose doors: dorm (R8) or public (R9).")]
Site = Annotated[str, typer.Option(help="The building, as its agent names it.")]
Who = Annotated[str, typer.Option("--person", help=f"Who authorises it, by name. {LOGGED_IN}")]
Whom = Annotated[str, typer.Option("--person", help="Who authorises there from now on.")]
By = Annotated[str, typer.Option("--by", help=f"Who says so. {LOGGED_IN}")]
FirstCard = Annotated[int, typer.Option("--card", min=0, help="The card's number.")]
LastCard = Annotated[int, typer.Option("--to", min=0, help="And all cards up to this one.")]
Group = Annotated[int, typer.Option(min=1, max=15, help="The group, 1 to 15.")]
UtcOffset = Annotated[int, typer.Option(help="Where the school is, in seconds.")]
Hours = Annotated[str, typer.Option(help='"mon-fri 08:00-18:00, sat", "always" or "never".')]


@access.command("appoint")
def access_appoint(
    database: InputFile, site: Site, scope: Scope, person: Whom, by: By = ""
) -> None:
    """Appoint a named person, who alone grants at such doors of a building."""
    _act(
        database, by, lambda book, who: book.appoint("appoint", site, scope, person, _now_s(), who)
    )
    typer.echo(f"{person} authorises for {scope.value} doors at {site}")


@access.command("dismiss")
def access_dismiss(
    database: InputFile, site: Site, scope: Scope, person: Whom, by: By = ""
) -> None:
    """End an appointment; what that person has granted stays."""
    _act(
        database, by, lambda book, who: book.appoint("dismiss", site, scope, person, _now_s(), who)
    )
    typer.echo(f"{person} does not authorise for {scope.value} doors at {site}")


@access.command("door")
def access_door(
    database: InputFile,
    device: Device,
    scope: Scope,
    grant_ms: Annotated[int, typer.Option(help="How long it opens, 3000 to 15000.")] = 5000,
    passback_s: Annotated[int, typer.Option(help="A card opens it once in so long.")] = 0,
    lock: Annotated[
        bool, typer.Option("--lock", help="It has no network: cards carry its letters.")
    ] = False,
    by: By = "",
) -> None:
    """Say that a registered device is a door, and of which scope."""
    facts = device, scope, grant_ms, passback_s, lock
    _act(database, by, lambda book, who: book.add_door(*facts, who, _now_s()))
    typer.echo(f"door {device} is a {scope.value} {'lock' if lock else 'door'}")


@access.command("grant")
def access_grant(
    database: InputFile,
    device: Device,
    card_no: FirstCard,
    person: Who = "",
    to: LastCard = 0,
    group: Group = 1,
    until: Annotated[str, typer.Option(help="The last day, such as 2027-01-31.")] = "",
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Let cards open a door in the hours of a group; group 1 may always, unless it is told."""
    _grant(database, device, card_no, to, group, person, (until, utc_offset_s))


@access.command("end")
def access_end(database: InputFile) -> None:
    """Take back the grants that are over, as a ledger that runs does once a minute."""
    from tools.ledger_access import end

    _say(lambda: end(database, _now_s()))


@access.command("who")
def access_who(
    database: InputFile,
    device: Device,
    first: Annotated[str, typer.Option("--from", help="ISO 8601 with its zone.")],
    last: Annotated[str, typer.Option("--to", help="Up to then, 31 days at most.")],
    purpose: Annotated[str, typer.Option(help="What for; it stays in the books.")],
    person: Annotated[
        str, typer.Option("--person", help=f"Who asks, appointed for that door. {LOGGED_IN}")
    ] = "",
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Tell who opened a door. Who asks, and what for, is in the books before anything is told."""
    from tools.ledger_access import entries_text, told

    note = purpose, person
    _say(lambda: entries_text(told(database, device, (first, last), note, _now_s()), utc_offset_s))


@access.command("questions")
def access_questions(database: InputFile, utc_offset_s: UtcOffset = 28_800) -> None:
    """List who has asked who opened which door, and what for."""
    from tools.ledger_access import questions

    _say(lambda: questions(database, utc_offset_s))


@access.command("revoke")
def access_revoke(
    database: InputFile, device: Device, card_no: FirstCard, person: Who = "", to: LastCard = 0
) -> None:
    """Let cards open a door no more."""
    _grant(database, device, card_no, to, 0, person, ("", 0))


@access.command("hours")
def access_hours(
    database: InputFile, device: Device, group: Group, hours: Hours, person: Who = ""
) -> None:
    """Say when a group may enter."""
    _set_hours(database, device, group, hours, person)


@access.command("free")
def access_free(database: InputFile, device: Device, hours: Hours, person: Who = "") -> None:
    """Say when a door is open to everybody."""
    _set_hours(database, device, 0, hours, person)


@access.command("pin")
def access_pin(
    database: InputFile,
    device: Device,
    group: Group,
    person: Who = "",
    none: Annotated[bool, typer.Option("--none", help="It needs a PIN no more.")] = False,
) -> None:
    """Ask for the PIN that a group has to type too; one higher in its last digit is for duress."""
    from tools.card.errors import BadInput
    from tools.card.pin_entry import read_pin

    try:
        digits = b"" if none else read_pin()
    except BadInput as error:
        refuse(error)
    epoch = _act(
        database, person, lambda book, who: book.set_pin(device, group, digits, who, _now_s())
    )
    typer.echo(f"door {device}: epoch {epoch}")


@access.command("show")
def access_show(database: InputFile, device: Device) -> None:
    """Print every change of a door, and who has made it."""
    from tools.ledger_access import show
    from tools.ledger_forks import NotBooks

    try:
        typer.echo(show(database, device))
    except NotBooks as error:
        refuse(error)


@access.command("codes")
def access_codes(
    database: InputFile,
    older_s: Annotated[int, typer.Option(min=0, help="Only what is older, in seconds.")] = 3_600,
) -> None:
    """List who was told to a door by an identity code of which it has not recorded an entry.

    The answer was lost or late, or the door has not been heard since. Exit code 1: there are some.
    """
    from tools.ledger_access import unused_codes
    from tools.ledger_forks import NotBooks

    try:
        lines = unused_codes(database, _now_s() - older_s)
    except NotBooks as error:
        refuse(error)
    typer.echo(lines or "Every answer that is that old has its entry.")
    raise typer.Exit(EXIT_FAILED if lines else 0)


def _grant(
    database: Path,
    device: int,
    card_no: int,
    to: int,
    group: int,
    person: str,
    until: tuple[str, int],
) -> None:
    from tools.ledger_access import end_of

    day, utc_offset_s = until
    what = device, card_no, max(to, card_no) - card_no + 1, group

    def act(book: "AccessBook", who: str) -> int:
        end_s = end_of(day, utc_offset_s) if day else None
        return book.grant(*what, who, _now_s(), end_s)

    typer.echo(f"door {device}: epoch {_act(database, person, act)}")


def _set_hours(database: Path, device: int, group: int, hours: str, person: str) -> None:
    from tools.ledger_access import read_hours

    epoch = _act(
        database,
        person,
        lambda book, who: book.set_hours(device, group, read_hours(hours), who, _now_s()),
    )
    typer.echo(f"door {device}: epoch {epoch}")


def _act(database: Path, person: str, act: "Callable[[AccessBook, str], object]") -> object:
    from tools.ledger_access import change

    return _tried(lambda: change(database, person, act, _now_s()))


def _say(what: Callable[[], str]) -> None:
    typer.echo(_tried(what))


def _tried(what: Callable[[], object]) -> object:
    from ledger.access import AccessRefused
    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks
    from tools.ledger_lives import BadInput

    try:
        return what()
    except (NotBooks, AccessRefused, NotAllowed, StoreUnavailable, BadInput) as error:
        refuse(error)


def _now_s() -> int:
    return int(time.time())


def ledger_locks(database: InputFile) -> None:
    """List locks on batteries in DATABASE (SQLite): cells, last heard, age of card map (R23.3b).

    The worst comes first; what nobody brought to the books is not known here.
    """
    from tools.ledger_forks import NotBooks
    from tools.ledger_locks import show

    try:
        code, text = show(database, _now_s())
    except NotBooks as error:
        refuse(error)
    typer.echo(text)
    raise typer.Exit(code)
