"""What `onecard ledger batch` does: lists of cards (xlsx, CSV), and what becomes of their money.

The whole file is read before anything is done, and an error names its line, never a person or an
account. NotBooks, CardRefused, NotAllowed, StoreUnavailable, BadInput.
"""

import csv
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from adapters import spreadsheet
from adapters.spreadsheet import SpreadsheetRefused
from ledger import list_files
from ledger.batches import Finding, Line
from ledger.carry_over import AFTER_S
from ledger.list_files import BadList
from ledger.quiescence import TEXTS, Quiescence, RecordId
from ledger.settlement_basis import Decision
from ledger.store import LedgerStore
from protocols.rules.money import format_yuan
from tools.ledger_card import said_ahead
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput
from tools.session import signing, written

_HOUR_S = 3600
_SUM = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,2}))?")


def dry_run(path: Path, file: Path, kind: str) -> tuple[str, bool]:
    """What a list would do, and whether no line contradicts."""
    lines, sha256 = _read_list(file, kind)
    with opened(path) as store:
        plan = store.batches.dry_run(kind, lines, sha256)
        signed = store.batches.signatures(plan.sha256)
    said = [_told(finding) for finding in plan.findings]
    said += [f"card {card_no} ends with these and is not in the list" for card_no in plan.missing]
    good = sum(not finding.reason for finding in plan.findings)
    bad = len(plan.findings) - good
    said.append(f"{good} of {len(plan.findings)} lines would be done, {bad} contradict")
    if kind == "graduation":
        said.append(f"on these cards and waiting for them: {format_yuan(plan.amount_fen)} yuan")
    said.append(f"signed by: {', '.join(signed) or 'nobody'}")
    said.append(f"sha256 {plan.sha256.hex()}")
    return "\n".join(said), not bad


def sign(path: Path, file: Path, kind: str, sha256: str, by: str, now_s: int) -> str:
    """Put a name under a dry run."""
    lines, file_sha256 = _read_list(file, kind)
    with signing(path, by, now_s) as (store, who):
        what = kind, lines, file_sha256, hash_of(sha256)
        count = store.batches.sign(*what, who, now_s)
    return f"{count} of 2 signatures"


def run(path: Path, file: Path, kind: str, sha256: str, by: str, now_s: int) -> tuple[str, bool]:
    """Do what was signed, and whether no line was left."""
    lines, file_sha256 = _read_list(file, kind)
    with signing(path, by, now_s) as (store, who):
        what = kind, lines, file_sha256, hash_of(sha256)
        findings = store.batches.run(*what, who, now_s)
    left = [finding for finding in findings if finding.reason]
    said = [_told(finding) for finding in left]
    said.append(f"{len(findings) - len(left)} lines are done, {len(left)} are left")
    return "\n".join(said), not left


def settle(
    path: Path, after_h: int | None, decided: tuple[str, str, Sequence[str]], now_s: int
) -> tuple[str, bool]:
    """Move what is due, and whether nothing waits. `decided`: by whom, why, despite whom."""
    after_s = AFTER_S if after_h is None else after_h * _HOUR_S
    by, because, despite = decided
    places = frozenset(_place(text) for text in despite)
    if not any(decided):
        with written(path) as store:
            return _settle(store, after_s, None, now_s)
    with signing(path, by, now_s) as (store, who):
        return _settle(store, after_s, Decision(who, because, places), now_s)


def _settle(
    store: LedgerStore, after_s: int, decision: Decision | None, now_s: int
) -> tuple[str, bool]:
    settled = store.settlements.settle(now_s, after_s, decision)
    waiting = store.settlements.waiting(now_s, after_s)
    lines = said_ahead(store, now_s, after_s)
    lines += [
        f"card {one.card_no}: {format_yuan(one.amount_fen)} yuan are"
        f" {'forfeited' if one.is_forfeit else 'to be paid out'}"
        for one in settled
    ]
    lines += _barring(waiting)
    if not settled and not waiting:
        lines.append("nothing is due")
    return "\n".join(lines), not waiting


def _place(text: str) -> RecordId:
    device, _slash, seq = text.partition("/")
    if not all(part.isascii() and part.isdigit() for part in (device, seq or "0")):
        raise BadInput(f"--despite {text}: a reader is 1001, a record of it 1001/7")
    return int(device), int(seq or "0")


def _barring(waiting: Sequence[Quiescence]) -> Iterator[str]:
    """Who keeps money back, of how many cards, and what ends it."""
    found = Counter(one for card in waiting for one in card.blocking)
    for one, cards in sorted(found.items(), key=lambda item: (item[0].device, item[0].seq)):
        what, way_out = TEXTS[one.bar]
        where = f"record {one.device}/{one.seq}" if one.seq else f"reader {one.device}"
        yield f"{where} keeps back {cards} {'card' if cards == 1 else 'cards'}: {what}"
        yield f"  ends it: {way_out}"
    if waiting:
        yield f"{len(waiting)} cards wait for that, or for somebody who decides (--despite)"


def _read_list(file: Path, kind: str) -> tuple[Sequence[Line], bytes]:
    """Every line of a list, and the hash of its bytes; BadInput names the first wrong line."""
    try:
        return list_files.read(file.read_bytes(), kind)
    except BadList as error:
        raise BadInput(f"{file}: {error}") from None


def sum_of(text: str) -> int | None:
    """Fen of a sum in yuan, which may be more than any reader's key pad takes; None: no sum."""
    found = _SUM.fullmatch(text)
    return None if found is None else int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def list_rows(
    data: bytes, file: Path, columns: Mapping[str, str] | Sequence[str]
) -> list[spreadsheet.Line]:
    """(number, cells) of each line behind the header, whose names may be said in Chinese too."""
    names = columns if isinstance(columns, Mapping) else {name: name for name in columns}
    try:
        return spreadsheet.table(data, names)
    except SpreadsheetRefused as error:
        raise BadInput(f"{file}: {error}") from None


def csv_text(rows: Iterable[Sequence[object]]) -> bytes:
    """A CSV file as spreadsheets here read it."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def hash_of(text: str) -> bytes:
    try:
        sha256 = bytes.fromhex(text)
    except ValueError:
        sha256 = b""
    if len(sha256) != hashlib.sha256().digest_size:
        raise BadInput("--sha256 is 64 hexadecimal digits, as the dry run prints them")
    return sha256


def _told(finding: Finding) -> str:
    number = f" ({finding.reason})" if finding.reason else ""
    return f"line {finding.line}, card {finding.card_no}: {finding.text}{number}"


def write_private(out: Path, data: bytes) -> None:
    """All of a file that only its owner reads, or the one that was there."""
    beside = out.with_name(f".{out.name}.new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        beside.replace(out)
    except OSError as error:
        raise BadInput(f"{out}: {error.strerror}; again, it is the same file") from error
