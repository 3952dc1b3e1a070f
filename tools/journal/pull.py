"""`onecard journal pull`: takes a reader's journal, and never writes to the reader.

Three ways. From a live reader at its console: the program is interrupted, the sectors that are not
erased are read, and then all of them are looked at once more; what has changed meanwhile, because
the board started anew and its program went on, is read again until one look finds all as it was
read. From a chip whose program does not answer, by its ROM (esptool). From a dump of a chip.
"""

import hashlib
import re
import tempfile
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.device import ports, processes, provision
from tools.device.boards import BOARDS
from tools.device.errors import DeviceError
from tools.device.partition_table import TABLE_AT, TABLE_BYTES
from tools.journal.capture import Capture, dump_of
from tools.journal.image import SECTOR_BYTES, NotAJournal
from tools.journal.locate import BY_TABLE, Place, located, row_of
from tools.journal.part import Part
from tools.rooms import ROOT

ON_BOARD = ROOT / "firmware" / "boards" / "esp32_journal.py"
AT_ONCE = 32  # sectors of one call: 175 kB of base64, 15 s at 115,200 baud
_LOOKS_MAX = 6
_BAUD = "460800"
_MAC = re.compile(r"MAC:\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})", re.IGNORECASE)
_ERASED = b"\xff" * SECTOR_BYTES
Say = Callable[[str], None]


class NeverStill(Exception):
    """The journal has changed at every look: the reader goes on writing."""


def from_console(url: str, part: Path, by: Mapping[str, str], say: Say) -> Capture:
    """From a reader whose MicroPython answers. `part` keeps what was read if it breaks off.

    DeviceError, NeverStill, OtherReader, OSError.
    """
    begun_s = int(time.time())
    with ports.opened(url) as port:
        facts = provision.inspect(port)
        if "journal" not in facts["partitions"]:
            raise DeviceError(9, "no partition journal")
        start, size = facts["partitions"]["journal"]
        kept = Part(part, {"mac": facts["mac"], "start": start, "size": size})
        data, again = _read((port, facts["mac"]), kept, size // SECTOR_BYTES, say)
        processes.reset(port)
    source = _source("console", url, begun_s, by) | {"read_again": again}
    return Capture(data, Place(start, size, BY_TABLE), (), source, _reader(facts))


def from_rom(url: str, board: str, by: Mapping[str, str]) -> Capture:
    """From a chip whose program does not answer, by its ROM. DeviceError, OSError."""
    begun_s = int(time.time())
    kind = BOARDS[board]
    with ports.opened(url) as port, tempfile.TemporaryDirectory(prefix="onecard-pull-") as folder:
        file = Path(folder) / "flash.bin"
        said = processes.esptool(
            port, kind.chip, "read-flash", hex(TABLE_AT), hex(TABLE_BYTES), str(file)
        )
        row = row_of(file.read_bytes())
        how = BY_TABLE if row else f"no partition table; as {board}"
        row = row or next(one for one in kind.rows if one.label == "journal")
        words = ("--baud", _BAUD, "read-flash", hex(row.start), hex(row.size), str(file))
        processes.esptool(port, kind.chip, *words)
        data = file.read_bytes()
    mac = _MAC.search(said)
    reader = {"mac": mac[1].replace(":", "").lower()} if mac else {}
    place = Place(row.start, row.size, how)
    return Capture(data, place, (), _source("rom", url, begun_s, by), reader)


def from_dump(file: Path, start: int | None, size: int, by: Mapping[str, str]) -> Capture:
    """From what somebody has read off a chip. NotAJournal, OSError."""
    begun_s = int(time.time())
    dump = dump_of(file)
    found = located(dump, start, size)
    if not found.data or len(found.data) % SECTOR_BYTES:
        raise NotAJournal(f"{len(dump)} bytes are not whole sectors of {SECTOR_BYTES}: cut short?")
    source = _source("dump", str(file), begun_s, by)
    source |= {"dump_sha256": hashlib.sha256(dump).hexdigest(), "dump_bytes": len(dump)}
    return Capture(found.data, found.place, found.missing, source)


def _read(board: tuple[str, str], kept: Part, count: int, say: Say) -> tuple[bytes, int]:
    """The partition, and how many of its sectors were read more than once.

    `board`: its port, and its MAC: whatever else comes to that port is not read.
    """
    read: dict[int, int] = {}
    for _ in range(_LOOKS_MAX):
        digests = _call(board, "digests")
        if len(digests) != count:
            raise DeviceError(9, f"{len(digests)} sectors of {count}")
        lacking = [n for n, digest in enumerate(digests) if digest and not kept.has(n, digest)]
        if not lacking:
            sectors = (kept.sector(n) if digest else _ERASED for n, digest in enumerate(digests))
            return b"".join(sectors), sum(times > 1 for times in read.values())
        say(f"{len(lacking)} sectors to read, of {sum(map(bool, digests))} that are in use")
        for first in range(0, len(lacking), AT_ONCE):
            numbers = lacking[first : first + AT_ONCE]
            told = _call(board, "sectors", numbers)
            if len(told) != len(numbers):
                raise DeviceError(7, board[0])
            for number, text in zip(numbers, told, strict=True):
                kept.add(number, _sector(text))
                read[number] = read.get(number, 0) + 1
    raise NeverStill(f"{_LOOKS_MAX} looks, and it was another journal each time")


def _call(board: tuple[str, str], function: str, *arguments: Any) -> list[str]:
    port, mac = board
    return processes.call(port, function, *arguments, script=ON_BOARD, mac=mac)


def _sector(text: str) -> bytes:
    """What the line has spoilt is not noticed here, but at the next look."""
    try:
        data = b64decode(text)
    except (Base64Error, ValueError):
        data = b""
    return data[:SECTOR_BYTES].ljust(SECTOR_BYTES, b"\xff")


def _source(how: str, where: str, begun_s: int, by: Mapping[str, str]) -> dict[str, Any]:
    named = {name: text for name, text in by.items() if text}
    return {"how": how, "from": where, "begun_s": begun_s, "ended_s": int(time.time()), **named}


def _reader(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a board says of itself, as the manifest has it: no key is among it."""
    manifest = facts["manifest"] or {}
    return {
        "mac": facts["mac"],
        "micropython": ".".join(map(str, facts["version"])),
        "program": manifest.get("program"),
        "program_version": manifest.get("version"),
        "settings": facts["settings"],
    }
