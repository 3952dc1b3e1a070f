"""The store stopped at any statement, and the process killed at the worst moment."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from adapters.aes import CIPHERS
from adapters.sqlite import open_database
from ledger.credit_desk import CreditDesk
from ledger.dialect import SqliteDialect, StoreUnavailable
from ledger.invariants import check
from ledger.relay_desk import RelayDesk
from ledger.schema import MIGRATIONS
from ledger.service import LedgerService
from ledger.store import LedgerStore
from protocols.wire import cbor, messages, seal, topics
from protocols.wire.messages import NOT_COMMITTED, UNKNOWN
from tests.ledger.crashes import FaultyConnection, Stopped
from tests.ledger.desk import Desk
from tests.ledger.readers import CANTEEN, CARD, KIOSK, Reader, open_ledger

SITE, NOW_S = "north", 1_750_000_000


def deliveries():
    """Two readers and something of everything: gaps, forgeries, forks, evidence, overdrafts."""
    one, two = Reader(1001), Reader(1002, KIOSK)
    one.boot()
    spend = one.spend(amount_fen=9000)
    twin = one.fork()
    torn = one.intent(counter=2, last=spend, amount_fen=2000)
    one.outcome(torn, UNKNOWN)
    two.intent(counter=3, last=torn)
    two.outcome((1001, 7), NOT_COMMITTED)  # early: arrives before its intent
    one.boot()
    one.intent(card_no=99, counter=1)
    one.outcome((1001, 7))
    twin.boot()
    forged = two.records[0][:-1] + b"\0"
    return (one, two), [
        [two.records[1:], [forged, b"noise"]],
        [one.records[:4]],
        [two.records, one.records[5:]],
        [twin.records[-1:], one.records],
    ]


def book_all(store, batches):
    for batch in batches:
        store.book(batch)


@pytest.mark.parametrize("error", [Stopped(), MemoryError()])
def test_stopped_at_any_statement_then_run_again(tmp_path, error):
    readers, batches = deliveries()
    reference = open_ledger(*readers)
    book_all(reference, batches)
    assert check(reference) == []
    new = str(tmp_path / "new.sqlite")
    open_ledger(*readers, path=new).close()
    k = 0
    while True:
        k += 1
        path = str(tmp_path / f"{k}.sqlite")
        shutil.copyfile(new, path)
        connection = FaultyConnection(open_database(path, MIGRATIONS), k, error)
        store = LedgerStore(SqliteDialect(connection))
        try:
            book_all(store, batches)
        except (Stopped, MemoryError):
            pass
        store.close()
        again = LedgerStore.open(path)
        assert check(again) == [], f"stopped at statement {k}"
        book_all(again, batches)
        assert check(again) == [], f"run again after a stop at statement {k}"
        assert again.dump() == reference.dump(), f"stopped at statement {k}"
        again.close()
        if not connection.has_fired:
            break
    assert k > 60, "the wrapper no longer sees the statements"


def test_fault_of_the_database_changes_nothing_and_can_be_tried_again():
    readers, batches = deliveries()
    database = open_database(":memory:", MIGRATIONS)
    ready = LedgerStore(SqliteDialect(database))
    ready.register_merchant(CANTEEN)
    for reader in readers:
        ready.register_device(reader.device, reader.key, reader.merchant_no)
    before = ready.dump()
    full = sqlite3.OperationalError("database or disk is full")
    for k in range(1, 12):
        store = LedgerStore(SqliteDialect(FaultyConnection(database, k, full)))
        with pytest.raises(StoreUnavailable, match="full"):
            store.book(batches[0])
        assert ready.dump() == before
    ready.book(batches[0])
    assert check(ready) == []


_KILLED_BEFORE_THE_RECEIPT = """
import os, signal, sys
from ledger.service import LedgerService
from ledger.store import LedgerStore
from tests.ledger.desk import Desk
from tests.ledger.readers import Reader, forward

class Desk(Desk):
    def publish(self, topic, payload, *, retain=False):
        if topic.endswith("agent/receipts"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().publish(topic, payload, retain=retain)

reader = Reader(1001)
reader.spend()
desk = Desk()
desk.deliver("north", forward("north", 1, reader.records))
LedgerService(LedgerStore.open(sys.argv[1]), desk, bytes(32), lambda: 0).step(0)
"""


def test_killed_between_commit_and_receipt_books_once(tmp_path, repo_root):
    path = str(tmp_path / "ledger.sqlite")
    reader = Reader(1001)
    open_ledger(reader, path=path).close()
    for life in range(3):
        child = subprocess.run(
            [sys.executable, "-c", _KILLED_BEFORE_THE_RECEIPT, path],
            env=os.environ | {"PYTHONPATH": str(repo_root)},
            timeout=60,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL
        store = LedgerStore.open(path)
        assert store.takings(CANTEEN) == 100, f"after kill {life + 1}"
        assert store.summary() | {"records": 2, "booked": 1} == store.summary()
        assert check(store) == []
        store.close()
    store = LedgerStore.open(path)
    reader.spend()  # the one the children delivered
    reader.spend(counter=2, last=(1001, 1))
    (answer,) = store.book([reader.records])
    assert answer.heads[0].seq == 4


def asks(reader, nonce):
    """What a reader asks for a card, as its agent hands it on."""
    fields = {"card_no": CARD, "counter": 0, "last_device": 0, "last_seq": 0}
    ask = {"nonce": bytes([nonce] * 8), "chip": messages.CLASSIC, **fields}
    payload = messages.encode_relayed(messages.LOAD_ASK, ask)
    key = seal.derive(reader.key, messages.RELAY_LABEL)
    sealed = seal.seal(key, payload, messages.RELAY_UP)
    return messages.encode_message(messages.RELAY, {"device": reader.device, "sealed": sealed})


def test_who_asks_while_the_database_does_not_answer_asks_again():
    reader, locked = Reader(1001), sqlite3.OperationalError("database is locked")
    ready = open_ledger()
    ready.register_device(reader.device, reader.key, CANTEEN, SITE)
    ready.know_chips([(CARD, b"\x01\x02\x03\x04")], messages.CLASSIC)
    ready.top_ups.top_up(CARD, 500, "order")
    has_fired, k = True, 0
    while has_fired:
        k += 1
        connection = FaultyConnection(ready.database._connection, k, locked)
        store, port = LedgerStore(SqliteDialect(connection)), Desk()
        credit = CreditDesk(store, CIPHERS, bytes(16), lambda n: bytes(n), lambda: NOW_S)
        relay = RelayDesk(store, credit)
        service = LedgerService(store, port, bytes(32), lambda: NOW_S, relay, with_cards=True)
        for turn in (1, 2):  # what is asked again is answered
            port.deliver(SITE, asks(reader, turn), topic=topics.relay_up(SITE))
            port.deliver(SITE, cbor.encode(0), topic=topics.cards_up(SITE))
            service.step(turn * 10_000)
        has_fired = connection.has_fired
        told = [topic for topic, _payload, _retain in port.sent]
        assert topics.relay_down(SITE) in told and topics.cards_down(SITE) in told, k
        assert service.counters["store_unavailable"] + credit.counters["store_unavailable"] == (
            has_fired
        )
    assert k > 15, "the wrapper does not see what is read"
    assert check(ready) == []
