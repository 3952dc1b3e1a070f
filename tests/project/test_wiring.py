"""docs/wiring.md and docs/SPEC.md: what they say of pins and bytes is what the code does."""

import json
import re

import cbor2
import pytest

from tools import wire_page, wiring
from tools.wiring import BOARD_LIST, BOARDS, WORDS, constants, pins, tree_of, wired

# Of a classic ESP32: its own flash, and what cannot drive anything.
FLASH, INPUTS_ONLY = range(6, 12), range(34, 40)
DRIVEN = {
    *("SCK", "MOSI", "CS", "RFID_RESET", "DISPLAY_TX", "LED_GREEN", "LED_RED", "BEEPER"),
    *("BACKLIGHT", "LOAD", "CLOCK", "PULSES", "MOTOR_DRAW", "MOTOR_THROW", "LINE_TX"),
    *("LINE_DRIVE", "SCANNER_TX", "DESK_TX", "LAN_MDC", "SDA", "SCL"),
}
FILES = sorted(path.stem for path in BOARDS.glob("*.py"))


def rows(page, title):
    """{name: GPIO} of a board's table in the page."""
    (part,) = [part for part in page.split("\n## ") if part.startswith(title + "\n")]
    found = re.findall(r"^\| (\d+) \| `(\w+)` \|", part, re.MULTILINE)
    return {name: int(gpio) for gpio, name in found}


@pytest.mark.parametrize("board", BOARD_LIST, ids=lambda board: board.files[-1])
def test_a_board_s_pins_are_those_of_its_code(repo_root, board):
    page = (repo_root / "docs" / "wiring.md").read_text(encoding="utf-8")
    shown = rows(page, board.title)
    values = {}
    for name in board.files:
        values |= dict(constants(tree_of(BOARDS / f"{name}.py")))
    assert shown and {name: values[name] for name in shown} == shown
    assert len(set(shown.values())) == len(shown), "two things on one pin"
    if board.files[0] == "esp32":
        assert not set(shown.values()) & set(FLASH)
        assert not [name for name in shown if name in DRIVEN and shown[name] in INPUTS_ONLY]


@pytest.mark.parametrize("file", FILES)
def test_every_pin_of_the_code_is_in_the_page(file):
    """Of each Pin() in firmware/boards: it has a name, the name has words, a board has it."""
    text = (BOARDS / f"{file}.py").read_text(encoding="utf-8")
    assert re.findall(r"\bPin\(\d", text) == []
    named = set(re.findall(r"\bPin\(([A-Z_0-9]+)", text))
    assert named <= set(WORDS)
    somewhere = set().union(*(pins(board) for board in BOARD_LIST if file in board.files))
    assert {name for name in named if name not in somewhere} == set()


def test_no_word_is_of_no_pin():
    used = set().union(*(pins(board) for board in BOARD_LIST))
    assert set(WORDS) == used


def test_a_pin_that_moves_is_noticed(tmp_path, monkeypatch):
    for path in BOARDS.glob("*.py"):
        text = path.read_text(encoding="utf-8").replace(
            "KEYPAD_RX, DISPLAY_TX = 34", "KEYPAD_RX, DISPLAY_TX = 36"
        )
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(wiring, "BOARDS", tmp_path)
    moved = pins(BOARD_LIST[0])
    assert moved["KEYPAD_RX"] == moved["SENSE"] == 36
    assert wired(tree_of(tmp_path / "esp32.py")) >= {"KEYPAD_RX", "LED_RED", "CS"}


# --- SPEC.md ------------------------------------------------------------------------------------


def test_keys_in_the_page_are_keys_on_the_wire(repo_root):
    """By another library: the examples of every record have the keys that the page gives them."""
    page = (repo_root / "docs" / "SPEC.md").read_text(encoding="utf-8")
    field = re.compile(r"^- (\d+) `(\w+)`", re.MULTILINE)
    before, _, behind = page.partition("\n## Records")
    part, head = behind.partition("\n## ")[0], field.findall(before)
    bodies = re.findall(r"### (\d+) \w+\n(.*?)(?=\n### |\Z)", part, re.DOTALL)
    keys = {
        int(number): {int(key): name for key, name in [*head, *field.findall(body)]}
        for number, body in bodies
    }
    groups = json.loads((repo_root / "protocols/vectors/records.json").read_text())["groups"]
    items = [one for group in groups if group["decode"] == "record" for one in group["items"]]
    seen = set()
    for one in (each for each in items if each["result"] == "valid"):
        values = cbor2.loads(bytes.fromhex(one["hex"]))
        names = {keys[values[0]][key]: value for key, value in values.items()}
        assert set(names) == set(one["value"]), one["id"]
        numbers = {name: value for name, value in one["value"].items() if isinstance(value, int)}
        assert {name: names[name] for name in numbers} == numbers
        seen.add(values[0])
    assert seen == set(keys)


def test_a_kind_without_a_name_is_an_error():
    from protocols.wire import messages

    with pytest.raises(ValueError, match="names and shapes differ"):
        wire_page.names_of(messages, messages._RECORDS, ["BOOT"])
