"""What a warden or guard does at a door: give or take a right, log a key, ask who was there.

Each is an act of ledger/people.py, and takes somebody who is appointed for that door (R8.2, R9.2).
Who was there is told once, behind the purpose that stands in the books by then (ADR 53).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ledger import door_log, key_openings
from ledger.access import AccessRefused
from ledger.console.asked import Asked, Page, Refused, Shown
from ledger.console.door_words import why
from ledger.console.doors import (
    BAD_TIMES,
    DAY_S,
    DOOR_REFUSES,
    NOT_IN_OFFICE,
    VERBS,
    Why,
    column,
    door_of,
    is_in_office,
    number_of,
    whole_day_s,
)
from ledger.console.refusals import BAD_FIELDS
from ledger.console.texts import Texts
from ledger.door_states import DoorState
from ledger.lifecycle import NO_CARD
from ledger.people import NO_REASON_GIVEN
from ledger.privacy import masked
from ledger.signatures import NotAllowed

GROUP = 1  # of a single room: always, until somebody says other hours
SHOWN_MAX = 500
_MINUTE = "%Y-%m-%dT%H:%M"
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"


@dataclass(frozen=True, slots=True)
class Line:
    """Somebody at a door; `person_no` masked unless it was asked for whole."""

    earliest_s: int
    latest_s: int
    card_no: int
    person_no: str
    why: Why


def _show(act: str) -> Callable[[Asked], Shown]:
    """What shows the form of one of these pages alone."""

    def show(asked: Asked) -> Shown:
        return Shown("door_act.html", _form(asked, door_of(asked)) | {"act": act})

    return show


def give(asked: Asked) -> str:
    """A card may open the door, until the end of a day or without one."""
    door, card_no = _mine(asked), _card(asked)
    until = asked.fields.get("until", "").strip()
    until_s = whole_day_s(asked, _day(until)) if until else None
    if until_s is not None and until_s <= asked.now_s:
        raise Refused(BAD_TIMES, until)
    _grant(asked, door, card_no, GROUP, until_s)
    return f"/doors/{door.device}?card={card_no}&done=given"


def take(asked: Asked) -> str:
    """A card opens the door no more."""
    door, card_no = _mine(asked), _card(asked)
    _grant(asked, door, card_no, 0, None)
    return f"/doors/{door.device}?card={card_no}&done=taken"


def log_key(asked: Asked) -> str:
    """Whoever has logged in has opened the door with a key."""
    door = _mine(asked)
    because = asked.fields.get("because", "").strip()
    try:
        key_openings.enter(asked.store.database, door.device, because, asked.person, asked.now_s)
    except AccessRefused as error:
        raise Refused(DOOR_REFUSES, str(error)) from None
    return f"/doors/{door.device}?done=key"


def ask(asked: Asked) -> Shown:
    """Who was at the door between two times; the question is in the books first."""
    door = _mine(asked)
    purpose = asked.fields.get("purpose", "").strip()
    if not purpose:
        raise NotAllowed(NO_REASON_GIVEN)
    span_s = _time_s(asked, "from"), _time_s(asked, "to")
    if not 0 <= span_s[0] < span_s[1] <= span_s[0] + door_log.MONTH_S:
        raise Refused(BAD_TIMES)
    log = door_log.DoorLog(asked.store.database)
    try:
        found = log.ask(door.device, span_s, purpose, asked.person, asked.now_s)
    except AccessRefused as error:
        raise Refused(DOOR_REFUSES, str(error)) from None
    is_whole = asked.fields.get("whole") == "1"
    lines = [_line(asked, each, is_whole) for each in found[:SHOWN_MAX]]
    context = _form(asked, door) | {"lines": lines, "count": len(found), "shown_max": SHOWN_MAX}
    return Shown("door_who.html", context)


def _line(asked: Asked, one: door_log.Entry, is_whole: bool) -> Line:
    text = one.person_no if is_whole else masked(one.person_no)
    said = Why(*why(one.reason, column(asked)))
    return Line(one.earliest_s, one.latest_s, one.card_no, text, said)


def _form(asked: Asked, door: DoorState) -> dict[str, object]:
    local_s = asked.now_s + asked.settings.school_offset_s
    since, now = (datetime.fromtimestamp(at_s, UTC) for at_s in (local_s - DAY_S, local_s))
    return {
        "door": door,
        "is_mine": is_in_office(asked, door),
        "day": asked.today(),
        "from": asked.fields.get("from") or since.strftime(_MINUTE),
        "to": asked.fields.get("to") or now.strftime(_MINUTE),
    }


def _mine(asked: Asked) -> DoorState:
    """The door of the path, which whoever asks keeps. Refused, before anything is done."""
    door = door_of(asked)
    if not is_in_office(asked, door):
        raise Refused(NOT_IN_OFFICE)
    return door


def _card(asked: Asked) -> int:
    """The card that was typed. Refused: there is none."""
    card_no = number_of(asked.fields.get("card_no", ""))
    if card_no is None:
        raise Refused(BAD_FIELDS)
    if not list(asked.store.database.rows(_IS_ISSUED, (card_no,))):
        raise Refused(NO_CARD)
    return card_no


def _grant(asked: Asked, door: DoorState, card_no: int, group: int, until_s: int | None) -> None:
    said = door.device, card_no, 1, group, asked.person, asked.now_s, until_s
    try:
        asked.store.access.grant(*said)
    except AccessRefused as error:
        raise Refused(DOOR_REFUSES, str(error)) from None


def _day(text: str) -> int:
    """2026-11-27 in days since 1970. Refused."""
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_DAY
    except ValueError:
        raise Refused(BAD_TIMES) from None


def _time_s(asked: Asked, name: str) -> int:
    """A field such as 2026-11-27T08:00, where the school is, in seconds since 1970. Refused."""
    try:
        local = datetime.fromisoformat(asked.fields.get(name, "").strip())
    except ValueError:
        raise Refused(BAD_TIMES) from None
    day = local.toordinal() - _EPOCH_DAY
    of_day_s = (local.hour * 60 + local.minute) * 60 + local.second
    return day * DAY_S + of_day_s - asked.settings.school_offset_s


PAGES = (
    Page("/doors/{door}/give", ("授权", "Give a right"), _show("give"), VERBS, do=give),
    Page("/doors/{door}/take", ("收回授权", "Take a right"), _show("take"), VERBS, do=take),
    Page("/doors/{door}/key", ("记一次钥匙开门", "Log a key"), _show("key"), VERBS, do=log_key),
    Page(
        "/doors/{door}/who",
        ("谁开过这扇门", "Who was at the door"),
        _show("who"),
        VERBS,
        do=ask,
        is_once=False,
    ),
)
TEXTS: Texts = {
    "rights": ("授权", "Rights"),
    "until_day": ("到哪一天（含当天；空着是长期）", "Last day, all of it; empty: without end"),
    "give": ("授权", "Give"),
    "take": ("收回", "Take"),
    "key_why": ("为什么用钥匙（如：电量耗尽）", "Why with the key (such as: cells empty)"),
    "key_do": ("记下", "Log it"),
    "who_was": ("谁开过这扇门", "Who was at this door"),
    "from": ("从", "From"),
    "to": ("到", "To"),
    "purpose": ("用途（会记入账簿）", "Purpose (it is kept in the books)"),
    "whole_numbers": ("显示完整学工号", "Whole personal numbers"),
    "who_ask": ("查询并留痕", "Ask, and be noted"),
    "who_none": ("这段时间没有记录。", "Nobody, as far as is booked."),
    "who_noted": ("这次查询和用途已记入账簿。", "This question and its purpose are noted."),
    "who_more": ("只显示前几行，共：", "The first lines only, of:"),
    "done_given": ("已授权", "The right is given"),
    "done_taken": ("已收回", "The right is taken back"),
    "done_key": ("已记下钥匙开门", "The opening is logged"),
}
