"""What was done on the desk as a scenario file, which plays to the same end without it.

Streams of chance are named after the line of their step, so every step that happens is given the
line on which it will stand: lines are only ever added at the end. One line of each step is left
free for what its person reads, which is known later.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from simulator.desk.verbs import Table, field_text, to_toml
from simulator.scenario import DEFAULT_SEED, ScenarioError, Step
from simulator.scenario_words import EXPECTS

# What must hold of whatever was done.
INVARIANTS = {"lost": 0, "duplicated": 0, "conserved": True}
_ASSERT = "[assert]\nlost = 0\nduplicated = 0\nconserved = true\n"


class Recorder:
    """The file of a campus, and behind it the steps that people have clicked."""

    def __init__(self, text: str, seed: int) -> None:
        self._own = _with_seed(text, seed)
        self._lines = _without_asserts(self._own).splitlines()
        self._free: dict[int, tuple[int, str]] = {}  # by line of a step: where, and what of
        self.has_steps = False

    @property
    def next_line(self) -> int:
        """Where the next step will stand."""
        return len(self._lines) + 1

    def add(self, table: Table, step: Step) -> None:
        """A step has happened that was parsed for `next_line`."""
        assert step.line == self.next_line, "it stands where it was said to"
        self._lines += to_toml(table, step.at_us).splitlines()
        field = EXPECTS.get(step.do, "")
        if field and field not in table:
            self._free[step.line] = len(self._lines), field
        self._lines.append("")
        self.has_steps = True

    def expect(self, line: int, reading: str | list[str]) -> None:
        """The person of the step on that line has read this: whoever plays it again has to, too.

        A step of the campus itself, or one that says what it expects, stays as it is.
        """
        at, field = self._free.pop(line, (0, ""))
        if field and reading:
            self._lines[at] = field_text(field, reading)

    def text(self) -> str:
        """The file; with the assertions of its own where nobody has done anything."""
        if not self.has_steps:
            return self._own
        return "\n".join([*self._lines, _ASSERT])


def with_clock_of_now(text: str) -> str:
    """A scenario that begins at this machine's time; one without a clock gets that too."""
    line = f'clock = "{datetime.now().astimezone().isoformat(timespec="seconds")}"'
    found, count = re.subn(r"(?m)^clock\s*=.*$", line, text, count=1)
    return found if count else f"{line}\n{text}"


def _with_seed(text: str, seed: int) -> str:
    found, count = re.subn(r"(?m)^seed\s*=.*$", f"seed = {seed}", text, count=1)
    if not count and seed != DEFAULT_SEED:
        raise ScenarioError(Path("desk"), 1, "a scenario that gets another seed names its own")
    return found


def _without_asserts(text: str) -> str:
    """The text with [assert] tables as empty lines, so that no other line moves."""
    lines, is_assert = [], False
    for line in text.splitlines():
        if line.startswith("["):
            is_assert = line.startswith(("[assert]", "[assert."))
        lines.append("" if is_assert else line)
    return "\n".join(lines).rstrip() + "\n"
