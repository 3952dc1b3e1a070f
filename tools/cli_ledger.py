"""`onecard ledger`, in its Debian package `onecard-ledger`: all that is done with the books."""

import logging
import time
from typing import Annotated

import typer

from tools.cli_access import access, ledger_locks
from tools.cli_aggregate import aggregate
from tools.cli_attendance import attendance
from tools.cli_books import add_to
from tools.cli_carry import carry_over
from tools.cli_case import case, reconcile
from tools.cli_codes import ledger_acquirer, ledger_codes, ledger_phone, ledger_settle
from tools.cli_database import migrate
from tools.cli_decline import ledger_decline
from tools.cli_device import device
from tools.cli_http import console, serve, token
from tools.cli_inspections import inspections
from tools.cli_ledger_firmware import firmware
from tools.cli_lives import batch, card, temporary
from tools.cli_menu import menu
from tools.cli_merchant import merchant
from tools.cli_money import refunds, subsidy
from tools.cli_operator import operator
from tools.cli_options import LOG_FORMAT, LOGGED_IN, CardKeyFileNeeded, InputFile, Json, refuse
from tools.cli_payments import payments
from tools.cli_period import period
from tools.cli_policy import policy
from tools.cli_privacy import person, retention

ledger = typer.Typer(help="The central ledger.", no_args_is_help=True)
ledger.add_typer(card, name="card")
ledger.add_typer(temporary, name="temporary")
ledger.add_typer(batch, name="batch")
ledger.add_typer(subsidy, name="subsidy")
ledger.add_typer(refunds, name="refunds")
ledger.add_typer(payments, name="payments")
ledger.add_typer(attendance, name="attendance")
ledger.add_typer(access, name="access")
ledger.add_typer(menu, name="menu")
ledger.add_typer(firmware, name="firmware")
ledger.add_typer(period, name="period")
ledger.add_typer(policy, name="policy")
ledger.add_typer(device, name="device")
ledger.add_typer(merchant, name="merchant")
ledger.add_typer(aggregate, name="aggregate")
ledger.add_typer(case, name="case")
ledger.add_typer(operator, name="operator")
ledger.add_typer(person, name="person")
ledger.command("retention")(retention)
ledger.command("carry-over")(carry_over)
ledger.command("reconcile")(reconcile)
ledger.command("locks")(ledger_locks)
ledger.command("migrate")(migrate)
ledger.command("inspections")(inspections)
ledger.command("phone")(ledger_phone)
ledger.command("codes")(ledger_codes)
ledger.command("acquirer")(ledger_acquirer)
ledger.command("settle")(ledger_settle)
ledger.command("decline")(ledger_decline)
add_to(ledger)
ledger.command("serve")(serve)
ledger.command("console")(console)
ledger.command("token")(token)


@ledger.command("run")
def ledger_run(config: InputFile) -> None:
    """Run the ledger that CONFIG (TOML) describes until it is told to stop."""
    from ledger.daemon import REFUSALS, run

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        run(config)
    except REFUSALS as error:
        refuse(error)


@ledger.command("forks")
def ledger_forks(database: InputFile, as_json: Json = False) -> None:
    """Name the cards that were copied or written back, with the evidence in DATABASE (SQLite)."""
    from tools.ledger_forks import FOUND, NONE_FOUND, NotBooks, find, to_json, to_text

    try:
        found = find(database)
    except NotBooks as error:
        refuse(error)
    typer.echo(to_json(found) if as_json else to_text(found))
    raise typer.Exit(FOUND if found else NONE_FOUND)


@ledger.command("splits")
def ledger_splits(
    database: InputFile,
    limit_fen: Annotated[
        int, typer.Option("--limit-fen", min=1, help="The limit without PIN that was in force.")
    ],
    window_s: Annotated[
        int, typer.Option("--window-s", min=1, help="Within so many seconds it is one purchase.")
    ] = 180,
    since: Annotated[
        str | None, typer.Option(help="Spends from then on: ISO 8601 with its zone.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Spends before then.")] = None,
    as_json: Json = False,
) -> None:
    """Report purchases that were charged in parts below the limit, across all POS of a merchant.

    The evidence is in DATABASE (SQLite).
    """
    from tools.ledger_forks import NotBooks
    from tools.ledger_splits import FOUND, NONE_FOUND, BadTime, find, to_json, to_text

    try:
        found = find(database, limit_fen, window_s, since, until)
    except (NotBooks, BadTime) as error:
        refuse(error)
    typer.echo(to_json(found) if as_json else to_text(found))
    raise typer.Exit(FOUND if found.splits else NONE_FOUND)


@ledger.command("proofs")
def ledger_proofs(database: InputFile, keys: CardKeyFileNeeded, as_json: Json = False) -> None:
    """Check every debit of a DESFire card in DATABASE against what the card has signed."""
    from tools.card.errors import BadInput
    from tools.ledger_forks import NotBooks
    from tools.ledger_proofs import ALL_PROVEN, DOUBTS, find, to_json, to_text

    try:
        checked = find(database, keys)
    except (NotBooks, BadInput) as error:
        refuse(error)
    typer.echo(to_json(checked) if as_json else to_text(checked))
    raise typer.Exit(DOUBTS if checked.findings else ALL_PROVEN)


@ledger.command("topup")
def ledger_topup(
    database: InputFile,
    card_no: Annotated[int, typer.Option("--card", min=0, help="The card's number.")],
    amount_fen: Annotated[int, typer.Option("--fen", help="How much, in fen.")],
    order_id: Annotated[str, typer.Option("--order", help="The channel's order number.")],
    number: Annotated[
        int, typer.Option(min=0, help="Behind a restore: the number that the credit had.")
    ] = 0,
    by: Annotated[str, typer.Option("--by", help=f"Who books it. {LOGGED_IN}")] = "",
    proposed: Annotated[
        bool, typer.Option("--propose", help="Say so only, for a second person to book it.")
    ] = False,
) -> None:
    """Book in DATABASE (SQLite) what was paid in for a card; its next tap online brings it on.

    Where the books have operators that takes two: a clerk proposes, a treasurer books the same.
    """
    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from ledger.topups import TopUpRefused
    from tools.ledger_forks import NotBooks
    from tools.ledger_topup import PaidIn, book, propose

    try:
        what = PaidIn(card_no, amount_fen, order_id, number)
        if proposed:
            proposal = propose(database, what, by, int(time.time()))
            fact = f"order {order_id}: a treasurer books {amount_fen} fen for card {card_no}"
            typer.echo(f"proposal {proposal}, {fact}")
            return
        booked = book(database, what, by, int(time.time()))
    except (NotAllowed, NotBooks, TopUpRefused, StoreUnavailable) as error:
        refuse(error)
    typer.echo(f"credit {booked}: {amount_fen} fen wait for card {card_no}")
