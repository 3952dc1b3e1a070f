"""The agent: what arrives is kept, what is kept is forwarded, what is booked is told and freed.

One step, in this order: read both sides; apply the ledger's answers; commit the readers' records;
say STORED; hand on what is only relayed; answer what is asked of cards; forward; acknowledge to
the readers' broker. A crash between any two of these leaves either nothing kept and nothing said,
or something kept that is said again when asked.
"""

from dataclasses import asdict
from typing import Any

from adapters.mqtt import MqttPort
from edge_agent.admission import Admissions
from edge_agent.card_history import CardHistory
from edge_agent.cards import CardSide
from edge_agent.disk import StoreUnavailable
from edge_agent.hearing import Hearing
from edge_agent.inventory import Inventory
from edge_agent.outbox import WINDOW, Outbox
from edge_agent.reader_ports import ReaderPorts
from edge_agent.readers import ReaderSide
from edge_agent.receipts import Receipts
from edge_agent.space import Space
from edge_agent.store import Store
from edge_agent.upstream import UpstreamSide
from protocols.wire import topics

WRITE_RETRY_MS = 1_000


def reader_subscriptions(site: str, *, strangers: bool = False) -> list[str]:
    """What the port towards the readers must be subscribed to."""
    return [topics.any_up_filter() if strangers else topics.up_filter(site)]


def upstream_subscriptions(site: str, *, with_cards: bool = False) -> list[str]:
    """What the port towards the ledger must be subscribed to."""
    found = [topics.agent_receipts(site), topics.relay_down(site), topics.LEDGER_STATUS]
    return [*found, topics.cards_down(site), topics.LEDGER_CARDS] if with_cards else found


class AgentService:
    """The agent of one site, over two ports that somebody else opened and closes.

    `ledger_public_key` is a raw Ed25519 key (32 bytes). `counters` (name -> int) only grow; names
    that end in a number carry a protocols.wire.errors code. No clock and no randomness inside.
    `card_history`: readers are told which cards are lost; without it nobody is. `strangers`: the
    readers' broker is this building's alone, and who speaks there of another site was moved.
    `admissions`: of which readers of the site anything is taken; without it of all.
    """

    def __init__(
        self,
        site: str,
        store: Store,
        inventory: Inventory,
        readers: MqttPort | ReaderPorts,
        upstream: MqttPort,
        ledger_public_key: bytes,
        *,
        window: int = WINDOW,
        card_history: CardHistory | None = None,
        strangers: bool = False,
        admissions: Admissions | None = None,
    ) -> None:
        self._site = site
        self._admissions = admissions
        self._waiting: list[dict[str, Any]] | None = None
        self.counters: dict[str, int] = {}
        self._store = store
        self._inventory = inventory
        self._readers = readers
        self._upstream = upstream
        self._outbox = Outbox(lambda device: store.mark(device).receipted, window)
        everybody = reader_subscriptions(site, strangers=strangers)
        self.hearing = Hearing(readers, everybody, self._known_topics)
        self._reader_side = ReaderSide(
            site,
            readers,
            store,
            inventory,
            self._outbox,
            self.counters,
            self.hearing,
            strangers,
            admissions,
        )
        self._receipts = Receipts(store, self._reader_side.send_receipt)
        self._cards = card_history and CardSide(
            site,
            upstream,
            card_history,
            ledger_public_key,
            self._reader_side.send_cards,
            self.counters,
            inventory.retire,
        )
        self._upstream_side = UpstreamSide(
            site, upstream, store, self._outbox, ledger_public_key, self.counters, self._cards
        )
        self._retry_ms = 0
        for device in store.devices():
            self._outbox.wake(device)

    @property
    def space(self) -> Space:
        """How much of the disk its records use, and may."""
        return self._store.space

    def step(self, now_ms: int) -> int:
        """Do what can be done without waiting; the time (ms) by which to call again."""
        due: list[int | None] = [self._readers.step(now_ms), self._upstream.step(now_ms)]
        due.append(self._step_admissions(now_ms))
        self._upstream.hold()
        self._readers.hold()
        receipts = self._upstream_side.collect(now_ms)
        self._reader_side.collect(now_ms)
        self._reader_side.answer(now_ms)
        unheard = self._upstream_side.relay(self._reader_side.take_relays())
        self._reader_side.refuse_relays(unheard)
        for device, payload in self._upstream_side.take_relays():
            self._reader_side.send_relay(device, payload)
        cards_due_ms = self._step_cards(now_ms)
        self._upstream_side.forward(now_ms)
        for device, sealed in receipts.items():
            self._receipts.offer(device, sealed, now_ms)
        receipts_due_ms = self._receipts.step(now_ms)
        self._reader_side.settle()
        self._upstream.release()
        self._readers.release()
        due += [
            self._reader_side.due_ms(now_ms),
            self._upstream_side.due_ms(now_ms),
            self._inventory.step(now_ms),
            self.hearing.step(now_ms),
            self._write_marks(now_ms),
            cards_due_ms,
            receipts_due_ms,
        ]
        return max(now_ms, min(time_ms for time_ms in due if time_ms is not None))

    def is_stuck(self, now_ms: int) -> bool:
        """Whether work lies here that nothing prevents (progress.py). Asked behind every step."""
        stuck = [side.is_stuck(now_ms) for side in (self._reader_side, self._upstream_side)]
        return any(stuck)

    def status(self) -> dict[str, int]:
        """Counters and gauges of this moment, by name, for people and metrics."""
        ports = {"readers": self._readers, "upstream": self._upstream}
        gauges = {f"{name}_connected": int(port.connected) for name, port in ports.items()}
        gauges["readers_shunned"] = len(self.hearing.shunned())
        gauges["forwards_under_way"] = self._outbox.under_way
        gauges["inventory_write_errors"] = self._inventory.write_errors
        space = self._store.space
        gauges |= {"store_bytes": space.used_bytes, "store_limit_bytes": space.limit_bytes}
        gauges["store_level"] = space.level
        for name, port in ports.items():
            gauges |= {f"{name}_{key}": value for key, value in port.counters.items()}
        admissions = self._admissions.counters if self._admissions else {}
        return self.counters | admissions | gauges

    def enrolment(self, now_ms: int) -> dict[str, Any] | None:
        """For how long the window is open, and who waits to be admitted; None: all are."""
        if self._admissions is None:
            return None
        waiting = [asdict(each) for each in self._admissions.waiting()]
        return {"open_s": self._admissions.open_s(now_ms), "waiting": waiting}

    def readers(self) -> list[dict[str, Any]]:
        """What is known of each reader: its document in the inventory, and `waiting` records.

        `cards_lacking`: how many changes of cards that we have it has not said that it has.
        `is_shunned`: it floods, and is not heard for a while. One that has ended is none of
        them, unless it was heard since or something of it waits.
        """
        shunned = set(self.hearing.shunned())
        marks = {device: self._store.mark(device) for device in self._store.devices()}
        found = {reader["device"]: reader for reader in self._inventory.readers()}
        known = []
        for device, mark in marks.items():
            one = {"device": device, **found.get(device, {})}
            one["waiting"] = mark.stored - mark.receipted
            if topics.up(self._site, device) in shunned:
                one["is_shunned"] = 1
            if not one["waiting"] and self._inventory.has_ended(device):
                continue
            lacking = self._cards.lacking(device) if self._cards else None
            known.append(one if lacking is None else one | {"cards_lacking": lacking})
        return known

    def _known_topics(self) -> list[str]:
        seen = (reader["device"] for reader in self._inventory.readers())
        return [topics.up(self._site, device) for device in {*self._store.devices(), *seen}]

    def _step_admissions(self, now_ms: int) -> int | None:
        """Do what people have decided, and have the inventory say who waits."""
        if self._admissions is None:
            return None
        due_ms = self._admissions.step(now_ms)
        waiting = [
            {"device": each.device, "link": each.link, "first_s": each.first_s}
            for each in self._admissions.waiting()
        ]
        if waiting != self._waiting:
            self._waiting = waiting
            self._inventory.note_waiting(waiting, now_ms)
        return due_ms

    def _step_cards(self, now_ms: int) -> int | None:
        asks = self._reader_side.take_card_asks()
        if self._cards is None:
            return None
        for ask in asks:
            self._cards.asked(*ask)
        return self._cards.step(now_ms)

    def _write_marks(self, now_ms: int) -> int | None:
        if now_ms < self._retry_ms:
            return self._retry_ms
        try:
            return self._store.step(now_ms)
        except StoreUnavailable:
            self.counters["store_unavailable"] = self.counters.get("store_unavailable", 0) + 1
            self._retry_ms = now_ms + WRITE_RETRY_MS
            return self._retry_ms
