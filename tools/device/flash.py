"""MicroPython and our partition table on a chip, by esptool; the journal is not touched.

The base image is the user's: MicroPython for this chip, from whoever builds it, as one file that
begins at the bootloader. Its partition table is replaced by ours within it, its program's rows
stay. Cut at any point, the chip starts nothing, or the old or the new program; flash it again.
"""

import tempfile
from pathlib import Path

from tools.device import processes
from tools.device.boards import CHIPS, BoardKind
from tools.device.errors import DeviceError
from tools.device.partition_table import (
    APP,
    TABLE_AT,
    TABLE_BYTES,
    BadTable,
    Row,
    decode,
    encode,
)

_IMAGE_MAGIC, _CHIP_AT = 0xE9, 12
_KEPT = ("nvs", "otadata", "phy_init")
_BAUD = "460800"


class BadImage(Exception):
    """The file is no base image for this board; the text says why."""


def merged(base: bytes, board: BoardKind) -> bytes:
    """The base image with our partition table in it. BadImage."""
    if not base or base[0] != _IMAGE_MAGIC:
        raise BadImage("does not begin with a bootloader: is it the whole image for this chip?")
    chip = CHIPS.get(int.from_bytes(base[_CHIP_AT : _CHIP_AT + 2], "little"))
    if chip != board.chip:
        raise BadImage(f"is for {chip or 'another chip'}, and this board is an {board.chip}")
    if board.base_at + len(base) > board.ours_at:
        raise BadImage(f"ends behind 0x{board.ours_at:x}, where its file system begins")
    at = TABLE_AT - board.base_at
    try:
        theirs = decode(base[at : at + TABLE_BYTES])
        kept = [row for row in theirs if row.type == APP or row.label in _KEPT]
        table = encode([*kept, *board.rows], board.flash_bytes)
    except BadTable as error:
        raise BadImage(str(error)) from None
    app = next((row for row in kept if row.type == APP), None)
    if app is None or base[app.start - board.base_at : app.start - board.base_at + 1] != b"\xe9":
        raise BadImage("has no program where its partition table says")
    return base[:at] + table + base[at + TABLE_BYTES :]


def flash(port: str, board: BoardKind, base: Path, *, lose_journal: bool, mac: str = "") -> str:
    """Write it, and compare; the board's MAC. BadImage, DeviceError, OSError.

    Refused where the chip has a journal in another place: its records would be lost. The port is
    opened twice: it is the same board, and that of `mac` where it is known, or nothing is written.
    """
    image = merged(base.read_bytes(), board)
    with tempfile.TemporaryDirectory(prefix="onecard-flash-") as folder:
        found = Path(folder) / "table.bin"
        where = (hex(TABLE_AT), hex(TABLE_BYTES))
        mac = processes.esptool(port, board.chip, "read-flash", *where, str(found), mac=mac)
        _check_journal(found.read_bytes(), board, lose_journal)
        file = Path(folder) / "image.bin"
        file.write_bytes(image)
        words = ["--baud", _BAUD, "write-flash", hex(board.base_at), str(file)]
        return processes.esptool(port, board.chip, *words, mac=mac)


def _check_journal(table: bytes, board: BoardKind, lose_journal: bool) -> None:
    try:
        now = _journal(decode(table))
    except BadTable:
        return  # a bare chip, or somebody else's
    if now and now != _journal(list(board.rows)) and not lose_journal:
        raise DeviceError(10, f"a journal at 0x{now.start:x}, where this kind has none")


def _journal(rows: list[Row]) -> Row | None:
    return next((row for row in rows if row.label == "journal"), None)
