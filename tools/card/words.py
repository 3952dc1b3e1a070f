"""What identity and purse say, whatever card they are on, as data for people and for JSON."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from protocols.card.purse import CARD_CENTRE, PurseState
from protocols.rules.spending import STAFF, STUDENT, TEMPORARY

KINDS = {"staff": STAFF, "student": STUDENT, "temporary": TEMPORARY}
EPOCH = date(1970, 1, 1)
BLANK, IS_OURS, HALF_DONE, DAMAGED = "blank", "ours", "half personalised", "ours, damaged"
OPEN_TO_ALL, FOREIGN, UNKNOWN = "open to everybody", "foreign", "not ours to tell without keys"


def nothing(belongs: str, **more: Any) -> dict[str, Any]:
    """What is said of a card of which nothing is known but to whom it belongs."""
    none = dict.fromkeys(("identity", "purse"))
    return {"belongs": belongs, "trouble": "", **none, "last_records": [], **more}


def identity_words(identity: Any) -> dict[str, Any]:
    """An Identity, or a PurseView, which has the same fields."""
    names = {number: name for name, number in KINDS.items()}
    return {
        "card_no": identity.card_no,
        "kind": names.get(identity.kind, str(identity.kind)),
        "valid_from": _day(identity.valid_from),
        "valid_to": _day(identity.valid_to),
        "key_version": identity.key_version,
    }


def _day(days: int) -> str:
    return (EPOCH + timedelta(days=days)).isoformat()


def purse_words(view: Any) -> dict[str, Any]:
    """The purse of a PurseView."""
    names = ("balance_fen", "counter", "day_total_fen", "since_pin_fen", "since_pin_count")
    return {name: getattr(view, name) for name in (*names, "pin_tries", "period_use")} | {
        "day": _day(view.day) if view.day else None
    }


def record_words(states: Iterable[PurseState]) -> list[dict[str, Any]]:
    """The records that stand on a card with its states, the newest first; amount 0: a PIN try."""
    newest_first = sorted(states, key=lambda state: -state.counter)
    return [
        {
            "device": "card centre" if state.last_device == CARD_CENTRE else state.last_device,
            "seq": state.last_seq,
            "amount_fen": state.last_amount_fen,
            "time": datetime.fromtimestamp(state.last_time_s, UTC).isoformat(),
        }
        for state in newest_first
        if state.last_device
    ]
