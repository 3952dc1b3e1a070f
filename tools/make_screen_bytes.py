"""Write protocols/rules/screen_bytes.py from screen_texts.py: `python -m tools.make_screen_bytes`.

A test fails when that file is not what this program writes.
"""

from protocols.rules import screen_texts, screens
from tools.rooms import ROOT

TARGET = ROOT / "protocols" / "rules" / "screen_bytes.py"
_ROW = 20
_HEAD = '''\
"""The texts of screen_texts.py as a display takes them: 16 cells of GB2312 for each.

POLE is for the customer's display: 20 columns for each, and for reasons what reasons.py says.

Made by `python -m tools.make_screen_bytes`. A language is one object, which stays in flash where
firmware is read from a ROM image; a table of texts would cost a reader an object for each.
"""

# For each text its number, two bytes.
'''


def source() -> str:
    """The whole file."""
    numbers, cells = screen_texts.tables()
    rows = [numbers[at : at + _ROW] for at in range(0, len(numbers), _ROW)]
    parts = [_HEAD, _constant("NUMBERS", rows)]
    tables = {name: (data, screen_texts.CELLS) for name, data in cells.items()}
    tables["POLE"] = (screen_texts.pole(), screens.COLUMNS)
    for name, (data, width) in tables.items():
        parts.append(_constant(name, [data[at : at + width] for at in range(0, len(data), width)]))
    return "".join(parts)


def _constant(name: str, rows: list[bytes]) -> str:
    return f"{name} = (\n" + "".join(f"    {_literal(row)}\n" for row in rows) + ")\n"


def _literal(row: bytes) -> str:
    """As ruff would have it; bytes that are no ASCII by their numbers."""
    body = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'\\"' else f"\\x{byte:02x}"
        for byte in row
    )
    return f'b"{body}"'


def main() -> None:
    """Write it."""
    TARGET.write_text(source(), encoding="ascii")
    print(TARGET.relative_to(ROOT))


if __name__ == "__main__":
    main()
