"""Lists of cards as they come in files (xlsx, CSV), for ledger/batches.py.

The whole file is read before anything is done, and an error names its line, never a person or an
account.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date

from adapters import spreadsheet
from adapters.spreadsheet import SpreadsheetRefused
from ledger.batches import GraduationLine, IssueLine, Line
from ledger.card_status import CardRefused
from ledger.holders import DAY_MAX, KINDS, Holder, check, is_person_no
from ledger.payouts import check_account
from protocols.rules.spending import TEMPORARY

ISSUE, GRADUATION = "issue", "graduation"
COLUMNS = {
    ISSUE: {
        "card_no": "卡号",
        "person_no": "学工号",
        "kind": "类别",
        "department": "部门",
        "valid_from": "起始日",
        "valid_to": "截止日",
    },
    GRADUATION: {
        "card_no": "卡号",
        "person_no": "学工号",
        "account_no": "银行账号",
        "name": "户名",
    },
}
_DIGITS_MAX = 10
_EPOCH = date(1970, 1, 1)


class BadList(Exception):
    """A file that is no such list; the text says where, and names nobody."""


def read(data: bytes, kind: str) -> tuple[Sequence[Line], bytes]:
    """Every line of a list of a kind, and the hash of its bytes. Raises BadList."""
    try:
        rows = spreadsheet.table(data, COLUMNS[kind])
    except SpreadsheetRefused as error:
        raise BadList(str(error)) from None
    lines = []
    for number, row in rows:
        try:
            lines.append(_READ[kind](number, row))
        except (BadList, CardRefused, KeyError, ValueError) as error:
            because = "" if isinstance(error, (KeyError, ValueError)) else f": {error}"
            raise BadList(f"line {number} cannot be{because}") from None
    if not lines:
        raise BadList("no lines")
    return lines, hashlib.sha256(data).digest()


def is_number(text: str) -> bool:
    """Not all that int() takes: signs, blanks, digits of other scripts, more than books hold."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX


def _issue_line(number: int, row: Sequence[str]) -> Line:
    card_no, person_no, kind, department, first, last = row
    if KINDS[kind] == TEMPORARY:
        raise BadList("a temporary card takes an application (annex 1)")
    holder, days = Holder(person_no, KINDS[kind], department), (_day(first), _day(last))
    check(holder, days)
    return IssueLine(number, _number(card_no), holder, days)


def _graduation_line(number: int, row: Sequence[str]) -> Line:
    card_no, person_no, account_no, name = row
    if not is_person_no(person_no):
        raise BadList("no number of a person")
    check_account(account_no, name)
    return GraduationLine(number, _number(card_no), person_no, account_no, name)


def _number(text: str) -> int:
    if not is_number(text):
        raise BadList(f"a card's number is 1 to {_DIGITS_MAX} digits")
    return int(text)


def _day(text: str) -> int:
    try:
        days = (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        raise BadList("a day is a date such as 2026-09-01") from None
    if not 0 <= days <= DAY_MAX:
        raise BadList("a day is between 1970 and 2149")
    return days


_READ: dict[str, Callable[[int, Sequence[str]], Line]] = {
    ISSUE: _issue_line,
    GRADUATION: _graduation_line,
}
