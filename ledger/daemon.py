"""The ledger as a process: one loop that waits for the broker, for time, or for SIGTERM."""

import fcntl
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from adapters.aes import CIPHERS
from adapters.failover import Address
from adapters.identity import CertificateWatch, Identity
from adapters.mqtt import MqttPort
from adapters.signed_http import SignedHttp
from adapters.sqlite import NotDurable, SchemaTooNew
from ledger.acquirer_client import HttpAcquirer
from ledger.acquirer_desk import AcquirerDesk
from ledger.beside import Beside
from ledger.code_desk import CodeDesk
from ledger.config import (
    Config,
    ConfigError,
    import_register,
    load_acquirer_key,
    load_code_key,
    load_config,
    load_credit_key,
    load_signing_key,
    open_books,
)
from ledger.credit_desk import CreditDesk
from ledger.dialect import SchemaTooOld, StoreUnavailable
from ledger.entry_desk import EntryDesk
from ledger.holder_desk import LossDesk, PersonDesk
from ledger.phones import Phones
from ledger.receipts import public_key
from ledger.relay_desk import Desk, RelayDesk
from ledger.service import HEARD, WILL, LedgerService
from ledger.site_desk import SiteDesk
from ledger.spend_desk import SpendDesk
from ledger.steady_clock import ClockKeeper, SteadyClock, kept_in
from ledger.store import LedgerStore
from ledger.watch import Watch
from protocols.wire.topics import LEDGER_PROBE

__all__ = ["REFUSALS", "AlreadyRunning", "ConfigError", "open_port", "run"]

_CLIENT_ID_BYTES = 4  # with its name 23 characters: every broker has to take so many
WAIT_MS_MAX = 5_000
_CALLS_MAX = 16  # to the acquirer at once; more wait

_log = logging.getLogger(__name__)


class AlreadyRunning(Exception):
    """Another ledger has these books open; the books have one writer."""


# What `run` raises before it serves: somebody has to do something about it.
REFUSALS = (AlreadyRunning, ConfigError, SchemaTooNew, SchemaTooOld, NotDurable, StoreUnavailable)


def open_port(
    host: str,
    port: int,
    identity: Identity | None = None,
    fallbacks: Sequence[Address] = (),
    subscription_qos: int = 1,
) -> MqttPort:
    """The ledger's connection to its broker: what it subscribes to, and its last will.

    `fallbacks`: further nodes, where it is a cluster; `subscription_qos` as of MqttPort.

    Its client id is this process's own, drawn and kept nowhere: a broker ends the older of two
    connections with one id, so one in a file would stand in every copy of that. Nothing hangs on
    an id, for sessions are clean.
    """
    secure = None if identity is None else identity.context
    client_id = f"onecard-ledger-{os.urandom(_CLIENT_ID_BYTES).hex()}"
    return MqttPort(
        host,
        port,
        client_id,
        subscriptions=HEARD,
        will=WILL,
        secure=secure,
        fallbacks=fallbacks,
        probe=LEDGER_PROBE,
        subscription_qos=subscription_qos,
    )


def run(config_path: str | Path) -> None:
    """Serve until SIGTERM or SIGINT. Raises one of REFUSALS."""
    config = load_config(config_path)
    signing_key = load_signing_key(config.signing_key_file)
    credit_key = load_credit_key(config.credit_key_file) if config.credit_key_file else b""
    code_key = load_code_key(config.codes.key_file) if config.codes else b""
    config.data_dir.mkdir(parents=True, exist_ok=True)
    with (
        _exclusive(config.data_dir / "ledger.lock"),
        closing(open_books(config)) as store,
        closing(_port(config)) as port,
        _stop_signal() as stop,
        closing(Beside(config_path)) as console,
        ThreadPoolExecutor(_CALLS_MAX, "acquirer") as pool,
    ):
        if config.register_file is not None:
            import_register(store, config.register_file)
        _log.info("ledger serves; its public key is %s", public_key(signing_key).hex())
        acquirer = _acquirer(config, store, pool)
        steady = _steady(config, store)
        desk = RelayDesk(store, *_desks(config, store, credit_key, code_key, steady, acquirer))
        service = LedgerService(store, port, signing_key, _utc_s, desk, with_cards=True)
        watch = Watch(store, _utc_s, config.walks)
        keeper = ClockKeeper(store.database, steady)
        link = _Link(port, config.identity)
        while not stop.is_set():
            now_ms = _now_ms()
            due_ms = min(service.step(now_ms), watch.step(now_ms), keeper.step(now_ms))
            if config.console is not None:
                due_ms = min(due_ms, console.step(now_ms))
            if acquirer is not None:
                due_ms = min(due_ms, acquirer.step(now_ms))
            link.say()
            stop.wait(port, min(due_ms - _now_ms(), WAIT_MS_MAX))
        _log.info("ledger stops: %s, %s", service.counters, watch.counters)


def _port(config: Config) -> MqttPort:
    host, port = config.broker_host, config.broker_port
    cluster = config.broker_fallbacks, config.subscription_qos
    return open_port(host, port, config.identity, *cluster)


class _Link:
    """Says what becomes of the connection, and when its certificate ends."""

    def __init__(self, port: MqttPort, identity: Identity | None) -> None:
        self._port = port
        self._watch = identity and CertificateWatch("broker", identity)
        self._said = ""

    def say(self) -> None:
        port = self._port
        where = port.node or port.address[0]
        state = f"connected to {where}" if port.connected else port.last_error
        if state and state != self._said:
            self._said = state
            _log.log(logging.INFO if port.connected else logging.WARNING, "broker: %s", state)
        days = self._watch.news(_utc_s()) if self._watch else None
        if days is not None:
            _log.warning("the certificate for the broker ends in %d days: onecard ca renew", days)


def _steady(config: Config, store: LedgerStore) -> SteadyClock:
    kept = kept_in(store.database)
    return SteadyClock(_utc_s, lambda: _now_ms() // 1000, config.carry_over_after_s, kept)


def _acquirer(config: Config, store: LedgerStore, pool: ThreadPoolExecutor) -> AcquirerDesk | None:
    if config.acquirer is None or config.codes is None:
        return None
    key = load_acquirer_key(config.acquirer.key_file)
    timeout_s = config.acquirer.timeout_ms / 1000
    client = HttpAcquirer(SignedHttp(config.acquirer.url, key, timeout_s, os.urandom))
    books = store.acquirer_orders, store.acquirer_statements
    return AcquirerDesk(*books, client, pool, _utc_s, config.codes.policy.utc_offset_s)


def _desks(
    config: Config,
    store: LedgerStore,
    credit_key: bytes,
    code_key: bytes,
    steady: SteadyClock,
    acquirer: AcquirerDesk | None,
) -> Iterator[Desk]:
    yield SiteDesk(store, _utc_s)
    yield PersonDesk(store)
    yield SpendDesk(store.database)
    if credit_key:
        after_s = config.carry_over_after_s
        yield CreditDesk(
            store, CIPHERS, credit_key, os.urandom, _utc_s, after_s, steady_s=steady.now_s
        )
    if config.codes is not None:
        error_ms = config.codes.clock_error_ms
        phones = Phones(store.database, code_key, os.urandom)
        policy = config.codes.policy
        yield CodeDesk(store, phones, policy, lambda: _interval_ms(error_ms), acquirer)
        utc_offset_s = config.codes.policy.utc_offset_s
        yield EntryDesk(store, phones, lambda: _interval_ms(error_ms), utc_offset_s)
        yield LossDesk(store, phones, lambda: _interval_ms(error_ms), _utc_s)


def _interval_ms(error_ms: int) -> tuple[int, int]:
    utc_ms = time.time_ns() // 1_000_000
    return utc_ms - error_ms, utc_ms + error_ms


def _utc_s() -> int:
    return int(time.time())


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    # The lock belongs to the open file: it goes with the process, however that ends.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"{path.parent}: another ledger is at work here") from error
        yield
    finally:
        os.close(descriptor)


class _Stop:
    """Set by a signal, which also wakes the wait: a signal alone would only restart it."""

    def __init__(self, bell: socket.socket) -> None:
        self._bell = bell
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, port: MqttPort, timeout_ms: int) -> None:
        """Until the port's socket or a signal wants something, at most `timeout_ms`."""
        if timeout_ms <= 0:
            return
        # poll, not select: descriptors above 1024 happen in a process with many others.
        poller = select.poll()
        poller.register(self._bell, select.POLLIN)
        descriptor = port.fileno()
        if descriptor is not None:
            reading = select.POLLIN if port.wants_read() else 0
            poller.register(descriptor, reading | (select.POLLOUT if port.wants_write() else 0))
        poller.poll(timeout_ms)


@contextmanager
def _stop_signal() -> Iterator[_Stop]:
    bell, ringer = socket.socketpair()
    ringer.setblocking(False)
    stop = _Stop(bell)
    wakeup = signal.set_wakeup_fd(ringer.fileno())
    before = {
        number: signal.signal(number, lambda _number, _frame: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        bell.close()
        ringer.close()
