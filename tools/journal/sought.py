"""What is to be followed: a record, a card with its counter, or a transfer; and where it is."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.chart import LEDGER_DEVICE
from ledger.dialect import Dialect
from protocols.wire import messages, seal
from protocols.wire.errors import WireError
from tools.journal.capture import load
from tools.journal.image import RECORD, SECTOR_BYTES, NotAJournal, read_image
from tools.journal.mend import mended

_NUMBER_MAX = 0xFFFFFFFF  # of readers and of records
_NUMBER = re.compile(r"[0-9]{1,10}")
_OF_CARD = "SELECT device, seq FROM intent WHERE card_no = ? AND counter = ? ORDER BY device, seq"


class BadSearch(Exception):
    """What is asked for cannot be followed; the text says why."""


@dataclass(frozen=True)
class Held:
    """A record in a journal that was taken: its sealed bytes, its fields, and where it stands.

    `other`: a journal given before, which has another record of that number.
    """

    sealed: bytes
    fields: dict[str, Any]
    file: Path
    address: int
    other: Path | None = None


Journals = dict[tuple[int, int], Held]


def journals(files: Sequence[Path]) -> Journals:
    """Every record of these journals that can be read, by (device, seq). NotAJournal, OSError."""
    found: Journals = {}
    for path in files:
        try:
            capture = load(path)
            image = read_image(mended(capture.data)[0])
        except NotAJournal as error:
            raise NotAJournal(f"{path}: {error}") from None
        for sector in image.sectors:
            for entry in sector.entries:
                if entry.kind != RECORD:
                    continue
                try:
                    fields = messages.decode_record(seal.payload_of(entry.data))
                except WireError:
                    continue
                address = capture.address(sector.number * SECTOR_BYTES + entry.offset)
                record = fields["device"], fields["seq"]
                before = found.get(record)
                other = None
                if before is not None:
                    other = before.other if before.sealed == entry.data else before.file
                found[record] = Held(entry.data, fields, path, address, other)
    return found


def record_of(text: str, parts: int = 2) -> tuple[int, int]:
    """(device, seq) of "1001/17", or with three parts of a transfer "1001/17/0". BadSearch."""
    words = text.split("/")
    if len(words) != parts or not all(_NUMBER.fullmatch(word) for word in words):
        form = "READER/RECORD, as 1001/17" if parts == 2 else "as 1001/17/0"
        raise BadSearch(f"{text}: {form} is needed")
    device, seq = int(words[0]), int(words[1])
    if max(device, seq) > _NUMBER_MAX:
        raise BadSearch(f"{text}: no reader and no record has such a number")
    if device == LEDGER_DEVICE:
        raise BadSearch(f"{text}: the ledger's own transfer; no tap has begun it")
    return device, seq


def of_card(
    card_no: int, counter: int, books: Dialect | None, held: Journals
) -> list[tuple[int, int]]:
    """The spends of a card at that counter: one, or several of a card that was copied."""
    found = (
        set() if books is None else {(d, s) for d, s in books.rows(_OF_CARD, (card_no, counter))}
    )
    for record, one in held.items():
        fields = one.fields
        if fields["kind"] == messages.INTENT and fields["card_no"] == card_no:
            if fields["counter"] == counter:
                found.add(record)
    return sorted(found)


@contextmanager
def agent_opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The records of an agent, for reading only. BadSearch if the file is not that."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as agent:
            agent.execute("SELECT device, stored FROM device LIMIT 1")
            yield agent
    except sqlite3.Error as error:
        raise BadSearch(f"{path}: no database of an agent's records: {error}") from error
