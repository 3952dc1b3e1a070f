"""What comes when a merchant is closed: paid to it by the next period, or it is opened again."""

import json

import pytest

from ledger import closing, procedures, reasons
from ledger.acquirer import Said, Word
from ledger.bearers import Bearer
from ledger.closing import newest, outside
from ledger.dialect import ConstraintBroken, SqliteDialect
from ledger.doctor import examine
from ledger.dossiers import DossierRefused
from ledger.invariants import check
from ledger.merchant_entries import ENTRIES
from ledger.procedures import Act
from ledger.reservations import Settled
from tests.ledger import acquiring
from tests.ledger.campus import campus
from tests.ledger.campus import fill as fill_campus
from tests.ledger.crashes import stop_anywhere
from tests.ledger.ended import POS, SILENT, TIME_S, centre, end, leave, pass_over, pay_all, retire
from tests.ledger.ended import fill as fill_ends
from tests.ledger.ended import settled as ready_to_settle
from tests.ledger.months import (
    CLOSED_S,
    DAY_S,
    END_S,
    NEXT_END_S,
    OTHER_ACCOUNT,
    close,
    month,
    pays_for_nobody,
    register,
)
from tests.ledger.readers import CANTEEN, KIOSK, Reader
from tests.ledger.replaced import AFTER, DUE_S, NEW_CARD, replaced
from tests.ledger.tampering import tamper

BEHIND = "money behind a merchant's end"


def refused(reason, match=""):
    return pytest.raises(DossierRefused, match=rf"(?s){match}.*\({reason}, ")


def told(store):
    """What the doctor has found of merchants that are closed."""
    return [one.text for one in examine(store, NEXT_END_S) if one.about == BEHIND]


def closed():
    """(store, pos of the canteen, that of the kiosk, dossier): the canteen is closed, all paid."""
    store, canteen, kiosk, number = ready_to_settle()
    centre(store, number, "settle")
    close_it(store, number)
    assert told(store) == []
    return store, canteen, kiosk, number


def close_it(store, number, person="chen"):
    mark = newest(store.database, number).mark
    assert centre(store, number, "close", person, shown=mark) == "closed"


def next_period(store, until_s=NEXT_END_S, number=2):
    """Closed over whoever is silent, approved; what it comes to is with the bank, and paid."""
    places = [(one.device, one.seq) for one in store.periods.quiet(until_s)[1]]
    if places:
        store.periods.decide(until_s, places, "zhou", "broken still", until_s)
    close(store, f"until {until_s}", until_s, now_s=until_s)
    pay_all(store, number)


def corrected(store, reason, place, bearer, whose=None):
    """Two persons have decided who bears it."""
    case = store.corrections.case(reason, *place)
    proposal = store.corrections.propose(case, bearer, "wang", "seen", CLOSED_S, whose=whose)
    mark = store.corrections.mark(case, proposal)
    store.corrections.approve(proposal.number, mark, "li", CLOSED_S)


def owing():
    """The canteen is closed, and owes 30 fen: what another reader took wrongly is its to bear."""
    store, canteen, kiosk, number = closed()
    spend = kiosk.sell(30, END_S + DAY_S, after_fen=5)
    store.book([kiosk.records])
    corrected(store, reasons.BAD_ARITHMETIC, spend, Bearer.MERCHANT, CANTEEN)
    assert store.balances()["merchant", CANTEEN] == -30
    return store, canteen, kiosk, number


# --- what is due to it ---------------------------------------------------------------------------


def test_a_sale_that_its_reader_tells_behind_the_end_is_paid_to_it():
    store, canteen, _kiosk, number = closed()
    first = canteen.seq
    spend = canteen.sell(30, END_S - 2)
    store.book([canteen.records[first:]])
    assert store.balances()["merchant", CANTEEN] == 0
    corrected(store, reasons.TOLD_AFTER_ITS_END, spend, Bearer.HOLDER)
    due = "30 fen are due to it by no approved period"
    assert told(store) == [f"merchant {CANTEEN} (dossier {number}): {due}"]
    next_period(store)
    (due,) = [one for one in store.periods.due(2) if one.merchant_no == CANTEEN]
    assert (due.due_fen, due.other_fen) == (30, 30)
    assert store.balances()["merchant", CANTEEN] == store.balances()["remittance", CANTEEN] == 0
    assert told(store) == [] and check(store) == []


def test_what_the_bank_sends_back_behind_the_end_waits_for_another_account():
    store, _canteen, _kiosk, number = closed()
    payments = store.periods.payments
    sql = "SELECT t.number FROM remittance_try t JOIN period_merchant m ON m.number = t.due"
    ((paid,),) = list(store.database.rows(f"{sql} WHERE m.merchant_no = ?", (CANTEEN,)))
    payments.note_results([(paid, "returned", "account closed")], "qian", CLOSED_S)
    text = f"merchant {CANTEEN} (dossier {number}): 900 fen are on their way to its bank"
    assert told(store) == [text]
    assert payments.make_file("again", "sun", CLOSED_S) == []  # that account was tried
    register(store, CANTEEN, OTHER_ACCOUNT)
    (one,) = payments.make_file("again, to another", "sun", CLOSED_S)
    assert (one.owner, one.amount_fen, one.account_no) == (CANTEEN, 900, OTHER_ACCOUNT)
    payments.note_results([(one.number, "paid", "")], "qian", CLOSED_S)
    assert told(store) == [] and check(store) == []
    assert store.merchants.dossiers.dossier(number).state == "closed"


def test_what_an_acquirer_says_behind_the_end_is_between_it_and_the_payer():
    """The order was decided before the end, by a person: its late answer moves nothing of ours."""
    pos = Reader(POS)
    shop = acquiring.Acquiring(pos)
    store = shop.store
    assert shop.heard(pos, shop.asked(pos, amount_fen=250)) is not None
    ((order,),) = [store.acquirer_orders.open_since(0xFFFFFFFF)]
    pass_over(store, retire(store), 0)
    number = leave(store)
    with refused(procedures.NOT_SETTLED, "payment 1 by code, of 250 fen, is undecided"):
        centre(store, number, "settle")
    store.acquirer_orders.settle(order.number, Settled.VOID, "sun", TIME_S)
    centre(store, number, "settle")
    close_it(store, number)
    before = store.balances()
    store.acquirer_orders.hear(order.number, Said(Word.CONFIRMED), NEXT_END_S)
    assert (reasons.CHARGED_NOT_SOLD, POS, 1) in store.cases()
    assert store.balances() == before and told(store) == [] and check(store) == []


# --- what it owes, or pays -----------------------------------------------------------------------


def test_what_it_owes_behind_the_end_opens_it_again_until_it_has_paid():
    store, _canteen, _kiosk, number = owing()
    first = newest(store.database, number)
    assert told(store) == [f"merchant {CANTEEN} (dossier {number}): it owes 30 fen"]
    paid = {"shown": "30", "said": "2026-90"}
    with refused(procedures.WRONG_STATE):
        centre(store, number, "pay-in", **paid)
    for _ in range(2):  # the answer was lost
        assert centre(store, number, "reopen", said="30 fen came") == "winding-up"
    assert told(store) == []
    for _ in range(2):
        centre(store, number, "pay-in", **paid)
    assert store.balances()["merchant", CANTEEN] == 0
    with refused(procedures.NOT_SETTLED, "2 entries of 0 fen are in no period"):
        centre(store, number, "settle")
    next_period(store)
    assert reasons.PAID_AFTER_ITS_END not in [reason for reason, *_ in store.cases()]
    centre(store, number, "settle")
    second = newest(store.database, number)
    said = json.loads(second.report)
    assert (said["paid_in_fen"], said["other_fen"], said["sales_fen"]) == (30, -30, 900)
    with refused(procedures.SAID_OTHERWISE, "before"):  # a late copy of the first closing
        centre(store, number, "close", "chen", shown=first.mark)
    with refused(procedures.ANOTHER_PERSON):
        centre(store, number, "close", "yang", shown=second.mark)
    close_it(store, number)  # by the same person as the first one, who has seen another mark
    assert first.mark != second.mark and told(store) == [] and check(store) == []


def test_what_it_never_pays_is_written_off_by_two_persons():
    store, _canteen, _kiosk, number = owing()
    centre(store, number, "reopen", said="its firm is gone")
    next_period(store)
    centre(store, number, "propose", "yang", "it is insolvent", "department")
    by = Act("finance", "tian", "30")
    store.merchants.dossiers.say(number, "write-off", by, CLOSED_S)
    assert store.balances()["loss", reasons.DEBT_OF_DEPARTMENT] == -30
    next_period(store, NEXT_END_S + 60, 3)
    centre(store, number, "settle")
    close_it(store, number)
    said = json.loads(newest(store.database, number).report)
    assert said["written_off"] == [[reasons.DEBT_OF_DEPARTMENT, 30]]
    assert store.balances()["merchant", CANTEEN] == 0 and check(store) == []


def test_what_it_pays_behind_the_end_of_what_was_written_off_is_given_to_who_bore_it():
    store, _canteen, _kiosk, number = owing()
    centre(store, number, "reopen", said="its firm is gone")
    next_period(store)
    centre(store, number, "propose", "yang", "it is insolvent", "department")
    by = Act("finance", "tian", "30")
    store.merchants.dossiers.say(number, "write-off", by, CLOSED_S)
    next_period(store, NEXT_END_S + 60, 3)
    centre(store, number, "settle")
    close_it(store, number)
    centre(store, number, "reopen", said="its heirs have paid")
    centre(store, number, "pay-in", shown="20", said="2026-95")
    assert store.balances()["loss", reasons.DEBT_OF_DEPARTMENT] == -10
    next_period(store, NEXT_END_S + 120, 4)
    centre(store, number, "settle")
    close_it(store, number)
    assert json.loads(newest(store.database, number).report)["recovered_fen"] == 20
    assert check(store) == []


def test_opened_again_with_nothing_to_do_it_is_closed_by_words_of_their_own():
    """The same books, so the same mark: a late copy of the first closing closes nothing."""
    store, _canteen, _kiosk, number = closed()
    mark = newest(store.database, number).mark
    centre(store, number, "reopen", said="the bank was asked")
    centre(store, number, "settle", said="nothing came")
    assert newest(store.database, number).mark == mark
    with refused(procedures.SAID_OTHERWISE, "signed in these words before"):
        centre(store, number, "close", "chen", shown=mark)
    assert centre(store, number, "close", "chen", said="once more", shown=mark) == "closed"
    assert check(store) == []


def test_only_the_card_centre_opens_it_again_and_says_why():
    store, _canteen, _kiosk, number = closed()
    with refused(procedures.NO_EVIDENCE, "a text"):
        centre(store, number, "reopen")
    for role in ("department", "finance", "merchant"):
        with refused(procedures.WRONG_ROLE):
            by = Act(role, "zhao", said="why")
            store.merchants.dossiers.say(number, "reopen", by, CLOSED_S)
    assert store.merchants.tickets.open(NEXT_END_S) == []  # nothing waits for a closed one


@pytest.mark.parametrize("is_open", [False, True])
def test_it_leaves_once_and_gets_no_reader_closed_or_opened_again(is_open):
    store, _canteen, _kiosk, number = closed()
    if is_open:
        centre(store, number, "reopen", said="30 fen came")
    before = store.dump()
    for role, person in (("merchant", "wu"), ("security", "han")):
        with refused(procedures.HAS_ENDED, "winds up already, or is closed"):
            leave(store, reference="L-2", role=role, person=person)
    with pytest.raises(ConstraintBroken):
        store.register_device(2001, Reader(2001).key, CANTEEN)
    assert store.dump() == before
    by = Act("merchant", "wu", said="the lease is over")  # said again, late: it is that dossier
    assert store.merchants.tickets.leave(f"L-{CANTEEN}", CANTEEN, by, TIME_S) == number


def test_what_comes_into_a_period_is_a_case_while_it_is_closed():
    """A sale that was undecided: a card decides it, and the canteen is closed, or opened again."""
    found = []
    for is_open in (False, True):
        store, canteen, kiosk = month()
        number = leave(store)
        tried = canteen.try_to_sell(80, END_S + 5)
        canteen.inspect(TIME_S)
        store.book([canteen.records])
        end(store, retire(store))
        close(store)
        pay_all(store)
        centre(store, number, "settle")
        close_it(store, number)
        if is_open:
            centre(store, number, "reopen", said="a card has turned up")
        kiosk._steps[:] = [kiosk._steps[0] + 1, tried]
        kiosk.sell(20, END_S + 2 * DAY_S)
        kiosk.inspect(NEXT_END_S)
        store.book([kiosk.records])
        next_period(store)
        found.append((reasons.PAID_AFTER_ITS_END, *tried) in store.cases())
        assert check(store) == []
    assert found == [True, False]


# --- what a merchant has in no period ------------------------------------------------------------

_SCAN = f"""
SELECT COUNT(*), COALESCE(SUM(e.amount_fen), 0) FROM ({ENTRIES}) e
WHERE e.merchant_no = ? AND NOT EXISTS (
    SELECT 1 FROM period_line l WHERE l.device = e.device AND l.seq = e.seq AND l.line = e.line
        AND l.merchant_no = e.merchant_no)"""


def astray():
    """Sales that a reader of the kiosk has recorded for the canteen; one is for nobody."""
    store, canteen, kiosk = month()
    for _ in range(2):
        kiosk.sell(70, END_S + 5, merchant_no=CANTEEN)
    kiosk.sell(100, END_S + 9, merchant_no=99)
    canteen.sell(40, END_S + 9)
    store.book([canteen.records, kiosk.records])
    pays_for_nobody(store, CLOSED_S)
    assert (reasons.OTHER_MERCHANT, SILENT) in [case[:2] for case in store.cases()]
    return store


def borne_for_another():
    """The canteen has borne a sale of the kiosk's reader, and has it back: it was cancelled."""
    reader = Reader(1002, KIOSK)
    sale = reader.spend(amount_fen=900, **AFTER)
    store = replaced(reader)
    store.book([reader.records])
    (case,) = store.corrections.cases()
    what = case, Bearer.MERCHANT, "wang", "its cook had the card", 5
    proposal = store.corrections.propose(*what, whose=CANTEEN)
    store.corrections.approve(proposal.number, store.corrections.mark(case, proposal), "li", 6)
    reader.cancel(sale, amount_fen=900)
    store.book([reader.records])
    store.carry_overs.claim(NEW_CARD, DUE_S)
    assert store.balances()["merchant", CANTEEN] == 0 and check(store) == []
    return store


def ended():
    store = campus()
    fill_campus(store)
    fill_ends(store)
    return store


def sold_by_code():
    pos = Reader(POS)
    shop = acquiring.Acquiring(pos)
    assert shop.heard(pos, shop.asked(pos, amount_fen=250)) is not None
    shop.store.acquirer_orders.settle(1, Settled.SOLD, "sun", TIME_S)
    return shop.store


@pytest.mark.parametrize(
    "books",
    [
        astray,
        borne_for_another,
        ended,
        sold_by_code,
        lambda: owing()[0],
        lambda: month()[0],
        lambda: closed()[0],
    ],
)
def test_what_is_in_no_period_is_found_without_a_look_at_all_others(books):
    store = books()
    merchants = [no for (no,) in list(store.database.rows("SELECT merchant_no FROM merchant"))]
    for merchant_no in merchants:
        ((count, fen),) = list(store.database.rows(_SCAN, (merchant_no,)))
        assert outside(store.database, merchant_no) == (count, int(fen)), merchant_no


def test_it_reads_no_transfer_of_another_s_reader():
    database = SqliteDialect.open(":memory:")
    sql = closing._OUTSIDE
    plan = database.rows(f"EXPLAIN QUERY PLAN {sql}", [1] * sql.count("?"))
    steps = [step for *_, step in plan]
    assert sum(step.startswith("SEARCH t USING PRIMARY KEY (device=?") for step in steps) == 4
    assert not [step for step in steps if step.startswith("SCAN t")]
    database.close()


# --- the database, and a crash at any statement --------------------------------------------------


def test_the_database_refuses():
    store, _canteen, _kiosk, number = closed()

    def step(way, person, said):
        what = f"{number}, MAX(step) + 1, 'closing', {way}, '{person}', '', '{said}', '', 9"
        return f"INSERT INTO dossier_step SELECT {what} FROM dossier_step WHERE dossier = {number}"

    before = store.dump()
    for way in (
        "'reopen', 'closed', 'winding-up', 'department', 'say'",
        "'reopen', 'closed', 'settled', 'card-centre', 'say'",
        "'pay-in', 'closed', 'closed', 'card-centre', 'say'",
    ):
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.rows(step(way, "yang", "why"))
        assert store.dump() == before, way
    centre(store, number, "reopen", said="30 fen came")
    centre(store, number, "settle")
    closing_it = "'close', 'settled', 'closed', 'card-centre', 'sign'"
    for person in ("qian", "wu", "yang"):  # has signed that it ends, has begun it, has settled it
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.rows(step(closing_it, person, "new"))


def test_a_signature_by_somebody_s_other_verb_is_seen():
    store, _canteen, _kiosk, _number = closed()
    tamper(store, ["UPDATE dossier_step SET person = 'qian' WHERE verb = 'close'"])
    rule = "signatures are of different persons, and nobody signs what he has said"
    assert rule in [violation.rule for violation in check(store)]


def ready_to_reopen():
    store, _canteen, _kiosk, number = owing()
    return store, lambda books: centre(books, number, "reopen", said="30 fen came")


def ready_to_pay_behind_the_end():
    store, act = ready_to_reopen()
    act(store)
    return store, lambda books: centre(books, 1, "pay-in", shown="30", said="2026-90")


def ready_to_close_again():
    store, act = ready_to_pay_behind_the_end()
    act(store)
    next_period(store)
    centre(store, 1, "settle")
    mark = newest(store.database, 1).mark
    return store, lambda books: centre(books, 1, "close", "chen", shown=mark)


@pytest.mark.parametrize(
    "ready", [ready_to_reopen, ready_to_pay_behind_the_end, ready_to_close_again]
)
def test_stopped_at_any_statement_then_done_again(ready):
    """Power is gone anywhere in it; whoever gives the command again has it done once."""
    prepared, act = ready()
    stop_anywhere(prepared, act, least=5)
