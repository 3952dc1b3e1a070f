"""`onecard ledger merchant`: from the application to the end, withheld cards, questions."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_dossier import (
    As,
    By,
    MerchantNo,
    Number,
    Records,
    Ref,
    Said,
    UtcOffset,
    add_steps,
    apply_as,
    now_s,
    tell,
)
from tools.cli_options import InputFile

merchant = typer.Typer(
    help="Merchants: how one becomes one, what one answers for, how one ends (R16, R19).",
    no_args_is_help=True,
)
merchant.command("apply", help="Note a form of annex 2 of who wants to become a merchant.")(
    apply_as("merchant")
)
add_steps(merchant, ("merchant", "capture", "question", "closing"))


@merchant.command("withhold")
def merchant_withhold(
    database: InputFile,
    record: Annotated[str, typer.Option(help="The CAPTURE record, such as 1001/17.")],
    by: By = "",
) -> None:
    """Say who has a withheld card in hand; from there it goes from hand to hand (R19.4)."""
    from tools.ledger_dossier import withhold

    tell(lambda: withhold(database, record, by, now_s()))


@merchant.command("ask")
def merchant_ask(
    database: InputFile,
    ref: Ref,
    merchant_no: MerchantNo,
    records: Records,
    said: Said,
    by: By = "",
) -> None:
    """Ask a merchant about spends that are booked for him (R19.1)."""
    from tools.ledger_dossier import question

    tell(lambda: question(database, ref, merchant_no, records, said, by, now_s()))


@merchant.command("ask-found")
def merchant_ask_found(
    database: InputFile,
    limit_fen: Annotated[int, typer.Option(min=1, help="Above that a purchase takes the PIN.")],
    by: By = "",
    window_s: Annotated[
        int | None, typer.Option(min=1, help="What belongs to one purchase; else as `splits`.")
    ] = None,
) -> None:
    """Ask about each split charge that is sure and each velocity finding in DATABASE, once."""
    from tools.ledger_dossier import question_all

    tell(lambda: question_all(database, limit_fen, window_s, by, now_s()))


@merchant.command("leave")
def merchant_leave(
    database: InputFile, ref: Ref, merchant_no: MerchantNo, role: As, said: Said, by: By
) -> None:
    """Begin a merchant's end: he leaves, or as another role: he is thrown out (R16, R22).

    `show` says what is still open; then `say` settle and, by another person, close.
    """
    from ledger.procedures import Act
    from tools.ledger_dossier import leave

    act = Act(role.value, by, said=said)
    tell(lambda: leave(database, ref, merchant_no, act, now_s()))


@merchant.command("statement")
def merchant_statement(
    database: InputFile,
    number: Number,
    out: Annotated[Path, typer.Option(help="The page (HTML), for its owner alone.")],
    school: Annotated[str, typer.Option(help="What stands before the title.")] = "",
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Write the statement of a merchant's end, as it was settled, to print and to sign."""
    from tools.closing_sheet import write

    tell(lambda: write(database, number, out, school, utc_offset_s))
