"""The agent as a process: a configuration file in, one loop, a clean end on SIGTERM.

    python -m edge_agent.daemon /etc/onecard/agent.toml

Exit codes: 0 stopped as asked, 1 the disk or another agent is in the way, 2 the configuration is
wrong. A file that is damaged is put aside, and the same process begins anew without it. Logs are
JSON lines on stderr; no card, no person and no key is ever in them.
"""

import fcntl
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from adapters.identity import CertificateWatch
from adapters.mqtt import MqttPort
from adapters.sqlite import NotDurable, SchemaTooNew
from edge_agent import decisions
from edge_agent.admission import Admissions
from edge_agent.card_history import CardHistory
from edge_agent.certificates import Certificates
from edge_agent.config import Broker, Config, ConfigError, load
from edge_agent.disk import StoreDamaged, StoreUnavailable, make_folder, put_aside
from edge_agent.home_assistant import LINK, HomeAssistant
from edge_agent.inventory import Inventory, InventoryLocked
from edge_agent.notify import READY, STOPPING, Notify
from edge_agent.page import Page, monotonic_ms
from edge_agent.reader_ports import ReaderPorts
from edge_agent.serial_line import SerialLine
from edge_agent.service import AgentService, reader_subscriptions, upstream_subscriptions
from edge_agent.space import OK as ROOMY
from edge_agent.space import URGENT, Space
from edge_agent.store import Store
from edge_agent.viewer import Viewer
from protocols.wire import topics

REPORT_MS = 60_000
WAIT_MS_MAX = 5_000
_CLIENT_ID_BYTES = 8
OK, IN_THE_WAY, BAD_CONFIG = 0, 1, 2
GOOD_NEWS = ("reader_up", "line_quiet")  # of a line; what else it tells is a warning
BAD_NEWS = ("quarantined", "reader_denied", "reader_floods")  # of admissions and hearing
SPACE_EVENTS = ("disk_roomy", "disk_tight", "disk_urgent", "disk_full")  # by Space.level
_log = logging.getLogger("onecard.agent")


class AgentLocked(Exception):
    """Another agent runs on this data directory."""


REFUSALS = (
    ConfigError,
    AgentLocked,
    InventoryLocked,
    SchemaTooNew,
    NotDurable,
    StoreUnavailable,
    OSError,
)


def run(config_path: str | Path) -> None:
    """Run the agent until SIGTERM or SIGINT. Raises one of REFUSALS, whose text is for people."""
    _log_to_stderr()
    config = load(str(config_path))
    while not _serve_once(config):
        pass
    _log.info("stopped")


def _serve_once(config: Config) -> bool:
    """Whether the agent stopped as asked; else a damaged file was put aside, to begin anew."""
    try:
        with ExitStack() as stack:
            _serve(config, stack)
        return True
    except StoreDamaged as damage:
        kept = put_aside(damage.path, int(time.time()))
        _log.error("damaged", extra={"fields": {"problem": str(damage), "kept_as": kept}})
        return False


def main(config_path: str) -> int:
    """`run`, with what it refuses as a log line; the exit code."""
    try:
        run(config_path)
    except REFUSALS as error:
        _log.error("refused", extra={"fields": {"problem": str(error)}})
        return BAD_CONFIG if isinstance(error, ConfigError) else IN_THE_WAY
    return OK


def _serve(config: Config, stack: ExitStack) -> None:
    notify = Notify()
    make_folder(config.data)
    stack.enter_context(_exclusive(config.data))
    wake = stack.enter_context(_stop_signals())
    store = Store(
        str(config.data / "agent.sqlite"),
        keep_ms=config.retention_ms,
        space=Space(config.budget_bytes, lambda: _free_bytes(config.data)),
    )
    stack.callback(store.close)
    card_history = CardHistory(str(config.data / "cards.sqlite"))
    stack.callback(card_history.close)
    inventory = Inventory(str(config.data / "inventory.json"), lambda: int(time.time()))
    stack.callback(inventory.close)
    if inventory.was_damaged:
        _log.warning("inventory_damaged", extra={"fields": {"kept_as": "inventory.damaged"}})
    admissions = _admissions(config, store, inventory)
    heard = reader_subscriptions(config.site, strangers=config.strangers)
    readers = _port(config.readers, f"onecard-agent-{config.site}", heard, stack)
    heard = upstream_subscriptions(config.site, with_cards=True)
    upstream = _port(config.upstream, f"onecard-agent-{config.site}-up", heard, stack)
    lines = [SerialLine(line.url, line.baud, list(line.readers)) for line in config.lines]
    for line in lines:
        stack.callback(line.close)
        line.start()
    service = AgentService(
        config.site,
        store,
        inventory,
        ReaderPorts(config.site, readers, lines) if lines else readers,
        upstream,
        config.ledger_public_key,
        card_history=card_history,
        strangers=config.strangers,
        admissions=admissions,
    )
    ports = {"readers": readers, "upstream": upstream}
    home = _home_assistant(config, ports, stack)
    viewer = _viewer(config, service, ports, lines, home, stack)
    _log.info("started", extra={"fields": {"site": config.site}})
    brokers = {"readers": config.readers, "upstream": config.upstream}
    if config.home_assistant is not None:
        brokers[LINK] = config.home_assistant.broker
    watches = [
        CertificateWatch(name, broker.identity)
        for name, broker in brokers.items()
        if broker.identity is not None
    ]
    journal = _Journal(service, ports, lines, watches, admissions)
    notify.say(READY)
    beside = [each for each in (viewer, home) if each is not None]
    _loop(service, ports, lines, beside, notify, wake, journal)
    notify.say(STOPPING)


def _admissions(config: Config, store: Store, inventory: Inventory) -> Admissions | None:
    if not config.enrolment:
        return None
    before = [*store.devices(), *(reader["device"] for reader in inventory.readers())]
    return Admissions(config.data / decisions.NAME, lambda: int(time.time()), before)


def _port(
    broker: Broker,
    client_id: str,
    heard: list[str],
    stack: ExitStack,
    login: tuple[str, str] | None = None,
) -> MqttPort:
    secure = None if broker.identity is None else broker.identity.context
    if broker.fallbacks:
        # A cluster does not tie an id to a certificate, and ends the older of two connections
        # with one id: nobody else knows one that this process has drawn (docs/adr/0082).
        client_id = f"{client_id}-{os.urandom(_CLIENT_ID_BYTES).hex()}"
    port = MqttPort(
        broker.host,
        broker.port,
        client_id,
        subscriptions=heard,
        secure=secure,
        login=login,
        fallbacks=broker.fallbacks,
        probe=topics.LEDGER_PROBE,  # said on a cluster only, and by nobody else
        subscription_qos=broker.subscription_qos,
    )
    stack.callback(port.close)
    return port


def _viewer(
    config: Config,
    service: AgentService,
    ports: dict[str, MqttPort],
    lines: list[SerialLine],
    home: HomeAssistant | None,
    stack: ExitStack,
) -> Viewer | None:
    shows = [] if home is None else [home.show]
    if config.view_port is not None:
        page = Page(config.view_port, monotonic_ms)
        stack.callback(page.close)
        shows.append(page.show)
    if not shows:
        return None
    links = {**ports, **_by_name(lines)}
    brokers = {"readers": config.readers, "upstream": config.upstream}
    secured = [
        (name, broker.identity, ports[name])
        for name, broker in brokers.items()
        if broker.identity is not None
    ]
    return Viewer(
        config.site, service, links, shows, lambda: int(time.time()), Certificates(secured)
    )


def _home_assistant(
    config: Config, ports: dict[str, MqttPort], stack: ExitStack
) -> HomeAssistant | None:
    """The bridge, whose port is then one of `ports`; None if nobody has asked for it."""
    home = config.home_assistant
    if home is None:
        return None
    client_id = f"onecard-agent-{config.site}-home"
    port = ports[LINK] = _port(home.broker, client_id, [], stack, home.login)
    return HomeAssistant(config.site, home.prefix, port, is_on=home.enabled)


def _by_name(lines: list[SerialLine]) -> dict[str, SerialLine]:
    return {f"line{number}": line for number, line in enumerate(lines, 1)}


def _free_bytes(folder: Path) -> int:
    system = os.statvfs(folder)
    return system.f_bavail * system.f_frsize


def _loop(
    service: AgentService,
    ports: dict[str, MqttPort],
    lines: list[SerialLine],
    beside: Sequence[Viewer | HomeAssistant],
    notify: Notify,
    wake: socket.socket,
    journal: "_Journal",
) -> None:
    while True:
        now_ms = time.monotonic_ns() // 1_000_000
        for line in lines:
            line.hush()
        due_ms = service.step(now_ms)
        journal.step(now_ms)
        for each in beside:
            due_ms = min(due_ms, each.step(now_ms))
        notify.status(_words(service, ports))
        if not service.is_stuck(now_ms):
            due_ms = min(due_ms, notify.alive(now_ms) or due_ms)
        poller = select.poll()
        poller.register(wake, select.POLLIN)
        for port in ports.values():
            descriptor = port.fileno()
            events = port.wants_read() * select.POLLIN | port.wants_write() * select.POLLOUT
            if descriptor is not None and events:
                poller.register(descriptor, events)
        for line in lines:
            poller.register(line.fileno(), select.POLLIN)
        ready = poller.poll(min(max(0, due_ms - now_ms), WAIT_MS_MAX))
        if any(descriptor == wake.fileno() for descriptor, _events in ready):
            return


def _words(service: AgentService, ports: dict[str, MqttPort]) -> str:
    """For `systemctl status`: which links are down, and whether the disk is at its end."""
    down = [f"no link to {name}" for name, port in ports.items() if not port.connected]
    space = [] if service.space.level < URGENT else [SPACE_EVENTS[service.space.level]]
    return ", ".join(down + space) or "all links are up"


class _Journal:
    """Says what changed on the connections at once, and the counters once a minute."""

    def __init__(
        self,
        service: AgentService,
        ports: dict[str, MqttPort],
        lines: list[SerialLine],
        watches: list[CertificateWatch],
        admissions: Admissions | None,
    ) -> None:
        self._service = service
        self._news = [service.hearing.events]
        if admissions is not None:
            self._news.append(admissions.events)
        self._watches = watches
        self._lines = _by_name(lines)
        self._ports = ports
        self._links: dict[str, MqttPort | SerialLine] = {**ports, **self._lines}
        self._was_connected = dict.fromkeys(self._links, False)
        self._was_lost: dict[str, str] = {}
        self._report_ms = 0
        self._level = ROOMY
        self._reported: dict[str, int] = {}

    def step(self, now_ms: int) -> None:
        for name, port in self._links.items():
            if port.connected != self._was_connected[name]:
                self._was_connected[name] = port.connected
                fields: dict[str, Any] = {"link": name}
                if not port.connected:
                    fields["problem"] = port.last_error
                elif isinstance(port, MqttPort) and port.node:
                    fields["node"] = port.node
                event = "connected" if port.connected else "disconnected"
                _log.info(event, extra={"fields": fields})
        for name, port in self._ports.items():
            self._say_lost(name, port, "no_link", {})
        for name, line in self._lines.items():
            self._say_line(name, line)
        for news in self._news:
            while news:
                event, fields = news.popleft()
                level = logging.WARNING if event in BAD_NEWS else logging.INFO
                _log.log(level, event, extra={"fields": fields})
        self._say_level()
        if now_ms >= self._report_ms:
            self._report_ms = now_ms + REPORT_MS
            for watch in self._watches:
                self._say_certificate(watch)
            status = self._service.status()
            changed = {k: v for k, v in status.items() if v != self._reported.get(k, 0)}
            if changed:
                self._reported = status
                _log.info("counters", extra={"fields": changed})

    def _say_level(self) -> None:
        space = self._service.space
        if space.level != self._level:
            self._level = space.level
            fields = {"used_bytes": space.used_bytes, "limit_bytes": space.limit_bytes}
            level = logging.WARNING if space.level < URGENT else logging.ERROR
            level = logging.INFO if space.level == ROOMY else level
            _log.log(level, SPACE_EVENTS[space.level], extra={"fields": fields})

    def _say_certificate(self, watch: CertificateWatch) -> None:
        days = watch.news(int(time.time()))
        if days is not None:
            fields = {"link": watch.link, "days_left": days}
            _log.warning("certificate_ends", extra={"fields": fields})

    def _say_lost(
        self, name: str, link: MqttPort | SerialLine, event: str, fields: dict[str, Any]
    ) -> None:
        """A link that is not there says why, once for each reason."""
        problem = "" if link.connected else link.last_error
        if problem and problem != self._was_lost.get(name, ""):
            _log.warning(event, extra={"fields": {"link": name, **fields, "problem": problem}})
        self._was_lost[name] = problem

    def _say_line(self, name: str, line: SerialLine) -> None:
        """Readers come and go by their device numbers."""
        self._say_lost(name, line, "no_port", {"url": line.url})
        for what, device in line.take_events():
            level = logging.INFO if what in GOOD_NEWS else logging.WARNING
            _log.log(level, what, extra={"fields": {"link": name, "device": device}})


@contextmanager
def _exclusive(data: Path) -> Iterator[None]:
    with open(data / "agent.lock", "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AgentLocked(
                f"another agent (process {file.read().strip() or 'unknown'}) runs on {data}: "
                "stop it first, or give this one its own data directory"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextmanager
def _stop_signals() -> Iterator[socket.socket]:
    """A socket that becomes readable when SIGTERM or SIGINT arrives, also during a poll."""
    inner, outer = socket.socketpair()
    outer.setblocking(False)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda _number, _frame: None)
    signal.set_wakeup_fd(outer.fileno(), warn_on_full_buffer=False)
    try:
        yield inner
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        inner.close()
        outer.close()


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time_s": int(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        return json.dumps(line | getattr(record, "fields", {}), ensure_ascii=False)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    _log.handlers = [handler]
    _log.setLevel(logging.INFO)
    _log.propagate = False


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m edge_agent.daemon CONFIG.toml")
    sys.exit(main(sys.argv[1]))
