"""What is to be seen of a real board: how its line is, and what has come over it.

The newest records are the ledger's, and behind them what its agent has and the ledger has not.
"""

from __future__ import annotations

from typing import Any

from simulator.desk.boards import Board
from simulator.run import Run
from tools.journal.image import RECORD, Entry, Sector
from tools.journal.show import IS_BROKEN, Line, lines_of_records

_SHOWN = 5
_SQL = "SELECT seq, sealed FROM record WHERE device = ? AND seq > ? ORDER BY seq"
Seen = dict[str, Any]


class BoardLooker:
    """Looks at the boards of one run; what has not changed is not read anew."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[str, tuple[tuple[int, int], list[Line]]] = {}

    def reader(self, board: Board) -> Seen:
        """What the campus page shows of it."""
        booked, stored = self._heads(board)
        lines = self._lines(board)[-_SHOWN:]
        return {
            "waiting": max(stored - booked, 0),
            "cable": board.state == "up",
            "board": {
                "state": board.state,
                "is_cut": board.is_cut,
                "url": board.url,
                "error": board.last_error if board.state == "no-port" else "",
                "lines": [[line.seq, line.kind, line.fields] for line in reversed(lines)],
                "is_whole": not any(IS_BROKEN in (line.chain, line.seal) for line in lines),
            },
        }

    def glyph(self, board: Board) -> list[Any]:
        """What the wall shows of it."""
        booked, stored = self._heads(board)
        is_up = board.state == "up"
        return ["fine" if is_up else "unseen", board.state, int(is_up), max(stored - booked, 0)]

    def records(self, board: Board) -> tuple[list[Line], int]:
        """All that it has told, oldest first, and up to where that is booked."""
        return self._lines(board), self._heads(board)[0]

    def _heads(self, board: Board) -> tuple[int, int]:
        (device,) = board.devices
        booked = self._run.services.store.heads().get(device, 0)
        store = self._run.services.building_of(self._run.site_of(board.name)).store
        return booked, booked if store is None else max(store.stored_upto(device, booked), booked)

    def _lines(self, board: Board) -> list[Line]:
        heads = self._heads(board)
        known = self._known.get(board.name)
        if known is None or known[0] != heads:
            known = self._known[board.name] = heads, self._read(board, *heads)
        return known[1]

    def _read(self, board: Board, booked: int, stored: int) -> list[Line]:
        (device,) = board.devices
        run = self._run
        found = list(run.services.store.database.rows(_SQL, (device, 0)))
        store = run.services.building_of(run.site_of(board.name)).store
        if store is not None and stored > booked:
            found += store.records_after(device, booked, stored - booked)
        entries = [Entry(0, RECORD, seq, bytes(sealed)) for seq, sealed in found]
        sector = Sector(0, 0, 1, booked, bytes(32), entries)
        return lines_of_records(sector, run.device_keys[device])
