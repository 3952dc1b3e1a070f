"""Where a no goes, by its kind: one table for the console and the command line.

A subject is what the list of what waits calls it: a number, with a word before it or without, or
the hash of a list in hexadecimal. A number is said with its mark (ledger/marks.py), a hash is its
own.
"""

from collections.abc import Callable

from ledger import declines
from ledger.declines import No
from ledger.marks import NoSubject, check, number_of
from ledger.money_lists import REFUND, SUBSIDY
from ledger.proposals import CODE, TOPUP
from ledger.store import LedgerStore

SHA256_DIGITS = 64


def _operator(store: LedgerStore, subject: str, no: No) -> None:
    store.operators.decline(number_of(subject), no.because, no.person, no.time_s)


def _case(store: LedgerStore, subject: str, no: No) -> None:
    store.corrections.decline(number_of(subject), no.because, no.person, no.time_s)


def _application(store: LedgerStore, subject: str, no: No) -> None:
    store.temporaries.decline(number_of(subject), no.because, no.person, no.time_s)


def _top_up(store: LedgerStore, subject: str, no: No) -> None:
    store.top_ups.decline(number_of(subject), no)


def _code(store: LedgerStore, subject: str, no: No) -> None:
    store.code_sales.decline(number_of(subject), no)


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
    check(store, kind, subject, mark)
    _DO[kind](store, subject, no)


def _hash(subject: str) -> bytes:
    try:
        found = bytes.fromhex(subject)
    except ValueError:
        found = b""
    if len(subject) != SHA256_DIGITS or len(found) * 2 != SHA256_DIGITS:
        raise NoSubject("not the hash of a list: 64 hexadecimal digits")
    return found
