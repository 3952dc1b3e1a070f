"""What `onecard ledger batch` does: lists of cards (xlsx, CSV), and files to and from the bank.

The whole file is read before anything is done, and an error names its line, never a person or an
account. NotBooks, CardRefused, StoreUnavailable, BadInput.
"""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from adapters import spreadsheet
from adapters.spreadsheet import SpreadsheetRefused
from ledger.batches import Finding, GraduationLine, IssueLine, Line
from ledger.card_status import CardRefused
from ledger.carry_over import AFTER_S
from ledger.holders import KINDS, Holder, check, is_person_no
from ledger.settlements import RESULTS, check_account
from protocols.rules.money import format_yuan
from protocols.rules.spending import TEMPORARY
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput, day_of
from tools.session import signing, written

_HOUR_S = 3600
_DIGITS_MAX = 10
COLUMNS = {
    "issue": {
        "card_no": "卡号",
        "person_no": "学工号",
        "kind": "类别",
        "department": "部门",
        "valid_from": "起始日",
        "valid_to": "截止日",
    },
    "graduation": {
        "card_no": "卡号",
        "person_no": "学工号",
        "account_no": "银行账号",
        "name": "户名",
    },
}
_RESULT_COLUMNS = {"payment": "付款号", "result": "结果", "because": "原因"}
_PAYMENT_COLUMNS = ["payment", "account_no", "name", "amount", "purpose"]


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
        what = kind, lines, file_sha256, _hash_of(sha256)
        count = store.batches.sign(*what, who, now_s)
    return f"{count} of 2 signatures"


def run(path: Path, file: Path, kind: str, sha256: str, by: str, now_s: int) -> tuple[str, bool]:
    """Do what was signed, and whether no line was left."""
    lines, file_sha256 = _read_list(file, kind)
    with signing(path, by, now_s) as (store, who):
        what = kind, lines, file_sha256, _hash_of(sha256)
        findings = store.batches.run(*what, who, now_s)
    left = [finding for finding in findings if finding.reason]
    said = [_told(finding) for finding in left]
    said.append(f"{len(findings) - len(left)} lines are done, {len(left)} are left")
    return "\n".join(said), not left


def settle(path: Path, after_h: int | None, now_s: int) -> str:
    """Move what is due."""
    after_s = AFTER_S if after_h is None else after_h * _HOUR_S
    with written(path) as store:
        settled = store.settlements.settle(now_s, after_s)
    lines = [
        f"card {one.card_no}: {format_yuan(one.amount_fen)} yuan are"
        f" {'forfeited' if one.is_forfeit else 'to be paid out'}"
        for one in settled
    ]
    return "\n".join(lines or ["nothing is due"])


def refunds(path: Path, name: str, out: Path, by: str, now_s: int) -> str:
    """Write the payments of a file. The books have them first: stopped before, write it again."""
    with signing(path, by, now_s) as (store, who):
        payments = store.settlements.make_file(name, who, now_s)
    rows = [
        (one.number, one.account_no, one.name, format_yuan(one.amount_fen), f"card {one.card_no}")
        for one in payments
    ]
    write_private(out, csv_text([_PAYMENT_COLUMNS, *rows]))
    total_fen = sum(payment.amount_fen for payment in payments)
    return f"{len(payments)} payments, {format_yuan(total_fen)} yuan, are in {out}"


def results(path: Path, file: Path, by: str, now_s: int) -> str:
    """Note what the bank says."""
    found = []
    for number, row in list_rows(file.read_bytes(), file, _RESULT_COLUMNS):
        payment, result, because = row
        if not _is_number(payment) or result not in RESULTS:
            raise BadInput(f"{file}: line {number} is not a payment, and {' or '.join(RESULTS)}")
        found.append((int(payment), result, because))
    with signing(path, by, now_s) as (store, who):
        news = store.settlements.note_results(found, who, now_s)
    return f"{len(found)} payments, {news} of them news"


def unpaid(path: Path) -> tuple[str, bool]:
    """Refunds that no bank has, cards of staff nobody has warned; whether there is none."""
    with opened(path) as store:
        lines = [
            f"card {card_no}: {format_yuan(fen)} yuan, {'goes' if known else 'no account'}"
            f"{' with the next file' if known else ' that was not tried'}"
            for _number, card_no, fen, known in store.settlements.unpaid()
        ]
        lines += [
            f"card {card_no}: its holder left and was not told before; nothing is forfeited"
            for card_no in store.settlements.unwarned()
        ]
    return "\n".join(lines or ["everything is paid"]), not lines


def _read_list(file: Path, kind: str) -> tuple[Sequence[Line], bytes]:
    """Every line of a list, and the hash of its bytes; BadInput names the first wrong line."""
    data = file.read_bytes()
    lines = []
    for number, row in list_rows(data, file, COLUMNS[kind]):
        try:
            lines.append(_READ[kind](number, row))
        except (BadInput, CardRefused, KeyError, ValueError) as error:
            because = "" if isinstance(error, (KeyError, ValueError)) else f": {error}"
            raise BadInput(f"{file}: line {number} cannot be{because}") from None
    if not lines:
        raise BadInput(f"{file}: no lines")
    return lines, hashlib.sha256(data).digest()


def _issue_line(number: int, row: Sequence[str]) -> Line:
    card_no, person_no, kind, department, first, last = row
    if KINDS[kind] == TEMPORARY:
        raise BadInput("a temporary card takes an application (annex 1)")
    holder, days = Holder(person_no, KINDS[kind], department), (day_of(first), day_of(last))
    check(holder, days)
    return IssueLine(number, _number(card_no), holder, days)


def _number(text: str) -> int:
    if not _is_number(text):
        raise BadInput(f"a card's number is 1 to {_DIGITS_MAX} digits")
    return int(text)


def _is_number(text: str) -> bool:
    """Not all that int() takes: signs, blanks, digits of other scripts, more than books hold."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX


def _graduation_line(number: int, row: Sequence[str]) -> Line:
    card_no, person_no, account_no, name = row
    if not is_person_no(person_no):
        raise BadInput("no number of a person")
    check_account(account_no, name)
    return GraduationLine(number, _number(card_no), person_no, account_no, name)


_READ: dict[str, Callable[[int, Sequence[str]], Line]] = {
    "issue": _issue_line,
    "graduation": _graduation_line,
}


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


def _hash_of(text: str) -> bytes:
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
