"""`onecard agent doctor`: what is wrong with an agent's box, each in a line that says what to do.

It only looks: beside a running agent too, and files are opened for reading alone.
"""

import fcntl
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.dialing import Dial, peer_certificate
from adapters.identity import WARN_DAYS, Identity, days_between, peer_end_s
from adapters.mqtt import MqttPort
from edge_agent import card_history, decisions, schema
from edge_agent.config import Broker, Config
from edge_agent.inventory import waiting_in
from edge_agent.service import reader_subscriptions, upstream_subscriptions
from edge_agent.space import RESERVE_BYTES

GOOD, WORTH_A_LOOK, WRONG = "good", "look", "wrong"
CONNECT_S = 6.0
_MB = 1 << 20


@dataclass(frozen=True)
class Finding:
    """What one check has found; `action` is for whoever reads it, empty where nothing is to do."""

    level: str
    about: str
    text: str
    action: str = ""


def examine(config: Config) -> Iterator[Finding]:
    """Every check in turn, as its finding is known: the slow ones last."""
    for check in CHECKS:
        yield from check(config)


# -- what lies on the disk ---------------------------------------------------------------------


def _folder(config: Config) -> Iterator[Finding]:
    about = "data folder"
    try:
        state = config.data.stat()
    except OSError as error:
        text = f"{config.data}: {error.strerror}"
        yield Finding(WORTH_A_LOOK, about, text, "start the agent once: it makes it")
        return
    if state.st_mode & 0o077:
        text = f"{config.data} is open to others (mode {state.st_mode & 0o777:o})"
        yield Finding(WRONG, about, text, f"chmod 700 {config.data}")
    elif not os.access(config.data, os.W_OK):
        text = f"{config.data} belongs to user {state.st_uid}, who we are not"
        yield Finding(WORTH_A_LOOK, about, text, "run this as the agent's user to see all of it")
    else:
        yield Finding(GOOD, about, f"{config.data}, for us alone")


def _disk(config: Config) -> Iterator[Finding]:
    folder = config.data if config.data.exists() else config.data.parent
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding(WRONG, "disk", f"{folder}: {error.strerror}", "is the disk mounted?")
        return
    used_bytes = sum(file.stat().st_size for file in config.data.glob("agent.sqlite*"))
    text = f"records use {used_bytes // _MB} of {config.budget_bytes // _MB} MB"
    text += f", {free_bytes // _MB} MB are free"
    if free_bytes < RESERVE_BYTES:
        yield Finding(WRONG, "disk", text, "make room: no new records are taken below 64 MB")
    elif used_bytes + free_bytes < config.budget_bytes:
        action = "make room, or set store.budget_mb to what there is"
        yield Finding(WORTH_A_LOOK, "disk", text, action)
    else:
        yield Finding(GOOD, "disk", text)


def _databases(config: Config) -> Iterator[Finding]:
    files = (("agent.sqlite", schema.MIGRATIONS), ("cards.sqlite", card_history.MIGRATIONS))
    for name, migrations in files:
        path = config.data / name
        if path.exists():
            yield _database(path, len(migrations))


def _database(path: Path, known: int) -> Finding:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        state, version = str(error), 0
    if state != "ok":
        action = (
            "restart the agent: it puts the file aside, and readers send again what is missing"
        )
        return Finding(WRONG, path.name, f"damaged: {state}", action)
    if version > known:
        text = f"its schema is {version}, this program knows {known}"
        return Finding(WRONG, path.name, text, "install the newer program again")
    return Finding(GOOD, path.name, f"whole, schema {version}")


def _backlog(config: Config) -> Iterator[Finding]:
    path = config.data / "agent.sqlite"
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            query = "SELECT COALESCE(SUM(stored - receipted), 0), COUNT(*) FROM device"
            waiting, devices = database.execute(query).fetchone()
            (refused,) = database.execute("SELECT COUNT(*) FROM refused").fetchone()
    except sqlite3.Error:
        return  # said above
    yield Finding(GOOD, "records", f"{waiting} of {devices} readers wait for the ledger")
    if refused:
        text = f"the ledger has refused {refused}"
        action = "its log says which and why; the numbers stand in docs/reason-codes.md"
        yield Finding(WORTH_A_LOOK, "refused records", text, action)


def _inventory(config: Config) -> Iterator[Finding]:
    path = config.data / "inventory.json"
    try:
        readers = json.loads(path.read_text(encoding="utf-8")).get("reader", {})
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError) as error:
        action = "restart the agent: readers fill it again"
        yield Finding(WORTH_A_LOOK, "inventory", f"cannot be read: {error}", action)
        return
    yield Finding(GOOD, "inventory", f"{len(readers)} readers")


def _enrolment(config: Config) -> Iterator[Finding]:
    path = config.data / decisions.NAME
    if not config.enrolment or not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        text = f"others may use {path.name} (mode {mode:04o}): the agent does not start"
        yield Finding(WRONG, "enrolment", text, f"chmod 600 {path}")
        return
    try:
        known, waiting = decisions.standing(path), waiting_in(config.data / "inventory.json")
    except (OSError, ValueError) as error:
        if not isinstance(error, FileNotFoundError):
            yield Finding(WORTH_A_LOOK, "enrolment", str(error), f"look into {config.data}")
        return
    text = f"{len(known.links)} readers are admitted, {len(waiting)} wait"
    if waiting:
        action = "onecard agent enrol list; approve or deny each"
        yield Finding(WORTH_A_LOOK, "enrolment", text, action)
    else:
        yield Finding(GOOD, "enrolment", text)
    if known.bad_lines:
        text = f"{known.bad_lines} lines of {path.name} say nothing"
        action = "a power cut tears one; if there are more, look who writes to that file"
        yield Finding(WORTH_A_LOOK, "enrolment's file", text, action)


def _damaged(config: Config) -> Iterator[Finding]:
    kept = sorted(file.name for file in config.data.glob("*.damaged*"))
    if kept:
        text = f"put aside: {', '.join(kept)}"
        action = "the disk gave back what was not written there: replace it, then delete these"
        yield Finding(WORTH_A_LOOK, "damaged files", text, action)


# -- what runs, and whom it reaches ------------------------------------------------------------


def _process(config: Config) -> Iterator[Finding]:
    path = config.data / "agent.lock"
    try:
        with open(path, encoding="ascii") as file:
            pid = file.read().strip()
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield Finding(GOOD, "agent", f"runs as process {pid}")
                return
    except OSError:
        pass
    yield Finding(WRONG, "agent", "does not run", "systemctl start onecard-agent")


def _page(config: Config) -> Iterator[Finding]:
    if config.view_port is None:
        return
    url = f"http://127.0.0.1:{config.view_port}/health"
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            answer.read()
        yield Finding(GOOD, "page", f"{url} says that the loop goes on")
    except (urllib.error.URLError, OSError) as error:
        yield Finding(WRONG, "page", f"{url}: {error}", "journalctl -u onecard-agent")


def _clock(_config: Config) -> Iterator[Finding]:
    if shutil.which("timedatectl") is None:
        return
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    if done.returncode == 0 and done.stdout.strip() == "yes":
        yield Finding(GOOD, "clock", "is kept by a time server")
    elif done.returncode == 0:
        text = "nothing keeps it: certificates and reports will be off, money will not"
        yield Finding(WORTH_A_LOOK, "clock", text, "timedatectl set-ntp true")


def _lines(config: Config) -> Iterator[Finding]:
    for line in config.lines:
        if not line.url.startswith("/"):
            continue
        if not os.path.exists(line.url):
            action = "plug it in, or correct lines.url: ls /dev/serial/by-id"
            yield Finding(WRONG, "serial line", f"{line.url} is not there", action)
        elif not os.access(line.url, os.R_OK | os.W_OK):
            action = "put the agent's user into the group dialout"
            yield Finding(WRONG, "serial line", f"{line.url} is not for us", action)
        else:
            yield Finding(GOOD, "serial line", f"{line.url}, {len(line.readers)} readers")


def _brokers(config: Config) -> Iterator[Finding]:
    action = "is it started there, and does a firewall let port {} through?"
    ends = (
        ("readers' broker", config.readers, reader_subscriptions(config.site)),
        ("upstream", config.upstream, upstream_subscriptions(config.site)),
    )
    nodes = [
        (about, replace(broker, host=host, port=port), subscriptions)
        for about, broker, subscriptions in ends
        for host, port in broker.addresses
    ]
    for about, broker, subscriptions in nodes:
        shown = b""
        if broker.identity is None:
            problem = _unreachable(broker, f"onecard-doctor-{config.site}", subscriptions)
        else:
            problem, shown = _distrusted(broker, broker.identity)
        where = f"{broker.host}:{broker.port}"
        if problem:
            yield Finding(WRONG, about, f"{where}: {problem}", action.format(broker.port))
        else:
            yield Finding(GOOD, about, f"{where} takes us")
        if shown:
            renew = f"onecard ca renew, for the broker at {where}, and restart that"
            yield _ending(f"certificate of {about}", where, peer_end_s(shown), renew)


def _unreachable(broker: Broker, client_id: str, subscriptions: list[str]) -> str:
    """Why a broker does not take us and let us hear what the agent has to hear, or nothing."""
    port = MqttPort(broker.host, broker.port, client_id, subscriptions=subscriptions)
    try:
        until_s = time.monotonic() + CONNECT_S
        while time.monotonic() < until_s:
            port.step(_now_ms())
            if port.connected:
                return ""
            if port.last_error:
                return port.last_error
            time.sleep(0.02)
        return "no answer in time"
    finally:
        port.close()


def _distrusted(broker: Broker, identity: Identity) -> tuple[str, bytes]:
    """Why there is no TLS with a broker, or nothing and its certificate. No word of MQTT: it would
    end the session of the agent that runs, for the broker knows both by one certificate.
    """
    dial = Dial((broker.host, broker.port), _now_ms(), identity.context)
    try:
        while not dial.error:
            secured = dial.step(_now_ms())
            if secured is not None:
                shown = peer_certificate(secured)
                secured.close()
                return "", shown
            time.sleep(0.02)
        return dial.error, b""
    finally:
        dial.close()


def _certificates(config: Config) -> Iterator[Finding]:
    for name, broker in (("readers", config.readers), ("upstream", config.upstream)):
        identity = broker.identity
        if identity is None:
            continue
        about = f"certificate for {name}"
        action = f"onecard ca renew, for {identity.name}"
        yield _ending(about, str(identity.certificate), identity.end_s(), action)
        action = "onecard ca next, in good time: the documents say in which order"
        yield _ending(
            f"authority for {name}", str(identity.ca), identity.authority_end_s(), action
        )


def _ending(about: str, whose: str, end_s: int, action: str) -> Finding:
    """What is to be said of a certificate that ends then."""
    days = days_between(int(time.time()), end_s)
    if days < 0:
        return Finding(WRONG, about, f"{whose} has ended", action)
    level = WORTH_A_LOOK if days < WARN_DAYS else GOOD
    return Finding(level, about, f"{whose}: {days} days left", action if level != GOOD else "")


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


CHECKS: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    _folder,
    _disk,
    _databases,
    _backlog,
    _inventory,
    _enrolment,
    _damaged,
    _process,
    _clock,
    _lines,
    _page,
    _certificates,
    _brokers,
)
