"""Who may use a card: `onecard ledger card VERB DATABASE --card`; verbs are those of the books.

May run beside the ledger, which looks once a second whether a card has changed, and says so.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ledger.card_status import NAMES
from ledger.carry_over import AFTER_S
from ledger.lifecycle import Act
from ledger.steady_clock import ahead_s
from ledger.store import LedgerStore
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened
from tools.session import signing, written

_HOUR_S = 3600
_HEARD_S = 60


def set_status(
    path: Path, verb: str, card_no: int, act: tuple[str, str, str, str], now_s: int
) -> str:
    """What the card is now; `act`: role, channel, evidence, by whom it is entered.

    NotBooks for another file, CardRefused, StoreUnavailable.
    """
    role, channel, evidence, by = act
    with signing(path, by, now_s) as (store, who):
        store.cards.set(verb, card_no, now_s, evidence, Act(role, channel, person=who))
        return f"card {card_no} is {store.cards.state(card_no)}"


def replace(
    path: Path, verb: str, cards: tuple[int, int], evidence: str, by: str, now_s: int
) -> str:
    """Put another card in the place of a lost one (reissue) or one that was handed in (swap).

    NotBooks, CardRefused, StoreUnavailable.
    """
    old_card, new_card = cards
    with signing(path, by, now_s) as (store, who):
        act = store.reissues.reissue if verb == "reissue" else store.reissues.swap
        act(old_card, new_card, now_s, evidence, Act(person=who))
    return f"card {new_card} is in the place of card {old_card}, which is closed"


def sweep(path: Path, after_h: int | None, now_s: int) -> str:
    """Send on what is due for every card in the place of another. NotBooks, StoreUnavailable."""
    with written(path) as store:
        lines = said_ahead(store, now_s, _after_s(after_h))
        loads = store.carry_overs.sweep(now_s, _after_s(after_h))
    lines += [
        f"credit {load.number}: {load.amount_fen} fen wait for card {load.card_no}"
        for load in loads
    ]
    return "\n".join(lines if loads else [*lines, "nothing is due"])


def said_ahead(store: LedgerStore, now_s: int, after_s: int) -> list[str]:
    """What to say where the wall is ahead of the ledger's clock; nothing of a few seconds."""
    ahead = ahead_s(store.database, now_s, after_s)
    if ahead < _HEARD_S:
        return []
    hours, rest_s = divmod(ahead, _HOUR_S)
    by = f"{hours} h {rest_s // 60} min"
    return [f"the clock here is {by} ahead of the ledger's own, which is the one that counts"]


def show(path: Path, card_no: int, after_h: int | None = None) -> str:
    """What the card is, a line for each change, and what is frozen. NotBooks for another file."""
    with opened(path) as store:
        lines = [f"card {card_no}: {store.cards.state(card_no)}"]
        for epoch, status, time_s, cause, evidence in store.cards.history(card_no):
            shown = f" ({evidence})" if evidence else ""
            lines.append(f"  epoch {epoch}, {_time(time_s)}: {cause}{shown}, {NAMES[status]}")
        successor = store.reissues.successor(card_no)
        if successor is not None:
            lines.append(f"  card {successor} is in its place")
        lines += _frozen(store, card_no, _after_s(after_h))
        lines += [
            f"  credit {number} was carried over while a spend may have been missing"
            for number in store.carry_overs.unproven(card_no)
        ]
    return "\n".join(lines)


def _frozen(store: LedgerStore, card_no: int, after_s: int) -> Iterator[str]:
    """What has not gone on yet from cards that the last in the place of `card_no` is behind."""
    for one in store.carry_overs.frozen(store.reissues.heir(card_no), after_s):
        yield (
            f"  of card {one.old_card} for card {one.heir}: {format_yuan(one.amount_fen)} frozen,"
            f" carried over from {_time(one.due_s)} on; {format_yuan(one.waiting_fen)} at once"
        )


def _after_s(after_h: int | None) -> int:
    return AFTER_S if after_h is None else after_h * _HOUR_S


def _time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
