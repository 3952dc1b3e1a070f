"""What is kept of persons, for how long, and what is blanked when that is over.

Rules of this file. Blanked is what no law, no money and no dispute needs any more; money that is
still somebody's keeps its person. What went is an act with its counts, in the transaction that
blanks it: all of it or nothing. What stands in journals stays, for the audit's files hang together
by them: there a person is a number, in applications for temporary cards and on the roster of
staff. The days are ours, for the regulation says nothing (docs/adr/0051-whose-word-it-is.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger import chart, names
from ledger.dialect import Dialect, Row
from ledger.payouts import Payouts
from ledger.person_numbers import GONE
from ledger.reissues import Reissues
from ledger.signatures import signed
from protocols.rules.card_status import CLOSED

_DAY_S = 86_400
_IS_CLOSED = f"""
EXISTS (SELECT 1 FROM card_change c WHERE c.card_no = {{card}} AND c.status = {CLOSED}
    AND c.time_s <= ? AND c.epoch = (SELECT MAX(epoch) FROM card_change WHERE card_no = {{card}}))
"""
_PAYEES = f"""
SELECT p.number, p.card_no FROM payee p WHERE p.account_no <> ''
AND {_IS_CLOSED.format(card="p.card_no")} AND NOT EXISTS (
    SELECT 1 FROM payout_try t LEFT JOIN payout_result r ON r.number = t.number
    WHERE t.payee = p.number AND r.number IS NULL) ORDER BY p.number"""
_MONEY = f"""
SELECT 1 FROM account WHERE owner = ? AND balance_fen <> 0
AND kind IN ({chart.HOLDER}, {chart.PENDING}, {chart.RESERVED}, {chart.PAYOUT})"""
_HOLDERS = f"""
SELECT h.number FROM holder h WHERE substr(h.person_no, 1, 1) <> '{GONE}'
AND EXISTS (SELECT 1 FROM holding WHERE holder = h.number)
AND NOT EXISTS (SELECT 1 FROM holding WHERE holder = h.number AND is_current = 1)
AND NOT EXISTS (SELECT 1 FROM holding g JOIN card_change c ON c.card_no = g.card_no
    WHERE g.holder = h.number AND c.time_s > ?) ORDER BY h.number"""
_CARDS = "SELECT card_no FROM holding WHERE holder = ? ORDER BY card_no"
# A seed ends with its card (ledger/card_status.py): these are of cards that ended before ADR 52.
_PHONES = f"""
SELECT p.card_no, p.binding FROM phone p WHERE length(p.sealed_seed) > 0
AND {_IS_CLOSED.format(card="p.card_no")} ORDER BY p.card_no"""
_SESSIONS = "SELECT token_hash FROM operator_session WHERE begun_s <= ? ORDER BY begun_s"
_BLANK_PAYEE = "UPDATE payee SET account_no = '', name = '' WHERE number = ?"
_BLANK_HOLDER = "UPDATE holder SET person_no = ? WHERE number = ?"
_BLANK_NUMBER = "UPDATE person_no SET person_no = ? WHERE card_no = ?"
_UNBIND = "UPDATE phone SET binding = ?, sealed_seed = ? WHERE card_no = ?"
_FORGET = "DELETE FROM operator_session WHERE token_hash = ?"


@dataclass(frozen=True, slots=True)
class Rule:
    """`what` is blanked `days` after `since`; `find` gives its keys, `blank` takes them."""

    what: str
    since: str
    days: int
    find: Callable[[Dialect, int], list[Row]]
    blank: Callable[[Dialect, list[Row]], None]


@dataclass(frozen=True, slots=True)
class Due:
    """How many of what is kept under the name of a rule are due."""

    name: str
    rule: Rule
    keys: list[Row]


def due(database: Dialect, now_s: int) -> list[Due]:
    """What would be blanked now; nothing is."""
    return [
        Due(name, rule, rule.find(database, now_s - rule.days * _DAY_S))
        for name, rule in RULES.items()
    ]


def run(database: Dialect, person: str, now_s: int) -> list[Due]:
    """Blank what is due; what was. Again: nothing is left. Raises NotAllowed."""
    with database.transaction():
        found = due(database, now_s)
        counts = ", ".join(f"{one.name} {len(one.keys)}" for one in found)
        signed(database, "retention.run", person, now_s, "what is over", counts)
        for one in found:
            one.rule.blank(database, one.keys)
    return found


# --- what is due ------------------------------------------------------------------------------


def _has_money(database: Dialect, card_no: int) -> bool:
    return bool(list(database.rows(_MONEY, (card_no,))))


def _payees(database: Dialect, before_s: int) -> list[Row]:
    """Accounts that nothing goes to any more: those of a card are for all that were before it."""
    reissues, rows = Reissues(database), list(database.rows(_PAYEES, (before_s,)))
    unpaid = {reissues.heir(one.owner) for one in Payouts(database).unpaid()} if rows else set()
    return [
        (number,)
        for number, card_no in rows
        if card_no not in unpaid
        and not _has_money(database, card_no)
        and not any(_has_money(database, old) for old, _lost_s in reissues.before(card_no))
    ]


def _holders(database: Dialect, before_s: int) -> list[Row]:
    found = []
    for (number,) in list(database.rows(_HOLDERS, (before_s,))):
        cards = [card_no for (card_no,) in database.rows(_CARDS, (number,))]
        if not any(_has_money(database, card_no) for card_no in cards):
            found.append((number, *cards))
    return found


def _rows(sql: str) -> Callable[[Dialect, int], list[Row]]:
    return lambda database, before_s: list(database.rows(sql, (before_s,)))


# --- how it goes ------------------------------------------------------------------------------


def _blank_holders(database: Dialect, keys: list[Row]) -> None:
    for number, *cards in keys:
        gone = f"{GONE}{number}"
        names.forget(database, [number])
        database.many(_BLANK_HOLDER, [(gone, number)])
        database.many(_BLANK_NUMBER, [(gone, card_no) for card_no in cards])


def _unbind(database: Dialect, keys: list[Row]) -> None:
    database.many(_UNBIND, [(binding + 1, b"", card_no) for card_no, binding in keys])


def _each(sql: str) -> Callable[[Dialect, list[Row]], None]:
    return lambda database, keys: database.many(sql, keys)


_END = "its card was closed"
RULES = {
    "payee": Rule("an account at a bank", _END, 180, _payees, _each(_BLANK_PAYEE)),
    "holder": Rule(
        "a personal number, and a name", "the last card ended", 1_096, _holders, _blank_holders
    ),
    "phone": Rule("the seed of a phone", _END, 30, _rows(_PHONES), _unbind),
    "session": Rule("a session of an operator", "it began", 90, _rows(_SESSIONS), _each(_FORGET)),
}
