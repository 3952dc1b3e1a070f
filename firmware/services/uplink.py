"""The uplink: carries the journal's records to the building's agent, and its receipts back.

Rules of this file. Nothing here waits: a step does what the socket takes and gives, and says when
it wants to be called again. Only a receipt that our own key has sealed, about a record that stands
in our own journal, frees anything. What arrives with RETAIN set was said to someone else, some
other time: it is dropped and counted. Whatever goes wrong with a connection ends it; the next one
begins with a HELLO and needs nothing from the one before.
"""

from protocols.link.delivery import (
    NOTHING,
    SEND_HELLO,
    Delivery,
    DeliveryError,
)
from protocols.rules.settings import POLICY_PAGE
from protocols.wire import cbor, messages, seal, topics
from protocols.wire.errors import WireError
from protocols.wire.mqtt import (
    CONNACK,
    CONNECTION_DEAD,
    CONNECTION_REFUSED,
    PUBLISH,
    SUBACK,
    SUBSCRIPTION_REFUSED,
    MqttError,
)
from protocols.wire.mqtt_client import WINDOW_MAX

KEEPALIVE_S = 60
DIAL_MS = 10000
BACKOFF_MS, BACKOFF_MS_MAX = 1000, 15000  # with jitter: 1 to 30 s
LINK_POLL_MS = 1000  # how often a link that is down is looked at
SOCKET_POLL_MS = 50  # how often a socket that is not ready is tried, if nobody waits for it
READ_BYTES, READS_PER_STEP = 512, 4
# CBOR around the records of a BATCH: map, type, device, array, and three bytes for each record.
_BATCH_HEAD_BYTES = 16 + 3 * messages.BATCH_RECORDS_MAX
_SENDS_MAX = 8
_DOWN, _DIALLING, _GREETING, _READY = 0, 1, 2, 3
_STATE, _BOOT_ID = 1, 2  # keys of a status message
_ANSWERS = (messages.STORED, messages.RECEIPT, messages.RELAY, messages.CARDS)
_TAG_BYTES = 8  # of a record's tag, as a receipt carries it


class Uplink:
    """One device's link to its agent, over whatever `board.net` is and speaks.

    `source` is the journal's side: boot_id, head_seq(), receipted_seq(), records_from(seq,
    count_max, bytes_max), tag_at(seq) -> bytes or None, is_sealed_with(key, seq).
    `on_receipt(upto, time_s, sent_ms, now_ms)`: records up to `upto` are booked, and the ledger's
    clock read `time_s` between `sent_ms` and `now_ms` of ours (`sent_ms` is None if that record
    may have been sent before this boot). Make the uplink before the first record of a boot is
    written, so that it can tell.
    `on_relay(sealed, now_ms)` takes what the ledger says beside that, and returns the name of the
    counter that says why not, or ""; None while nobody listens. `on_cards(fields, now_ms)`: the
    same for a CARDS of the agent, `on_policy(data, now_ms)` for one that brings a policy.
    `counters` (name -> int) only grow. `last_error` (text) says why the last connection ended.
    """

    def __init__(self, board, source, site, device, device_key, on_receipt):
        self._net = board.net
        self._address = (board.settings["broker_host"], board.settings["broker_port"])
        self._source = source
        self._device = device
        self._receipt_key = seal.derive(device_key, messages.RECEIPT_LABEL)
        self._previous_key = board.settings.get("previous_device_key")
        self._on_receipt = on_receipt
        self.on_relay = self.on_cards = self.on_policy = None
        self._up = topics.up(site, device)
        self._down = topics.down(site, device)
        self._status = topics.status(site, device)
        self._client = board.net.client(
            "onecard-%d" % device,
            KEEPALIVE_S,
            self._status,
            self._status_of("lost"),
            board.settings.get("broker_username"),
            board.settings.get("broker_password"),
        )
        self._delivery = Delivery(source.head_seq(), source.receipted_seq())
        self._sends = FirstSends(source.head_seq())
        self._stream = None
        self._stage = _DOWN
        self._stage_ms = 0
        self._retry_ms = 0
        self._attempts = 0  # connections since the agent answered last
        self._unsent = b""
        self._offset = 0
        self.last_error = ""
        self.counters = {
            "sessions": 0,  # subscribed and ready
            "lost": 0,  # connections that ended, or never began
            "retained": 0,
            "foreign": 0,  # of another topic or device
            "malformed": 0,
            "forged": 0,  # what no key of ours, or not the right one, has sealed
            "mismatched": 0,  # receipts for a record that is not ours
            "repeated": 0,  # receipts and relays that came before, or late
            "refused": 0,  # answers beyond our head, a policy that flash did not take
            "unreadable": 0,  # the journal did not give a record
        }

    @property
    def online(self):
        """Whether the link is up and the agent has answered, and owes no overdue answer."""
        return self._delivery.answering and self._net.is_up()

    @property
    def wants_write(self):
        """Whether the stream should also be waited on for writing."""
        return self._stage == _DIALLING or len(self._unsent) > 0

    @property
    def stream(self):
        """The stream to wait on, or None while there is none."""
        return self._stream

    def step(self, now_ms):
        """Do what can be done without waiting; returns when (ms) to call again.

        Call it earlier when the stream is ready or a record has been written.
        """
        try:
            if self._stage == _DOWN:
                return self._dial(now_ms)
            if self._stage == _DIALLING and not self._greet(now_ms):
                return min(now_ms + SOCKET_POLL_MS, self._stage_ms + DIAL_MS)
            return self._exchange(now_ms)
        except (OSError, MqttError) as error:
            self._drop(error, now_ms)
            return self._retry_ms

    def say(self, message_type, fields):
        """Send a message beside the records now or not at all; whether it is on its way.

        It is kept nowhere and sent once a connection: what is not answered has not been said.
        """
        # The last place in the window is for records.
        if self._stage != _READY or self._unsent or self._client.unacked >= WINDOW_MAX - 1:
            return False
        fields["device"] = self._device
        self._client.publish(self._up, messages.encode_message(message_type, fields))
        return True

    # -- connecting -------------------------------------------------------------------------

    def _dial(self, now_ms):
        if now_ms < self._retry_ms:
            return self._retry_ms
        if not self._net.is_up():
            return now_ms + LINK_POLL_MS
        self._stage, self._stage_ms = _DIALLING, now_ms
        self._stream = self._net.open(self._address[0], self._address[1])
        return now_ms

    def _greet(self, now_ms):
        """Send CONNECT once there is a connection; False while there is none."""
        if not self._stream.connected():
            if now_ms - self._stage_ms >= DIAL_MS:
                raise MqttError(CONNECTION_DEAD)
            return False
        self._client.connect(now_ms)
        self._stage = _GREETING
        return True

    def _drop(self, error, now_ms):
        self.last_error = str(error)
        self.counters["lost"] += 1
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        self._stage = _DOWN
        self._unsent = b""
        self._delivery.disconnected()
        self._retry_ms = now_ms + backoff_ms(self._attempts, self._device)
        self._attempts += 1

    # -- a connection -----------------------------------------------------------------------

    def _exchange(self, now_ms):
        self._client.tick(now_ms)
        self._write()
        more = self._read(now_ms)
        due_ms = self._deliver(now_ms)
        self._write()
        if more:
            return now_ms
        if self._unsent:
            due_ms = min(due_ms, now_ms + SOCKET_POLL_MS)
        return min(due_ms, self._client.due_ms())

    def _write(self):
        while True:
            if not self._unsent:
                self._unsent, self._offset = self._client.data_to_send(), 0
                if not self._unsent:
                    return
            count = self._stream.send(memoryview(self._unsent)[self._offset :])
            if count == 0:
                return
            self._offset += count
            if self._offset == len(self._unsent):
                self._unsent = b""

    def _read(self, now_ms):
        """Take in what has arrived, within bounds; True if there may be more."""
        for _ in range(READS_PER_STEP):
            data = self._stream.recv(READ_BYTES)
            if data is None:
                return False
            if not data:
                raise OSError("closed by the broker")
            for event in self._client.receive(data):
                self._take(event, now_ms)
        return True

    def _take(self, event, now_ms):
        kind = event[0]
        if kind == PUBLISH:
            self._take_message(event, now_ms)
        elif kind == CONNACK:
            if event[1] != 0:
                raise MqttError(CONNECTION_REFUSED)
            self._client.subscribe(self._down)
        elif kind == SUBACK:
            if event[2][0] == SUBSCRIPTION_REFUSED:
                raise MqttError(CONNECTION_REFUSED)
            self._stage = _READY
            self.counters["sessions"] += 1
            self._client.publish(self._status, self._status_of("online"), retain=True)
            self._delivery.connected(now_ms)

    def _status_of(self, state):
        return cbor.encode({_STATE: state, _BOOT_ID: self._source.boot_id})

    # -- records up -------------------------------------------------------------------------

    def _deliver(self, now_ms):
        """Send what delivery wants; returns when it wants to be asked again."""
        if self._stage != _READY or self._unsent or self._client.unacked >= WINDOW_MAX:
            # A PUBACK or the socket brings us back here, or the client ends the connection.
            return self._client.due_ms()
        delivery = self._delivery
        delivery.advance(self._source.head_seq())
        wanted = delivery.wanted(now_ms)
        if wanted == SEND_HELLO:
            self._send_hello()
            delivery.hello_sent(now_ms)
        elif wanted != NOTHING:
            upto = delivery.stored + self._send_batch(delivery.stored + 1)
            self._sends.note(upto, now_ms)
            delivery.batch_sent(upto, now_ms)
        return delivery.due_ms(now_ms)

    def _send_hello(self):
        fields = {
            "device": self._device,
            "boot_id": self._source.boot_id,
            "receipted": self._delivery.receipted,
            "head": self._delivery.head,
        }
        self._client.publish(self._up, messages.encode_message(messages.HELLO, fields))

    def _send_batch(self, first):
        """Publish the records from `first` on; how many (0 if the journal gives none)."""
        records = self._source.records_from(
            first, messages.BATCH_RECORDS_MAX, messages.BATCH_BYTES_MAX - _BATCH_HEAD_BYTES
        )
        if records:
            fields = {"device": self._device, "records": records}
            self._client.publish(self._up, messages.encode_message(messages.BATCH, fields))
        else:
            # Delivery waits for an answer as if it had been sent: that is the back-off.
            self.counters["unreadable"] += 1
        return len(records)

    # -- answers down -----------------------------------------------------------------------

    def _take_message(self, event, now_ms):
        _, topic, payload, qos, retain, packet_id, _ = event
        reason = "retained" if retain else "foreign" if topic != self._down else ""
        if not reason:
            try:
                reason = self.hear(payload, now_ms)
            except WireError:
                reason = "malformed"
            except DeliveryError:
                reason = "refused"
        if reason:
            self.counters[reason] += 1
        if qos:
            self._client.puback(packet_id)

    def hear(self, payload, now_ms):
        """Follow what the agent says, however it came; the counter that says why not, or "".

        WireError, DeliveryError for what it cannot have said.
        """
        fields = messages.decode_message(payload, _ANSWERS)
        if fields["device"] != self._device:
            return "foreign"
        if fields["type"] == messages.RELAY:
            return self.on_relay(fields["sealed"], now_ms) if self.on_relay else "foreign"
        if fields["type"] == messages.CARDS and fields["page"] == POLICY_PAGE and self.on_policy:
            return self.on_policy(fields["data"], now_ms)
        if fields["type"] == messages.CARDS:
            return self.on_cards(fields, now_ms) if self.on_cards else "foreign"
        if fields["type"] == messages.RECEIPT:
            return self._take_receipt(fields["sealed"], now_ms)
        self._delivery.on_stored(fields["upto"], now_ms)
        self._attempts = 0
        return ""

    def _take_receipt(self, sealed, now_ms):
        is_previous = False
        payload = _unsealed(self._receipt_key, sealed)
        if payload is None and self._previous_key:
            is_previous = True
            payload = _unsealed(seal.derive(self._previous_key, messages.RECEIPT_LABEL), sealed)
        if payload is None:
            return "forged"
        receipt = messages.decode_receipt(payload)
        upto = receipt["upto"]
        if receipt["device"] != self._device:
            return "foreign"
        if upto <= self._delivery.receipted:
            return "repeated"
        if is_previous and not self._source.is_sealed_with(self._previous_key, upto):
            return "forged"
        if upto <= self._delivery.head and not self._is_ours(upto, receipt["tag"]):
            return "mismatched"
        self._delivery.on_receipt(upto, now_ms)
        self._on_receipt(upto, receipt["time_s"], self._sends.take(upto), now_ms)
        return ""

    def _is_ours(self, seq, tag):
        """Whether the record in our journal is the one the ledger has booked."""
        ours = self._source.tag_at(seq)
        return ours is not None and bytes(ours[:_TAG_BYTES]) == tag


def _unsealed(receipt_key, sealed):
    try:
        return seal.unseal(receipt_key, sealed, messages.RECEIPT_LABEL)
    except WireError:
        return None


class FirstSends:
    """When records were first sent: a receipt is younger than the record it is about.

    Remembers a few batches. Where it must forget it keeps the earlier time, which is always true
    too. Of records up to `floor` it knows nothing: an earlier boot may have sent them.
    """

    def __init__(self, floor):
        self._upto = floor
        self._floor = floor
        self._sends = []  # (last sequence, now_ms), in order

    def note(self, upto, now_ms):
        """Records up to `upto` are on their way; those that were sent before keep their time."""
        if upto <= self._upto:
            return
        self._upto = upto
        self._sends.append((upto, now_ms))
        if len(self._sends) > _SENDS_MAX:
            first = self._sends.pop(0)
            self._sends[0] = (self._sends[0][0], first[1])

    def take(self, upto):
        """When record `upto` was first sent (ms), or None; forgets what lies before it."""
        sent_ms = None
        while self._sends and sent_ms is None:
            if upto <= self._sends[0][0]:
                sent_ms = self._sends[0][1]
            else:
                self._sends.pop(0)
        return sent_ms if upto > self._floor else None


def backoff_ms(attempts, device):
    """How long to wait after so many failures: 1 to 30 s, spread by device and attempt.

    The spread is a hash, not chance: a thousand readers that lose one broker come back one by
    one, and do so the same way in every run.
    """
    base_ms = min(BACKOFF_MS << min(attempts, 8), BACKOFF_MS_MAX)
    spread = (device * 40503 + attempts * 30011 ^ device >> 7) & 0xFFFF
    return base_ms + (base_ms * spread >> 16)
