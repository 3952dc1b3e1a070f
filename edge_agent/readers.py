"""The agent's side towards the readers: HELLO and BATCH in, STORED and RECEIPT out.

RELAY and CARDS go both ways; what is said of cards is answered by cards.py.

Rules of this file. What a reader says is checked whole before any of it is kept; what fails is
counted by its error number, acknowledged so that it does not come again, and forgotten. What is
kept is committed before anyone hears of it: first the commit, then STORED, then (after the service
has forwarded) the broker's acknowledgement. While the disk refuses, nothing is taken and nothing
is acknowledged; records beyond the budget are acknowledged and forgotten, but not STORED. A RELAY
is handed on unopened in the same step or dropped: it is never kept, for it is worthless when late,
and both its ends know what to do without it; that its ledger is away a reader is told (ADR 47). A
reader of another site that was moved here is heard with a RELAY only, and nothing of it is kept
(ADR 25). A reader of this site that is not admitted on its link (admission.py) is not answered at
all.
"""

from typing import Any

from adapters.mqtt import Message, MqttPort
from edge_agent.admission import Admissions
from edge_agent.diagnosis import diagnose
from edge_agent.disk import StoreFull, StoreUnavailable
from edge_agent.hearing import Hearing
from edge_agent.inventory import Inventory
from edge_agent.outbox import Outbox
from edge_agent.progress import Progress
from edge_agent.reader_ports import ReaderPorts
from edge_agent.store import Record, Store, TooManyDevices
from protocols.wire import messages, topics
from protocols.wire.errors import BAD_FIELD, BAD_TOPIC, UNSUPPORTED, WireError
from protocols.wire.routing import route

RECORDS_PER_COMMIT_MAX = 1_024
RELAYS_PER_STEP_MAX = 64
CARD_ASKS_PER_STEP_MAX = 64
STRANGERS_MAX = 64
RETRY_MS = 1_000


_FROM_READERS = (messages.HELLO, messages.BATCH, messages.RELAY, messages.CARDS)


class ReaderSide:
    """Takes from `port`, keeps in `store`, tells `outbox` what is new. `counters` only grow."""

    def __init__(
        self,
        site: str,
        port: MqttPort | ReaderPorts,
        store: Store,
        inventory: Inventory,
        outbox: Outbox,
        counters: dict[str, int],
        hearing: Hearing,
        strangers: bool = False,
        admissions: Admissions | None = None,
    ) -> None:
        self._site = site
        self._admissions = admissions
        self._hears_strangers = strangers
        self._strangers: dict[int, str] = {}  # who has asked, and the site it speaks of
        self._port = port
        self._store = store
        self._inventory = inventory
        self._outbox = outbox
        self._counters = counters
        self._records: list[Record] = []
        self._batches: dict[int, int] = {}  # device -> lowest sequence it sent
        self._hellos: dict[int, dict[str, Any]] = {}
        self._relays: list[bytes] = []
        self._card_asks: list[tuple[int, int, int, bytes]] = []
        self._owed: list[Message] = []
        self._retry_ms: int | None = None
        self._is_more = False  # messages wait for which there was no room in this step
        self._hearing = hearing
        self._progress = Progress()

    # --- in ----------------------------------------------------------------------------------

    def collect(self, now_ms: int) -> None:
        """Take what arrived and make it durable; answers follow in `answer` and `settle`."""
        if self._retry_ms is not None and now_ms < self._retry_ms:
            return
        if self._retry_ms is None:
            self._take_all(now_ms)
        self._commit(now_ms)

    def _take_all(self, now_ms: int) -> None:
        self._is_more = True
        while len(self._records) < RECORDS_PER_COMMIT_MAX:
            message = self._port.take()
            if message is None:
                self._is_more = False
                return
            self._owed.append(message)
            try:
                self._read(message, now_ms)
            except WireError as error:
                self._count(f"bad_up_{error.code}")
            except TooManyDevices:
                self._count("too_many_devices")

    def _read(self, message: Message, now_ms: int) -> None:
        if not self._hearing.may(message, now_ms):
            self._count("messages_too_many")
            return
        site, device = topics.parse_up(message.topic)
        is_stranger = site != self._site
        if is_stranger and not self._hears_strangers:
            raise WireError(BAD_TOPIC, "another site")
        if message.retain:
            # Not news: it would be told again at every connection.
            raise WireError(UNSUPPORTED, "retained")
        kinds = (messages.RELAY,) if is_stranger else _FROM_READERS
        fields = messages.decode_message(message.payload, kinds)
        if fields["device"] != device:
            raise WireError(BAD_FIELD, "another device")
        if is_stranger:
            self._take_stranger(device, site, message.payload)
            return
        if self._admissions and not self._admissions.may(device, message.link, now_ms):
            return
        self._store.mark(device)
        if fields["type"] == messages.HELLO:
            self._hellos[device] = fields
            return
        if fields["type"] == messages.RELAY:
            if len(self._relays) < RELAYS_PER_STEP_MAX:
                self._relays.append(message.payload)
            else:
                self._count("relays_dropped")
            return
        if fields["type"] == messages.CARDS:
            if len(self._card_asks) < CARD_ASKS_PER_STEP_MAX:
                ask = device, fields["epoch"], fields["page"], fields["data"]
                self._card_asks.append(ask)
            else:
                self._count("card_asks_dropped")  # it asks again in five seconds
            return
        records = [(device, _seq_of(sealed, device), sealed) for sealed in fields["records"]]
        self._records.extend(records)
        lowest = min(seq for _device, seq, _sealed in records)
        self._batches[device] = min(lowest, self._batches.get(device, lowest))

    def _take_stranger(self, device: int, site: str, payload: bytes) -> None:
        if len(self._relays) >= RELAYS_PER_STEP_MAX:
            self._count("relays_dropped")
            return
        self._count("strangers")
        self._strangers.pop(device, None)
        if len(self._strangers) == STRANGERS_MAX:
            del self._strangers[next(iter(self._strangers))]  # it asks again in a minute
        self._strangers[device] = site
        self._relays.append(payload)

    def _commit(self, now_ms: int) -> None:
        self._retry_ms = None
        if not self._records:
            return
        try:
            put = self._store.put_many(self._records)
        except StoreFull:
            # They stay where they are. Whatever else readers ask goes on, for days if it must.
            self._count("records_not_taken", len(self._records))
            self._records, self._batches = [], {}
            return
        except StoreUnavailable:
            self._count("store_unavailable")
            self._retry_ms = now_ms + RETRY_MS
            return
        self._note_health(now_ms)
        self._records = []
        self._count("commits")
        self._count("records_stored", put.new)
        self._count("records_repeated", put.repeated)
        self._count("records_in_conflict", put.conflicts)
        self._count("records_beyond_gap", put.beyond_gap)
        for device, first in put.first_new.items():
            self._outbox.offer(device, first)

    def _note_health(self, now_ms: int) -> None:
        for device, _seq, sealed in self._records:
            health = diagnose(sealed, self._inventory.utc_s())
            if health:
                self._inventory.note_health(device, health, now_ms)

    def is_stuck(self, now_ms: int) -> bool:
        """Whether messages wait that nothing prevents us from taking, and none is taken."""
        is_work = self._retry_ms is None and bool(self._owed or self._records)
        return self._progress.is_stuck(is_work, self._counters.get("commits", 0), now_ms)

    # --- out ---------------------------------------------------------------------------------

    def answer(self, now_ms: int) -> None:
        """Publish STORED to every reader that said something which is now on the disk."""
        if self._retry_ms is not None:
            return
        hellos, self._hellos = self._hellos, {}
        batches, self._batches = self._batches, {}
        for device, hello in hellos.items():
            try:
                self._answer_hello(device, hello, now_ms)
            except StoreUnavailable:
                self._count("store_unavailable")  # it asks again in five seconds
        for device, lowest in batches.items():
            if device not in hellos:
                self._answer_batch(device, lowest)

    def _answer_hello(self, device: int, hello: dict[str, Any], now_ms: int) -> None:
        self._count("hellos")
        receipted = hello["receipted"]
        upto = self._store.stored_upto(device, receipted)
        mark = self._store.mark(device)
        refused = self._store.first_refused(device, mark.receipted)
        if refused is not None:
            # It sends those again, and the ledger is asked again (see Store).
            upto = min(upto, refused - 1)
        self._outbox.wake(device)
        self._inventory.note(
            device, hello["boot_id"], hello["head"], max(receipted, mark.receipted), now_ms
        )
        if self._admissions:
            self._inventory.note_health(device, self._admissions.said_of(device), now_ms)
        self._send_stored(device, upto)
        if mark.receipt is not None and receipted < mark.receipted:
            self.send_receipt(device, mark.receipt)
        if hello["head"] < mark.receipted:
            self._count("readers_behind_ledger")

    def _answer_batch(self, device: int, lowest: int) -> None:
        stored = self._store.mark(device).stored
        if lowest > stored + 1:
            # We do not know where its journal begins: we, or our disk, are new. Silence makes it
            # say HELLO, which tells us; a STORED of ours would only send it back too far.
            self._count("batches_after_gap")
            return
        self._send_stored(device, stored)

    def _send_stored(self, device: int, upto: int) -> None:
        fields = {"device": device, "upto": upto}
        self._publish(device, messages.encode_message(messages.STORED, fields))

    def take_relays(self) -> list[bytes]:
        """What readers have said to the ledger in this step: RELAY messages, as they came."""
        relays, self._relays = self._relays, []
        return relays

    def send_relay(self, device: int, payload: bytes) -> None:
        """Hand a reader a RELAY of the ledger's, now or never."""
        self._count("relays_down")
        self._publish(device, payload)
        site = self._strangers.pop(device, None)
        if site is not None:
            # To ours of that number too: somebody may only have used its name.
            self._port.publish(topics.down(site, device), payload)

    def refuse_relays(self, payloads: list[bytes]) -> None:
        """Tell readers that nobody answers what they have said: they need not wait for it."""
        for payload in payloads:
            fields = messages.decode_message(payload, (messages.RELAY,))
            fields["sealed"] = fields["sealed"][-messages.UNHEARD_BYTES :]
            self._publish(fields["device"], messages.encode_message(messages.RELAY, fields))

    def take_card_asks(self) -> list[tuple[int, int, int, bytes]]:
        """What readers have asked of cards in this step: (device, epoch, page, data)."""
        asks, self._card_asks = self._card_asks, []
        return asks

    def send_cards(self, device: int, epoch: int, page: int, data: bytes) -> None:
        """Tell a reader of cards."""
        fields = {"device": device, "epoch": epoch, "page": page, "data": data}
        self._publish(device, messages.encode_message(messages.CARDS, fields))

    def send_receipt(self, device: int, sealed: bytes) -> None:
        """Publish the ledger's latest receipt to a reader."""
        fields = {"device": device, "sealed": sealed}
        self._publish(device, messages.encode_message(messages.RECEIPT, fields))

    def _publish(self, device: int, payload: bytes) -> None:
        self._port.publish(topics.down(self._site, device), payload)

    def settle(self) -> None:
        """Acknowledge to the broker all that needs no repeating: after STORED and FORWARD."""
        if self._retry_ms is not None:
            return
        for message in self._owed:
            self._port.ack(message)
        self._owed.clear()

    def due_ms(self, now_ms: int) -> int | None:
        """When a refused commit is tried again, at once if messages were left; None else.

        What was left has been read from the socket already: nothing else would wake the loop.
        """
        return now_ms if self._retry_ms is None and self._is_more else self._retry_ms

    def _count(self, name: str, number: int = 1) -> None:
        self._counters[name] = self._counters.get(name, 0) + number


def _seq_of(sealed: bytes, device: int) -> int:
    owner, seq = route(sealed)
    if owner != device:
        raise WireError(BAD_FIELD, "a record of another device")
    return seq
