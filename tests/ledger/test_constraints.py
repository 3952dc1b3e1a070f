"""What the database itself refuses, and that the checker sees what somebody did behind it."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger import (
    acquirer_rules,
    channel_rules,
    chart,
    debt_rules,
    dossier_rules,
    ending_rules,
    fraud_rules,
    invariants,
    lifecycle_rules,
    money_rules,
    people_rules,
    period_rules,
    quiescence,
    reissue_rules,
)
from ledger.acquirer import Said, StatementLine, Word
from ledger.aggregate_match import Line
from ledger.bearers import Bearer
from ledger.booking import decide
from ledger.card_validity import Validity, know
from ledger.certificates import release
from ledger.channel_topups import Order
from ledger.claims import parse_claim
from ledger.code_entries import Shown
from ledger.code_sales import Ask, CodePolicy
from ledger.debt_schema import DEBT_JOURNALS
from ledger.department_schema import JOURNALS as DEPARTMENT_JOURNALS
from ledger.dialect import ConstraintBroken
from ledger.drill_schema import DRILL_JOURNALS
from ledger.ending_schema import ENDING_JOURNALS
from ledger.entries import post_authorized, post_recorded
from ledger.invariants import check
from ledger.lifecycle_schema import JOURNALS
from ledger.loading import load_book
from ledger.loss_reports import LossAsk
from ledger.money_schema import MONEY_JOURNALS
from ledger.payments import rules as payment_rules
from ledger.payments.schema import PAYMENT_JOURNALS
from ledger.people_schema import PEOPLE_JOURNALS
from ledger.period_schema import JOURNALS as PERIOD_JOURNALS
from ledger.phone_schema import PHONE_JOURNALS
from ledger.phones import Phones
from ledger.posting import write_changes
from ledger.procedure_schema import JOURNALS as OF_DOSSIERS
from ledger.reasons import CARD_FORKED
from ledger.release_file import Release
from ledger.schema import APPEND_ONLY
from ledger.shift_schema import SHIFT_JOURNALS
from ledger.store import RegistryError
from ledger.tampers import CENTRE, DEPARTMENT
from ledger.transfers import SPEND, Transfer
from ledger.watch import Watch
from protocols.card import virtual_code
from protocols.rules import charging, menu
from protocols.rules.scan_codes import CAMPUS_IDENTITY, CAMPUS_PAYMENT, WECHAT
from protocols.wire import messages
from protocols.wire.messages import UNKNOWN
from tests.ledger.checkout import PROOF
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, OTHER_CARD, Reader, open_ledger
from tests.ledger.tampering import in_its_words, tamper
from tests.rules.tables import POLICY

KEY = bytes(32)


def filled():
    """Books with something in every table."""
    reader = Reader(1001)
    reader.spend()
    reader.intent(counter=2, last=(1001, 1))
    reader.outcome((1001, 3), UNKNOWN)
    reader.spend(card_no=99)
    reader.outcome((1001, 3), UNKNOWN)
    reader.outcome((1002, 1))
    reader.cancel((1001, 1))
    reader.punch(CARD, 1_000)
    reader.boot()
    reader.boot()
    store = open_ledger(reader)
    store.know_chips([(CARD, bytes(7))])
    for order_id in ("a", "b"):
        store.top_ups.top_up(CARD, 2_000, order_id)
    store.top_ups.note_try(1, 5, 1001)
    store.top_ups.note_carried(1, 6, 12_000, bytes(12))
    _pay_by_code(store)
    _pay_by_aggregate_code(store)
    _pay_through_the_acquirer(store)
    _enter_by_code(store)
    store.cards.set("lose", CARD, 1)
    store.attendance.enter(CARD, 1, 2, "Wang", "card forgotten")
    limits = {name: value for name, value in POLICY.items() if name != "epoch"}
    store.policies.set_policy(limits, "Wang", 1, device=1001)
    store.access.add_door(1001, "dorm", 5000, 0, is_lock=True)
    store.access.appoint("appoint", "campus", "dorm", "Wang Fang", 1)
    store.menus.set_menu(CANTEEN, "", menu.encode(charging.packed([(1, 0, 0, 5)]), ()), "Wang", 1)
    store.access.grant(1001, CARD, 1, 1, "Wang Fang", 1)
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    release = Release("main", 2, 1, b"image").signed(key)
    store.firmware.set_stage(release, [public], 1, 5, "Wang", 1)
    _replace(store)
    store.book([[*reader.records[:10], reader.records[-1]], [b"noise"]])
    _open_case(store)
    _prove(store)
    _report_loss(store)
    store.channel_top_ups.book(Order("ecode", "A-1", OTHER_CARD, 5, "bank-1", 1), 2)
    for order_no in ("A-1", "A-2"):
        store.channel_top_ups.cancel("ecode", order_no, 3)
    _find_a_copy(store)
    assert check(store) == []
    return store


def _find_a_copy(store):
    """OTHER_CARD has been debited twice at one counter, says reader 1007."""
    other = Reader(1007)
    store.register_device(1007, other.key, CANTEEN)
    for _ in range(2):
        other.spend(card_no=OTHER_CARD, counter=1)
    store.book([other.records])
    assert Watch(store, lambda: 1, {}).look()
    assert list(store.database.rows("SELECT 1 FROM finding"))
    (case,) = [case for case in store.corrections.cases() if case.reason == CARD_FORKED]
    proposal = store.corrections.propose(case, Bearer.CARD_CENTRE, "wang", "a copy", 1)
    store.corrections.approve(1, store.corrections.mark(case, proposal), "li", 1)


def _report_loss(store):
    """The holder of another card has shown an identity code to reader 1001."""
    store.issue_cards([(40, 0)])
    phones, now_s = Phones(store.database, bytes(32), bytes), 1_000_000
    code = virtual_code.make(phones.bind(40, PROOF, 1)[1], CAMPUS_IDENTITY, 40, now_s, bytes(2))
    interval_ms = now_s * 1000, now_s * 1000
    ask = LossAsk(1001, bytes(8), code)
    assert store.loss_reports.report(ask, phones.seed_of, interval_ms, now_s).reason == 0


def _prove(store):
    """Reader 1005 is gone, and a carry-over has said what it rests on."""
    release(store.database, 1005, 0, 5, "wang", "scrapped")
    (number,) = next(iter(store.database.rows("SELECT number FROM load WHERE card_no = 31")))
    with store.database.transaction():
        quiescence.note_basis(store.database, 30, 2, [number])


def _open_case(store):
    """Reader 1004 was opened, which two persons have approved, and heard elsewhere."""
    other = Reader(1004)
    other.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    store.register_device(1004, other.key, CANTEEN)
    store.book([other.records])
    for step, person in ((DEPARTMENT, "wang"), (CENTRE, "li")):
        store.tampers.approve(1004, 1, step, person, 1)
    assert store.tampers.sight(1004, 1, "elsewhere", 1, b"sealed")


def _pay_by_aggregate_code(store):
    """A record of reader 1005, and a line of a statement."""
    other = Reader(1005)
    store.register_device(1005, other.key, CANTEEN)
    other.aggregate()
    store.book([other.records])
    store.aggregate.enter([(2, Line("wechat", "A1", CANTEEN, 100, 1))])


def _pay_through_the_acquirer(store):
    """An order of reader 1019 that is sold and on a statement, and one that is open."""
    other, orders = Reader(1019), store.acquirer_orders
    store.register_device(1019, other.key, CANTEEN)
    for seq in (1, 2):
        order = orders.ask(Ask(1019, bytes(8), bytes(38), 100, seq), b"13", WECHAT, 1)
        orders.hear(order.number, Said(Word.RESERVED), 2)
    other.code_sale(order.number - 1)
    store.book([other.records])
    store.acquirer_statements.enter(0, [StatementLine(f"1019-1-{bytes(8).hex()}", 100)], 3)
    # As a program of before has entered them.
    store.database.many("INSERT INTO acquirer_day VALUES (?, ?)", [(0, 3)])
    store.database.many("INSERT INTO acquirer_line VALUES (?, ?, ?)", [("x", 0, 100)])


def _enter_by_code(store):
    """Door 1006 was told whose code it was shown, and has let them in."""
    other = Reader(1006)
    store.register_device(1006, other.key, CANTEEN)
    store.access.add_door(1006, "dorm", 5000, 0)
    phones = Phones(store.database, bytes(32), bytes)
    know(store.database, [Validity(OTHER_CARD, 1, 0, 65_535)])
    code = virtual_code.make(
        phones.bind(OTHER_CARD, PROOF, 1)[1], CAMPUS_IDENTITY, OTHER_CARD, 1_000_000, bytes(2)
    )
    now_ms = (1_000_000_000, 1_000_000_000)
    shown = Shown(1006, bytes(8), code)
    assert store.code_entries.ask(shown, phones.seed_of, now_ms, 0).number == 1
    other.write(messages.ENTRY, card_no=OTHER_CARD, reason=0, number=1)
    store.book([other.records])


def _replace(store):
    """Another lost card has been replaced, and what waited for it has gone on."""
    store.issue_cards([(30, 0), (31, 0)])
    store.top_ups.top_up(30, 500, "c")
    store.cards.set("lose", 30, 2)
    store.reissues.reissue(30, 31, 3, "id-card")
    store.carry_overs.claim(31, 4)


def _pay_by_code(store):
    """One reservation that is settled and one that is not, both of CARD at reader 1003."""
    other = Reader(1003)
    store.register_device(1003, other.key, CANTEEN)
    phones = Phones(store.database, bytes(32), bytes)
    seed = phones.bind(CARD, PROOF, 1)[1]
    for seq in (1, 2):
        code = virtual_code.make(seed, CAMPUS_PAYMENT, CARD, 1_000_000, bytes((0, seq)))
        ask = Ask(1003, bytes(8), code, 100, seq)
        now_ms = (1_000_000_000, 1_000_000_000)
        assert store.code_sales.ask(ask, phones.seed_of, now_ms, CodePolicy(100, 200)).reason == 0
    other.code_sale(1)
    store.book([other.records])


# Those of the lives of cards, and what must hold for them: test_lives.py; of dossiers, of lists
# that move money and of merchants' periods likewise, of people test_operators.py.
_ELSEWHERE = (*JOURNALS, *OF_DOSSIERS, *MONEY_JOURNALS, *PERIOD_JOURNALS, *PEOPLE_JOURNALS)
_ELSEWHERE += DEPARTMENT_JOURNALS  # test_rosters.py
_ELSEWHERE += PAYMENT_JOURNALS  # test_payments.py
_ELSEWHERE += ENDING_JOURNALS  # test_closing.py
_ELSEWHERE += DEBT_JOURNALS  # test_debts.py
_ELSEWHERE += DRILL_JOURNALS  # test_drills.py
_ELSEWHERE += SHIFT_JOURNALS  # test_rosters.py
_ELSEWHERE += PHONE_JOURNALS  # test_phone_apps.py


@pytest.mark.parametrize("table", [table for table in APPEND_ONLY if table not in _ELSEWHERE])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_journals_are_append_only(table, verb):
    store = filled()
    key = "sha256" if table == "rejected" else "reason" if table == "suspense_case" else "device"
    key = {
        "card": "card_no",
        "chip": "card_no",
        "merchant": "merchant_no",
        "load_try": "number",
        "load_proof": "number",
        "load_end": "number",
        "carry_basis": "number",
        "reissue": "old_card",
        "card_change": "epoch",
        "manual_punch": "number",
        "access_person": "number",
        "menu_change": "number",
        "firmware_image": "version",
        "firmware_stage": "number",
        "correction": "number",
        "statement_line": "order_no",
        "channel_topup": "order_no",
        "topup_cancel": "number",
        "topup_void": "order_no",
        "acquirer_day": "day",
        "acquirer_line": "order_no",
        "acquirer_statement": "day",
        "acquirer_stated": "day",
        "phone_proof": "binding",
    }.get(table, key)
    sql = f"DELETE FROM {table}" if verb == "DELETE" else f"UPDATE {table} SET {key} = {key}"
    with pytest.raises(ConstraintBroken, match="append-only"), store.database.transaction():
        store.database.rows(sql)
    assert check(store) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE intent SET state = 0 WHERE state = 3",
        "UPDATE intent SET state = 3, amount_fen = 1 WHERE state = 1",
        "DELETE FROM intent",
        "UPDATE device SET head_seq = head_seq - 1",
        "DELETE FROM device",
        "UPDATE device SET head_key_no = head_key_no - 1",
        "UPDATE intent SET credit_no = 1 WHERE seq = 1",
        "UPDATE load SET is_loaded = 0 WHERE number = 1",
        "UPDATE load SET is_loaded = 1, amount_fen = 9 WHERE number = 2",
        "DELETE FROM load",
        "INSERT INTO load VALUES (3, 7, 1, 'b', 0)",
        "INSERT INTO load VALUES (3, 7, 0, 'c', 0)",
        "INSERT INTO cancel VALUES (1001, 1, 9, 2147483649)",
        "INSERT INTO cancel VALUES (1001, 5, 9, 2)",
        "INSERT INTO cancel VALUES (1001, 5, 4, 2147483649)",
        "INSERT INTO cancel VALUES (1001, 4, 9, 2147483649)",
        "INSERT INTO load_try VALUES (9, 0, 1001)",
        "INSERT INTO approval VALUES (1004, 1, 2, 'zhao', 1)",
        "INSERT INTO approval VALUES (1004, 2, 1, 'zhao', 1)",
        "INSERT INTO approval VALUES (1004, 1, 3, 'zhao', 1)",
        "INSERT INTO tamper VALUES (1004, 9, 1, 0, 0, 0)",
        "UPDATE watched SET seq = seq - 1",
        "INSERT INTO finding SELECT reason, device, 9, sha256, card_no, first_device, first_seq,"
        " ground, found_s FROM finding",
        "INSERT INTO load_end VALUES (9)",
        "INSERT INTO reissue VALUES (30, 8, 2)",
        "INSERT INTO reissue VALUES (8, 31, 2)",
        "INSERT INTO reissue VALUES (8, 8, 2)",
        "INSERT INTO reissue VALUES (8, 99, 2)",
        "INSERT INTO device_key SELECT device, 1, device_key FROM device_key",
        "INSERT INTO device_key VALUES (1001, 1, x'00')",
        "DELETE FROM account",
        "UPDATE account SET balance_fen = -1 WHERE kind = 1",
        "UPDATE account SET overdrawn = 2",
        "INSERT INTO transfer VALUES (1001, 1, 0, 1, 4294967303, 8589934604, 5)",
        "INSERT INTO transfer VALUES (1001, 1, 1, 1, 4294967303, 4294967303, 5)",
        "INSERT INTO transfer VALUES (1001, 1, 1, 1, 4294967303, 8589934604, 0)",
        "INSERT INTO transfer VALUES (1001, 1, 1, 1, 4294967303, 1, 5)",
        "INSERT INTO transfer VALUES (1001, 1, 1, 1, 1, 8589934604, 5)",
        "INSERT INTO transfer VALUES (1001, 1, 1, 1, 4294967303, 8589934604, 1.5)",
        "INSERT INTO record SELECT 99, 1, kind, sha256, sealed, 0 FROM record WHERE sealed IN"
        " (SELECT sealed FROM record LIMIT 1)",
        "INSERT INTO intent SELECT device, seq + 99, card_no, counter, amount_fen, merchant_no,"
        " last_device, last_seq, earliest_s, latest_s, state, credit_no FROM intent",
        "UPDATE account SET id = id",
        "INSERT INTO account (id, kind, owner) VALUES (5, 1, 5)",
        "DELETE FROM phone",
        "UPDATE phone SET sealed_seed = x'' WHERE card_no = 7",
        "UPDATE phone SET card_no = 8, binding = 2",
        "INSERT INTO phone VALUES (8, 1, x'00')",
        "INSERT INTO phone VALUES (99, 1, x'')",
        "DELETE FROM acquirer_order",
        "UPDATE acquirer_order SET state = 2 WHERE seq = 1",
        "UPDATE acquirer_order SET word = 0",
        "UPDATE acquirer_order SET word = 2",
        "UPDATE acquirer_order SET amount_fen = 1",
        "UPDATE acquirer_order SET order_no = 'x' WHERE seq = 1",
        "INSERT INTO acquirer_line VALUES ('x', 9, 1)",
        "INSERT INTO acquirer_statement VALUES (0, 1, 1)",
        "INSERT INTO acquirer_statement VALUES (0, 3, 1)",
        "INSERT INTO acquirer_stated VALUES (9, 1, 'x', 1, 1)",
        "INSERT INTO transfer VALUES (1019, 1, 3, 60, 107374182400, 8589934604, 100)",
        "INSERT INTO transfer VALUES (1019, 1, 30, 61, 12884901888, 107374182400, 100)",
        "DELETE FROM reservation",
        "UPDATE reservation SET state = 2 WHERE number = 1",
        "UPDATE reservation SET state = 0 WHERE number = 2",
        "UPDATE reservation SET amount_fen = 1, state = 1 WHERE number = 2",
        "UPDATE reservation SET code = x'00', state = 1 WHERE number = 2",
        "INSERT INTO reservation SELECT 3, 1003, 3, nonce, code, 7, 1, 1, 1, 0, 0 FROM reservation"
        " WHERE number = 2",
        "INSERT INTO reservation VALUES (3, 1003, 2, zeroblob(8), x'00', 7, 1, 1, 1, 0, 0)",
        "INSERT INTO reservation VALUES (3, 1003, 3, zeroblob(8), x'00', 7, 0, 1, 1, 0, 0)",
        "UPDATE account SET balance_fen = -1, overdrawn = 1 WHERE kind = 7",
        "INSERT INTO transfer VALUES (1003, 1, 3, 8, 30064771079, 25769803783, 100)",
    ],
)
def test_the_database_refuses(sql):
    store = filled()
    before = store.dump()
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows(in_its_words(store, sql))
    assert store.dump() == before


def test_what_is_decided_here_cannot_overdraw():
    store = filled()
    pay = Transfer(0, 99, 0, SPEND, chart.purse(CARD), chart.BANK, 2 * OPENING_FEN)
    with pytest.raises(ConstraintBroken), store.database.transaction():
        post_authorized(store.database, [pay])
    assert check(store) == []


def test_an_overdraft_is_flagged_while_it_lasts():
    """As a credit may be told of after what was bought with it: the flag says what is, not was."""
    store = filled()
    purse = chart.purse(CARD)
    for seq, (debit, credit) in enumerate([(purse, chart.BANK), (chart.BANK, purse)]):
        with store.database.transaction():
            transfer = Transfer(1009, 1 + seq, 0, SPEND, debit, credit, 2 * OPENING_FEN)
            post_recorded(store.database, [transfer])
        assert store.summary()["overdrawn"] == 1 - seq
    assert store.holder_balance(CARD) > 0


def test_a_second_writer_of_one_chain_is_stopped():
    reader = Reader(1001)
    reader.spend()
    store = open_ledger(reader)
    claims = [parse_claim(sealed) for sealed in reader.records]
    book = load_book(store.database, claims, set())
    changes = decide(claims, book)
    store.book([reader.records])  # somebody else was faster
    before = store.dump()
    with pytest.raises(ConstraintBroken), store.database.transaction():
        write_changes(store.database, changes, book)
    assert store.dump() == before


# What somebody with the database file could do, and the rule that shows it.
TAMPERED = {
    "a balance is the sum of its entries": [
        "UPDATE account SET balance_fen = balance_fen + 1 WHERE kind = 1",
        "UPDATE account SET balance_fen = balance_fen - 2 WHERE kind = 3",
    ],
    "all balances together are zero": ["UPDATE account SET balance_fen = 1 WHERE kind = 5"],
    "an account below its floor is flagged": [
        "UPDATE account SET balance_fen = -1 WHERE kind = 1",
    ],
    "a transfer has two accounts": [
        "UPDATE transfer SET credit_account = 5 WHERE device = 1001",
    ],
    "a committed intent is booked once, with its amount": [
        "DELETE FROM transfer WHERE device = 1001 AND seq = 1"
    ],
    "a spend is booked for a committed intent only": [
        f"INSERT INTO transfer VALUES (1001, 3, 0, 1, {chart.purse(CARD)},"
        f" {chart.payable(CANTEEN)}, 100)"
    ],
    "a spend goes from the holder to the merchant, or over suspense": [
        f"UPDATE transfer SET debit_account = {chart.purse(OTHER_CARD)} WHERE device = 1001"
    ],
    "a card's opening balance is booked once": [
        "UPDATE card SET opening_fen = 1 WHERE card_no = 7"
    ],
    "an opening belongs to a card": ["DELETE FROM card WHERE card_no = 7"],
    "a device's records are there from 1 to its head": ["DELETE FROM record WHERE seq = 8"],
    "intents are the INTENT and CREDIT records": ["UPDATE record SET kind = 2 WHERE kind = 3"],
    "a top-up is booked once, with its amount, and so is a balance that was carried over": [
        "UPDATE transfer SET amount_fen = 1 WHERE device = 4294967295 AND line = 0"
    ],
    "what is on its card has left the pending account, once, and nothing else has": [
        "DELETE FROM transfer WHERE device = 4294967295 AND line = 1"
    ],
    "every transfer of the card centre belongs to a load": [
        "UPDATE transfer SET kind = 1 WHERE device = 4294967295"
    ],
    "what is pending for a card was paid in, is not on it, not spent by code and not gone on": [
        "UPDATE load SET amount_fen = 1 WHERE number = 2"
    ],
    "what is reserved for a card is what nothing has settled yet": [
        "UPDATE reservation SET state = 1 WHERE number = 2"
    ],
    "a reservation has left the pending account once, with its amount": [
        "UPDATE reservation SET amount_fen = 99 WHERE number = 1"
    ],
    "a reservation that is settled has gone to its merchant or back, once, all of it": [
        f"UPDATE transfer SET credit_account = {chart.pending(CARD)} WHERE kind = 7"
    ],
    "every transfer of a payment by code belongs to a reservation": [
        "UPDATE reservation SET seq = 9 WHERE number = 1"
    ],
    "a card that has ended has no phone": [
        "UPDATE card_change SET status = 3 WHERE card_no = 7",
    ],
    "a phone that was bound was bound to somebody who had proven who they are": [
        "UPDATE phone SET binding = 0",
    ],
    "what was promised to a card is kept from codes": [
        "INSERT INTO load_try VALUES (2, 9, 1001)",
    ],
    "a payment by code is what its record tells, unless a person had to say": [
        "UPDATE reservation SET state = 2 WHERE number = 1"
    ],
    "a load is on its card if, and only if, somebody has said so": [
        "DELETE FROM load_proof",
    ],
    "a cancelled sale is given back once, all of it, if it was committed": [
        "DELETE FROM transfer WHERE kind = 5"
    ],
    "nothing is given back but what a reader has cancelled": ["DELETE FROM cancel"],
    "a cancellation goes from the merchant to what waits for the card, or over suspense": [
        f"UPDATE transfer SET credit_account = {chart.purse(CARD)} WHERE kind = 5"
    ],
    "a cancellation stands in a CANCEL record of its reader": ["UPDATE cancel SET seq = 8"],
    "what was given back to a card's holder is a load of that card": [
        "UPDATE load SET amount_fen = 1 WHERE number > 2147483647"
    ],
    "a loss that was proven at a machine is on record since then": [
        "UPDATE card_change SET time_s = 1 WHERE card_no = 40"
    ],
    "what is parked lies ahead of a gap": ["UPDATE parked SET seq = 9"],
    "an early outcome's intent is not there yet": [
        "UPDATE early_outcome SET intent_device = 1001"
    ],
    "a chain's seals hold from its start to its head": [
        "UPDATE record SET sealed ="
        " (SELECT sealed FROM record WHERE device = 1001 AND seq = 1) WHERE seq = 3"
    ],
    "a chain's keys only get newer": ["UPDATE record SET key_no = 1 WHERE seq = 2"],
    "a head's key is that of its record": ["UPDATE device SET head_key_no = 1"],
    "a device has a key for each number up to its newest": ["DELETE FROM device_key"],
    "an entry by identity code is a record of the door that was answered": [
        "UPDATE code_answer SET device = 1001"
    ],
    "a card's changes follow the table of its life": [
        "UPDATE card_change SET cause = 'resume' WHERE card_no = 40"
    ],
    "an intent is what all evidence says": ["UPDATE intent SET state = 2 WHERE state = 1"],
}


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = filled()
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


_HOLD = "a chain's seals hold from its start to its head"
_FIRST_OF = "SELECT device, seq FROM record WHERE kind = ? ORDER BY device, seq LIMIT 1"


@pytest.mark.parametrize("content", ["another", "noise", "nothing"])
@pytest.mark.parametrize(
    "kind", [messages.OUTCOME, messages.CODE_SALE, messages.AGGREGATE, messages.CANCEL]
)
def test_a_record_that_was_swapped_is_named_and_stops_no_check(kind, content):
    """Whatever stands in its place, each rule is gone through, and the reader is named."""
    store = filled()
    another = "(SELECT sealed FROM record WHERE device = 1001 AND seq = 1)"
    sealed = {"another": another, "noise": "x'a10003'", "nothing": "x''"}[content]
    ((device, seq),) = [*store.database.rows(_FIRST_OF, (kind,))]
    where = f"WHERE device = {device} AND seq = {seq}"
    tamper(store, [in_its_words(store, f"UPDATE record SET sealed = {sealed} {where}")])
    found = {violation.rule: violation.rows for violation in check(store)}
    assert (device, seq) in found[_HOLD]


def test_a_record_that_is_kept_as_another_kind_is_named():
    store = filled()
    punch = [*store.database.rows(_FIRST_OF, (messages.PUNCH,))]
    tamper(store, [f"UPDATE record SET kind = {messages.BOOT} WHERE kind = {messages.PUNCH}"])
    assert {violation.rule: violation.rows for violation in check(store)} == {_HOLD: punch}


def test_every_rule_has_its_tampering():
    # Those of others: test_reissue_rules.py, test_channel_topups.py, test_lives.py.
    here = set(invariants._RULES) - set(reissue_rules.RULES) - set(channel_rules.RULES)
    here -= set(lifecycle_rules.RULES) | set(dossier_rules.RULES)
    here -= set(ending_rules.RULES)  # test_closing.py
    here -= set(debt_rules.RULES)  # test_debts.py
    here -= set(fraud_rules.RULES)  # test_corrections.py
    here -= set(money_rules.RULES)  # test_money_lists.py
    here -= set(period_rules.RULES)  # test_periods.py
    here -= set(payment_rules.RULES)  # test_payments.py
    here -= set(acquirer_rules.RULES)  # test_acquirer.py
    here -= set(people_rules.RULES)  # test_operators.py
    assert here < set(TAMPERED)
    assert len(TAMPERED) == len(here) + 4


# --- the registry ----------------------------------------------------------------------------


def test_registering_again_changes_nothing():
    reader = Reader(1001)
    store = open_ledger(reader)
    before = store.dump()
    store.register_device(1001, reader.key, CANTEEN)
    store.register_merchant(CANTEEN, "Canteen")
    store.issue_card(CARD, OPENING_FEN)
    assert store.dump() == before


@pytest.mark.parametrize(
    "register",
    [
        lambda store: store.register_device(1001, KEY, CANTEEN),
        lambda store: store.register_device(1002, bytes(31), CANTEEN),
        lambda store: store.register_device(0, KEY, CANTEEN),
        lambda store: store.register_device(0xFFFFFFFF, KEY, CANTEEN),
        lambda store: store.register_device(1 << 32, KEY, CANTEEN),
        lambda store: store.register_device(1002, KEY, CANTEEN, "North Gate"),
        lambda store: store.register_devices([(2, KEY, 12, "a"), (3, b"", 12, "a")]),
        lambda store: store.register_devices([(2, KEY, 12, "a"), (2, KEY, 13, "a")]),
        lambda store: store.rotate_device_key(1002, KEY),
        lambda store: store.rotate_device_key(1001, bytes(31)),
        lambda store: store.register_merchant(CANTEEN, "Kiosk"),
        lambda store: store.register_merchant(-1),
        lambda store: store.issue_card(CARD, OPENING_FEN + 1),
        lambda store: store.issue_card(100, -1),
        lambda store: store.issue_cards([(100, 1), (101, 1), (CARD, 5)]),
        lambda store: store.issue_cards([(100, 1), (100, 2)]),
    ],
)
def test_wrong_registration_is_refused_whole(register):
    store = open_ledger(Reader(1001))
    before = store.dump()
    with pytest.raises(RegistryError):
        register(store)
    assert store.dump() == before


def test_opening_balances_are_booked_transfers():
    store = open_ledger()
    store.issue_card(100, 0)
    store.issue_card(101, 5)
    ids = store.database.rows("SELECT device, seq, line FROM transfer ORDER BY seq")
    assert list(ids) == [(0, 1, 0), (0, 2, 0), (0, 3, 0)]
    assert store.balances()["clearing", 0] == -2 * OPENING_FEN - 5
    assert [store.holder_balance(card_no) for card_no in (CARD, OTHER_CARD, 100)] == [
        OPENING_FEN,
        OPENING_FEN,
        0,
    ]
    with pytest.raises(RegistryError):
        store.holder_balance(102)
    assert store.summary()["booked"] == 0
    assert check(store) == []


def test_thirty_thousand_cards_at_once():
    store = open_ledger()
    store.issue_cards((card_no, 100) for card_no in range(1000, 31_000))
    assert store.balances()["clearing", 0] == -2 * OPENING_FEN - 3_000_000


def test_an_update_that_changes_nothing_breaks_its_transaction():
    """An account that is not there must not swallow money."""
    store = open_ledger()
    before = store.dump()
    sql = "UPDATE account SET balance_fen = balance_fen + ? WHERE id = ?"
    rows = [(5, chart.purse(CARD)), (-5, chart.purse(99))]
    broken = pytest.raises(ConstraintBroken, match="2 rows has changed 1")
    with broken, store.database.transaction():
        store.database.update(sql, rows)
    assert store.dump() == before
    store.close()
