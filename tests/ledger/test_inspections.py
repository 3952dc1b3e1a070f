"""The day's inspections: what is proof of a day, what is only possible, and what ends a fault."""

import pytest

from ledger.inspections import INSPECTED, MISSING, PERHAPS, of_day
from protocols.rules import battery, reasons
from protocols.wire import messages
from tests.ledger.readers import CANTEEN, KIOSK, Reader, open_ledger

FROM_S = 1_795_968_000
TO_S = FROM_S + 86_400
NOON_S = FROM_S + 43_200
UNKNOWN_S = 0xFFFFFFFF
TESTED_S = FROM_S - 30 * 86_400
GOOD = {
    "network": 1,
    "waiting": 0,
    "battery_mv": 4_000,
    "clock_width_s": 2,
    "reader_faults": 0,
    "free_sectors": 40,
    "map_made_s": FROM_S - 60,
    "receipt_s": FROM_S - 5,
}


def _test(at_s=TESTED_S, mah=1_000):
    return mah.to_bytes(2, "big") + at_s.to_bytes(4, "big")


class Till(Reader):
    """A POS whose battery was measured long ago."""

    def __init__(self, device=1001, merchant_no=CANTEEN):
        super().__init__(device, merchant_no)
        self.inspect(TESTED_S)

    def inspect(self, earliest_s, latest_s=None, test=None, **wrong):
        latest_s = earliest_s + 1 if latest_s is None else latest_s
        fields = {**GOOD, "earliest_s": earliest_s, "latest_s": latest_s, **wrong}
        self.write(messages.INSPECTION, battery_test=test or _test(), **fields)
        return self.seq

    def report(self, earliest_s, latest_s=None, reason=0):
        latest_s = earliest_s + 1 if latest_s is None else latest_s
        when = {"earliest_s": earliest_s, "latest_s": latest_s}
        self.write(messages.FAULT, network=1, last_reason=reason, **when)
        return self.seq


def _day(*readers, from_s=FROM_S):
    store = open_ledger(*readers)
    store.book([reader.records for reader in readers])
    return of_day(store.database, from_s, from_s + 86_400)


def _one(reader, **kwargs):
    (found,) = _day(reader, **kwargs)
    return found


def test_an_inspection_in_the_day_is_proof_with_its_first_record():
    till = Till()
    seq = till.inspect(NOON_S)
    till.inspect(NOON_S + 60)
    found = _one(till)
    assert (found.state, found.look.seq, found.look.wrong) == (INSPECTED, seq, ())
    assert (found.merchant, found.device, found.faults) == ("Canteen", 1001, ())


@pytest.mark.parametrize("at_s", [FROM_S - 1, TO_S - 1, FROM_S - 86_400])
def test_one_that_is_not_in_the_day_whole_is_none(at_s):
    till = Till()
    till.inspect(at_s)
    assert _one(till).state == (MISSING if at_s < FROM_S - 1 else PERHAPS)


@pytest.mark.parametrize("at_s", [FROM_S, TO_S - 2])
def test_the_ends_of_the_day_belong_to_it(at_s):
    till = Till()
    till.inspect(at_s)
    assert _one(till).state == INSPECTED


def test_who_has_not_looked_is_shown_with_the_last_time():
    till = Till()
    seq = till.inspect(NOON_S - 86_400)
    till.inspect(NOON_S + 86_400)
    found = _one(till)
    assert (found.state, found.look.seq) == (MISSING, seq)


def test_a_reader_that_was_never_heard_of_is_missing():
    assert [each.state for each in _day(Till(1001), Reader(1002))] == [MISSING, MISSING]
    assert _one(Reader(1002)).look is None


def test_a_clock_that_did_not_know_the_time_is_no_proof_unless_its_neighbours_are():
    till = Till()
    till.inspect(0, UNKNOWN_S)
    assert _one(till).state == PERHAPS
    assert reasons.CLOCK_UNKNOWN in _one(till).look.wrong
    till.report(NOON_S)
    till.inspect(0, UNKNOWN_S)
    till.report(NOON_S + 60)
    found = _one(till)
    assert (found.state, found.look.seq) == (INSPECTED, 4)
    assert (found.look.earliest_s, found.look.latest_s) == (NOON_S, NOON_S + 61)


def test_what_the_reader_wrote_itself_behind_a_measurement_is_nobodys_inspection():
    till = Till()
    till.inspect(NOON_S, test=_test(NOON_S - 5))
    assert _one(till).state == MISSING
    seq = till.inspect(NOON_S + 600, test=_test(NOON_S - 5))
    found = _one(till)
    assert (found.state, found.look.seq) == (INSPECTED, seq)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"network": 0}, reasons.OFFLINE),
        ({"reader_faults": 3}, reasons.READER_FAULT),
        ({"free_sectors": 0}, reasons.JOURNAL_FULL),
        ({"battery_mv": battery.STOP_MV - 1}, reasons.BATTERY_EMPTY),
    ],
)
def test_what_was_wrong_stands_there_and_ends_no_fault(wrong, reason):
    till = Till()
    till.report(NOON_S - 60, reason=reasons.READER_FAULT)
    till.inspect(NOON_S, **wrong)
    found = _one(till)
    assert (found.state, found.look.wrong) == (INSPECTED, (reason,))
    assert [fault.end for fault in found.faults] == [None]


def test_a_battery_without_a_recent_measurement_is_told_and_is_no_fault():
    till = Reader(1001)
    till.write(messages.FAULT, network=1, last_reason=0, earliest_s=NOON_S, latest_s=NOON_S + 1)
    till.write(messages.INSPECTION, **GOOD, earliest_s=NOON_S + 9, latest_s=NOON_S + 10)
    found = _one(till)
    assert found.look.wrong == (reasons.BATTERY_UNTESTED,)
    assert [fault.end.seq for fault in found.faults] == [2]


def test_what_a_reader_writes_once_a_day_is_nobodys_inspection_and_ends_no_fault():
    till = Till()
    fault = till.report(NOON_S - 60)
    till.inspect(NOON_S, by_clock=1)
    found = _one(till)
    assert (found.state, [each.end for each in found.faults]) == (MISSING, [None])
    end = till.inspect(NOON_S + 60)
    found = _one(till)
    assert (found.state, found.look.seq) == (INSPECTED, end)
    assert [(each.seq, each.end.seq) for each in found.faults] == [(fault, end)]


def test_a_fault_stands_over_days_until_an_inspection_finds_nothing():
    till = Till()
    fault = till.report(NOON_S - 3 * 86_400, reason=reasons.READER_FAULT)
    for days in (2, 1):
        till.inspect(NOON_S - days * 86_400, reader_faults=1)
    assert [each.seq for each in _one(till).faults] == [fault]
    end = till.inspect(NOON_S)
    found = _one(till)
    assert [(each.seq, each.end.seq) for each in found.faults] == [(fault, end)]
    assert _one(till, from_s=TO_S).faults == ()
    assert [each.seq for each in _one(till, from_s=FROM_S - 86_400).faults] == [fault]
    assert _one(till, from_s=FROM_S - 5 * 86_400).faults == ()


def test_a_year_of_days_is_not_read_for_one(monkeypatch):
    till = Till()
    for day in range(200):
        till.inspect(NOON_S - (199 - day) * 86_400)
    store = open_ledger(till)
    store.book([till.records])
    opened = []
    decode = messages.decode_record
    monkeypatch.setattr(messages, "decode_record", lambda data: opened.append(1) or decode(data))
    (found,) = of_day(store.database, FROM_S, TO_S)
    assert found.state == INSPECTED
    assert len(opened) <= 4
    (found,) = of_day(store.database, FROM_S - 150 * 86_400, FROM_S - 149 * 86_400)
    assert found.state == INSPECTED and found.look.seq == 1 + 50


def test_each_merchant_has_its_own_and_doors_and_punches_are_none():
    machine, door = Reader(1009), Reader(2001)
    machine.punch(7, NOON_S)
    readers = [Till(1002, KIOSK), Till(1001, CANTEEN), machine, door]
    store = open_ledger(*readers)
    store.book([reader.records for reader in readers])
    store.access.add_door(door.device, "dorm", 5000, 0)
    found = of_day(store.database, FROM_S, TO_S)
    assert [(each.merchant_no, each.device) for each in found] == [(12, 1001), (13, 1002)]
