"""Where a no goes, by its kind: one table for the console and the command line.

A subject is what the list of what waits calls it: a number, with a word before it or without, or
the hash of a list in hexadecimal. Books that came back from a backup give a number a second time,
so whoever says no to one says back the mark of what they were shown under it; a hash is its own.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from ledger import declines
from ledger.card_status import CardRefused
from ledger.declines import No
from ledger.holders import DAY_MAX
from ledger.money_lists import REFUND, SUBSIDY
from ledger.proposals import CODE, TOPUP, Proposal
from ledger.store import LedgerStore

SHA256_DIGITS = 64
_MARK_CHARS = 8
_EPOCH = date(1970, 1, 1)


class NoSubject(Exception):
    """Neither a number nor a hash, where its kind takes one; nothing was looked for."""


class OtherMark(Exception):
    """Nobody was shown what waits under this number now; the text says what that is."""


def _operator(store: LedgerStore, subject: str, no: No) -> None:
    store.operators.decline(_number(subject), no.because, no.person, no.time_s)


def _case(store: LedgerStore, subject: str, no: No) -> None:
    store.corrections.decline(_number(subject), no.because, no.person, no.time_s)


def _application(store: LedgerStore, subject: str, no: No) -> None:
    store.temporaries.decline(_number(subject), no.because, no.person, no.time_s)


def _top_up(store: LedgerStore, subject: str, no: No) -> None:
    store.top_ups.decline(_number(subject), no)


def _code(store: LedgerStore, subject: str, no: No) -> None:
    store.code_sales.decline(_number(subject), no)


def _batch(store: LedgerStore, subject: str, no: No) -> None:
    store.batches.decline(_hash(subject), no.because, no.person, no.time_s)


def _subsidy(store: LedgerStore, subject: str, no: No) -> None:
    store.subsidies.decline(_hash(subject), no)


def _refund(store: LedgerStore, subject: str, no: No) -> None:
    store.payouts.decline(_hash(subject), no)


_DO: dict[str, Callable[[LedgerStore, str, No], None]] = {
    declines.OPERATOR: _operator,
    declines.CASE: _case,
    declines.TEMPORARY: _application,
    declines.BATCH: _batch,
    SUBSIDY: _subsidy,
    REFUND: _refund,
    TOPUP: _top_up,
    CODE: _code,
}
KINDS = tuple(_DO)
VERBS = tuple(f"{kind}.decline" for kind in KINDS)


def decline(store: LedgerStore, kind: str, subject: str, no: No, mark: str) -> None:
    """Say no to what waits for the second signature under `mark`; one of KINDS.

    Raises NoSubject, OtherMark, NotAllowed, CardRefused, CorrectionRefused, StoreUnavailable.
    """
    told, wanted = shown(store, kind, subject)
    if wanted and mark != wanted:
        raise OtherMark(f"{kind} {subject}: {told}; if that is it, say its mark {wanted}")
    _DO[kind](store, subject, no)


def shown(store: LedgerStore, kind: str, subject: str) -> tuple[str, str]:
    """(what waits under that subject, its mark); ("", ""): nothing does, or it is a hash.

    The mark is over all of the text. Raises NoSubject.
    """
    facts = _FACTS[kind](store, _number(subject)) if kind in _FACTS else ()
    told = ", ".join(facts)
    mark = hashlib.sha256(f"{kind} {told}".encode()).hexdigest()[:_MARK_CHARS]
    return (told, mark) if facts else ("", "")


def _of_operator(store: LedgerStore, number: int) -> tuple[str, ...]:
    for one in store.operators.proposals():
        if one.number == number:
            what = f"{one.verb} {one.login}", one.department, " ".join(one.roles)
            return (*what, *_said(one.person, one.time_s))
    return ()


def _of_case(store: LedgerStore, number: int) -> tuple[str, ...]:
    found = store.corrections.waiting(number)
    if found is None:
        return ()
    case, one = found
    mark = store.corrections.mark(case, one)  # over the accounts, and what lies there, too
    what = (
        f"case {case.reason}/{case.device}/{case.seq}",
        f"{one.bearer} bears {one.amount_fen} fen",
    )
    return (*what, one.because, *_said(one.person, one.time_s), mark)


def _of_application(store: LedgerStore, number: int) -> tuple[str, ...]:
    try:
        form = store.temporaries.form(number)
    except CardRefused:
        return ()
    one = form.application  # whose it is stays out of what a terminal shows
    until = "no term" if one.valid_to == DAY_MAX else f"to {_day(one.valid_to)}"
    term = f"from {_day(one.valid_from)}", until
    return f"category {one.category}", one.department, *term, _time(form.applied_s)


def _of_top_up(store: LedgerStore, number: int) -> tuple[str, ...]:
    return _of_proposal(store.top_ups.waiting(), number)


def _of_code(store: LedgerStore, number: int) -> tuple[str, ...]:
    return _of_proposal(store.code_sales.waiting(), number)


_FACTS: dict[str, Callable[[LedgerStore, int], tuple[str, ...]]] = {
    declines.OPERATOR: _of_operator,
    declines.CASE: _of_case,
    declines.TEMPORARY: _of_application,
    TOPUP: _of_top_up,
    CODE: _of_code,
}


def _of_proposal(waiting: list[Proposal], number: int) -> tuple[str, ...]:
    for one in waiting:
        if one.number == number:
            return one.about, one.words, *_said(one.person, one.time_s)
    return ()


def _said(person: str, time_s: int) -> tuple[str, str]:
    return f"by {person}", _time(time_s)


def _day(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def _time(time_s: int) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _number(subject: str) -> int:
    word = subject.rpartition(" ")[2]
    if not (word.isascii() and word.isdigit() and len(word) < 16):
        raise NoSubject(f"not a number: {subject!r}")
    return int(word)


def _hash(subject: str) -> bytes:
    try:
        found = bytes.fromhex(subject)
    except ValueError:
        found = b""
    if len(subject) != SHA256_DIGITS or len(found) * 2 != SHA256_DIGITS:
        raise NoSubject("not the hash of a list: 64 hexadecimal digits")
    return found
