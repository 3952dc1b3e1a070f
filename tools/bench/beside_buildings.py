"""What stands in a building, three ways: the agent, ThingsBoard's gateway, a bridging Mosquitto.

Programs as one installs them, each with the settings of its own documents by which it keeps most:

agent    behind a Mosquitto, as it is. Its ledger runs too, and books.
gateway  thingsboard-gateway with its MQTT connector, behind the same Mosquitto, on a session that
         outlives it (its default one does not); storage `sqlite`, the durable one of the two that
         are left on a disk, and QoS 1 upwards. A BATCH goes as hexadecimal, by the `bytes`
         converter; its key is the end of the BATCH, since ThingsBoard keeps one value per key and
         millisecond. Statistics and remote configuration, which need a ThingsBoard, are off.
bridge   Mosquitto itself, with a persistent session at both ends and no limit on what waits. It
         writes what waits at every change, or once a second: both are measured.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from simulator.broker import Broker, find_mosquitto
from tools import child
from tools.bench import driver_folder
from tools.bench.agent_ledger import AGENT, Site
from tools.bench.beside_senders import MakeSender, PubackSender, stored_sender
from tools.bench.beside_upstream import ACCESS, GATEWAY_USER
from tools.bench.prepared import SITE, Campus
from tools.rooms import ROOT

_UP_S = 20.0
_HOST = "127.0.0.1"

_NEAR = """\
listener {port} 127.0.0.1
allow_anonymous true
user root
persistence {persistence}
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 0
sys_interval 0
connection_messages false
log_dest stderr
log_type error
log_type warning
"""
_BRIDGE = """\
persistence_location {folder}/
autosave_interval 1
autosave_on_changes {on_changes}
connection centre
address 127.0.0.1:{far_port}
bridge_protocol_version mqttv311
topic onecard/v1/{site}/+/up out 1
cleansession false
local_cleansession false
notifications false
restart_timeout 1
"""


class NotUp(Exception):
    """A program that is wanted is not here, or does not answer."""


class Program:
    """A process that is killed and started again, the same command each time."""

    def __init__(self, command: list[str], folder: Path, **environment: str) -> None:
        self._command = command
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self.process = child.start(
                self._command, cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def peak_kib(self) -> int:
        """The most memory it has had: VmHWM of proc(5)."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(text.partition("VmHWM:")[2].split()[0])


@dataclass
class Building:
    """`broker` is what readers speak to; `middle` is what is killed, and is the same in a bridge.

    `site`: where the books are that must agree in the end, if there are any.
    """

    broker: Program
    middle: Program
    port: int
    sender: MakeSender
    site: Site | None = None

    @property
    def programs(self) -> dict[str, Program]:
        return {"broker": self.broker} | (
            {} if self.middle is self.broker else {"middle": self.middle}
        )

    def start(self) -> None:
        """The broker first, until it listens."""
        self.broker.start()
        _wait_for(self.port)
        if self.middle is not self.broker:
            self.middle.start()

    def stop(self) -> None:
        for program in self.programs.values():
            program.kill()


def _wait_for(port: int) -> None:
    until_s = time.monotonic() + _UP_S
    while True:
        try:
            socket.create_connection((_HOST, port)).close()
        except OSError:
            if time.monotonic() > until_s:
                raise NotUp(f"nobody listens on port {port}") from None
            time.sleep(0.02)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return probe.getsockname()[1]


def _mosquitto(folder: Path, text: str) -> Program:
    program = find_mosquitto()
    if program is None:
        raise NotUp("mosquitto is not installed: apt-get install mosquitto")
    folder.mkdir()
    (folder / "mosquitto.conf").write_text(text)
    return Program([program, "-c", str(folder / "mosquitto.conf")], folder)


class Far(Broker):
    """The Mosquitto at the centre, where a gateway hears what ThingsBoard would say."""

    def __init__(self, folder: Path) -> None:
        super().__init__("mosquitto", folder, _free_port())
        text = _NEAR.format(port=self.port, persistence="false")
        (folder / "acl").write_text(ACCESS)
        (folder / "acl").chmod(0o600)
        self._program = _mosquitto(folder / "far", f"{text}acl_file {folder / 'acl'}\n")

    def start(self) -> None:
        self._program.start()
        _wait_for(self.port)

    def stop(self) -> None:
        self._program.kill()


def gateway_program() -> Path | None:
    """Where `make bench` installed ThingsBoard's gateway; None where it has not."""
    folder = driver_folder("gateway")
    program = folder / "bin" / "thingsboard-gateway" if folder else None
    return program if program and program.exists() else None


# ---------------------------------------------------------------- the three


@dataclass(frozen=True)
class Place:
    """Where a building is put up: a directory, and `line_port`, its way to the broker `far`.

    `campus` is who may be heard; `stack` ends what runs besides the building's programs.
    """

    folder: Path
    far: Broker
    line_port: int
    campus: Campus
    stack: ExitStack


Make = Callable[[Place], Building]


def agent(place: Place) -> Building:
    """Ours, with the ledger that answers it."""
    port, folder = _free_port(), place.folder / "site"
    site = Site(folder, place.far, place.campus, place.line_port, port)
    place.stack.enter_context(site.ledger())
    near = _mosquitto(place.folder / "near", _NEAR.format(port=port, persistence="false"))
    command = [sys.executable, "-c", AGENT, str(folder / "agent.toml")]
    middle = Program(command, folder, PYTHONPATH=str(ROOT))
    return Building(near, middle, port, stored_sender, site)


def gateway(place: Place) -> Building:
    """ThingsBoard's; NotUp where it is not installed."""
    program = gateway_program()
    if program is None:
        raise NotUp("ThingsBoard's gateway is not installed: make bench")
    port = _free_port()
    near = _mosquitto(place.folder / "near", _NEAR.format(port=port, persistence="false"))
    config = place.folder / "gateway"
    for name in (config, config / "logs", config / "data"):
        name.mkdir()
    for name, content in _gateway_files(config, port, place.line_port).items():
        (config / name).write_text(json.dumps(content, indent=2))
    middle = Program([str(program)], config, TB_GW_CONFIG_DIR=f"{config}/")
    return Building(near, middle, port, PubackSender)


def bridge(on_changes: bool) -> Make:
    """Mosquitto's, which saves at every change or once a second."""

    def make(place: Place) -> Building:
        port = _free_port()
        text = _NEAR.format(port=port, persistence="true") + _BRIDGE.format(
            folder=place.folder / "near",
            on_changes=str(on_changes).lower(),
            far_port=place.line_port,
            site=SITE,
        )
        near = _mosquitto(place.folder / "near", text)
        return Building(near, near, port, PubackSender)

    return make


def _gateway_files(config: Path, port: int, far_port: int) -> dict[str, dict]:
    upstream = {
        "host": _HOST,
        "port": far_port,
        "remoteShell": False,
        "remoteConfiguration": False,
        "statistics": {"enable": False},
        "deviceFiltering": {"enable": False},
        "maxPayloadSizeBytes": 65536,
        "minPackSendDelayMS": 50,
        "minPackSizeToSend": 500,
        "checkConnectorsConfigurationInSeconds": 60,
        "handleDeviceRenaming": False,
        "checkingDeviceActivity": {"checkDeviceInactivity": False},
        "security": {"type": "accessToken", "accessToken": GATEWAY_USER},
        "qos": 1,
    }
    storage = {"type": "sqlite", "data_file_path": f"{config}/data/"}
    connector = {"type": "mqtt", "name": "readers", "configuration": "mqtt.json"}
    return {
        "tb_gateway.json": {
            "thingsboard": upstream,
            "storage": storage,
            "grpc": {"enabled": False},
            "connectors": [connector],
        },
        "mqtt.json": _connector(port),
        "logs.json": {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"console": {"class": "logging.StreamHandler"}},
            "root": {"level": "ERROR", "handlers": ["console"]},
        },
    }


def _connector(port: int) -> dict:
    name = {"deviceNameExpressionSource": "constant", "deviceNameExpression": "readers"}
    profile = {"deviceProfileExpressionSource": "constant", "deviceProfileExpression": "default"}
    batch = {"type": "raw", "key": "[-8:]", "value": "[:]", "hexMode": True}
    return {
        "broker": {
            "host": _HOST,
            "port": port,
            "clientId": "gateway",
            "version": 4,
            "cleanSession": False,
            "maxMessageNumberPerWorker": 10,
            "maxNumberOfWorkers": 100,
            "security": {"type": "anonymous"},
        },
        "mapping": [
            {
                "topicFilter": f"onecard/v1/{SITE}/+/up",
                "subscriptionQos": 1,
                "converter": {
                    "type": "bytes",
                    "deviceInfo": name | profile,
                    "attributes": [],
                    "timeseries": [batch],
                },
            }
        ],
    }
