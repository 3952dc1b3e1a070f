"""Names beside a loop: a resolver that hangs, that is late, that has died since it last spoke."""

import select
import socket
import ssl
import threading

import pytest

from adapters import names
from adapters.dialing import DIAL_MS, Dial
from adapters.failover import BACKOFF_MS_MAX
from adapters.mqtt import MqttPort
from adapters.names import FRESH_S, Names

HOST = "centre.example"
_real = socket.getaddrinfo
SECURE = ssl.create_default_context()


class Resolver:
    """Answers for HOST when told to; who asks waits, as for a name server that is gone."""

    def __init__(self):
        self.asked = 0
        self._say = threading.Event()
        self._answer = None

    def getaddrinfo(self, host, port, *, type=0, flags=0):  # noqa: A002 - its real name
        if host != HOST:
            return _real(host, port, type=type, flags=flags)
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        self.asked += 1
        assert self._say.wait(30)
        if isinstance(self._answer, Exception):
            raise self._answer
        return _real(self._answer, port, type=type)

    def say(self, answer):
        self._answer = answer
        self._say.set()

    def hang(self):
        self._say.clear()


@pytest.fixture
def resolver(monkeypatch):
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.say(socket.gaierror(socket.EAI_FAIL, "the test is over"))


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def _waits_for(dial):
    """Wait as a loop does for what the dial waits for."""
    poller = select.poll()
    poller.register(dial.fileno(), select.POLLOUT if dial.wants_write else select.POLLIN)
    assert poller.poll(10_000)


def _connected(dial, now_ms=0):
    for _ in range(100):
        sock = dial.step(now_ms)
        assert not dial.error
        if sock is not None:
            sock.close()
            return True
        _waits_for(dial)
    return False


def test_a_hung_look_up_holds_nobody_up_and_its_answer_wakes_the_loop(resolver, listener):
    port = listener.getsockname()[1]
    dial = Dial((HOST, port), 0)
    for now_ms in range(DIAL_MS):
        assert dial.step(now_ms) is None
    assert dial.error == ""
    assert resolver.asked == 1
    resolver.say("127.0.0.1")
    assert _connected(dial, DIAL_MS - 1)
    assert listener.accept()


def test_who_hears_nothing_of_a_name_in_time_says_so(resolver):
    dial = Dial((HOST, 1), 0)
    dial.step(DIAL_MS - 1)
    assert dial.error == ""
    dial.step(DIAL_MS)
    assert dial.error == f"cannot find {HOST}: no answer about its name in time"
    assert dial.fileno() is None


def test_a_late_answer_is_taken_by_the_next_attempt(resolver, listener):
    book, address = Names(), (HOST, listener.getsockname()[1])
    Dial(address, 0, names=book).step(DIAL_MS)
    lookup = book.look_up(address)
    resolver.say("127.0.0.1")
    assert select.select([lookup], [], [], 10)[0]
    assert _connected(Dial(address, 0, names=book))
    assert resolver.asked == 1
    # Each connection after that asks anew: addresses change.
    assert _connected(Dial(address, 0, names=book))
    assert resolver.asked == 2


def test_an_answer_that_nobody_took_for_a_minute_is_none(resolver, monkeypatch):
    book, now_s = Names(), [1_000.0]
    monkeypatch.setattr(names, "_now_s", lambda: now_s[0])
    first = book.look_up((HOST, 1))
    resolver.say("127.0.0.1")
    assert select.select([first], [], [], 10)[0]
    now_s[0] += FRESH_S
    assert book.look_up((HOST, 1)) is first
    now_s[0] += 1
    assert book.look_up((HOST, 1)) is not first


def test_a_port_whose_names_hang_for_days_has_a_thread_for_each_of_them(resolver):
    before = set(threading.enumerate())
    port = MqttPort(HOST, 1, "p", subscriptions=[], fallbacks=[(HOST, 2)])
    for now_ms in range(0, 500 * BACKOFF_MS_MAX, 500):
        port.step(now_ms)
    assert port.counters["failed_dials"] > 500
    assert resolver.asked == len(set(threading.enumerate()) - before) == 2
    port.close()


@pytest.mark.parametrize("is_hung", [True, False])
def test_with_tls_the_last_known_address_does_while_names_are_dead(resolver, listener, is_hung):
    address = (HOST, listener.getsockname()[1])
    for secure in (None, lambda: SECURE):
        book = Names()
        resolver.say("127.0.0.1")
        assert _connected(Dial(address, 0, names=book))
        resolver.hang()
        if not is_hung:
            resolver.say(socket.gaierror(socket.EAI_AGAIN, "the name server is away"))
        dial = Dial(address, 0, secure, names=book)
        if not is_hung:
            _waits_for(dial)
        dial.step(DIAL_MS if is_hung else 0)
        if secure is None:
            # Whoever has that address by now proves nothing there, and might be sent a password.
            assert f"cannot find {HOST}" in dial.error
        else:
            assert dial.error == ""
            assert listener.accept()
            dial.close()
            assert listener.accept()
        resolver.say("127.0.0.1")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "x..example"])
def test_what_cannot_be_a_name_is_an_error_and_no_exception(host):
    dial = Dial((host, 1), 0)
    while not dial.error:
        _waits_for(dial)
        assert dial.step(0) is None
    assert f"cannot find {host}" in dial.error


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_numbers_are_known_at_once(host, monkeypatch):
    monkeypatch.setattr(threading, "Thread", None)
    assert Names().look_up((host, 1)).is_done


def test_without_another_thread_it_is_an_error(resolver, monkeypatch):
    def none_left(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    dial = Dial((HOST, 1), 0)
    dial.step(0)
    assert "can't start new thread" in dial.error
