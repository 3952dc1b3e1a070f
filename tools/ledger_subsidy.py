"""Books a batch of subsidies: `onecard ledger subsidy DATABASE FILE --batch`.

Each line is a top-up whose order number is the batch and the line, so a run that was broken off is
run again. The whole file is read before anything is booked; a line that the books refuse (a card
that was never issued, or replaced) is told and changes nothing.
"""

from pathlib import Path

from adapters.spreadsheet import SpreadsheetRefused, table
from ledger.topups import TopUpRefused
from protocols.rules.money import format_yuan, parse_yuan
from tools.session import signing

COLUMNS = {"card_no": "卡号", "amount": "金额"}
_BATCH_CHARS_MAX = 40


class BadBatch(Exception):
    """A batch that cannot be read; nothing was booked, and the text says which line is wrong."""


def book(path: Path, file: Path, batch: str, by: str = "", now_s: int = 0) -> tuple[str, int]:
    """What to say of it, and how many lines were refused.

    BadBatch, NotBooks, NotAllowed, StoreUnavailable.
    """
    if not 0 < len(batch) <= _BATCH_CHARS_MAX or not batch.isprintable() or "/" in batch:
        raise BadBatch(f"a batch has a name of 1 to {_BATCH_CHARS_MAX} characters without a /")
    lines = _lines(file)
    said, booked_fen, refused = [], 0, 0
    with signing(path, by, now_s) as (store, who):
        for number, card_no, amount_fen in lines:
            try:
                store.top_ups.top_up(
                    card_no, amount_fen, f"subsidy/{batch}/{number}", 0, who, now_s
                )
                booked_fen += amount_fen
            except TopUpRefused as refusal:
                refused += 1
                said.append(f"line {number}: {refusal}")
    said.append(
        f"batch {batch}: {len(lines) - refused} lines, {format_yuan(booked_fen)} yuan, are booked;"
        f" {refused} refused"
    )
    return "\n".join(said), refused


def _lines(file: Path) -> list[tuple[int, int, int]]:
    """(line, card_no, amount_fen) of each line behind the header."""
    try:
        rows = table(file.read_bytes(), COLUMNS)
    except (OSError, SpreadsheetRefused) as error:
        raise BadBatch(f"{file}: {error}") from error
    lines = []
    for number, (card, amount) in rows:
        amount_fen = parse_yuan(amount)
        if not (card.isascii() and card.isdigit()) or not amount_fen:
            raise BadBatch(f"{file}: line {number} is not a card number and an amount in yuan")
        lines.append((number, int(card), amount_fen))
    return lines
