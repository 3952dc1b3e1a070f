"""A reader's end of a serial line that the agent polls: what MqttClient is on a network.

The calls and events are MqttClient's, so one uplink has either (docs/adr/0027-serial-line.md):
bytes in, events out, bytes to send; no UART, no clock, no randomness but what is given.

Rules of this file. A reader speaks only when it is polled, at once or not at all: a poll behind
which another frame follows is not answered, and what was not looked at in time the driver throws
away (firmware/drivers/rs485.py). The same poll again gets the same answer, and is heard once.
A session has a number that the reader draws, so that two readers with one device number, which
both hear every poll, do not both answer; only one that begins is answered by both, not at the same
time. Without polls a session is over.
"""

from protocols.wire.frame import (
    MORE,
    PIECE_BYTES_MAX,
    SEQUENCE,
    START,
    UP,
    FrameReader,
    encode_frame,
)
from protocols.wire.mqtt import (
    CONNACK,
    CONNECTION_DEAD,
    PACKET_TOO_LONG,
    PUBLISH,
    SUBACK,
    WINDOW_FULL,
    MqttError,
)
from protocols.wire.mqtt_client import WINDOW_MAX

MESSAGE_BYTES_MAX = 1024  # what an agent says is half as long
LOOK_MS = 40  # how often a line is looked at on which nothing happens
SLOT_MS, SLOTS = 8, 4  # when the answer to a beginning comes
SILENCE_MS = 5000
QUEUE_MAX = 3  # messages that wait; a reader has no heap for more of the longest


class SerialClient:
    """One session after the other, each begun by the agent; see MqttClient for the calls.

    `device` is the address; `urandom(count)` gives bytes. Of what is published only messages
    count: on a polled line the agent sees for itself whether a reader is there.
    """

    def __init__(self, device, urandom):
        self._device = device
        self._urandom = urandom
        self._topic = ""
        self._now_ms = 0
        self.connect(0)

    def connect(self, now_ms):
        """Wait for a poll that begins a session: the one before is forgotten."""
        self._frames = FrameReader()
        self._now_ms = now_ms
        self._begin(0)
        self._answer_ms = None  # when to answer the poll that came last

    def _begin(self, session):
        self._session = session
        self._sequence = START
        self._heard_ms = self._now_ms
        self._queue = []  # messages that have not arrived yet, as far as we know
        self._offset = self._said = 0  # how much of the first has arrived, and was said
        self._heard = b""
        self._last = b""

    # -- what we say ------------------------------------------------------------------------

    def subscribe(self, topic):
        """What comes is of this topic."""
        self._topic = topic

    def publish(self, _topic, payload, qos=1, retain=False):
        """Say a message when we are polled; a status (`retain`) is what the agent sees itself."""
        if not retain:
            if len(self._queue) >= QUEUE_MAX:
                raise MqttError(WINDOW_FULL)
            self._queue.append(payload)

    @property
    def unacked(self):
        """How many messages wait, counted so that QUEUE_MAX of them fill a window."""
        return len(self._queue) + WINDOW_MAX - QUEUE_MAX

    def data_to_send(self):
        """The answer to a poll once it is due, else no bytes."""
        if self._answer_ms is None or self._now_ms < self._answer_ms:
            return b""
        self._answer_ms = None
        if not self._last:
            piece, control = b"", UP | self._sequence
            # As a session begins nobody listens to more than its number.
            if self._queue and self._sequence != START:
                message = self._queue[0]
                piece = message[self._offset : self._offset + PIECE_BYTES_MAX]
                if self._offset + len(piece) < len(message):
                    control |= MORE
            self._said = len(piece)
            self._last = encode_frame(self._device, self._session, control, piece)
        return self._last

    # -- what we hear -----------------------------------------------------------------------

    def receive(self, data):
        """The events that `data` completes: CONNACK and SUBACK as a session begins, PUBLISH."""
        events = []
        for device, session, control, piece in self._frames.feed(data):
            if control & UP:
                continue
            # When somebody else is asked, nobody waits for our answer any more.
            self._answer_ms = None
            if device != self._device:
                continue
            sequence = control & SEQUENCE
            if sequence == START:
                if not session or session != self._session:
                    self._take_start(events)
            elif session == self._session and session:
                self._take_poll(sequence, control & MORE, piece, events)
        return events

    def _take_start(self, events):
        drawn = self._urandom(2)
        self._begin((drawn[0] << 8 | drawn[1]) or 1)
        self._answer_ms = self._now_ms + drawn[1] % SLOTS * SLOT_MS
        events.append((CONNACK, 0, False))
        events.append((SUBACK, 0, (1,)))

    def _take_poll(self, sequence, more, piece, events):
        if sequence != self._sequence:
            if sequence != self._sequence % SEQUENCE + 1:
                return
            self._sequence = sequence
            self._take_arrival()
            self._heard += piece
            if len(self._heard) > MESSAGE_BYTES_MAX:
                raise MqttError(PACKET_TOO_LONG)
            if self._heard and not more:
                events.append((PUBLISH, self._topic, self._heard, 0, False, 0, False))
                self._heard = b""
        self._heard_ms = self._answer_ms = self._now_ms

    def _take_arrival(self):
        """Our last answer has arrived: the agent went on."""
        self._last = b""
        if self._said:
            self._offset += self._said
            self._said = 0
            if self._offset == len(self._queue[0]):
                self._queue.pop(0)
                self._offset = 0

    # -- time -------------------------------------------------------------------------------

    def tick(self, now_ms):
        """The time of what follows; MqttError CONNECTION_DEAD when nobody has polled for long."""
        self._now_ms = now_ms
        if self._session and now_ms - self._heard_ms >= SILENCE_MS:
            raise MqttError(CONNECTION_DEAD)
        return self.due_ms()

    def due_ms(self):
        """When `tick` has to be called again, unless bytes arrive before."""
        due_ms = self._now_ms + LOOK_MS
        return due_ms if self._answer_ms is None else min(due_ms, self._answer_ms)
