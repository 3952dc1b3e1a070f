"""`onecard sim torture --exhaustive tap`: one spend, everything that may strike it, the re-tap.

A unit is one case, and its name says all of it, so that a name from a report plays the case again
whatever has become of the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, dataclass, fields
from itertools import chain, islice
from typing import Any

from simulator.chips.nor_flash import ERASE_CUTS
from simulator.torture.result import Result
from simulator.torture.tap_blows import (
    BYTE,
    CARD_OUTCOMES,
    LATE,
    POWER_OUTCOMES,
    TORN,
    TORN_BLOCKS,
    FlashCut,
    RfBlow,
)
from simulator.torture.tap_case import Case, play
from simulator.torture.tap_plan import PARTS
from simulator.torture.tap_start import STARTS
from simulator.torture.tap_window import CARD, CLASSIC, DESFIRE, REGISTER


@dataclass(frozen=True)
class TapUnit:
    """One case by its name, for example `start=fresh,rf=30.leaves-during.mixed,stays`."""

    name: str

    @property
    def replay(self) -> str:
        """The command that plays this case again."""
        return f"onecard sim torture --exhaustive tap --seed {self.name}"


def units(
    parts: Iterable[str] = tuple(PARTS), every: int = 1, chip: str = CLASSIC
) -> Iterator[TapUnit]:
    """All cases of these parts of the plan (tap_plan.PARTS), or one out of `every` so many."""
    for part in parts:
        for case in islice(PARTS[part](chip), 0, None, every):
            yield TapUnit(name_of(case))


def run_unit(unit: TapUnit) -> Result:
    """Play one case to all its ends."""
    case = case_of(unit.name)
    ending = play(case)
    result = Result(events=ending.events, unresolved=ending.unresolved)
    result.virtual_s = ending.virtual_s
    result.violations = [f"{unit.replay}: {what}" for what in ending.wrong]
    if ending.unresolved:
        result.violations.append(f"{unit.replay}: {ending.unresolved} unresolved after the re-tap")
    for mark in (*ending.struck, *ending.met):
        result.fired(mark)
    if sum(mark.startswith(("RF frame", "power cut")) for mark in ending.struck) == case.blows:
        result.cut_points = 1
    else:
        result.fired("never came")
    return result


def name_of(case: Case) -> str:
    """All that is unusual about a case, in one word that needs no quotes in a shell."""
    words = []
    for one in fields(Case):
        value = getattr(case, one.name)
        if one.default is MISSING or value != one.default:
            words.append(one.name if value is True else f"{one.name}={_text_of(value)}")
    return ",".join(words).replace(" ", "-")


def case_of(name: str) -> Case:
    """The case of a name; ValueError if it is none."""
    values: dict[str, Any] = {}
    try:
        for word in name.split(","):
            field_name, equals, text = word.partition("=")
            values[field_name] = _READ[field_name](text) if equals else _FLAGS[field_name]
        return Case(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name!r} names no case") from error


def _text_of(value: object) -> str:
    if isinstance(value, RfBlow):
        return f"{value.frame}.{value.outcome}.{value.torn}"
    if isinstance(value, FlashCut):
        return f"{value.write}.{value.at}.{value.how}"
    return str(value)


def _by_slug(*texts: str) -> dict[str, str]:
    return {text.replace(" ", "-"): text for text in texts}


_STARTS = _by_slug(*STARTS)
_OUTCOMES = _by_slug(*CARD_OUTCOMES, *POWER_OUTCOMES)
_TORN_BLOCKS = _by_slug(*chain.from_iterable(TORN_BLOCKS.values()))
_HOW = _by_slug(BYTE, TORN, LATE, *ERASE_CUTS)
_DEPTHS = _by_slug(CARD, REGISTER)
_CHIPS = _by_slug(CLASSIC, DESFIRE)


def _rf_blow(text: str) -> RfBlow:
    frame, outcome, torn = text.split(".")
    return RfBlow(int(frame), _OUTCOMES[outcome], _TORN_BLOCKS[torn])


def _flash_cut(text: str) -> FlashCut:
    write, at, how = text.split(".")
    return FlashCut(int(write), int(at), _HOW[how])


_FLAGS = {"is_again_away": True, "stays": True}
_READ: dict[str, Callable[[str], object]] = {
    "start": _STARTS.__getitem__,
    "rf": _rf_blow,
    "cut": _flash_cut,
    "boot": _flash_cut,
    "rf_again": _rf_blow,
    "cut_again": _flash_cut,
    "seed": int,
    "depth": _DEPTHS.__getitem__,
    "chip": _CHIPS.__getitem__,
}
