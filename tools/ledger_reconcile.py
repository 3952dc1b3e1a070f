"""Cards against books: `onecard ledger reconcile DATABASE [--card N] [--json]`.

The books are opened for reading only, so it may run beside the ledger, and on a backup.
"""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from ledger.reconcile import CardBalance, Verdict, reconcile
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened

ALL_FIT, SOME_DO_NOT = 0, 1
_COLUMNS = ("card", "holds", "books owe", "waits", "missing", "verdict")
_ROW = "{:>10}  {:>19}  {:>10}  {:>10}  {:>7}  {}"


def find(path: Path, card_no: int | None) -> list[CardBalance]:
    """Each issued card that was seen, or one; NotBooks."""
    with opened(path) as store:
        return list(reconcile(store, card_no))


def is_wrong(balance: CardBalance) -> bool:
    """Whether it is more than what is on its way."""
    return balance.verdict in (Verdict.IMBALANCE, Verdict.COPIED)


def to_json(found: list[CardBalance]) -> str:
    """As one JSON array of objects; money in fen."""
    return json.dumps([asdict(balance) for balance in found], indent=2)


def to_text(found: list[CardBalance]) -> str:
    """For people: the cards that are not equal, and how many are what."""
    lines = [_ROW.format(*_COLUMNS)]
    for balance in found:
        if balance.verdict is not Verdict.EQUAL:
            lines.append(_line(balance))
            lines += [
                f"{'':>12}record {one.device}/{one.seq}: {one.off_fen:+} fen"
                for one in balance.imbalances
            ]
    lines = lines if len(lines) > 1 else []
    counts = Counter(balance.verdict for balance in found)
    lines.append(", ".join(f"{verdict}: {counts[verdict]}" for verdict in Verdict))
    return "\n".join(lines)


def _line(balance: CardBalance) -> str:
    holds = format_yuan(balance.low_fen)
    if balance.low_fen != balance.high_fen:
        holds += f" to {format_yuan(balance.high_fen)}"
    money = map(format_yuan, (balance.ledger_fen, balance.waiting_fen))
    return _ROW.format(balance.card_no, holds, *money, balance.missing, balance.verdict)
