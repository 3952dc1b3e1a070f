"""What a merchant that leaves never pays: written off by two persons, to one bearer, once."""

import json

import pytest

from ledger import chart, debt_rules, procedures, reasons
from ledger.closing import newest
from ledger.debt_schema import DEBT_JOURNALS
from ledger.dialect import ConstraintBroken
from ledger.dossiers import DossierRefused
from ledger.entries import post_recorded
from ledger.health import look
from ledger.invariants import check
from ledger.procedures import Act
from ledger.transfers import CORRECT, Transfer
from tests.ledger.crashes import stop_anywhere
from tests.ledger.ended import POS, SILENT, TIME_S, centre, end, leave, pass_over, pay_all, retire
from tests.ledger.months import CLOSED_S, NEXT_END_S, approve, close, month
from tests.ledger.readers import CANTEEN, KIOSK
from tests.ledger.tampering import tamper

DEBT_FEN = 600
CENTRE, DEPARTMENT = reasons.DEBT_OF_CENTRE, reasons.DEBT_OF_DEPARTMENT


def refused(reason, match=""):
    return pytest.raises(DossierRefused, match=rf"(?s){match}.*\({reason}, ")


def owing(path=":memory:"):
    """(store, dossier): the canteen winds up; paid, then 600 fen were cancelled, all told."""
    store, canteen, _kiosk = month(path)
    number = leave(store)
    close(store)
    pay_all(store)
    canteen.cancel((POS, 1), amount_fen=DEBT_FEN)
    canteen.outcome((POS, canteen.seq))
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    end(store, retire(store))
    pass_over(store, retire(store, SILENT), store.heads()[SILENT])
    return store, number


def in_periods(store, until_s=NEXT_END_S):
    """The next period is closed: every entry so far is in one."""
    name = f"until {until_s}"
    period = close(store, name, until_s, now_s=until_s)
    approve(store, period, time_s=until_s)


def ready(path=":memory:"):
    store, number = owing(path)
    in_periods(store)
    return store, number


def propose(store, number, bearer="department", person="yang", said="it is insolvent"):
    return centre(store, number, "propose", person, said, bearer)


def finance(store, number, verb="write-off", person="tian", shown="600", said=""):
    by = Act("finance", person, shown, said)
    return store.merchants.dossiers.say(number, verb, by, CLOSED_S)


# The first signature, once more, as if a third debt were proposed.
SAME_WORDS = """
INSERT INTO dossier_step SELECT dossier, (SELECT MAX(step) + 1 FROM dossier_step m
    WHERE m.dossier = s.dossier), kind, verb, state_before, state_after, role, act, person,
    evidence, said, given_by, time_s
FROM dossier_step s WHERE verb = 'write-off' AND said = ''"""


def loss_fen(store, reason=DEPARTMENT):
    return -store.balances().get(("loss", reason), 0)


def unchanged(store, reason, match, say, *words, **more):
    before, balances = store.dump(), store.balances()
    with refused(reason, match):
        say(store, *words, **more)
    assert store.dump() == before and store.balances() == balances


def test_two_persons_write_it_off_to_one_bearer_and_the_end_says_so():
    store, number = ready()
    assert store.balances()["merchant", CANTEEN] == -DEBT_FEN
    assert propose(store, number) == "debt-proposed"
    assert loss_fen(store) == 0 and store.balances()["merchant", CANTEEN] == -DEBT_FEN
    total = sum(store.balances().values())
    assert finance(store, number) == "winding-up"
    assert store.balances()["merchant", CANTEEN] == 0
    assert (loss_fen(store), loss_fen(store, CENTRE)) == (DEBT_FEN, 0)
    assert sum(store.balances().values()) == total
    assert look(store.database).loss_fen[DEPARTMENT] == DEBT_FEN
    with refused(procedures.NOT_SETTLED, "1 entries of 600 fen are in no period"):
        centre(store, number, "settle")
    in_periods(store, NEXT_END_S + 60)
    assert centre(store, number, "settle") == "settled"
    statement = newest(store.database, number)
    said = json.loads(statement.report)
    assert said["written_off"] == [[DEPARTMENT, DEBT_FEN]]
    assert (said["paid_in_fen"], said["other_fen"], said["recovered_fen"]) == (0, 0, 0)
    assert centre(store, number, "close", "chen", shown=statement.mark) == "closed"
    assert check(store) == []


@pytest.mark.parametrize(
    ("bearer", "reason"), [("card-centre", CENTRE), ("department", DEPARTMENT)]
)
def test_the_bearer_has_its_own_number(bearer, reason):
    store, number = ready()
    propose(store, number, bearer)
    finance(store, number)
    lost = {one: loss_fen(store, one) for one in reasons.WRITE_OFFS}
    assert lost == {one: DEBT_FEN * (one == reason) for one in reasons.WRITE_OFFS}


def test_what_comes_twice_is_booked_once():
    store, number = ready()
    for _ in range(2):  # the answer was lost
        assert propose(store, number) == "debt-proposed"
    for _ in range(2):
        assert finance(store, number) == "winding-up"
    assert loss_fen(store) == DEBT_FEN and check(store) == []
    unchanged(store, procedures.NOT_SETTLED, "owes nothing", propose, number)
    unchanged(store, procedures.WRONG_STATE, "", finance, number, person="tang")


def test_not_by_the_same_person_twice_and_not_by_another_role():
    store, number = ready()
    unchanged(store, procedures.WRONG_STATE, "", finance, number)  # nobody has proposed it
    propose(store, number)
    unchanged(store, procedures.ANOTHER_PERSON, "yang", finance, number, person="yang")
    # wu has begun the end, qian has signed it.
    for person in ("wu", "qian"):
        unchanged(store, procedures.ANOTHER_PERSON, person, finance, number, person=person)
    unchanged(store, procedures.WRONG_ROLE, "", centre, number, "write-off", "chen", shown="600")
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows(
            f"INSERT INTO write_off SELECT 1, {number}, MAX(step), 1 FROM dossier_step"
            f" WHERE dossier = {number}"
        )
    assert finance(store, number) == "winding-up"


def test_no_proposal_without_a_bearer_and_a_text():
    store, number = ready()
    for bearer in ("", "holder", "merchant"):
        unchanged(store, procedures.NO_EVIDENCE, "evidence", propose, number, bearer)
    unchanged(store, procedures.NO_EVIDENCE, "a text", propose, number, said="")


@pytest.mark.parametrize("shown", ["", "599", "601", "-600", "0600", "6.00", "\u0666\u0660\u0660"])
def test_another_sum_than_was_proposed_is_not_signed(shown):
    store, number = ready()
    propose(store, number)
    unchanged(store, procedures.OTHER_DEBT, "600 fen were", finance, number, shown=shown)
    assert loss_fen(store) == 0


def test_what_is_paid_in_between_is_paid_and_the_rest_proposed_anew():
    """Money comes while it is proposed: it is declined, entered, and only the rest is lost."""
    store, number = ready()
    propose(store, number)
    paid = {"shown": "250", "said": "2026-77"}
    unchanged(store, procedures.WRONG_STATE, "", centre, number, "pay-in", **paid)
    unchanged(store, procedures.NO_EVIDENCE, "a text", finance, number, "decline", shown="")
    said = {"shown": "", "said": "250 fen have come"}
    assert finance(store, number, "decline", **said) == "winding-up"
    centre(store, number, "pay-in", **paid)
    text = "may cover it yet: 1 entries of 250 fen are in no period"
    unchanged(store, procedures.NOT_SETTLED, text, propose, number)
    in_periods(store, NEXT_END_S + 60)
    propose(store, number, said="the rest")
    unchanged(store, procedures.OTHER_DEBT, "350 fen were", finance, number)
    finance(store, number, shown="350")
    assert loss_fen(store) == 350 and store.balances()["merchant", CANTEEN] == 0
    assert check(store) == []


@pytest.mark.parametrize("owed_fen", [500, 700])
def test_what_the_books_get_in_between_is_seen_before_anything_is_signed(owed_fen):
    """Another thing is booked to the merchant between the two persons: nothing is signed."""
    store, number = ready()
    propose(store, number)
    with store.database.transaction():  # as a correction would
        way = chart.BANK, chart.payable(CANTEEN)
        what = *(way if owed_fen < DEBT_FEN else reversed(way)), 100
        post_recorded(store.database, [Transfer(chart.LEDGER_DEVICE, 99, 9, CORRECT, *what)])
    in_periods(store, NEXT_END_S + 60)
    unchanged(store, procedures.OTHER_DEBT, f"600 .* and {owed_fen} are owed", finance, number)


def test_nothing_is_proposed_that_takings_may_cover():
    store, canteen, _kiosk = month()
    number = leave(store)
    unchanged(store, procedures.NOT_SETTLED, "owes nothing", propose, number)
    close(store)
    pay_all(store)
    canteen.cancel((POS, 1), amount_fen=DEBT_FEN)
    store.book([canteen.records])
    text = f"may cover it yet: reader {POS} is in use; 1 entries of -600 fen are in no period"
    unchanged(store, procedures.NOT_SETTLED, text, propose, number)


def test_a_second_debt_of_the_same_sum_is_no_repeat_of_the_first():
    """The same treasurer signs it, in words of its own: a late copy of the first signs nothing."""
    store, number = ready()
    propose(store, number)
    finance(store, number)
    with store.database.transaction():
        what = chart.payable(CANTEEN), chart.EARNED, DEBT_FEN

        post_recorded(store.database, [Transfer(chart.LEDGER_DEVICE, 99, 9, CORRECT, *what)])
    in_periods(store, NEXT_END_S + 60)
    propose(store, number, "card-centre", said="another one")
    unchanged(store, procedures.SAID_OTHERWISE, "in these words before", finance, number)
    finance(store, number, said="the second one")
    assert [loss_fen(store, one) for one in (DEPARTMENT, CENTRE)] == [DEBT_FEN, DEBT_FEN]
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows(SAME_WORDS)


def test_what_comes_behind_a_write_off_is_taken_back_from_who_bore_it():
    store, number = ready()
    propose(store, number)
    finance(store, number)
    bank_fen = store.balances()["clearing", 0]
    more = {"shown": "601", "said": "2026-80"}
    unchanged(store, procedures.NO_EVIDENCE, "600 fen", centre, number, "pay-in", **more)
    for _ in range(2):
        centre(store, number, "pay-in", shown="400", said="2026-80")
    assert loss_fen(store) == 200 and store.balances()["merchant", CANTEEN] == 0
    assert store.balances()["clearing", 0] == bank_fen - 400
    again = {"shown": "201", "said": "2026-81"}
    unchanged(store, procedures.NO_EVIDENCE, "200 fen", centre, number, "pay-in", **again)
    centre(store, number, "pay-in", shown="200", said="2026-81")
    assert loss_fen(store) == 0
    last = {"shown": "1", "said": "2026-82"}
    unchanged(store, procedures.NOT_SETTLED, "owes nothing", centre, number, "pay-in", **last)
    in_periods(store, NEXT_END_S + 60)
    centre(store, number, "settle")
    said = json.loads(newest(store.database, number).report)
    assert said["written_off"] == [[DEPARTMENT, 600]]
    assert (said["recovered_fen"], said["paid_in_fen"], said["other_fen"]) == (600, 600, 0)
    assert check(store) == []


def test_what_comes_for_two_debts_goes_to_each_who_bore_one():
    """The card centre has its money back; what comes then is the department's."""
    store, number = ready()
    propose(store, number, "card-centre")
    finance(store, number)
    with store.database.transaction():
        what = chart.payable(CANTEEN), chart.EARNED, DEBT_FEN
        post_recorded(store.database, [Transfer(chart.LEDGER_DEVICE, 99, 9, CORRECT, *what)])
    in_periods(store, NEXT_END_S + 60)
    propose(store, number, "department", said="another one")
    finance(store, number, said="the second one")
    for receipt, left_fen in (("2026-80", [DEBT_FEN, 0]), ("2026-81", [0, 0])):
        centre(store, number, "pay-in", shown=str(DEBT_FEN), said=receipt)
        assert [loss_fen(store, one) for one in (DEPARTMENT, CENTRE)] == left_fen
    last = {"shown": "1", "said": "2026-82"}
    unchanged(store, procedures.NOT_SETTLED, "owes nothing", centre, number, "pay-in", **last)


def test_a_backup_of_before_the_signature_signs_it_once_more():
    """Yesterday's books, restored: the proposal stands, and the same words come to the same."""
    (store, number), (restored, same) = ready(), ready()
    for books in store, restored:
        propose(books, number)
    assert (number, store.dump()) == (same, restored.dump())
    finance(store, number)
    assert loss_fen(restored) == 0 and check(restored) == []
    assert finance(restored, number) == "winding-up"
    assert restored.dump() == store.dump() and check(restored) == []


# --- a crash at any statement -------------------------------------------------------------------


def ready_to_propose():
    store, number = ready()
    return store, lambda store: propose(store, number)


def ready_to_write_off():
    store, number = ready()
    propose(store, number)
    return store, lambda store: finance(store, number)


def ready_to_recover():
    store, number = ready()
    propose(store, number)
    finance(store, number)
    return store, lambda store: centre(store, number, "pay-in", shown="400", said="2026-80")


@pytest.mark.parametrize("ready", [ready_to_propose, ready_to_write_off, ready_to_recover])
def test_stopped_at_any_statement_then_done_again(ready):
    """Power is gone anywhere in it; whoever gives the command again has it done once."""
    prepared, act = ready()
    stop_anywhere(prepared, act, least=5)


# --- the books -----------------------------------------------------------------------------------

KEYS = {"debt_proposal": "amount_fen", "write_off": "time_s"}
BROKEN_BY = [
    # Of another merchant, of no such reason, of nothing, of a step that is none; signed twice.
    f"INSERT INTO debt_proposal SELECT 9, dossier, step + 1, {KIOSK}, 630, 1 FROM debt_proposal",
    f"INSERT INTO debt_proposal SELECT 9, dossier, 1, {CANTEEN}, 630, 1 FROM debt_proposal",
    f"INSERT INTO debt_proposal SELECT 9, dossier, step, {CANTEEN}, 332, 1 FROM debt_proposal",
    f"INSERT INTO debt_proposal SELECT 9, dossier, step, {CANTEEN}, 630, 0 FROM debt_proposal",
    "INSERT INTO write_off SELECT 9, dossier, step, 1 FROM write_off",
    "INSERT INTO write_off SELECT proposal, dossier, step, 1 FROM write_off",
]
TAMPERED = {
    "what is written off was proposed by one person and signed by another": [
        "UPDATE dossier_step SET person = 'yang' WHERE verb = 'write-off'"
    ],
    "a debt is written off once, to one bearer, all of it": [
        "UPDATE debt_proposal SET reason = 630"
    ],
    "each proposal is a step of its merchant's end, and each such step has one": [
        f"UPDATE debt_proposal SET merchant_no = {KIOSK}"
    ],
    "what comes back of a loss was paid in, and is no more than was lost": [
        "UPDATE transfer SET amount_fen = amount_fen + 300 WHERE kind = 44"
    ],
}


def written_off():
    store, number = ready()
    propose(store, number)
    finance(store, number)
    centre(store, number, "pay-in", shown="400", said="2026-80")
    return store


def test_every_rule_has_its_tampering():
    assert TAMPERED.keys() == debt_rules.RULES.keys()
    assert KEYS.keys() == set(DEBT_JOURNALS)


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = written_off()
    assert check(store) == []
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


def test_the_database_refuses():
    store = written_off()
    before = store.dump()
    for sql in BROKEN_BY:
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.rows(sql)
        assert store.dump() == before, sql
    for table, key in KEYS.items():
        for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET {key} = {key}"):
            with (
                pytest.raises(ConstraintBroken, match="append-only"),
                store.database.transaction(),
            ):
                store.database.rows(sql)
