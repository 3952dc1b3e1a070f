"""Our CBOR beside what Python offers, on one INTENT; and the same code in a real MicroPython.

Ours is pure Python without classes, because it must run on the reader as well. cbor2 and json are
compiled: they say what a host could reach, not what a reader could.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

from protocols.wire import cbor
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
# Runs in MicroPython: how many a second it encodes and decodes.
_PROGRAM = """
import sys, time
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
print(rate(cbor.encode, value), rate(cbor.decode, data))
"""


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


def in_vm(seconds: float) -> tuple[int, int]:
    """(encodings, decodings) a second in MicroPython, from source as it stands."""
    program = _PROGRAM.format(
        root=str(ROOT), value=INTENT, span_us=int(seconds * 1e6), round=_ROUND
    )
    done = subprocess.run(
        [sys.executable, "-c", _MICROPYTHON, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    words = done.stdout.split()
    if done.returncode or len(words) != 2:
        raise NotRun((done.stderr or done.stdout).strip()[-500:])
    return int(words[0]), int(words[1])


def others() -> dict[str, tuple[Callable, Callable]]:
    """Name -> (encode, decode) of what is installed; cbor2's pure Python while it has one."""
    found: dict[str, tuple[Callable, Callable]] = {"json (compiled)": (json.dumps, json.loads)}
    try:
        cbor2 = import_module("cbor2")
    except ImportError:
        return found
    version = metadata.version("cbor2")
    found[f"cbor2 {version} (compiled)"] = cbor2.dumps, cbor2.loads
    try:
        encoder, decoder = import_module("cbor2._encoder"), import_module("cbor2._decoder")
    except ImportError:
        return found
    found[f"cbor2 {version} (Python)"] = encoder.dumps, decoder.loads
    return found


def rows(seconds: float = SECONDS) -> list[dict[str, object]]:
    """Encodings and decodings a second: ours, the others', and ours in MicroPython."""
    ours = rate(cbor.encode, INTENT, seconds), rate(cbor.decode, cbor.encode(INTENT), seconds)
    works = ("encode", "decode")
    table: list[dict[str, object]] = []
    for name, (encode, decode) in others().items():
        theirs = rate(encode, INTENT, seconds), rate(decode, encode(INTENT), seconds)
        for at, work in enumerate(works):
            table.append(_row(f"codec, {work} an INTENT", ours[at], theirs[at], name))
    if find_spec("micropython_unix") is None:
        print("codec: MicroPython is not installed, no rows for it", file=sys.stderr)
        return table
    here = f"the same code in CPython {sys.version_info.major}.{sys.version_info.minor}"
    for at, (work, done) in enumerate(zip(works, in_vm(seconds), strict=True)):
        table.append(_row(f"codec, {work} an INTENT in MicroPython", done, ours[at], here))
    return table


def _row(name: str, ours: int, other: int, against: str) -> dict[str, object]:
    return {"name": name, "ours": ours, "other": other, "against": against, "unit": "1/s"}
