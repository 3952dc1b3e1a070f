"""The bytecode of a tap in instructions of this machine, counted under valgrind: for tap_time.

    python -m tools.bench.tap_instructions [misc_pystone.py]

A table by tap: instructions, pystones, opcodes as tap_time counts them, and pystones per thousand
opcodes, whose mean over the spends is the constant of tap_time. Given misc_pystone.py from
MicroPython's tests/perf_bench it also counts a pystone. Each count is the difference of two runs
in the real MicroPython, so its start and the collections between taps are in none of them. They
move by up to 2 % with the names that the interpreter knows: it looks there for each new text.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.bench import tap_time
from tools.bench.tap_tape import Tap, Vm, opcodes, run

_VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
_HEAP = "heapsize=2m"  # holds a tap, and is soon searched
_ROUNDS, _PYSTONES = 8, 2000
_REFS = re.compile(r"I\s+refs:\s+([\d,]+)")
_PYSTONE_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import misc_pystone
misc_pystone.bm_setup((int(sys.argv[2]),))[0]()
"""


class NotCounted(Exception):
    """Valgrind has counted nothing; the text is what was said."""


def counted(done: subprocess.CompletedProcess[str]) -> int:
    """Instructions of what has run under _VALGRIND, MicroPython's own start among them."""
    found = _REFS.search(done.stderr)
    if done.returncode or not found:
        lines = (done.stdout + done.stderr).splitlines()
        said = [line for line in lines if not line.startswith(("==", "--"))]  # but valgrind
        raise NotCounted("\n".join(said or lines)[-800:])
    return int(found[1].replace(",", ""))


def of_tap(vm: Vm, tap: Tap, rounds: int = _ROUNDS) -> tuple[float, int]:
    """(instructions, opcodes) of one tap."""
    _, tape, _ = tap.play(tap_time.LOW.call_us)
    whole, before = (
        counted(vm.run(tap.device, tape, str(rounds), steps, under=_VALGRIND, heap=_HEAP))
        for steps in ("all", "before")
    )
    return (whole - before) / rounds, opcodes(tap.device, tape)


def of_pystone(folder: Path, script: Path) -> float:
    """Instructions of one pystone of the misc_pystone.py in `folder`."""
    script.write_text(_PYSTONE_SCRIPT)
    many, none = (
        counted(run(_VALGRIND, [str(script), str(folder), str(loops)], ".frozen", _HEAP))
        for loops in (_PYSTONES, 0)
    )
    return (many - none) / _PYSTONES


def main(arguments: Sequence[str]) -> None:
    """The table, and what a pystone is if its source is given."""
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        vm = Vm(Path(folder))
        if arguments:
            source = Path(arguments[0]).resolve().parent
            print(f"a pystone: {of_pystone(source, Path(folder) / 'run.py'):,.0f}")
        print(f"{'':30}{'instructions':>14}{'pystones':>10}{'opcodes':>10}{'per 1000':>10}")
        for name, tap in tap_time.TAPS.items():
            instructions, count = of_tap(vm, tap)
            pystones = instructions / tap_time.PYSTONE_INSTRUCTIONS
            cells = f"{instructions:14,.0f}{pystones:10.1f}{count:10,}"
            print(f"{name:30}{cells}{pystones / count * 1000:10.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
