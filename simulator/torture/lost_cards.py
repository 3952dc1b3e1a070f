"""Lost cards: who has reported what, what each reader knows, and what may come of it (R14.2).

A reader's map only gets newer. So whoever is lost in the map that a reader was seen to hold, and
in all there was since, must not pay there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.services.card_map import _KEPT, _KEPT_KEY
from ledger import reasons
from ledger.card_status import Loss
from ledger.evidence import State
from simulator.checkers import journal_of

if TYPE_CHECKING:
    from simulator.torture.campus import Campus, Window

EVIDENCE = "id-card"
_EPOCH_AT = 3  # of what a reader keeps of its map
_SPENDS = f"""
SELECT device, seq, card_no, latest_s FROM intent
WHERE state = {int(State.COMMITTED)} AND amount_fen > 0 AND credit_no = 0"""


@dataclass
class LostCards:
    """`changes`: (card_no, is_lost) of each epoch, from 1; `losses` by card; `seen` by device."""

    changes: list[tuple[int, bool]] = field(default_factory=list)
    losses: dict[int, list[Loss]] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)  # the epoch of its map, at least

    @property
    def epoch(self) -> int:
        return len(self.changes)

    def is_lost(self, card_no: int) -> bool:
        losses = self.losses.get(card_no)
        return bool(losses) and losses[-1].until_s is None

    def report(self, campus: Campus, card_no: int) -> None:
        """Its holder reports the loss, or has found it again."""
        now_s, is_lost = campus.world.utc_s(), not self.is_lost(card_no)
        if is_lost:
            campus.books.cards.set("lose", card_no, now_s)
            self.losses.setdefault(card_no, []).append(Loss(now_s))
        else:
            campus.books.cards.set("unlose", card_no, now_s, EVIDENCE)
            losses = self.losses[card_no]
            losses[-1] = Loss(losses[-1].from_s, now_s)
        self.changes.append((card_no, is_lost))
        campus.fired["card reported lost" if is_lost else "lost card found"] += 1

    def look(self, campus: Campus, window: Window) -> int:
        """Note how new a reader's map is; its epoch (0: it has none)."""
        kept = journal_of(window.hardware.flash).kept(_KEPT_KEY)
        epoch = struct.unpack(_KEPT, kept)[_EPOCH_AT] if kept else 0
        before = self.seen.get(window.device, 0)
        if epoch < before or epoch > self.epoch:
            name = window.hardware.name
            campus.watch.report(f"{name}: its map was of epoch {before} and is of {epoch}")
        self.seen[window.device] = max(epoch, before)
        return epoch

    def must_refuse(self, device: int, card_no: int) -> bool:
        """Whether the reader knows that the card is lost, however much news it has by now."""
        seen = self.seen.get(device, 0)
        own = [is_lost for number, is_lost in self.changes[:seen] if number == card_no]
        since = [is_lost for number, is_lost in self.changes[seen:] if number == card_no]
        return bool(own) and own[-1] and all(since)

    def judge(self, campus: Campus, began_s: dict[tuple[int, int], int]) -> set[tuple[int, int]]:
        """Whether the spends of lost cards, and no others, are cases; those cases.

        `began_s`: when a spend (device, seq) truly began.
        """
        cases = {
            (device, seq)
            for reason, device, seq in campus.books.cases()
            if reason == reasons.SPENT_WHILE_LOST
        }
        fooled = {window.device for window in campus.windows if window.is_clock_fooled}
        for device, seq, card_no, latest_s in campus.watch.rows(campus.watch.ledger, _SPENDS):
            losses = self.losses.get(card_no, ())
            true_s, what = began_s.get((device, seq), 0), f"spend {device}/{seq} of card {card_no}"
            # The second of the report itself is neither before nor after.
            was_lost = any(
                one.from_s < true_s and (one.until_s is None or true_s < one.until_s)
                for one in losses
            )
            if was_lost and (device, seq) not in cases and device not in fooled:
                campus.watch.report(f"{what}: it was lost, and there is no case")
            # When it was booked the loss may have been without an end yet.
            if (device, seq) in cases and all(latest_s < one.from_s for one in losses):
                campus.watch.report(f"{what}: a case, and it was not lost")
        return cases
