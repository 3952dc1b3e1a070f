"""What must hold at every moment of a torture run, looked at from outside while it happens.

Receipts are compared with what another connection can see in the ledger's file, STORED with what
another connection can see in the agent's, each record with the true time and the true state of its
reader at the moment it is written. Every sentence in `violations` is a bug, or a hole in a rule.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from firmware.services.journal import RESERVE_SECTORS
from protocols.rules import clock, posture, posture_texts
from protocols.wire import messages, topics
from protocols.wire.errors import WireError
from protocols.wire.seal import sign1_split
from simulator.torture.steps import CardSteps

VIOLATIONS_MAX = 20  # a run that is broken is broken: more would only be longer
BATTERY_STOP_MV = 3350
_NOTICE_US = 130_000_000  # by then a reader knows that nobody answers (two idle questions)
_ENDS = ("earliest_s", "latest_s")
_SAID_BY_AGENTS = (messages.STORED, messages.RECEIPT, messages.RELAY, messages.CARDS)
_SECONDS_MS = 2_000  # a record says seconds, rounded outwards
# Records that are never notes: they are written when they are made.
_AT_ONCE = (
    messages.INTENT,
    messages.OUTCOME,
    messages.CREDIT,
    messages.CANCEL,
    messages.CODE_SALE,
)
_CODE_ASKED_S = 6
_POWER_LOOK_US = 1_600_000  # a reader looks at its mains twice a second, between two dialogues


def _battery(battery_mv: int) -> str:
    """As posture.battery, but a voltage that everybody agreed on wrongly is seen here."""
    return "battery" if battery_mv >= BATTERY_STOP_MV else "empty"


class Watch:
    """Collects violations; its methods are given to brokers and hardware as listeners."""

    def __init__(self, site: str, ledger: Path, now_text: Callable[[], str]) -> None:
        self.violations: list[str] = []
        self.notes = 0  # things looked at
        # (device, seq) of an INTENT: its card, amount, and day, if its reader was sure of that.
        self.days: dict[tuple[int, int], tuple[int, int, int]] = {}
        self.steps = CardSteps()
        # By (device, seq): when a spend was begun, by whom, its amount; what a CANCEL names.
        self._sales: dict[tuple[int, int], tuple[int, int, int]] = {}
        self.began_s: dict[tuple[int, int], int] = {}  # the true time of each
        self.cancelled: dict[tuple[int, int], tuple[int, int]] = {}
        self.ledger = ledger
        self._site = site
        self._now_text = now_text
        self._eyes: dict[Path, sqlite3.Connection] = {}

    def report(self, what: str) -> None:
        """A rule is broken."""
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"{self._now_text()} {what}")

    def close(self) -> None:
        for eye in self._eyes.values():
            eye.close()
        self._eyes.clear()

    def rows(self, path: Path, sql: str, *values: int) -> list[tuple[Any, ...]]:
        """What is committed in a database, seen by somebody who did not write it."""
        eye = self._eyes.get(path)
        if eye is None:
            eye = self._eyes[path] = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        return eye.execute(sql, values).fetchall()

    # -- messages -------------------------------------------------------------------------------

    def receipts(self, payload: bytes) -> None:
        """RECEIPTS leave the ledger: everything they promise is booked and on the disk."""
        fields = messages.decode_message(sign1_split(payload)[0], (messages.RECEIPTS,))
        for device, upto, _sealed in fields["receipts"]:
            self.notes += 1
            booked = self.head(device)
            if upto > booked:
                self.report(f"receipt for {device} up to {upto}, booked is {booked}")

    def down(self, agent: Path, topic: str, payload: bytes) -> None:
        """The agent answers a reader: what it calls stored is on its disk, or booked."""
        try:
            fields = messages.decode_message(payload, _SAID_BY_AGENTS)
        except WireError:
            self.report(f"the agent says nonsense on {topic}")
            return
        if fields["type"] != messages.STORED:
            return
        self.notes += 1
        device, upto = fields["device"], fields["upto"]
        booked = self.head(device)
        # The last words of a box that has been taken away: there is no disk to look at any more.
        if upto <= booked or not agent.exists():
            return
        held = "SELECT seq FROM record WHERE device = ?1 AND seq > ?2 AND seq <= ?3"
        refused = held.replace("record", "refused")
        rows = self.rows(agent, f"{held} UNION {refused}", device, booked, upto)
        if len(rows) != upto - booked:
            self.report(f"STORED {device} up to {upto}, on disk {len(rows)} after {booked}")

    def is_down(self, topic: str) -> bool:
        return topic.startswith(f"{topics.PREFIX}{self._site}/") and topic.endswith("/down")

    def head(self, device: int) -> int:
        """The highest sequence of a device that the ledger has on its disk."""
        rows = self.rows(self.ledger, "SELECT head_seq FROM device WHERE device = ?", device)
        return rows[0][0] if rows else 0

    # -- records --------------------------------------------------------------------------------

    def record(self, window: Any, fields: dict[str, Any]) -> None:
        """A reader writes a record: its time is true, and it may do what it does (R23, R24)."""
        self.notes += 1
        hardware = window.hardware
        now_us = hardware.clock.now_us
        # A number comes again when a cut has spoiled what had it.
        self._sales.pop((fields["device"], fields["seq"]), None)
        self.cancelled.pop((fields["device"], fields["seq"]), None)
        true_s = hardware.world.utc_s(now_us)
        if not window.is_clock_fooled:
            # What is noted while a code is asked about is written behind the record of that.
            may_wait = hardware.scanner is not None and fields["kind"] not in _AT_ONCE
            waited_s = _CODE_ASKED_S if may_wait else 0
            if not fields["earliest_s"] <= true_s <= fields["latest_s"] + waited_s:
                self.report(
                    f"{hardware.name} record {fields['seq']}: true time {true_s} is not in "
                    f"[{fields['earliest_s']}, {fields['latest_s']}]"
                )
        if fields["kind"] in (messages.INTENT, messages.CREDIT):
            what = self.steps.note(fields)
            if what:
                self.report(what)
        if fields["kind"] == messages.INTENT:
            self._intent(window, fields, now_us)
        elif fields["kind"] == messages.CREDIT:
            self._credit(window, fields)
        elif fields["kind"] == messages.CANCEL:
            self._cancel(window, fields, now_us)
        elif fields["kind"] == messages.CODE_SALE and fields["result"] == messages.COMMITTED:
            self._code_sale(window, fields)

    def day_limits(self, booked: Iterable[tuple[int, int]], policy: dict[str, int]) -> None:
        """No card has paid more in one day than it may (R19.2)."""
        paid_fen: Counter[tuple[int, int]] = Counter()
        for intent in booked:
            if intent in self.days:
                card_no, amount_fen, day = self.days[intent]
                paid_fen[card_no, day] += amount_fen
        for (card_no, _), fen in paid_fen.items():
            if fen > policy["day_max_fen"]:
                self.report(f"card {card_no}: {fen} fen in one day")

    def _credit(self, window: Any, fields: dict[str, Any]) -> None:
        """A reader is about to have a card credited: the ledger has such a credit, once."""
        self.notes += 1
        sql = "SELECT card_no, amount_fen FROM load WHERE number = ?"
        wanted = fields["card_no"], fields["amount_fen"]
        if self.rows(self.ledger, sql, fields["number"]) != [wanted]:
            where = f"{window.hardware.name} credit {fields['seq']}"
            self.report(f"{where}: number {fields['number']} is no credit of {wanted}")

    def _code_sale(self, window: Any, fields: dict[str, Any]) -> None:
        """A reader has sold by code: the ledger has reserved that for this very record."""
        self.notes += 1
        sql = "SELECT device, seq, amount_fen FROM reservation WHERE number = ?"
        wanted = fields["device"], fields["seq"], fields["amount_fen"]
        if self.rows(self.ledger, sql, fields["number"]) != [wanted]:
            where = f"{window.hardware.name} code sale {fields['seq']}"
            self.report(f"{where}: {fields['number']} is no reservation of {wanted}")

    def _cancel(self, window: Any, fields: dict[str, Any], now_us: int) -> None:
        """A reader cancels a sale of its own: once, in time, with the ledger in reach (ADR 16)."""
        self.notes += 1
        sale = fields["intent_device"], fields["intent_seq"]
        where = f"{window.hardware.name} cancel {fields['seq']} of {sale}"
        began_us, card_no, amount_fen = self._sales.get(sale, (0, 0, 0))
        if (sale[0], card_no, amount_fen) != (
            window.device,
            fields["card_no"],
            fields["amount_fen"],
        ):
            self.report(f"{where}: {amount_fen} fen of card {card_no} were sold there")
        if sale in self.cancelled.values():
            self.report(f"{where}: it was cancelled before")
        if not window.cable.plugged:
            self.report(f"{where}: its cable is out")
        late_us = now_us - began_us - window.policy["cancel_window_s"] * 1_000_000
        if late_us > 0 and not window.is_clock_fooled:
            self.report(f"{where}: {late_us} us too late")
        self.cancelled[fields["device"], fields["seq"]] = sale

    def _intent(self, window: Any, fields: dict[str, Any], now_us: int) -> None:
        hardware, cable, policy = window.hardware, window.cable, window.policy
        where = f"{hardware.name} intent {fields['seq']}"
        amount_fen, offline = fields["amount_fen"], fields["flags"] & messages.FLAG_OFFLINE
        self._sales[fields["device"], fields["seq"]] = now_us, fields["card_no"], amount_fen
        self.began_s[fields["device"], fields["seq"]] = hardware.world.utc_s(now_us)
        first, last = (clock.day(fields[end], policy["utc_offset_s"]) for end in _ENDS)
        if first == last:
            self.days[fields["device"], fields["seq"]] = fields["card_no"], amount_fen, first
        on_mains = hardware.mains_on or now_us - hardware.mains_off_at_us < _POWER_LOOK_US
        interval_ms = fields["earliest_s"] * 1000, fields["latest_s"] * 1000
        is_known = clock.is_known(interval_ms, policy["clock_width_max_ms"] + _SECONDS_MS)
        found = posture.of(
            "pos",
            "mains" if on_mains else _battery(hardware.battery_mv() + 1),  # it fell on
            "offline" if offline else "online",
            "room" if self._has_room(window) else "full",
            "known" if is_known else "unknown",
        )
        if not posture_texts.may_begin(found):
            self.report(f"{where}: sells when {found}")
        elif amount_fen > posture_texts.spend_max_fen(found, policy):
            self.report(f"{where}: {amount_fen} fen when {found}")
        by_holder = fields["flags"] & (messages.FLAG_PIN | messages.FLAG_IDENTITY)
        if amount_fen > policy["no_pin_max_fen"] and not by_holder:
            self.report(f"{where}: {amount_fen} fen without a PIN")
        if not cable.plugged and not offline:
            self.report(f"{where}: says online, its cable is out")
        if not offline and now_us - max(window.answered_us, window.on_us) > _NOTICE_US:
            self.report(f"{where}: says online, nobody has answered for long")
        if not on_mains and not fields["flags"] & messages.FLAG_BATTERY:
            self.report(f"{where}: says mains, runs on battery")

    def _has_room(self, window: Any) -> bool:
        """Whether what must follow a spend has room, whatever the ledger may have booked since.

        The INTENT itself may just have opened a sector, the first of the reserve.
        """
        hardware = window.hardware
        booked = self.head(window.device)
        used = hardware.sectors_after(booked)
        return (
            hardware.flash.size_bytes // hardware.flash.sector_bytes - used >= RESERVE_SECTORS - 1
        )
