"""Behind a restore no credit is given twice: what an audit has is entered again as it was."""

import random
from datetime import date

import pytest

from ledger import audit
from ledger.channel_topups import Cancelled, Order, State
from ledger.invariants import check
from ledger.phones import Phones
from ledger.reasons import UNKNOWN_CREDIT
from ledger.reentry import NUMBERS_APART, end_phones, enter_again
from ledger.topups import NotCovered, TopUpRefused
from protocols.card.purse import CARD_CENTRE
from tests.ledger.checkout import PROOF
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader, open_ledger
from tests.ledger.replaced import DUE_S, NEW_CARD, books, lose, replace

DAY = date(2026, 11, 26)
ORDER = Order("ecode", "A-1", OTHER_CARD, 700, "bank-1", 1_750_000_000)


def entered(lost, backup, folder):
    """What `enter_again` says behind the loss of books whose last export is of now."""
    audit.export(lost.database, folder / "audit", DAY)
    told = enter_again(backup, audit.rows_lacking(folder / "audit", backup.database))
    assert check(backup) == []
    return told


def lacks(backup, folder):
    return audit.lacking(folder / "audit", backup.database)


def credited(store, reader, tries=1):
    """A top-up of 500 fen that came on its card with the last of its `tries`; its number."""
    number = store.top_ups.top_up(CARD, 500, "A")
    for counter in range(1, tries + 1):
        store.top_ups.note_try(number, counter, reader.device)
    reader.outcome(reader.credit(counter=tries, number=number, amount_fen=500))
    return number


def test_a_credit_keeps_the_number_that_its_card_carries(tmp_path):
    """Under another, its card would be given the money once more."""
    reader = Reader(1001)
    lost, backup = open_ledger(reader), open_ledger(reader)
    number = credited(lost, reader)
    lost.top_ups.top_up(OTHER_CARD, 700, "B")
    lost.book([reader.records])
    assert entered(lost, backup, tmp_path) == (2, [])
    # Nobody has told yet that the card has it: it was tried, so nobody guesses that it has not.
    assert backup.top_ups.next_of(CARD, 2).tries == (1,)
    backup.book([reader.records])
    assert backup.top_ups.next_of(CARD, 2) is None
    assert backup.balances() == lost.balances() and backup.dump() == lost.dump()
    assert lacks(backup, tmp_path) == {}
    for order, card_no, fen in (("A", CARD, 500), ("B", OTHER_CARD, 700)):  # booked to be sure
        assert backup.top_ups.top_up(card_no, fen, order) <= number + 1
    assert backup.dump() == lost.dump()


def test_a_phone_that_was_given_up_since_gets_no_seed_back(tmp_path):
    """Whoever has found or stolen it would pay by it again, and its owner's new one would not."""
    lost, backup = open_ledger(), open_ledger()
    for store in lost, backup:
        store.issue_cards([(card_no, 0) for card_no in (20, 21, 22, 23)])
        phones = Phones(store.database, bytes(32), random.Random(1).randbytes)
        old = {card_no: phones.bind(card_no, PROOF, 1)[1] for card_no in (20, 21, 22)}
    since = Phones(lost.database, bytes(32), random.Random(2).randbytes)
    since.bind(20, PROOF, 2)
    since.unbind(21, "wang", 3)
    since.bind(23, PROOF, 4)
    audit.export(lost.database, tmp_path / "audit", DAY)
    rows = list(audit.rows_lacking(tmp_path / "audit", backup.database))
    assert phones.seed_of(20) == old[20], "as the backup has it"
    for ended in (3, 0):  # restored once more: nothing is left to end
        assert end_phones(backup.database, rows) == ended
        rows = list(audit.rows_lacking(tmp_path / "audit", backup.database))
    seeds = [phones.seed_of(card_no) for card_no in (20, 21, 22, 23)]
    assert seeds == [None, None, old[22], None] and rows == []
    assert phones.bind(20, PROOF, 5)[0] == 3, "no binding is given twice"
    assert check(backup) == [] == check(lost)


@pytest.mark.parametrize("has_audit", [True, False])
def test_a_new_credit_gets_a_number_that_no_card_carries(tmp_path, has_audit):
    """Whoever sends first behind a restore; also where the audit is older than the loss."""
    reader = Reader(1001)
    lost, backup = open_ledger(reader), open_ledger(reader)
    if has_audit:
        entered(lost, backup, tmp_path)
    else:
        assert enter_again(backup, ()) == (0, [])
    credited(lost, reader)
    other = backup.top_ups.top_up(CARD, 500, "B")
    assert other == NUMBERS_APART + 1
    backup.book([reader.records])
    assert backup.balances()["pending", CARD] == 500  # what is on the card is another 500 fen
    assert {reason for reason, *_ in backup.cases()} == {UNKNOWN_CREDIT}
    enter_again(backup, ())  # restored once more
    assert backup.top_ups.top_up(OTHER_CARD, 700, "C") == 2 * NUMBERS_APART + 2
    assert check(backup) == []


def test_what_a_channel_has_paid_in_and_taken_back(tmp_path):
    lost, backup = open_ledger(), open_ledger()
    for store in (lost, backup):  # of before the backup, and cancelled behind it
        store.channel_top_ups.book(Order("ecode", "A-0", CARD, 90, "bank-0", 5), 6)
    lost.channel_top_ups.cancel("ecode", "A-0", 7)
    first = lost.channel_top_ups.book(ORDER, 8)
    lost.channel_top_ups.book(Order("ecode", "A-2", CARD, 80, "bank-2", 5), 9)
    lost.channel_top_ups.cancel("ecode", "A-2", 10)
    lost.channel_top_ups.cancel("ecode", "late", 11)
    assert entered(lost, backup, tmp_path) == (2, [])
    assert backup.dump() == lost.dump()
    assert lacks(backup, tmp_path) == {}
    assert backup.channel_top_ups.book(ORDER, 99) == first
    assert backup.channel_top_ups.cancel("ecode", "late", 99) == Cancelled(11, 0)
    assert backup.channel_top_ups.find("ecode", "A-0").state is State.CANCELLED


def test_what_was_tried_or_proven_behind_the_backup(tmp_path):
    """Of a credit that the backup has, and by a reader that it does not know."""
    known, new = Reader(1001), Reader(1002)
    lost, backup = open_ledger(known, new), open_ledger(known)
    for store in (lost, backup):
        number = store.top_ups.top_up(CARD, 500, "A")
        store.top_ups.top_up(OTHER_CARD, 700, "B")
    for counter, reader in ((1, known), (4, known), (9, new)):
        lost.top_ups.note_try(number, counter, reader.device)
    lost.top_ups.note_try(number + 1, 3, known.device)
    lost.top_ups.note_carried(number + 1, 4, OPENING_FEN + 700, b"\1" * 12)
    assert entered(lost, backup, tmp_path) == (0, [])
    assert backup.top_ups.next_of(CARD, 10).tries == (1, 4)
    assert backup.top_ups.next_of(OTHER_CARD, 4) is None
    assert backup.balances() == lost.balances()
    assert lacks(backup, tmp_path) == {"load_try": 1, "device_key": 1}


def test_what_a_person_has_to_see_to_is_named(tmp_path):
    """And changes nothing: a card that is not issued yet, a carry-over, an audit of before."""
    lost, backup = books(), books()
    for store in (lost, backup):
        lose(store)
        replace(store)
    (carried,) = lost.carry_overs.claim(NEW_CARD, DUE_S)
    lost.issue_card(77, 0)
    late = lost.top_ups.top_up(77, 60, "on a new card")
    before = backup.dump()
    count, left = entered(lost, backup, tmp_path)
    assert count == 0 and backup.dump() == before
    assert [(one.number, one.card_no, one.amount_fen) for one in left] == [
        (carried.number, NEW_CARD, carried.amount_fen),
        (late, 77, 60),
    ]
    assert [one.why for one in left] == [
        "carried over from another card",
        "card 77 was never issued",
    ]
    backup.issue_card(77, 0)
    rows = audit.rows_lacking(tmp_path / "audit", backup.database)
    _count, left = enter_again(backup, [row for row in rows if row[0] != "load"])
    assert [one.why for one in left][1] == "its order is not in the audit"
    assert backup.top_ups.top_up(77, 60, "on a new card", late) == late
    assert lacks(backup, tmp_path)["load"] == 1  # the carry-over's


def test_the_number_of_a_credit_is_said_only_where_one_is_missing():
    store = open_ledger()
    assert [store.top_ups.top_up(CARD, 1, f"{n}") for n in range(3)] == [1, 2, 3]
    for number, said in ((2, "is another order's"), (4, "the next one is 4"), (-1, "no number")):
        with pytest.raises(TopUpRefused, match=said):
            store.top_ups.top_up(CARD, 1, "B", number)
    with pytest.raises(TopUpRefused, match="differently"):
        store.top_ups.top_up(CARD, 1, "0", 2)
    assert store.top_ups.top_up(CARD, 1, "0", 1) == 1
    enter_again(store, ())
    assert store.top_ups.top_up(CARD, 1, "B", 5) == 5
    assert store.top_ups.top_up(CARD, 1, "C") == 3 + NUMBERS_APART + 1
    assert check(store) == []


@pytest.mark.parametrize("told_by", ["its record", "the next one"])
def test_what_readers_have_told_of_is_not_entered_behind_them(tmp_path, told_by):
    """The books ran without it: its card has the money, and would be given it once more."""
    reader = Reader(1001)
    lost, backup = open_ledger(reader), open_ledger(reader)
    number = lost.top_ups.top_up(CARD, 500, "A")
    lost.top_ups.note_try(number, 1, reader.device)
    if told_by == "its record":
        reader.outcome(reader.credit(counter=1, number=number, amount_fen=500))
    else:
        reader.spend(counter=2, last=(CARD_CENTRE, number))
    lost.book([reader.records])
    enter_again(backup, ())  # the audit is elsewhere that day
    backup.book([reader.records])
    before = backup.dump()
    with pytest.raises(TopUpRefused, match="readers have told of it, see case 337"):
        backup.top_ups.top_up(CARD, 500, "A", number)
    count, (left,) = entered(lost, backup, tmp_path)  # a second restore, now with the audit
    assert (count, left.number) == (0, number) and "case 337" in left.why
    assert backup.dump() == before and backup.top_ups.next_of(CARD, 3) is None


def test_a_try_that_the_older_books_do_not_cover_stays_missing(tmp_path):
    """And the money where it is: nothing that is refused ends a restore."""
    reader = Reader(1001)
    lost, backup = open_ledger(reader), open_ledger(reader)
    for store in (lost, backup):
        number = store.top_ups.top_up(CARD, 500, "A")
        store.channel_top_ups.book(Order("ecode", "A-1", CARD, 90, "bank-0", 5), 6)
    lost.top_ups.note_try(number + 1, 1, 1001)
    backup.channel_top_ups.cancel("ecode", "A-1", 7)
    with pytest.raises(NotCovered):
        backup.top_ups.note_try(number + 1, 1, 1001)
    assert entered(lost, backup, tmp_path) == (0, [])
    assert lacks(backup, tmp_path) == {"load_try": 1}
