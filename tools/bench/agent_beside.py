"""The agent beside ThingsBoard's gateway and a bridging Mosquitto: same records, same readers.

Readers keep one BATCH outstanding and send it to the Mosquitto in the building; what carries it
on (tools/bench/beside_buildings.py: with which settings) brings it to one at the centre, where a
subscriber notes every record as it arrives, byte for byte. Per carrier:
    rate    all there is, as fast as it goes: a spend (two records) a message, then eight records
    faults  a lunch, and meanwhile: the carrier killed (-9) and started again; the centre away;
            the line dark, then broken; killed while the centre is away
Lost is a record that has not arrived when nothing arrives any more, though its reader was told
that it is delivered, or would have been; repeated is an arrival that was not the first. Ours
repeats on purpose, and its ledger, which books in the same run on the same cores, must have every
record once. The readers and the subscriber are Python and take their share of the cores.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import child
from tools.bench.agent_faults import Line
from tools.bench.agent_ledger import Stopwatch
from tools.bench.beside_buildings import (
    Building,
    Far,
    Make,
    NotUp,
    Place,
    agent,
    bridge,
    gateway,
    gateway_program,
)
from tools.bench.beside_senders import Sender, step_all
from tools.bench.beside_upstream import MARK_BYTES, mark, marks
from tools.bench.load_reader import LoadReader
from tools.bench.prepared import Campus, Device
from tools.rooms import ROOT

_STEP_S = 0.02
_READY_S = 60.0
_RATES = {2: "a spend a message", 8: "8 records a message"}  # records of a BATCH


@dataclass(frozen=True)
class Size:
    """How large a run is. `quiet_s`: when nothing has arrived for so long, nothing will."""

    devices: int = 20
    spends_each: int = 200
    per_s: int = 800
    away_s: float = 8.0
    quiet_s: float = 45.0


@dataclass(frozen=True)
class Tally:
    """What became of `sent` records: so many never arrived, so many arrivals came again."""

    sent: int
    lost: int
    repeated: int


def tally(sent: Collection[bytes], arrived: Sequence[bytes]) -> Tally:
    """Judge by the marks of both; what was not sent here does not count."""
    wanted = set(sent)
    found = Counter(one for one in arrived if one in wanted)
    return Tally(len(wanted), len(wanted) - len(found), found.total() - len(found))


@dataclass(frozen=True)
class Run:
    """One carrier, once: records per second and us of CPU each in the building (0 with a fault,
    where both say nothing), the most memory it took, and what became of the records."""

    per_s: float
    cpu_us: float
    peak_mib: float
    tally: Tally


class Centre:
    """The broker at the far end, the line to it, and who notes what arrives."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.broker = Far(folder)
        stack.callback(self.broker.stop)
        self.broker.start()
        self.line = Line(self.broker.host, self.broker.port)
        stack.callback(self.line.close)
        self._file = folder / "arrived"
        self._file.touch()
        stack.enter_context(self._listener())

    @property
    def arrivals(self) -> int:
        """How many so far, repeated ones among them."""
        return self._file.stat().st_size // MARK_BYTES

    def arrived(self) -> list[bytes]:
        return marks(self._file)

    @contextmanager
    def _listener(self) -> Iterator[None]:
        command = [sys.executable, "-m", "tools.bench.beside_upstream", self.broker.host]
        command += [str(self.broker.port), str(self._file)]
        with child.start(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()  # it has subscribed
                yield
            finally:
                process.kill()


class Lunch:
    """The readers of one run, what they have to say, and how far it has come."""

    def __init__(self, campus: Campus, senders: list[Sender], centre: Centre, size: Size) -> None:
        self.size = size
        self.centre = centre
        self._senders = senders
        self._wanted = {mark(sealed) for one in campus.devices for sealed in one.records}
        self._told = 0
        self._start_s = 0.0

    def all_at_once(self) -> float:
        """As fast as it goes; seconds until the last one was there, or nothing came any more."""
        start_s = time.monotonic()
        for sender in self._senders:
            sender.go()
        return self.drain() - start_s

    def until(self, share: float) -> None:
        """At the pace of a lunch until this share of all records has been there to be sent."""
        while self._told < share * len(self._wanted):
            self.go_on(_STEP_S)

    def go_on(self, for_s: float) -> None:
        """At that pace for a while. A spend is said as one: two records, reader after reader."""
        until_s = time.monotonic() + for_s
        self._start_s = self._start_s or time.monotonic()
        while time.monotonic() < until_s:
            due = self.size.per_s * (time.monotonic() - self._start_s)
            while self._told < min(due, len(self._wanted)):
                self._senders[self._told // 2 % len(self._senders)].go(2)
                self._told += 2
            step_all(self._senders, _STEP_S)

    def drain(self) -> float:
        """When all was there, by the monotonic clock; or when something last came."""
        last, last_s = self.centre.arrivals, time.monotonic()
        while time.monotonic() - last_s < self.size.quiet_s:
            step_all(self._senders, _STEP_S / 4)
            if (now := self.centre.arrivals) != last:
                last, last_s = now, time.monotonic()
                if last >= len(self._wanted) and self.judge().lost == 0:
                    break
        return last_s

    def judge(self) -> Tally:
        return tally(self._wanted, self.centre.arrived())

    def until_receipted(self) -> None:
        """Where somebody gives receipts."""
        until_s = time.monotonic() + self.size.quiet_s
        readers = [one for one in self._senders if isinstance(one, LoadReader)]
        while not all(one.receipted for one in readers) and time.monotonic() < until_s:
            step_all(self._senders, _STEP_S)


# ---------------------------------------------------------------- the faults


def killed(lunch: Lunch, building: Building) -> None:
    """In full flow, twice; a second later it is started again."""
    for share in (0.25, 0.6):
        lunch.until(share)
        _kill(lunch, building)


def away(lunch: Lunch, _building: Building) -> None:
    """The centre refuses connections for a while."""
    lunch.until(0.2)
    lunch.centre.line.away = True
    lunch.go_on(lunch.size.away_s)
    lunch.centre.line.away = False


def dark(lunch: Lunch, _building: Building) -> None:
    """Nothing passes and nobody is told; then the connection breaks, with what was under way."""
    lunch.until(0.2)
    line = lunch.centre.line
    line.dark = True
    lunch.go_on(lunch.size.away_s)
    line.away = True
    lunch.go_on(0.2)
    line.dark = line.away = False


def killed_while_away(lunch: Lunch, building: Building) -> None:
    """Killed and started again while there is nobody to send to."""
    lunch.until(0.2)
    lunch.centre.line.away = True
    lunch.go_on(lunch.size.away_s / 2)
    _kill(lunch, building)
    lunch.go_on(lunch.size.away_s / 2)
    lunch.centre.line.away = False


def _kill(lunch: Lunch, building: Building) -> None:
    building.middle.kill()
    lunch.go_on(1.0)
    building.middle.start()


Fault = Callable[[Lunch, Building], None]
FAULTS: dict[str, Fault] = {
    "killed in full flow, twice": killed,
    "centre away": away,
    "line dark, then broken": dark,
    "killed while the centre is away": killed_while_away,
}


# ---------------------------------------------------------------- one run


def run(make: Make, size: Size, records_max: int, fault: Fault | None = None) -> Run:
    """One carrier in a fresh directory; NotUp if it does not carry anything."""
    campus = Campus.busy(size.devices, size.spends_each)
    first = Device(size.devices, 1)
    everybody = Campus([*campus.devices, first], campus.spends + 1)
    with (
        tempfile.TemporaryDirectory(prefix="onecard-bench-") as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        centre = Centre(folder, stack)
        building = make(Place(folder, centre.broker, centre.line.port, everybody, stack))
        stack.callback(building.stop)
        building.start()
        _until_carried(building, centre, first, stack)
        senders = [_sender(building, device, records_max, stack) for device in campus.devices]
        step_all(senders, 0.5)
        lunch = Lunch(campus, senders, centre, size)
        return _measure(lunch, building, fault, everybody)


def _measure(lunch: Lunch, building: Building, fault: Fault | None, everybody: Campus) -> Run:
    per_s = cpu_us = 0.0
    if fault is None:
        programs = building.programs.items()
        watch = Stopwatch(**{name: one.process for name, one in programs if one.process})
        took_s = lunch.all_at_once()
        sent = lunch.judge().sent
        per_s, cpu_us = sent / took_s, sum(watch.run(sent).cpu_s.values()) * 1000
    else:
        fault(lunch, building)
        lunch.until(1.0)
        lunch.drain()
    peak_kib = sum(program.peak_kib() for program in building.programs.values())
    if building.site is not None:
        lunch.until_receipted()
        building.site.judge(everybody)
    return Run(per_s, cpu_us, peak_kib / 1024, lunch.judge())


def _sender(building: Building, device: Device, records_max: int, stack: ExitStack) -> Sender:
    sender = building.sender(device, "127.0.0.1", building.port, records_max)
    stack.callback(sender.close)
    return sender


def _until_carried(building: Building, centre: Centre, first: Device, stack: ExitStack) -> None:
    """One reader says its spend until it has come through: then everything is there."""
    until_s = time.monotonic() + _READY_S
    while not centre.arrivals:
        if time.monotonic() > until_s:
            raise NotUp("nothing comes through")
        sender = _sender(building, first, 2, stack)
        step_all([sender], 0.3)
        sender.go()
        step_all([sender], 1.0)
        if building.site is None:
            sender.close()
    step_all([], 0.3)  # what was said while nobody listened may still come


# ---------------------------------------------------------------- rows


OTHERS: dict[str, Make] = {
    "ThingsBoard gateway 3.8.5, sqlite storage": gateway,
    "Mosquitto bridge, saved every second": bridge(on_changes=False),
    "Mosquitto bridge, saved at every change": bridge(on_changes=True),
}


def rows(size: Size = Size()) -> Iterator[dict[str, object]]:
    """Rates, CPU and memory, then what each fault has cost; ours first, each other beside it."""
    others = dict(_installed(OTHERS))
    for records_max, way in _RATES.items():
        ours = run(agent, size, records_max)
        for other, make in others.items():
            yield from _rates(way, ours, run(make, size, records_max), other)
    for name, fault in FAULTS.items():
        ours = run(agent, size, 2, fault)
        for other, make in others.items():
            yield from _losses(name, ours, run(make, size, 2, fault), other)


def _installed(makes: dict[str, Make]) -> Iterator[tuple[str, Make]]:
    for name, make in makes.items():
        if make is gateway and gateway_program() is None:
            print(f"agent_beside: no rows for {name}: make bench installs it", file=sys.stderr)
        else:
            yield name, make


def _rates(way: str, ours: Run, theirs: Run, other: str) -> Iterator[dict[str, object]]:
    for what, unit, mine, his in (
        ("rate", "records/s", round(ours.per_s), round(theirs.per_s)),
        ("CPU in the building", "us a record", round(ours.cpu_us, 1), round(theirs.cpu_us, 1)),
        ("memory in the building", "MiB", round(ours.peak_mib, 1), round(theirs.peak_mib, 1)),
    ):
        if theirs.tally.lost and unit != "MiB":
            his = None  # a figure with a lost record would be none
        yield _row(f"{what}, {way}", mine, his, other, unit)


def _losses(name: str, ours: Run, theirs: Run, other: str) -> Iterator[dict[str, object]]:
    of = f"records of {ours.tally.sent:,}"
    for what in ("lost", "repeated"):
        mine, his = getattr(ours.tally, what), getattr(theirs.tally, what)
        yield _row(name, mine, his, other, f"{what}, {of}")
    yield _row(name, round(ours.peak_mib, 1), round(theirs.peak_mib, 1), other, "MiB at most")


def _row(name: str, ours: object, other: object, against: str, unit: str) -> dict[str, object]:
    return {"name": name, "ours": ours, "other": other, "against": against, "unit": unit}
