"""The process: it serves over a real broker, stops on SIGTERM, and there is only one of it."""

import os
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from adapters.mqtt import MqttPort
from ledger.invariants import check
from ledger.receipts import public_key
from ledger.steady_clock import KEEP, ahead_s, kept_in
from ledger.store import LedgerStore
from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_PAYMENT
from protocols.wire import messages, seal, topics
from protocols.wire.ledger_status import STATUS_OFFLINE, STATUS_ONLINE
from simulator.acquirer.payments import Payments
from simulator.acquirer.process import AcquirerProcess
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader, forward
from tools.ledger_phone import run
from tools.ledger_topup import PaidIn, book

KEY = bytes(range(32))
PATIENCE_S = 30
RUN = "import sys; from ledger.daemon import run; run(sys.argv[1])"


@pytest.fixture
def broker(mosquitto, tmp_path):
    """The port of a Mosquitto of our own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([mosquitto, "-c", str(config)], stderr=subprocess.DEVNULL)
    yield port
    process.terminate()
    process.wait(PATIENCE_S)


@pytest.fixture
def config(broker, tmp_path):
    (tmp_path / "signing.key").write_text(KEY.hex())
    (tmp_path / "signing.key").chmod(0o600)
    (tmp_path / "register.toml").write_text(
        f"[[merchant]]\nmerchant_no = {CANTEEN}\n[[card]]\ncard_no = {CARD}\n"
        f"balance_fen = {OPENING_FEN}\n[[device]]\ndevice = 1001\nmerchant_no = {CANTEEN}\n"
        f'key = "{Reader(1001).key.hex()}"\n'
    )
    (tmp_path / "register.toml").chmod(0o600)
    path = tmp_path / "ledger.toml"
    path.write_text(
        'data_dir = "books"\nsigning_key_file = "signing.key"\nregister_file = "register.toml"\n'
        f"[broker]\nport = {broker}\n"
    )
    return path


def start(config, repo_root):
    environment = os.environ | {"PYTHONPATH": str(repo_root)}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(config)], env=environment, stderr=subprocess.PIPE
    )


def wait_for(port, topic, is_it=lambda payload: True):
    """The payload of the next message on `topic` that `is_it`."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        port.step(time.monotonic_ns() // 1_000_000)
        while (message := port.take()) is not None:
            port.ack(message)
            if message.topic == topic and is_it(message.payload):
                return message.payload
        waiting = [] if port.fileno() is None else [port.fileno()]
        select.select(waiting, [], [], 0.05)
    raise AssertionError(f"nothing on {topic}: {port.last_error}")


def test_daemon_serves_and_stops(config, broker, repo_root, tmp_path):
    receipts = topics.agent_receipts("north")
    agent = MqttPort("127.0.0.1", broker, "agent", subscriptions=[receipts, topics.LEDGER_STATUS])
    daemon = start(config, repo_root)
    try:
        wait_for(agent, topics.LEDGER_STATUS, STATUS_ONLINE.__eq__)
        second = start(config, repo_root)
        assert second.wait(PATIENCE_S) != 0
        assert b"AlreadyRunning" in second.stderr.read()
        second.stderr.close()
        reader = Reader(1001)
        reader.spend()
        agent.publish(topics.agent_records("north"), forward("north", 1, reader.records))
        payload, _signature = seal.sign1_split(wait_for(agent, receipts))
        fields = messages.decode_message(payload, (messages.RECEIPTS,))
        assert [receipt[:2] for receipt in fields["receipts"]] == [[1001, 2]]
        daemon.send_signal(signal.SIGTERM)
        wait_for(agent, topics.LEDGER_STATUS, STATUS_OFFLINE.__eq__)
        assert daemon.wait(PATIENCE_S) == 0
    finally:
        daemon.kill()
        daemon.wait()
        daemon.stderr.close()
        agent.close()
    store = LedgerStore.open(str(tmp_path / "books" / "ledger.sqlite"))
    assert store.takings(CANTEEN) == 100
    assert check(store) == []
    store.close()


def test_daemon_goes_on_from_the_clock_in_its_books(config, broker, repo_root, tmp_path):
    """Its wall was set nine days ahead while the one before it ran."""
    (tmp_path / "books").mkdir()
    store = LedgerStore.open(str(tmp_path / "books" / "ledger.sqlite"))
    before_s = int(time.time()) - 5  # else what is kept within this second would be the same
    store.database.many(KEEP, [(before_s, before_s - 9 * 86_400, 60), (before_s, before_s, 0)])
    daemon = start(config, repo_root)
    try:
        until = time.monotonic() + PATIENCE_S
        while (kept := kept_in(store.database))[-1][0] == before_s:
            assert time.monotonic() < until, "nothing is kept"
            time.sleep(0.05)
        # By whole seconds, in which two clocks differ by one or two.
        ahead = ahead_s(store.database, int(time.time()), 72 * 3600)
        assert abs(ahead - 9 * 86_400) <= 2
        assert abs(kept[0][2] - 60 - (kept[-1][0] - before_s)) <= 2
    finally:
        daemon.terminate()
        assert daemon.wait(PATIENCE_S) == 0
        daemon.stderr.close()
        store.close()


def test_daemon_answers_a_phone_that_was_bound_beside_it(config, broker, repo_root, tmp_path):
    (tmp_path / "codes.key").write_text(bytes(range(32)).hex())
    (tmp_path / "codes.key").chmod(0o600)
    config.write_text(config.read_text() + '[codes]\nkey_file = "codes.key"\n')
    answers, reader = topics.relay_down("campus"), Reader(1001)
    agent = MqttPort("127.0.0.1", broker, "agent", subscriptions=[answers, topics.LEDGER_STATUS])
    daemon = start(config, repo_root)
    try:
        wait_for(agent, topics.LEDGER_STATUS, STATUS_ONLINE.__eq__)
        database = tmp_path / "books" / "ledger.sqlite"
        book(database, PaidIn(CARD, 5_000, "order-1"))
        seed = bytes.fromhex(run(config, "bind", CARD, "wang", 1, ("id-card", "")).split()[-1])
        code = virtual_code.make(seed, CAMPUS_PAYMENT, CARD, int(time.time()), b"\x00\x01")
        asked = {"nonce": bytes(8), "code": code, "amount_fen": 1_250, "seq": 1}
        relay_key = seal.derive(reader.key, messages.RELAY_LABEL)
        payload = messages.encode_relayed(messages.PAY_ASK, asked)
        said = seal.seal(relay_key, payload, messages.RELAY_UP)
        relay = messages.encode_message(messages.RELAY, {"device": 1001, "sealed": said})
        agent.publish(topics.relay_up("campus"), relay)
        heard = messages.decode_message(wait_for(agent, answers), (messages.RELAY,))["sealed"]
        opened = seal.unseal(relay_key, heard, messages.RELAY_DOWN)
        answer = messages.decode_relayed(opened, (messages.PAY_ANSWER,))
        assert (answer["reason"], answer["number"], answer["balance_fen"]) == (0, 1, 3_750)
    finally:
        daemon.terminate()
        log = daemon.stderr.read()
        daemon.wait()
        daemon.stderr.close()
        agent.close()
    assert seed.hex().encode() not in log
    store = LedgerStore.open(str(database))
    assert store.balances()["reserved", CARD] == 1_250
    assert check(store) == []
    store.close()


def test_daemon_asks_an_acquirer_that_is_a_process_of_its_own(config, broker, repo_root, tmp_path):
    """Its first answer is lost on the way; the sale is booked, and confirmed there once."""
    (tmp_path / "codes.key").write_text(bytes(range(32)).hex())
    (tmp_path / "codes.key").chmod(0o600)
    acquirer = AcquirerProcess(tmp_path, plan={"reserve": ["silent"]})
    lines = '[codes]\nkey_file = "codes.key"\n[acquirer]\nkey_file = "acquirer.key"\n'
    lines += f'url = "{acquirer.url}"\ntimeout_ms = 300\n'
    config.write_text(config.read_text() + lines)
    answers, receipts = topics.relay_down("campus"), topics.agent_receipts("campus")
    subscriptions = [answers, receipts, topics.LEDGER_STATUS]
    agent = MqttPort("127.0.0.1", broker, "agent", subscriptions=subscriptions)
    reader, code = Reader(1001), b"134567890123456789".ljust(38, b"\0")
    relay_key = seal.derive(reader.key, messages.RELAY_LABEL)
    asked = {"nonce": bytes(8), "code": code, "amount_fen": 1_250, "seq": 1}
    said = seal.seal(
        relay_key, messages.encode_relayed(messages.PAY_ASK, asked), messages.RELAY_UP
    )
    relay = messages.encode_message(messages.RELAY, {"device": 1001, "sealed": said})
    daemon = start(config, repo_root)
    try:
        wait_for(agent, topics.LEDGER_STATUS, STATUS_ONLINE.__eq__)
        heard = wait_for_answer(agent, answers, relay)
        opened = seal.unseal(relay_key, heard["sealed"], messages.RELAY_DOWN)
        answer = messages.decode_relayed(opened, (messages.PAY_ANSWER,))
        assert (answer["reason"], answer["number"]) == (0, 1)
        reader.code_sale(1, 1_250)
        agent.publish(topics.agent_records("campus"), forward("campus", 1, reader.records))
        wait_for(agent, receipts)
        until = time.monotonic() + PATIENCE_S
        books = Payments(tmp_path / "acquirer.sqlite")
        while list(books.states().values()) != ["confirmed"]:
            assert time.monotonic() < until
            time.sleep(0.05)
        books.close()
    finally:
        daemon.terminate()
        log = daemon.stderr.read()
        daemon.wait()
        daemon.stderr.close()
        agent.close()
        acquirer.kill()
    assert b"134567890123456789" not in log
    store = LedgerStore.open(str(tmp_path / "books" / "ledger.sqlite"))
    assert store.takings(CANTEEN) == 1_250
    assert check(store) == []
    store.close()


def wait_for_answer(agent, answers, relay):
    """As a reader does: the same question each second until somebody answers."""
    for _ in range(PATIENCE_S):
        agent.publish(topics.relay_up("campus"), relay)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            agent.step(time.monotonic_ns() // 1_000_000)
            while (message := agent.take()) is not None:
                agent.ack(message)
                if message.topic == answers:
                    return messages.decode_message(message.payload, (messages.RELAY,))
            time.sleep(0.02)
    raise AssertionError("no answer")


def test_public_key_is_the_rfc_8032_one():
    # RFC 8032, section 7.1, test 1.
    secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert public_key(bytes.fromhex(secret)).hex() == public
