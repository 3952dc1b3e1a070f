"""Subsidies: compared with the books, signed by two, each line once, whatever stops between."""

import pytest

from adapters.sqlite import open_database
from ledger.card_status import CardRefused
from ledger.dialect import SqliteDialect
from ledger.holders import Holder
from ledger.invariants import check
from ledger.money_lists import BOOKED_DIFFERENTLY, NAME_USED, OTHER_SUM, TWICE, Signature
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from ledger.subsidies import Became, SubsidyLine
from ledger.topups import TopUpRefused
from protocols.rules.spending import STUDENT
from tests.ledger.crashes import stop_anywhere
from tests.ledger.lives import BY, FILE, pay_in
from tests.ledger.readers import Reader, open_ledger

NOW_S = 1_000_000
CARDS = (50, 51, 52)


def fill(store):
    store.issue_cards([(card_no, 0) for card_no in CARDS])
    for card_no in CARDS:
        who = Holder(f"N{card_no}", STUDENT, "Nursing")
        store.holders.open(card_no, who, (1, 2), NOW_S, BY)
    return store


@pytest.fixture
def store():
    """Three students, N50 to N52, with nothing on their cards."""
    return fill(open_ledger(Reader(1001)))


def lines_of(*cards, amount_fen=5_000):
    return [
        SubsidyLine(2 + at, card_no, f"N{card_no}", amount_fen) for at, card_no in enumerate(cards)
    ]


def pending(store):
    balances = store.balances()
    return [balances.get(("pending", card_no), 0) for card_no in CARDS]


def reasons(findings):
    return [one.reason for one in findings]


def test_a_dry_run_moves_nothing_and_says_the_same_again(store):
    before = store.dump()
    plans = [store.subsidies.dry_run("a", lines_of(*CARDS), FILE) for _ in range(2)]
    assert plans[0] == plans[1] and plans[0].amount_fen == 15_000
    assert store.dump() == before


def test_each_line_is_paid_in_once_by_two_signatures(store):
    lines = lines_of(*CARDS)
    for _ in range(2):
        assert reasons(pay_in(store, "2026-11", lines)) == [0, 0, 0]
        assert pending(store) == [5_000] * 3
    assert store.balances()["clearing", 0] == -20_000 - 15_000
    assert store.subsidies.became("2026-11") == Became((0, 0), (0, 0), (3, 15_000), (0, 0))
    assert check(store) == []


def test_one_signature_and_another_sum_pay_nothing(store):
    lines = lines_of(*CARDS)
    plan = store.subsidies.dry_run("a", lines, FILE)
    with pytest.raises(CardRefused) as refusal:
        store.subsidies.sign("a", lines, FILE, Signature(plan.sha256, 15_001, "sun", NOW_S))
    assert refusal.value.reason == OTHER_SUM
    for _ in range(2):
        with pytest.raises(CardRefused) as refusal:
            pay_in(store, "a", lines, signers=("sun", "sun"))
        assert refusal.value.reason == 415
    assert pending(store) == [0, 0, 0] and store.subsidies.became("a") is None


def test_what_the_books_contradict_is_told_and_keeps_no_other_line_back(store):
    store.cards.set("close", 52, NOW_S, "id-card")
    store.holders.issue(53, NOW_S)
    lines = [
        *lines_of(50, 52, 53, 99),
        SubsidyLine(6, 51, "N50", 100),
        SubsidyLine(7, 7, "N7", 100),  # nobody's, say the books
        SubsidyLine(8, 8, "", 100),
    ]
    assert reasons(pay_in(store, "a", lines)) == [0, 411, 411, 410, 418, 418, 0]
    assert pending(store) == [5_000, 0, 0]
    found = store.subsidies.became("a")
    assert (found.left, found.waiting) == ((5, 15_200), (2, 5_100))
    assert check(store) == []


def test_a_card_that_stands_there_twice_gets_nothing(store):
    assert reasons(pay_in(store, "a", lines_of(50, 51, 50))) == [TWICE, 0, TWICE]
    assert pending(store) == [0, 5_000, 0]


def test_a_lost_card_s_money_waits_and_a_replaced_card_is_said_to_be(store):
    store.cards.set("lose", 50, NOW_S)
    assert reasons(pay_in(store, "a", lines_of(50))) == [0]
    store.issue_cards([(60, 0)])
    store.reissues.reissue(50, 60, NOW_S, "id-card")
    plan = store.subsidies.dry_run("b", lines_of(50), FILE)
    assert plan.findings[0].text == "was replaced by card 60"
    store.carry_overs.sweep(NOW_S)
    assert store.balances()["pending", 60] == 5_000
    assert store.subsidies.became("a").on_cards == (1, 5_000)
    assert check(store) == []


def test_what_changed_behind_the_signatures_is_left(store):
    lines = lines_of(50, 51)
    plan = store.subsidies.dry_run("a", lines, FILE)
    for person in ("sun", "qian"):
        signature = Signature(plan.sha256, plan.amount_fen, person, NOW_S)
        store.subsidies.sign("a", lines, FILE, signature)
    store.cards.set("close", 51, NOW_S, "id-card")
    for _ in range(2):
        found = store.subsidies.run("a", lines, FILE, plan.sha256, "li", NOW_S)
        assert reasons(found) == [0, 411]
    assert pending(store) == [5_000, 0, 0]
    assert check(store) == []


@pytest.mark.parametrize("what", ["amount", "file", "name", "line"])
def test_what_is_run_is_what_was_signed(store, what):
    lines, name, file = lines_of(50, 51), "a", FILE
    plan = store.subsidies.dry_run(name, lines, file)
    for person in ("sun", "qian"):
        signature = Signature(plan.sha256, plan.amount_fen, person, NOW_S)
        store.subsidies.sign(name, lines, file, signature)
    if what == "amount":
        lines[0] = SubsidyLine(2, 50, "N50", 9_000)
    elif what == "file":
        file = bytes(32)
    elif what == "name":
        name = "b"
    else:
        lines.append(SubsidyLine(4, 52, "N52", 5_000))
    with pytest.raises(CardRefused, match="another dry run"):
        store.subsidies.run(name, lines, file, plan.sha256, "li", NOW_S)
    assert pending(store) == [0, 0, 0]


def test_a_name_is_used_up(store):
    pay_in(store, "a", lines_of(50))
    with pytest.raises(CardRefused) as refusal:
        pay_in(store, "a", lines_of(51, 52))
    assert refusal.value.reason == NAME_USED


def test_lines_of_before_there_were_signatures_are_not_booked_again(store):
    store.top_ups.top_up(50, 5_000, "subsidy/a/2")
    store.top_ups.top_up(51, 9_999, "subsidy/a/3")
    assert reasons(pay_in(store, "a", lines_of(*CARDS))) == [0, BOOKED_DIFFERENTLY, 0]
    assert pending(store) == [5_000, 9_999, 5_000]
    assert check(store) == []


def test_what_is_typed_by_hand_is_no_line_of_a_list(store):
    """Or the line would count as paid in, and its holder lack the money of one of both."""
    before = store.dump()
    for name in ("a", "b"):
        with pytest.raises(TopUpRefused, match="that of a line of a list"):
            store.top_ups.top_up(50, 5_000, f"subsidy/{name}/2", person="wang", time_s=NOW_S)
        with pytest.raises(TopUpRefused, match="that of a line of a list"):
            store.top_ups.propose(50, 5_000, f"subsidy/{name}/2", "wang", NOW_S)
    assert store.dump() == before
    store.top_ups.top_up(50, 5_000, "till-7", person="wang", time_s=NOW_S)
    pay_in(store, "a", lines_of(50))
    assert store.balances()["pending", 50] == 10_000 and check(store) == []


def test_stopped_at_any_statement_then_run_again():
    store = LedgerStore(SqliteDialect(open_database(":memory:", MIGRATIONS)))
    fill(store)
    stop_anywhere(
        store, lambda books: pay_in(books, "a", lines_of(*CARDS)), least=60, check_each=9
    )
