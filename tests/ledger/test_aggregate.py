"""Payments by aggregate code in the books: no money moves, and a statement comes whole or not."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import reasons
from ledger.aggregate import StatementRefused
from ledger.aggregate_match import Line, Slack, Status
from ledger.dialect import ConstraintBroken
from ledger.intervals import TIME_UNKNOWN_S
from ledger.invariants import check
from ledger.statements import read
from tests.ledger.readers import CANTEEN, KIOSK, Reader, lost, open_ledger

NOON_S = 1_788_235_200
NOON = "2026-09-01T12:00:00+08:00"
HEAD = "channel,order_no,merchant_no,amount,time"
EXACT = Slack(0, 0)


def at(time_s, **fields):
    return {"earliest_s": time_s, "latest_s": time_s, **fields}


def statement(*rows):
    return "\n".join((HEAD, *rows, "")).encode()


def enter(store, *rows):
    return store.aggregate.enter(read(statement(*rows)))


def row(order_no="A1", merchant_no=CANTEEN, amount="1.00", time=NOON, channel="wechat"):
    return f"{channel},{order_no},{merchant_no},{amount},{time}"


def statuses(store):
    return [str(status) for status in store.aggregate.matched(EXACT).sales.values()]


# --- records ------------------------------------------------------------------------------------


def test_a_record_moves_no_money_however_often_it_comes():
    reader = Reader(1001)
    reader.aggregate(**at(NOON_S))
    store = open_ledger(reader)
    before = store.balances()
    for _ in range(3):
        store.book([reader.records])
    assert store.balances() == before
    (sale,) = store.aggregate.sales()
    assert sale == (1001, 1, CANTEEN, 100, NOON_S, NOON_S)
    assert statuses(store) == ["unverified"]
    assert check(store) == [] and store.cases() == []


def test_a_record_of_another_merchant_is_a_case():
    reader = Reader(1001)
    record = reader.aggregate(merchant_no=KIOSK)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.cases() == [(reasons.OTHER_MERCHANT, *record)]
    assert check(store) == []


def test_one_that_rot_has_taken_is_a_case_and_no_sale():
    reader = Reader(1001)
    reader.aggregate()
    reader.boot()
    store = open_ledger(reader)
    store.book([[lost(reader.key, 1001, 1, reader.records[1]), reader.records[1]]])
    assert store.aggregate.sales() == []
    assert store.cases() == [(reasons.LOST, 1001, 1)] and check(store) == []


def test_neither_a_twin_nor_an_outcome_makes_it_anything_else():
    reader = Reader(1001)
    record = reader.aggregate()
    twin = Reader(1001)
    twin.aggregate(amount_fen=999)
    reader.outcome(record)
    reader.cancel(record)
    store = open_ledger(reader)
    store.book([reader.records, twin.records])
    assert [sale.amount_fen for sale in store.aggregate.sales()] == [100]
    assert {reason for reason, *_ in store.cases()} == {
        reasons.FORK,
        reasons.OUTCOME_OF_NO_INTENT,
        reasons.CANCEL_OF_NO_SALE,
    }
    assert check(store) == []


def test_rows_that_no_record_has_made_are_found():
    reader = Reader(1001)
    reader.aggregate()
    reader.boot()
    store = open_ledger(reader)
    store.book([reader.records])
    with store.database.transaction():
        row = (1001, 2, CANTEEN, 100, 0, 9)
        store.database.many("INSERT INTO aggregate_sale VALUES (?, ?, ?, ?, ?, ?)", [row])
    assert [found.rows for found in check(store)] == [[row]]


@pytest.mark.parametrize("table", ["aggregate_sale", "statement_line"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET amount_fen = 1", "DELETE FROM {}"])
def test_nothing_is_rewritten(table, verb):
    reader = Reader(1001)
    reader.aggregate()
    store = open_ledger(reader)
    store.book([reader.records])
    enter(store, row())
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.many(verb.format(table), [()])


# --- statements -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_line_first", [True, False])
def test_late_records_and_late_statements_come_to_the_same(is_line_first):
    reader = Reader(1001)
    reader.aggregate(**at(NOON_S))
    store = open_ledger(reader)
    acts = [lambda: enter(store, row()), lambda: store.book([reader.records])]
    for act in acts if is_line_first else reversed(acts):
        act()
    assert statuses(store) == ["verified"]
    dump = store.dump()
    assert enter(store, row()).known == 1
    assert store.dump() == dump and check(store) == []


def test_the_same_statement_again_changes_nothing():
    store = open_ledger()
    first = enter(store, row("A1"), row("A2"))
    assert (first.new, first.known) == (2, 0)
    dump = store.dump()
    again = enter(store, row("A2"), row("A1"), row("A1"))
    assert (again.new, again.known) == (0, 3) and store.dump() == dump
    more = enter(store, row("A1"), row("A3"), row("A1", channel="alipay"))
    assert (more.new, more.known) == (2, 1), "an order number is its channel's"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(amount="2.00")], ["line 2: order A1 is in the books, and differs"]),
        ([row(time="2026-09-01T12:00:01+08:00")], ["line 2: order A1 is in the books"]),
        ([row(merchant_no=KIOSK)], ["line 2: order A1 is in the books"]),
        ([row("B1"), row("B1", amount="9")], ["line 3: order B1 is further up, and differs"]),
        ([row("B1", 99), row("B2")], ["line 2: merchant 99 is not registered"]),
        (
            [row("B1", 99), row("B2"), row("A1", amount="3")],
            ["line 2: merchant 99", "line 4: order A1 is in the books"],
        ),
    ],
)
def test_what_contradicts_the_books_is_named_and_nothing_is_imported(rows, said):
    store = open_ledger()
    enter(store, row())
    dump = store.dump()
    with pytest.raises(StatementRefused) as refused:
        enter(store, *rows)
    assert len(refused.value.faults) == len(said)
    for fault, wanted in zip(refused.value.faults, said, strict=True):
        assert fault.startswith(wanted)
    assert store.dump() == dump


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row(amount="0"), "'0' is no amount"),
        (row(amount="-1.00"), "'-1.00' is no amount"),
        (row(amount="1.005"), "'1.005' is no amount"),
        (row(amount="1e2"), "no amount"),
        (row(amount="￥1"), "no amount"),
        (row(amount="1000000"), "no amount"),
        (row(time="2026-09-01T12:00:00"), "no time with its zone"),
        (row(time="12:00"), "no time"),
        (row(time="1900-01-01T00:00:00+00:00"), "no time of ours"),
        (row(order_no=""), "no order number"),
        (row(order_no="`420000"), "no order number"),
        (row(order_no="4.2E+27"), "no order number"),
        (row(order_no="A" * 65), "no order number"),
        (row(channel="WeChat"), "no channel"),
        (row(merchant_no="x"), "no merchant's number"),
        (row(merchant_no="4294967296"), "no merchant's number"),
        (row(merchant_no="²"), "no merchant's number"),
        ("wechat,A2", "2 fields, and 5 columns"),
        (row() + ",x", "6 fields, and 5 columns"),
    ],
)
def test_each_bad_line_is_named_with_its_number(bad, said):
    with pytest.raises(StatementRefused) as refused:
        read(statement(row(), "", bad, row("A3"), bad))
    assert [fault.split(":")[0] for fault in refused.value.faults] == ["line 4", "line 6"]
    assert all(said in fault for fault in refused.value.faults)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1: needs each column once: channel, order_no"),
        (b"channel,order_no,merchant_no,amount\n", "needs each column once: time"),
        (f"{HEAD},time\n".encode(), "needs each column once: time"),
        (f"{HEAD}\n".encode() + b"wechat,\xd6\xd0,1,1,1\n", "line 2: not UTF-8"),
        (f'{HEAD}\nwechat,"A1,12,1.00,{NOON}\n'.encode(), "line 2: unexpected end of data"),
        (f'{HEAD}\nwechat,"A1"x,12,1.00,{NOON}\n'.encode(), "line 2: "),
    ],
)
def test_a_file_that_is_no_statement(data, said):
    with pytest.raises(StatementRefused) as refused:
        read(data)
    assert said in refused.value.faults[0]


def test_columns_in_any_order_and_nobodys_name():
    heads = "\ufefftime,payer,amount,merchant_no,order_no,channel"
    data = f"{heads}\r\n{NOON},刘一,12.5,12,A-1,alipay\r\n"
    assert read(data.encode()) == [(2, Line("alipay", "A-1", 12, 1250, NOON_S))]


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(statement().__add__)))
def test_any_bytes_are_read_or_refused_with_a_line(data):
    try:
        assert all(number > 0 and line.amount_fen > 0 for number, line in read(data))
    except StatementRefused as refused:
        assert refused.faults and all(fault.startswith("line ") for fault in refused.faults)


def test_who_pays_once_and_shows_it_twice_is_found():
    """Two records of one amount within the window, one line: somebody has to look at both."""
    reader = Reader(1001)
    reader.aggregate(**at(NOON_S))
    reader.aggregate(**at(NOON_S + 60))
    store = open_ledger(reader)
    store.book([reader.records])
    enter(store, row())
    assert list(store.aggregate.matched().sales.values()) == [Status.AMBIGUOUS] * 2
    enter(store, row("A2", time="2026-09-01T12:01:00+08:00"))
    assert list(store.aggregate.matched().sales.values()) == [Status.VERIFIED] * 2


# --- a week of it -------------------------------------------------------------------------------


def test_a_time_is_matched_as_in_the_whole_and_what_has_no_time_stands_in_each():
    reader, day_s, rows = Reader(1001), 86_400, []
    for at_s in range(NOON_S - 5 * day_s, NOON_S + 5 * day_s, 7 * 3_600):
        for number in range(3):
            reader.aggregate(amount_fen=100 + number, **at(at_s))
        time = f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%S+00:00}"
        rows += [
            row(f"A{at_s}", amount="1.00", time=time),
            row(f"B{at_s}", amount="9.00", time=time),
        ]
        if at_s % 2:
            rows.append(row(f"C{at_s}", amount="1.01", time=time))
    reader.aggregate(amount_fen=777, earliest_s=0, latest_s=TIME_UNKNOWN_S)
    store = open_ledger(reader)
    store.book([reader.records])
    enter(store, *rows)
    whole = store.aggregate.matched()
    assert len(set(whole.sales.values())) == 2, "of both sorts"
    for first_s in (NOON_S - 9 * day_s, NOON_S - day_s, NOON_S, NOON_S + 9 * day_s):
        found = store.aggregate.matched_of(first_s, first_s + 2 * day_s)
        wide = [sale for sale in whole.sales if sale.latest_s == TIME_UNKNOWN_S]
        own = {s: how for s, how in whole.sales.items() if 0 <= s.earliest_s - first_s < 2 * day_s}
        assert found.sales == own | dict.fromkeys(wide, Status.UNVERIFIED)
        assert found.lines == {
            line: how
            for line, how in whole.lines.items()
            if 0 <= line.time_s - first_s < 2 * day_s
        }
        assert found.pairs == {s: line for s, line in whole.pairs.items() if s in own}
