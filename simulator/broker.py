"""A real MQTT broker as a child process on a loopback port: amqtt, Mosquitto or NATS.

The child is this module run as a program: it is amqtt, or it watches over another. It ends when
its standard input ends, so it cannot outlive the process that started it, however that one dies.
It leads a process group of its own, so that a Ctrl-C reaches only the parent.

Nothing is persistent and everyone may enter: these brokers are for one machine and one run.
"""

import asyncio
import contextlib
import importlib.util
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from protocols.wire.mqtt import CONNACK, MqttError
from protocols.wire.mqtt_client import MqttClient

KINDS = ("amqtt", "mosquitto", "nats")
START_S = 20.0
STOP_S = 5.0
_PORTS_TRIED = 3
_LOOPBACK = "127.0.0.1"
_LOG_TAIL_BYTES = 2000
_KILL = b"k"
_ROOT = Path(__file__).resolve().parent.parent
# No message is dropped here behind anyone's back: the windows are those of the clients.
_MOSQUITTO_CONF = """\
listener {port} {address}
allow_anonymous true
persistence false
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 100000
sys_interval 0
connection_messages false
log_dest stderr
log_type error
log_type warning
"""


# Sessions and retained messages of its MQTT are streams of its own kind, in `folder`.
NATS_CONF = """\
server_name: "{name}"
listen: "{address}:-1"
mqtt {{ listen: "{address}:{port}" }}
jetstream {{ store_dir: "{folder}", max_memory_store: 64MB, max_file_store: 1GB }}
accounts {{ onecard: {{ jetstream: enabled, users: [{{ user: all, password: all }}] }} }}
no_auth_user: all
logtime: false
"""


class BrokerError(Exception):
    """A broker cannot be had, or did not come up; the text says why."""


class Broker:
    """One broker on one port; `kind` and `port` stay the same over restarts."""

    def __init__(self, kind: str, directory: Path, port: int) -> None:
        self.kind = kind
        self.port = port
        self.host = _LOOPBACK
        self.addresses = [(self.host, self.port)]
        self.log = directory / f"{kind}-{port}.log"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the child, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers a CONNECT; BrokerError if it does not."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it. BrokerError if somebody listens there already."""
        _require_free(self.port)
        arguments = [sys.executable, "-m", "simulator.broker", self.kind, str(self.port)]
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*arguments, str(self._directory)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it answers a CONNECT; BrokerError if it does not, or has ended."""
        assert self._process is not None
        deadline_s = time.monotonic() + START_S
        while not _answers(self.host, self.port):
            code = self._process.poll()
            if code is not None:
                self._forget()
                raise BrokerError(f"{self.kind} ended with status {code}: {self._said()}")
            if time.monotonic() > deadline_s:
                self.kill()
                raise BrokerError(f"{self.kind} did not answer in {START_S:.0f} s: {self._said()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in good order."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._forget()

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL, no word to anyone."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            # The watcher is asked to do it, because it is the one who can reap what it watches.
            if self.kind != "amqtt":
                os.write(self._process.stdin.fileno(), _KILL)
                self._process.wait(STOP_S)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._forget()

    def restart(self) -> None:
        """Kill it if it runs, and start it again on the same port. It has forgotten everything."""
        self.kill()
        self.start()

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None

    def _said(self) -> str:
        tail = self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return tail or "it said nothing"


def start_broker(kind: str = "amqtt", directory: Path | str = ".") -> Broker:
    """A running broker on a free loopback port; its files and its log go into `directory`.

    `kind`: "amqtt", "mosquitto", "nats", or "auto" (Mosquitto if it is installed, else amqtt).
    BrokerError when it is not installed or does not come up.
    """
    chosen = _choose(kind)
    error = BrokerError("no free port")
    for _ in range(_PORTS_TRIED):
        broker = Broker(chosen, Path(directory), _free_port())
        try:
            broker.start()
        except BrokerError as failed:
            if "in use" not in str(failed):
                raise
            # Someone took the port between our look and the broker's.
            error = failed
        else:
            return broker
    raise error


def find_mosquitto() -> str | None:
    """The path of the mosquitto program, or None. Debian keeps it off a user's PATH."""
    return shutil.which(
        "mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    )


def find_nats() -> str | None:
    """The path of the nats-server program, or None. Debian keeps it off a user's PATH."""
    return shutil.which(
        "nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    )


def _choose(kind: str) -> str:
    has_amqtt = importlib.util.find_spec("amqtt") is not None
    if kind == "auto":
        kind = "mosquitto" if find_mosquitto() else "amqtt"
    if kind not in KINDS:
        raise BrokerError(f"no broker is called {kind!r}: amqtt, mosquitto, nats or auto")
    if kind == "mosquitto" and find_mosquitto() is None:
        raise BrokerError("mosquitto is not installed: apt-get install mosquitto, or use amqtt")
    if kind == "nats" and find_nats() is None:
        raise BrokerError("nats is not installed: apt-get install nats-server, or use mosquitto")
    if kind == "amqtt" and not has_amqtt:
        raise BrokerError("amqtt is not installed: pip install amqtt, or use mosquitto")
    return kind


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return probe.getsockname()[1]


def _require_free(port: int) -> None:
    """BrokerError if someone listens there: whoever it is would answer in our child's place."""
    with socket.socket() as probe:
        # As the brokers do themselves: connections that are dying do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise BrokerError(f"port {port} is already in use") from error


def _answers(host: str, port: int) -> bool:
    """Whether a CONNECT to this port is answered with a CONNACK that accepts us."""
    client = MqttClient("broker-probe", 0)
    client.connect(0)
    try:
        with socket.create_connection((host, port), timeout=1.0) as sock:
            sock.sendall(client.data_to_send())
            events: list[tuple] = []
            while not events:
                data = sock.recv(64)
                if not data:
                    return False
                events = client.receive(data)
            client.disconnect()
            sock.sendall(client.data_to_send())
    except (OSError, MqttError):
        return False
    return events[0] == (CONNACK, 0, False)


# --- the child ---------------------------------------------------------------------------------


async def _serve_amqtt(port: int) -> None:
    # Imported here: the parent needs none of it, and importing it takes most of a second.
    from amqtt.broker import Broker as Amqtt

    broker = Amqtt(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{_LOOPBACK}:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )
    await broker.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    await asyncio.wait_for(broker.shutdown(), STOP_S / 2)


def _run_amqtt(port: int, _directory: Path) -> int:
    # Its warnings are about clients that went away, which is what we do to them all day.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_serve_amqtt(port))
    except TimeoutError:
        return 0  # it was told to end and was slow about it
    except Exception as error:  # noqa: BLE001 - amqtt wraps every failure in types of its own
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _run_mosquitto(port: int, directory: Path) -> int:
    program = find_mosquitto()
    assert program is not None
    configuration = directory / f"mosquitto-{port}.conf"
    configuration.write_text(_MOSQUITTO_CONF.format(port=port, address=_LOOPBACK))
    return _watch([program, "-c", str(configuration)])


def _run_nats(port: int, directory: Path) -> int:
    program = find_nats()
    assert program is not None
    configuration = directory / f"nats-{port}.conf"
    if not configuration.exists():  # else a node: simulator/broker_cluster.py
        text = NATS_CONF.format(
            name=f"nats-{port}", address=_LOOPBACK, port=port, folder=directory / f"nats-{port}"
        )
        configuration.write_text(text)
    return _watch([program, "-c", str(configuration)])


def _watch(command: list[str]) -> int:
    """Run `command` until standard input says something or ends."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        while child.poll() is None:
            if select.select([sys.stdin], [], [], 0.1)[0]:
                if os.read(sys.stdin.fileno(), 1) == _KILL:
                    child.kill()
                else:
                    child.terminate()
                child.wait()
                return 0
        return child.returncode


def main(arguments: list[str]) -> int:
    """Run one broker until standard input ends: KIND PORT DIRECTORY."""
    runs = {"amqtt": _run_amqtt, "mosquitto": _run_mosquitto, "nats": _run_nats}
    run = runs[arguments[0]]
    return run(int(arguments[1]), Path(arguments[2]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
