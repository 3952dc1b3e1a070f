"""Prints a reader's journal, record by record: `onecard journal show FILE [--key FILE]`.

Without the device's key it can tell that sequences and sectors follow each other, not who wrote
them: only the key verifies the seals, and with them the chain from one record to the next. Numbers
of cards are masked, as ledger/privacy.py masks those of persons, unless they are asked for.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.privacy import masked
from protocols.rules.reason_texts import TEXTS as REASON_TEXTS
from protocols.wire import messages, seal
from protocols.wire.error_texts import TEXTS as ERROR_TEXTS
from protocols.wire.errors import WireError
from tools.journal.capture import load
from tools.journal.image import KEPT, RECORD, Entry, Image, NotAJournal, Sector, kept, read_image
from tools.journal.mend import mended
from tools.journal.verify import verify
from tools.journal.words import CARD_FIELDS, lines_of_finding, moment

PASSED, BROKEN, UNUSABLE = 0, 1, 2
OK, IS_BROKEN, UNCHECKED = "ok", "BROKEN", "-"
_HEAD = ("seq", "kind", "time (UTC)", "chain", "seal", "fields")
_ROW = "{:>10}  {:<9}  {:<26}  {:<6}  {:<6}  {}"
_IN_HEAD = ("kind", "device", "seq", "earliest_s", "latest_s")
_KINDS = {
    messages.BOOT: "boot",
    messages.INTENT: "intent",
    messages.OUTCOME: "outcome",
    messages.REFUSAL: "refusal",
    messages.POWER: "power",
    messages.FRONT_END: "front end",
    messages.INSPECTION: "inspected",
    messages.FAULT: "fault",
    messages.CREDIT: "credit",
    messages.CANCEL: "cancel",
    messages.CODE_SALE: "code sale",
    messages.CAPTURE: "capture",
    messages.ENTRY: "entry",
    messages.DOOR: "door",
    messages.PUNCH: "punch",
    messages.CARD_FOUND: "card found",
    messages.TAMPER: "tamper",
    messages.AGGREGATE: "by aggregate code",
}
_WORDS = {
    "result": {
        messages.COMMITTED: "committed",
        messages.NOT_COMMITTED: "not committed",
        messages.UNKNOWN: "unknown",
    },
    "reason": {number: texts[0] for number, texts in REASON_TEXTS.items()},
    "source": {messages.MAINS: "mains", messages.BATTERY: "battery"},
}


@dataclass(frozen=True)
class Line:
    """One entry as it is printed; `record` holds the fields of a record that can be read."""

    seq: int
    kind: str
    time: str
    chain: str
    seal: str
    fields: str
    record: dict[str, Any] | None = None


def show(path: Path, keys: Sequence[bytes] = (), *, masks: bool = True) -> int:
    """Print a journal; 0 all holds, 1 something is broken, 2 the input cannot be used."""
    try:
        capture = load(path)
        image = read_image(mended(capture.data)[0])
        verdict = verify(capture, keys)
    except (NotAJournal, OSError) as error:
        print(f"onecard: {path}: {error}", file=sys.stderr)
        return UNUSABLE
    lines = [line for sector in _linked(image, keys, masks) for line in sector]
    print(_ROW.format(*_HEAD))
    for line in lines:
        print(_ROW.format(line.seq, line.kind, line.time, line.chain, line.seal, line.fields))
    print()
    print("\n".join(_summary(image, lines, bool(keys))))
    for finding in verdict.breaks[:1]:
        print("\n".join(("", "the first broken link:", *lines_of_finding(capture, finding))))
    is_broken = any(IS_BROKEN in (line.chain, line.seal) for line in lines)
    return BROKEN if is_broken or verdict.breaks else PASSED


def lines_of(image: Image, key: bytes) -> list[Line]:
    """Every entry in the order it was written, unmasked; `key` checks its seal."""
    return [line for sector in _linked(image, (key,), False) for line in sector]


def lines_of_records(sector: Sector, key: bytes) -> list[Line]:
    """The same of records that are no image any more, from `first_seq` on behind `link`."""
    return _sector_lines(sector, True, (key,), False)[0]


def _linked(image: Image, keys: Sequence[bytes], masks: bool) -> Iterator[list[Line]]:
    """The lines of each sector; a sector's header says which record it goes on from."""
    last: tuple[int, bytes] | None = None
    for sector in image.sectors:
        follows = last is None or last == (sector.first_seq - 1, sector.link)
        lines, last = _sector_lines(sector, follows, keys, masks)
        yield lines


def _sector_lines(
    sector: Sector, follows: bool, keys: Sequence[bytes], masks: bool
) -> tuple[list[Line], tuple[int, bytes]]:
    """The lines, and sequence and tag of the last record."""
    last_seq, tag = sector.first_seq - 1, sector.link
    lines = []
    for entry in sector.entries:
        if entry.kind != RECORD:
            lines.append(_note_line(entry))
            continue
        follows = follows and entry.seq == last_seq + 1
        sealed = _seal_of(entry.data, tag, keys)
        lines.append(_record_line(entry.seq, entry.data, follows, sealed, masks))
        follows, last_seq, tag = True, entry.seq, entry.data[-seal.TAG_BYTES :]
    return lines, (last_seq, tag)


def _note_line(entry: Entry) -> Line:
    """A line without chain or seal: a receipt, or a value that the reader keeps for itself."""
    if entry.kind == KEPT:
        return Line(entry.seq, "kept", "", UNCHECKED, UNCHECKED, entry.data.hex() or "nothing")
    return Line(entry.seq, "receipted", "", UNCHECKED, UNCHECKED, "up to here")


def _seal_of(data: bytes, tag: bytes, keys: Sequence[bytes]) -> str:
    for key in keys:
        try:
            seal.unseal(key, data, tag)
        except WireError:
            continue
        return OK
    return IS_BROKEN if keys else UNCHECKED


def _record_line(seq: int, data: bytes, follows: bool, sealed: str, masks: bool) -> Line:
    try:
        fields = messages.decode_record(seal.payload_of(data))
    except WireError as error:
        what = f"{len(data)} bytes, no record: {ERROR_TEXTS[error.code]}"
        return Line(seq, "?", "", OK if follows else IS_BROKEN, IS_BROKEN, what)
    follows = follows and fields["seq"] == seq
    shown = [
        f"{name}={_worded(name, fields[name], masks)}" for name in fields if name not in _IN_HEAD
    ]
    return Line(
        seq,
        _KINDS[fields["kind"]],
        moment(fields["earliest_s"], fields["latest_s"]),
        OK if follows else IS_BROKEN,
        sealed,
        " ".join(shown),
        fields,
    )


def _worded(name: str, value: Any, masks: bool) -> str:
    if masks and name in CARD_FIELDS:
        return masked(str(value))
    word = _WORDS.get(name, {}).get(value)
    return str(value) if word is None else f'{value} "{word}"'


def _summary(image: Image, lines: list[Line], has_key: bool) -> Iterator[str]:
    records = [line for line in lines if line.kind not in ("receipted", "kept")]
    devices = sorted({line.record["device"] for line in records if line.record})
    booked = [sector.receipted for sector in image.sectors]
    booked += [line.seq for line in lines if line.kind == "receipted"]
    yield f"device     {', '.join(map(str, devices)) or 'nobody has written here'}"
    span = f", {records[0].seq} to {records[-1].seq}" if records else ""
    yield f"records    {len(records)}{span}, in {len(image.sectors)} of {image.count} sectors"
    yield f"receipted  up to {max(booked, default=0)}, as far as it is noted here"
    values = ", ".join(f"{key}={data.hex()}" for key, data in sorted(kept(image).items()))
    yield f"kept       {values or 'nothing'}"
    yield f"chain      {_verdict(line.chain for line in records)}"
    seals = _verdict(line.seal for line in records)
    yield f"seals      {seals if has_key else 'not checked: that takes --key'}"
    for torn in image.torn:
        healed = "healed" if torn.is_healed else "not healed yet"
        where = f"sector {torn.sector} at {torn.offset:#05x} (flash address {torn.address:#08x})"
        yield f"torn       {torn.what} in {where}: {torn.size_bytes} bytes, {healed}"
    if not image.torn:
        yield "torn       nothing"


def _verdict(found: Iterator[str]) -> str:
    broken = sum(state == IS_BROKEN for state in found)
    return f"{broken} BROKEN" if broken else "ok"
