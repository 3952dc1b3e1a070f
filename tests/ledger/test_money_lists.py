"""Lists that move money: two persons, their own sums, and what the database and checker see."""

import pytest

from ledger import money_rules
from ledger.card_status import CardRefused
from ledger.dialect import ConstraintBroken
from ledger.invariants import check
from ledger.money_lists import NAME_USED, OTHER_SUM, TEXTS, Signature
from ledger.money_schema import MONEY_JOURNALS
from ledger.subsidies import SubsidyLine
from tests.ledger.lives import ACCOUNT, DUE_S, END_S, FILE, NAME, fill, let_go, make_file, pay_in
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, open_ledger
from tests.ledger.tampering import in_its_words, tamper

TAMPERED = {
    "a settlement rests on a proof, or on a person who has named what is not proven": [
        "DELETE FROM settlement_despite"
    ],
    "a list that was done has two signatures, and its sum is that of its lines": [
        "UPDATE money_list SET amount_fen = amount_fen + 1"
    ],
    "a subsidy that is done is one load of its card, with its amount and its name": [
        "UPDATE subsidy_done SET line = 3"
    ],
    "a file of refunds has what two persons have signed, each payment once": [
        "DELETE FROM payout_return",
        "DELETE FROM payout_result",
        "DELETE FROM payout_try WHERE number = 3",
    ],
}


@pytest.fixture
def due():
    """Two refunds of which no bank knows; wang has registered both accounts."""
    store = open_ledger()
    for card_no in (CARD, OTHER_CARD):
        store.payouts.register_payee(card_no, ACCOUNT, NAME, "wang", END_S - 1)
        store.cards.set("close", card_no, END_S, "id-card")
    store.settlements.settle(DUE_S)
    return store


def sign(store, plan, person, file="2026-06", amount_fen=None):
    total_fen = plan.amount_fen if amount_fen is None else amount_fen
    return store.payouts.sign(file, Signature(plan.sha256, total_fen, person, DUE_S))


def refused(reason, call, *words):
    with pytest.raises(CardRefused) as refusal:
        call(*words)
    assert refusal.value.reason == reason, refusal.value
    assert ACCOUNT not in str(refusal.value)


def make(store, plan, file="2026-06", person="li"):
    return store.payouts.make_file(file, plan.sha256, person, DUE_S)


# --- files of refunds --------------------------------------------------------------------------


def test_a_dry_run_says_where_all_the_money_is_and_does_nothing(due):
    before = due.dump()
    plans = [due.payouts.dry_run("2026-06") for _ in range(2)]
    assert plans[0] == plans[1] and due.dump() == before
    assert (plans[0].amount_fen, plans[0].with_bank_fen) == (2 * OPENING_FEN, 0)
    (payment, _other) = make_file(due, "2026-06", "li", DUE_S)
    plan = due.payouts.dry_run("2026-07")
    assert (plan.amount_fen, plan.with_bank_fen, plan.no_account_fen) == (0, 2 * OPENING_FEN, 0)
    due.payouts.note_results([(payment.number, "failed", "")], "li", DUE_S)
    plan = due.payouts.dry_run("2026-07")
    assert (plan.amount_fen, plan.with_bank_fen) == (0, OPENING_FEN)
    assert plan.no_account_fen == OPENING_FEN


def test_no_file_is_made_by_one_signature(due):
    plan = due.payouts.dry_run("2026-06")
    refused(415, make, due, plan)
    for _ in range(2):
        assert sign(due, plan, "sun") == 1
        refused(415, make, due, plan)
    assert sign(due, plan, "qian") == 2
    refused(415, sign, due, plan, "zhao")
    assert due.payouts.signatures(plan.sha256) == ["sun", "qian"]
    for _ in range(2):
        assert len(make(due, plan)) == 2
    assert due.payouts.made("2026-06") == plan.sha256
    assert check(due) == []


def test_who_registers_an_account_neither_signs_nor_makes_its_file(due):
    plan = due.payouts.dry_run("2026-06")
    refused(415, sign, due, plan, "wang")
    for person in ("sun", "qian"):
        sign(due, plan, person)
    refused(415, make, due, plan, "2026-06", "wang")


def test_who_signs_has_the_sum_on_their_own_paper(due):
    plan = due.payouts.dry_run("2026-06")
    refused(OTHER_SUM, sign, due, plan, "sun", "2026-06", OPENING_FEN)
    assert due.payouts.signatures(plan.sha256) == []


@pytest.mark.parametrize("what", ["account", "settlement", "name"])
def test_what_is_made_is_what_was_signed(due, what):
    plan = due.payouts.dry_run("2026-06")
    for person in ("sun", "qian"):
        sign(due, plan, person)
    if what == "account":
        due.payouts.register_payee(CARD, "430102199001012", NAME, "wang", DUE_S)
    elif what == "settlement":
        due.issue_cards([(99, 500)])
        due.payouts.register_payee(99, ACCOUNT, NAME, "wang", END_S)
        due.cards.set("close", 99, END_S, "id-card")
        due.settlements.settle(DUE_S)
    refused(414, make, due, plan, "2026-07" if what == "name" else "2026-06")
    assert list(due.database.rows("SELECT 1 FROM payout_try")) == []


def test_a_name_is_used_up_by_the_file_that_was_made(due):
    (first, _other) = make_file(due, "2026-06", "li", DUE_S)
    due.payouts.note_results([(first.number, "failed", "")], "li", DUE_S)
    due.payouts.register_payee(CARD, "430102199001012", NAME, "wang", DUE_S)
    plan = due.payouts.dry_run("2026-06")
    refused(NAME_USED, sign, due, plan, "sun")
    refused(NAME_USED, make, due, plan)
    assert len(make_file(due, "2026-07", "li", DUE_S)) == 1


def test_nothing_is_nothing_to_sign(due):
    make_file(due, "2026-06", "li", DUE_S)
    plan = due.payouts.dry_run("2026-07")
    refused(414, sign, due, plan, "sun", "2026-07")
    assert make(due, plan, "2026-07") == []


# --- the tables ----------------------------------------------------------------------------------


def filled():
    """Books with something in each table: settled by proof and by a person, both lists."""
    store = open_ledger()
    fill(store)
    store.register_device(1001, bytes(32), 12)
    store.cards.set("close", CARD, END_S, "id-card")
    let_go(store)
    pay_in(store, "2026-12", [SubsidyLine(2, OTHER_CARD, "", 50), SubsidyLine(3, 99, "", 7)])
    store.payouts.register_payee(CARD, ACCOUNT, NAME, "wang", DUE_S)
    make_file(store, "2026-07", "li", DUE_S)
    assert check(store) == []
    return store


def test_every_table_has_something():
    store = filled()
    for table in MONEY_JOURNALS:
        assert list(store.database.rows(f"SELECT 1 FROM {table}")), table
    assert len(set(TEXTS.values())) == len(TEXTS)


@pytest.mark.parametrize(
    "sql",
    [
        *(f"DELETE FROM {table}" for table in MONEY_JOURNALS),
        "UPDATE settlement_basis SET person = 'li' WHERE person <> ''",
        "UPDATE settlement_despite SET device = 7",
        "UPDATE money_line SET amount_fen = 1",
        "UPDATE money_approval SET person = 'li'",
        "INSERT INTO settlement_basis VALUES (99, 1, zeroblob(32), '', '')",
        "INSERT INTO settlement_despite VALUES (1, 1001, 0, 'silent')",
        "INSERT INTO money_approval SELECT sha256, 2, 'sun', 1 FROM money_run",
        "INSERT INTO money_run SELECT 'subsidy', 'again', sha256, 'li', 1 FROM money_list",
        "INSERT INTO money_run SELECT 'refund', 'x', sha256, 'li', 1 FROM money_run",
        "INSERT INTO subsidy_done SELECT sha256, 3, 0, NULL, 1 FROM money_run",
        "INSERT INTO payout_try VALUES (99, 3, 3, 'unsigned', 'li', 1)",
    ],
)
def test_the_database_refuses(sql):
    store = filled()
    before = store.dump()
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows(in_its_words(store, sql))
    assert store.dump() == before


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = filled()
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


def test_every_rule_has_its_tampering():
    assert TAMPERED.keys() == money_rules.RULES.keys()


def test_the_lists_are_of_the_file_that_was_read():
    """The same lines in a file with other bytes are another list."""
    store = open_ledger()
    lines = [SubsidyLine(2, CARD, "", 50)]
    plans = [store.subsidies.dry_run("a", lines, file) for file in (FILE, bytes(32))]
    assert plans[0].findings == plans[1].findings and plans[0].sha256 != plans[1].sha256
