"""Lives of cards: what the database refuses, what the checker sees, a crash at any statement."""

import random

import pytest

from adapters.sqlite import open_database
from ledger import lifecycle_rules
from ledger.batches import GraduationLine
from ledger.card_status import CardRefused
from ledger.carry_over import AFTER_S
from ledger.dialect import ConstraintBroken, SqliteDialect
from ledger.holders import Holder
from ledger.invariants import check
from ledger.lifecycle import DEAD, RULES
from ledger.lifecycle_schema import JOURNALS
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from ledger.topups import NotCovered, TopUpRefused
from protocols.rules.spending import STUDENT
from tests.ledger.crashes import stop_anywhere
from tests.ledger.lives import ACCOUNT, BY, NAME, fill, let_go, make_file
from tests.ledger.readers import CANTEEN, Reader, open_ledger
from tests.ledger.tampering import in_its_words, tamper

# A column that anybody would have to touch.
KEYS = {
    "card_act": "epoch",
    "temporary_application": "number",
    "temporary_approval": "application",
    "temporary_card": "application",
    "temporary_extension": "number",
    "card_fee": "card_no",
    "leaving_notice": "number",
    "card_settlement": "number",
    "payout_try": "number",
    "payout_result": "number",
    "payout_return": "number",
    "card_batch": "kind",
    "batch_line": "line",
    "batch_approval": "step",
    "batch_done": "line",
}
BROKEN = [
    "DELETE FROM holder",
    "UPDATE holder SET person_no = 'X' WHERE number = 1",
    "DELETE FROM holding",
    "UPDATE holding SET is_current = 1 WHERE card_no = 60",
    "UPDATE holding SET holder = 1 WHERE card_no = 63",
    "INSERT INTO holding VALUES (7, 4, 1)",
    "INSERT INTO temporary_approval VALUES (2, 2, 'zhao', 1)",
    "INSERT INTO temporary_card VALUES (2, 7)",
    "INSERT INTO card_fee VALUES (63, 2000, 'wang', 1)",
    "INSERT INTO transfer VALUES (0, 63, 12, 35, 12884901888, 21474836480, 2000)",
    "DELETE FROM payee",
    "UPDATE payee SET account_no = '430102199001012'",
    "UPDATE payee SET account_no = '', name = '', card_no = 7",
    "INSERT INTO payout_try VALUES (9, 1, 1, 'again', 'li', 1)",
    "INSERT INTO payout_try VALUES (9, 9, 1, 'again', 'li', 1)",
    "INSERT INTO payout_result VALUES (1, 0, '', 'li', 1)",
    "INSERT INTO payout_result VALUES (9, 1, '', 'li', 1)",
    "INSERT INTO payout_return VALUES (2, '', 'li', 1)",
    "INSERT INTO payout_return VALUES (3, '', 'li', 1)",
    "INSERT INTO batch_approval VALUES (zeroblob(32), 1, 'li', 1)",
    "INSERT INTO batch_done VALUES (zeroblob(32), 2, 0, 1)",
]
TAMPERED = {
    "one person has one card": [
        "DROP INDEX one_person_one_card",
        "UPDATE holding SET is_current = 1, holder = 1",
    ],
    "a card is somebody's until it ends, and then nobody's": [
        "UPDATE holding SET is_current = 1 WHERE card_no = 60",
        "UPDATE holding SET is_current = 0",
    ],
    "who has said a change is on record with it": [
        "UPDATE card_act SET epoch = 999 WHERE epoch = 1"
    ],
    "a fee is paid in once for each card": ["UPDATE card_fee SET amount_fen = 1000"],
    "a temporary card has its application, two signatures and its fee": [
        "UPDATE temporary_card SET application = 2"
    ],
    "what an ended card had has gone one way, all of it, and the card has ended": [
        "UPDATE card_settlement SET amount_fen = amount_fen + 1"
    ],
    "nothing else moves as if a card had ended": ["UPDATE transfer SET line = 8 WHERE kind = 33"],
    "nobody forfeits anything who was not told before": [
        "UPDATE leaving_notice SET time_s = 4000000"
    ],
    "a list is done by two signatures, and only what they have signed": [
        "DELETE FROM batch_approval WHERE step = 2"
    ],
}


def filled():
    store = open_ledger()
    fill(store)
    return store


def test_every_table_has_something_and_the_books_hold():
    store = filled()
    for table in (*JOURNALS, "holder", "holding", "payee"):
        assert list(store.database.rows(f"SELECT 1 FROM {table}")), table
    assert check(store) == []
    assert KEYS.keys() == set(JOURNALS)


@pytest.mark.parametrize("table", JOURNALS)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_journals_are_append_only(table, verb):
    store = filled()
    key = KEYS[table]
    sql = f"DELETE FROM {table}" if verb == "DELETE" else f"UPDATE {table} SET {key} = {key}"
    with pytest.raises(ConstraintBroken, match="append-only"), store.database.transaction():
        store.database.rows(sql)


@pytest.mark.parametrize("sql", BROKEN)
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
    assert TAMPERED.keys() == lifecycle_rules.RULES.keys()


# --- a crash at any statement ------------------------------------------------------------------


def prepare(store):
    """Two students, one of them with a load that may be on its card; and a temporary card."""
    store.register_merchant(CANTEEN)
    reader = Reader(1001)
    store.register_device(reader.device, reader.key, CANTEEN)
    store.issue_cards([(60, 400), (61, 300), (62, 200)])
    store.top_ups.top_up(60, 500, "a")
    store.top_ups.note_try(1, 7, 1001)
    for card_no in (60, 61, 62):
        store.holders.open(card_no, Holder(f"N{card_no}", STUDENT, "Nursing"), (1, 2), 1, BY)


END_S = 1_000_000
LINES = [GraduationLine(2 + at, 60 + at, f"N{60 + at}", ACCOUNT, NAME) for at in range(2)]
FILE = bytes(32)


def live(store, sha256):
    """Sign, close, settle, pay: every command as somebody would give it again."""
    for person in ("wang", "sun"):
        store.batches.sign("graduation", LINES, FILE, sha256, person, END_S)
    store.batches.run("graduation", LINES, FILE, sha256, "wang", END_S)
    if store.reissues.successor(62) is None:
        store.cards.set("lose", 62, END_S)
        store.holders.issue(63, END_S)
    store.reissues.reissue(62, 63, END_S, "id-card", BY)
    let_go(store, END_S + AFTER_S)
    payments = make_file(store, "2026-06", "li", END_S + AFTER_S)
    results = [(payment.number, "paid", "") for payment in payments]
    store.payouts.note_results(results, "li", END_S + AFTER_S)


def test_stopped_at_any_statement_then_run_again():
    store = LedgerStore(SqliteDialect(open_database(":memory:", MIGRATIONS)))
    prepare(store)
    sha256 = store.batches.dry_run("graduation", LINES, FILE).sha256
    stop_anywhere(store, lambda books: live(books, sha256), least=150, check_each=7)
    assert check(store) == [] and store.balances()["clearing", 0] == -200


# --- any verbs in any order --------------------------------------------------------------------

CARDS = range(60, 68)
NEW_CARDS = range(70, 90)


def act(store, draw, reader, now_s):
    """Something that somebody may do to a card, at a wrong moment as well as at a right one."""
    card_no, other = draw.choice(CARDS), draw.choice(NEW_CARDS)
    verb = draw.choice(
        ("set", "set", "replace", "top-up", "try", "load", "spend", "settle", "pay", "open")
    )
    if verb == "set":
        word = draw.choice(
            ["lose", "lose", "unlose", "suspend", "resume", "freeze", "terminate", "close"]
        )
        store.cards.set(word, card_no, now_s, (*RULES[word].evidence, "")[0])
    elif verb == "replace":
        replace = draw.choice((store.reissues.swap, store.reissues.reissue))
        replace(card_no, other, now_s, "id-card")
        store.carry_overs.sweep(now_s)
    elif verb == "top-up":
        store.top_ups.top_up(card_no, draw.randrange(1, 900), f"order-{now_s}")
    elif verb == "try":
        pending = store.top_ups.next_of(card_no, 9)
        if pending is not None:
            store.top_ups.note_try(pending.load.number, draw.randrange(9), 1001)
    elif verb == "load":
        sql = "SELECT card_no, number, amount_fen FROM load WHERE is_loaded = 0"
        for of_card, *what in list(store.database.rows(sql))[: draw.randrange(2)]:
            reader.outcome(reader.credit(of_card, reader.seq, *what))
            store.book([reader.records])
    elif verb == "spend":
        counter, fen = reader.seq, draw.randrange(1, 600)
        reader.spend(card_no=card_no, counter=counter, amount_fen=fen, earliest_s=now_s - 9_999)
        store.book([reader.records])
    elif verb == "settle":
        settle = draw.choice(
            (let_go, let_go, lambda store, *when: store.settlements.settle(*when))
        )
        settle(store, now_s, draw.choice((0, AFTER_S)))
    elif verb == "pay":
        for payment in make_file(store, f"file-{now_s}", "li", now_s):
            said = draw.choice(("", "failed", "paid", "paid returned")).split()
            for result in said:
                store.payouts.note_results([(payment.number, result, "")], "li", now_s)
    else:
        assert verb == "open"
        step = draw.choice(("warn", "payee", "open"))
        if step == "warn":
            store.settlements.warn(card_no, "wang", now_s)
        elif step == "payee":
            store.payouts.register_payee(card_no, ACCOUNT, NAME, "wang", now_s)
        else:
            store.holders.open(other, Holder(f"N{card_no}", STUDENT, "Nursing"), (1, 2), now_s, BY)


@pytest.mark.parametrize("seed", range(6))
def test_money_is_neither_made_nor_lost_by_any_sequence(seed):
    """What came in is in the books or has gone to a bank; and the rules hold all along."""
    print("seed", seed)
    draw, reader = random.Random(seed), Reader(1001)
    store = open_ledger(reader)
    store.issue_cards([(card_no, 1_000) for card_no in CARDS])
    store.issue_cards([(card_no, 0) for card_no in NEW_CARDS])
    for card_no in CARDS:
        store.holders.open(card_no, Holder(f"N{card_no}", STUDENT, "Nursing"), (1, 2), 1, BY)
    now_s, refused = END_S, 0
    for number in range(160):
        now_s += draw.randrange(1, AFTER_S // 4)
        before = store.balances()
        try:
            act(store, draw, reader, now_s)
        except (CardRefused, TopUpRefused, NotCovered):
            refused += 1
            assert store.balances() == before
        assert sum(store.balances().values()) == 0
        if number % 40 == 39:
            assert check(store) == [], f"seed {seed}, step {number}"
    assert 0 < refused < 160
    ended = [card_no for card_no in CARDS if store.cards.state(card_no) in DEAD]
    assert ended
    _end(store, now_s)


def _end(store, now_s):
    """Everything is closed and paid: nothing is left on a card that has ended but what is owed."""
    for card_no in (*CARDS, *NEW_CARDS):
        if store.cards.state(card_no) not in DEAD:
            store.payouts.register_payee(card_no, ACCOUNT, NAME, "wang", now_s)
            store.cards.set("close", card_no, now_s, "id-card")
    let_go(store, now_s + AFTER_S)
    let_go(store, now_s + AFTER_S)
    left = set(store.settlements.unwarned())
    for (kind, owner), balance_fen in store.balances().items():
        if kind in ("holder", "pending") and owner in CARDS and owner not in left:
            assert balance_fen <= 0, (kind, owner)
    assert check(store) == []
