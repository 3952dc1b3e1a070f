"""What to forward next: one lane per device, one window over all of them. No I/O, no clock.

Rules of this file. A lane forwards in order. Its cursor only moves forward while answers come;
when something is lost (a number without an answer, an answer that books less than was sent) the
lane waits until nothing of it is under way and then begins again after the last booked record. A
silent ledger gets one message at a time, with growing pauses; its first answer opens the window.
Memory does not depend on the backlog: records stay in the store until they are sent.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

WINDOW = 8
ANSWER_MS = 5_000
PAUSE_MS_MAX = 30_000


@dataclass(slots=True)
class Lane:
    """One device: `cursor` is the last sequence handed over, `under_way` counts its messages."""

    device: int
    cursor: int
    under_way: int = 0
    rewind: bool = False
    pause_ms: int = 0
    resume_ms: int = 0


@dataclass(slots=True)
class Sent:
    """One message under way: when it left and the last sequence it carries of each device."""

    sent_ms: int
    last: dict[int, int]


class Outbox:
    """`receipted(device)` is the store's mark: what is booked needs no forwarding."""

    def __init__(self, receipted: Callable[[int], int], window: int = WINDOW) -> None:
        self._receipted = receipted
        self._window = window
        self._lanes: dict[int, Lane] = {}
        self._ready: deque[int] = deque()
        self._queued: set[int] = set()
        self._paused: set[int] = set()
        self._sent: dict[int, Sent] = {}
        self._silent_ms = 0  # the present pause of a silent ledger; 0 while it answers
        self._quiet_until_ms = 0

    @property
    def under_way(self) -> int:
        """Messages sent and not answered."""
        return len(self._sent)

    def is_under_way(self, number: int) -> bool:
        """Whether message `number` waits for its answer."""
        return number in self._sent

    def offer(self, device: int, first: int) -> None:
        """Records of `device` from sequence `first` on are (again) in the store."""
        lane = self._lane(device)
        if first <= lane.cursor:
            lane.rewind = True
        self._wake(lane)

    def wake(self, device: int) -> None:
        """Perhaps `device` has more to send than when we last looked."""
        self._wake(self._lane(device))

    def may_send(self, now_ms: int) -> bool:
        """Whether the window has room and something may be ready."""
        self._resume(now_ms)
        window = 1 if self._silent_ms else self._window
        return bool(self._ready) and len(self._sent) < window and now_ms >= self._quiet_until_ms

    def next_lane(self) -> Lane | None:
        """The lane whose turn it is, taken out of the queue; None if there is none."""
        while self._ready:
            device = self._ready.popleft()
            self._queued.discard(device)
            lane = self._lanes[device]
            # One that must rewind or pause comes back by itself: see _landed and _resume.
            if not lane.rewind and device not in self._paused:
                lane.cursor = max(lane.cursor, self._receipted(device))
                return lane
        return None

    def put_back(self, lane: Lane) -> None:
        """The lane may have more, or could not be served now: to the end of the queue."""
        self._wake(lane)

    def sent(self, number: int, last: dict[int, int], now_ms: int) -> None:
        """Message `number` left; `last` maps its devices to the last sequence it carries."""
        self._sent[number] = Sent(now_ms, last)
        for device, seq in last.items():
            lane = self._lanes[device]
            lane.cursor = seq
            lane.under_way += 1

    def answered(self, number: int, refused: Iterable[tuple[int, int, int]], now_ms: int) -> None:
        """The ledger answered `number`; its receipts are already applied to the store."""
        self._silent_ms = 0
        self._quiet_until_ms = 0
        if number not in self._sent:
            return
        # Messages keep their order on the way: an older one without an answer is lost.
        for older in list(self._sent):
            if older == number:
                break
            self._lose(self._sent.pop(older))
        sent = self._sent.pop(number)
        disposed = {(device, seq) for device, seq, _code in refused}
        for device, last in sent.last.items():
            lane = self._lanes[device]
            booked = self._receipted(device)
            if booked >= last:
                lane.pause_ms = 0
            elif (device, last) not in disposed and not lane.rewind:
                self._stall(lane, now_ms)
            self._landed(lane)

    def tick(self, now_ms: int) -> bool:
        """Give up on a silent ledger for a while; True if that happened now."""
        if not self._sent:
            return False
        oldest = self._oldest_ms()
        if now_ms - oldest < ANSWER_MS:
            return False
        self.restart()
        self._silent_ms = min(max(2 * self._silent_ms, ANSWER_MS), PAUSE_MS_MAX)
        self._quiet_until_ms = oldest + self._silent_ms
        return True

    def restart(self) -> None:
        """Forget what is under way and begin every lane after its last booked record."""
        self._sent.clear()
        self._quiet_until_ms = 0
        for lane in self._lanes.values():
            lane.under_way = 0
            if lane.cursor > self._receipted(lane.device):
                lane.rewind = True
                self._wake(lane)

    def due_ms(self, now_ms: int) -> int | None:
        """When time alone changes something; None if only a message can."""
        times = [self._lanes[device].resume_ms for device in self._paused]
        if self._sent:
            times.append(self._oldest_ms() + ANSWER_MS)
        elif self._ready:
            times.append(max(now_ms, self._quiet_until_ms))
        return min(times) if times else None

    def hurry(self) -> None:
        """End the pause of a silent ledger: it said that it is back."""
        self._quiet_until_ms = 0

    def _lane(self, device: int) -> Lane:
        lane = self._lanes.get(device)
        if lane is None:
            lane = self._lanes[device] = Lane(device, self._receipted(device))
        return lane

    def _oldest_ms(self) -> int:
        return next(iter(self._sent.values())).sent_ms  # dicts keep the order of sending

    # --- lanes -------------------------------------------------------------------------------

    def _lose(self, sent: Sent) -> None:
        for device, last in sent.last.items():
            lane = self._lanes[device]
            if self._receipted(device) < last:
                lane.rewind = True
            self._landed(lane)

    def _landed(self, lane: Lane) -> None:
        lane.under_way -= 1
        if lane.rewind:
            self._wake(lane)

    def _stall(self, lane: Lane, now_ms: int) -> None:
        # Answered, but not booked and not refused: asking at once would only be answered the same.
        lane.rewind = True
        lane.pause_ms = min(max(2 * lane.pause_ms, ANSWER_MS), PAUSE_MS_MAX)
        lane.resume_ms = now_ms + lane.pause_ms
        self._paused.add(lane.device)

    def _resume(self, now_ms: int) -> None:
        for device in [d for d in self._paused if self._lanes[d].resume_ms <= now_ms]:
            self._paused.discard(device)
            self._wake(self._lanes[device])

    def _wake(self, lane: Lane) -> None:
        if lane.rewind and lane.under_way == 0:
            lane.cursor = self._receipted(lane.device)
            lane.rewind = False
        blocked = lane.rewind or lane.device in self._paused or lane.device in self._queued
        if not blocked:
            self._ready.append(lane.device)
            self._queued.add(lane.device)
