"""Our MQTT client for readers beside umqtt.simple and umqtt.simple2, in the same real MicroPython.

Each publishes with QoS 1 to a real Mosquitto through a cable of ours (mqtt_cable.py), which counts
bytes and breaks when it is told to. What is counted: bytes of MQTT, writes to the socket (with
TCP_NODELAY each is a segment), instructions under valgrind, heap, and time. The others get
TCP_NODELAY, which they do not set by themselves; one row shows umqtt.simple as it comes.

A break strikes inside or behind the tenth of twenty messages, once. The application above is the
same for all: whatever fails is said again over a new connection. Behind the broker a subscriber
counts what is missing and what came again; `told` is how long the application knew nothing. Who
still waits after WAIT_S has hung.

umqtt.simple is what stock firmware freezes, here in its release of 2017, the only one that a
registry has. All are compiled by mpy-cross; ours without what linking an image saves (ADR 15).
"""

import ast
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from simulator.broker import BrokerError, find_mosquitto, start_broker
from tools import child
from tools.bench import driver_folder, mqtt_speaker
from tools.bench.mqtt_cable import BREAKS, Cable
from tools.bench.tap_instructions import NotCounted, counted
from tools.bench.tap_tape import run
from tools.rooms import ROOT

OURS, PLAIN = "ours", "simple as it comes"
# Client of mqtt_speaker.py -> the distribution that has it.
CLIENTS = {
    OURS: "",
    "simple": "micropython-umqtt.simple",
    "simple2": "micropython-umqtt.simple2",
}
VERSIONS = {"simple": "umqtt.simple 1.3.4", "simple2": "umqtt.simple2 2.2.0"}
OUR_FILES = ("protocols/__init__.py", "protocols/wire/__init__.py", "protocols/wire/mqtt.py")
MESSAGES, DELIVERED, BREAK_AT = 200, 20, 10
WAIT_S = 60
_ANSWER_S, _END = 30, b"end"
_HEAP = "heapsize=8m"  # nothing is collected while garbage is counted
_READERS_HEAP = "heapsize=256k"  # where instructions are counted, collections among them
_VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


class NotSpoken(Exception):
    """A client did not do its work; the text is what it said."""


@dataclass
class Delivery:
    """What became of the messages of one run: `seen` counts each number behind the broker."""

    expected: int
    seen: Counter[int] = field(default_factory=Counter)
    failures: list[tuple[int, int, str]] = field(default_factory=list)  # (number, ms, why)
    hung: bool = False

    @property
    def lost(self) -> int:
        """Messages that nobody has seen."""
        return self.expected - len(self.seen)

    @property
    def repeated(self) -> int:
        """Messages that came again."""
        return sum(self.seen.values()) - len(self.seen)

    @property
    def told_ms(self) -> int:
        """The longest that the application waited to hear that something is wrong."""
        return WAIT_S * 1000 if self.hung else max((ms for _, ms, _ in self.failures), default=0)


class Bench:
    """The clients compiled in `folder`, and a broker at `port`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.clients = [OURS]
        for name, distribution in CLIENTS.items():
            source = driver_folder(distribution) if distribution else ROOT
            if source is None:
                print(f"mqtt_client: {distribution} is not installed, no row", file=sys.stderr)
                continue
            if name != OURS:
                self.clients.append(name)
            self._compile(source, folder / name, distribution)

    def _compile(self, source: Path, target: Path, distribution: str) -> None:
        files = sorted((source / "umqtt").glob("*.py"))
        if not distribution:
            files = [source / name for name in (*OUR_FILES, "protocols/wire/mqtt_client.py")]
        for path in files:
            compiled = (target / path.relative_to(source)).with_suffix(".mpy")
            compiled.parent.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "mpy_cross", "-o", str(compiled), str(path)]
            subprocess.run(command, check=True, capture_output=True)

    def speak(
        self, client: str, port: int, work: str, messages: int, under: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run the speaker with a client; NotSpoken if it ends badly."""
        folder = self.folder / ("simple" if client == PLAIN else client)
        script = [str(mqtt_speaker.__file__), client, "127.0.0.1", str(port), work, str(messages)]
        done = run(under, script, f"{folder}:.frozen", _READERS_HEAP if under else _HEAP)
        if done.returncode:
            raise NotSpoken(f"{client}: {(done.stderr or done.stdout).strip()[-500:]}")
        return done

    def told(self, client: str, work: str, messages: int = MESSAGES) -> dict[str, int]:
        """The dictionary that the speaker prints, past a cable that counts."""
        with Cable(self.port) as cable:
            done = self.speak(client, cable.port, work, messages)
            found = ast.literal_eval(done.stdout.strip().splitlines()[-1])
            return {**found, "up": cable.up_bytes, "down": cable.down_bytes}

    def instructions(self, client: str, messages: int = MESSAGES) -> float:
        """Of one publish: the difference of two runs."""
        many, none = (
            counted(self.speak(client, self.port, "count", number, _VALGRIND))
            for number in (messages, 0)
        )
        return (many - none) / messages

    def deliver(self, client: str, how: str, messages: int = DELIVERED) -> Delivery:
        """Say every message over a cable that breaks in the way `how`."""
        with Cable(self.port, how, BREAK_AT) as cable, Witness(self.port) as witness:
            found = Delivery(messages, witness.seen)
            said = self._run_limited(client, cable.port, messages, found)
            witness.settle()
            found.failures = failures(said)
            return found

    def _run_limited(self, client: str, port: int, messages: int, found: Delivery) -> str:
        command = [sys.executable, "-c", "import sys; from micropython_unix import main; main()"]
        script = [str(mqtt_speaker.__file__), client, "127.0.0.1", str(port), "deliver"]
        env = {"MICROPYPATH": f"{self.folder / client}:.frozen"}
        with child.start(
            [*command, *script, str(messages)], env=env, stdout=subprocess.PIPE, text=True
        ) as process:
            timer = threading.Timer(WAIT_S, process.kill)
            timer.start()
            assert process.stdout is not None
            said = process.stdout.read()
            code = process.wait()
            timer.cancel()
        if code > 0:
            raise NotSpoken(f"{client}: ended with {code}: {said[-500:]}")
        found.hung = code < 0
        return said


def failures(said: str) -> list[tuple[int, int, str]]:
    """(number of the message, ms until the application knew, why) of the speaker's output."""
    lines = [line.split() for line in said.splitlines() if line.startswith("failed")]
    return [(int(number), int(ms), why) for _, number, ms, why in lines]


class Witness:
    """Counts in `seen` the numbers of the messages that come out of the broker."""

    def __init__(self, port: int) -> None:
        self.seen: Counter[int] = Counter()
        self._subscribed, self._ended = threading.Event(), threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "bench-witness")
        self._client.on_message = self._note
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(mqtt_speaker.TOPIC.decode(), qos=1)

    def __enter__(self) -> "Witness":
        self._client.loop_start()
        if not self._subscribed.wait(_ANSWER_S):
            raise NotSpoken("the witness was not let in")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.payload == _END:
            self._ended.set()
        else:
            self.seen.update([int(message.payload[:6])])

    def settle(self) -> None:
        """Until all has been seen that the broker has taken: what is said behind it comes last."""
        self._client.publish(mqtt_speaker.TOPIC.decode(), _END, qos=1)
        if not self._ended.wait(_ANSWER_S):
            raise NotSpoken("the broker does not answer any more")


def measure(bench: Bench, messages: int = MESSAGES) -> dict[str, dict[str, float]]:
    """Client -> quantity -> figure, of one publish."""
    found: dict[str, dict[str, float]] = {}
    nothing = {name: bench.told(name, "count", 0) for name in bench.clients}
    for name in bench.clients:
        many = bench.told(name, "count", messages)
        traffic = bench.told(name, "traffic", messages)
        heap = bench.told(name, "heap", 1)
        wire = (many[way] - nothing[name][way] for way in ("up", "down"))
        found[name] = {
            "bytes of MQTT on the wire, both ways": sum(wire) / messages,
            "writes to the socket": traffic["writes"] / messages,
            "reads of the socket": traffic["reads"] / messages,
            "garbage": bench.told(name, "allocated", messages)["allocated"] / messages,
            "heap, code from .mpy": heap["code"],
            "heap, a connection": heap["connection"],
            "time until acknowledged": bench.told(name, "time", messages)["median_us"],
            "time, eight at a time": bench.told(name, "window", messages)["each_us"],
        }
        try:
            found[name]["instructions"] = bench.instructions(name, messages)
        except (NotCounted, FileNotFoundError) as error:
            print(f"mqtt_client: nothing counted: {error}", file=sys.stderr)
    return found


UNITS = {
    "time until acknowledged": "us",
    "time, eight at a time": "us",
    "writes to the socket": "calls",
    "reads of the socket": "calls",
    "instructions": "instructions",
}


def rows(
    messages: int = MESSAGES, breaks: tuple[str, ...] = BREAKS, delivered: int = DELIVERED
) -> list[dict[str, object]]:
    """A publish beside those of the others, then what becomes of messages when the link breaks."""
    if find_spec("micropython_unix") is None or find_mosquitto() is None:
        print("mqtt_client: needs MicroPython and Mosquitto, no rows", file=sys.stderr)
        return []
    folder = Path(tempfile.mkdtemp(prefix="onecard-bench-"))
    try:
        with start_broker("mosquitto", folder) as broker:
            bench = Bench(folder, broker.port)
            table = _publish_rows(bench, messages)
            for how in breaks:
                table += _break_rows(bench, how, delivered)
            return table
    except BrokerError as error:
        raise NotSpoken(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish_rows(bench: Bench, messages: int) -> list[dict[str, object]]:
    found = measure(bench, messages)
    ours = found.pop(OURS)
    table = [
        _row(
            f"a publish: {quantity}",
            ours[quantity],
            figure,
            VERSIONS[name],
            UNITS.get(quantity, "bytes"),
        )
        for name, figures in found.items()
        for quantity, figure in figures.items()
    ]
    if "simple" in found:
        plain = bench.told(PLAIN, "time", min(messages, 50))["median_us"]
        quantity = "time until acknowledged"
        against = f"{VERSIONS['simple']} as it comes (Nagle)"
        table.append(_row(f"a publish: {quantity}", ours[quantity], plain, against, "us"))
    return table


def _break_rows(bench: Bench, how: str, messages: int) -> list[dict[str, object]]:
    ours = bench.deliver(OURS, how, messages)
    table = []
    for name in bench.clients[1:]:
        theirs = bench.deliver(name, how, messages)
        against = VERSIONS[name] + (f", hung: killed after {WAIT_S} s" if theirs.hung else "")
        for what, unit in (("lost", "messages"), ("repeated", "messages"), ("told_ms", "ms")):
            title = f"{how}: {'the application is told' if unit == 'ms' else what}"
            table.append(_row(title, getattr(ours, what), getattr(theirs, what), against, unit))
    return table


def _row(name: str, ours: float, other: float, against: str, unit: str) -> dict[str, object]:
    return {
        "name": f"MQTT client, {name}",
        "ours": round(ours, 1),
        "other": round(other, 1),
        "against": against,
        "unit": unit,
    }
