"""Lost, suspended, closed: who may do what, what is left behind, and what a loss costs whom."""

import sqlite3
from itertools import permutations

import pytest

from ledger import reasons
from ledger.card_status import CAPTURED, VERBS, CardRefused, Loss, changes_of, losses_of
from ledger.dialect import ConstraintBroken
from ledger.invariants import check
from ledger.issuing import issue
from ledger.lifecycle import MAP_STATUS, RULES
from ledger.store import RegistryError
from ledger.topups import TopUpRefused
from protocols.rules.card_status import ACTIVE, CLOSED, LOST, SUSPENDED, change, fold, status_in
from protocols.wire import messages
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger

NOW_S = 1_790_000_000
ID = "id-card"


def ledger(*readers, path=":memory:"):
    return open_ledger(*readers, path=path)


# --- what cannot be ---------------------------------------------------------------------------

WRONG = [
    ((), "unlose"),
    ((), "resume"),
    (("suspend",), "unlose"),
    (("lose",), "suspend"),
    (("lose",), "resume"),
    (("close",), "lose"),
    (("close",), "suspend"),
    (("close",), "resume"),
    (("close",), "unlose"),
]


@pytest.mark.parametrize(("done", "verb"), WRONG)
def test_what_does_not_follow_is_refused(done, verb):
    cards = ledger().cards
    for one in done:
        cards.set(one, CARD, NOW_S, ID)
    before = cards.status(CARD), cards.epoch()
    if (done, verb) == ((), "resume"):
        assert cards.set(verb, CARD, NOW_S, ID) == ACTIVE  # nothing is left to do
    else:
        with pytest.raises(CardRefused, match=f"cannot {verb} it"):
            cards.set(verb, CARD, NOW_S, ID)
    assert (cards.status(CARD), cards.epoch()) == before


@pytest.mark.parametrize("verb", ["unlose", "resume"])
def test_what_is_done_in_person_needs_evidence(verb):
    """R14.3, R15.2: reported from anywhere, undone only with something shown."""
    cards = ledger().cards
    cards.set("lose" if verb == "unlose" else "suspend", CARD, NOW_S)
    for evidence in ("", "ID-CARD", "id card", "430102199001011234", "x" * 33, "证"):
        with pytest.raises(CardRefused, match="evidence"):
            cards.set(verb, CARD, NOW_S, evidence)
    assert cards.epoch() == 1
    assert cards.set(verb, CARD, NOW_S, ID) == ACTIVE


@pytest.mark.parametrize("verb", VERBS)
def test_of_a_card_that_was_never_issued(verb):
    with pytest.raises(CardRefused, match="never issued"):
        ledger().cards.set(verb, 404, NOW_S, ID)


def test_a_card_beyond_the_map():
    store = ledger()
    with pytest.raises(RegistryError, match="numbers are 0 to 16777215"):
        store.issue_cards([(1 << 24, 0)])
    with store.database.transaction():  # as books of before have some
        issue(store.database, {1 << 24: 0})
    with pytest.raises(CardRefused, match="the map ends at"):
        store.cards.set("lose", 1 << 24, NOW_S)


def test_history_is_append_only_and_without_gaps():
    store = ledger()
    store.cards.set("lose", CARD, NOW_S)
    for sql in ("UPDATE card_change SET status = 0", "DELETE FROM card_change"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            list(store.database.rows(sql))
    row = (5, CARD, ACTIVE, NOW_S, "unlose", ID)
    with (
        pytest.raises(ConstraintBroken, match="one epoch follows the other"),
        store.database.transaction(),
    ):
        store.database.many("INSERT INTO card_change VALUES (?, ?, ?, ?, ?, ?)", [row])


# --- what is done -----------------------------------------------------------------------------


def test_each_change_is_an_epoch_and_stays():
    cards = ledger().cards
    assert (cards.epoch(), cards.status(CARD)) == (0, ACTIVE)
    cards.set("lose", CARD, NOW_S)
    cards.set("suspend", OTHER_CARD, NOW_S + 1)
    cards.set("unlose", CARD, NOW_S + 2, ID)
    cards.set("close", OTHER_CARD, NOW_S + 3, ID)
    assert cards.epoch() == 4
    assert cards.history(CARD) == [
        (1, LOST, NOW_S, "lose", ""),
        (3, ACTIVE, NOW_S + 2, "unlose", ID),
    ]
    changes = cards.changes_after(1, 100)
    assert changes == (
        change(OTHER_CARD, SUSPENDED) + change(CARD, ACTIVE) + change(OTHER_CARD, CLOSED)
    )
    assert cards.changes_after(1, 2) == changes[:8]
    card_map = bytearray()
    fold(card_map, cards.changes_after(0, 100))
    assert status_in(card_map[OTHER_CARD // 4], OTHER_CARD) == CLOSED


def test_again_is_nothing_and_the_first_report_counts():
    cards = ledger().cards
    for later_s in (0, 60, 3_600):
        assert cards.set("lose", CARD, NOW_S + later_s) == LOST
    assert cards.epoch() == 1
    assert cards.history(CARD)[0][2] == NOW_S


def test_who_finds_a_suspended_card_again_has_a_suspended_card():
    cards = ledger().cards
    for verb in ("suspend", "lose", "unlose"):
        cards.set(verb, CARD, NOW_S, ID)
    assert cards.status(CARD) == SUSPENDED


def test_a_restart_forgets_nothing(tmp_path):
    path = str(tmp_path / "ledger.sqlite")
    store = ledger(path=path)
    store.cards.set("lose", CARD, NOW_S)
    store.close()
    assert ledger(path=path).cards.status(CARD) == LOST


# --- a merchant withholds a card (R19.4) ------------------------------------------------------


def capture(reader, card_no=CARD, when=(NOW_S, NOW_S + 1)):
    return reader.write(
        messages.CAPTURE, card_no=card_no, reason=226, earliest_s=when[0], latest_s=when[1]
    )


def test_a_withheld_card_is_suspended_at_once():
    reader = Reader(1)
    store = ledger(reader)
    store.book([[capture(reader)]])
    assert store.cards.status(CARD) == SUSPENDED
    assert store.cards.history(CARD) == [(1, SUSPENDED, NOW_S, CAPTURED, "record 1/1")]
    assert store.cases() == [(reasons.CARD_CAPTURED, 1, 1)]
    store.book([reader.records])
    assert store.cards.epoch() == 1


@pytest.mark.parametrize("verb", ["lose", "close"])
def test_what_is_worse_stays(verb):
    reader = Reader(1)
    store = ledger(reader)
    store.cards.set(verb, CARD, NOW_S, ID)
    store.book([[capture(reader, when=(NOW_S + 60, NOW_S + 61))]])
    assert store.cards.status(CARD) == MAP_STATUS[RULES[verb].after]
    assert store.cases() == [(reasons.CARD_CAPTURED, 1, 1)]


def test_a_capture_that_comes_late_does_not_undo_what_the_centre_has_done_since():
    first, second = Reader(1), Reader(2)
    store = ledger(first, second)
    store.book([[capture(first)]])
    store.cards.set("resume", CARD, NOW_S + 3_600, ID)
    store.book([[capture(second, when=(NOW_S + 10, NOW_S + 11))]])
    assert store.cards.status(CARD) == ACTIVE
    store.book([[capture(first, when=(NOW_S + 7_200, NOW_S + 7_201))]])
    assert store.cards.status(CARD) == SUSPENDED


@pytest.mark.parametrize("card_no", [404, 0xFFFFFFFF])
def test_a_capture_of_a_card_that_nobody_issued_is_a_case_only(card_no):
    reader = Reader(1)
    store = ledger(reader)
    store.book([[capture(reader, card_no)]])
    assert (store.cards.epoch(), store.cases()) == (0, [(reasons.CARD_CAPTURED, 1, 1)])


# --- who bears it (R14.2b) --------------------------------------------------------------------

LOSS = Loss(NOW_S, NOW_S + 100)
TIMES = [
    ((NOW_S - 10, NOW_S - 1), False),
    ((NOW_S - 10, NOW_S), True),
    ((NOW_S, NOW_S), True),
    ((NOW_S + 50, NOW_S + 51), True),
    ((NOW_S + 99, NOW_S + 300), True),
    ((NOW_S + 100, NOW_S + 101), False),
    ((0, 0xFFFFFFFF), True),
]


@pytest.mark.parametrize(("when", "is_case"), TIMES)
def test_a_spend_that_may_have_come_after_the_report_is_booked_and_a_case(when, is_case):
    reader = Reader(1)
    store = ledger(reader)
    store.cards.set("lose", CARD, LOSS.from_s)
    store.cards.set("unlose", CARD, LOSS.until_s, ID)
    before_fen = store.holder_balance(CARD)
    record = reader.spend(earliest_s=when[0], latest_s=when[1])
    store.book([reader.records])
    assert store.holder_balance(CARD) == before_fen - 100
    assert store.cases() == ([(reasons.SPENT_WHILE_LOST, *record)] if is_case else [])
    assert check(store) == []


def test_in_whatever_order_its_records_come():
    """An intent of after the report, a second card's, an outcome that comes first: one case."""
    reader, other = Reader(1), Reader(2)
    late = reader.intent(counter=1, earliest_s=NOW_S + 5, latest_s=NOW_S + 6)
    reader.outcome(late, messages.UNKNOWN)
    # The card itself tells of it, at another reader.
    other.intent(counter=2, last=late, amount_fen=7, earliest_s=NOW_S - 9, latest_s=NOW_S - 8)
    found = set()
    for order in permutations([[r] for r in (*reader.records, *other.records)]):
        store = ledger(reader, other)
        store.cards.set("lose", CARD, NOW_S)
        for delivery in order:
            store.book([delivery])
        found.add(store.dump())
        assert store.cases() == [(reasons.SPENT_WHILE_LOST, *late)]
    assert len(found) == 1


def test_a_debit_that_was_not_and_a_pin_try_cost_nobody_anything():
    reader = Reader(1)
    store = ledger(reader)
    store.cards.set("lose", CARD, NOW_S)
    when = {"earliest_s": NOW_S + 5, "latest_s": NOW_S + 6}
    reader.outcome(reader.intent(**when), messages.NOT_COMMITTED)
    reader.spend(counter=2, amount_fen=0, flags=messages.FLAG_TRY, **when)
    store.book([reader.records])
    assert store.cases() == []


def test_a_closed_card_stays_lost_for_whoever_spends_it():
    store = ledger()
    store.cards.set("lose", CARD, NOW_S)
    store.cards.set("close", CARD, NOW_S + 50, ID)
    store.cards.set("close", OTHER_CARD, NOW_S, ID)
    assert losses_of(changes_of(store.database, [CARD, OTHER_CARD, 404])) == {CARD: [Loss(NOW_S)]}


def test_lost_twice():
    store = ledger()
    for verb, time_s in (("lose", 1), ("unlose", 2), ("lose", 3)):
        store.cards.set(verb, CARD, NOW_S + time_s, ID)
    found = losses_of(changes_of(store.database, [CARD]))
    assert found == {CARD: [Loss(NOW_S + 1, NOW_S + 2), Loss(NOW_S + 3)]}


# --- money that is paid in --------------------------------------------------------------------


def test_what_is_paid_in_for_a_lost_card_waits_and_for_a_closed_one_is_refused():
    store = ledger()
    number = store.top_ups.top_up(CARD, 500, "order-1")
    store.cards.set("lose", CARD, NOW_S)
    assert store.top_ups.top_up(CARD, 700, "order-2") == number + 1
    store.cards.set("close", CARD, NOW_S, ID)
    with pytest.raises(TopUpRefused, match="is closed"):
        store.top_ups.top_up(CARD, 700, "order-3")
    assert store.top_ups.top_up(CARD, 700, "order-2") == number + 1
    assert check(store) == []
