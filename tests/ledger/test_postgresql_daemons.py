"""Two ledger daemons on one database: each hears everything, and the books have it once."""

import socket
import subprocess

import pytest

from adapters.mqtt import MqttPort
from ledger.invariants import check
from ledger.store import LedgerStore
from protocols.wire import messages, seal, topics
from protocols.wire.ledger_status import STATUS_OFFLINE, STATUS_ONLINE
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader, forward
from tests.ledger.test_daemon import KEY, PATIENCE_S, start, wait_for

SITE = "north"
PORTION = 5
STEPS = 60


@pytest.fixture
def brokers(mosquitto, tmp_path):
    """The ports of two brokers: two campuses that share the centre's books."""
    processes, ports = [], []
    for number in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        config = tmp_path / f"mosquitto-{number}.conf"
        config.write_text(f"listener {ports[-1]} 127.0.0.1\nallow_anonymous true\n")
        processes.append(subprocess.Popen([mosquitto, "-c", config], stderr=subprocess.DEVNULL))
    yield ports
    for process in processes:
        process.terminate()
        process.wait(PATIENCE_S)


def meeting():
    """Two readers that tell of each other's debits of one card; some have no OUTCOME."""
    readers = Reader(1001), Reader(1002)
    last = (0, 0)
    for step in range(STEPS):
        reader = readers[step % 2]
        last = reader.intent(counter=step, amount_fen=10, last=last)
        if step % 3:
            reader.outcome(last, messages.COMMITTED)
    return readers


def books(place, readers):
    store = LedgerStore.open(place)
    store.register_merchant(CANTEEN, "Canteen")
    for reader in readers:
        store.register_device(reader.device, reader.key, CANTEEN, SITE)
    store.issue_card(CARD, OPENING_FEN)
    return store


def test_two_daemons_book_one_stream_once(postgresql, brokers, repo_root, tmp_path):
    url = postgresql.new_books()
    readers = meeting()
    books(url, readers).close()
    daemons, agents = [], []
    try:
        for number, port in enumerate(brokers):
            daemons.append(_daemon(tmp_path / str(number), port, url, repo_root))
            subscriptions = [topics.agent_receipts(SITE), topics.LEDGER_STATUS]
            agents.append(MqttPort("127.0.0.1", port, "agent", subscriptions=subscriptions))
        for agent in agents:
            wait_for(agent, topics.LEDGER_STATUS, STATUS_ONLINE.__eq__)
        # The one tells of the readers in turn, the other of one behind the other.
        orders = [
            [part for pair in zip(*map(_parts, readers), strict=True) for part in pair],
            [part for reader in reversed(readers) for part in _parts(reader)],
        ]
        for agent, order in zip(agents, orders, strict=True):
            for number, records in enumerate(order):
                agent.publish(topics.agent_records(SITE), forward(SITE, number, records))
        for agent, order in zip(agents, orders, strict=True):
            _wait_for_all(agent, set(range(len(order))))
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
            daemon.stderr.close()
        for agent in agents:
            agent.close()
    once = books(":memory:", readers)
    once.book([reader.records for reader in readers])
    twice = LedgerStore.open(url)
    assert check(twice) == []
    assert twice.dump() == once.dump()
    records = sum(reader.seq for reader in readers)
    assert twice.summary()["duplicates"] == records, "both daemons have heard of each"
    assert once.summary()["booked"] == STEPS, "each is told by its OUTCOME or by the next"
    twice.close()
    once.close()
    postgresql.drop(url)


def test_two_daemons_on_one_broker_leave_each_other_alone(
    postgresql, brokers, repo_root, tmp_path
):
    """Neither ends the other's session, and that one is gone does not say that none is there."""
    url, port, reader = postgresql.new_books(), brokers[0], Reader(1001)
    books(url, [reader]).close()
    subscriptions = [topics.agent_receipts(SITE), topics.LEDGER_STATUS]
    agent = MqttPort("127.0.0.1", port, "agent", subscriptions=subscriptions)
    daemons = []
    try:
        daemons += [_daemon(tmp_path / name, port, url, repo_root) for name in "ab"]
        for _ in range(2):
            wait_for(agent, topics.LEDGER_STATUS, STATUS_ONLINE.__eq__)
        # Two answers for each FORWARD, over and over: both are still there.
        for number in range(1, 6):
            reader.spend()
            agent.publish(topics.agent_records(SITE), forward(SITE, number, reader.records[-2:]))
            _wait_for_all(agent, {number})
            _wait_for_all(agent, {number})
        daemons[0].kill()
        wait_for(agent, topics.LEDGER_STATUS, STATUS_OFFLINE.__eq__)
        wait_for(agent, topics.LEDGER_STATUS, STATUS_ONLINE.__eq__)
        agent.publish(topics.agent_records(SITE), forward(SITE, 6, reader.records))
        _wait_for_all(agent, {6})
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
        warnings = [daemon.stderr.read() for daemon in daemons]
        for daemon in daemons:
            daemon.stderr.close()
        agent.close()
    assert warnings == [b"", b""]
    store = LedgerStore.open(url)
    assert check(store) == []
    assert store.takings(CANTEEN) == 5 * 100
    store.close()
    postgresql.drop(url)


def _daemon(folder, port, url, repo_root):
    folder.mkdir()
    (folder / "signing.key").write_text(KEY.hex())
    (folder / "signing.key").chmod(0o600)
    config = folder / "ledger.toml"
    config.write_text(
        f'data_dir = "books"\ndatabase = "{url}"\nsigning_key_file = "signing.key"\n'
        f"[broker]\nport = {port}\n"
    )
    return start(config, repo_root)


def _parts(reader):
    return [reader.records[at : at + PORTION] for at in range(0, reader.seq, PORTION)]


def _wait_for_all(agent, missing):
    """Until each FORWARD has its answer."""

    def is_last(data):
        payload, _signature = seal.sign1_split(data)
        missing.discard(messages.decode_message(payload, (messages.RECEIPTS,))["number"])
        return not missing

    wait_for(agent, topics.agent_receipts(SITE), is_last)
