"""The agent's end of a serial line: whom it polls, what it says, what it makes of answers.

Bytes in, bytes to send, messages; no port and no clock: a thread over pyserial steps it
(serial_line.py), and so does the simulator's bus. The readers' end is
protocols/wire/serial_client.py.

Rules of this file. Nobody but us speaks unasked, so a poll waits for its answer or for the time an
answer may take, never longer. What was not answered is said again, word for word, and counts once.
Readers that answer come first: among their polls stands one look a round, for a missing reader or
for a second one of a number, and costs the others its time-out. A number that two readers answer
to gets no session: both keep their records, and somebody is told.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from protocols.wire.frame import (
    FRAME_BYTES_MAX,
    MORE,
    PIECE_BYTES_MAX,
    SEQUENCE,
    START,
    UP,
    FrameReader,
    encode_frame,
)
from protocols.wire.messages import BATCH_BYTES_MAX

ANSWER_MS = 150  # until an answer has begun; a reader throws away what is 80 ms old
GAP_MS = 3  # until its driver is off
PACE_MS = 100  # between two polls of a reader with nothing to say
MISSES_MAX = 8
SEEK_MS, SEEK_MS_MAX = 500, 8_000  # between two looks for a missing reader
TWICE_MS = 30_000  # and for one that was there twice
CALL_MS = 60_000  # between two questions whether there is a second reader of a number
NOISE_MS = 500  # how long others may keep us from speaking
QUEUE_MAX = 32
INBOX_MAX = 64
_BITS_PER_BYTE = 10


@dataclass
class Station:
    """One reader of the line, as we know it."""

    device: int
    session: int = 0  # 0: it has to be looked for
    sequence: int = START
    due_ms: int = 0  # of the next poll in a session
    look_ms: int = 0  # when to look who else, or who at all, has this number
    seek_ms: int = SEEK_MS
    misses: int = 0
    state: str = ""  # what was last told of it
    frame: bytes = b""  # the poll that is not answered yet
    queue: deque[bytes] = field(default_factory=deque)
    offset: int = 0
    said: int = 0
    heard: bytes = b""


class Polling:
    """The master of one line. `devices` are its readers; `baud` is in bits per second.

    In every turn of a loop: `receive` what has arrived, `step`, and write `data_to_send`. Messages
    of readers come to `inbox` as (device, payload). `events` are (what, device) for people:
    "reader_up", "reader_silent", "reader_garbled" (it answers, nothing whole arrives),
    "reader_twice", "line_babbles" (with the device number that is in the frames nobody asked for,
    or 0), "line_quiet". `counters` only grow.
    """

    def __init__(self, devices: list[int], baud: int) -> None:
        self._stations = {device: Station(device) for device in devices}
        self._baud = baud
        self.inbox: deque[tuple[int, bytes]] = deque()
        self.events: deque[tuple[str, int]] = deque()
        self.counters: Counter[str] = Counter()
        self._frames = FrameReader()
        self._out = b""
        self._asked: Station | None = None
        self._is_look = False  # what was asked is who is there
        self._answers: dict[int, None] = {}  # numbers of sessions that were answered with
        self._garbled_before = 0
        self._deadline_ms = 0
        self._free_ms = 0
        self._noisy_from_ms: int | None = None
        self._is_babbling = False
        self._polls_since_look = 0

    # -- what a loop needs ----------------------------------------------------------------------

    def step(self, now_ms: int) -> int:
        """Do what is due; when (ms) to call again unless bytes arrive before."""
        if self._asked is not None:
            if now_ms < self._deadline_ms:
                return self._deadline_ms
            self._time_out(self._asked, now_ms)
        if now_ms < self._free_ms:
            return self._free_ms
        if len(self.inbox) >= INBOX_MAX:
            # The agent's disk refuses; readers find out by themselves that nobody polls.
            return now_ms + PACE_MS
        stations = self._stations.values()
        live = next((each for each in stations if each.session and each.due_ms <= now_ms), None)
        # Who has waited longest: with many that are missing, the first ones would take every look.
        due = [each for each in stations if each.look_ms <= now_ms]
        look = min(due, key=lambda each: each.look_ms, default=None)
        if look and (live is None or self._polls_since_look >= self.readers_up()):
            self._look(look, now_ms)
        elif live:
            self._poll(live, now_ms)
        else:
            due_ms = [each.due_ms for each in stations if each.session]
            return min(due_ms + [each.look_ms for each in stations])
        return self._deadline_ms

    @property
    def is_waiting(self) -> bool:
        """Whether somebody was asked and has not answered."""
        return self._asked is not None

    def data_to_send(self) -> bytes:
        data, self._out = self._out, b""
        return data

    def send(self, device: int, payload: bytes) -> bool:
        """Say a message to a reader; False if it is not there or has too much to hear already."""
        station = self._stations[device]
        if not station.session or len(station.queue) >= QUEUE_MAX:
            self.counters["not_sent"] += 1
            return False
        station.queue.append(payload)
        station.due_ms = 0
        return True

    def reset(self) -> None:
        """The line was opened anew: every reader has to be looked for."""
        self._frames = FrameReader()
        self._asked, self._out, self._free_ms, self._noisy_from_ms = None, b"", 0, None
        for station in self._stations.values():
            self._end(station, "", 0)
            station.seek_ms = SEEK_MS

    def readers_up(self) -> int:
        return sum(1 for station in self._stations.values() if station.session)

    def turn_ms_max(self) -> int:
        """The longest time between two polls of a reader that answers, in milliseconds.

        All others answer as late and as long as they may, and one missing reader is looked for.
        """
        live_ms = 2 * self._wire_ms(FRAME_BYTES_MAX) + ANSWER_MS + GAP_MS
        return len(self._stations) * live_ms + live_ms

    def _wire_ms(self, size: int) -> int:
        return -(-size * _BITS_PER_BYTE * 1000 // self._baud)

    # -- asking ---------------------------------------------------------------------------------

    def _look(self, station: Station, now_ms: int) -> None:
        self._polls_since_look = 0
        self._answers = {}
        self._garbled_before = self._frames.garbled
        # Of a session that stands, only somebody else of that number answers.
        self._ask(station, bytes(encode_frame(station.device, station.session, START)), now_ms)
        self._is_look = True

    def _poll(self, station: Station, now_ms: int) -> None:
        self._polls_since_look += 1
        # Those that were asked longest ago stand first in the table.
        self._stations[station.device] = self._stations.pop(station.device)
        if not station.frame:
            station.frame = self._poll_of(station)
        self._ask(station, station.frame, now_ms)
        self._is_look = False

    def _ask(self, station: Station, frame: bytes, now_ms: int) -> None:
        self._asked, self._out = station, frame
        self.counters["polls"] += 1
        answer_ms = ANSWER_MS + self._wire_ms(FRAME_BYTES_MAX)
        self._deadline_ms = now_ms + self._wire_ms(len(frame)) + answer_ms

    def _poll_of(self, station: Station) -> bytes:
        station.sequence = station.sequence % SEQUENCE + 1
        piece, control = b"", station.sequence
        if station.queue:
            message = station.queue[0]
            piece = message[station.offset : station.offset + PIECE_BYTES_MAX]
            if station.offset + len(piece) < len(message):
                control |= MORE
        station.said = len(piece)
        return bytes(encode_frame(station.device, station.session, control, piece))

    def _time_out(self, station: Station, now_ms: int) -> None:
        self._asked = None
        self._feed(b"\x00")  # half a frame that is here by now is none
        if not self._is_look:
            self.counters["unanswered"] += 1
            station.misses += 1
            if station.misses >= MISSES_MAX:
                self._end(station, "reader_silent", now_ms)
        elif station.session:
            station.look_ms = now_ms + CALL_MS
            if self._answers:
                # A second one, or the same after a reset: from the beginning we can tell.
                self._end(station, "", now_ms)
        elif len(self._answers) > 1:
            self._end(station, "reader_twice", now_ms + TWICE_MS)
        elif self._answers:
            self._begin(station, now_ms)
        elif self._frames.garbled > self._garbled_before:
            # It answers, and nothing whole arrives: a bad line, or two at the same time.
            self._end(station, "reader_garbled", now_ms + SEEK_MS)
        else:
            self._end(station, "reader_silent", now_ms + station.seek_ms)
            station.seek_ms = min(2 * station.seek_ms, SEEK_MS_MAX)

    def _begin(self, station: Station, now_ms: int) -> None:
        station.session = next(iter(self._answers))
        station.due_ms, station.seek_ms = now_ms, SEEK_MS
        station.look_ms = now_ms + CALL_MS
        self.counters["sessions"] += 1
        self._tell(station, "reader_up")

    def _end(self, station: Station, why: str, look_ms: int) -> None:
        """No session; what was to be said is forgotten: who missed it asks again."""
        station.session, station.sequence, station.misses = 0, START, 0
        station.frame, station.heard = b"", b""
        station.offset = station.said = 0
        station.queue.clear()
        station.look_ms = look_ms
        if why:
            self._tell(station, why)

    def _tell(self, station: Station, what: str) -> None:
        if station.state != what:
            station.state = what
            self.counters[what] += 1
            self.events.append((what, station.device))

    # -- hearing --------------------------------------------------------------------------------

    def receive(self, data: bytes, now_ms: int) -> None:
        """Take what has arrived by `now_ms`."""
        if not data:
            return
        was_asked = self._asked is not None
        unasked = 0
        for device, session, control, piece in self._feed(data):
            station = self._asked
            if not control & UP:
                self.counters["echoed"] += 1  # of an adapter that hears itself
            elif station is None or station.device != device:
                self.counters["unasked"] += 1
                unasked = device
            elif self._is_look:
                if control == UP and session:
                    self._answers[session] = None
            elif session == station.session and control & SEQUENCE == station.sequence:
                self._take_answer(station, control, piece, now_ms)
            else:
                self.counters["late"] += 1  # of a poll before, or of a second reader
        if not was_asked or unasked:
            self._note_noise(unasked, now_ms)

    def _feed(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        before = self._frames.garbled
        frames = self._frames.feed(data)
        self.counters["garbled"] += self._frames.garbled - before
        return frames

    def _take_answer(self, station: Station, control: int, piece: bytes, now_ms: int) -> None:
        self._asked = None
        self._free_ms = now_ms + GAP_MS
        self._hear_quiet()
        station.misses = 0
        station.frame = b""
        if station.said:
            station.offset += station.said
            if station.offset >= len(station.queue[0]):
                station.queue.popleft()
                station.offset = 0
        station.heard += piece
        if len(station.heard) > BATCH_BYTES_MAX:
            self.counters["too_long"] += 1
            station.heard = b""
        elif station.heard and not control & MORE:
            self.inbox.append((station.device, station.heard))
            self.counters["received"] += 1
            station.heard = b""
        is_busy = piece or station.queue
        station.due_ms = now_ms if is_busy else now_ms + PACE_MS

    def _note_noise(self, device: int, now_ms: int) -> None:
        """Somebody speaks unasked: we wait for an end of it, but not for ever."""
        self.counters["noise"] += 1
        if self._noisy_from_ms is None:
            self._noisy_from_ms = now_ms
        if now_ms - self._noisy_from_ms < NOISE_MS:
            self._free_ms = max(self._free_ms, now_ms + GAP_MS)
        elif not self._is_babbling:
            self._is_babbling = True
            self.counters["line_babbles"] += 1
            self.events.append(("line_babbles", device))

    def _hear_quiet(self) -> None:
        self._noisy_from_ms = None
        if self._is_babbling:
            self._is_babbling = False
            self.events.append(("line_quiet", 0))
