"""Where a no goes, by its kind: one table for the console and the command line.

A subject is what the list of what waits calls it: a number, with a word before it or without, or
the hash of a list in hexadecimal.
"""

from collections.abc import Callable

from ledger import declines
from ledger.declines import No
from ledger.money_lists import REFUND, SUBSIDY
from ledger.proposals import CODE, TOPUP
from ledger.store import LedgerStore

SHA256_DIGITS = 64


class NoSubject(Exception):
    """Neither a number nor a hash, where its kind takes one; nothing was looked for."""


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


def decline(store: LedgerStore, kind: str, subject: str, no: No) -> None:
    """Say no to what waits for the second signature; one of KINDS.

    Raises NoSubject, NotAllowed, CardRefused, CorrectionRefused, StoreUnavailable.
    """
    _DO[kind](store, subject, no)


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
