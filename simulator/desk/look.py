"""What is to be seen of a campus, as plain values. Looking changes nothing in it.

A flash with weak cells would answer the next read otherwise: a copy is read. A door that skips
steps is asked what it holds, for its lock would have to be brought to now first.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Collection
from typing import Any

from firmware.services.journal import Journal
from protocols.card.identity import ForeignCard
from protocols.rules import door, lock
from simulator import locks, screen
from simulator.cardbox import HeldCard, truth
from simulator.checkers import journal_of
from simulator.chips.nor_flash import NorFlash
from simulator.chips.smart_lock import DRAWN
from simulator.desk import link_look
from simulator.desk.board_look import BoardLooker
from simulator.desk.boards import RealReader
from simulator.reader import Reader
from simulator.residence.doze import DozingReader
from simulator.run import Run

_BEEPS = 3
Seen = dict[str, Any]


class Looker:
    """Looks at one run; `font` of screen.load_font, or None: then glyphs are drawn elsewhere."""

    def __init__(self, run: Run, font: screen.Font | None) -> None:
        self._run = run
        self._font = font
        self._of = {one["name"]: one for one in run.scenario.readers}
        self._twins: dict[str, tuple[int, NorFlash]] = {}
        self._boards = BoardLooker(run)
        self._journals: dict[str, tuple[int, Journal]] = {}

    # -- buildings --------------------------------------------------------------------------

    def sites(self) -> dict[str, Seen]:
        """By site: whether it has mains, its readers a network, and it a line to the centre."""
        run, seen = self._run, {}
        for site, building in run.services.buildings.items():
            readers = [one for name, one in run.readers.items() if run.site_of(name) == site]
            cables = [one.hardware.cable for one in readers if one.hardware.cable]
            seen[site] = {
                "mains": building.has_mains,
                "network": any(cable.plugged for cable in cables) or not building.has_mains,
                "upstream": building.upstream.is_plugged,
                **link_look.site(run, site, readers),
            }
        return seen

    # -- readers ----------------------------------------------------------------------------

    def reader(self, name: str) -> Seen:
        """One reader from in front: what it shows, lights, sounds; its power and its backlog."""
        reader = self._run.readers[name]
        if isinstance(reader, RealReader):
            return self._boards.reader(reader.board)
        hardware, panel = reader.hardware, reader.hardware.panel
        seen: Seen = {
            "on": reader.is_on,
            "lit": hardware.lcd.is_lit and panel.is_lit,
            "dots": self._dots(reader),
            "text": screen.read(hardware.lcd),
            "pole": panel.lines,
            "green": panel.green,
            "red": panel.red,
            "beeps": panel.beeps[-_BEEPS:],
            "battery": _percent(reader),
            "cable": self.has_network(reader),
            "mains": hardware.mains_on,
            "holds_card": bool(hardware.field.cards),
            "waiting": self._waiting(name),
        }
        role = self._of[name].get("role", "pos")
        if role == "identity":
            seen["typed"] = link_look.typed(reader)
        if role == "door":
            seen["door"] = door_of(reader)
        elif role == "lock":
            seen["door"] = _lock(reader)
        return seen

    def _dots(self, reader: Reader) -> str:
        """128 by 64 dots of the clerk's display, base64."""
        image = screen.render(reader.hardware.lcd, self._font)
        return base64.b64encode(image.dots).decode()

    def has_network(self, reader: Reader) -> bool:
        """Whether it hangs on its cable, or on its line."""
        cable, line = reader.hardware.cable, reader.hardware.line
        return cable.plugged if cable else line is not None and not line.is_cut

    def _waiting(self, name: str) -> int:
        """Records in its journal that the ledger has not booked."""
        heads = self._run.services.store.heads()
        return max(self.journal(name).head_seq - heads[self._of[name]["device"]], 0)

    def journal(self, name: str) -> Journal:
        """The journal on its flash, read anew when something was written there."""
        written = self._run.readers[name].hardware.flash_operations
        known = self._journals.get(name)
        if known is None or known[0] != written:
            known = self._journals[name] = written, journal_of(self._twin(name))
        return known[1]

    def _twin(self, name: str) -> NorFlash:
        """A copy of its journal's flash as it is now, to read as often as one likes."""
        hardware = self._run.readers[name].hardware
        known = self._twins.get(name)
        if known is None or known[0] != hardware.flash_operations:
            twin = NorFlash(hardware.flash.size_bytes, random.Random(0))
            twin.load(hardware.flash.image())
            known = self._twins[name] = hardware.flash_operations, twin
        return known[1]

    # -- cards and money --------------------------------------------------------------------

    def card(self, held: HeldCard, away: Collection[int] = ()) -> Seen:
        """What stands on a card, read past its access rights, and what the centre says of it.

        Of one that is `away` (Run.cards_away) nobody here knows what stands on it.
        """
        is_away = held.card_no in away
        cards = self._run.services.store.cards
        is_ours = any(
            one.issued_fen is not None for one in self._run.cards if one.card_no == held.card_no
        )
        return {
            "no": held.card_no,
            "fen": None if is_away else self._balance_fen(held),
            "away": is_away,
            "state": cards.state(held.card_no) if is_ours else "",
            "busy": held.is_busy,
        }

    def _balance_fen(self, held: HeldCard) -> int | None:
        """None where nothing of ours stands on it, or what stands there is no purse now."""
        try:
            return truth(held.chip, self._run.keys).balance_fen
        except ForeignCard:
            return None

    def money(self) -> Seen:
        """The books, and what must hold in them and beside them (simulator/checkers.py)."""
        run, store = self._run, self._run.services.store
        flashes = {device: self._twin(name) for name, device in run.devices()}
        verdict = run.judged(flashes)
        balances = store.balances()
        kinds: dict[str, int] = {}
        for (kind, _), fen in balances.items():
            kinds[kind] = kinds.get(kind, 0) + fen
        return {
            "kinds": {kind: fen for kind, fen in kinds.items() if fen},
            "debits_fen": -sum(fen for fen in balances.values() if fen < 0),
            "credits_fen": sum(fen for fen in balances.values() if fen > 0),
            "cards_fen": verdict.on_cards_fen,
            "flight_fen": verdict.in_flight_fen,
            "booked_fen": verdict.booked_fen,
            "issued_fen": verdict.issued_fen + verdict.loaded_fen,
            "conserved": verdict.conserved,
            "duplicated": verdict.duplicated,
            "lost": verdict.lost,
            "violations": verdict.violations,
        }

    def changes(self) -> tuple[int, ...]:
        """Something that changes whenever `money` may."""
        summary = self._run.services.store.summary()
        written = [one.hardware.flash_operations for one in self._run.readers.values()]
        changed = (*summary.values(), self._run.tally.taps, self._run.paid_in.total())
        return (*changed, *written, *self._run.cards_away())


def _percent(reader: Reader) -> int:
    own_lock = locks.hardware_of(reader)
    if own_lock is not None:
        return own_lock.pack.percent()
    battery = reader.hardware.battery
    return battery.charge_mah() * 100 // battery.capacity_mah


def door_of(reader: Reader) -> Seen:
    """Bolt and leaf as two facts; what has let go of the bolt, if something has."""
    hardware = reader.hardware
    if isinstance(reader, DozingReader) and reader.is_dozing:
        holds = reader.home.device._door.holds()
        levels = reader.home.device._door.levels
    else:
        holds, levels = hardware.lock.is_bonded(), hardware.lock.levels()
    return {
        "held": holds,
        "open": hardware.lock.is_open,
        "fire": not levels & door.FIRE_QUIET,
        "exit": not levels & door.EXIT_IDLE,
    }


def _lock(reader: Reader) -> Seen:
    own = locks.hardware_of(reader)
    assert own is not None
    return {
        "held": own.bolt.bolt != DRAWN,
        "open": own.bolt.is_open,
        "handheld": bool(own.bolt.levels() & lock.LINE),
    }
