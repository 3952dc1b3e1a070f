"""A payment by a platform's code is the merchant's or its payer's, once, whatever goes wrong."""

import itertools
import random
import sqlite3
from contextlib import closing
from datetime import date

import pytest

from adapters.sqlite import open_database
from ledger import acquirer_rules
from ledger import reasons as ledger_reasons
from ledger.acquirer import CASES, NEXT, Said, StatementLine, Verb, Word, follow
from ledger.acquirer_desk import BALANCE_NOT_TOLD
from ledger.acquirer_match import Fault, Stated, judge
from ledger.acquirer_statements import MISSING_MAX
from ledger.chart import ACQUIRED
from ledger.code_sales import SettleRefused
from ledger.invariants import check
from ledger.reservations import Settled
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from protocols.rules import reasons
from protocols.wire.messages import NOT_COMMITTED
from simulator.acquirer.faults import FAULTS
from tests.ledger.acquiring import (
    ALIPAY,
    DAY,
    OFFSET_S,
    OLD,
    POOR,
    SLOW,
    UNIONPAY,
    WECHAT,
    Acquiring,
)
from tests.ledger.checkout import Checkout
from tests.ledger.readers import CANTEEN, Reader, lost
from tests.ledger.tampering import in_its_words, tamper

FEN = 100


@pytest.fixture
def reader():
    return Reader(1001)


def cases(counter):
    return [reason for reason, _device, _seq in counter.store.cases()]


def sell(counter, reader, answer):
    """What the reader writes behind its question."""
    if answer is None or answer["reason"]:
        reader.code_sale(0, result=NOT_COMMITTED)
    else:
        reader.code_sale(answer["number"])


# --- as it should be --------------------------------------------------------------------------


@pytest.mark.parametrize("code", [WECHAT, ALIPAY, UNIONPAY])
def test_it_is_asked_and_sold_and_confirmed(reader, code):
    counter = Acquiring(reader)
    answer = counter.heard(reader, counter.asked(reader, code=code))
    assert answer == {"reason": 0, "number": 1, "balance_fen": BALANCE_NOT_TOLD}
    assert counter.store.takings(CANTEEN) == 0, "nothing is the merchant's before the record"
    sell(counter, reader, answer)
    assert counter.agrees(reader) == (FEN, FEN)
    assert set(counter.payments.states().values()) == {"confirmed"}
    assert counter.said == ["reserve", "confirm"]
    assert counter.store.balances()["acquirer", 0] == -FEN
    assert cases(counter) == []


@pytest.mark.parametrize("code", [WECHAT, ALIPAY, UNIONPAY])
def test_without_an_acquirer_it_is_refused_by_its_name(reader, code):
    checkout = Checkout(reader)
    said = checkout.ask(reader, code=code.ljust(38, b"\0"))
    shown = {WECHAT: reasons.CODE_OF_WECHAT, ALIPAY: reasons.CODE_OF_ALIPAY}
    assert said["reason"] == shown.get(code, reasons.CODE_OF_UNIONPAY)
    assert list(checkout.store.database.rows("SELECT 1 FROM acquirer_order")) == []


@pytest.mark.parametrize(
    ("code", "reason"), [(POOR, reasons.BALANCE_SHORT), (OLD, reasons.CODE_EXPIRED)]
)
def test_a_refusal_is_told_and_kept(reader, code, reason):
    counter = Acquiring(reader)
    asked = counter.asked(reader, code=code)
    answer = counter.heard(reader, asked)
    assert answer == {"reason": reason, "number": 0, "balance_fen": 0}
    counter.boot()
    assert counter.say(reader, asked) is not None
    sell(counter, reader, answer)
    assert counter.agrees(reader) == (0, 0)
    assert counter.said == ["reserve"], "nothing is left to be told"


def test_a_payer_who_confirms_on_the_phone_is_waited_for(reader):
    counter = Acquiring(reader)
    answer = counter.heard(reader, counter.asked(reader, code=SLOW))
    assert answer["reason"] == reasons.APPROVED
    assert counter.said == ["reserve", "query"]
    sell(counter, reader, answer)
    assert counter.agrees(reader) == (FEN, FEN)


def test_a_code_that_has_paid_pays_no_second_time(reader):
    counter = Acquiring(reader)
    sell(counter, reader, counter.heard(reader, counter.asked(reader)))
    answer = counter.heard(reader, counter.asked(reader))
    assert answer["reason"] == reasons.CODE_USED
    sell(counter, reader, answer)
    assert counter.agrees(reader) == (FEN, FEN)


def test_no_code_stands_in_the_books(reader, tmp_path):
    counter = Acquiring(reader, path=str(tmp_path / "ledger.sqlite"))
    counter.heard(reader, counter.asked(reader))
    counter.store.close()
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"1001-1-" in data
    assert WECHAT not in data


# --- power, silence, twice, late, forged ------------------------------------------------------

RECORDS = {
    "as it was told": lambda reader: None,
    "power was cut": lambda reader: reader.boot(),
    "called off": lambda reader: reader.code_sale(1, result=NOT_COMMITTED),
}


@pytest.mark.parametrize("then", RECORDS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", ["reserve", "query", "confirm", "void"])
def test_once_whatever_goes_wrong_with_one_request(reader, verb, fault, then):
    """A query only comes where a reserve before had no answer."""
    plan = {"reserve": ["silent"], "query": [fault]} if verb == "query" else {verb: [fault]}
    counter = Acquiring(reader, plan=plan)
    answer = counter.heard(reader, counter.asked(reader))
    RECORDS[then](reader)
    if not reader.records:
        sell(counter, reader, answer)
    is_sold = then == "as it was told" and answer is not None
    assert counter.agrees(reader) == ((FEN, FEN) if is_sold else (0, 0))
    assert cases(counter) == []


def test_once_whatever_goes_wrong():
    """Faults on half of all requests, cuts, restarts of the ledger, records that come late."""
    shown = 0
    for seed in range(25):
        draw, reader = random.Random(seed), Reader(1001)
        counter = Acquiring(reader, seed=seed)
        sold = 0
        for turn in range(6):
            code = b"13%016d" % (seed * 1_000_000 + turn * 1_000 + draw.choice((2, 10)))
            answer = counter.heard(reader, counter.asked(reader, code=code))
            end = draw.choice(("told", "told", "cut", "off"))
            if end == "told":
                sell(counter, reader, answer)
                sold += answer is not None and not answer["reason"]
            else:
                reader.boot() if end == "cut" else reader.code_sale(0, result=NOT_COMMITTED)
            if draw.random() < 0.5:
                counter.store.book([reader.records])
            counter.run(count=draw.randrange(3))
        assert counter.agrees(reader) == (sold * FEN, sold * FEN), f"seed {seed}"
        assert cases(counter) == [], f"seed {seed}"
        shown += sold
    print(f"seeds 0 to 24: {shown} of 150 sold")
    assert 20 < shown < 130, "both ends are met"


def test_a_time_out_that_was_paid_all_the_same_is_given_back(reader):
    """The acquirer has taken it, its answer came to nobody: the reader gave up after 5 s."""
    plan = {"reserve": ["silent"] * 9, "query": ["silent"] * 9}
    counter = Acquiring(reader, plan=plan)
    assert counter.heard(reader, counter.asked(reader)) is None
    assert sum(counter.payments.charged().values()) == FEN
    reader.code_sale(0, result=NOT_COMMITTED)
    assert counter.agrees(reader) == (0, 0)
    assert set(counter.payments.states().values()) == {"void"}


def test_a_request_that_arrives_behind_the_void_takes_nothing(reader):
    counter = Acquiring(reader, plan={"reserve": ["late"], "query": ["lost"] * 9})
    counter.heard(reader, counter.asked(reader), patience=1)
    reader.boot()
    counter.book(reader)
    counter.run(count=3)
    counter.line.deliver_late()
    assert counter.agrees(reader) == (0, 0)


def test_whatever_an_answer_is_the_ledger_goes_on(reader):
    """Of an order and of a statement: what breaks its reader, and what no client foresaw."""
    broken = [{"state": []}, {"state": {}, "lines": 5}, TypeError("not foreseen"), []]
    counter = Acquiring(reader)
    asked, call = counter.asked(reader), counter.way.call

    def spoilt(method, path, said=None):
        if not broken:
            return call(method, path, said)
        answer = broken.pop()
        if isinstance(answer, Exception):
            raise answer
        return 200, {"order_no": path.split("/")[2], **answer} if answer else answer

    counter.way.call = spoilt
    assert counter.heard(reader, asked, patience=9)["reason"] == reasons.APPROVED
    assert counter.acquirer.counters["unanswered"] == 4
    sell(counter, reader, {"reason": 0, "number": 1})
    assert counter.agrees(reader) == (FEN, FEN)
    broken += [{"lines": [["\ud800", 1]], "day": counter.today()}, TypeError("not foreseen"), []]
    counter.now_ms += 30 * 3_600_000
    counter.run(count=5, ms=300_000)
    assert counter.acquirer.counters["unanswered"] == 7
    assert counter.acquirer.counters["statements"] == 1
    assert counter.store.balances()["acquirer", 0] == 0


def test_an_answer_that_comes_when_the_record_has_said_no_sells_nothing(reader):
    counter = Acquiring(reader)
    asked = counter.asked(reader)
    assert counter.say(reader, asked) is None
    reader.code_sale(0, result=NOT_COMMITTED)
    counter.book(reader)  # the call is under way
    counter.run()
    assert counter.say(reader, asked)["reason"] == reasons.ASK_LEDGER
    assert counter.agrees(reader) == (0, 0)


def test_a_ledger_that_is_restarted_between_question_and_answer(reader, tmp_path):
    counter = Acquiring(reader, path=str(tmp_path / "ledger.sqlite"))
    asked = counter.asked(reader)
    assert counter.say(reader, asked) is None
    counter.pool.run()  # the acquirer has it, and the ledger does not hear of it
    counter.boot()
    answer = counter.heard(reader, asked)
    assert (answer["reason"], answer["number"]) == (reasons.APPROVED, 1)
    counter.boot()
    assert counter.say(reader, asked) == answer
    sell(counter, reader, answer)
    counter.book(reader)
    counter.boot()
    assert counter.agrees(reader) == (FEN, FEN)


def test_a_ledger_that_cannot_write_asks_nothing_twice(reader, tmp_path):
    path = tmp_path / "ledger.sqlite"
    counter = Acquiring(reader, path=str(path))
    asked = counter.asked(reader)
    assert counter.say(reader, asked) is None
    counter.store.database.rows("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    counter.run(count=3)
    assert counter.acquirer.counters["store_unavailable"] >= 1
    other.rollback()
    other.close()
    answer = counter.heard(reader, asked)
    assert answer["reason"] == reasons.APPROVED
    assert counter.said == ["reserve"], "its answer was kept until it could be written"
    sell(counter, reader, answer)
    assert counter.agrees(reader) == (FEN, FEN)


# --- who lies, and what only a person can say -------------------------------------------------


def test_another_question_at_the_same_place_is_none(reader):
    counter = Acquiring(reader)
    first = counter.asked(reader)
    assert counter.heard(reader, first)["reason"] == reasons.APPROVED
    for change in ({"nonce": b"another "}, {"amount_fen": 99}, {"code": ALIPAY.ljust(38, b"\0")}):
        assert counter.say(reader, {**first, **change})["reason"] == reasons.ASK_LEDGER
    campus = Checkout.asked(counter, reader, code=counter.code(), seq=1)
    assert counter.say(reader, campus)["reason"] == reasons.ASK_LEDGER
    assert counter.money() == (5_000, 0)


def test_numbers_of_both_kinds_of_payment_are_of_one_row(reader):
    counter = Acquiring(reader)
    for number in (1, 2, 3, 4):
        fields = {"code": counter.code()} if number % 2 else {}
        asked = (Checkout.asked if number % 2 else Acquiring.asked)(counter, reader, **fields)
        if not number % 2:
            asked["code"] = (WECHAT[:-1] + b"%d" % number).ljust(38, b"\0")
        answer = counter.heard(reader, asked)
        assert answer["number"] == number
        sell(counter, reader, answer)
    assert counter.agrees(reader) == (4 * FEN, 2 * FEN)


def test_a_reader_that_says_paid_unheard_makes_no_money(reader):
    counter = Acquiring(reader, plan={"reserve": ["lost"], "query": ["lost"] * 9})
    counter.heard(reader, counter.asked(reader), patience=1)
    reader.code_sale(1)
    counter.book(reader)
    assert counter.store.takings(CANTEEN) == 0
    assert cases(counter) == [ledger_reasons.UNHEARD_SALE]
    (sale,) = counter.store.acquirer_orders.open_since(counter.now_s + 60)
    assert (sale.number, sale.is_mute) == (1, True)
    with pytest.raises(SettleRefused, match="holds nothing"):
        counter.store.acquirer_orders.settle(1, Settled.SOLD)
    counter.store.acquirer_orders.settle(1, Settled.VOID)
    assert counter.agrees(reader) == (0, 0)


@pytest.mark.parametrize("said", [{"number": 2}, {"amount_fen": 99}])
def test_a_sale_that_does_not_fit_is_a_case_and_given_back(reader, said):
    counter = Acquiring(reader)
    counter.heard(reader, counter.asked(reader))
    reader.code_sale(**{"number": 1, **said})
    assert counter.agrees(reader) == (0, 0)
    assert cases(counter) == [ledger_reasons.UNRESERVED_SALE]


@pytest.mark.parametrize("state", [Settled.SOLD, Settled.VOID])
def test_a_record_that_was_lost_leaves_it_to_a_person(reader, state):
    counter = Acquiring(reader)
    sell(counter, reader, counter.heard(reader, counter.asked(reader)))
    reader.boot()
    rest = reader.records[1:]
    counter.store.book([[lost(reader.key, reader.device, 1, rest[0]), *rest]])
    counter.run(count=3)
    assert counter.store.takings(CANTEEN) == 0
    for _ in range(2):
        counter.store.acquirer_orders.settle(1, state)
    other = Settled.VOID if state is Settled.SOLD else Settled.SOLD
    with pytest.raises(SettleRefused, match="is settled"):
        counter.store.acquirer_orders.settle(1, other)
    counter.come_to_rest()
    is_sold = state is Settled.SOLD
    assert counter.store.takings(CANTEEN) == FEN * is_sold
    assert sum(counter.payments.charged().values()) == FEN * is_sold
    assert check(counter.store) == []


def test_what_the_acquirer_gives_back_by_its_own_time_out_is_a_case(reader):
    """Sold, and days later the record comes: the acquirer has let go of it."""
    counter = Acquiring(reader)
    sell(counter, reader, counter.heard(reader, counter.asked(reader)))
    counter.payments.expire(next(iter(counter.payments.states())))
    assert counter.agrees(reader) == (FEN, 0)
    assert cases(counter) == [ledger_reasons.SOLD_NOT_CHARGED]
    assert counter.store.balances()["acquirer", 0] == -FEN, "to be claimed there"


# --- the table --------------------------------------------------------------------------------


def test_every_state_and_word_has_an_end():
    """From wherever an order is, what it still needs leads to where it needs nothing."""
    for state, word in itertools.product(Settled, Word):
        verb = NEXT.get((state, word))
        if verb in (Verb.CONFIRM, Verb.VOID):
            ends = [follow(word, said) for said in Word if said > Word.RESERVED]
            assert all((state, end) not in NEXT for end in ends)
    for word, said in itertools.product(Word, Word):
        after = follow(word, said)
        assert after == word or word in (Word.SILENT, Word.RESERVED)
        assert after is not Word.REFUSED or word in (Word.SILENT, Word.REFUSED)
    assert {(Settled.SOLD, Word.VOIDED), (Settled.VOID, Word.CONFIRMED)} == set(CASES)


def test_an_ended_order_hears_nothing_more(reader):
    counter = Acquiring(reader)
    sell(counter, reader, counter.heard(reader, counter.asked(reader)))
    counter.agrees(reader)
    before = counter.store.dump()
    for word in Word:
        counter.store.acquirer_orders.hear(1, Said(word), 1)
    assert counter.store.dump() == before


# --- statements -------------------------------------------------------------------------------


def day_of(counter):
    return (date.fromisoformat(counter.today()) - date(1970, 1, 1)).days


def shown(counter):
    return counter.store.acquirer_statements.unmatched(OFFSET_S, counter.now_s)


def unmatched(counter):
    return [(each.order_no, each.fault) for each in shown(counter)]


def test_the_statement_of_a_day_is_fetched_and_clears_what_was_sold(reader):
    counter = Acquiring(reader)
    assert day_of(counter) == DAY
    for last in (3, 4):
        code = WECHAT[:-1] + b"%d" % last
        sell(counter, reader, counter.heard(reader, counter.asked(reader, code=code)))
    counter.book(reader)
    counter.run(count=3)
    assert counter.store.balances()["acquirer", 0] == -2 * FEN
    counter.now_ms += 48 * 3_600_000
    counter.run(count=40, ms=60_000)
    assert counter.acquirer.counters["statements"] == 2
    assert counter.store.balances()["acquirer", 0] == 0
    assert unmatched(counter) == []
    assert check(counter.store) == []


def test_the_first_statement_is_not_waited_for_until_a_clock_is_right(reader):
    """The ledger's clock was ten years ahead at the first question, and then put right."""
    counter = Acquiring(reader)
    ahead_ms = 3_650 * 86_400_000
    counter.now_ms += ahead_ms
    asked = counter.asked(reader)
    assert counter.say(reader, asked) is None
    counter.now_ms -= ahead_ms
    counter.acquirer._look_ms = 0  # whose monotonic clock has gone on
    sell(counter, reader, counter.heard(reader, asked))
    counter.book(reader)
    counter.run(count=3)
    missing = counter.store.acquirer_statements.missing
    assert missing(DAY + 2, OFFSET_S, counter.now_s - 3_650 * 86_400) == []
    assert missing(DAY + 2, OFFSET_S, counter.now_s) == [DAY, DAY + 1]
    counter.now_ms += 48 * 3_600_000
    counter.run(count=40, ms=60_000)
    assert counter.store.balances()["acquirer", 0] == 0
    assert unmatched(counter) == []


def sold(*readers, count=1):
    """A counter at which so many were sold and confirmed, and their order numbers."""
    counter = Acquiring(*readers)
    for last in range(3, 3 + count):
        asked = counter.asked(readers[0], code=WECHAT[:-1] + b"%d" % last)
        sell(counter, readers[0], counter.heard(readers[0], asked))
    counter.book(readers[0])
    counter.run(count=3)
    lines = counter.payments.statement(counter.today())
    return counter, [order_no for order_no, _fen in lines]


def owed(counter):
    return -counter.store.balances()["acquirer", 0]


def test_a_statement_again_is_no_news_however_it_is_sorted(reader):
    counter, (first, second) = sold(reader, count=2)
    enter, lines = counter.store.acquirer_statements.enter, [(first, FEN), (second, FEN)]
    assert enter(DAY, lines_of(lines), 1) == (1, 2)
    before = counter.store.dump()
    for again in (lines, lines[::-1]):
        assert enter(DAY, lines_of(again), 2) == (0, 0)
        assert counter.store.dump() == before
    assert (owed(counter), unmatched(counter), cases(counter)) == (0, [], [])


def lines_of(pairs):
    return [StatementLine(*pair) for pair in pairs]


@pytest.mark.parametrize("amounts", [(FEN, FEN), (FEN, 99), (99, FEN), (7, 99)])
def test_an_order_that_stands_twice_on_a_day_is_named_and_shuts_no_day(reader, amounts):
    """One of the two is matched if it fits, the other is a case; others and later days go on."""
    counter, (first, second) = sold(reader, count=2)
    statements = counter.store.acquirer_statements
    lines = lines_of([(first, fen) for fen in amounts] + [(second, FEN), ("nobody-s", 5)] * 2)
    for at in range(2):
        fits = FEN in amounts
        assert statements.enter(DAY, lines, 1) == ((1, 1 + fits) if not at else (0, 0))
        assert owed(counter) == FEN * (not fits)
        other = sorted(amounts)[-1] if not fits else sum(amounts) - FEN
        alone = [] if fits else [(first, 7, Fault.OTHER_AMOUNT)]
        assert in_order(shown(counter)) == sorted(
            [
                *alone,
                (first, other, Fault.STATED_TWICE),
                (second, FEN, Fault.STATED_TWICE),
                ("nobody-s", 5, Fault.NO_ORDER),
                ("nobody-s", 5, Fault.STATED_TWICE),
            ]
        )
        lines.reverse()
    charged = [] if fits else [ledger_reasons.CHARGED_OTHERWISE]
    assert cases(counter) == [*charged, *[ledger_reasons.STATED_TWICE] * 2]
    assert statements.enter(DAY + 1, [], 1).version == 1
    assert check(counter.store) == []


def in_order(found):
    return sorted((each.order_no, each.amount_fen, each.fault) for each in found)


def test_a_line_of_an_earlier_day_is_shown_and_shuts_no_day(reader):
    counter, (order_no,) = sold(reader)
    statements = counter.store.acquirer_statements
    statements.enter(DAY, lines_of([(order_no, FEN), ("n" * 64, 7)]), 1)
    second = lines_of([(order_no, 99), ("n" * 64, 7), ("new", 5)])
    for version in (1, 0):
        assert statements.enter(DAY + 1, second, 1) == (version, 0)
        assert (statements.last_day(), check(counter.store)) == (DAY + 1, [])
    assert in_order(shown(counter)) == sorted(
        [
            ("n" * 64, 7, Fault.NO_ORDER),
            (order_no, 99, Fault.STATED_AGAIN),
            ("n" * 64, 7, Fault.STATED_AGAIN),
            ("new", 5, Fault.NO_ORDER),
        ]
    )
    assert cases(counter) == [ledger_reasons.STATED_TWICE]
    assert owed(counter) == 0


def test_an_order_s_first_day_says_what_it_was_charged():
    """Another amount then, and the right one a day later: that is another payment, to be asked."""
    wrong = Stated(DAY, "a", 99, FEN, Settled.SOLD, 1001, 1, is_cleared=0)
    right = wrong._replace(day=DAY + 1, amount_fen=FEN)
    assert judge([wrong, right]) == [Fault.OTHER_AMOUNT, Fault.STATED_AGAIN]
    assert judge([right, wrong._replace(day=DAY + 2)]) == [None, Fault.STATED_AGAIN]
    cleared = right._replace(is_cleared=1)
    assert judge([wrong._replace(is_cleared=1), cleared]) == [Fault.STATED_AGAIN, None]


def test_a_statement_that_is_that_of_the_day_before_clears_nothing_twice(reader):
    """And put right the day after: its own lines are cleared."""
    counter, (first, second) = sold(reader, count=2)
    statements = counter.store.acquirer_statements
    statements.enter(DAY, lines_of([(first, FEN)]), 1)
    statements.enter(DAY + 1, lines_of([(first, FEN)]), 1)
    assert owed(counter) == FEN
    assert (first, Fault.STATED_AGAIN) in unmatched(counter)
    assert statements.enter(DAY + 1, lines_of([(second, FEN)]), 2) == (2, 1)
    assert (owed(counter), unmatched(counter)) == (0, [])
    assert check(counter.store) == []


# What a day was told first, and how it is corrected; fen of the first and of the second order.
CORRECTED = {
    "a line too few": ({0: FEN}, {0: FEN, 1: FEN}, 0, []),
    "another amount": ({0: 99, 1: FEN}, {0: FEN, 1: FEN}, 0, []),
    "twice": ({0: FEN, 1: FEN, 2: FEN}, {0: FEN, 1: FEN}, 0, []),
    "a line too many": ({0: FEN, 1: FEN}, {0: FEN}, 0, [Fault.WITHDRAWN]),
    "right, then another amount": (
        {0: FEN, 1: FEN},
        {0: FEN, 1: 99},
        0,
        [Fault.OTHER_AMOUNT, Fault.WITHDRAWN],
    ),
    "nothing, then all": ({}, {0: FEN, 1: FEN}, 0, []),
    "all, then nothing": ({0: FEN, 1: FEN}, {}, 0, [Fault.WITHDRAWN] * 2),
}


@pytest.mark.parametrize("how", CORRECTED)
def test_a_corrected_statement_counts_and_books_nothing_twice(reader, how):
    before, after, rest_fen, faults = CORRECTED[how]
    counter, orders = sold(reader, count=2)
    statements = counter.store.acquirer_statements
    told = [
        lines_of([(orders[at % 2], fen) for at, fen in version.items()])
        for version in (before, after)
    ]
    assert statements.enter(DAY, told[0], 1).version == 1
    assert statements.enter(DAY, told[1], 2).version == 2
    assert statements.enter(DAY, told[1], 3).version == 0
    assert owed(counter) == rest_fen
    assert sorted(fault for _order_no, fault in unmatched(counter)) == sorted(faults)
    withdrawn = [ledger_reasons.STATED_NO_MORE] * faults.count(Fault.WITHDRAWN)
    assert [one for one in cases(counter) if one == ledger_reasons.STATED_NO_MORE] == withdrawn
    # And back: what the first version cleared is as it was, and still cleared once.
    assert statements.enter(DAY, told[0], 4).version == 3
    assert statements.versions() == {DAY: 3}
    kinds = "SELECT COUNT(*), COUNT(DISTINCT seq) FROM transfer WHERE kind = 61"
    ((cleared, ever),) = counter.store.database.rows(kinds)
    assert cleared == ever <= 2
    assert check(counter.store) == []


def test_a_day_that_nobody_tells_is_named_and_shuts_no_other_one(reader):
    """Its statement has a line that is none, for ever; the ledger is restarted meanwhile."""
    counter, (order_no,) = sold(reader)
    call, spoilt = counter.way.call, counter.today()

    def told(method, path, said=None):
        if path == f"/statements/{spoilt}":
            return 200, {"day": spoilt, "lines": [[order_no, 0]]}
        return call(method, path, said)

    counter.way.call = told
    counter.now_ms += 4 * 86_400_000
    counter.run(count=30, ms=60_000)
    statements = counter.store.acquirer_statements
    assert statements.versions() == {DAY + 1: 1, DAY + 2: 1, DAY + 3: 1}
    assert statements.missing(DAY + 4, OFFSET_S, counter.now_s) == [DAY]
    assert set(unmatched(counter)) == {("", Fault.NO_STATEMENT), (order_no, Fault.NOT_STATED)}
    asked = counter.acquirer.counters["unanswered"]
    counter.run(count=30, ms=60_000)
    assert 5 <= counter.acquirer.counters["unanswered"] - asked <= 7, "each five minutes"
    counter.boot()
    counter.way.call = call
    counter.run(count=30, ms=60_000)
    assert min(statements.versions()) == DAY
    assert (owed(counter), unmatched(counter), cases(counter)) == (0, [], [])
    assert check(counter.store) == []


def test_days_are_asked_for_once_more_and_a_correction_is_heard(reader):
    counter, _orders = sold(reader)
    call, withheld = counter.way.call, [[]]

    def told(method, path, said=None):
        status, answer = call(method, path, said)
        if path.startswith("/statements/") and withheld:
            answer = {**answer, "lines": withheld.pop()}
        return status, answer

    counter.way.call = told
    counter.now_ms += 86_400_000
    counter.run(count=10, ms=60_000)
    assert owed(counter) == FEN
    counter.now_ms += 86_400_000
    counter.run(count=10, ms=60_000)
    assert counter.acquirer.counters["corrected_statements"] == 1
    assert (owed(counter), unmatched(counter)) == (0, [])
    days = len(counter.store.acquirer_statements.versions())
    counter.now_ms += 30 * 86_400_000
    counter.run(count=60, ms=60_000)
    counter.run(count=10, ms=60_000)
    assert counter.acquirer.counters["statements"] == days + 30
    assert counter.store.acquirer_statements.versions()[DAY] == 2


def test_a_clock_that_was_years_behind_asks_for_a_month_and_no_more(reader):
    counter = Acquiring(reader)
    counter.now_ms -= 3_650 * 86_400_000
    counter.say(reader, counter.asked(reader))
    counter.now_ms += 3_650 * 86_400_000
    missing = counter.store.acquirer_statements.missing
    days = list(range(DAY - MISSING_MAX, DAY))
    assert missing(DAY, OFFSET_S, counter.now_s) == days
    counter.store.acquirer_statements.enter(DAY - 1, [], 1)
    assert missing(DAY, OFFSET_S, counter.now_s) == [DAY - 1 - MISSING_MAX, *days[:-1]]
    # Who looks hears of each.
    told = [each.day for each in shown(counter) if each.fault is Fault.NO_STATEMENT]
    assert told == list(range(DAY - 3_650, DAY - 2))


def test_books_of_before_keep_their_statements(tmp_path):
    """Entered by a program of before: what stood on an earlier day too had a name of its own."""
    path = str(tmp_path / "old.sqlite")
    with closing(open_database(path, MIGRATIONS[:32])) as old:
        old.execute("INSERT INTO acquirer_day VALUES (7, 1), (8, 2), (9, 3)")
        rows = ("('a', 7, 5)", "('8 again a', 8, 6)", "('b 8 again c', 8, 7)")
        for row in rows:
            old.execute(f"INSERT INTO acquirer_line VALUES {row}")
    store = LedgerStore.open(path)
    assert store.acquirer_statements.versions() == {7: 1, 8: 1, 9: 1}
    stated = list(store.database.rows("SELECT * FROM acquirer_stated ORDER BY day, order_no"))
    assert stated == [(7, 1, "a", 1, 5), (8, 1, "a", 1, 6), (8, 1, "b 8 again c", 1, 7)]
    assert store.acquirer_statements.enter(8, lines_of([("a", 6), ("b 8 again c", 7)]), 9) == (
        0,
        0,
    )
    assert check(store) == []
    store.close()


@pytest.mark.parametrize(
    ("confirm", "fault"),
    [("lost", Fault.NOT_CONFIRMED), ("none", Fault.NOT_STATED), ("void", Fault.GIVEN_BACK)],
)
def test_what_is_sold_and_not_cleared_in_two_days_is_shown_without_a_statement(
    reader, confirm, fault
):
    plan = {"confirm": ["lost"] * 99} if confirm == "lost" else None
    counter = Acquiring(reader, plan=plan)
    sell(counter, reader, counter.heard(reader, counter.asked(reader)))
    if confirm == "void":
        counter.payments.expire(next(iter(counter.payments.states())))
    counter.book(reader)
    counter.run(count=3)
    counter.way.call = None  # from here on nothing is answered
    assert unmatched(counter) == []
    counter.now_ms += 48 * 3_600_000 + 4_000
    assert [what for _order_no, what in unmatched(counter)] == [fault]
    assert counter.store.acquirer_statements.last_day() is None


def test_what_does_not_match_is_shown_and_is_a_case(reader):
    counter = Acquiring(reader)
    for last in (3, 4, 5):
        code = WECHAT[:-1] + b"%d" % last
        answer = counter.heard(reader, counter.asked(reader, code=code))
        sell(counter, reader, answer if last != 4 else None)
    counter.book(reader)
    counter.run(count=4)
    first, called_off, third = (
        row[0]
        for row in counter.store.database.rows(
            "SELECT order_no FROM acquirer_order ORDER BY number"
        )
    )
    statements = counter.store.acquirer_statements
    lines = [
        StatementLine(first, FEN + 1),
        StatementLine(called_off, FEN),
        StatementLine("nobody's", 7),
    ]
    assert statements.enter(DAY, lines, 1) == (1, 0)
    assert sorted(unmatched(counter)) == sorted(
        [
            (first, Fault.OTHER_AMOUNT),
            (called_off, Fault.NOT_SOLD),
            ("nobody's", Fault.NO_ORDER),
        ]
    ), "an order may be told a day later"
    statements.enter(DAY + 1, [], 1)
    assert (third, Fault.NOT_STATED) in unmatched(counter)
    wanted = [ledger_reasons.CHARGED_NOT_SOLD, ledger_reasons.CHARGED_OTHERWISE]
    assert cases(counter) == wanted
    assert counter.store.balances()["acquirer", 0] == -2 * FEN
    assert check(counter.store) == []


# --- what the checker sees --------------------------------------------------------------------

TAMPERED = {
    "an order that is sold has gone to its merchant, once, all of it; no other one has": [
        "UPDATE acquirer_order SET state = 2 WHERE number = 1",
        "UPDATE acquirer_order SET amount_fen = 99 WHERE number = 1",
    ],
    "what an acquirer has taken for us belongs to an order": [
        "UPDATE transfer SET seq = 9 WHERE kind = 61",
    ],
    "what is cleared is on a statement, as it was sold": [
        "DELETE FROM acquirer_stated",
        "UPDATE acquirer_stated SET amount_fen = 99",
    ],
    "a statement has every version of its day": ["UPDATE acquirer_statement SET version = 2"],
    "nothing was sold that an acquirer did not hold": ["UPDATE acquirer_order SET word = 0"],
    "no number of a payment by code was given twice": [
        "INSERT INTO reservation VALUES (1, 1001, 9, zeroblob(8), x'00', 7, 1, 1, 1, 0, 0)",
    ],
    "the acquirer owes what is sold and on no statement": [
        f"UPDATE account SET balance_fen = -1 WHERE id = {ACQUIRED}",
    ],
    "a payment by code is what its record tells, unless a person had to say": [
        "UPDATE acquirer_order SET state = 0",
    ],
}


def test_every_rule_of_the_acquirer_is_tampered_with():
    assert set(acquirer_rules.RULES) < set(TAMPERED)


@pytest.mark.parametrize(("rule", "sql"), [(r, s) for r, all_ in TAMPERED.items() for s in all_])
def test_tampering_is_seen(reader, rule, sql):
    counter = Acquiring(reader)
    sell(counter, reader, counter.heard(reader, counter.asked(reader)))
    counter.book(reader)
    counter.run(count=3)
    lines = counter.payments.statement(counter.today())
    counter.store.acquirer_statements.enter(DAY, [StatementLine(*line) for line in lines], 1)
    tamper(counter.store, [in_its_words(counter.store, sql)])
    assert rule in {violation.rule for violation in check(counter.store)}
