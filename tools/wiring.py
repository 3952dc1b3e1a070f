"""docs/wiring.md: the pins of each board, read from its code, and what hangs on them.

Pins are what the files of firmware/boards give to Pin(); a name without words, or words without a
name, is an error, and tests/project/test_wiring.py looks for it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.rooms import ROOT

BOARDS = ROOT / "firmware" / "boards"


@dataclass(frozen=True, slots=True)
class Board:
    """`files`: of firmware/boards; the names of a later one stand in the place of an earlier's.

    `without`: names of these that this board does not wire. `parts`: what is bought for one.
    """

    title: str
    files: tuple[str, ...]
    parts: tuple[str, ...]
    without: frozenset[str] = frozenset()


# What hangs on a pin, by the name that the code gives it.
WORDS = {
    "SCK": "RC522 SCK, and the clerk's display (ST7920) SCLK",
    "MOSI": "RC522 MOSI, and the clerk's display SID",
    "MISO": "RC522 MISO",
    "CS": "RC522 SDA (select, active low); the clerk's display CS (active high): one wire",
    "RFID_RESET": "RC522 RST, active low",
    "RFID_IRQ": "RC522 IRQ (an input only, looked at as a level)",
    "KEYPAD_RX": "serial keypad TX, 9600 baud",
    "DISPLAY_TX": "pole display (CD5220) RX, and a voice module (SYN6288) if there is one",
    "KEYPAD_TX": "nothing; the port wants the pin",
    "LED_GREEN": "green LED",
    "LED_RED": "red LED",
    "BEEPER": "sounder, 2.7 kHz",
    "SENSE": "mains and case: adapter, 3.3 V and ground by 100 kohm each, 49.9 kohm more to ground"
    " by the switch of the shut case",
    "BATTERY": "cells by a divider: 2 at a POS, 3 at a lock",
    "LAN_MDC": "LAN8720 MDC (with a cable)",
    "LAN_MDIO": "LAN8720 MDIO (with a cable)",
    "BACKLIGHT": "backlight of the clerk's display (without a LAN8720)",
    "SCANNER_TX": "code scanner RX, 9600 baud",
    "SCANNER_RX": "code scanner TX",
    "DESK_TX": "USB bridge to the desk's PC, RX",
    "DESK_RX": "nothing; the port wants the pin",
    "LOAD": "74HC165 SH/LD",
    "CLOCK": "74HC165 CLK",
    "DATA": "74HC165 QH",
    "PULSES": "one-shot that holds the magnet's relay (ADR 19)",
    "TOUCH": "touch sensor, wakes",
    "KEY": "contact of the key, wakes",
    "INSIDE": "inside handle, wakes",
    "LINE": "handheld is plugged in, wakes",
    "CASE": "switch of the case to ground, pull-up, wakes",
    "BOLT_THROWN": "end contact: thrown",
    "BOLT_DRAWN": "end contact: drawn",
    "MOTOR_DRAW": "motor driver: draw, pull-down",
    "MOTOR_THROW": "motor driver: throw, pull-down",
    "SDA": "clock chip (DS3231) SDA",
    "SCL": "clock chip SCL, pulled up",
    "LINE_RX": "RS-485 transceiver RO, or USB adapter TX",
    "LINE_TX": "RS-485 transceiver DI, or USB adapter RX",
    "LINE_DRIVE": "RS-485 transceiver DE and /RE, pull-down; open on USB",
}
_WROVER = "ESP32-WROVER-E module with 8 MB flash and PSRAM"
_RC522 = "RC522 module (MFRC522, 13.56 MHz, 3.3 V)"
_COUNTER = (
    "clerk's display 128 x 64 (ST7920, serial)",
    "pole display (CD5220 protocol, 9600 baud)",
    "serial keypad, 9600 baud",
    "green and red LED with resistors, sounder",
)
_SUPPLY = (
    "Li-ion cell of 1500 mAh or more with charger and protection",
    "adapter 5 V, switch of the case, resistors of the sense and battery dividers",
)
_LAN = "LAN8720 module with its own 50 MHz clock (RMII pins 0, 19, 21, 22, 25, 26, 27)"
_DOOR_PARTS = (
    "ESP32-WROOM-32E module, 4 MB flash or more",
    _RC522,
    "74HC165 with a pull-down on each input",
    "one-shot and relay for the magnet; fire loop, exit button and supply interrupt it themselves",
    "magnetic lock and its supply, without a buffer of its own",
    "green and red LED with resistors, sounder",
    "serial keypad where PINs are asked",
)
BOARD_LIST = (
    Board(
        "POS, attendance machine or self-service machine with a cable",
        ("esp32",),
        (_WROVER, _RC522, *_COUNTER, *_SUPPLY, _LAN),
        frozenset({"BACKLIGHT"}),
    ),
    Board(
        "POS or self-service machine with Wi-Fi and a code scanner",
        ("esp32", "esp32_codes"),
        (_WROVER, _RC522, *_COUNTER, *_SUPPLY, "GM65 or GM861 scanner, 9600 baud"),
        frozenset({"LAN_MDC", "LAN_MDIO"}),
    ),
    Board(
        "POS, attendance machine or self-service machine on RS-485 or USB",
        ("esp32", "esp32_serial"),
        (_WROVER, _RC522, *_COUNTER, *_SUPPLY, "RS-485 transceiver 3.3 V with fail-safe bias"),
        frozenset({"LAN_MDC", "LAN_MDIO"}),
    ),
    Board(
        "Library desk on a serial line (Wi-Fi)",
        ("esp32", "esp32_desk"),
        (_WROVER, _RC522, *_COUNTER, *_SUPPLY, "USB bridge to the PC, 9600 baud"),
        frozenset({"LAN_MDC", "LAN_MDIO"}),
    ),
    Board(
        "Library desk as a USB keyboard (Wi-Fi)",
        ("esp32s3_desk",),
        ("ESP32-S3-WROOM-1 module", _RC522, *_COUNTER, *_SUPPLY, "USB cable to the PC"),
    ),
    Board(
        "Door with a magnetic lock (cable)",
        ("esp32", "esp32_door"),
        (*_DOOR_PARTS, _LAN),
        frozenset({"DISPLAY_TX", "SENSE", "BATTERY", "BACKLIGHT"}),
    ),
    Board(
        "Door with a magnetic lock, Wi-Fi and a code scanner",
        ("esp32", "esp32_door", "esp32_door_codes", "esp32_codes"),
        (*_DOOR_PARTS, "GM65 or GM861 scanner, 9600 baud"),
        frozenset({"DISPLAY_TX", "SENSE", "BATTERY", "BACKLIGHT", "LAN_MDC", "LAN_MDIO"}),
    ),
    Board(
        "Lock on batteries",
        ("esp32", "esp32_serial", "esp32_lock"),
        (
            "ESP32-WROOM-32E module, 4 MB flash or more",
            _RC522,
            "DS3231 clock with a cell of its own",
            "four alkaline cells, linear regulator 3.3 V",
            "motor driver and bolt with two end contacts, each of which stops the motor itself",
            "touch sensor, contact of the key, inside handle, switch of the case",
            "green and red LED with resistors, sounder",
            "socket for the warden's handheld (serial line)",
        ),
        frozenset({"KEYPAD_RX", "DISPLAY_TX", "SENSE", "LAN_MDC", "LAN_MDIO", "BACKLIGHT"}),
    ),
)
_HEAD = """\
# Wiring and parts

Made by `python -m tools.make_docs`; a test fails when a pin here is not the pin in
`firmware/boards`, or a pin of the code is not here. GPIO numbers of the module, no pins of a
connector. 3.3 V everywhere: no pin of an ESP32 takes 5 V.

No board has been built: these are the pins that the code drives against models. Prices and dealers
are not here, for they would not stay true. Before power goes on: adapter unplugged, cell out, no
short from 3.3 V to ground.

How a wired board becomes a reader: [provisioning.md](provisioning.md). What to try then:
`onecard device doctor`.
"""


def pins(board: Board) -> dict[str, int]:
    """GPIO by name, for each pin that the board's code wires."""
    values: dict[str, int] = {}
    used: set[str] = set()
    for name in board.files:
        tree = tree_of(BOARDS / f"{name}.py")
        values |= dict(constants(tree))
        used |= wired(tree)
    return {name: values[name] for name in used & set(values) if name not in board.without}


def tree_of(path: Path) -> ast.Module:
    """The code of a board's file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def constants(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Whole numbers with a name of the module's own."""
    for node in tree.body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target, right = node.targets[0], node.value
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        given = right.elts if isinstance(right, ast.Tuple) else [right]
        for name, number in zip(names, given, strict=False):
            value = number.value if isinstance(number, ast.Constant) else None
            if isinstance(name, ast.Name) and type(value) is int and len(names) == len(given):
                yield name.id, value


def wired(tree: ast.Module) -> set[str]:
    """The names that stand in a Pin(), also by way of an argument's default or a table."""
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Pin":
            used |= _names(node.args[0])
        elif isinstance(node, ast.FunctionDef):
            used |= {name for one in node.args.defaults for name in _names(one)}
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_INPUTS":
            used |= _names(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            used |= {name for one in node.args for name in _names(one)}
    return {name for name in used if name in WORDS}


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def page() -> str:
    """docs/wiring.md."""
    parts = [_HEAD]
    for board in BOARD_LIST:
        files = ", ".join(f"`firmware/boards/{name}.py`" for name in board.files)
        parts += [f"## {board.title}\n", f"{files}\n", "| GPIO | name | what hangs on it |"]
        parts.append("| --- | --- | --- |")
        rows = sorted((gpio, name) for name, gpio in pins(board).items())
        parts += [f"| {gpio} | `{name}` | {WORDS[name]} |" for gpio, name in rows]
        parts += ["\nParts:\n", *(f"- {part}" for part in board.parts), ""]
    return "\n".join(parts)
