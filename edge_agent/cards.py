"""The agent's part in the card map: it keeps what the ledger says and hands it to its readers.

Rules of this file. Only what carries the ledger's signature is kept, and only in order; nothing is
decided from it. The ledger is asked at every connection, when it comes back, at every hint, and
every few minutes, so that readers know how young their map is. What is new goes to every reader
there is a warrant for; one that lacks more than that asks. All of it may be lost: whoever lacks
something asks again. What is said of doors comes the same way (doors.py), and so do letters to
locks (letters.py), firmware (firmware.py), policies (policies.py), menus (menus.py) and which
readers have ended.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.mqtt import Message, MqttPort
from edge_agent.card_history import CardHistory
from edge_agent.disk import StoreUnavailable
from edge_agent.doors import DoorSide
from edge_agent.firmware import FirmwareSide
from edge_agent.letters import LetterSide
from edge_agent.menus import MenuSide
from edge_agent.policies import PolicySide
from protocols.card import mailbox
from protocols.rules import menu, release
from protocols.rules.access import PAGES_AT
from protocols.rules.card_status import CHANGE_BYTES, WARRANT_BYTES
from protocols.wire import (
    access_news,
    card_news,
    cbor,
    firmware_news,
    fleet_news,
    letter_news,
    menu_news,
    messages,
    policy_news,
    topics,
)
from protocols.wire.errors import BAD_SIGNATURE, BAD_TOPIC, UNSUPPORTED, WireError
from protocols.wire.seal import sign1_split, sign1_tbs

ASK_MS = 300_000
HURRY_MS = 1_000  # between two asks, however much there is to ask for
CHANGES_MAX = (messages.CARDS_DATA_BYTES_MAX - WARRANT_BYTES) // CHANGE_BYTES

# device, epoch, page, data of a CARDS
Tell = Callable[[int, int, int, bytes], None]


class CardSide:
    """Asks through `port`, keeps in `history`, hands on through `tell`. `counters` only grow.

    `retire` hears of all readers that have ended.
    """

    def __init__(
        self,
        site: str,
        port: MqttPort,
        history: CardHistory,
        ledger_public_key: bytes,
        tell: Tell,
        counters: dict[str, int],
        retire: Callable[[list[int]], None] = lambda _devices: None,
    ) -> None:
        self._retire = retire
        self._port = port
        self._history = history
        self._key = Ed25519PublicKey.from_public_bytes(ledger_public_key)
        self._tell = tell
        self._counters = counters
        self._doors = DoorSide(history, tell, self._count)
        self._letters = LetterSide(history, tell, self._count)
        self._doors_number: int | None = None  # as the last hint had it
        self._down, self._up = topics.cards_down(site), topics.cards_up(site)
        # Device -> the epoch of its map, as it said when it asked last: no seal vouches for that.
        self._said: dict[int, int] = {}
        self._policies = PolicySide(history, tell, self._count)
        self._firmware = FirmwareSide(history, tell, self._publish, self._count)
        self._menus = MenuSide(history, tell, self._publish, self._count)
        # Whose word it is, who keeps it, whether it is asked for at once if the disk refuses.
        self._keepers: tuple[tuple[bytes, Callable[[bytes, int], None], bool], ...] = (
            (card_news.LABEL, self._keep, True),
            (access_news.LABEL, self._keep_doors, True),
            (letter_news.LABEL, lambda payload, _now_ms: self._letters.keep(payload), True),
            (firmware_news.LABEL, lambda payload, _now_ms: self._firmware.keep(payload), False),
            (policy_news.LABEL, lambda payload, _now_ms: self._policies.keep(payload), False),
            (menu_news.LABEL, lambda payload, _now_ms: self._menus.keep(payload), False),
            (fleet_news.LABEL, self._keep_fleet, False),
        )
        self._session = 0
        self._told = history.epoch  # what readers have been told of without asking
        self._asked_ms: int | None = None
        self._due_ms = 0

    def is_about_cards(self, topic: str) -> bool:
        """Whether a message on this topic of the ledger's broker is for `hear`."""
        return topic in (self._down, topics.LEDGER_CARDS)

    def hear(self, message: Message, now_ms: int) -> None:
        """What the ledger has said; raises WireError for what it cannot have."""
        if message.retain:
            raise WireError(UNSUPPORTED, "retained")
        if message.topic == topics.LEDGER_CARDS:
            # A hint without a seal: it may only make us ask.
            if access_news.is_about_doors(message.payload):
                self._hear_of_doors(access_news.decode_hint(message.payload), now_ms)
            elif card_news.decode_epoch(message.payload) != self._history.epoch:
                self.hurry(now_ms)
            return
        if message.topic != self._down:
            raise WireError(BAD_TOPIC)
        payload, signature = sign1_split(message.payload)
        for label, keep, is_urgent in self._keepers:
            if not self._is_signed(signature, sign1_tbs(payload, label)):
                continue
            try:
                keep(payload, now_ms)
            except StoreUnavailable:
                self._count("store_unavailable")
                if is_urgent:
                    self.hurry(now_ms)  # else it comes again in five minutes
            return
        raise WireError(BAD_SIGNATURE)

    def _is_signed(self, signature: bytes, signed: bytes) -> bool:
        try:
            self._key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    def _keep_doors(self, payload: bytes, now_ms: int) -> None:
        if not self._doors.keep(payload):
            self.hurry(now_ms)

    def _keep_fleet(self, payload: bytes, _now_ms: int) -> None:
        self._retire(fleet_news.decode(payload))
        self._count("fleet_news")

    def _publish(self, question: bytes) -> int:
        return self._port.publish(self._up, question)

    def _hear_of_doors(self, number: int, now_ms: int) -> None:
        if number != self._doors_number:
            self._doors_number = number
            self.hurry(now_ms)

    def _keep(self, payload: bytes, now_ms: int) -> None:
        epoch, changes, warrants, chain = card_news.decode(payload)
        if not self._history.add(epoch, changes, warrants, chain):
            self._count("card_gaps")
            self.hurry(now_ms)
            return
        self._count("card_news")
        if not warrants:
            if changes:
                self.hurry(now_ms)  # there is more
            return
        for device, _epoch, _sealed in warrants:
            self._tell_news(device, self._told)
        # Told once more with the next news, for those who missed it; then it is the past.
        if not changes:
            self._told = epoch

    def asked(self, device: int, epoch: int, page: int, data: bytes = b"") -> None:
        """A reader has asked: for news behind `epoch`, or for a page of the map of it.

        Or, by mailbox.PAGE, for what the card `epoch` carries; or for a page of the firmware whose
        digest begins with `data`; or, from menu.PAGE on, for its menu.
        """
        try:
            if page == mailbox.PAGE:
                self._letters.asked(device, epoch)
            elif page >= menu.PAGE:
                self._menus.asked(device, epoch, page)
            elif page >= PAGES_AT:
                self._doors.asked(device, epoch, page)
            elif page > release.PAGE:
                self._firmware.asked(device, page, data)
            elif page:
                data = self._history.page(epoch, page)
                if data:
                    self._count("card_pages")
                    self._tell(device, epoch, page, data)
            else:
                if self._tell_news(device, epoch):
                    self._said[device] = epoch
        except StoreUnavailable:
            self._count("store_unavailable")  # it asks again in five seconds

    def _tell_news(self, device: int, since: int) -> bool:
        """Whether there was a warrant for that reader."""
        warrant = self._history.warrant(device)
        if warrant is None:
            self._count("cards_without_warrant")
            return False
        upto, sealed = warrant
        changes = self._history.changes(since, upto)
        if len(changes) > CHANGES_MAX * CHANGE_BYTES:
            since, changes = 0, b""  # too far behind: it fetches the map
        self._tell(device, since, 0, sealed + changes)
        return True

    def lacking(self, device: int) -> int | None:
        """How many of our changes a reader has not said that it has; None: it has never asked."""
        said = self._said.get(device)
        return None if said is None else max(self._history.epoch - said, 0)

    def step(self, now_ms: int) -> int:
        """Ask if it is time, and tell readers their policies; when to call again (ms)."""
        tell_ms = self._tell_policies(now_ms)
        if not self._port.connected:
            return tell_ms
        if self._port.sessions != self._session:
            self._session = self._port.sessions
            self._due_ms = now_ms
        if now_ms >= self._due_ms:
            is_asked = self._port.publish(self._up, cbor.encode(self._history.epoch))
            is_asked = is_asked and self._ask_of_doors()
            is_asked = is_asked and self._publish(self._firmware.question())
            self._asked_ms = now_ms
            self._due_ms = now_ms + (ASK_MS if is_asked else HURRY_MS)
        return min(self._due_ms, tell_ms)

    def _tell_policies(self, now_ms: int) -> int:
        try:
            return self._policies.step(now_ms)
        except StoreUnavailable:
            self._count("store_unavailable")
            return now_ms + ASK_MS

    def _ask_of_doors(self) -> int:
        try:
            return self._port.publish(self._up, self._doors.ask())
        except StoreUnavailable:
            self._count("store_unavailable")
            return 0

    def hurry(self, now_ms: int) -> None:
        """Ask again soon: there is news, or what was asked before may be lost."""
        last_ms = now_ms - HURRY_MS if self._asked_ms is None else self._asked_ms
        self._due_ms = min(self._due_ms, max(now_ms, last_ms + HURRY_MS))

    def _count(self, name: str) -> None:
        self._counters[name] = self._counters.get(name, 0) + 1
