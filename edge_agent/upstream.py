"""The agent's side towards the ledger: FORWARD out, RECEIPTS in, RELAY both; cards.py the rest.

Rules of this file. Only what carries the ledger's signature counts, and it counts no matter which
question it answers: receipts are cumulative. A broker's acknowledgement counts for nothing. When
and what to send again is decided in outbox.py. A RELAY is none of ours: its ends check its seal.
While the ledger is away (no connection, or its status says so and no receipts have come since)
none is handed on.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.mqtt import Message, MqttPort
from edge_agent.cards import CardSide
from edge_agent.disk import StoreUnavailable
from edge_agent.outbox import Lane, Outbox
from edge_agent.progress import Progress
from edge_agent.store import Store
from protocols.wire import messages, topics
from protocols.wire.errors import BAD_SIGNATURE, BAD_TOPIC, UNSUPPORTED, WireError
from protocols.wire.ledger_status import STATUS_OFFLINE
from protocols.wire.routing import route
from protocols.wire.seal import sign1_split, sign1_tbs

# What a FORWARD holds beside its records' bytes, and what CBOR adds to each of them (at most).
_FORWARD_HEAD_BYTES = 64
_RECORD_HEAD_BYTES = 3
RETRY_MS = 1_000
ANSWERS_PER_STEP_MAX = 64
RELAYS_UNACKED_MAX = 256  # beyond it the line is jammed, and what is asked for would come late


class UpstreamSide:
    """Forwards from `store` through `port` as `outbox` says; `counters` only grow."""

    def __init__(
        self,
        site: str,
        port: MqttPort,
        store: Store,
        outbox: Outbox,
        ledger_public_key: bytes,
        counters: dict[str, int],
        cards: CardSide | None = None,
    ) -> None:
        self._site = site
        self._port = port
        self._store = store
        self._outbox = outbox
        self._key = Ed25519PublicKey.from_public_bytes(ledger_public_key)
        self._counters = counters
        self._cards = cards
        self._receipts_topic = topics.agent_receipts(site)
        self._relay_topic = topics.relay_down(site)
        self._relays: list[tuple[int, bytes]] = []
        self._session = 0
        self._is_away = False  # by its status, and nothing else has come since
        self._number: int | None = None
        self._is_more = False  # answers wait for which there was no room in this step
        self._retry_ms: int | None = None
        self._progress = Progress()

    # --- in ----------------------------------------------------------------------------------

    def collect(self, now_ms: int) -> dict[int, bytes]:
        """Apply the ledger's answers; device -> newest sealed receipt, for the readers."""
        news: dict[int, bytes] = {}
        self._is_more = False
        for _ in range(ANSWERS_PER_STEP_MAX):
            message = self._port.take()
            if message is None:
                break
            try:
                if message.topic == topics.LEDGER_STATUS:
                    self._hear_status(message, now_ms)
                elif message.topic == self._receipts_topic:
                    self._apply(self._verified(message.payload), news, now_ms)
                elif message.topic == self._relay_topic:
                    self._relays.append(_relayed(message))
                elif self._cards is not None and self._cards.is_about_cards(message.topic):
                    self._cards.hear(message, now_ms)
                else:
                    raise WireError(BAD_TOPIC)
            except WireError as error:
                self._count(f"bad_receipts_{error.code}")
            except StoreUnavailable:
                # Not lost: what stays unbooked in our eyes is sent and answered again.
                self._count("store_unavailable")
            self._port.ack(message)
        else:
            self._is_more = True
        return news

    def _hear_status(self, message: Message, now_ms: int) -> None:
        self._is_away = message.payload == STATUS_OFFLINE
        self._outbox.hurry()
        if self._cards is not None and not self._is_away and not message.retain:
            self._cards.hurry(now_ms)  # it has come back, and what it was asked is lost

    def _verified(self, data: bytes) -> dict:
        payload, signature = sign1_split(data)
        try:
            self._key.verify(signature, sign1_tbs(payload, messages.RECEIPTS_LABEL))
        except InvalidSignature:
            raise WireError(BAD_SIGNATURE) from None
        return messages.decode_message(payload, (messages.RECEIPTS,))

    def _apply(self, fields: dict, news: dict[int, bytes], now_ms: int) -> None:
        self._count("answers")
        self._is_away = False  # a will may come late, behind the ledger's return
        advanced = []
        is_fresh = self._outbox.is_under_way(fields["number"])
        for device, upto, sealed in fields["receipts"]:
            if is_fresh:
                self._unbook(device, upto, sealed, now_ms)
            if self._store.apply_receipt(device, upto, sealed, now_ms):
                news[device] = sealed
                advanced.append(device)
                self._count("receipts")
        refused = [tuple(item) for item in fields["refused"]]
        try:
            self._apply_refused(refused, advanced)
        finally:
            self._outbox.answered(fields["number"], refused, now_ms)

    def _unbook(self, device: int, upto: int, sealed: bytes, now_ms: int) -> None:
        """Books that end before what they had booked came from a backup: send it all again."""
        first = self._store.unbook(device, upto, sealed, now_ms)
        if first is not None:
            self._count("unbooked")
            self._count("unbooked_gone", first != upto + 1)
            self._outbox.offer(device, first)

    def _apply_refused(self, refused: list[tuple[int, int, int]], advanced: list[int]) -> None:
        again = {}
        if refused:
            again = self._store.apply_refused(refused)
            for _device, _seq, code in refused:
                self._count(f"refused_{code}")
        for device in advanced:
            first = self._store.retry_refused(device)
            if first is not None:
                again[device] = min(first, again.get(device, first))
        for device, first in again.items():
            self._outbox.offer(device, first)

    def take_relays(self) -> list[tuple[int, bytes]]:
        """What the ledger has said to readers in this step: (device, RELAY message as it came)."""
        relays, self._relays = self._relays, []
        return relays

    # --- out ---------------------------------------------------------------------------------

    def forward(self, now_ms: int) -> None:
        """Send as much as the window allows."""
        if not self._port.connected:
            return
        if self._number is None:
            # Not 1: an answer to our predecessor's question must not look like one to ours.
            self._number = now_ms & 0xFFFFFFFF
        if self._port.sessions != self._session:
            self._session = self._port.sessions
            self._outbox.restart()
        if self._outbox.tick(now_ms):
            self._count("ledger_silent")
        if self._retry_ms is not None and now_ms < self._retry_ms:
            return
        self._retry_ms = None
        while self._outbox.may_send(now_ms) and self._send_one(now_ms):
            pass

    def relay(self, payloads: list[bytes]) -> list[bytes]:
        """Hand the ledger what readers have said to it, now or never.

        Returns what it will not hear, for it is away; where the line is only jammed, whoever asked
        asks again.
        """
        if not self._port.connected or self._is_away:
            self._count("relays_unheard", len(payloads))
            return payloads
        for payload in payloads:
            is_free = self._port.unacked < RELAYS_UNACKED_MAX
            sent = is_free and self._port.publish(topics.relay_up(self._site), payload)
            self._count("relays_up" if sent else "relays_dropped")
        return []

    def _send_one(self, now_ms: int) -> bool:
        records, last, served, unserved = self._gather(now_ms)
        sent = bool(records) and self._publish(records)
        if sent:
            self._outbox.sent(self._number or 0, last, now_ms)
            self._count("forwards")
            self._count("records_forwarded", len(records))
        elif records:
            self._retry_ms = now_ms + RETRY_MS
            unserved = served
        for lane in unserved:
            self._outbox.put_back(lane)
        return sent

    def _gather(self, now_ms: int) -> tuple[list[bytes], dict[int, int], list[Lane], list[Lane]]:
        """Records for one FORWARD, the last of each device, the lanes asked, those with more."""
        records: list[bytes] = []
        last: dict[int, int] = {}
        served: list[Lane] = []
        unserved: list[Lane] = []
        room = messages.FORWARD_BYTES_MAX - _FORWARD_HEAD_BYTES
        while len(records) < messages.FORWARD_RECORDS_MAX:
            lane = self._outbox.next_lane()
            if lane is None:
                break
            served.append(lane)
            count = messages.FORWARD_RECORDS_MAX - len(records)
            try:
                rows = self._store.records_after(lane.device, lane.cursor, count)
            except StoreUnavailable:
                self._count("store_unavailable")
                self._retry_ms = now_ms + RETRY_MS
                unserved.append(lane)
                break
            taken = 0
            for seq, sealed in rows:
                if not _is_record(sealed, lane.device, seq):
                    raise self._store.damaged(lane.device, seq)
                room -= len(sealed) + _RECORD_HEAD_BYTES
                if room < 0:
                    break
                records.append(sealed)
                last[lane.device] = seq
                taken += 1
            if taken < len(rows) or len(rows) == count:
                unserved.append(lane)
            if room < 0:
                break
        return records, last, served, unserved

    def _publish(self, records: list[bytes]) -> bool:
        self._number = ((self._number or 0) + 1) & 0xFFFFFFFF
        fields = {"site": self._site, "number": self._number, "records": records}
        data = messages.encode_message(messages.FORWARD, fields)
        return self._port.publish(topics.agent_records(self._site), data) != 0

    def is_stuck(self, now_ms: int) -> bool:
        """Whether there is something to send that nothing prevents, and it is not sent."""
        could_send = self._port.connected and self._retry_ms is None
        is_work = could_send and self._outbox.may_send(now_ms)
        return self._progress.is_stuck(is_work, self._counters.get("forwards", 0), now_ms)

    def due_ms(self, now_ms: int) -> int | None:
        """When time alone calls for a step; None if only a message or a connection does."""
        if not self._port.connected:
            return None
        if self._is_more:
            return now_ms
        return self._outbox.due_ms(now_ms) if self._retry_ms is None else self._retry_ms

    def _count(self, name: str, number: int = 1) -> None:
        self._counters[name] = self._counters.get(name, 0) + number


def _is_record(sealed: bytes, device: int, seq: int) -> bool:
    """Whether it still says whose it is: else the ledger could not say which one it refuses."""
    try:
        return route(sealed) == (device, seq)
    except WireError:
        return False


def _relayed(message: Message) -> tuple[int, bytes]:
    """For whom a RELAY of the ledger's is, and its bytes; WireError for anything else."""
    if message.retain:
        raise WireError(UNSUPPORTED, "retained")
    fields = messages.decode_message(message.payload, (messages.RELAY,))
    return fields["device"], message.payload
