"""`onecard ledger decline`: the second person says no."""

import time
from enum import StrEnum
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, refuse


class Kind(StrEnum):
    """What can wait for a second signature: `ledger.declining.KINDS`."""

    OPERATOR = "operator"
    CASE = "case"
    TEMPORARY = "temporary"
    BATCH = "batch"
    SUBSIDY = "subsidy"
    REFUND = "refund"
    TOPUP = "topup"
    CODE = "code"


def ledger_decline(
    database: InputFile,
    kind: Annotated[Kind, typer.Argument(help="What it is.")],
    subject: Annotated[
        str,
        typer.Argument(help="A proposal's or application's number; the hash of a list."),
    ],
    mark: Annotated[
        str, typer.Option(help="Of what has a number: without it, the refusal shows both.")
    ] = "",
    *,
    because: Annotated[str, typer.Option(help="Why: whoever has made it sees it.")],
    by: Annotated[str, typer.Option("--by", help=f"Who says no. {LOGGED_IN}")] = "",
) -> None:
    """Decline in DATABASE (SQLite) what waits for a second signature, for good.

    For whoever would sign it second. What was declined is proposed, listed or applied for anew.
    """
    from ledger.card_status import CardRefused
    from ledger.corrections import CorrectionRefused
    from ledger.dialect import StoreUnavailable
    from ledger.marks import NoSubject, OtherMark
    from ledger.signatures import NotAllowed
    from tools.ledger_decline import decline
    from tools.ledger_forks import NotBooks

    what = kind.value, subject
    try:
        typer.echo(decline(database, what, mark, because, by, int(time.time())))
    except (
        CardRefused,
        CorrectionRefused,
        NoSubject,
        NotAllowed,
        NotBooks,
        OtherMark,
        StoreUnavailable,
    ) as error:
        refuse(error)
