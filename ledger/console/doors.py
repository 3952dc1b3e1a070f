"""Why does my door not open: a building's doors, and one door with its last taps (R8, R9, R23.3).

A door is known by its number, which stands on it, and its building. Who was at it is not told
here: of a tap only when and why. That is for whoever is appointed for the door; what the door
itself is doing is for whoever keeps doors.
"""

from dataclasses import dataclass

from ledger import card_status, card_validity, door_states, key_openings, people
from ledger.console.asked import LANGUAGES, Asked, Page, Refused, Shown
from ledger.console.door_words import CELLS_ADVICE, GRADES, STATES, why
from ledger.console.refusals import NOTHING_HERE, Words
from ledger.console.texts import Texts
from ledger.door_states import DoorState
from ledger.lifecycle import NO_CARD
from ledger.people import NO_HOLDER
from ledger.privacy import show_holder
from ledger.signatures import NotAllowed
from protocols.card.identity import Identity
from protocols.rules import access, reasons

VERBS = ("access.dorm", "access.public")
ROLES = (people.ENGINEER, people.HEAD)
COUNT, KEYS_SHOWN = 50, 5
NOT_IN_OFFICE, DOOR_REFUSES, BAD_TIMES = 795, 796, 797
DAY_S = 86_400
# Of a card whose days nobody has told, and a clock that is right.
_ALWAYS_VALID = (0, 0, 0xFFFF)
_NO_DOUBTS = {"clock_width_max_ms": 60_000, "map_expired_s": 0}
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"


@dataclass(frozen=True, slots=True)
class Why:
    """A reason in words, what to do, and its number (0: it has none)."""

    text: str
    advice: str
    number: int = 0


def column(asked: Asked) -> int:
    return LANGUAGES.index(asked.language)


def number_of(text: str) -> int | None:
    """A number that somebody has typed; None if that is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def door_of(asked: Asked) -> DoorState:
    """The door of the path. Refused: there is none."""
    number = number_of(asked.path["door"])
    found = door_states.of(asked.store.database, number) if number is not None else None
    if found is None:
        raise Refused(NOTHING_HERE)
    return found


def is_in_office(asked: Asked, door: DoorState) -> bool:
    """Whether whoever asks grants at this door."""
    office = door.site, door.scope, str(asked.person)
    return asked.may(f"access.{door.scope}") and asked.store.access.is_in_office(*office)


def show_doors(asked: Asked) -> Shown:
    """The buildings; the doors of one; or, of a number that was typed, that door."""
    database = asked.store.database
    typed = asked.query.get("door", "")
    number, site = number_of(typed), asked.query.get("site", "")
    behind = number_of(asked.query.get("behind", "")) or 0
    found: list[DoorState] = []
    one = door_states.of(database, number) if number is not None else None
    if one:  # who types a door wants that one
        return _door(asked, one)
    if site:
        found = door_states.at(database, site, COUNT + 1, behind)
    context = {
        "typed": typed,
        "site": site,
        "sites": door_states.sites(database),
        "doors": [(one, what(one, column(asked))) for one in found[:COUNT]],
        "next": found[COUNT - 1].device if len(found) > COUNT else 0,
    }
    return Shown("doors.html", context)


def show_door(asked: Asked) -> Shown:
    """A door: what it is doing, its last taps, and what can be done about it."""
    return _door(asked, door_of(asked))


def _door(asked: Asked, door: DoorState) -> Shown:
    database, at = asked.store.database, column(asked)
    is_mine = is_in_office(asked, door)
    card = asked.query.get("card", "")
    taps = door_states.taps(database, door.device) if is_mine else []
    context = {
        "door": door,
        "whys": whys(door, at),
        "state": STATES[door.state][0][at] if door.state else "",
        "grade": GRADES[door.grade][at] if door.grade is not None else "",
        "percent": percent(door),
        "is_mine": is_mine,
        "taps": [(one, Why(*why(one.reason, at))) for one in taps],
        "card": card,
        "answer": check(asked, door, card) if is_mine and card else None,
        "keys": key_openings.of(database, door.device, KEYS_SHOWN) if is_mine else [],
        "day": asked.today(),
    }
    return Shown("door.html", context)


def percent(door: DoorState) -> int | None:
    """What is left of the voltage of its cells; None: it has said nothing of them."""
    if door.battery_mv is None:
        return None
    return door_states.percent_left(door.battery_mv)


def what(door: DoorState, at: int) -> str:
    """A door in a few words."""
    return STATES[door.state][0][at] if door.state else ""


def whys(door: DoorState, at: int) -> list[Why]:
    """What of the door itself keeps it from opening, or from being shut."""
    found = []
    if door.grade:
        left = percent(door)
        said = GRADES[door.grade][at] + (f" · {left} %" if left is not None else "")
        about = ("电量", "cells: ")[at]
        number = reasons.BATTERY_EMPTY if door.grade > 1 else 0
        found.append(Why(about + said, CELLS_ADVICE[door.grade][at], number))
    if door.state and STATES[door.state][1][at]:
        text, advice = STATES[door.state]
        found.append(Why(text[at], advice[at]))
    if not door.is_told:
        text = ("最近的授权变更还没有到锁上", "the newest rights have not reached this lock")
        advice = (
            "带手持机去一次，或请住户在联网门先刷一次卡再来。",
            "Take the handheld there, or let a holder tap a door with a network first.",
        )
        found.append(Why(text[at], advice[at]))
    return found


def check(asked: Asked, door: DoorState, typed: str) -> tuple[str, Why]:
    """(whose card, masked; what the books say of it at this door now)."""
    at, card_no = column(asked), number_of(typed)
    database = asked.store.database
    if card_no is None or not list(database.rows(_IS_ISSUED, (card_no,))):
        text = ("账簿里没有这个卡号", "no card of this number")
        return "", Why(text[at], ("请核对卡号。", "Check the number.")[at], NO_CARD)
    try:
        whose = show_holder(database, card_no).person_no
    except NotAllowed as error:
        assert error.reason == NO_HOLDER
        whose = ""
    reason = would_be(asked, door, card_no)
    if reason:
        return whose, Why(*why(reason, at))
    text = ("此卡现在可以开这扇门", "this card may open this door now")
    if not door.is_told:
        return whose, whys(door, at)[-1]
    return whose, Why(text[at], ("请再刷一次。", "Tap again.")[at])


def would_be(asked: Asked, door: DoorState, card_no: int) -> int:
    """The reason with which the door would refuse this card now (0: it opens), by its own rule."""
    database = asked.store.database
    valid = card_validity.of(database, card_no)
    days = (valid.kind, valid.valid_from, valid.valid_to) if valid else _ALWAYS_VALID
    rights = access.whole(asked.store.access.access_map(door.device))
    now_ms = (asked.now_s * 1000, asked.now_s * 1000)
    policy = {"utc_offset_s": asked.settings.school_offset_s} | _NO_DOUBTS
    status = card_status.standing(database, card_no)[0]
    return rights.decide(Identity(card_no, *days, 0), now_ms, policy, 0, status)


def whole_day_s(asked: Asked, day: int) -> int:
    """The end of a day at the school, in seconds since 1970."""
    return (day + 1) * DAY_S - asked.settings.school_offset_s


PAGES = (
    Page(
        "/doors",
        ("门打不开", "Doors"),
        show_doors,
        VERBS,
        ROLES,
        menu="menu_doors",
        access_key="d",
    ),
    Page("/doors/{door}", ("门", "Door"), show_door, VERBS, ROLES),
)
REASONS = {
    NOT_IN_OFFICE: Words(
        ("您没有被指定管这扇门", "you are not appointed for this door"),
        ("请部门负责人指定（R8.2、R9.2），或请管这扇门的人办。",
         "The head of the department appoints (R8.2, R9.2), or ask who keeps this door."),
        403,
    ),
    DOOR_REFUSES: Words(
        ("这扇门不能这样授权", "this door cannot hold that"),
        ("没有任何改动。请看下面的原因，或请图书信息中心处理。",
         "Nothing was changed. The line below says why."),
    ),
    BAD_TIMES: Words(
        ("时间填得不对", "these times cannot be"),
        ("截止日要在今天或以后；查询最多 31 天，先早后晚。没有任何改动。",
         "A last day is today or later; a question is about 31 days at most, from and then to."),
        422,
    ),
}  # fmt: skip
TEXTS: Texts = {
    "door": ("门", "Door"),
    "door_no": ("门号", "Door number"),
    "door_find": ("查门", "Find the door"),
    "door_none": ("没有这个门号。", "There is no door of this number."),
    "building": ("楼栋", "Building"),
    "buildings": ("楼栋", "Buildings"),
    "door_does": ("门现在", "The door now"),
    "door_never": ("这扇门还没有说过话。", "This door has said nothing yet."),
    "door_said": ("它最后一次这样说", "It said so at"),
    "heard": ("最后收到", "Heard last"),
    "never": ("从来没有", "never"),
    "cells": ("电量", "Cells"),
    "cells_hint": ("按电压算，不是准确的剩余电量", "by voltage, no measure of charge"),
    "door_fine": ("门本身没有问题。", "The door itself is in order."),
    "last_taps": ("最近刷卡（不显示是谁）", "Last taps (not whose)"),
    "taps_none": ("最近没有人刷卡。", "Nobody has tapped lately."),
    "not_mine": (
        "刷卡记录和授权只给指定管这扇门的人看（R8.2、R9.2）。",
        "Taps and rights are for whoever is appointed for this door (R8.2, R9.2).",
    ),
    "door_when": ("时间", "When"),
    "door_why": ("原因", "Why"),
    "door_card": ("卡号", "Card number"),
    "card_check": ("这张卡能开吗", "May this card open it?"),
    "whose": ("持卡人", "Holder"),
    "key_log": ("钥匙开门记录", "Opened with a key"),
    "by_whom": ("谁", "Who"),
}
