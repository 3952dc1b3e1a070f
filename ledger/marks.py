"""What waits under a number for somebody's word, and a mark over that.

Books that came back from a backup give a number a second time, to something else. So whoever signs
or declines by a number says back the mark of what they were shown under it.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from ledger import declines
from ledger.card_status import CardRefused
from ledger.holders import DAY_MAX
from ledger.proposals import CODE, TOPUP, Proposal
from ledger.store import LedgerStore

PAYMENT = "payment"  # by code, as `onecard ledger settle` calls it: settled or not
_MARK_CHARS = 8
_EPOCH = date(1970, 1, 1)


class NoSubject(Exception):
    """Neither a number nor a hash, where its kind takes one; nothing was looked for."""


class OtherMark(Exception):
    """Nobody was shown what waits under this number now; the text says what that is."""


def check(store: LedgerStore, kind: str, subject: str, mark: str) -> None:
    """NoSubject, or OtherMark where something waits under that number and has another mark."""
    told, wanted = shown(store, kind, subject)
    if wanted and mark != wanted:
        raise OtherMark(f"{kind} {subject}: {told}; if that is it, say its mark {wanted}")


def shown(store: LedgerStore, kind: str, subject: str) -> tuple[str, str]:
    """(what waits under that subject, its mark); ("", ""): nothing does, or it is a hash.

    The mark is over all of the text. Raises NoSubject.
    """
    facts = _FACTS[kind](store, number_of(subject)) if kind in _FACTS else ()
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


def _of_payment(store: LedgerStore, number: int) -> tuple[str, ...]:
    found = store.code_sales.payment(number)
    if found is None:
        return ()
    asked = f"asked {_time(found.asked_s)}"
    return f"record {found.device}/{found.seq}", f"{found.amount_fen} fen", asked


_FACTS: dict[str, Callable[[LedgerStore, int], tuple[str, ...]]] = {
    declines.OPERATOR: _of_operator,
    declines.CASE: _of_case,
    declines.TEMPORARY: _of_application,
    TOPUP: _of_top_up,
    CODE: _of_code,
    PAYMENT: _of_payment,
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


def number_of(subject: str) -> int:
    """Of a subject with or without a word before it. NoSubject."""
    word = subject.rpartition(" ")[2]
    if not (word.isascii() and word.isdigit() and len(word) < 16):
        raise NoSubject(f"not a number: {subject!r}")
    return int(word)
