"""A campus that is played step by step of virtual time, by a file, by people, or by both.

One thread owns it. What happens in it happens as if `onecard sim run` had read it from a file: a
step is the first thing at its microsecond, and nothing that people do is at a time that has begun.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from simulator.desk.boards import HANDS, PROGRAMS, Board, on_a_line
from simulator.desk.homes import DeskHomes
from simulator.desk.recorder import INVARIANTS, Recorder, with_clock_of_now
from simulator.desk.verbs import Refused, Table, said, step_of
from simulator.happenings import announce, happen
from simulator.homes import Images
from simulator.report import Report
from simulator.run import Run
from simulator.scenario import Scenario, ScenarioError, Step, parse
from simulator.scenario_words import EXPECTS
from simulator.vm.bridge import VmMissing, require_vm

_TOLD_MAX = 200
_REACTION_US = 3_000_000  # until what a step has led to is to be seen


@dataclass
class Told:
    """What the world has said, newest last: (number, text with its time of day)."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    count: int = 0

    def add(self, text: str) -> None:
        self.count += 1
        self.lines.append((self.count, text))
        del self.lines[:-_TOLD_MAX]

    def since(self, number: int) -> list[str]:
        """The lines after a number."""
        return [text for at, text in self.lines if at > number]


@dataclass
class Played:
    """A step, and beside what it expects what has happened in the seconds behind it."""

    step: Step
    expected: str = ""
    happened: list[str] = field(default_factory=list)
    is_done: bool = False
    is_as_expected: bool = True
    _told: int = 0
    _failed: int = 0


def _boards(scenario: Scenario, urls: Mapping[str, str]) -> dict[str, Board]:
    """The boards at these ports; the scenario's readers become what a board on a line can be."""
    found = {}
    for at, one in enumerate(scenario.readers):
        name, role = one["name"], one.get("role", "pos")
        if name not in urls:
            continue
        if role not in PROGRAMS:
            fault = f"{name}: no program of a {role} speaks over a serial line"
            raise ScenarioError(scenario.path, 1, fault)
        scenario.readers[at] = on_a_line(one) | {"board": urls[name]}
        found[name] = Board(name, one["device"], urls[name])
    return found


def _expected(step: Step) -> str:
    return _text(step.fields.get(EXPECTS.get(step.do, ""), ""))


def _text(reading: str | list[str]) -> str:
    return reading if isinstance(reading, str) else " / ".join(reading)


class Session:
    """One scenario on the desk; `directory` is new and its own.

    `in_vm`: the readers whose firmware runs in a real MicroPython from the start (VmMissing), of
    `images` that others share too. `boards`: by reader, the URL of the port of a real one; then
    the campus has the time of this machine, for such a reader has a clock.
    """

    def __init__(
        self,
        text: str,
        path: Path,
        directory: Path,
        seed: int | None = None,
        broker: str = "auto",
        depth: str = "register",
        log: TextIO | None = None,
        in_vm: Collection[str] = (),
        images: Images | None = None,
        boards: Mapping[str, str] | None = None,
    ) -> None:
        text = with_clock_of_now(text) if boards else text
        scenario = parse(text, path)
        for name in sorted({*in_vm, *(boards or {})} - {one["name"] for one in scenario.readers}):
            raise ScenarioError(path, 1, f"there is no reader {name!r}")
        self.boards = _boards(scenario, boards or {})
        chosen = scenario.seed if seed is None else seed
        self.campus = text
        self.told = Told()
        self.recorder = Recorder(text, chosen)
        homes = {"in_vm": {*in_vm} - {*self.boards}, "images": images, "boards": self.boards}
        self.homes = DeskHomes(depth, directory, dozes=scenario.dozes, **homes)
        self.run = Run(scenario, chosen, "cpython", depth, directory, log, self.homes)
        self.run.listen(self.told.add)
        try:
            self.run.build(broker)
        except BaseException:
            self.run.close()
            raise
        self.played = [Played(step, _expected(step)) for step in scenario.steps]
        self._due: list[Played] = list(self.played)
        self._watched: list[Played] = []
        self._states: dict[str, str] = {}
        for step in scenario.steps:
            if not self._is_at_a_board(step):
                announce(self.run, step)

    @property
    def now_us(self) -> int:
        return self.run.world.now_us

    @property
    def next_step(self) -> Step | None:
        """The next that is to happen by itself."""
        return self._due[0].step if self._due else None

    # -- time -------------------------------------------------------------------------------

    def advance(self, until_us: int) -> None:
        """Go on to a time; ScenarioError if a step of the file cannot be."""
        self._hear_boards()
        while self._due and self._due[0].step.at_us <= until_us:
            self._happen(self._due.pop(0))
        self._go(until_us)

    def _go(self, until_us: int) -> None:
        while self.run.world.step(until_us):
            pass
        self._watch()

    def _happen(self, played: Played) -> None:
        """Before anything else at its microsecond, as if it had been scheduled at the start."""
        step, run = played.step, self.run
        self._go(step.at_us - 1)
        run.world.step_to(step.at_us)
        played._told, played._failed = self.told.count, len(run.not_shown)
        if self._is_at_a_board(step):
            run.tell(f"left out: {step.do}; {step.fields['reader']} is a real board")
        else:
            happen(run, step)
        played.is_done = True
        self._watched.append(played)

    def _watch(self) -> None:
        for played in self._watched:
            played.happened = [text.split("  ", 1)[-1] for text in self.told.since(played._told)]
            reading = self.run.readings.get(played.step.line)
            if reading is not None:
                played.happened = [_text(reading)]
                self.recorder.expect(played.step.line, reading)
            line = f"line {played.step.line}:"
            failed = self.run.not_shown[played._failed :]
            played.is_as_expected = not any(text.startswith(line) for text in failed)
        self._watched = [one for one in self._watched if self._is_going_on(one.step)]

    def _is_going_on(self, step: Step) -> bool:
        """Something of what a step leads to may still come."""
        if step.do in EXPECTS:
            return step.line not in self.run.readings
        return self.now_us < step.at_us + _REACTION_US

    # -- real boards ------------------------------------------------------------------------

    def _is_at_a_board(self, step: Step) -> bool:
        return step.do in HANDS and step.fields.get("reader") in self.boards

    def _hear_boards(self) -> None:
        """What they have told since the last slice happens now."""
        heard = [board.hear() for board in self.boards.values()]
        if any(heard):
            self.run.services.settle(self.now_us)
        for name, board in self.boards.items():
            if self._states.get(name) != board.state:
                self._states[name] = board.state
                self.run.tell(f"{name}, the board on {board.url}: {board.state}")

    def _refuse_what_is_real(self, table: Table) -> None:
        name, cards = str(table.get("reader")), [table.get("card"), *(table.get("with") or [])]
        if self.boards and table.get("do") == "rest":
            raise Refused("a real board lives in real time, and knows no jump")
        if name in self.boards and table.get("do") in HANDS:
            raise Refused(f"{name} is a real board: hold a real card to it, press its keys")
        if not self.boards or table.get("do") not in HANDS:
            return
        away = self.run.cards_away()
        for held in self.run.cards:
            if held.name in cards and held.card_no in away:
                raise Refused(f"{held.name} is a real card now: a board has had it")

    # -- people -----------------------------------------------------------------------------

    def act(self, table: Table) -> Step:
        """Do a step now: a table as in a file, without its time. Refused says why not."""
        at_us = self._free_us(table)
        step = step_of(self.campus, table, at_us, self.recorder.next_line)
        self._refuse_what_is_real(table)
        played = Played(step, _expected(step))
        self._insert(played)
        if step.do == "kill":
            announce(self.run, step)
        else:
            try:
                self.advance(at_us)
            except ScenarioError as error:
                raise Refused(said(error)) from error
        self.recorder.add(table, step)
        self.played.append(played)
        return step

    def move(self, name: str, *, to_vm: bool) -> None:
        """Power off, and a boot in a real MicroPython, or in this process again. Refused."""
        reader = self.run.readers.get(name)
        if reader is None:
            raise Refused(f"no reader {name!r}")
        if name in self.boards:
            raise Refused(f"{name} is a real board")
        if (name in self.homes.in_vm) == to_vm:
            return
        if to_vm:
            try:
                require_vm()
            except VmMissing as error:
                raise Refused(str(error)) from error
        if reader.is_on:
            self.advance(self.act({"do": "kill", "reader": name}).at_us)
        self.homes.move(reader, to_vm=to_vm)
        self.act({"do": "revive", "reader": name})

    def _insert(self, played: Played) -> None:
        insort(self._due, played, key=lambda one: one.step.at_us)

    def _free_us(self, table: Table) -> int:
        """A microsecond that has not begun; power fails when its reader comes to it."""
        at_us = self.now_us + 1
        reader = self.run.readers.get(str(table.get("reader")))
        if table.get("do") == "kill" and reader is not None:
            at_us = max(at_us, reader.now_us + 1)
        taken = {one.step.at_us for one in self._due}
        while at_us in taken or self.run.world.has_event_at(at_us):
            at_us += 1
        return at_us

    # -- the end ----------------------------------------------------------------------------

    def finish(self) -> Report:
        """What is due happens, all comes to rest, and the verdict, as a headless run gives it."""
        last_us = self._due[-1].step.at_us if self._due else 0
        self.advance(max(self.now_us, last_us))
        if self.recorder.has_steps:
            self.act({"do": "wait"})
            self.run.scenario.asserts = dict(INVARIANTS)
        return self.run.play_out(self._steps())

    def _steps(self) -> Sequence[Step]:
        return [one.step for one in self.played]

    def close(self) -> None:
        self.run.close()
