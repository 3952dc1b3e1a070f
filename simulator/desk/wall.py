"""The wall: every device as one glyph, of what matters from two metres away.

With 2,000 devices a look must not cost more than a look: who has written something to flash is
read anew, but in a look only so many as its time allows, the others in the next.
"""

from __future__ import annotations

import time
from typing import Any

from simulator.desk.board_look import BoardLooker
from simulator.desk.boards import RealReader
from simulator.desk.look import Looker, door_of
from simulator.desk.postures import posture_of
from simulator.run import Run

# What a posture comes to, the best first.
GLYPHS = {
    "serving": "fine",
    "secured": "fine",
    "collecting": "fine",
    "serving-offline": "limited",
    "blind": "limited",
    "blind-offline": "limited",
    "read-only": "limited",
    "released": "limited",
    "stopped-full": "stopped",
    "stopped-empty": "stopped",
    "key-only": "stopped",
    "dark": "dark",
}
_BUSY_S = 0.03  # of a look is spent on journals
Glyph = list[Any]


class WallLooker:
    """Looks at all readers of a run; a glyph is [what, posture, is online, records waiting]."""

    def __init__(self, run: Run, looker: Looker) -> None:
        self._run, self._looker = run, looker
        self._of = {one["name"]: one for one in run.scenario.readers}
        self._width_max_ms = run.scenario.policy["clock_width_max_ms"]
        self._known: dict[str, tuple[Any, Glyph]] = {}
        self._turn = 0
        self._boards = BoardLooker(run)

    def parts(self, busy_s: float = _BUSY_S) -> dict[str, Glyph]:
        """By "wall:name" the newest glyph of everybody; some may be a look behind."""
        heads = self._run.services.store.heads()
        names = list(self._run.readers)
        until_s = time.monotonic() + busy_s
        for step in range(len(names)):
            name = names[(self._turn + step) % len(names)]
            if not self._look(name, heads.get(self._of[name]["device"], 0), until_s):
                self._turn = (self._turn + step) % len(names)
                break
        return {f"wall:{name}": glyph for name, (_, glyph) in self._known.items()}

    def _look(self, name: str, booked_seq: int, until_s: float) -> bool:
        """Whether there was time for it."""
        reader = self._run.readers[name]
        if isinstance(reader, RealReader):
            self._known[name] = None, self._boards.glyph(reader.board)
            return True
        role, hardware = self._of[name].get("role", "pos"), reader.hardware
        burns = role == "door" and door_of(reader)["fire"]
        is_online = reader.is_on and self._looker.has_network(reader)
        streams = sum(stream.is_open for stream in hardware.streams.values())
        stamp = (
            *(hardware.flash_operations, booked_seq, reader.is_on, hardware.mains_on),
            *(burns, is_online, streams),
        )
        known = self._known.get(name)
        if known is not None and known[0] == stamp:
            return True
        if time.monotonic() > until_s:
            return False
        journal = self._looker.journal(name)
        found = posture_of(
            role,
            reader,
            journal,
            burns=burns,
            booked_seq=booked_seq,
            clock_width_max_ms=self._width_max_ms,
        )
        posture = found["posture"] if found else ("collecting" if reader.is_on else "dark")
        waiting = max(journal.head_seq - booked_seq, 0)
        self._known[name] = stamp, [GLYPHS[posture], posture, int(is_online), waiting]
        return True
