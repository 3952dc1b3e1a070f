"""The ledger as a service: FORWARD in, books on the disk, RECEIPTS out, only then the PUBACK.

Rules of this file. `step` never waits. The order is always commit, publish, acknowledge: whatever
is lost after the commit is asked for again and answered again, and booked no second time. A RELAY
is answered at once or never, and is never asked for again.

Of several ledgers on one broker (and one database) the status is of them all: whoever hears that
there is none, and is there, says so.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.mqtt import Message, MqttPort
from ledger.access_news import AccessNews
from ledger.card_news import CardNews
from ledger.dialect import StoreUnavailable
from ledger.firmware_news import FirmwareNews
from ledger.fleet_news import FleetNews
from ledger.letters import Letters
from ledger.menu_news import MenuNews
from ledger.policy_news import PolicyNews
from ledger.portions import DELIVERIES_MAX, Portions
from ledger.receipts import Signer
from ledger.relay_desk import RelayDesk
from ledger.store import LedgerStore
from protocols.wire import access_news, firmware_news, menu_news, messages, topics
from protocols.wire.errors import BAD_FIELD, WireError
from protocols.wire.ledger_status import STATUS_OFFLINE, STATUS_ONLINE

_TAKEN_MAX = 2 * DELIVERIES_MAX  # while one portion is booked, the next is read
RETRY_MS = 1_000
_LONG_MS = 86_400_000
_RELAY_UP, _CARDS_UP = "relay-up", "cards-up"
WILL = (topics.LEDGER_STATUS, STATUS_OFFLINE)
SUBSCRIPTIONS = (topics.records_filter(), topics.relay_filter())
WITH_CARDS = (*SUBSCRIPTIONS, topics.cards_filter())
HEARD = (*WITH_CARDS, topics.LEDGER_STATUS)  # of a ledger that is perhaps not alone

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Delivery:
    message: Message
    site: str
    number: int
    records: list[bytes]


class LedgerService:
    """Books what arrives on `port` in `store` and answers with receipts signed by `signing_key`.

    `signing_key` is 32 bytes of Ed25519; `utc_s` gives the time that stands in receipts. `port`
    subscribes to SUBSCRIPTIONS at least and has WILL. `desk` answers RELAYs: without, nobody does.
    `with_cards`: agents are told which cards are lost; `port` then subscribes to WITH_CARDS.
    `counters` (name -> int) only ever grow.
    """

    def __init__(
        self,
        store: LedgerStore,
        port: MqttPort,
        signing_key: bytes,
        utc_s: Callable[[], int],
        desk: RelayDesk | None = None,
        with_cards: bool = False,
    ) -> None:
        self._store = store
        self._port = port
        self._signer = Signer(signing_key)
        self._utc_s = utc_s
        self._desk = desk
        self._cards = CardNews(store, self._signer, utc_s) if with_cards else None
        self._doors = AccessNews(store.access, self._signer, utc_s) if with_cards else None
        self._firmware = FirmwareNews(store.firmware, self._signer, utc_s) if with_cards else None
        self._policies = PolicyNews(store.policies, self._signer) if with_cards else None
        self._fleet = FleetNews(store.database, self._signer) if with_cards else None
        self._menus = MenuNews(store.menus, self._signer) if with_cards else None
        self._letters = None
        if with_cards:
            self._letters = Letters(
                store.lock_mail, store.access, store.cards, self._signer, utc_s
            )
        self._session = 0
        self._waiting: list[_Delivery] = []  # taken, not on the disk
        self._portions = Portions()
        self._retry_ms = 0
        names = ("forwards", "malformed", "receipts", "store_unavailable", "relays", "unanswered")
        self.counters = dict.fromkeys(names, 0)

    def step(self, now_ms: int) -> int:
        """Do what can be done now; the time (ms) by which to call again."""
        self._portions.ended(now_ms)
        due_ms = self._port.step(now_ms)
        if self._port.connected and self._port.sessions != self._session:
            self._say_online()
        self._take(now_ms)
        due_ms = min(due_ms, self._hint(now_ms))
        if not self._waiting:
            return due_ms
        if now_ms < self._retry_ms or not self._book(now_ms):
            return min(due_ms, self._retry_ms)
        return now_ms  # more may have come while we were busy

    def _say_online(self) -> None:
        if self._port.publish(topics.LEDGER_STATUS, STATUS_ONLINE, retain=True):
            self._session = self._port.sessions

    def _hear_status(self, message: Message) -> None:
        """Another ledger's will, or that of an earlier connection of ours, noticed late."""
        if message.payload == STATUS_OFFLINE:
            self._session = 0  # so it is said again by the next step, if not now
            self._say_online()
        self._port.ack(message)

    def _take(self, now_ms: int) -> None:
        while len(self._waiting) < _TAKEN_MAX:
            message = self._port.take()
            if message is None:
                return
            try:
                if message.topic == topics.LEDGER_STATUS:
                    self._hear_status(message)
                elif message.topic.endswith(_RELAY_UP):
                    self._answer_relay(message, now_ms)
                elif message.topic.endswith(_CARDS_UP):
                    self._answer_cards(message, now_ms)
                else:
                    self._waiting.append(_read(message))
            except StoreUnavailable as error:
                # Whoever asked asks again, if it is of any use by then.
                self.counters["store_unavailable"] += 1
                _log.error("no answer now: %s", error)
                self._port.ack(message)
            except WireError as error:
                # Acknowledged, or the broker would bring the same bytes again for ever.
                self.counters["malformed"] += 1
                _log.warning("ignored a message on %s: %s", message.topic, error)
                self._port.ack(message)

    def _answer_relay(self, message: Message, now_ms: int) -> None:
        site = topics.parse_agent(message.topic, _RELAY_UP)
        fields: dict[str, Any] = messages.decode_message(message.payload, (messages.RELAY,))
        if message.retain:
            raise WireError(BAD_FIELD, "a relay is never retained")
        self.counters["relays"] += 1
        device, answer = fields["device"], None
        if self._desk is not None:
            answer = self._desk.hear(site, device, fields["sealed"], now_ms)
        if answer is None:
            self.counters["unanswered"] += 1
        else:
            data = messages.encode_message(messages.RELAY, {"device": device, "sealed": answer})
            self._port.publish(topics.relay_down(site), data)
        self._port.ack(message)

    def _answer_cards(self, message: Message, now_ms: int) -> None:
        site = topics.parse_agent(message.topic, _CARDS_UP)
        if message.retain:
            raise WireError(BAD_FIELD, "a question is never retained")
        news = self._cards
        if access_news.is_about_doors(message.payload):
            news = self._doors
        elif firmware_news.is_question(message.payload):
            news = self._firmware
        elif menu_news.is_question(message.payload):
            news = self._menus
        if news is not None:
            said = news.hear(site, message.payload, now_ms)
            if news is self._doors and said and self._letters:
                said += self._letters.news(site)
            if message.payload == firmware_news.encode_ask() and said:
                beside = self._policies, self._fleet, self._menus
                said += [one for each in beside if each for one in each.news(site)]
            for data in said:
                self._port.publish(topics.cards_down(site), data)
        self._port.ack(message)

    def _hint(self, now_ms: int) -> int:
        """Tell all agents that a card or a door has changed; when to look again (ms)."""
        if self._cards is None or self._doors is None or not self._port.connected:
            return now_ms + _LONG_MS
        try:
            self._publish_hints(self._cards, self._doors, now_ms)
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("no look at cards and doors now: %s", error)
        return self._cards.due_ms()

    def _publish_hints(self, cards: CardNews, doors: AccessNews, now_ms: int) -> None:
        is_time = now_ms >= cards.due_ms()
        for hint in (cards.hint(now_ms), doors.hint() if is_time else None):
            if hint is not None:
                self._port.publish(topics.LEDGER_CARDS, hint)

    def _book(self, now_ms: int) -> bool:
        portion, ahead = self._portions.split(self._waiting, now_ms)
        try:
            answers = self._store.book(_records(portion), _records(ahead))
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            self._portions.failed()
            self._retry_ms = now_ms + RETRY_MS
            _log.error("nothing booked, will try again: %s", error)
            return False
        time_s = self._utc_s()
        for delivery, answer in zip(portion, answers, strict=True):
            receipts = self._signer.receipts(delivery.number, answer.heads, answer.refused, time_s)
            # Not sent (no connection): the agent asks again, and the answer is the same.
            if self._port.publish(topics.agent_receipts(delivery.site), receipts):
                self.counters["receipts"] += 1
            self._port.ack(delivery.message)
        self.counters["forwards"] += len(portion)
        del self._waiting[: len(portion)]
        return True


def _records(deliveries: Sequence[_Delivery]) -> list[list[bytes]]:
    return [delivery.records for delivery in deliveries]


def _read(message: Message) -> _Delivery:
    site = topics.parse_records(message.topic)
    fields: dict[str, Any] = messages.decode_message(message.payload, (messages.FORWARD,))
    if fields["site"] != site:
        raise WireError(BAD_FIELD, "site is not the topic's")
    if message.retain:
        raise WireError(BAD_FIELD, "a delivery is never retained")
    return _Delivery(message, site, fields["number"], fields["records"])
