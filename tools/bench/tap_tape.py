"""One tap on a timed reader, and the tape from which MicroPython plays it again without hardware.

`Tap` boots a device (the POS, or the door of tap_door.py) on its modelled board, lays a card down
and lets the device take it. Whatever the board answers goes on a tape; `in_vm` plays that in the
real MicroPython, compiled and linked as it is flashed, and tells how long the bytecode takes.
"""

import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any
from unittest import mock

from firmware.roles import pos
from protocols.rules import settings
from protocols.wire import seal
from simulator.cardbox import CardKeys, make_cards
from simulator.host.board import HostBoard
from simulator.scenario import CardBatch
from simulator.scenario_words import DEFAULT_POLICY
from simulator.vm.image import ROOMS, build
from tools.bench import tap_door, tap_replay
from tools.bench.tap_desk import (
    FLASH_BYTES,
    START_UTC_S,
    Account,
    TimedHardware,
    account,
)
from tools.rooms import ROOT

AMOUNT_KEYS, BALANCE_FEN, AMOUNT_FEN = b"12.50\r", 10_000, 1_250
_DAY_S = 86_400
_SETTLED_US = 200_000  # a few looks at an empty field: the chip is set up, the journal prepared
_AWAKE_US = 10_000  # a card answers 5 ms after it has come
_BLOCK_BYTES = 16
_SHA_BLOCK_BYTES, _SHA_END_BYTES = 64, 9
_ROUNDS = 30
_VM_HEAP = "heapsize=32m"
_MICROPYTHON = "import sys; from micropython_unix import main; sys.exit(main())"
DEVICES: dict[str, ModuleType] = {"pos": pos, "door": tap_door}
_MODULES = {"pos": "firmware.roles.pos", "door": "firmware.roles.tap_door"}


class NotTaken(Exception):
    """The device did not do with the card what it should: its time means nothing."""


class NotPlayed(Exception):
    """MicroPython did not do what CPython did; the text is what it said."""


@dataclass
class Crypto:
    """Work of cryptography beneath the bytecode: calls and blocks of AES, blocks of SHA-256."""

    aes_calls: int = 0
    aes_blocks: int = 0
    sha_blocks: int = 0


class TapedHardware(TimedHardware):
    """A timed reader that keeps, by kind, what it has answered since it was made."""

    def __init__(self, settings_blob: bytes, call_us: int, seed: int) -> None:
        super().__init__(settings_blob, call_us, seed)
        kinds = ("spi", "irq", "read", "program", "keys", "utc", "random", "aes", "cbc")
        self.queues: dict[str, list[Any]] = {kind: [] for kind in kinds}
        self._looked_at = -1  # transactions there had been when the pin showed nothing

    def put(self, kind: str, answer: Any) -> Any:
        """Keep an answer, and give it back."""
        self.queues[kind].append(answer)
        return answer

    def rfid_exchange(self, out: bytes) -> bytes:
        answer = super().rfid_exchange(out)
        self.put("spi", (out, answer, self.ticks_us()))
        return answer

    def rfid_irq(self) -> int:
        """Of looks in a row that see nothing the first is kept: see tap_replay.py."""
        level = super().rfid_irq()
        if not level or self._looked_at != self.chip.transactions:
            self.put("irq", level)
        self._looked_at = self.chip.transactions if level else -1
        return level

    def flash_read(self, address: int, size: int) -> bytes:
        return self.put("read", super().flash_read(address, size))

    def flash_program(self, address: int, data: bytes) -> None:
        super().flash_program(address, data)
        self.put("program", (address, data))

    def keypad_read(self) -> bytes:
        return self.put("keys", super().keypad_read())

    def utc_s(self) -> int | None:
        return self.put("utc", super().utc_s())

    def urandom(self, size: int) -> bytes:
        return self.put("random", super().urandom(size))


class TapedBoard(HostBoard):
    """A board whose AES is on the tape of its hardware too, and counted in `crypto`.

    `steps` are the times at which its device was called.
    """

    def __init__(self, hardware: TapedHardware, more_settings: dict[str, Any]) -> None:
        super().__init__(hardware)
        self.settings.update(more_settings)
        self.crypto = Crypto()
        self.steps: list[int] = []
        self._hardware = hardware
        self._start_us = hardware.ticks_us()

    def aes(self, key: bytes) -> Callable[[bytes], bytes]:
        encrypt = super().aes(key)

        def taped(block: bytes) -> bytes:
            self.crypto.aes_calls += 1
            self.crypto.aes_blocks += 1
            return self._hardware.put("aes", encrypt(block))

        return taped

    def aes_cbc(self, key: bytes, iv: bytes, data: bytes, decrypting: bool) -> bytes:
        self.crypto.aes_calls += 1
        self.crypto.aes_blocks += len(data) // _BLOCK_BYTES
        return self._hardware.put("cbc", super().aes_cbc(key, iv, data, decrypting))

    def step(self, device: Any) -> int:
        """Call the device; when it wants to be called again."""
        now_ms = self.ticks_ms()
        self.steps.append(now_ms)
        return device.step(now_ms)

    def tape(self) -> dict[str, Any]:
        """All of it, as tap_replay.py reads it: a literal."""
        return {
            "settings": dict(self.settings),
            "boot_cause": self.boot_cause,
            "start_us": self._start_us,
            "flash_bytes": FLASH_BYTES,
            "steps": self.steps,
            "queues": self._hardware.queues,
        }


@dataclass(frozen=True)
class Tap:
    """What is played: `device` is "pos" or "door", `chip` is "classic" or "desfire"."""

    device: str
    chip: str
    rate: int = 106
    seed: int = 1

    def play(self, call_us: int) -> tuple[Account, dict[str, Any], Crypto]:
        """The tap, accounted for; NotTaken when the light did not turn green for it."""
        draw = random.Random(self.seed)
        keys = CardKeys.drawn(draw)
        hardware = TapedHardware(self._settings(keys, draw), call_us, self.seed)
        hardware.power_on()
        more = {"read_key": keys.desfire.read} if self.device == "door" else {}
        board = TapedBoard(hardware, more)
        device = DEVICES[self.device].build(board)
        batch = CardBatch("tap", 2, "ours", 1, 20_001, (BALANCE_FEN, BALANCE_FEN), self.chip)
        (held,) = make_cards(batch, keys, draw, START_UTC_S // _DAY_S)
        self._settle(hardware, board, device)
        hardware.put_card(held.chip)
        hardware.clock.advance_us(_AWAKE_US)
        hardware.spans.clear()
        hardware.ear.exchanges.clear()
        board.crypto = Crypto()
        start_us = hardware.clock.now_us
        with mock.patch.object(seal, "hmac_sha256", self._counting(board.crypto)):
            board.step(device)
        if hardware.green_us != hardware.clock.now_us:
            raise NotTaken(f"{self}: {hardware.panel}")
        if hardware.chip.violations or getattr(held.chip, "violations", []):
            raise NotTaken(f"{self}: {hardware.chip.violations}")
        found = account(hardware.spans, hardware.ear.exchanges, start_us, hardware.green_us)
        return found, board.tape(), board.crypto

    def _settle(self, hardware: TapedHardware, board: TapedBoard, device: Any) -> None:
        """Boot, an amount, and a few looks at the empty field."""
        board.step(device)
        hardware.keys = AMOUNT_KEYS if self.device == "pos" else b""
        until_us = hardware.clock.now_us + _SETTLED_US
        while hardware.clock.now_us < until_us:
            due_ms = board.step(device)
            hardware.clock.advance_to(max(min(due_ms * 1000, until_us), hardware.clock.now_us))

    def _settings(self, keys: CardKeys, draw: random.Random) -> bytes:
        return settings.encode(
            {
                "device": 1001,
                "site": "tap",
                "merchant_no": 71,
                "device_key": draw.randbytes(32),
                "purse_key": keys.purse,
                "mac_key": keys.mac,
                "broker_host": "building",
                "broker_port": 1883,
                "policy": DEFAULT_POLICY,
                "rfid_rate": self.rate,
            }
        )

    @staticmethod
    def _counting(crypto: Crypto) -> Callable[[bytes, bytes], bytes]:
        """hmac_sha256 that counts its blocks: the padded key and the data, twice."""
        original = seal.hmac_sha256

        def hmac_sha256(key: bytes, data: bytes) -> bytes:
            inner = -(-(len(data) + _SHA_END_BYTES) // _SHA_BLOCK_BYTES)
            crypto.sha_blocks += 1 + inner + 2
            return original(key, data)

        return hmac_sha256


def opcodes(device: str, tape: dict[str, Any]) -> int:
    """How many opcodes of CPython the firmware runs for the tap, played from its tape.

    Much like MicroPython's in kind and number, and the same in every run of one CPython. Looks at
    the interrupt pin while a card is busy are on the tape once; HMAC is the reader's own.
    """
    folders = tuple(str(ROOT / room) + os.sep for room in ROOMS)
    door = str(tap_door.__file__)
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        nonlocal count
        path = frame.f_code.co_filename
        if not path.startswith(folders) and path != door:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    board = tap_replay.TapeBoard(tape, True)
    with mock.patch.object(seal, "digest", None):
        played = DEVICES[device].build(board)
        for now_ms in tape["steps"][:-1]:
            played.step(now_ms)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            played.step(tape["steps"][-1])
        finally:
            sys.settrace(before)
    return count


@dataclass(frozen=True)
class Bytecode:
    """What a tap is in MicroPython: microseconds here, what the yardstick takes, heap used up."""

    tap_us: int
    yard_us: float
    allocated_bytes: int


class Vm:
    """The firmware and the door as they are flashed, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        source = folder / "source"
        for room in ROOMS:
            shutil.copytree(ROOT / room, source / room)
        shutil.copyfile(str(tap_door.__file__), source / "firmware" / "roles" / "tap_door.py")
        text = Path(str(tap_replay.__file__)).read_text()
        self._roms: dict[str, Path] = {}
        for device, module in _MODULES.items():
            main = folder / f"{device}.py"
            main.write_text(text.replace(_MODULES["pos"], module))
            self._roms[device] = build(source, folder / f"image_{device}", main) / "rom"

    def play(self, device: str, tape: dict[str, Any], rounds: int = _ROUNDS) -> Bytecode:
        """Play a tape; NotPlayed when the firmware says other things than it did."""
        done = self.run(device, tape, str(rounds))
        if done.returncode or not done.stdout.startswith("{"):
            raise NotPlayed((done.stderr or done.stdout).strip()[-800:])
        return Bytecode(**ast.literal_eval(done.stdout))

    def run(
        self,
        device: str,
        tape: dict[str, Any],
        *arguments: str,
        under: Sequence[str] = (),
        heap: str = _VM_HEAP,
    ) -> subprocess.CompletedProcess[str]:
        """Run tap_replay.py with a tape and arguments, on its own or under another program."""
        path = self._folder / "tape"
        path.write_text(repr(tape))
        rom = self._roms[device]
        main = str(rom / "firmware" / "main.py")
        return run([*under], [main, str(path), *arguments], f"{rom}:.frozen", heap)


def run(
    under: Sequence[str], script: Sequence[str], path: str, heap: str
) -> subprocess.CompletedProcess[str]:
    """Run a script with its arguments in MicroPython; `path` is where it looks for modules."""
    return subprocess.run(
        [*under, sys.executable, "-c", _MICROPYTHON, "-X", heap, *script],
        env={"MICROPYPATH": path, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def in_vm(
    taps: dict[str, tuple[str, dict[str, Any]]], rounds: int = _ROUNDS
) -> dict[str, Bytecode]:
    """Name -> (device, tape) to name -> what MicroPython takes for it."""
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        vm = Vm(Path(folder))
        return {name: vm.play(device, tape, rounds) for name, (device, tape) in taps.items()}
