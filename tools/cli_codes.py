"""The commands of `onecard ledger` about phones and payments by code."""

import time
from enum import StrEnum
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, Json, refuse

By = Annotated[str, typer.Option("--by", help=f"Who does it. {LOGGED_IN}")]


class PhoneVerb(StrEnum):
    """What is done to the phone of a card; `show` does nothing."""

    SHOW = "show"
    BIND = "bind"
    UNBIND = "unbind"


class SettledAs(StrEnum):
    """What a person can say of a payment by code."""

    SOLD = "sold"
    VOID = "void"


def ledger_phone(
    verb: Annotated[PhoneVerb, typer.Argument(help="What to do.")],
    config: InputFile,
    card_no: Annotated[int, typer.Option("--card", min=0, help="The card's number.")],
    by: By = "",
    shown: Annotated[
        str, typer.Option(help="bind: id-card, passport or residence-permit, as you have seen it.")
    ] = "",
    person_no: Annotated[
        str, typer.Option("--person", help="bind: the school's number of who has shown it.")
    ] = "",
) -> None:
    """Bind a phone to the virtual card of a card in the books that CONFIG names, or unbind it.

    Only who has proven to be the card's holder gets one. A new binding draws a new seed, prints it
    once, and ends what the phone before could pay.
    """
    from ledger.config import ConfigError
    from ledger.dialect import StoreUnavailable
    from ledger.phones import PhoneRefused
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks
    from tools.ledger_phone import run

    try:
        said = run(config, verb.value, card_no, by, int(time.time()), (shown, person_no))
    except (ConfigError, NotAllowed, NotBooks, PhoneRefused, StoreUnavailable) as error:
        refuse(error)
    typer.echo(said)


def ledger_codes(
    database: InputFile,
    older_s: Annotated[int, typer.Option(min=0, help="Only what is older, in seconds.")] = 3_600,
    as_json: Json = False,
) -> None:
    """List the payments by code in DATABASE (SQLite) that nothing has settled, by reader."""
    from tools.ledger_codes import NONE_OPEN, OPEN, find, to_json, to_text
    from tools.ledger_forks import NotBooks

    try:
        found = find(database, int(time.time()) - older_s)
    except NotBooks as error:
        refuse(error)
    typer.echo(to_json(found) if as_json else to_text(found))
    raise typer.Exit(OPEN if found else NONE_OPEN)


def ledger_settle(
    database: InputFile,
    number: Annotated[
        int, typer.Option(min=1, max=0xFFFFFFFF, help="As `onecard ledger codes` prints it.")
    ],
    settled_as: Annotated[SettledAs, typer.Option("--as", help="Who gets the money.")],
    mark: Annotated[str, typer.Option(help="Of the payment, as `codes` prints it.")] = "",
    by: By = "",
    proposed: Annotated[
        bool, typer.Option("--propose", help="Say so only, for a second person to settle it.")
    ] = False,
) -> None:
    """Settle a payment by code in DATABASE (SQLite) that its reader's record will not settle.

    Where the books have operators that takes two: a clerk proposes, a treasurer settles it so.
    """
    from ledger.code_sales import SettleRefused
    from ledger.dialect import StoreUnavailable
    from ledger.marks import OtherMark
    from ledger.reservations import Settled
    from ledger.signatures import NotAllowed
    from tools.ledger_codes import propose, settle
    from tools.ledger_forks import NotBooks

    try:
        what = (number, mark), Settled[settled_as.name], by, int(time.time())
        if proposed:
            proposal = propose(database, *what)
            fact = f"payment {number}: a treasurer settles it as {settled_as.value}"
            typer.echo(f"proposal {proposal}, {fact}")
            return
        sale = settle(database, *what)
    except (NotAllowed, NotBooks, OtherMark, SettleRefused, StoreUnavailable) as error:
        refuse(error)
    typer.echo(f"payment {number} of {sale.amount_fen} fen is {settled_as.value}")


def ledger_acquirer(
    database: InputFile,
    utc_offset_s: Annotated[
        int, typer.Option(min=0, max=86_400, help="When days begin: [codes] utc_offset_s.")
    ] = 28_800,
    as_json: Json = False,
) -> None:
    """List what the acquirer's statements and the orders in DATABASE (SQLite) do not agree on."""
    from tools.ledger_acquirer import ALL_MATCHED, UNMATCHED, find, to_json, to_text
    from tools.ledger_forks import NotBooks

    try:
        found, versions = find(database, utc_offset_s, int(time.time()))
    except NotBooks as error:
        refuse(error)
    typer.echo(to_json(found) if as_json else to_text(found, versions))
    raise typer.Exit(UNMATCHED if found else ALL_MATCHED)
