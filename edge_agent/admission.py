"""The third lock: of which readers the agent takes anything, and over which link (R18.1).

The first is the broker, which lets in whom our authority has issued a certificate; the last is the
ledger, which knows a key of each reader. This one says that a reader was expected here, now.

Rules of this file. What is judged is a pair, a device number on one link, so whoever uses a number
elsewhere never stops its owner. What is not admitted is counted and shown, and nothing of it is
kept or handed on: its records stay on the reader. A window is this process's own, by its monotonic
clock: after a restart it is closed, and what was asked of an agent that did not run is void.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent import decisions
from edge_agent.decisions import Decisions, Standing

LOOK_MS = 1_000
WAITING_MAX = 64
ENROLLED_PER_WINDOW_MAX = 1_000
_MINUTE_MS = 60_000


@dataclass(slots=True)
class Waiting:
    """A device on a link that it is not admitted on; seconds of UTC, for people."""

    device: int
    link: str
    first_s: int
    last_s: int
    messages: int = 0


class Admissions:
    """The list in the file `path`, made if there is none; `utc_s` says what time it is for people.

    `taken_before`: devices of which this agent has kept something already. Those that the list
    does not name are known, on the link where they are heard first. `counters` only grow. `events`
    are (what, fields) for the log. Raises OSError when the file cannot be used.
    """

    def __init__(self, path: Path, utc_s: Callable[[], int], taken_before: Iterable[int]) -> None:
        self.counters: dict[str, int] = {}
        self.events: deque[tuple[str, dict[str, Any]]] = deque()
        self._utc_s = utc_s
        self._decisions = Decisions(path)
        self._decisions.create()
        self._standing = Standing()
        self._waiting: dict[tuple[int, str], Waiting] = {}
        self._open_until_ms: int | None = None
        self._enrolled = 0
        self._look_ms = 0
        self._read(0)
        before = sorted(set(taken_before))
        fresh = [device for device in before if not self._standing.is_mentioned(device)]
        if fresh:
            known = [{"act": decisions.KNOWN, "device": device} for device in fresh]
            self._decisions.append(*known)
        if self._standing.is_open:
            self._append(decisions.CLOSED)
        self._read(0)

    def may(self, device: int, link: str, now_ms: int) -> bool:
        """Whether a message of `device` that came over `link` is taken; else it waits."""
        links = self._standing.links
        if links.get(device) == link:
            return True
        act = decisions.SEEN if device in links else decisions.ENROLLED
        is_free = links[device] is None if device in links else self._may_enrol(now_ms)
        if is_free and (device, link) not in self._standing.denied:
            if self._append(act, device=device, link=link):
                self._enrolled += act == decisions.ENROLLED
                self._read(now_ms)
                return True
        self._hold(device, link)
        return False

    def step(self, now_ms: int) -> int:
        """Do what was decided since, and close the window in time; when to call again (ms)."""
        if self._open_until_ms is not None and now_ms >= self._open_until_ms:
            self._close()
        if now_ms >= self._look_ms:
            self._look_ms = now_ms + LOOK_MS
            self._read(now_ms)
        return min(self._look_ms, self._open_until_ms or self._look_ms)

    def said_of(self, device: int) -> dict[str, Any]:
        """For the inventory: on which link a device hangs, and how it came in."""
        link, way = self._standing.links.get(device), self._standing.ways.get(device)
        return {"link": link, "admitted": way or decisions.KNOWN} if link else {}

    def waiting(self) -> list[Waiting]:
        """Who has been heard without being admitted, by device number."""
        return [self._waiting[pair] for pair in sorted(self._waiting)]

    def open_s(self, now_ms: int) -> int:
        """For how many more seconds new readers are taken."""
        left_ms = (self._open_until_ms or 0) - now_ms
        return max(-(-left_ms // 1_000), 0)

    # --- the window --------------------------------------------------------------------------

    def _may_enrol(self, now_ms: int) -> bool:
        is_open = self._open_until_ms is not None and now_ms < self._open_until_ms
        return is_open and self._enrolled < ENROLLED_PER_WINDOW_MAX

    def _open(self, minutes: int, now_ms: int) -> None:
        if self._append(decisions.OPENED, until_s=self._utc_s() + 60 * minutes):
            self._open_until_ms = now_ms + minutes * _MINUTE_MS
            self._enrolled = 0
            self.events.append(("window_opened", {"minutes": minutes}))

    def _close(self) -> None:
        if self._open_until_ms is not None:
            self._open_until_ms = None
            self.events.append(("window_closed", {"enrolled": self._enrolled}))
        self._append(decisions.CLOSED)

    # --- the list ----------------------------------------------------------------------------

    def _append(self, act: str, **fields: Any) -> bool:
        """Whether it is on the disk; if not, nobody acts on it."""
        try:
            self._decisions.append({"act": act, **fields, "time_s": self._utc_s()})
        except OSError:
            self._count("enrolment_write_errors")
            return False
        return True

    def _read(self, now_ms: int) -> None:
        try:
            is_whole, lines = self._decisions.news()
        except OSError:
            self._count("enrolment_read_errors")
            return
        if is_whole:
            self._standing = Standing()
        for line in lines:
            decision = self._standing.apply(line)
            if decision is not None and not is_whole:
                self._act(decision, now_ms)
        self.counters["enrolment_bad_lines"] = self._standing.bad_lines
        for pair in [pair for pair in self._waiting if self._is_settled(pair)]:
            del self._waiting[pair]

    def _act(self, decision: dict[str, Any], now_ms: int) -> None:
        act = decision["act"]
        if act == decisions.OPEN:
            self._open(decision["minutes"], now_ms)
        elif act == decisions.CLOSE:
            self._close()
        elif act not in (decisions.OPENED, decisions.CLOSED, decisions.KNOWN):
            fields = {"device": decision["device"], "link": decision["link"]}
            self.events.append((f"reader_{act}", fields))

    def _is_settled(self, pair: tuple[int, str]) -> bool:
        return pair in self._standing.denied or self._standing.links.get(pair[0]) == pair[1]

    # --- who waits ---------------------------------------------------------------------------

    def _hold(self, device: int, link: str) -> None:
        pair = device, link
        if pair in self._standing.denied:
            self._count("denied")
            return
        self._count("quarantined")
        now_s = self._utc_s()
        waiting = self._waiting.pop(pair, None)
        if waiting is None:
            if len(self._waiting) == WAITING_MAX:
                # Who was silent longest; a reader says HELLO every few seconds. No event: the log
                # is no place to fill a disk from.
                del self._waiting[next(iter(self._waiting))]
            else:
                self.events.append(("quarantined", {"device": device, "link": link}))
            waiting = Waiting(device, link, now_s, now_s)
        waiting.last_s = now_s
        waiting.messages += 1
        self._waiting[pair] = waiting

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1
