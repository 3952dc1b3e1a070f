"""Watches a building through an outage that a person makes: reads its agent's view, and no more.

Rules of this file. The switch is the person's. When it was thrown is written down before anything
else is done, so whoever is cut off goes on where they were. What is seen is for whoever watches;
what is judged are the records that readers have written themselves (ledger/drills.py).
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ledger.drill_rules import Window

FILE_NAME = "window.json"
LOG_NAME = "watch.log"
EVERY_S, TIMEOUT_S = 5.0, 3.0
UNHEARD_S = 60
# Of a reader of a view: what is looked at, and what stands for what an agent does not know.
_READER = {"device": -1, "last_seen_s": -(10**9), "power_source": -1, "battery_mv": 0}
_NO_VIEW = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_POWER = {0: "on mains", 1: "on battery"}

Say = Callable[[str], None]
Pressed = Callable[[float], bool]  # waits so many seconds at most: was Enter pressed?


class NoWindow(Exception):
    """When the outage was is not known, or is that of another drill; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What stands in the folder. None: not yet."""

    from_s: int | None = None
    to_s: int | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """Where it is written down, and of which drill."""

    path: Path
    kind: str
    site: str


def noted(folder: Path, kind: str, site: str) -> Noted:
    """What was written down of this drill. NoWindow."""
    path = folder / FILE_NAME
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        whose, found = (told["kind"], told["site"]), Noted(told["from_s"], told["to_s"])
        if not {type(found.from_s), type(found.to_s)} <= {int, type(None)}:
            raise ValueError("a time in it is no number")
    except FileNotFoundError:
        return Noted()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoWindow(f"{path} is no file of a drill: {error}") from error
    if whose != (kind, site):
        raise NoWindow(f"{path} is of a {whose[0]} drill at {whose[1]}: take another --out")
    return found


def watch(
    url: str, folder: Folder, say: Say, pressed: Pressed, clock: Callable[[], float]
) -> Window:
    """Watch from one Enter to the next; when that was. NoWindow if it cannot be written down."""
    known = noted(folder.path, folder.kind, folder.site)
    if known.to_s is not None and known.from_s is not None:
        return Window(known.from_s, known.to_s)
    if known.from_s is None:
        say(f"press Enter at the moment when {_OFF[folder.kind]}")
        _until(pressed)
        known = Noted(int(clock()))
        _write(folder, known)
    assert known.from_s is not None
    say("watching; press Enter when it is back on")
    last: dict[int, str] = {}
    while True:
        for line in _changes(_seen(url), last):
            told = f"{time.strftime('%H:%M:%S', time.localtime(clock()))} {line}"
            say(told)
            with (folder.path / LOG_NAME).open("a", encoding="utf-8") as log:
                log.write(told + "\n")
        if pressed(EVERY_S):
            break
    window = Window(known.from_s, max(int(clock()), known.from_s + 1))
    _write(folder, Noted(window.from_s, window.to_s))
    return window


_OFF = {"power": "you switch the mains off", "network": "you pull the readers' network"}


def _until(pressed: Pressed) -> None:
    while not pressed(EVERY_S):
        pass


def _changes(view: dict[str, Any], last: dict[int, str]) -> list[str]:
    """A line for each reader that looks otherwise than in `last`, which is brought up to date.

    0 is the agent itself.
    """
    now = {0: "the agent answers" if view else "the agent does not answer"}
    for reader in view.get("readers", []):
        heard = view["utc_s"] - reader["last_seen_s"] <= UNHEARD_S
        power = _POWER.get(reader["power_source"], "supply unknown")
        mv = f", {reader['battery_mv']} mV" if reader["battery_mv"] else ""
        state = f"{power}{mv}, {'heard' if heard else 'not heard'}"
        now[reader["device"]] = f"reader {reader['device']}: {state}"
    found = [text for device, text in now.items() if last.get(device) != text]
    last.update(now)
    return found


def _seen(url: str) -> dict[str, Any]:
    """The agent's view; {} while it says nothing: in an outage that is no error."""
    try:
        where = f"{url.rstrip('/')}/status.json"
        with urllib.request.urlopen(where, timeout=TIMEOUT_S) as answer:
            found = json.load(answer)
        readers = [
            {name: int(_known(reader.get(name), less)) for name, less in _READER.items()}
            for reader in found["readers"]
        ]
        return {"utc_s": int(found["utc_s"]), "readers": readers}
    except (urllib.error.URLError, HTTPException, OSError, *_NO_VIEW):
        return {}  # cut off in the middle of its words, too


def _known(said: Any, less: int) -> Any:
    return less if said is None else said


def _write(folder: Folder, known: Noted) -> None:
    whose = {"kind": folder.kind, "site": folder.site}
    told = {**whose, "from_s": known.from_s, "to_s": known.to_s}
    path, beside = folder.path / FILE_NAME, folder.path / f".{FILE_NAME}.new"
    try:
        with beside.open("w", encoding="utf-8") as target:
            target.write(json.dumps(told) + "\n")
            target.flush()
            os.fsync(target.fileno())
        beside.replace(path)
    except OSError as error:
        raise NoWindow(f"{path}: {error.strerror}") from error
