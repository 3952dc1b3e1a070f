"""`onecard ledger payments`: what files to banks wait for after a restore, and how that ends."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from tools.cli_lives import By, ListFile, now_s, say, told
from tools.cli_options import InputFile, refuse

payments = typer.Typer(
    help="Files to banks after the books came back from a backup.", no_args_is_help=True
)


class KindOfPayment(StrEnum):
    """As ledger.payments.kinds has them."""

    REFUND = "refund"
    REMITTANCE = "remittance"


@payments.command("waiting")
def payments_waiting(database: InputFile) -> None:
    """Say what files to banks wait for in DATABASE; exit code 1 if they do."""
    from tools.ledger_payments import waiting

    told(lambda: waiting(database))


@payments.command("restored")
def payments_restored(database: InputFile, by: By = "") -> None:
    """Say that the books came back from a backup by other means than `onecard ledger restore`."""
    from tools.ledger_payments import restored

    _said(lambda: say(lambda: restored(database, by, now_s())))


@payments.command("note")
def payments_note(
    database: InputFile,
    file: ListFile,
    kind: Annotated[KindOfPayment, typer.Option(help="Whose payments they are.")],
    name: Annotated[str, typer.Option(help="The name that our file had: 2026-06-30.")],
    by: By = "",
) -> None:
    """Note what the bank has of a file that the books have lost; exit code 1 if some stay open.

    FILE has the columns of a file for the bank (payment,account_no,name,amount,purpose).
    """
    from tools.ledger_payments import note

    _said(lambda: told(lambda: note(database, kind.value, name, file, by, now_s())))


@payments.command("release")
def payments_release(
    database: InputFile,
    total: Annotated[
        str, typer.Option(help="What the bank has after the backup, by its statement, in yuan.")
    ],
    newest: Annotated[str, typer.Option(help="The newest file of ours that it has.")] = "",
    because: Annotated[
        str, typer.Option(help="Why what is not known again is let go, if anything is.")
    ] = "",
    by: By = "",
) -> None:
    """Say that the bank has no other payment of ours; two have to, a clerk first."""
    from tools.ledger_payments import release

    _said(lambda: say(lambda: release(database, newest, total, because, by, now_s())))


def _said(what: Callable[[], None]) -> None:
    from ledger.payments.reasons import PaymentRefused

    try:
        what()
    except PaymentRefused as error:
        refuse(error)
