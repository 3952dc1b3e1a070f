"""Our CBOR beside what Python offers, on one INTENT; and the same code in a real MicroPython.

Ours is pure Python without classes, because it must run on the reader as well. cbor2 is compiled
by now, and so is json: they say what a host could reach. cbor2 5.9, the last one that is Python
too, runs in a process of its own. In MicroPython ours stands beside the json that is C there, for
which a reader would have to write bytes as text; INTENT has none, which is to its advantage.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from importlib.util import find_spec
from types import FunctionType
from typing import Any

from protocols.wire import cbor
from tools.bench import driver_folder
from tools.rooms import ROOT

# The map inside an INTENT: what a POS encodes at every purchase.
INTENT = {
    0: 2,
    1: 1001,
    2: 100_003,
    3: 1_790_000_000,
    4: 1_790_000_004,
    5: 12,
    6: 86_400_123,
    8: 20_017,
    9: 341,
    10: 1250,
    11: 10_730,
    12: 9480,
    13: 71,
    14: 1002,
    15: 98_765,
    16: 1,
}
SECONDS = 0.5
_ROUND = 100
_MICROPYTHON = "import sys; from micropython_unix import main; sys.exit(main())"
# Runs in MicroPython: how many a second it encodes and decodes, then those of json.
_PROGRAM = """
import json, sys, time
sys.path.insert(0, {root!r})
from protocols.wire import cbor
value = {value!r}
data = cbor.encode(value)
def rate(work, argument):
    best, begin = 1000000000, time.ticks_us()
    while time.ticks_diff(time.ticks_us(), begin) < {span_us}:
        start = time.ticks_us()
        for _ in range({round}):
            work(argument)
        best = min(best, time.ticks_diff(time.ticks_us(), start))
    return {round} * 1000000 // best
text = json.dumps(value)
print(rate(cbor.encode, value), rate(cbor.decode, data))
print(rate(json.dumps, value), rate(json.loads, text))
"""
_COMPACT = (",", ":")


class NotRun(Exception):
    """MicroPython did not run the codec; the text is what it said."""


def rate(work: Callable[[Any], Any], argument: Any, seconds: float) -> int:
    """How often a second `work(argument)` runs here, undisturbed: by the best of many rounds."""
    best_s = float("inf")
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        start_s = time.perf_counter()
        for _ in range(_ROUND):
            work(argument)
        best_s = min(best_s, time.perf_counter() - start_s)
    return int(_ROUND / best_s)


def in_vm(seconds: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """(encodings, decodings) a second in MicroPython: ours from source as it stands, json's."""
    program = _PROGRAM.format(
        root=str(ROOT), value=INTENT, span_us=int(seconds * 1e6), round=_ROUND
    )
    done = subprocess.run(
        [sys.executable, "-c", _MICROPYTHON, "-X", "heapsize=256k", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    words = done.stdout.split()
    if done.returncode or len(words) != 4:
        raise NotRun((done.stderr or done.stdout).strip()[-500:])
    encoded, decoded, dumped, loaded = map(int, words)
    return (encoded, decoded), (dumped, loaded)


def pure_cbor2(seconds: float) -> tuple[str, tuple[int, int]] | None:
    """(version, (encodings, decodings) a second) of a cbor2 in Python; None: it is not there."""
    folder = driver_folder("cbor2")
    if folder is None:
        print("codec: the cbor2 of requirements/bench.txt is not installed", file=sys.stderr)
        return None
    path = os.pathsep.join((str(folder), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench.codec", str(seconds)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    words = done.stdout.split()
    if done.returncode or len(words) != 3:
        raise NotRun((done.stderr or done.stdout).strip()[-500:])
    return words[0], (int(words[1]), int(words[2]))


def others() -> dict[str, tuple[Callable, Callable]]:
    """Name -> (encode, decode) of what is installed; cbor2's pure Python while it has one."""
    found: dict[str, tuple[Callable, Callable]] = {"json (compiled)": (json.dumps, json.loads)}
    try:
        cbor2 = import_module("cbor2")
    except ImportError:
        return found
    version = metadata.version("cbor2")
    found[f"cbor2 {version} (compiled)"] = cbor2.dumps, cbor2.loads
    return found


def rows(seconds: float = SECONDS) -> list[dict[str, object]]:
    """Bytes; encodings and decodings a second: ours, the others', and ours in MicroPython."""
    ours = rate(cbor.encode, INTENT, seconds), rate(cbor.decode, cbor.encode(INTENT), seconds)
    works = ("encode", "decode")
    table = [_bytes_row()]
    for name, (encode, decode) in others().items():
        theirs = rate(encode, INTENT, seconds), rate(decode, encode(INTENT), seconds)
        for at, work in enumerate(works):
            table.append(_row(f"codec, {work} an INTENT", ours[at], theirs[at], name))
    pure = pure_cbor2(seconds)
    if pure is not None:
        for at, work in enumerate(works):
            against = f"cbor2 {pure[0]} (Python)"
            table.append(_row(f"codec, {work} an INTENT", ours[at], pure[1][at], against))
    if find_spec("micropython_unix") is None:
        print("codec: MicroPython is not installed, no rows for it", file=sys.stderr)
        return table
    here = f"the same code in CPython {sys.version_info.major}.{sys.version_info.minor}"
    mine, json_there = in_vm(seconds)
    for at, work in enumerate(works):
        name = f"codec, {work} an INTENT in MicroPython"
        table.append(_row(name, mine[at], ours[at], here))
        table.append(_row(name, mine[at], json_there[at], "json there (C)"))
    return table


def _bytes_row() -> dict[str, object]:
    text = json.dumps(INTENT, separators=_COMPACT)
    row = _row("codec, an INTENT", len(cbor.encode(INTENT)), len(text), "json, compact")
    return {**row, "unit": "bytes"}


def _row(name: str, ours: int, other: int, against: str) -> dict[str, object]:
    return {"name": name, "ours": ours, "other": other, "against": against, "unit": "1/s"}


def _pure_process(seconds: float) -> None:
    """What pure_cbor2 asks for, with that cbor2 first on the path."""
    vars(sys)["modules"]["_cbor2"] = None  # its compiled part: as if it had not been built
    cbor2 = import_module("cbor2")
    if not isinstance(cbor2.dumps, FunctionType) or not isinstance(cbor2.loads, FunctionType):
        raise NotRun("this cbor2 is compiled")
    data = cbor2.dumps(INTENT)
    if data != cbor.encode(INTENT):
        raise NotRun("this cbor2 encodes otherwise")
    rates = rate(cbor2.dumps, INTENT, seconds), rate(cbor2.loads, data, seconds)
    print(metadata.version("cbor2"), *rates)


if __name__ == "__main__":
    _pure_process(float(sys.argv[1]))
