"""`onecard ledger case` and `reconcile`: who bears a case, and cards against books."""

from enum import StrEnum
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, Json, refuse

case = typer.Typer(help="Cases, and who bears what they have cost.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="The case, as `list` prints it.")]
_Person = Annotated[
    str, typer.Option("--by", help=f"Who, in a word of a-z, 0-9 and -. {LOGGED_IN}")
]


class BorneBy(StrEnum):
    """Who bears it."""

    HOLDER = "holder"
    MERCHANT = "merchant"
    CARD_CENTRE = "card-centre"
    DEVICE_OWNER = "device-owner"


@case.command("list")
def case_list(
    database: InputFile,
    with_all: Annotated[bool, typer.Option("--all", help="Those without money too.")] = False,
    as_json: Json = False,
) -> None:
    """List the cases in DATABASE (SQLite, or ledger.toml) that somebody has to decide."""
    from tools.ledger_case import NONE_OPEN, OPEN, find, list_text, to_json
    from tools.ledger_forks import NotBooks

    try:
        found = find(database, with_all)
    except NotBooks as error:
        refuse(error)
    typer.echo(to_json(found) if as_json else list_text(found))
    is_open = any(each["state"] in ("open", "proposed") for each in found)
    raise typer.Exit(OPEN if is_open else NONE_OPEN)


@case.command("show")
def case_show(database: InputFile, name: _Name, as_json: Json = False) -> None:
    """Show a case in DATABASE: its records, whose it is as a rule, and what is proposed."""
    from ledger.corrections import CorrectionRefused
    from tools.ledger_case import show, show_text, to_json
    from tools.ledger_forks import NotBooks

    try:
        told = show(database, name)
    except (NotBooks, CorrectionRefused) as error:
        refuse(error)
    typer.echo(to_json(told) if as_json else show_text(told))


@case.command("propose")
def case_propose(
    database: InputFile,
    name: _Name,
    bearer: Annotated[BorneBy, typer.Option("--bearer", help="Who bears it.")],
    because: Annotated[str, typer.Option(help="Why, for who approves and for the audit.")],
    person: _Person = "",
    amount_fen: Annotated[
        int | None, typer.Option("--fen", min=1, help="How much; else what the record says.")
    ] = None,
    whose: Annotated[
        int | None, typer.Option(min=0, help="Card or merchant, if not the record's.")
    ] = None,
) -> None:
    """Propose in DATABASE who bears a case; nothing moves until another person approves."""
    import time

    from ledger.bearers import Bearer
    from ledger.corrections import CorrectionRefused
    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from tools.ledger_case import Wanted, propose, show_text
    from tools.ledger_forks import NotBooks

    wanted = Wanted(Bearer[bearer.name], person, because, amount_fen, whose)
    try:
        told = propose(database, name, wanted, int(time.time()))
    except (NotBooks, CorrectionRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    typer.echo(show_text(told))


@case.command("approve")
def case_approve(
    database: InputFile,
    number: Annotated[int, typer.Option("--proposal", min=1, help="As `show` prints it.")],
    mark: Annotated[str, typer.Option(help="That of the proposal, as `show` prints it.")],
    person: _Person = "",
) -> None:
    """Approve in DATABASE what another person has proposed, and book it, once."""
    import time

    from ledger.corrections import CorrectionRefused
    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from tools.ledger_case import approve
    from tools.ledger_forks import NotBooks

    try:
        booked = approve(database, number, mark, person, int(time.time()))
    except (NotBooks, CorrectionRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    typer.echo(f"proposal {number} is booked: {booked.bearer} bears {booked.amount_fen} fen")


def reconcile(
    database: InputFile,
    card_no: Annotated[int | None, typer.Option("--card", min=0, help="One card only.")] = None,
    as_json: Json = False,
) -> None:
    """Compare what cards hold with what DATABASE (SQLite) owes for them, and name who differs."""
    from tools.ledger_forks import NotBooks
    from tools.ledger_reconcile import ALL_FIT, SOME_DO_NOT, find, is_wrong, to_json, to_text

    try:
        found = find(database, card_no)
    except NotBooks as error:
        refuse(error)
    typer.echo(to_json(found) if as_json else to_text(found))
    raise typer.Exit(SOME_DO_NOT if any(map(is_wrong, found)) else ALL_FIT)
