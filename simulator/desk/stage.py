"""The thread that owns a session and its time; others ask it, and read what it has put up.

Nobody who reads can hold it up: it replaces whole values in a dictionary, and never waits for
anyone. What people ask for waits in a queue, and is done between two slices of virtual time.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from simulator import screen
from simulator.desk import jumps, link_look, views
from simulator.desk.device_look import DeviceLooker
from simulator.desk.look import Looker
from simulator.desk.phone_look import PhoneLooker
from simulator.desk.session import Session
from simulator.desk.verbs import Refused, said
from simulator.desk.wall import WallLooker
from simulator.homes import Images
from simulator.scenario import ScenarioError, parse
from simulator.vm.bridge import VmMissing

SPEEDS = (1, 10, 60)
_log = logging.getLogger(__name__)
_SECOND_US = 1_000_000
_FRAME_S = 0.05  # between two looks
_FRAME_S_MAX = 0.5
_LOOKING_SHARE = 0.2  # of the time is spent with looks at most: with many devices they come later
_MONEY_S = 0.5  # between two thorough looks, at the books too
_BUSY_SHARE = 0.7  # of a frame is played in, at most
_JUMP_BUSY_S = 0.25
_SLICE_US = 50_000
_JUMP_SLICE_US = 60 * _SECOND_US
_TOLD = 60
_SHM, _SHM_FREE_BYTES = Path("/dev/shm"), 1 << 30
_STEP_SHOWN_US = 3 * _SECOND_US


class Stage:
    """Plays a scenario text from `path`; every call but `close` may come from any thread.

    `shown`: key -> JSON, replaced whole. `version` counts what has changed there, and `play` the
    sessions: another number is another campus. `in_vm`: whose firmware starts in a MicroPython.
    `boards`: by reader, the URL of the port of a real one.
    """

    def __init__(
        self,
        text: str,
        path: Path,
        *,
        seed: int | None = None,
        broker: str = "auto",
        in_vm: Collection[str] = (),
        boards: Mapping[str, str] | None = None,
    ) -> None:
        self.shown: dict[str, str] = {}
        self.version = 0
        self.play = 0
        self._broker, self._seed, self._in_vm = broker, seed, in_vm
        self._boards = dict(boards or {})
        self._images_folder = tempfile.TemporaryDirectory(prefix="onecard-images-")
        self._images = Images(Path(self._images_folder.name))
        self._watched: Counter[str] = Counter()
        self._wanted: queue.Queue[Callable[[], None]] = queue.Queue()
        self._is_over = False
        self._folder: Path | None = None
        self._font = screen.load_font() if screen.UNIFONT.exists() else None
        self._speed, self._paused, self._fault = 1, False, ""
        self._jump_us = 0
        self._frame_s = _FRAME_S
        self._debt_us, self._lag_us, self._real_speed = 0.0, 0.0, 0.0
        self._report: dict[str, Any] | None = None
        self._session: Session
        self._looker: Looker
        self._thread = threading.Thread(target=self._live, args=(text, path), name="stage")
        self._is_up: Future[None] = Future()
        self._thread.start()
        self._is_up.result()

    @property
    def has_glyphs(self) -> bool:
        """Whether the dots of a display have their characters in them."""
        return self._font is not None

    # -- what others ask for ----------------------------------------------------------------

    def act(self, table: Mapping[str, Any]) -> Future[str]:
        """A step, now. The result is "" or why not."""
        return self._ask(lambda: self._act(table))

    def set_time(self, wish: Mapping[str, Any]) -> Future[str]:
        """`speed` of SPEEDS, `paused`, `jump_s` (as of jumps.py), or `step` 1 (of the file)."""
        return self._ask(lambda: self._set_time(wish))

    def finish(self) -> Future[str]:
        """All comes to rest, and the verdict."""
        return self._ask(self._finish)

    def load(self, text: str, path: Path, *, paused: bool = True) -> Future[str]:
        """Another scenario instead, from its start."""
        return self._ask(lambda: self._load(text, path, paused))

    def prepare(self, name: str) -> str:
        """Make what a device would run in a MicroPython, in the caller's time; "" or why not."""
        session = self._session
        reader = session.run.readers.get(name)
        if reader is None:
            return f"no reader {name!r}"
        if reader.is_real:
            return f"{name} is a real board"
        try:
            session.homes.prepare(reader)
        except VmMissing as error:
            return str(error)
        return ""

    def move(self, name: str, *, to_vm: bool) -> Future[str]:
        """A device boots in a MicroPython, or in this process again."""
        return self._ask(lambda: self._move(name, to_vm))

    def watch(self, view: str) -> Future[None]:
        """Somebody looks at this: it is put up from now on, until as many have gone."""
        return self._ask(lambda: self._watch(view))

    def unwatch(self, view: str) -> Future[None]:
        """Somebody does not look at it any more."""
        return self._ask(lambda: self._unwatch(view))

    def recording(self) -> Future[str]:
        """The file of what was done."""
        return self._ask(lambda: self._session.recorder.text())

    def scenario(self) -> Future[Any]:
        """What is played: simulator.scenario.Scenario, which nobody changes."""
        return self._ask(lambda: self._session.run.scenario)

    def close(self) -> None:
        """End the thread and everything it runs."""
        self._is_over = True
        self._thread.join()
        self._images_folder.cleanup()

    def _ask(self, call: Callable[[], Any]) -> Future[Any]:
        """What its asker has cancelled before its turn came is not done."""
        answer: Future[Any] = Future()

        def do() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                answer.set_result(call())
            except BaseException as error:  # noqa: BLE001
                answer.set_exception(error)

        self._wanted.put(do)
        return answer

    # -- the thread -------------------------------------------------------------------------

    def _live(self, text: str, path: Path) -> None:
        try:
            self._open(text, path)
            self._put_up(with_money=True)
        except BaseException as error:  # noqa: BLE001
            self._is_up.set_exception(error)
            return
        self._is_up.set_result(None)
        looked_s = money_s = time.monotonic()
        while not self._is_over:
            is_jump = self._session.now_us < self._jump_us and not self._paused
            self._serve(0 if is_jump else self._frame_s - (time.monotonic() - looked_s))
            now_s = time.monotonic()
            self._play(now_s - looked_s)
            with_money = now_s - money_s >= _MONEY_S
            money_s = now_s if with_money else money_s
            looked_s = now_s
            try:
                begun_s = time.monotonic()
                self._put_up(with_money=with_money)
                cost_s = time.monotonic() - begun_s
                wanted_s = max(_FRAME_S, self._frame_s / 2, cost_s / _LOOKING_SHARE)
                self._frame_s = min(wanted_s, _FRAME_S_MAX)
            except Exception as error:  # noqa: BLE001
                self._fail(error)
                self._show("time", self._time())
        self._shut()

    def _serve(self, patience_s: float) -> None:
        """Do what is asked for, and what is asked for until patience is over."""
        until_s = time.monotonic() + patience_s
        while True:
            try:
                self._wanted.get(timeout=max(until_s - time.monotonic(), 0.001))()
            except queue.Empty:
                return

    def _open(self, text: str, path: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="onecard-desk-", dir=_memory()))
        self._source = text, path
        homes = {"in_vm": self._in_vm, "images": self._images, "boards": self._boards}
        self._session = Session(text, path, self._folder, self._seed, self._broker, **homes)
        run = self._session.run
        self._looker = Looker(run, self._font)
        self._phone_looker = PhoneLooker(run)
        self._device_looker = DeviceLooker(run, self._session.homes, self._looker)
        self._wall_looker = WallLooker(run, self._looker)
        self._fault, self._report, self._jump_us = "", None, 0
        self._debt_us = self._lag_us = 0.0
        self._changes: tuple[int, ...] = ()
        self._steps_done = -1
        self.shown = {}
        self.play += 1

    def _shut(self) -> None:
        self._session.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _load(self, text: str, path: Path, paused: bool) -> str:
        loaded = parse(text, path)  # before anything of now is given up for it
        before = self._source
        there = {one["name"] for one in loaded.readers}
        self._in_vm = [name for name in self._in_vm if name in there]
        self._boards = {name: url for name, url in self._boards.items() if name in there}
        self._shut()
        try:
            self._open(text, path)
        except ScenarioError:  # what only building it could tell
            self._open(*before)
            raise
        self._paused = paused
        return ""

    # -- time -------------------------------------------------------------------------------

    def _play(self, real_s: float) -> None:
        """Virtual time for real time that has passed.

        What a slow machine owes is not made up for later, in a rush that nobody could follow: it
        is counted as lag, and said.
        """
        if self._paused or self._fault or self._report:
            self._real_speed = 0.0
            return
        session, begun_us, begun_s = self._session, self._session.now_us, time.monotonic()
        is_jump = begun_us < self._jump_us
        self._debt_us += real_s * self._speed * _SECOND_US
        until_us = self._jump_us if is_jump else begun_us + int(self._debt_us)
        try:
            busy_s = _JUMP_BUSY_S if is_jump else _BUSY_SHARE * self._frame_s
            while session.now_us < until_us and time.monotonic() - begun_s < busy_s:
                slice_us = _JUMP_SLICE_US if is_jump else _SLICE_US
                if is_jump:
                    self._rest_again()
                session.advance(min(session.now_us + slice_us, until_us))
        except ScenarioError as error:
            self._fault = said(error)
        except Exception as error:  # noqa: BLE001
            self._fail(error)
        played_us = session.now_us - begun_us
        most_us = 0.5 * self._speed * _SECOND_US
        owed_us = 0.0 if is_jump else max(self._debt_us - played_us, 0.0)
        self._debt_us = min(owed_us, most_us)
        self._lag_us += owed_us - self._debt_us
        speed = played_us / _SECOND_US / max(real_s, 0.001)
        self._real_speed += (speed - self._real_speed) * min(real_s, 1.0)

    def _fail(self, error: Exception) -> None:
        """A bug of the simulation ends the play, not the page on which it is to be seen."""
        self._fault = f"{type(error).__name__}: {error}"
        _log.error("the play has ended", exc_info=error)

    def _set_time(self, wish: Mapping[str, Any]) -> str:
        if wish.get("speed") in SPEEDS and wish["speed"] is not True:
            if self._boards and wish["speed"] != 1:
                return "a real board lives in real time: only ×1"
            self._speed, self._paused = int(wish["speed"]), False
            self._debt_us = self._lag_us = 0.0
        elif isinstance(wish.get("paused"), bool):
            self._paused = wish["paused"]
        elif "jump_s" in wish:
            return self._jump(wish["jump_s"])
        elif "step" in wish:
            return self._step()
        else:
            return "no such wish"
        return ""

    def _jump(self, wanted: object) -> str:
        try:
            over_s = jumps.over_s(self._session.run, wanted)
        except Refused as refused:
            return str(refused)
        refusal = self._rest(over_s)
        if not refusal:
            self._jump_us, self._paused = self._session.now_us + over_s * _SECOND_US, False
        return refusal

    def _rest(self, over_s: int) -> str:
        text = f"{over_s // 3600:02}:{over_s // 60 % 60:02}:{over_s % 60:02}"
        return self._act({"do": "rest", "over": text})

    def _rest_again(self) -> None:
        """Somebody of the file has come in the middle of a jump, and everybody was awake since."""
        left_s = (self._jump_us - self._session.now_us) // _SECOND_US
        if left_s > 0 and not self._session.run.rest.left_us():
            self._rest(left_s)

    def _step(self) -> str:
        """The next step of the file, and the seconds in which it is answered; then it waits."""
        step = self._session.next_step
        if step is None:
            return "no step is left"
        self._session.advance(step.at_us)
        following = self._session.next_step
        until_us = step.at_us + _STEP_SHOWN_US
        if following is not None:
            until_us = min(until_us, max(following.at_us - 1, step.at_us))
        self._session.advance(until_us)
        self._paused = True
        return ""

    # -- people -----------------------------------------------------------------------------

    def _act(self, table: Mapping[str, Any]) -> str:
        if self._fault or self._report:
            return "it has ended: load it again"
        try:
            self._session.act(table)
        except Refused as refusal:
            return str(refusal)
        except Exception as error:  # noqa: BLE001
            self._fail(error)
            return ""
        if table["do"] != "rest":
            self._jump_us = 0  # whoever does something is there
        return ""

    def _move(self, name: str, to_vm: bool) -> str:
        if self._fault or self._report:
            return "it has ended: load it again"
        try:
            self._session.move(name, to_vm=to_vm)
        except Refused as refusal:
            return str(refusal)
        except Exception as error:  # noqa: BLE001
            self._fail(error)
        self._jump_us = 0
        return ""

    def _watch(self, view: str) -> None:
        self._watched.update([view])
        if self._watched[view] == 1:
            self._put_up(with_money=True)

    def _unwatch(self, view: str) -> None:
        self._watched[view] -= 1
        self._watched += Counter()  # drops who is at nought
        if view not in self._watched:
            own = [key for key in self.shown if views.is_only_of(view, key)]
            self.shown = {key: text for key, text in self.shown.items() if key not in own}

    def _finish(self) -> str:
        if not self._report:
            report = self._session.finish()
            self._report = {
                "failures": [*report.violations, *report.failures],
                "records": report.records,
                "transcript": report.transcript_sha256,
            }
        return ""

    # -- what others see --------------------------------------------------------------------

    def _put_up(self, *, with_money: bool) -> None:
        session, run = self._session, self._session.run
        self._show("time", self._time())
        done = sum(one.is_done for one in session.played)
        # Whatever somebody has done may have changed anybody.
        is_thorough = with_money or done != self._steps_done
        self._steps_done = done
        if is_thorough:
            self._show("sites", self._looker.sites())
            self._show("centre", link_look.centre(run))
            self._show("steps", [_step_seen(one) for one in session.played])
        self._show("told", session.told.lines[-_TOLD:])
        if self._watched.keys() - {views.WALL}:
            for name, phone in self._phone_looker.phones().items():
                self._show(f"phone:{name}", phone)
            for name, seen in self._looker.readers(thorough=is_thorough):
                self._show(f"reader:{name}", seen)
        if with_money:
            self._put_up_views()
            self._put_up_books()

    def _put_up_books(self) -> None:
        changes = self._looker.changes()
        if changes != self._changes:
            self._changes = changes
            self._show("money", self._looker.money())
        away = self._session.run.cards_away()
        for held in self._session.run.cards:
            self._show(f"card:{held.name}", self._looker.card(held, away))

    def _put_up_views(self) -> None:
        for name in views.devices_of(self._watched):
            if name in self._session.run.readers:
                for key, value in self._device_looker.parts(name).items():
                    self._show(key, value)
        if views.WALL in self._watched:
            for key, value in self._wall_looker.parts().items():
                self._show(key, value)

    def _time(self) -> dict[str, Any]:
        run, left_us = self._session.run, self._jump_us - self._session.now_us
        return {
            "play": self.play,
            "local_s": run.world.utc_s() + run.scenario.policy["utc_offset_s"],
            "speed": self._speed,
            "real_speed": round(self._real_speed, 1 if self._real_speed < 10 else None),
            "lag_s": int((self._lag_us + self._debt_us) / _SECOND_US),
            "paused": self._paused,
            "jump_left_s": max(left_us, 0) // _SECOND_US,
            "fault": self._fault,
            "report": self._report,
        }

    def _show(self, key: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if self.shown.get(key) != text:
            self.shown[key] = text
            self.version += 1


def _memory() -> Path | None:
    """Where files are in memory, if there is room: books of an hour need not outlive the machine.

    Agents and ledger sync to it as they do to a disk, and who is killed finds what it has written.
    """
    if not _SHM.is_dir() or not os.access(_SHM, os.W_OK):
        return None
    return _SHM if shutil.disk_usage(_SHM).free >= _SHM_FREE_BYTES else None


def _step_seen(played: Any) -> dict[str, Any]:
    step = played.step
    return {
        "at_s": step.at_us // _SECOND_US,
        "do": step.do,
        "what": " ".join(str(value) for value in step.fields.values()),
        "expected": played.expected,
        "happened": played.happened[-3:],
        "done": played.is_done,
        "fine": played.is_as_expected,
    }
