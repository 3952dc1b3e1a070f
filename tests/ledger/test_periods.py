"""Merchants' periods: every fen in one of them, approved by four in turn, paid once."""

import hashlib
import json
import random
from itertools import count

import pytest

from adapters.sqlite import open_database
from ledger import period_reasons, period_rules, periods, reasons
from ledger.acquirer import Said, Word
from ledger.bearers import Bearer
from ledger.certificates import release
from ledger.code_sales import Ask, CodePolicy
from ledger.dialect import ConstraintBroken, SqliteDialect
from ledger.invariants import check
from ledger.merchant_entries import days, months, trial_balance, untied
from ledger.period_reasons import PeriodRefused
from ledger.period_report import _LATE, _READERS, by_reader, commission, late_lines
from ledger.period_schema import JOURNALS
from ledger.periods import STEPS
from ledger.phones import Phones
from ledger.quiescence import Bar
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_PAYMENT, WECHAT
from tests.ledger import campus
from tests.ledger.checkout import PROOF
from tests.ledger.crashes import FaultyConnection, Stopped
from tests.ledger.months import (
    CLOSED_S,
    CLOSER,
    DAY_S,
    END_S,
    FROM_S,
    NEXT_END_S,
    OTHER_ACCOUNT,
    SIGNERS,
    Pos,
    approve,
    at,
    close,
    fill,
    month,
    pays_for_nobody,
    register,
)
from tests.ledger.readers import CANTEEN, CARD, KIOSK, Reader, lost, open_ledger
from tests.ledger.replaced import AFTER, DUE_S, NEW_CARD, replaced
from tests.ledger.tampering import in_its_words, tamper


def due(store, number, merchant_no=CANTEEN):
    (one,) = [one for one in store.periods.due(number) if one.merchant_no == merchant_no]
    return one


def held(store, merchant_no=CANTEEN):
    """(payable, on its way, commission) in fen; the books hold."""
    assert check(store) == []
    balances = store.balances()
    names = ("merchant", merchant_no), ("remittance", merchant_no), ("fees", 1)
    return tuple(balances.get(name, 0) for name in names)


def not_paid(store):
    """(what for, fen, whether there is an account to try) of what no bank has."""
    dues = store.periods.payments.unpaid()
    return [(one.purpose, one.amount_fen, one.account > 0) for one in dues]


def refused(reason, match=""):
    """A context in which something is refused by this number."""
    return pytest.raises(PeriodRefused, match=rf"{match}.*\({reason}, R7\.1\)")


# --- what is in it -----------------------------------------------------------------------------


def test_a_month_is_closed_approved_and_paid_once():
    store, *_ = month()
    store.periods.set_rate(CANTEEN, 60, "wang", FROM_S)
    period = close(store)
    assert held(store) == (900, 0, 0)  # nothing moves yet
    one = due(store, 1)
    assert (one.count, one.sales_fen, one.late_count) == (2, 900, 0)
    assert (one.commission_fen, one.due_fen) == (5, 895)  # 5.40 fen of commission
    approve(store, period)
    assert held(store) == (0, 895, 5)
    assert held(store, KIOSK) == (0, 500, 5)
    register(store)
    for _ in range(2):
        (payment,) = store.periods.payments.make_file("2026-09", "sun", CLOSED_S)
        assert (payment.owner, payment.amount_fen) == (CANTEEN, 895)
        assert store.periods.payments.make_file("again", "sun", CLOSED_S) == []
    for news in (1, 0):
        said = [(payment.number, "paid", "")]
        assert store.periods.payments.note_results(said, "sun", CLOSED_S) == news
        assert held(store) == (0, 0, 5)
    assert not_paid(store) == [("merchant 13 period 1", 500, False)]


def test_what_is_told_again_is_answered_the_same():
    """Whoever had no answer asks again: the period, an approval, the last one too."""
    store, *_ = month()
    first = close(store)
    assert close(store, now_s=CLOSED_S + 99) == first
    for step, person in SIGNERS.items():
        told = [
            store.periods.approve(1, step, first.sha256.hex(), person, CLOSED_S + n)
            for n in (1, 2)
        ]
        assert told[0] == told[1]
    assert held(store) == (0, 900, 0)
    assert close(store) == told[0]


def test_the_second_of_its_end_is_of_the_next_one():
    store, canteen, _kiosk = month()
    canteen.sell(70, END_S - 1)
    canteen.sell(7, END_S)
    store.book([canteen.records])
    close(store)
    assert due(store, 1).sales_fen == 970
    assert held(store) == (977, 0, 0)


class Meanwhile:
    """Something that others do between the cut of a period and its closing."""

    def __init__(self, patch, what):
        self._what, self._cut = what, periods.cut
        patch.setattr(periods, "cut", self)

    def __call__(self, *arguments):
        made = self._cut(*arguments)
        what, self._what = self._what, lambda: None
        what()
        return made


def test_what_is_booked_while_a_period_is_cut_is_the_next_one_s(tmp_path, monkeypatch):
    """Nobody waits for the cut: a second connection books late sales of that month meanwhile."""
    path = str(tmp_path / "cut.sqlite")
    store, canteen, _kiosk = month(path)
    other = LedgerStore.open(path)

    def book():
        canteen.sell(40, END_S - 5)
        other.book([canteen.records])
        other.periods.set_rate(CANTEEN, 60, "wang", FROM_S)

    Meanwhile(monkeypatch, book)
    period = close(store)
    assert due(store, 1).sales_fen == 900
    assert held(store) == (940, 0, 0)
    approve(store, period)
    canteen.inspect(NEXT_END_S)
    store.book([canteen.records])
    store.periods.decide(NEXT_END_S, [(1002, 0)], "zhou", "broken", NEXT_END_S)
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    one = due(store, 2)
    assert (one.sales_fen, one.late_count, one.rate_bp) == (40, 1, 60)
    other.close()


@pytest.mark.parametrize("is_same", [True, False])
def test_two_who_close_at_once_close_one_period(tmp_path, monkeypatch, is_same):
    path = str(tmp_path / "twice.sqlite")
    store, *_ = month(path)
    other = LedgerStore.open(path)
    closed = []
    who = CLOSER if is_same else "qian"
    Meanwhile(monkeypatch, lambda: closed.append(close(other, person=who)))
    if is_same:
        assert [close(store)] == closed
    else:
        with refused(period_reasons.WRONG_SPAN, "qian has closed one meanwhile"):
            close(store)
    assert store.periods.every() == closed
    assert held(store) == (900, 0, 0)
    other.close()


def line_by_line(store, number, from_s, until_s):
    """(by reader, what is late) of a period, from every line there is."""
    sql = (
        "SELECT merchant_no, device, seq, line, kind, amount_fen, time_s, period FROM period_line"
    )
    lines = [row[:-1] for row in store.database.rows(sql) if row[-1] == number]
    readers = {}
    for merchant_no, device, _seq, _line, _kind, fen, _time_s in lines:
        count, so_far_fen = readers.get((merchant_no, device), (0, 0))
        readers[merchant_no, device] = count + 1, so_far_fen + fen
    late = [
        (device, seq, line, merchant_no, *rest)
        for merchant_no, device, seq, line, *rest in sorted(
            lines, key=lambda row: (row[0], row[6])
        )
        if not from_s <= rest[-1] < until_s
    ]
    return [(*key, *sums) for key, sums in sorted(readers.items())], late


def test_a_periods_sums_are_those_of_its_lines():
    store, canteen, kiosk = month(is_there=False)
    store.periods.decide(END_S, [(1001, 0)], "zhou", "in repair", CLOSED_S)
    approve(store, close(store))
    for fen, time_s in ((40, END_S - 5), (60, END_S + 5), (70, END_S + 3650 * DAY_S)):
        canteen.sell(fen, time_s)
    for pos in canteen, kiosk:
        pos.inspect(NEXT_END_S)
    store.book([canteen.records, kiosk.records])
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    for number, span in ((1, (0, END_S)), (2, (END_S, NEXT_END_S))):
        readers, late = line_by_line(store, number, *span)
        assert by_reader(store.database, number) == readers
        assert late_lines(store.database, number, *span) == late
        assert len(late) == (0, 2)[number - 1] and readers


def test_no_line_of_a_period_is_looked_up_for_its_sums():
    database = SqliteDialect(open_database(":memory:", MIGRATIONS))
    for sql, parameters in ((_READERS, (1,)), (_LATE, (1, 0, END_S))):
        (how, *_rest) = database.rows(f"EXPLAIN QUERY PLAN {sql}", parameters)
        assert "USING COVERING INDEX period_line_of (period=?)" in how[-1], how


@pytest.mark.parametrize("has_mark", [False, True])
def test_what_comes_late_is_in_the_next_period_and_says_of_when_it_is(has_mark):
    """A reader that was closed over is honest; one that had a mark has a clock to look at."""
    store, canteen, kiosk = month()
    if not has_mark:
        store, canteen, kiosk = month(is_there=False)
        store.periods.decide(END_S, [(1001, 0)], "zhou", "in repair", CLOSED_S)
    approve(store, close(store))
    late = canteen.sell(40, END_S - 5)
    own = canteen.sell(60, END_S + 5)
    for pos in canteen, kiosk:
        pos.inspect(NEXT_END_S)
    store.book([canteen.records, kiosk.records])
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    one = due(store, 2)
    assert (one.sales_fen, one.late_fen, one.late_count, one.due_fen) == (100, 40, 1, 100)
    ((device, seq, *_rest, fen, time_s),) = late_lines(store.database, 2, END_S, NEXT_END_S)
    assert ((device, seq), fen, time_s) == (late, 40, END_S - 5)
    assert own != late
    assert store.cases() == [(reasons.TOLD_BEHIND_ITS_MARK, *late)] * has_mark
    assert held(store) == (100, 900, 0)


@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_of_a_time_to_come_is_paid_now_and_told(is_first):
    """A reader's clock was ten years ahead for one sale; the next one's is of the next month."""
    store, canteen, kiosk = month()
    if not is_first:
        close(store, "2026-08", FROM_S)
        approve(store, store.periods.period(1))
    number = 1 if is_first else 2
    canteen.sell(7, CLOSED_S + DAY_S)
    ahead_s = END_S + 3650 * DAY_S
    ahead = canteen.sell(70, ahead_s)
    store.book([canteen.records])
    approve(store, close(store))
    one = due(store, number)
    assert (one.sales_fen, one.late_fen, one.late_count, one.due_fen) == (970, 70, 1, 970)
    from_s = 0 if is_first else FROM_S
    ((device, seq, *_rest, fen, time_s),) = late_lines(store.database, number, from_s, END_S)
    assert ((device, seq), fen, time_s) == (ahead, 70, ahead_s)
    assert store.cases() == [(reasons.OF_A_TIME_TO_COME, *ahead)]
    assert list(untied(store.database, number, from_s, END_S)) == []
    assert held(store) == (7, 970, 0)
    kiosk.inspect(NEXT_END_S)
    store.book([kiosk.records])
    approve(store, close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S))
    assert (due(store, number + 1).due_fen, due(store, number + 1).late_fen) == (7, 0)
    assert list(untied(store.database, number + 1, END_S, NEXT_END_S)) == []
    assert held(store) == (0, 977, 0)
    line = f"UPDATE period_line SET time_s = {CLOSED_S} WHERE seq = {ahead[1]}"
    tamper(store, [line])
    rule = "a line is of before its period's end, or of a time to come when that was closed"
    assert rule in [violation.rule for violation in check(store)]


def test_a_correction_by_a_clock_that_was_ahead_is_paid_now():
    store, _pos = with_a_lost_record(END_S - 5)
    (case,) = store.corrections.cases()
    who = Bearer.HOLDER, "wang", "the till has its slip", END_S + 3650 * DAY_S
    proposal = store.corrections.propose(case, *who, amount_fen=60, whose=CARD)
    mark = store.corrections.mark(case, proposal)
    store.corrections.approve(proposal.number, mark, "li", who[-1])
    cases = store.cases()
    close(store)
    assert (due(store, 1).due_fen, due(store, 1).late_fen) == (60, 60)
    assert store.cases() == cases, "no reader's clock is to be looked at"
    assert held(store) == (60, 0, 0)


def test_a_cancelled_sale_counts_where_its_sale_does_and_takes_the_commission_back():
    store, canteen, kiosk = month()
    store.periods.set_rate(CANTEEN, 1_000, "wang", FROM_S)
    sale = canteen.sell(100, END_S + 1)
    other = canteen.sell(50, END_S + 2)
    canteen.cancel(sale, amount_fen=100)
    store.book([canteen.records])
    approve(store, close(store))
    canteen.cancel((1001, 1), amount_fen=600)  # of September, and settled
    canteen.cancel(other, amount_fen=50)
    for pos in canteen, kiosk:
        pos.inspect(NEXT_END_S)
    store.book([canteen.records, kiosk.records])
    approve(store, close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S))
    one = due(store, 2)
    assert (one.sales_fen, one.cancelled_fen, one.late_fen) == (150, 750, -600)
    assert (one.commission_fen, one.due_fen) == (-60, -540)
    # 900 were sold and 810 paid; 600 of them were given back: it owes 540, and 30 are earned.
    assert held(store) == (-540, 810, 30)
    canteen.sell(1_000, NEXT_END_S + 1)
    end_s = NEXT_END_S + 30 * DAY_S
    for pos in canteen, kiosk:
        pos.inspect(end_s)
    store.book([canteen.records, kiosk.records])
    approve(store, close(store, "2026-11", end_s, now_s=end_s))
    one = due(store, 3)
    assert (one.brought_fen, one.commission_fen, one.due_fen) == (-540, 100, 360)
    assert held(store) == (0, 1_170, 130)


def test_a_correction_is_no_turnover():
    nobody = Pos(1003, 99)
    nobody.sell(100, FROM_S)
    nobody.inspect(END_S)
    store = open_ledger(nobody)
    store.book([nobody.records])
    store.periods.set_rate(CANTEEN, 5_000, "wang", FROM_S)
    pays_for_nobody(store, END_S - 1)
    approve(store, close(store))
    one = due(store, 1)
    assert (one.sales_fen, one.other_fen, one.commission_fen, one.due_fen) == (0, 100, 0, 100)
    assert held(store) == (0, 100, 0)


def test_what_a_move_has_cost_is_taken_from_what_its_merchant_is_due():
    store = campus.campus()
    number = store.merchants.tickets.move("M-1", campus.TILL, "north", "wu", "rebuilt", FROM_S)
    for role, person in (("department", "zhao"), ("centre", "feng")):
        campus.say(store, number, "sign", role, person)
    costs = [("labour", 300), ("material", 50)]
    campus.say(store, number, "move", "centre", "chen", costs=costs)
    for name, until_s in (("before", campus.NOW_S), ("2026-09", END_S)):
        store.periods.decide(until_s, [(campus.TILL, 0)], "zhou", "broken", CLOSED_S)
        approve(store, close(store, name, until_s))
    rows = [(due(store, period).other_fen, due(store, period).due_fen) for period in (1, 2)]
    assert rows == [(0, 700), (-350, -350)]
    assert due(store, 2).late_count == 0
    assert held(store) == (-350, 700, 0)


def test_what_nobody_has_decided_is_told_and_comes_when_it_is():
    store, canteen, kiosk = month()
    torn = canteen.try_to_sell(80, END_S - 1)
    store.book([canteen.records])
    report = json.loads(approve(store, close(store)).report)
    assert report["undecided"] == [[CANTEEN, 1, 80]]
    canteen.outcome(torn)
    for pos in canteen, kiosk:
        pos.inspect(NEXT_END_S)
    store.book([canteen.records, kiosk.records])
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    assert (due(store, 2).late_fen, due(store, 2).late_count) == (80, 1)


def test_a_refused_report_pays_nothing_and_all_of_it_goes_on():
    store, canteen, kiosk = month()
    store.periods.set_rate(CANTEEN, 1_000, "wang", FROM_S)
    period = close(store)
    approve(store, period, ["audit", "head"])
    why = "it should be 1%"
    for _ in range(2):
        told = store.periods.refuse(1, "leader", period.sha256.hex(), "zhao", why, CLOSED_S)
        assert told.refusal == (3, "zhao", why, CLOSED_S)
    with refused(period_reasons.ENDED, "is refused"):
        approve(store, period, ["leader"])
    assert held(store) == (900, 0, 0)
    store.periods.set_rate(CANTEEN, 100, "wang", CLOSED_S)
    for pos in canteen, kiosk:
        pos.inspect(NEXT_END_S)
    store.book([canteen.records, kiosk.records])
    approve(store, close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S))
    one = due(store, 2)
    assert (one.sales_fen, one.brought_turnover_fen, one.commission_fen) == (0, 900, 9)
    assert held(store) == (0, 891, 9)


@pytest.mark.parametrize(
    ("turnover_fen", "rate_bp", "fen"),
    [
        (0, 60, 0),
        (83, 60, 0),
        (84, 60, 1),
        (25, 200, 1),
        (24, 200, 0),
        (10_000, 38, 38),
        (99_999_999_999, 10_000, 99_999_999_999),
        (1, 5_000, 1),
        (1, 4_999, 0),
    ],
)
def test_commission_is_rounded_half_up_and_given_back_alike(turnover_fen, rate_bp, fen):
    assert commission(turnover_fen, rate_bp) == fen
    assert commission(-turnover_fen, rate_bp) == -fen


# --- whether it may be closed ------------------------------------------------------------------


def test_a_silent_reader_bars_it_until_it_speaks_is_released_or_somebody_decides():
    for way in ("speaks", "released", "decided"):
        store, *_ = month()
        other = Pos(1003, CANTEEN)
        other.sell(55, END_S - 3)
        store.register_device(1003, other.key, CANTEEN)
        store.book([other.records])
        with refused(period_reasons.NOT_QUIET, r"barred by reader 1003 \(silent\)"):
            close(store)
        assert store.periods.every() == []
        if way == "speaks":
            other.inspect(END_S)
            store.book([other.records])
        elif way == "released":
            release(store.database, 1003, 0, CLOSED_S, "zhou", "scrapped")
        else:
            store.periods.decide(END_S, [(1003, 0)], "zhou", "in repair", CLOSED_S)
            with refused(period_reasons.SAME_PERSON, "another one closes it"):
                close(store, person="zhou")
        report = json.loads(close(store).report)
        said = [(one["device"], one["bar"], one["person"]) for one in report["open"]]
        assert said == ([(1003, "silent", "zhou")] if way == "decided" else [])
        assert [one["device"] for one in report["released"]] == [1003] * (way == "released")
        assert due(store, 1).sales_fen == 955
        assert check(store) == []


def test_only_what_bars_it_is_decided_and_a_decision_is_for_one_period():
    store, *_ = month()
    with refused(period_reasons.NOT_QUIET, "reader 1001 does not bar it"):
        store.periods.decide(END_S, [(1001, 0)], "zhou", "to be sure", CLOSED_S)
    with refused(period_reasons.NOT_QUIET, "say why"):
        store.periods.decide(END_S, [(1001, 0)], "zhou", "", CLOSED_S)
    approve(store, close(store))
    assert [one.device for one in store.periods.quiet(NEXT_END_S)[1]] == [1001, 1002]
    with refused(period_reasons.WRONG_SPAN, "in a closed period"):
        store.periods.decide(END_S, [(1001, 0)], "zhou", "behind its back", CLOSED_S)
    store.periods.decide(NEXT_END_S, [(1001, 0)], "zhou", "in repair", CLOSED_S)
    with refused(period_reasons.NOT_QUIET, "barred by reader 1002"):
        close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)


def test_a_lost_record_bars_one_period_and_not_every_later_one():
    one = Pos(1001)
    one.sell(60, FROM_S)
    store = open_ledger(one)
    one.inspect(END_S)
    word = lost(one.key, 1001, 2, one.records[2])
    store.book([[one.records[0], word, one.records[2]]])
    with refused(period_reasons.NOT_QUIET, r"record 1001/2 \(unreadable\)"):
        close(store)
    store.periods.decide(END_S, [(1001, 2)], "zhou", "the till shows no sale", CLOSED_S)
    approve(store, close(store))
    one.inspect(NEXT_END_S)
    store.book([one.records[3:]])
    assert store.periods.quiet(NEXT_END_S)[1] == []
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)


def with_a_lost_record(time_s):
    """(store, pos): 60 fen are sold then, whose OUTCOME is lost, and a mark at the month's end."""
    pos = Pos(1001)
    pos.inspect(min(time_s, END_S))
    pos.sell(60, time_s)
    pos.inspect(max(time_s, END_S))
    store = open_ledger(pos)
    word = lost(pos.key, 1001, 3, pos.records[3])
    store.book([[*pos.records[:2], word, pos.records[3]]])
    return store, pos


def test_a_lost_record_behind_a_mark_is_of_the_next_period():
    store, _pos = with_a_lost_record(END_S + 5)
    assert store.periods.quiet(END_S)[1] == []
    store, _pos = with_a_lost_record(END_S - 5)
    bars = [(one.bar, one.device, one.seq) for one in store.periods.quiet(END_S)[1]]
    assert bars == [(Bar.UNREADABLE, 1001, 3)]


def test_a_sale_that_is_found_bars_the_period_that_it_is_of():
    """At the very second of a period's end it is of the next one."""
    for time_s, bars in ((END_S - 1, [(Bar.NOT_BOOKED, 1001, 2)]), (END_S, [])):
        pos = Pos(1001)
        pos.inspect(time_s)
        pos.sell(60, time_s)
        pos.inspect(END_S)
        store = open_ledger(pos)
        word = lost(pos.key, 1001, 2, pos.records[2])
        store.book([[pos.records[0], word, *pos.records[2:]]])
        store.book([pos.records])
        found = [(one.bar, one.device, one.seq) for one in store.periods.quiet(END_S)[1]]
        assert found == bars


def test_what_two_persons_correct_bars_nothing_and_comes_to_its_merchant():
    store, _pos = with_a_lost_record(END_S - 5)
    (case,) = store.corrections.cases()
    who = Bearer.HOLDER, "wang", "the till has its slip", CLOSED_S
    proposal = store.corrections.propose(case, *who, amount_fen=60, whose=CARD)
    mark = store.corrections.mark(case, proposal)
    store.corrections.approve(proposal.number, mark, "li", CLOSED_S)
    assert store.periods.quiet(END_S)[1] == []
    close(store)
    assert due(store, 1).count == 0  # it was corrected after the month
    assert held(store) == (60, 0, 0)


def test_payments_by_code_count_when_they_were_asked_for_and_open_ones_are_told():
    pos = Pos(1001)
    store = open_ledger(pos)
    store.top_ups.top_up(CARD, 5_000, "a")
    phones = Phones(store.database, bytes(32), bytes)
    seed = phones.bind(CARD, PROOF, 1)[1]
    for seq, (fen, time_s) in enumerate(((100, END_S - 9), (20, END_S - 8), (3, END_S)), 1):
        code = virtual_code.make(seed, CAMPUS_PAYMENT, CARD, time_s, bytes((0, seq)))
        ask = Ask(1001, bytes(8), code, fen, seq)
        now_ms = time_s * 1000, time_s * 1000
        assert store.code_sales.ask(ask, phones.seed_of, now_ms, CodePolicy(200, 900)).reason == 0
    pos.code_sale(1, amount_fen=100)
    store.book([pos.records])
    store.periods.decide(END_S, [(1001, 0)], "zhou", "in repair", CLOSED_S)
    report = json.loads(approve(store, close(store)).report)
    assert (due(store, 1).sales_fen, due(store, 1).due_fen) == (100, 100)
    assert report["undecided"] == [[CANTEEN, 1, 20]]
    assert held(store) == (0, 100, 0)


def test_what_an_acquirer_takes_counts_so_too():
    pos = Pos(1001)
    store = open_ledger(pos)
    orders = store.acquirer_orders
    for seq, (fen, time_s) in enumerate(((100, END_S - 9), (20, END_S - 8), (3, END_S)), 1):
        ask = Ask(1001, bytes(8), bytes(38), fen, seq)
        order = orders.ask(ask, b"134567890123456789", WECHAT, time_s)
        orders.hear(order.number, Said(Word.RESERVED), time_s + 1)
    pos.code_sale(1, amount_fen=100)
    store.book([pos.records])
    store.periods.decide(END_S, [(1001, 0)], "zhou", "in repair", CLOSED_S)
    report = json.loads(approve(store, close(store)).report)
    assert (due(store, 1).sales_fen, due(store, 1).due_fen) == (100, 100)
    assert report["undecided"] == [[CANTEEN, 1, 20]]


def test_a_twin_bars_it_and_so_does_what_it_has_taken():
    store, canteen, _kiosk = month()
    twin = canteen.fork()
    canteen.boot()
    twin.spend(counter=9, last=(1001, 3), amount_fen=30, **at(END_S - 1))
    store.book([canteen.records, twin.records])
    bars = [(one.bar, one.device, one.seq) for one in store.periods.quiet(END_S)[1]]
    assert bars == [(Bar.FORKED, 1001, 0), (Bar.NOT_BOOKED, 1001, 6)]


def test_what_is_corrected_of_one_twin_lets_no_other_s_sale_go():
    store, canteen, _kiosk = month()
    twins = [canteen.fork() for _ in range(2)]
    canteen.boot()
    for fen, twin in zip((30, 40), twins, strict=True):
        twin.spend(counter=9, last=(1001, 3), amount_fen=fen, **at(END_S - 1))
    store.book([canteen.records, *(twin.records for twin in twins)])
    cases = [case for case in store.corrections.cases() if case.amount_fen in (30, 40)]
    for case, is_barred in zip(cases, (True, False), strict=True):
        proposal = store.corrections.propose(case, Bearer.DEVICE_OWNER, "wang", "seen", CLOSED_S)
        store.corrections.approve(
            proposal.number, store.corrections.mark(case, proposal), "li", CLOSED_S
        )
        bars = [one.bar for one in store.periods.quiet(END_S)[1]]
        assert bars == [Bar.FORKED, *[Bar.NOT_BOOKED] * is_barred]


def test_a_period_follows_the_one_before_and_is_over():
    store, *_ = month()
    for until_s, now_s in ((END_S, END_S - 1), (0, CLOSED_S)):
        with refused(period_reasons.WRONG_SPAN):
            close(store, until_s=until_s, now_s=now_s)
    close(store)
    with refused(period_reasons.NOT_ENDED):
        close(store, "2026-10", END_S + 1)
    for name, until_s in (("2026-09", END_S + 1), ("2026-10", END_S), ("2026-10", END_S - 9)):
        with refused(period_reasons.WRONG_SPAN):
            close(store, name, until_s)
    with refused(period_reasons.SAME_PERSON, "one word of a-z"):
        close(store, "2026-10", END_S + 1, person="老陈")


# --- who approves ------------------------------------------------------------------------------


def test_four_persons_in_their_order_and_none_who_closed_it():
    store, *_ = month()
    period = close(store)
    sha256, steps = period.sha256.hex(), list(STEPS)
    with refused(period_reasons.SAME_PERSON):
        store.periods.approve(1, "audit", sha256, CLOSER, CLOSED_S)
    for at_step, step in enumerate(steps):
        for wrong in steps[at_step + 1 :]:
            with refused(period_reasons.WRONG_STEP, f"the next step is {step}"):
                store.periods.approve(1, wrong, sha256, "wu", CLOSED_S)
        if at_step:
            with refused(period_reasons.SAME_PERSON):
                store.periods.approve(1, step, sha256, SIGNERS[steps[at_step - 1]], CLOSED_S)
        with refused(period_reasons.OTHER_REPORT):
            store.periods.approve(1, step, "0" * 64, SIGNERS[step], CLOSED_S)
        assert held(store) == (900, 0, 0)
        approve(store, period, [step])
    assert held(store) == (0, 900, 0)
    with refused(period_reasons.ENDED):
        store.periods.refuse(1, "centre", sha256, "wu", "too late", CLOSED_S)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE period_line SET amount_fen = amount_fen + 1 WHERE seq = 1 AND device = 1001",
        "UPDATE period_line SET merchant_no = 13 WHERE seq = 1 AND device = 1001",
        "UPDATE period_merchant SET due_fen = due_fen + 1, other_fen = 1 WHERE merchant_no = 12",
        "UPDATE settlement_period SET report = report || ' '",
        "DELETE FROM period_line WHERE device = 1002",
    ],
)
def test_nobody_approves_what_the_books_do_not_say(sql):
    store, *_ = month()
    period = close(store)
    tamper(store, [sql])
    assert store.periods.faults(1)
    assert check(store)
    with refused(period_reasons.OTHER_REPORT):
        approve(store, period, ["audit"])


def test_reports_are_a_chain_and_the_same_books_make_the_same_report():
    reports = []
    for _ in range(2):
        store, canteen, kiosk = month()
        approve(store, close(store))
        for pos in canteen, kiosk:
            pos.inspect(NEXT_END_S)
        store.book([canteen.records, kiosk.records])
        close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
        reports.append([period.report for period in store.periods.every()])
    assert reports[0] == reports[1]
    first, second = store.periods.every()
    assert json.loads(first.report)["previous"] == ""
    assert json.loads(second.report)["previous"] == first.sha256.hex()


# --- payment -----------------------------------------------------------------------------------


def test_what_failed_or_came_back_goes_to_another_account():
    store, *_ = month()
    approve(store, close(store))
    payments = store.periods.payments
    register(store)
    with refused(period_reasons.SAME_PERSON, "qian has registered"):
        payments.make_file("2026-09", "qian", CLOSED_S)
    payments.make_file("2026-09", "sun", CLOSED_S)
    assert payments.note_results([(1, "failed", "name differs")], "sun", CLOSED_S) == 1
    assert ("merchant 12 period 1", 900, False) in not_paid(store)
    assert payments.make_file("b", "sun", CLOSED_S) == []
    register(store, account_no=OTHER_ACCOUNT)
    (again,) = payments.make_file("b", "sun", CLOSED_S)
    assert (again.number, again.account_no) == (2, OTHER_ACCOUNT)
    for result in ("paid", "returned"):
        assert payments.note_results([(2, result, "")], "sun", CLOSED_S) == 1
        with refused(period_reasons.NOT_WITH_BANK):
            payments.note_results([(2, "failed", "")], "sun", CLOSED_S)
    assert held(store) == (0, 900, 0)
    assert ("merchant 12 period 1", 900, False) in not_paid(store)


def test_nothing_is_paid_before_the_fourth_approval():
    store, *_ = month()
    register(store)
    period = close(store)
    approve(store, period, ["audit", "head", "leader"])
    assert store.periods.payments.make_file("2026-09", "sun", CLOSED_S) == []
    with pytest.raises(ConstraintBroken), store.database.transaction():
        row = (1, due(store, 1).number, 1, "2026-09", "sun", CLOSED_S)
        store.database.many("INSERT INTO remittance_try VALUES (?, ?, ?, ?, ?, ?)", [row])


@pytest.mark.parametrize(
    ("account_no", "name"),
    [
        ("1234567", "a"),
        ("1" * 33, "a"),
        ("１２３４５６７８", "a"),
        ("12345678", ""),
        ("12345678", "=1+1"),
        ("12345678", "a\nb"),
    ],
)
def test_an_account_that_no_bank_has(account_no, name):
    store = open_ledger()
    with refused(period_reasons.NO_ACCOUNT) as found:
        store.periods.payments.register(CANTEEN, account_no, name, "qian", 1)
    assert account_no not in str(found.value)
    with refused(period_reasons.NO_ACCOUNT, "not registered"):
        store.periods.payments.register(99, "12345678", "a", "qian", 1)


# --- statements --------------------------------------------------------------------------------


def test_days_come_to_the_period_and_the_trial_balance_to_nothing():
    store, *_ = month()
    approve(store, close(store))
    found = days(store.database, FROM_S, END_S, 8 * 3600)
    first = (FROM_S + 8 * 3600) // DAY_S
    assert [(one.day - first, one.merchant_no, one.sales_fen) for one in found] == [
        (0, CANTEEN, 600),
        (1, KIOSK, 500),
        (29, CANTEEN, 300),
    ]
    balances = trial_balance(store.database)
    assert sum(one.debit_fen for one in balances) == sum(one.credit_fen for one in balances)
    kinds = {one.kind: one.credit_fen - one.debit_fen for one in balances}
    by_kind = dict.fromkeys(kinds, 0)
    for (kind, _owner), fen in store.balances().items():
        if kind in by_kind:
            by_kind[kind] += fen
        assert kind in by_kind or fen == 0
    assert kinds == by_kind


def test_a_month_says_where_it_is_settled_and_everything_ties():
    store, canteen, kiosk = month()
    approve(store, close(store))
    canteen.sell(40, END_S - 5)
    for pos in canteen, kiosk:
        pos.inspect(NEXT_END_S)
    store.book([canteen.records, kiosk.records])
    first, _kiosk = months(store.database, FROM_S, END_S)
    assert (first.fen, first.settled) == (940, ((0, 40), (1, 900)))
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    first, _kiosk = months(store.database, FROM_S, END_S)
    assert first.settled == ((1, 900), (2, 40))
    for number, span in ((1, (0, END_S)), (2, (END_S, NEXT_END_S))):
        assert list(untied(store.database, number, *span)) == []
    tamper(store, ["UPDATE intent SET earliest_s = 1793462400 WHERE device = 1001 AND seq = 1"])
    assert "merchant 12: what it is due is not of its records" in list(
        untied(store.database, 1, 0, END_S)
    )
    tamper(store, ["UPDATE account SET balance_fen = balance_fen + 1 WHERE kind = 2"])
    assert list(untied(store.database, 2, END_S, NEXT_END_S))[-1].startswith("merchant: its acc")


def test_what_no_record_dates_is_in_the_first_month_s_days_too():
    """A merchant that has borne a sale has it back when that is cancelled; nobody says when."""
    pos = Pos(1001)
    sale = pos.sell(900, AFTER["earliest_s"])
    store = replaced(pos)
    store.book([pos.records])
    (case,) = [one for one in store.corrections.cases() if one.reason == reasons.SPENT_WHILE_LOST]
    proposal = store.corrections.propose(case, Bearer.MERCHANT, "wang", "seen", DUE_S, whose=KIOSK)
    store.corrections.approve(proposal.number, store.corrections.mark(case, proposal), "li", DUE_S)
    pos.cancel(sale, amount_fen=900)
    pos.inspect(DUE_S + 9)
    store.book([pos.records])
    store.carry_overs.claim(NEW_CARD, DUE_S)
    close(store, until_s=DUE_S + 9)
    assert (due(store, 1, KIOSK).count, due(store, 1, KIOSK).other_fen) == (2, 0)
    assert list(untied(store.database, 1, 0, DUE_S + 9)) == []
    (undated,) = [one for one in days(store.database, 0, 9, 0) if one.merchant_no == KIOSK]
    assert (undated.day, undated.count, undated.other_fen) == (0, 1, 900)


# --- stopped anywhere, told in any order -------------------------------------------------------


def office(store):
    """Everything that an office does with a month, each step as often as it takes."""
    store.periods.set_rate(CANTEEN, 60, "wang", FROM_S)
    approve(store, close(store))
    register(store)
    for payment in store.periods.payments.make_file("2026-09", "sun", CLOSED_S):
        store.periods.payments.note_results([(payment.number, "paid", "")], "sun", CLOSED_S)


def test_stopped_at_any_statement_then_done_again():
    """Power is gone in the middle: each step happened or did not, and doing it again ends it."""
    reference, *_ = month()
    office(reference)
    balances = reference.balances()
    fresh = month()[0].database._connection
    for k in count(1):
        books = open_database(":memory:", [])
        fresh.backup(books)
        connection = FaultyConnection(books, k, Stopped())
        try:
            office(LedgerStore(SqliteDialect(connection)))
        except Stopped:
            assert not books.in_transaction
        store = LedgerStore(SqliteDialect(books))
        broken = check(store) if k % 8 == 0 else []
        office(store)
        broken += check(store) if k % 4 == 0 else []
        assert broken == [], k
        assert store.balances() == balances, k
        store.close()
        if not connection.has_fired:
            break
    assert k > 100


@pytest.mark.parametrize("seed", range(4))
def test_every_fen_is_in_one_period_however_it_is_told(seed):
    """Sales, some cancelled, over three months, in portions between the closes; ground truth."""
    draw = random.Random(seed)
    steps = [0, (0, 0)]
    readers = [Pos(1001, CANTEEN, steps), Pos(1002, KIOSK, steps), Pos(1003, CANTEEN, steps)]
    store = open_ledger(*readers)
    ends = [END_S, NEXT_END_S, NEXT_END_S + 30 * DAY_S]
    told = dict.fromkeys(readers, 0)
    truth = {CANTEEN: 0, KIOSK: 0}
    start_s = FROM_S
    for number, end_s in enumerate(ends, 1):
        for time_s in sorted(draw.randrange(start_s, end_s) for _ in range(12)):
            pos = draw.choice(readers)
            fen = draw.randrange(1, 90)
            sale = pos.sell(fen, time_s)
            truth[pos.merchant_no] += fen
            if draw.random() < 0.2:
                pos.cancel(sale, amount_fen=fen)
                truth[pos.merchant_no] -= fen
        start_s = end_s
        for pos in readers:
            pos.inspect(end_s)
            is_last = number == len(ends)
            told[pos] = len(pos.records) if is_last or draw.random() < 0.6 else told[pos]
            store.book([pos.records[: told[pos]]] * draw.randrange(1, 3))
        places = [(one.device, one.seq) for one in store.periods.quiet(end_s)[1]]
        store.periods.decide(end_s, places, "zhou", "away", end_s)
        period = close(store, f"period {number}", end_s, now_s=end_s)
        if draw.random() < 0.3 and number < len(ends):
            store.periods.refuse(number, "audit", period.sha256.hex(), "wang", "no", end_s)
        else:
            approve(store, period)
    assert check(store) == [], f"seed {seed}"
    for merchant_no, fen in truth.items():
        rows = [one for n in (1, 2, 3) for one in store.periods.due(n)]
        own = [one for one in rows if one.merchant_no == merchant_no]
        got = sum(one.sales_fen - one.cancelled_fen for one in own)
        assert got == fen, f"seed {seed}"
        balances = store.balances()
        names = ("merchant", merchant_no), ("remittance", merchant_no)
        assert sum(balances.get(name, 0) for name in names) == fen, f"seed {seed}"


# --- what the database itself keeps ------------------------------------------------------------


def filled():
    store = open_ledger()
    fill(store)
    return store


def test_every_table_has_something_and_the_books_hold():
    store = filled()
    for table in JOURNALS:
        assert list(store.database.rows(f"SELECT 1 FROM {table}")), table
    assert check(store) == []


@pytest.mark.parametrize("table", JOURNALS)
def test_journals_are_append_only(table):
    store = filled()
    for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET person = person"):
        if table in ("period_line", "period_merchant"):
            sql = sql.replace("person", "period")
        with pytest.raises(ConstraintBroken, match="append-only"), store.database.transaction():
            store.database.rows(sql.replace("period = period", "merchant_no = merchant_no"))


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO period_line VALUES (1, 12, 1701, 1, 9, 1, 5, 5)",
        "INSERT INTO period_line SELECT 3, merchant_no, device, seq, line, kind, 1, 1"
        " FROM period_line",
        "INSERT INTO period_merchant SELECT 99, 2, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0",
        "INSERT INTO period_merchant VALUES (99, 3, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)",
        "INSERT INTO settlement_period VALUES (3, 'x', 5, 9, 'a', 9, zeroblob(32), '')",
        "INSERT INTO settlement_period VALUES (4, 'x', 1793462400, 1793462401, 'a', 1793462401,"
        " zeroblob(32), '')",
        "INSERT INTO open_decision VALUES (1790784000, 1701, 1, 'silent', 'a', 'b', 1)",
        "INSERT INTO period_approval VALUES (1, 4, 'wu', 1)",
        "INSERT INTO period_approval VALUES (2, 1, 'wu', 1)",
        "INSERT INTO period_refusal VALUES (1, 4, 'wu', 'no', 1)",
        "INSERT INTO remittance_result VALUES (9, 1, '', 'a', 1)",
        "INSERT INTO remittance_try VALUES (9, 4, 1, 'f', 'a', 1)",
    ],
)
def test_the_database_refuses(sql):
    store = filled()
    before = store.dump()
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows(in_its_words(store, sql))
    assert store.dump() == before


TAMPERED = {
    "a line of a period is what a transfer gave its merchant": [
        "UPDATE period_line SET amount_fen = amount_fen + 1"
    ],
    "a line is of before its period's end, or of a time to come when that was closed": [
        "UPDATE period_line SET period = 7"
    ],
    "a period begins where the one before ends": [
        "UPDATE settlement_period SET from_s = from_s + 1 WHERE number = 2"
    ],
    "what a merchant is due follows from its sums": [
        "UPDATE period_merchant SET commission_fen = commission_fen + 1, due_fen = due_fen - 1"
    ],
    "what goes on to the next period is what the one before has not paid": [
        "UPDATE period_merchant SET brought_fen = 5, due_fen = due_fen + 5 WHERE period = 2"
    ],
    "a report is approved by four persons in turn, none of whom has closed it, or refused": [
        "UPDATE period_approval SET person = 'chen' WHERE step = 2"
    ],
    "an approved report moves its commission and what is due, and no other does": [
        "DELETE FROM period_approval WHERE step = 4"
    ],
    "nothing else moves as if a merchant were settled": [
        "UPDATE transfer SET line = 30 WHERE kind = 51"
    ],
    "a closed period is what its report says": ["UPDATE settlement_period SET report = '{}'"],
}


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = filled()
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


def test_a_report_that_says_nothing_is_named_whatever_its_hash_is():
    """Who can write in the books can make its hash too; they are looked at to their end."""
    store = filled()
    for report in "", "[]", "{}", '{"from_s":0}', "报告", "null":
        digest = hashlib.sha256(report.encode()).hexdigest()
        sql = f"UPDATE settlement_period SET report = '{report}', sha256 = x'{digest}'"
        tamper(store, [in_its_words(store, f"{sql} WHERE number = 1")])
        assert period_rules.AS_REPORTED in [violation.rule for violation in check(store)], report


def test_a_reader_that_is_no_pos_counts_too():
    """The register does not say what a reader sells: any of them may."""
    store, *_ = month()
    other = Reader(1009, CANTEEN)
    store.register_device(1009, other.key, CANTEEN)
    bars = [(one.bar, one.device) for one in store.periods.quiet(END_S)[1]]
    assert bars == [(Bar.NEVER_HEARD, 1009)]
