"""Lists of cards: what a dry run says, two signatures under it, and each line done once."""

import hashlib
from dataclasses import replace

import pytest

from ledger import lifecycle
from ledger.batches import GraduationLine, IssueLine
from ledger.card_status import CardRefused
from ledger.carry_over import AFTER_S
from ledger.dialect import ConstraintBroken
from ledger.holders import Holder
from ledger.invariants import check
from ledger.lifecycle import Act
from protocols.rules.card_status import CARD_NO_MAX
from protocols.rules.spending import STAFF, STUDENT
from tests.ledger.checkout import Checkout
from tests.ledger.lives import STAFF_BY, let_go, make_file
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.test_quiescence import inspect

NOW_S = 1_790_000_000
FIRST, LAST = 20_000, 21_000
FILE = hashlib.sha256(b"the file").digest()
BY = Act(evidence="id-card", person="wang")
CARDS = (50, 51, 52, 53)
ACCOUNT = "430102199001011"


def who(card_no, kind=STUDENT):
    return Holder(f"N{card_no}", kind, "Nursing")


def freshmen(*cards):
    cards = cards or CARDS
    days = FIRST, LAST
    return [IssueLine(2 + at, card_no, who(card_no), days) for at, card_no in enumerate(cards)]


def graduates(*cards):
    return [
        GraduationLine(2 + at, card_no, f"N{card_no}", ACCOUNT, "张三")
        for at, card_no in enumerate(cards or CARDS)
    ]


def sign_both(store, kind, lines, file=FILE):
    plan = store.batches.dry_run(kind, lines, file)
    for person in ("wang", "li"):
        store.batches.sign(kind, lines, file, plan.sha256, person, NOW_S)
    return plan


def do(store, kind, lines):
    plan = sign_both(store, kind, lines)
    return store.batches.run(kind, lines, FILE, plan.sha256, "wang", NOW_S)


def with_students(*readers):
    """Four students with 10 yuan each."""
    store = open_ledger(*readers)
    store.issue_cards([(card_no, 1_000) for card_no in CARDS])
    for card_no in CARDS:
        store.holders.open(card_no, who(card_no), (FIRST, LAST), NOW_S, BY)
    return store


def reasons(findings):
    return [finding.reason for finding in findings]


def test_a_dry_run_does_nothing_and_says_the_same_again():
    store = open_ledger()
    before = store.dump()
    plans = [store.batches.dry_run("issue", freshmen(), FILE) for _ in range(2)]
    assert plans[0] == plans[1] and reasons(plans[0].findings) == [0] * 4
    assert store.dump() == before


def test_a_list_of_freshmen_is_opened_once():
    store = open_ledger()
    plan = sign_both(store, "issue", freshmen())
    for _ in range(2):
        found = store.batches.run("issue", freshmen(), FILE, plan.sha256, "wang", NOW_S)
        assert reasons(found) == [0] * 4
        assert [store.cards.state(card_no) for card_no in CARDS] == ["active"] * 4
        assert store.cards.epoch() == 8  # each is issued and opened, once
    assert store.holders.card_of("N50") == 50
    assert check(store) == []


def test_what_contradicts_is_told_and_keeps_no_other_line_back():
    store = open_ledger()
    store.holders.issue(50, NOW_S)
    store.holders.open(50, who(51), (FIRST, LAST), NOW_S, BY)
    found = do(store, "issue", freshmen(50, 51, 52, CARD))
    assert reasons(found) == [411, 418, 0, 411]
    assert [store.cards.state(card_no) for card_no in (51, 52)] == ["absent", "active"]
    assert check(store) == []


def test_the_same_person_or_card_twice_is_neither():
    lines = freshmen(50, 51, 52)
    lines.append(replace(lines[0], line=5, card_no=53))
    lines.append(replace(lines[1], line=6, holder=who(54)))
    plan = open_ledger().batches.dry_run("issue", lines, FILE)
    assert reasons(plan.findings) == [418, 418, 0, 418, 418]


def test_who_has_a_payment_by_code_under_way_does_not_graduate_yet():
    reader = Reader(1001)
    checkout = Checkout(reader)
    store = checkout.store
    store.holders.open(CARD, who(CARD), (FIRST, LAST), NOW_S, BY)
    assert checkout.ask(reader, amount_fen=100)["reason"] == 0
    plan = store.batches.dry_run("graduation", graduates(CARD), FILE)
    assert reasons(plan.findings) == [lifecycle.MONEY_IN_THE_AIR] and plan.amount_fen == 0
    reader.code_sale(1, 100)
    checkout.book(reader)
    plan = store.batches.dry_run("graduation", graduates(CARD), FILE)
    assert reasons(plan.findings) == [0]


@pytest.mark.parametrize("card_no", [CARD_NO_MAX + 5, -3])
def test_a_number_that_no_card_has_keeps_no_other_line_back(card_no):
    found = do(store := open_ledger(), "issue", freshmen(50, card_no, 52))
    assert reasons(found) == [0, 410, 0]
    assert [store.cards.state(card) for card in (50, 52)] == ["active"] * 2
    assert check(store) == []


@pytest.mark.parametrize("kind", ["issue", "graduation"])
def test_nor_does_one_that_no_database_holds(kind):
    lines = (freshmen if kind == "issue" else graduates)(1 << 70)
    assert reasons(open_ledger().batches.dry_run(kind, lines, FILE).findings) == [410]


# --- signatures --------------------------------------------------------------------------------


def test_one_signature_does_nothing():
    store = open_ledger()
    plan = store.batches.dry_run("issue", freshmen(), FILE)
    for signed in (0, 1, 1):
        with pytest.raises(CardRefused, match=r"nobody has signed|takes another one"):
            store.batches.run("issue", freshmen(), FILE, plan.sha256, "wang", NOW_S)
        count = store.batches.sign("issue", freshmen(), FILE, plan.sha256, "wang", NOW_S)
        assert count == 1 and signed <= count
    assert store.batches.signatures(plan.sha256) == ["wang"]
    row = (plan.sha256, 2, 0, NOW_S)
    with pytest.raises(ConstraintBroken, match="one signature"), store.database.transaction():
        store.database.many("INSERT INTO batch_done VALUES (?, ?, ?, ?)", [row])


@pytest.mark.parametrize("what", ["line", "file", "books", "kind"])
def test_what_is_signed_is_that_dry_run_and_no_other(what):
    store = with_students()
    lines, file, kind = graduates(), FILE, "graduation"
    plan = store.batches.dry_run(kind, lines, file)
    store.batches.sign(kind, lines, file, plan.sha256, "wang", NOW_S)
    if what == "line":
        lines = lines[:3]
    elif what == "file":
        file = hashlib.sha256(b"with another account").digest()
    elif what == "kind":
        kind = "issue"
    else:
        store.cards.set("suspend", 52, NOW_S)
    with pytest.raises(CardRefused, match="another dry run"):
        store.batches.sign(kind, lines, file, plan.sha256, "li", NOW_S)


@pytest.mark.parametrize("what", ["file", "line"])
def test_what_is_run_is_what_was_signed(what):
    store = with_students()
    plan = sign_both(store, "graduation", graduates())
    file = hashlib.sha256(b"with another account").digest() if what == "file" else FILE
    sha256 = plan.sha256 if what == "file" else bytes(32)
    with pytest.raises(CardRefused, match="nobody has signed"):
        store.batches.run("graduation", graduates(), file, sha256, "wang", NOW_S)
    assert [store.cards.state(card_no) for card_no in CARDS] == ["active"] * 4


def test_a_third_signature_is_none():
    store = open_ledger()
    plan = sign_both(store, "issue", freshmen())
    with pytest.raises(CardRefused, match="signed it already"):
        store.batches.sign("issue", freshmen(), FILE, plan.sha256, "sun", NOW_S)


# --- graduation (R15.4) --------------------------------------------------------------------------


def test_graduates_get_what_is_left_when_it_is_due():
    reader = Reader(1001)
    store = with_students(reader)
    plan = sign_both(store, "graduation", graduates())
    assert plan.amount_fen == 4 * 1_000
    reader.spend(card_no=50, amount_fen=300, before_fen=1_000)
    store.book([reader.records])  # lunch between the signatures and the run changes no line
    for _ in range(2):
        found = store.batches.run("graduation", graduates(), FILE, plan.sha256, "wang", NOW_S)
        assert reasons(found) == [0] * 4
        assert [store.cards.state(card_no) for card_no in CARDS] == ["closed"] * 4
        assert store.cards.epoch() == 4
    inspect(reader, NOW_S)
    store.book([reader.records])
    store.settlements.settle(NOW_S + AFTER_S)
    payments = make_file(store, "2026-06", "li", NOW_S + AFTER_S)
    assert [payment.amount_fen for payment in payments] == [700, 1_000, 1_000, 1_000]
    store.payouts.note_results([(p.number, "paid", "") for p in payments], "li", NOW_S)
    assert store.balances()["payout", 50] == 0
    assert check(store) == []


def test_a_graduate_whose_card_was_lost_pays_nothing_of_after_the_report():
    reader = Reader(1001)
    reader.spend(card_no=50, amount_fen=700, earliest_s=NOW_S - 30, latest_s=NOW_S - 29)
    store = with_students(reader)
    store.cards.set("lose", 50, NOW_S - 60)
    store.book([reader.records])
    assert reasons(do(store, "graduation", graduates(50))) == [0] and check(store) == []
    let_go(store, NOW_S + AFTER_S)
    assert store.balances()["payout", 50] == 1_000 and check(store) == []


def test_each_thing_the_books_contradict_has_its_number():
    reader = Reader(1001)
    store = with_students(reader)
    store.cards.set("suspend", 50, NOW_S)
    reader.spend(card_no=51, amount_fen=9_000, before_fen=9_000)
    store.book([reader.records])
    store.holders.issue(60, NOW_S)
    store.holders.open(60, who(60, STAFF), (FIRST, LAST), NOW_S, STAFF_BY)
    lines = [*graduates(50, 51, 52, 60, CARD, 99), GraduationLine(9, 53, "N98", ACCOUNT, "李四")]
    plan = store.batches.dry_run("graduation", lines, FILE)
    assert reasons(plan.findings) == [411, 417, 0, 411, 418, 410, 418]
    assert all(finding.reason in (0, *lifecycle.TEXTS) for finding in plan.findings)
    assert not any("N5" in finding.text for finding in plan.findings)
    found = do(store, "graduation", lines)
    assert reasons(found) == reasons(plan.findings)
    assert [store.cards.state(card_no) for card_no in (51, 52)] == ["active", "closed"]
    assert check(store) == []


def test_who_leaves_too_and_is_not_in_the_list_is_named():
    store = with_students()
    store.holders.issue(60, NOW_S)
    store.holders.open(60, who(60), (FIRST, LAST + 1), NOW_S, BY)  # a year below
    assert store.batches.dry_run("graduation", graduates(50, 52), FILE).missing == (51, 53)


def test_a_card_that_changes_between_signature_and_run_is_left():
    store = with_students()
    plan = sign_both(store, "graduation", graduates())
    store.cards.set("freeze", 51, NOW_S, "withdrawal-notice")
    for _ in range(2):
        found = store.batches.run("graduation", graduates(), FILE, plan.sha256, "wang", NOW_S)
        assert reasons(found) == [0, 411, 0, 0]
    assert store.cards.state(51) == "frozen"
    assert list(store.database.rows("SELECT card_no FROM payee ORDER BY card_no")) == [
        (50,),
        (52,),
        (53,),
    ]
    assert check(store) == []
