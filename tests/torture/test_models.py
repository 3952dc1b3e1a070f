"""The things that break in a torture run: each does what it says, and counts only what it did."""

import random
import sqlite3
from collections import Counter

import pytest

from protocols.wire import mqtt
from simulator.torture.broker import Broker, Mischief
from simulator.torture.cable import Cable
from simulator.torture.database import FaultyConnection, Killed
from simulator.torture.service_port import ServicePort
from simulator.world.clock import World

CERTAIN = 1_000_000
TOPIC = "onecard/v1/canteen/1/up"


class Desk:
    """A broker, a service that listens to everything, and another that talks."""

    def __init__(self, **mischief: int) -> None:
        self.world = World(0)
        self.fired: Counter[str] = Counter()
        self.broker = Broker("building", self.world, random.Random(1), self.fired)
        self.broker.mischief = Mischief(**mischief)
        self.listener = self.port("listener", ["onecard/#"])
        self.talker = self.port("talker", [])
        self.run()

    def port(self, name: str, filters: list[str]) -> ServicePort:
        port = ServicePort(name, self.world, self.broker, filters, lambda _at_us: None)
        port.step(self.world.now_ms)
        return port

    def run(self, seconds: float = 5) -> None:
        until_us = self.world.now_us + int(seconds * 1_000_000)
        while self.world.step(until_us):
            pass

    def say(self, *payloads: bytes) -> list[bytes]:
        """What the listener hears when the talker says this."""
        for payload in payloads:
            self.talker.publish(TOPIC, payload)
        self.run()
        return [message.payload for message in iter(self.listener.take, None)]


def test_an_honest_broker_delivers_once_in_order_and_acknowledges():
    desk = Desk()
    assert desk.say(b"1", b"2", b"3") == [b"1", b"2", b"3"]
    assert desk.talker.unacked == 0
    assert not desk.fired


@pytest.mark.parametrize(
    ("mischief", "heard", "unacked"),
    [
        ("lost", [], 0),
        ("unacknowledged", [b"1"], 1),
        ("doubled", [b"1", b"1"], 0),
        ("late", [b"1"], 0),
        ("retained", [b"1", b"1"], 0),
    ],
)
def test_mischief(mischief, heard, unacked):
    desk = Desk(**{mischief: CERTAIN})
    assert desk.say(b"1") == heard
    assert desk.talker.unacked == unacked
    assert desk.fired[f"building mqtt {mischief}"] >= 1


def test_late_messages_are_overtaken():
    desk = Desk(late=500_000)
    said = [bytes([number]) for number in range(20)]
    heard = desk.say(*said)
    assert sorted(heard) == said
    assert heard != said


def test_a_replayed_message_is_an_old_one():
    desk = Desk()
    desk.say(b"old")
    desk.broker.mischief = Mischief(replayed=CERTAIN)
    assert desk.say(b"new") == [b"new", b"old"]


def test_a_forged_message_comes_beside_the_true_one():
    desk = Desk(forged=CERTAIN)
    orders = set()
    for _ in range(20):
        heard = desk.say(b"12345678")
        assert len(heard) == 2
        orders.add(heard.index(b"12345678"))
    assert orders == {0, 1}


def test_a_broker_that_forgets_has_nothing_retained():
    for forget in (False, True):
        desk = Desk()
        desk.broker.publish(TOPIC, b"kept", retain=True)
        desk.broker.stop(forget=forget)
        assert not desk.listener.connected
        desk.broker.is_up = True
        late = desk.port("late", ["onecard/#"])
        desk.run()
        heard = late.take()
        assert (heard is None) == forget
        assert forget or heard.retain


def test_a_second_client_of_the_same_name_throws_the_first_out():
    desk = Desk()
    again = desk.port("listener", ["onecard/#"])
    assert again.connected
    assert not desk.listener.connected


# -- cable ----------------------------------------------------------------------------------------


def connected():
    desk = Desk()
    cable = Cable("pos-1", desk.world, desk.broker, lambda: desk.world.now_us, lambda _us: None)
    stream = cable.open()
    stream.send(bytes(mqtt.connect_packet("pos-1", 60, None, None, None, None)))
    desk.run(1)
    assert stream.recv(100, desk.world.now_us)[0] >> 4 == mqtt.CONNACK
    return desk, cable, stream


def publish(stream, payload=b"x"):
    return stream.send(
        bytes(mqtt.packet(mqtt.PUBLISH << 4 | 2, mqtt.field(TOPIC), b"\0\7", payload))
    )


def test_a_published_packet_is_heard_and_acknowledged():
    desk, _, stream = connected()
    publish(stream)
    desk.run(1)
    assert desk.listener.take().payload == b"x"
    assert stream.recv(100, desk.world.now_us)[0] >> 4 == mqtt.PUBACK


def test_a_cut_cable_resets_at_once():
    desk, cable, stream = connected()
    cable.cut()
    with pytest.raises(OSError):
        publish(stream)
    with pytest.raises(OSError):
        cable.open()
    assert "pos-1" not in desk.broker.sessions
    cable.plug()
    assert cable.open() is not stream


def test_half_open_swallows_and_then_blocks():
    desk, cable, stream = connected()
    for dead in range(100):
        assert cable.half_open(random.Random(dead))
        if stream.dead & 1:
            break
    taken = 0
    while count := publish(stream, bytes(1000)):
        taken += count
    assert 7000 < taken <= 8192
    desk.run(1)
    assert desk.listener.take() is None


# -- disk -----------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "x.sqlite"
    real = sqlite3.connect(path, isolation_level=None)
    real.execute("PRAGMA journal_mode = WAL")
    real.execute("CREATE TABLE t (x BLOB)")
    fired: Counter[str] = Counter()
    return path, FaultyConnection(real, "ledger", fired), fired


def rows(path):
    seen = sqlite3.connect(path)
    try:
        return seen.execute("SELECT COUNT(*) FROM t").fetchone()[0]
    finally:
        seen.close()


@pytest.mark.parametrize(
    ("statements", "after", "kept"),
    [
        (0, False, 0),
        (1, False, 0),
        (2, False, 0),
        (2, True, 1),
    ],
)
def test_a_kill_keeps_what_was_committed(disk, statements, after, kept):
    path, database, fired = disk
    database.kill_at(1 + statements, after=after)
    with pytest.raises(Killed):
        for sql in ("BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)", "COMMIT"):
            database.execute(sql)
    with pytest.raises(Killed):
        database.execute("SELECT 1")
    assert rows(path) == kept
    assert sum(fired.values()) == 1


def test_a_full_disk_takes_nothing_until_it_is_mended(disk):
    path, database, fired = disk
    database.fill()
    with pytest.raises(sqlite3.OperationalError, match="full"):
        for _ in range(100):
            database.execute("INSERT INTO t VALUES (zeroblob(1000))")
    assert fired == {"ledger disk full": 1}
    database.mend()
    before = rows(path)
    database.execute("INSERT INTO t VALUES (zeroblob(10000))")
    assert rows(path) == before + 1


def test_a_broken_disk_fails_writes_only(disk):
    _, database, fired = disk
    database.fail_from(1)
    with pytest.raises(sqlite3.OperationalError, match="I/O"):
        database.execute("INSERT INTO t VALUES (1)")
    assert database.execute("SELECT COUNT(*) FROM t").fetchone() == (0,)
    assert fired == {"ledger I/O error": 1}
