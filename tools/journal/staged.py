"""A field journal as a scenario: the same reader, the same customers at the same times.

What a journal does not say is not made up: such a visit is left out, with the reason. What a card
did elsewhere in between is let happen at another POS, so that it comes back as the field saw it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from protocols.rules import clock, reasons
from protocols.rules.money import format_yuan
from protocols.rules.spending import POLICY_DEFAULTS, POLICY_FIELDS
from protocols.wire import messages
from tools.journal.left_out import LEFT_OUT
from tools.journal.visits import Record, Visit, known_times, visits_of

POS, AWAY = "pos", "elsewhere"
PIN, WRONG_PIN = "246810", "135790"
_WARM_UP_S = 90.0  # from the reader's first start until it is online and knows the time
_SERVING_S = 1.9  # from a customer's turn until the reader has decided
_OFF_S, _BEFORE_S = 2.0, 5.0
_AMPLE_FEN = 100_000
_FIRST_NO = 20_001
# Refusals that follow from settings, clock, and what this reader has seen of the card.
_FOLLOWS = frozenset(
    {
        reasons.BALANCE_SHORT,
        reasons.OVER_SPEND_LIMIT,
        reasons.PIN_NEEDED,
        reasons.OVER_DAY_LIMIT,
        reasons.OVER_OFFLINE_LIMIT,
        reasons.PIN_WRONG,
        reasons.IDENTITY_CHECK,
        reasons.NO_PIN_SET,
        reasons.OVER_READER_LIMIT,
        reasons.OFFLINE_TOO_LONG,
        reasons.NOT_YET_VALID,
        reasons.EXPIRED,
    }
)
_WITHOUT_NETWORK = frozenset(
    {reasons.OVER_OFFLINE_LIMIT, reasons.OVER_READER_LIMIT, reasons.OFFLINE_TOO_LONG}
)
# What is looked at behind the limits without network (protocols/rules/spending.py).
_BEHIND_LIMITS = frozenset(
    {reasons.OVER_DAY_LIMIT, reasons.BALANCE_SHORT, reasons.PIN_NEEDED, reasons.NO_PIN_SET}
)
_VALID_DAYS = (-300, 700)
_U32 = 0xFFFFFFFF


class NotStaged(Exception):
    """This journal cannot be replayed; the text says why."""


@dataclass(frozen=True)
class Kind:
    """The reader as it was set up: `policy` by name, whether it loads cards, hangs on a line."""

    device: int
    site: str
    merchant_no: int
    policy: Mapping[str, int]
    loads: bool = False
    has_line: bool = False


@dataclass
class Staged:
    """A scenario's text, the visits that it has, and those that it has not, each with why."""

    text: str
    visits: list[Visit]
    left_out: list[tuple[Visit, str, dict[str, Any]]]
    assumed: int  # what the cards did elsewhere, and what is assumed of them
    numbers: dict[int, int]  # of each card in the field, and in the text, which nobody is known by


def kind_of(settings: Mapping[str, Any], program: str | None) -> Kind:
    """Of what a board has said of itself (onecard journal pull). NotStaged."""
    if program is not None and program not in ("main", "main_tls", "main_serial", "main_update"):
        raise NotStaged(f"its program is {program}: only a POS for cards can be replayed")
    policy = settings["policy"]
    if isinstance(policy, list):
        policy = dict(zip(POLICY_FIELDS, policy, strict=False))
    if not isinstance(policy, Mapping):
        raise NotStaged("its policy is none")
    said = {**POLICY_DEFAULTS, **policy}
    missing = [name for name in POLICY_FIELDS if name not in said]
    if missing:
        raise NotStaged(f"its policy lacks {missing[0]}")
    policy = {name: _whole(name, said[name]) for name in POLICY_FIELDS}
    return Kind(
        settings["device"],
        str(settings.get("site", "canteen-1")),
        _whole("merchant_no", settings["merchant_no"]),
        policy,
        bool(settings.get("load_cards")),
        program == "main_serial",
    )


def _whole(name: str, value: object) -> int:
    if type(value) is not int or abs(value) > _U32:
        raise NotStaged(f"its {name} is no number")
    return value


def staged(records: list[Record], kind: Kind) -> Staged:
    """The scenario of a journal's records (oldest first). NotStaged: there is nothing to play."""
    began_s = known_times(records, kind.policy["clock_width_max_ms"])
    visits = visits_of(records, began_s)
    if not visits:
        raise NotStaged("no customer with a card, at a time that the reader knew")
    stage = _Stage(kind, visits[0].at_s)
    lost = dict.fromkeys((one["boot_id"] for one in records if one["boot_id"] not in began_s), 0.0)
    stage.left_out += [(visit, "clock", {}) for visit in visits_of(records, lost)]
    lives = _lives(records, began_s)
    stage.power(lives, records, began_s)
    stage.network(visits, [first_s for first_s, _last_s in lives])
    for at, visit in enumerate(visits):
        stage.play(visit, visits[at + 1 :])
    if not stage.visits:
        raise NotStaged("nothing of it can be played again: " + _why(stage))
    return Staged(stage.text(), stage.visits, stage.left_out, stage.assumed, stage.numbers)


@dataclass
class _Card:
    """A card as it is at this point of the play."""

    balance_fen: int
    day: int = -1
    day_total_fen: int = 0
    days: tuple[int, int] = _VALID_DAYS
    has_pin: bool = True
    chip: str = "classic"
    first_fen: int = 0


@dataclass
class _Stage:
    kind: Kind
    first_s: float
    visits: list[Visit] = field(default_factory=list)
    left_out: list[tuple[Visit, str, dict[str, Any]]] = field(default_factory=list)
    assumed: int = 0
    _steps: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    _cards: dict[int, _Card] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[int, int]:
        """Of the cards, in the order in which they came first."""
        return {card_no: _FIRST_NO + at for at, card_no in enumerate(self._cards)}

    @property
    def start_s(self) -> int:
        return int(self.first_s - _WARM_UP_S)

    # -- power and network ------------------------------------------------------------------

    def power(
        self, lives: list[tuple[float, float]], records: list[Record], began_s: dict[int, float]
    ) -> None:
        """Each later start of the reader, and what it has told of the mains."""
        for (_, ended_s), (next_s, _) in pairwise(lives):
            if next_s > self.start_s:
                off_s = max(next_s - _OFF_S, min(ended_s + 0.5, next_s - 1))
                self._step(off_s, do="kill", reader=POS)
                self._step(next_s, do="revive", reader=POS)
        for one in records:
            if one["kind"] == messages.POWER and one["boot_id"] in began_s:
                verb = "cut" if one["source"] == messages.BATTERY else "plug"
                at_s = began_s[one["boot_id"]] + one["mono_ms"] / 1000
                if at_s > self.start_s:
                    self._step(at_s, do=verb, what="mains")

    def network(self, visits: list[Visit], starts_s: list[float]) -> None:
        """Cut and plugged behind the customer before the one who is the first to meet it.

        Behind a start of the reader, if there was one in between.
        """
        is_off, before_s = False, float(self.start_s)
        for visit in visits:
            is_dark = _is_dark(visit, self.kind.policy["offline_max_fen"])
            if is_dark is not None and is_dark != is_off:
                before_s = max([before_s, *(one for one in starts_s if one < visit.at_s)])
                at_s = max(min(before_s + _BEFORE_S, visit.at_s - 2), self.start_s + 1.0)
                verb = "cut" if is_dark else "plug"
                self._step(at_s, do=verb, what="reader-network", reader=POS)
                is_off = is_dark
            before_s = visit.at_s

    # -- customers --------------------------------------------------------------------------

    def play(self, visit: Visit, later: list[Visit]) -> None:
        """Let a customer come as in the field, or leave the visit out."""
        card = self._cards.get(visit.card_no) or self._new(visit, later)
        why, facts = self._bar(visit, card)
        if why:
            self.left_out.append((visit, why, facts))
            return
        self._cards[visit.card_no] = card
        self._bring_to(visit, card, later)
        steps: dict[str, Any] = {"do": "tap", "card": self._name(visit.card_no), "reader": POS}
        steps["amount"] = format_yuan(visit.amount_fen)
        pins = _pins(visit)
        if pins is not None:
            steps["pins"] = pins
        if any(one["kind"] == messages.CAPTURE for one in visit.records):
            steps["identity"] = "mismatch"
        self._step(visit.at_s - _SERVING_S, **steps)
        self.visits.append(visit)
        if visit.spend is not None:
            self._spent(card, visit.at_s, visit.amount_fen)

    def _new(self, visit: Visit, later: list[Visit]) -> _Card:
        """A card as its first visit finds it, as far as any of them says."""
        theirs = [one for one in (visit, *later) if one.card_no == visit.card_no]
        told = [one.intents[0]["before_fen"] for one in theirs if one.intents]
        card = _Card(told[0] if told else _AMPLE_FEN + visit.amount_fen)
        card.first_fen = card.balance_fen
        said = {reason for one in theirs for reason in one.refusals}
        card.has_pin = reasons.NO_PIN_SET not in said
        card.days = self._days(theirs)
        self.assumed += bool(said & {reasons.NOT_YET_VALID, reasons.EXPIRED})
        proofs = (one for each in theirs for one in each.records if "card_proof" in one)
        card.chip = "desfire" if next(proofs, None) else "classic"
        return card

    def _days(self, theirs: list[Visit]) -> tuple[int, int]:
        """A card's first and last day, from that of the start on, as its refusals bound them."""
        first, last = _VALID_DAYS
        start = self._day(self.start_s)
        for visit in theirs:
            day = self._day(visit.at_s) - start
            if reasons.NOT_YET_VALID in visit.refusals:
                first = max(first, day + 1)
            elif reasons.EXPIRED in visit.refusals:
                last = min(last, day - 1)
        return min(first, last), max(first, last)

    def _bar(self, visit: Visit, card: _Card) -> tuple[str, dict[str, Any]]:
        """Why a visit cannot be played, or nothing."""
        if not visit.card_no:
            return "no-card", {}
        first = visit.records[0]
        width_s = first["latest_s"] - first["earliest_s"]
        if width_s * 1000 > self.kind.policy["clock_width_max_ms"]:
            return "clock", {}
        if any(one["flags"] & messages.FLAG_MEAL for one in visit.intents):
            return "meal", {}
        is_torn = any(visit.result(one) != messages.COMMITTED for one in visit.intents)
        # Behind a try something always follows, unless power goes.
        if is_torn or (not visit.spend and visit.records[-1]["kind"] == messages.OUTCOME):
            return "torn", {}
        theirs, ours = visit.policy_epoch, self.kind.policy["epoch"]
        if theirs not in (0, ours):
            return "policy", {"theirs": theirs, "ours": ours}
        for reason in visit.refusals:
            if reason not in _FOLLOWS or not visit.amount_fen:
                facts = {"reason": reason, "text": reasons.DISPLAY.get(reason, "?")}
                return "reason", facts
        if reasons.OVER_DAY_LIMIT in visit.refusals:
            policy, spent_fen = self.kind.policy, card.day_total_fen
            if self._day(visit.at_s) != card.day:
                spent_fen = 0
            if spent_fen + visit.amount_fen <= policy["day_max_fen"]:
                return "day", {}
        return "", {}

    def _bring_to(self, visit: Visit, card: _Card, later: list[Visit]) -> None:
        """Let the card do elsewhere what it must have done since its last visit here."""
        wanted_fen = card.balance_fen
        if visit.intents:
            wanted_fen = visit.intents[0]["before_fen"]
        elif reasons.BALANCE_SHORT in visit.refusals and card.balance_fen >= visit.amount_fen:
            # The next visit may say what was on it; else it is the least that it lacked.
            theirs = [one for one in later if one.card_no == visit.card_no and one.intents]
            told = [one.intents[0]["before_fen"] for one in theirs]
            wanted_fen = min([visit.amount_fen - 1, *told[:1]])
        if wanted_fen == card.balance_fen:
            return
        self.assumed += 1
        if not any(one.card_no == visit.card_no for one in self.visits):
            card.balance_fen = card.first_fen = wanted_fen
            return
        at_s, name = visit.at_s - 20, self._name(visit.card_no)
        spent_fen = card.balance_fen - wanted_fen
        if spent_fen < 0:
            amount = format_yuan(1 - spent_fen)
            self._step(at_s - 20, do="topup", card=name, amount=amount)
            spent_fen = 1
        self._step(at_s, do="tap", card=name, reader=AWAY, amount=format_yuan(spent_fen))
        card.balance_fen = wanted_fen
        self._count(card, at_s, spent_fen)

    def _spent(self, card: _Card, at_s: float, amount_fen: int) -> None:
        card.balance_fen -= amount_fen
        self._count(card, at_s, amount_fen)

    def _count(self, card: _Card, at_s: float, amount_fen: int) -> None:
        day = self._day(at_s)
        card.day_total_fen = amount_fen + (card.day_total_fen if card.day == day else 0)
        card.day = day

    def _day(self, at_s: float) -> int:
        return clock.day(int(at_s), self.kind.policy["utc_offset_s"])

    # -- its text ---------------------------------------------------------------------------

    def _step(self, at_s: float, **fields: Any) -> None:
        self._steps.append((max(at_s, self.start_s + 0.5), fields))

    def text(self) -> str:
        kind, begun = self.kind, datetime.fromtimestamp(self.start_s, UTC).isoformat()
        away = kind.device + 1 if kind.device < 4_000_000_000 else kind.device - 1
        common = {"merchant": "field", "site": kind.site}
        reader: dict[str, Any] = {"name": POS, "device": kind.device, **common}
        reader |= {"load_cards": 1} if kind.loads else {}
        reader |= {"serial": 1} if kind.has_line else {}
        other = {"name": AWAY, "device": away, **common, "load_cards": 1}
        head = {"name": "field", "title": f"The journal of reader {kind.device}", "seed": 1}
        head |= {"clock": begun, "timeout_s": 3600, "site": kind.site, "drain": "00:02:00"}
        tables = [_table("", head), _table("[policy]", dict(kind.policy))]
        tables += [_table("[[merchant]]", {"name": "field", "no": kind.merchant_no})]
        tables += [_table("[[reader]]", one) for one in (reader, other)]
        for number, card in self._cards.items():
            tables.append(_table("[[cards]]", self._batch(number, card)))
        for at_s, fields in sorted(self._steps, key=lambda one: one[0]):
            tables.append(_table("[[step]]", {"at": self._at(at_s), **fields}))
        return "\n".join(tables)

    def _batch(self, card_no: int, card: _Card) -> dict[str, Any]:
        made: dict[str, Any] = {"name": self._name(card_no), "chip": card.chip}
        made |= {"first_no": self.numbers[card_no], "balance": format_yuan(card.first_fen)}
        made["valid_days"] = list(card.days)
        return {**made, "pin": PIN} if card.has_pin else made

    def _name(self, card_no: int) -> str:
        return f"card-{self.numbers[card_no] - _FIRST_NO + 1}"

    def _at(self, at_s: float) -> str:
        ms = round((at_s - self.start_s) * 1000)
        minutes, seconds = divmod(ms // 1000, 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{ms % 1000:03}"


def _lives(records: list[Record], began_s: dict[int, float]) -> list[tuple[float, float]]:
    """(when it was switched on, when its last record was written) of each boot."""
    found: dict[int, tuple[float, float]] = {}
    for one in records:
        boot = one["boot_id"]
        if boot in began_s:
            first_s = found[boot][0] if boot in found else began_s[boot]
            found[boot] = first_s, began_s[boot] + one["mono_ms"] / 1000
    return [found[boot] for boot in sorted(found)]


def _is_dark(visit: Visit, offline_max_fen: int) -> bool | None:
    """Whether the reader had no network; None: the visit does not say, or the mains were gone."""
    said = set(visit.refusals)
    if said & _WITHOUT_NETWORK:
        return True
    if said & _BEHIND_LIMITS and visit.amount_fen > offline_max_fen:
        return False  # without network it would have been that
    for one in visit.intents[:1]:
        if not one["flags"] & messages.FLAG_BATTERY:
            return bool(one["flags"] & messages.FLAG_OFFLINE)
    return None


def _pins(visit: Visit) -> list[str] | None:
    """What was typed where a PIN was asked for; None: none was."""
    if not set(visit.refusals) & {reasons.PIN_NEEDED, reasons.PIN_WRONG}:
        return None
    tries = [WRONG_PIN] * visit.refusals.count(reasons.PIN_WRONG)
    spend = visit.spend
    return tries + ([PIN] if spend and spend["flags"] & messages.FLAG_PIN else [])


def _table(head: str, fields: Mapping[str, Any]) -> str:
    lines = [head] if head else []
    for name, value in fields.items():
        # Texts of JSON, its numbers and its lists are those of TOML.
        lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def _why(stage: _Stage) -> str:
    words = {LEFT_OUT[why][0].format(**facts) for _visit, why, facts in stage.left_out}
    return "; ".join(sorted(words))
