"""Readers that were opened or moved: what the books make of it, and who may approve it."""

from itertools import permutations

import pytest

from ledger import reasons
from ledger.dialect import ConstraintBroken, StoreUnavailable
from ledger.invariants import check
from ledger.relay_desk import RelayDesk
from ledger.site_desk import SiteDesk
from ledger.tampers import CENTRE, DEPARTMENT, ApprovalRefused
from protocols.wire import messages, seal
from protocols.wire.errors import BAD_SEAL, UNEXPECTED_TYPE, WireError
from tests.ledger.readers import CARD, Reader, open_ledger

NOW_S = 1_790_000_000
HOME, ELSEWHERE = "campus", "canteen-9"


def tampered(state=messages.CASE_OPENED, times=1):
    """A reader, and books that have its records."""
    reader = Reader(1001)
    reader.boot()
    for _ in range(times):
        reader.write(messages.TAMPER, state=state, number=0)
    store = open_ledger(reader)
    store.book([reader.records])
    return reader, store


def approve(store, seq=2, persons=("wang", "li")):
    for step, person in zip((DEPARTMENT, CENTRE), persons, strict=False):
        store.tampers.approve(1001, seq, step, person, NOW_S)


# --- the books -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "case"),
    [(messages.CASE_OPENED, reasons.CASE_OPENED), (messages.MOVED, reasons.MOVED)],
)
def test_a_record_opens_a_case_and_waits(state, case):
    _, store = tampered(state)
    assert store.cases() == [(case, 1001, 2)]
    assert [(one.device, one.seq, one.state) for one in store.tampers.waiting()] == [
        (1001, 2, state)
    ]
    assert check(store) == []


def test_an_approval_that_was_given_leaves_nothing_that_waits():
    reader, store = tampered()
    approve(store)
    reader.write(messages.TAMPER, state=messages.APPROVED, number=2)
    store.book([reader.records])
    assert store.tampers.waiting() == []
    assert store.cases() == [(reasons.CASE_OPENED, 1001, 2)]
    assert store.tampers.is_approved(1001, 2)  # whoever lost the answer asks again


@pytest.mark.parametrize("persons", [(), ("wang",)])
def test_who_goes_on_by_itself_becomes_a_case(persons):
    """A reader's flash was written by somebody who likes to sell."""
    reader, store = tampered()
    approve(store, persons=persons)
    reader.write(messages.TAMPER, state=messages.APPROVED, number=2)
    store.book([reader.records])
    assert (reasons.APPROVED_BY_NOBODY, 1001, 3) in store.cases()


def test_in_whatever_order_the_records_come_the_books_are_the_same():
    reader = Reader(1001)
    reader.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    reader.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    reader.spend()
    dumps = set()
    for order in permutations(reader.records):
        store = open_ledger(reader)
        for sealed in (*order, order[0]):
            store.book([[sealed]])
        dumps.add(store.dump())
    assert len(dumps) == 1 and b"tamper 1001 2 1 0" in dumps.pop()


# --- the approval ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "seq", "step", "person", "said"),
    [
        ((), 1, DEPARTMENT, "wang", "that is record 2"),
        ((), 3, DEPARTMENT, "wang", "that is record 2"),
        ((), 2, CENTRE, "li", "department comes first"),
        (("wang",), 2, CENTRE, "wang", "another person"),
        (("wang",), 2, DEPARTMENT, "zhao", "done, by wang"),
        (("wang", "li"), 2, CENTRE, "zhao", "done, by li"),
        ((), 2, DEPARTMENT, "", "one word"),
        ((), 2, DEPARTMENT, "Wang Wei", "one word"),
        ((), 2, DEPARTMENT, "x" * 33, "one word"),
        ((), 2, DEPARTMENT, "王", "one word"),
    ],
)
def test_an_approval_that_cannot_be_changes_nothing(done, seq, step, person, said):
    _, store = tampered()
    approve(store, persons=done)
    before = store.dump()
    with pytest.raises(ApprovalRefused, match=said):
        store.tampers.approve(1001, seq, step, person, NOW_S)
    assert store.dump() == before


def test_of_a_reader_that_bars_nothing_nothing_is_approved():
    store = open_ledger(Reader(1001))
    with pytest.raises(ApprovalRefused, match="not what bars it"):
        store.tampers.approve(1001, 1, DEPARTMENT, "wang", NOW_S)


def test_the_same_step_by_the_same_person_again_is_none():
    _, store = tampered()
    assert store.tampers.approve(1001, 2, DEPARTMENT, "wang", NOW_S) == 1
    assert store.tampers.approve(1001, 2, DEPARTMENT, "wang", NOW_S + 9) == 1
    assert store.tampers.approve(1001, 2, CENTRE, "li", NOW_S) == 2
    assert store.tampers.steps(1001, 2) == {1: ("wang", NOW_S), 2: ("li", NOW_S)}


def test_the_database_knows_the_order_and_the_two_persons_too():
    _, store = tampered()
    rows = [(1001, 2, CENTRE, "li", 1)], [(1001, 2, 1, "li", 1), (1001, 2, 2, "li", 1)]
    for wrong in rows:
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.many("INSERT INTO approval VALUES (?, ?, ?, ?, ?)", wrong)


def test_a_newer_opening_makes_an_approval_worthless():
    reader, store = tampered()
    approve(store)
    assert store.tampers.is_approved(1001, 2)
    reader.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    store.book([reader.records])
    assert not store.tampers.is_approved(1001, 2) and not store.tampers.is_approved(1001, 3)
    approve(store, 3)
    assert store.tampers.is_approved(1001, 3)


# --- the desk --------------------------------------------------------------------------------


class Line:
    """A reader's questions, and the answers as it opens them."""

    def __init__(self, reader, store):
        self.reader = reader
        self.site_desk = SiteDesk(store, lambda: NOW_S)
        self.desk = RelayDesk(store, self.site_desk)
        self.key = seal.derive(reader.key, messages.RELAY_LABEL)

    def ask(self, site=HOME, key=None, kind=messages.SITE, **fields):
        asked = {"nonce": b"12345678", "state": 0, "number": 0, "head": 5, **fields}
        payload = messages.encode_relayed(kind, asked)
        sealed = seal.seal(key or self.key, payload, messages.RELAY_UP)
        answer = self.desk.hear(site, self.reader.device, sealed, 0)
        if answer is None:
            return None
        said = messages.decode_relayed(
            seal.unseal(self.key, answer, messages.RELAY_DOWN), (messages.SITE,)
        )
        assert said["nonce"] == asked["nonce"] and said["number"] == asked["number"]
        return said["state"]


def test_approved_is_said_of_that_record_at_home_and_after_both_steps():
    reader, store = tampered()
    line = Line(reader, store)
    asked = {"state": messages.CASE_OPENED, "number": 2}
    assert line.ask(**asked) == 0
    approve(store, persons=("wang",))
    assert line.ask(**asked) == 0
    approve(store)
    assert line.ask(**asked) == line.ask(**asked) == messages.APPROVED
    assert line.ask() == line.ask(number=1) == line.ask(number=3) == 0
    assert line.ask(ELSEWHERE, **asked) == messages.MOVED  # it has to come home first


def test_elsewhere_it_is_told_so_and_that_is_a_case_with_its_own_words():
    reader, store = tampered()
    line = Line(reader, store)
    assert line.ask(ELSEWHERE) == line.ask(ELSEWHERE) == messages.MOVED
    assert line.ask(ELSEWHERE, head=7, state=messages.MOVED) == messages.MOVED
    assert (reasons.SEEN_ELSEWHERE, 1001, 5) in store.cases() and len(store.cases()) == 2
    assert store.tampers.sightings() == [(1001, 5, ELSEWHERE, NOW_S)]
    ((sealed,),) = store.database.rows("SELECT sealed FROM sighting")
    assert seal.unseal(line.key, sealed, messages.RELAY_UP)
    assert check(store) == []


def test_a_move_that_the_centre_has_approved_makes_it_at_home_there():
    reader, store = tampered(messages.MOVED)
    line = Line(reader, store)
    asked = {"state": messages.MOVED, "number": 2}
    approve(store, persons=("wang",))
    with pytest.raises(ApprovalRefused, match="by the name of a site"):
        store.tampers.approve(1001, 2, CENTRE, "li", NOW_S, "No Site")
    store.tampers.approve(1001, 2, CENTRE, "li", NOW_S, ELSEWHERE)
    assert line.ask(ELSEWHERE, **asked) == messages.APPROVED
    assert line.ask(HOME, **asked) == messages.MOVED
    assert store.speaking_keys(1001, HOME) == []


def test_nobody_else_is_heard_and_elsewhere_nothing_else():
    reader, store = tampered()
    line = Line(reader, store)
    before = store.dump()
    for site in (HOME, ELSEWHERE):
        with pytest.raises(WireError) as caught:
            line.ask(site, key=bytes(32))
        assert caught.value.code == BAD_SEAL
    load = {"card_no": CARD, "counter": 1, "last_device": 0, "last_seq": 0, "chip": 1}
    with pytest.raises(WireError) as caught:
        line.ask(ELSEWHERE, kind=messages.LOAD_ASK, **load)
    assert caught.value.code == UNEXPECTED_TYPE
    assert store.dump() == before and store.tampers.sightings() == []


def test_a_reader_that_has_a_twin_is_answered_nowhere():
    reader, store = tampered()
    twin = reader.fork()
    reader.boot()
    twin.spend()
    store.book([reader.records, twin.records])
    for site in (HOME, ELSEWHERE):
        with pytest.raises(WireError):
            Line(reader, store).ask(site)


def test_while_the_disk_refuses_nobody_is_told_anything(monkeypatch):
    reader, store = tampered()
    line = Line(reader, store)

    def refuse(*_):
        raise StoreUnavailable("disk")

    monkeypatch.setattr(store.tampers, "sight", refuse)
    assert line.ask(ELSEWHERE) is None
    assert line.site_desk.counters["store_unavailable"] == 1
