"""Merchants that leave: all they are due is paid, and nothing that comes behind is lost."""

import json

import pytest

from ledger import closing, ending_rules, procedures, reasons
from ledger.bearers import Bearer
from ledger.closing import newest
from ledger.dialect import ConstraintBroken, SqliteDialect
from ledger.dossiers import DossierRefused
from ledger.ending_schema import ENDING_JOURNALS
from ledger.invariants import check
from ledger.onboarding import Form
from ledger.procedures import Act
from ledger.reservations import Settled
from ledger.retirement import bars
from protocols.rules.reasons import APPROVED
from tests.ledger.checkout import PAID_IN_FEN, Checkout
from tests.ledger.crashes import stop_anywhere
from tests.ledger.ended import (
    POS,
    SILENT,
    TIME_S,
    centre,
    end,
    leave,
    pass_over,
    pay_all,
    retire,
    settled,
)
from tests.ledger.months import (
    CLOSED_S,
    DAY_S,
    END_S,
    NEXT_END_S,
    close,
    month,
)
from tests.ledger.readers import CANTEEN, KIOSK, Reader
from tests.ledger.tampering import tamper


def refused(reason, match=""):
    return pytest.raises(DossierRefused, match=rf"(?s){match}.*\({reason}, ")


def cases(store, reason):
    return [(device, seq) for code, device, seq in store.cases() if code == reason]


# --- a merchant leaves ---------------------------------------------------------------------------


def test_a_merchant_leaves_with_all_it_is_due():
    store, _canteen, _kiosk, number = settled()
    assert centre(store, number, "settle") == "settled"
    statement = newest(store.database, number)
    said = json.loads(statement.report)
    assert (said["sales_fen"], said["remitted_fen"], said["commission_fen"]) == (900, 900, 0)
    assert [row[0] for row in said["readers"]] == [POS]
    with refused(procedures.OTHER_STATEMENT, "mark"):
        centre(store, number, "close", "chen", shown="000000000000")
    with refused(procedures.ANOTHER_PERSON):
        centre(store, number, "close", "yang", shown=statement.mark)
    for _ in range(2):
        assert centre(store, number, "close", "chen", shown=statement.mark) == "closed"
    assert store.balances()["merchant", CANTEEN] == 0
    assert check(store) == []


def test_it_is_not_settled_while_anything_is_open():
    store, canteen, _kiosk = month()
    number = leave(store)
    by = Act("merchant", "wu", said="dark")
    ticket = store.merchants.tickets.report("R-1", POS, by, TIME_S)
    with refused(procedures.NOT_SETTLED, f"reader {POS} is in use; dossier {ticket} .repair. is"):
        centre(store, number, "settle")
    store.merchants.dossiers.say(ticket, "withdraw", Act("merchant", "wu"), TIME_S)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    end(store, retire(store))
    with refused(procedures.NOT_SETTLED, "2 entries of 900 fen are in no period; 900 fen are due"):
        centre(store, number, "settle")
    close(store)
    with refused(procedures.NOT_SETTLED, "900 fen are due to it by no approved period"):
        centre(store, number, "settle")
    pay_all(store)
    assert centre(store, number, "settle") == "settled"


def test_a_payment_by_code_that_nobody_has_decided_is_open_too():
    """Of a reader that was passed over no record comes that decides it: a person does, first."""
    pos = Reader(POS)
    shop = Checkout(pos)
    store = shop.store
    assert shop.ask(pos, amount_fen=250)["reason"] == APPROVED
    retirement = retire(store)
    assert f"record {POS}/1 decides a payment by code" in "".join(bars(store.database, POS, 0))
    pass_over(store, retirement, 0)
    number = leave(store)
    with refused(procedures.NOT_SETTLED, r"payment 1 by code, of 250 fen, is undecided"):
        centre(store, number, "settle")
    assert shop.money() == (PAID_IN_FEN - 250, 250)
    store.code_sales.settle(1, Settled.VOID)
    assert centre(store, number, "settle") == "settled"
    assert check(store) == []


def test_it_gets_no_reader_any_more_neither_by_form_nor_by_the_register():
    store, *_ = month()
    leave(store)
    form = Form("Canteen", "General Affairs", "Informatisation", 1, 1)
    with refused(procedures.HAS_ENDED, "winds up"):
        store.merchants.onboarding.apply("device", "A-1", CANTEEN, form, "more", "wu", TIME_S)
    with pytest.raises(ConstraintBroken):
        store.register_device(2001, Reader(2001).key, CANTEEN)
    store.register_device(2002, Reader(2002).key, KIOSK)
    before = store.dump()
    with refused(procedures.HAS_ENDED, "winds up already"):
        leave(store, reference="L-2")
    assert store.dump() == before
    assert check(store) == []


def test_until_its_readers_have_ended_it_sells_on():
    store, canteen, _kiosk = month()
    leave(store)
    canteen.sell(50, TIME_S + 5)
    store.book([canteen.records])
    assert store.balances()["merchant", CANTEEN] == 950


def test_it_is_thrown_out_by_others_than_itself_and_a_leader_signs():
    store, *_ = month()
    tickets, by = store.merchants.tickets, Act("security", "han", said="a case was broken open")
    number = tickets.leave("X-1", CANTEEN, by, TIME_S)
    with refused(procedures.WRONG_ROLE):
        store.merchants.dossiers.say(number, "sign", Act("department", "zhao"), TIME_S)
    leader = Act("department-leader", "qian")
    assert store.merchants.dossiers.say(number, "sign", leader, TIME_S) == "winding-up"
    with refused(procedures.NO_DOSSIER):
        tickets.leave("X-2", 99, by, TIME_S)


def test_what_it_owes_is_paid_in_and_is_of_the_next_period():
    store, canteen, _kiosk = month()
    number = leave(store)
    with refused(procedures.NOT_SETTLED, "owes nothing"):
        centre(store, number, "pay-in", shown="600", said="2026-77")
    close(store)
    pay_all(store)
    canteen.cancel((POS, 1), amount_fen=600)  # the first sale of September
    canteen.outcome((POS, canteen.seq))
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    end(store, retire(store))
    assert store.balances()["merchant", CANTEEN] == -600
    with refused(procedures.NOT_SETTLED, "it owes 600 fen"):
        centre(store, number, "settle")
    for _ in range(2):  # the answer was lost: paid once
        centre(store, number, "pay-in", shown="600", said="2026-77")
    assert store.balances()["merchant", CANTEEN] == 0
    with refused(procedures.NOT_SETTLED, "2 entries of 0 fen are in no period"):
        centre(store, number, "settle")
    pass_over(store, retire(store, SILENT), store.heads()[SILENT])
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    pay_all(store, 2)
    centre(store, number, "settle")
    said = json.loads(newest(store.database, number).report)
    assert (said["cancelled_fen"], said["paid_in_fen"], said["other_fen"]) == (600, 600, 0)
    assert check(store) == []


def test_as_much_is_paid_in_as_has_come_and_each_receipt_counts_once():
    store, _act = ready_to_pay_in()
    bank_fen = store.balances()["clearing", 0]
    for shown in ("", "receipt", "0", "-1", "601", "\u0661"):
        with refused(procedures.NO_EVIDENCE, "owes 600 fen"):
            centre(store, 1, "pay-in", shown=shown, said="2026-77")
    # It has paid 500 when its debt was that; more was cancelled before a clerk has entered it.
    centre(store, 1, "pay-in", shown="500", said="2026-77")
    assert store.balances()["merchant", CANTEEN] == -100
    assert store.balances()["clearing", 0] == bank_fen - 500
    centre(store, 1, "pay-in", shown="60", said="2026-78")
    before = store.dump()
    with refused(procedures.SAID_OTHERWISE, "2026-77 is entered already"):  # said again, late
        centre(store, 1, "pay-in", shown="500", said="2026-77")
    with refused(procedures.SAID_OTHERWISE):
        centre(store, 1, "pay-in", shown="40", said="2026-77")
    assert store.dump() == before
    centre(store, 1, "pay-in", shown="40", said="2026-79")
    assert store.balances()["merchant", CANTEEN] == 0 and check(store) == []


def closed():
    store, canteen, kiosk, number = settled()
    centre(store, number, "settle")
    mark = newest(store.database, number).mark
    centre(store, number, "close", "chen", shown=mark)
    return store, canteen, kiosk, number


def undecided():
    """(store, kiosk's pos): the canteen is closed, with a sale of which nobody knows the end."""
    store, canteen, kiosk = month()
    number = leave(store)
    canteen.try_to_sell(80, END_S + 5)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    end(store, retire(store))
    close(store)
    pay_all(store)
    centre(store, number, "settle")
    statement = newest(store.database, number)
    assert json.loads(statement.report)["undecided"] == [1, 80]
    centre(store, number, "close", "chen", shown=statement.mark)
    return store, canteen, kiosk


def test_a_sale_that_a_card_decides_behind_its_end_is_paid_to_it():
    store, canteen, kiosk = undecided()
    # The card comes to the kiosk, and says that the canteen's last try had come on it.
    tried = (
        POS,
        next(seq for seq in range(canteen.seq, 0, -1) if store.state(POS, seq) is not None),
    )
    kiosk._steps[:] = [kiosk._steps[0] + 1, tried]
    kiosk.sell(20, END_S + 2 * DAY_S)
    kiosk.inspect(NEXT_END_S)
    store.book([kiosk.records])
    assert store.balances()["merchant", CANTEEN] == 80
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    assert cases(store, reasons.PAID_AFTER_ITS_END) == [tried]
    (due,) = [one for one in store.periods.due(2) if one.merchant_no == CANTEEN]
    assert due.due_fen == 80
    pay_all(store, 2)
    assert store.balances()["merchant", CANTEEN] == store.balances()["remittance", CANTEEN] == 0
    assert check(store) == []


@pytest.mark.parametrize("sql", [closing._SUMS, closing._MOVED])
def test_a_statement_is_made_from_keys_not_from_all_there_ever_was(sql):
    """Whoever books waits for it."""
    database = SqliteDialect.open(":memory:")
    plan = database.rows(f"EXPLAIN QUERY PLAN {sql}", [1] * sql.count("?"))
    assert not [step for *_, step in plan if step.startswith("SCAN")]
    database.close()


def test_what_comes_between_settling_and_closing_opens_it_again():
    store, canteen, kiosk, number = settled()
    centre(store, number, "settle")
    mark = newest(store.database, number).mark
    first = canteen.seq
    spend = canteen.sell(30, END_S - 2)
    store.book([canteen.records[first:]])
    case = store.corrections.case(reasons.TOLD_AFTER_ITS_END, *spend)
    proposal = store.corrections.propose(case, Bearer.HOLDER, "wang", "his card", CLOSED_S)
    store.corrections.approve(
        proposal.number, store.corrections.mark(case, proposal), "li", CLOSED_S
    )
    with refused(procedures.OTHER_STATEMENT, "reopen"):
        centre(store, number, "close", "chen", shown=mark)
    assert centre(store, number, "reopen", said="a sale came late") == "winding-up"
    with refused(procedures.NOT_SETTLED, "1 entries of 30 fen"):
        centre(store, number, "settle")
    kiosk.inspect(NEXT_END_S)
    store.book([kiosk.records])
    close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    pay_all(store, 2)
    centre(store, number, "settle")
    other = newest(store.database, number).mark
    assert other != mark
    assert centre(store, number, "close", "chen", shown=other) == "closed"
    assert check(store) == []


# --- a crash at any statement -------------------------------------------------------------------


def ready_to_end():
    """The canteen's reader, of which nothing is missing, and its dossier."""
    store, canteen, _kiosk = month()
    number = retire(store)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    return store, lambda store: end(store, number)


def ready_to_pay_in():
    store, canteen, _kiosk = month()
    number = leave(store)
    close(store)
    pay_all(store)
    canteen.cancel((POS, 1), amount_fen=600)
    store.book([canteen.records])
    shown = {"shown": "600", "said": "2026-77"}
    return store, lambda store: centre(store, number, "pay-in", **shown)


def ready_to_settle():
    store, *_rest, number = settled()
    return store, lambda store: centre(store, number, "settle")


def ready_to_close():
    store, act = ready_to_settle()
    act(store)
    mark = newest(store.database, 1).mark
    return store, lambda store: centre(store, 1, "close", "chen", shown=mark)


@pytest.mark.parametrize("ready", [ready_to_end, ready_to_pay_in, ready_to_settle, ready_to_close])
def test_stopped_at_any_statement_then_done_again(ready):
    """Power is gone anywhere in it; whoever gives the command again has it done once."""
    prepared, act = ready()
    stop_anywhere(prepared, act, least=5)


# --- the books -----------------------------------------------------------------------------------

KEYS = {
    "retirement": "head_seq",
    "merchant_end": "dossier",
    "merchant_payment": "amount_fen",
    "closing_statement": "report",
}
BROKEN_BY = [
    # A reader or a merchant that nobody has signed for; a record of one that has ended.
    f"INSERT INTO retirement SELECT {SILENT}, dossier, 0, 1, 0, mark_sha256 FROM retirement",
    f"INSERT INTO merchant_end SELECT {KIOSK}, number FROM dossier WHERE kind = 'retirement'",
    f"UPDATE device SET head_seq = head_seq + 1 WHERE device = {POS}",
    f"INSERT INTO merchant_payment VALUES (9, 1, {KIOSK}, 1, 1)",
    f"INSERT INTO merchant_payment SELECT 9, dossier, {CANTEEN}, 0, 1 FROM merchant_end",
]
TAMPERED = {
    "a reader has ended by its dossier, and each such dossier has ended one": [
        "DELETE FROM retirement"
    ],
    "of a reader that has ended nothing is booked": [
        "UPDATE retirement SET head_seq = head_seq + 1"
    ],
    "a reader's mark is a record of it, or it was passed over": [
        "UPDATE retirement SET mark_seq = mark_seq - 1"
    ],
    "a merchant winds up by its dossier, and each such dossier has one": [
        f"UPDATE merchant_end SET merchant_no = {KIOSK}"
    ],
    "a merchant that is closed has a statement, and no reader in use": [
        "DELETE FROM closing_statement"
    ],
    "each settling of a merchant has its statement, and each payment of it is a step": [
        "INSERT INTO closing_statement SELECT 9, dossier, sha256, report, 1 FROM closing_statement"
    ],
    "what a merchant has paid in is booked once, as such": [
        f"INSERT INTO merchant_payment SELECT 9, dossier, {CANTEEN}, 7, 1 FROM merchant_end"
    ],
}


def test_every_rule_has_its_tampering():
    assert TAMPERED.keys() == ending_rules.RULES.keys()
    assert KEYS.keys() == set(ENDING_JOURNALS)


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = closed()[0]
    assert check(store) == []
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


def test_a_statement_that_was_changed_is_seen():
    store = closed()[0]
    tamper(store, ["UPDATE closing_statement SET report = '{}'"])
    assert ending_rules.IS_AS_KEPT in [violation.rule for violation in check(store)]


def test_the_database_refuses():
    store, *_rest, number = closed()
    before = store.dump()
    assert number == 1
    for sql in BROKEN_BY:
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.rows(sql)
        assert store.dump() == before, sql
    with store.database.transaction():
        row = 8, number, CANTEEN, 5, CLOSED_S
        store.database.many("INSERT INTO merchant_payment VALUES (?, ?, ?, ?, ?)", [row])
    for table, key in KEYS.items():
        for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET {key} = {key}"):
            with (
                pytest.raises(ConstraintBroken, match="append-only"),
                store.database.transaction(),
            ):
                store.database.rows(sql)
