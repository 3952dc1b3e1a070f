"""esptool and mpremote as processes: what they are told, what they said, and why they failed.

Secrets reach a board through mpremote's standard input only: arguments can be read by everybody on
this machine, and a temporary file outlives a process that is killed.
"""

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import serial

from tools.device.errors import DeviceError
from tools.rooms import ROOT

ON_BOARD = ROOT / "firmware" / "boards" / "esp32_provision.py"
# A board that opening its port has reset starts within that.
PROBE_S, _PROBE_READ_S = 5.0, 0.3
_CONSOLE_BAUD, _HEARD_BYTES = 115200, 512
_SETTLE_S = 2.0
_RAW, _BARE, _PROMPT = b"raw REPL; CTRL-B to exit", b"invalid header", b">>> "
# A chip's ROM and MicroPython tell that they start, each in its own words.
_STARTS = (b"rst:0x", b"MicroPython ")
ASK_TIMEOUT_S, PUT_TIMEOUT_S, FLASH_TIMEOUT_S = 60, 300, 600
_ANOTHER, _MAC = "another board answers", "onecard: board "
# esptool as it is, but when a board goes away while it is written, esptool would write to whatever
# comes to that port within seconds: another board, with another reader's records. And it says who
# answers, before it does anything else; where the first argument names another one, nothing is.
_ESPTOOL = f"""import runpy, sys
from esptool import FatalError
from esptool.loader import ESPLoader
wanted, connect = sys.argv.pop(1), ESPLoader.connect
def connect_to(board, *words, **options):
    connect(board, *words, **options)
    mac = bytes(board.read_mac("BASE_MAC")).hex()
    if wanted not in ("", mac):
        raise FatalError("{_ANOTHER}")
    print("{_MAC}" + mac, flush=True)
ESPLoader.connect = connect_to
ESPLoader.WRITE_FLASH_ATTEMPTS = 1
runpy.run_module("esptool", run_name="__main__", alter_sys=True)
"""
# What either of them says, and the cause that it means; the first that is found counts.
_SAID = (
    (_ANOTHER, 19),
    ("invalid header", 5),
    ("in use by another program", 3),
    ("Could not exclusively lock", 3),
    ("port is busy", 3),
    ("Permission denied", 2),
    ("No such file", 1),
    ("could not open port", 1),
    ("failed to access", 1),
    ("could not enter raw repl", 4),
    ("No serial data received", 4),
    ("Failed to connect", 4),
    ("could not exec", 7),
    ("timeout waiting", 7),
    ("write timeout", 7),
    ("Input/output error", 7),
)


def probe(port: str) -> None:
    """Whether MicroPython's console is there; DeviceError says what is there instead.

    mpremote waits for ever at some ports where nothing answers, and does not say what it heard.
    """
    heard, asked = b"", 0
    try:
        with serial.serial_for_url(port, _CONSOLE_BAUD, timeout=_PROBE_READ_S) as line:
            end_s = time.monotonic() + PROBE_S
            while time.monotonic() < end_s and _RAW not in heard and _BARE not in heard:
                line.write(b"\r\x03\x03\r\x01")  # stop what runs, then the raw console
                asked += 1
                heard += line.read_until(_RAW)  # or what comes within its timeout
            if _RAW in heard:
                _settle(line, heard, asked)
    except (serial.SerialException, OSError) as error:
        raise DeviceError(_cause(str(error)), port) from None
    if _RAW not in heard:
        raise DeviceError(5 if _BARE in heard else 6 if heard.strip() else 4, port)


def _settle(line: serial.SerialBase, heard: bytes, asked: int) -> None:
    """Hear every answer out, so that none of them is taken for one to mpremote."""
    end_s = time.monotonic() + _SETTLE_S
    while heard.count(_RAW) < asked and time.monotonic() < end_s:
        heard += line.read(_HEARD_BYTES)
    line.write(b"\r\x02")
    heard, end_s = b"", time.monotonic() + _SETTLE_S
    while not heard.endswith(_PROMPT) and time.monotonic() < end_s:
        heard += line.read(1)


def call(
    port: str,
    function: str,
    *arguments: Any,
    files: list[Path] | None = None,
    script: Path = ON_BOARD,
    mac: str = "",
) -> Any:
    """What a function of `script` prints; before that `files` are put beside it. DeviceError.

    `mac`: of the board that this is for; to another one nothing is done. A board that starts anew
    may come back at the port of one that does so beside it.
    """
    given = json.dumps(json.dumps(arguments))
    text = f"{script.read_text()}\nimport json\n{function}(*json.loads({given}))\n"
    words = ["connect", port, "resume"]
    if mac:
        is_other = f"machine.unique_id() != {bytes.fromhex(mac)!r}"
        words += ["exec", f"import machine\nif {is_other}: raise RuntimeError('{_ANOTHER}')"]
    if files:
        words += ["fs", "cp", *map(str, files), ":", "+"]
    timeout_s = PUT_TIMEOUT_S if files else ASK_TIMEOUT_S
    said = _run("mpremote", [*words, "run", "/dev/stdin"], timeout_s, text)
    # Copying says things as well; ours is the last line.
    line = said.strip().splitlines()[-1:] or [""]
    try:
        return json.loads(line[0])
    except ValueError:
        raise DeviceError(6, "the board") from None


def fetch(port: str, folder: Path) -> None:
    """Copy the program's files of a board into `folder`. DeviceError."""
    names = call(port, "files")
    words = ["connect", port, "resume", "fs", "cp", *(f":{name}" for name in names), str(folder)]
    _run("mpremote", words, ASK_TIMEOUT_S)


def reset(port: str) -> None:
    """Start the board anew, and wait for it. DeviceError.

    Whoever speaks to it next would else be heard by the life that ends, and wait for ever. Where
    the port is part of the chip it goes away with it, which is the same news.
    """
    is_told = False
    try:
        with serial.serial_for_url(port, _CONSOLE_BAUD, timeout=_PROBE_READ_S) as line:
            line.write(b"\r\x01")
            _heard(line, (_RAW,))
            line.reset_input_buffer()
            line.write(b"import machine; machine.reset()\x04")
            is_told = True
            _heard(line, _STARTS)
    except (serial.SerialException, OSError) as error:
        if not is_told:
            raise DeviceError(_cause(str(error)), port) from None


def _heard(line: serial.SerialBase, words: tuple[bytes, ...]) -> bool:
    """Whether one of them is heard before the board's time is over."""
    heard, end_s = b"", time.monotonic() + PROBE_S
    while time.monotonic() < end_s:
        heard += line.read(1)
        if any(word in heard for word in words):
            return True
    return False


def esptool(port: str, chip: str, *words: str, mac: str = "") -> str:
    """Let esptool do something to the board that it finds at the port; its MAC. DeviceError.

    `mac`: of the board that this is for, "": any; to another one nothing is done.
    """
    words = ("--chip", chip, "--port", port, *words)
    said = _run("esptool", list(words), FLASH_TIMEOUT_S, start=("-c", _ESPTOOL, mac))
    return said.partition(_MAC)[2].partition("\n")[0].strip()


def _run(
    module: str, words: list[str], timeout_s: float, text: str = "", start: tuple[str, ...] = ()
) -> str:
    if find_spec(module) is None:
        raise DeviceError(15, module)
    try:
        done = subprocess.run(
            [sys.executable, *(start or ("-m", module)), *words],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(7, f"{module}, after {timeout_s} s") from None
    if done.returncode:
        raise DeviceError(_cause(done.stdout + done.stderr), module)
    return done.stdout


def _cause(said: str) -> int:
    return next((cause for words, cause in _SAID if words in said), 7)
