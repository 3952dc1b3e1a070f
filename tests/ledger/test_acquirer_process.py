"""The acquirer as a process behind a socket, with its own books, and the ledger's real client."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.signed_http import SignedHttp
from ledger.acquirer import NoAnswer, Verb, Word
from ledger.acquirer_client import HttpAcquirer
from ledger.acquirer_desk import AcquirerDesk
from ledger.code_desk import CodeDesk
from ledger.invariants import check
from ledger.relay_desk import RelayDesk
from simulator.acquirer.process import KEY, AcquirerProcess
from tests.ledger.acquiring import WECHAT
from tests.ledger.checkout import Checkout
from tests.ledger.readers import CANTEEN, Reader

TIMEOUT_S = 0.3
PATIENCE_S = 20


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(**options):
        started.append(AcquirerProcess(tmp_path, **options))
        return started[-1]

    yield begin
    for process in started:
        process.kill()


def client_of(process, key=KEY):
    return HttpAcquirer(SignedHttp(process.url, key, TIMEOUT_S, os.urandom))


def test_a_sale_through_a_process_that_keeps_silent_and_is_killed(start):
    """No answer to the first request; then it dies with the money held, and comes back."""
    process, reader = start(plan={"reserve": ["silent"]}), Reader(1001)
    checkout = Checkout(reader)
    with ThreadPoolExecutor(4) as pool:
        books = checkout.store.acquirer_orders, checkout.store.acquirer_statements
        desk = AcquirerDesk(*books, client_of(process), pool, lambda: checkout.now_s)
        codes = CodeDesk(checkout.store, checkout.phones, checkout.policy, lambda: (0, 0), desk)
        checkout.relays = RelayDesk(checkout.store, codes)

        def until(is_it):
            end_s = time.monotonic() + PATIENCE_S
            while not (found := is_it()):
                assert time.monotonic() < end_s
                checkout.now_ms += 200
                desk.step(checkout.now_ms)
                time.sleep(0.02)
            return found

        asked = checkout.asked(reader, code=WECHAT.ljust(38, b"\0"))
        answer = until(lambda: checkout.say(reader, asked))
        assert (answer["reason"], answer["number"]) == (0, 1)
        assert desk.counters["unanswered"] == 1
        process.kill()
        reader.code_sale(1)
        checkout.book(reader)
        until(lambda: desk.counters["unanswered"] > 1)  # nobody is there
        process = start(port=process.port)
        until(lambda: not checkout.store.acquirer_orders.open())
        (line,) = lines_behind(process)
        assert line.amount_fen == 100
    assert checkout.store.takings(CANTEEN) == 100
    assert check(checkout.store) == []


def lines_behind(process):
    """Its statement of today, told tomorrow."""
    client, today = client_of(process), int(time.time() + 28_800) // 86_400
    with pytest.raises(NoAnswer, match="404"):
        client.statement(today)
    process.tell("tomorrow")
    return client.statement(today)


def test_who_has_not_the_key_is_neither_heard_nor_believed(start):
    process = start(plan={"query": ["forged"]})
    with pytest.raises(NoAnswer, match="without their seal"):
        client_of(process, bytes(32)).say(Verb.RESERVE, "1-1-x", WECHAT, 100)
    client = client_of(process)
    with pytest.raises(NoAnswer, match="without their seal"):
        client.say(Verb.QUERY, "1-1-x", b"", 100)
    said = client.say(Verb.QUERY, "1-1-x", b"", 100)
    assert (said.word, said.is_known) == (Word.SILENT, False), "the stranger has reserved nothing"
    assert client.say(Verb.RESERVE, "1-1-x", WECHAT, 100).word is Word.RESERVED
    with pytest.raises(NoAnswer, match="another amount"):
        client.say(Verb.QUERY, "1-1-x", b"", 99)
    for verb, word in ((Verb.VOID, Word.VOIDED), (Verb.RESERVE, Word.VOIDED)):
        assert client.say(verb, "1-1-x", WECHAT, 100).word is word
