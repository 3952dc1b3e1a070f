"""One seed of whole-system torture: 400 events, then everything heals and has to converge.

Safety first: whatever happens, watch.py's rules hold at every moment. Then liveness: with nothing
broken any more, every card is held to a reader once, everything drains within minutes, and the
books, the cards, the journals and what people saw agree to the fen.
"""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ledger import reasons as ledger_reasons
from ledger.fraud import Examiner
from ledger.reconcile import reconcile
from ledger.reservations import Settled
from simulator.checkers import judge
from simulator.code_checker import judge_codes
from simulator.torture import office
from simulator.torture.campus import Campus
from simulator.torture.faults import FAULTS
from simulator.torture.faults_reader import customer
from simulator.torture.healing import heal, start
from simulator.torture.process import Process
from simulator.torture.result import Result
from simulator.vm.home import ROOT
from simulator.vm.image import build

EVENTS = 400
HIGH, LOW = 1000, 50  # intensity in thousandths; a twentieth finds what shouting drowns
_INTENSITY_OPTION = {HIGH: "", LOW: " --intensity low"}
_SECOND_US = 1_000_000
_GAP_US = 2 * _SECOND_US
_FAULT_SHARE = 600  # of 1000 events at most: each seed draws its own strength, from a fifth on
_INBOX_MAX = 200  # messages that wait for a service; a broker drops behind a thousand
_LOOK_EVERY = 100  # events between two looks at all the money
# What the ledger may call a record beyond repair; any other case is a bug.
_CASES_OF_ROT = (ledger_reasons.LOST, ledger_reasons.FOUND)


@dataclass(frozen=True)
class SystemUnit:
    """One seed: what a worker is given, and all that is needed to play it again."""

    seed: int
    intensity: int = HIGH
    events: int = EVENTS
    home: str = "cpython"
    faults: tuple[str, ...] = ()  # the kinds it knows; empty: what the seed draws

    @property
    def replay(self) -> str:
        """The command that plays this seed again."""
        options = _INTENSITY_OPTION.get(self.intensity, f" --intensity {self.intensity}")
        options += "" if self.events == EVENTS else f" --events {self.events}"
        options += "" if self.home == "cpython" else f" --home {self.home}"
        options += "".join(f' --fault "{kind}"' for kind in self.faults)
        return f"onecard sim torture --seed {self.seed}{options}"


def run_unit(unit: SystemUnit) -> Result:
    """Play one seed."""
    return play(unit, firmware_image() if unit.home == "vm" else None)[0]


@cache
def firmware_image() -> Path:
    """What readers in a real MicroPython boot from, built once for a process and its forks."""
    directory = Path(tempfile.mkdtemp(prefix="onecard-image-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return build(ROOT, directory / "reader")


def play(unit: SystemUnit, image: Path | None = None) -> tuple[Result, str]:
    """The figures of one seed, and the hash of its event log."""
    directory = Path(tempfile.mkdtemp(prefix="onecard-torture-", dir=_scratch()))
    campus = Campus(unit.seed, directory, unit.home, image)
    try:
        _torment(campus, unit)
        heal(campus)
        result = _judge(campus)
        campus.count_quiet_faults()
    finally:
        campus.close()
        shutil.rmtree(directory, ignore_errors=True)
    result.events = unit.events
    result.virtual_s = campus.world.now_us // _SECOND_US
    result.faults_fired = dict(campus.fired)
    result.violations = [f"{unit.replay}: {text}" for text in result.violations]
    return result, campus.trace.sha256()


def _scratch() -> str | None:
    """Files in memory where the machine has that: fsync is honest there and costs nothing."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


# -- safety ---------------------------------------------------------------------------------------


def _torment(campus: Campus, unit: SystemUnit) -> None:
    draw = campus.seeds.stream("events")
    kinds = list(unit.faults) or _swarm(campus.seeds.stream("swarm"))
    weights = [FAULTS[kind][0] for kind in kinds]
    campus.agent.on_death = lambda: _restart(campus, campus.agent, draw)
    campus.ledger.on_death = lambda: _restart(campus, campus.ledger, draw)
    strength = campus.seeds.stream("strength").randrange(HIGH // 5, HIGH + 1)
    happenings = office.of(campus)
    share = _FAULT_SHARE * strength * unit.intensity // HIGH**2
    for number in range(unit.events):
        campus.run_until(campus.world.now_us + draw.randrange(_GAP_US))
        if kinds and draw.randrange(1000) < share:
            FAULTS[draw.choices(kinds, weights)[0]][1](campus, draw)
        elif draw.randrange(3):
            customer(campus, draw)
        for own_draw, act in happenings:
            act(campus, own_draw)
        if number % _LOOK_EVERY == _LOOK_EVERY - 1:
            _audit(campus)


def _swarm(draw: random.Random) -> list[str]:
    """Which kinds of fault this seed knows: all, none, or about half of them."""
    dice = draw.randrange(20)
    if dice == 0:
        return []
    if dice == 1:
        return sorted(FAULTS)
    return [kind for kind in sorted(FAULTS) if draw.randrange(2)]


def _restart(campus: Campus, process: Process, draw: random.Random) -> None:
    """Systemd starts a dead service again."""
    pause_us = draw.randrange(200_000, 10 * _SECOND_US)
    campus.world.at(campus.world.now_us + pause_us, lambda: start(process))


def _audit(campus: Campus) -> int:
    """All the money, read from outside: reports what does not agree; the fen in flight."""
    flashes = {window.device: window.hardware.flash for window in campus.windows}
    what = campus.cards, campus.keys, campus.books, flashes, campus.paid, campus.rotten
    seen = campus.paid_in, campus.cancelled
    try:
        verdict = judge(*what, *seen)
    except AssertionError as error:  # a record that is nowhere
        campus.watch.report(str(error))
        return 0
    if campus.business.codes:
        judge_codes(campus.books, flashes, campus.by_code, verdict, campus.rotten)
    for text in verdict.violations:
        campus.watch.report(text)
    return verdict.in_flight_fen


# -- the end --------------------------------------------------------------------------------------


def _judge(campus: Campus) -> Result:
    """The end of it: what the books say against what cards, journals and people say."""
    result = Result()
    books, watch = campus.books, campus.watch
    for process in (campus.agent, campus.ledger):
        if process.inbox_high > _INBOX_MAX:
            watch.report(f"{process.inbox_high} messages waited for {type(process).__name__}")
    in_flight_fen = _audit(campus)
    # A person has to look at what has rotted away, and at what only that would have settled.
    if in_flight_fen and not campus.rotten:
        watch.report(f"{in_flight_fen} fen are still in flight")
    booked = _booked(campus)
    if not any(window.is_clock_fooled for window in campus.windows):
        ids = [(device, seq) for device, seq, *_ in books.booked_ids()]
        watch.day_limits(ids, campus.policy)
    for (card_no, fen), count in (booked - campus.paid - campus.unsure).items():
        watch.report(f"card {card_no}: {count} x {fen} fen charged and nobody was told")
    for (card_no, fen), count in (campus.paid - booked).items():
        if not campus.rotten:
            watch.report(f"card {card_no}: {count} x {fen} fen shown as paid and not booked")
    summary = books.summary()
    unresolved = summary["pending"] + summary["unknown"]
    result.unresolved = max(0, unresolved - len(campus.rotten))
    late = campus.lost_cards.judge(campus, watch.began_s)
    campus.fired["spend while lost"] += len(late)
    for reason, device, seq in books.cases():
        is_rotten = (device, seq) in campus.rotten and reason in _CASES_OF_ROT
        is_rotten |= watch.cancelled.get((device, seq)) in campus.rotten
        is_late = reason == ledger_reasons.SPENT_WHILE_LOST and (device, seq) in late
        if not is_rotten and not is_late:
            text = ledger_reasons.TEXTS.get(reason, "")
            watch.report(f"case {reason} {text} about {device}/{seq}")
    _judge_codes(campus)
    _judge_cards(campus)
    for card_no, number in watch.steps.twice():
        watch.report(f"card {card_no}: credit {number} came on it twice")
    office.count(campus)
    result.violations = list(dict.fromkeys(watch.violations))
    return result


def _judge_codes(campus: Campus) -> None:
    """Nothing stays reserved, and who was charged by code has seen it, or left not knowing."""
    sql = "SELECT card_no, amount_fen, state, device, seq FROM reservation"
    rows = campus.watch.rows(campus.watch.ledger, sql)
    sold = Counter((card_no, fen) for card_no, fen, state, *_ in rows if state == Settled.SOLD)
    for (card_no, fen), count in (sold - campus.by_code - campus.unsure_by_code).items():
        campus.watch.report(f"card {card_no}: {count} x {fen} fen by code and nobody was told")
    for card_no, fen, state, *place in rows:
        if state == Settled.OPEN and tuple(place) not in campus.rotten:
            campus.watch.report(f"card {card_no}: {fen} fen are still reserved by {place}")


def _judge_cards(campus: Campus) -> None:
    """Nobody here copies cards or forges money, so nothing may look like it in the books."""
    for fork in Examiner(campus.books.database, {}).everything():
        pair = fork.first.record_id, fork.second.record_id
        campus.watch.report(f"card {fork.card_no}: accused of {fork.ground} by {pair}")
    for balance in reconcile(campus.books):
        for one in balance.imbalances:
            campus.watch.report(f"card {balance.card_no}: reconciled wrongly: {one}")


def _booked(campus: Campus) -> Counter[tuple[int, int]]:
    return Counter((card_no, fen) for _, _, fen, card_no in campus.books.booked_ids())
