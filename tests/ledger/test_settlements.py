"""The money of ended cards: each fen in one account, paid out once, forfeited by who knew."""

from itertools import pairwise

import pytest

from ledger import late, reasons, settlements
from ledger.card_status import CardRefused
from ledger.carry_over import AFTER_S
from ledger.code_sales import Ask, CodePolicy
from ledger.dialect import ConstraintBroken, StoreUnavailable
from ledger.holder_accounts import KINDS
from ledger.invariants import check
from ledger.phones import Phones
from ledger.reservations import Settled
from ledger.topups import NotCovered, TopUpRefused
from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_PAYMENT
from tests.ledger.checkout import PROOF
from tests.ledger.lives import let_go, make_file
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader
from tests.ledger.replaced import NEW_CARD, NEWER_CARD, books
from tests.ledger.test_quiescence import inspect

END_S = 1_790_000_000
DUE_S = END_S + AFTER_S
ACCOUNT, NEW_ACCOUNT = "6217001234567890122", "430102199001011"
NAME = "张三"


def closed(*readers, payee=True):
    """A ledger in which CARD was closed at END_S."""
    store = books(*readers)
    if payee:
        store.payouts.register_payee(CARD, ACCOUNT, NAME, "wang", END_S - 1)
    store.cards.set("close", CARD, END_S, "withdrawal-notice")
    return store


def left(*readers, is_warned=True):
    """One in which the holder of CARD has left the staff."""
    store = books(*readers)
    if is_warned:
        store.settlements.warn(CARD, "wang", END_S - 1)
    store.cards.set("terminate", CARD, END_S, "leaving-notice")
    return store


def held(store):
    """(purse, waiting, on its way, unclaimed, bank); the books hold."""
    assert check(store) == []
    balances = store.balances()
    names = [(kind, CARD) for kind in ("holder", "pending", "payout")]
    return tuple(balances.get(name, 0) for name in (*names, ("unclaimed", 0), ("clearing", 0)))


def not_paid(store):
    """(settlement, card, fen, whether there is an account to try) of what no bank has."""
    dues = store.payouts.unpaid()
    return [(one.number, one.owner, one.amount_fen, one.account > 0) for one in dues]


def paid_out(store):
    let_go(store, DUE_S)
    (payment,) = make_file(store, "2026-06", "li", DUE_S)
    store.payouts.note_results([(payment.number, "paid", "")], "li", DUE_S)
    return store


BANK = -2 * OPENING_FEN


def test_closed_it_waits_for_what_readers_may_still_tell():
    reader = Reader(1001)
    store = closed(reader)
    assert let_go(store, DUE_S - 1) == []
    reader.spend(amount_fen=700)
    inspect(reader, END_S)
    store.book([reader.records])
    for _ in range(2):
        store.settlements.settle(DUE_S)
        assert held(store) == (0, 0, OPENING_FEN - 700, 0, BANK)
    assert store.cases() == []


def test_paid_out_once_however_often_it_is_asked():
    store = closed()
    store.settlements.settle(DUE_S)
    for _ in range(2):
        (payment,) = make_file(store, "2026-06", "li", DUE_S)
        assert (payment.account_no, payment.name) == (ACCOUNT, NAME)
        assert payment.amount_fen == OPENING_FEN
        assert make_file(store, "2026-07", "li", DUE_S) == []
    for news in (1, 0):
        assert store.payouts.note_results([(1, "paid", "")], "li", DUE_S) == news
        assert held(store) == (0, 0, 0, 0, BANK + OPENING_FEN)
    with pytest.raises(CardRefused, match="is paid, not failed"):
        store.payouts.note_results([(1, "failed", "")], "li", DUE_S)
    assert make_file(store, "2026-06", "li", DUE_S) == []
    assert not_paid(store) == []


def test_an_account_is_in_the_books_only_until_it_has_its_money():
    store = closed()
    store.settlements.settle(DUE_S)
    (payment,) = make_file(store, "2026-06", "li", DUE_S)
    assert ACCOUNT not in repr(payment) and NAME not in repr(payment)
    assert ACCOUNT.encode() not in store.dump()
    store.payouts.note_results([(payment.number, "paid", "")], "li", DUE_S)
    assert list(store.database.rows("SELECT account_no, name FROM payee")) == [("", "")]


def _accounts(store):
    """(card, account, name) as registered, in order."""
    sql = "SELECT card_no, account_no, name FROM payee ORDER BY number"
    return list(store.database.rows(sql))


def test_nor_is_one_longer_that_a_bank_could_not_pay_or_that_another_has_replaced():
    store = books()
    for at, card_no in enumerate((CARD, OTHER_CARD, NEW_CARD, NEW_CARD)):
        if card_no == NEW_CARD and at == 2:
            store.cards.set("lose", CARD, END_S - 60)
            store.reissues.reissue(CARD, NEW_CARD, END_S - 60, "id-card")
        store.payouts.register_payee(card_no, ACCOUNT, NAME, "wang", END_S - 9 + at)
    store.cards.set("close", NEW_CARD, END_S, "withdrawal-notice")
    store.settlements.settle(DUE_S)
    make_file(store, "2026-06", "li", DUE_S)
    store.payouts.note_results([(1, "failed", "name differs")], "li", DUE_S)
    assert all(account_no for _card_no, account_no, _name in _accounts(store))
    store.payouts.register_payee(NEW_CARD, NEW_ACCOUNT, NAME, "wang", DUE_S)
    make_file(store, "2026-07", "li", DUE_S)
    store.payouts.register_payee(NEW_CARD, ACCOUNT, NAME, "wang", DUE_S + 1)
    store.payouts.note_results([(2, "paid", "")], "li", DUE_S)
    left = [(who[0], who[1]) for who in _accounts(store) if who[1] or who[2]]
    # Another person's, and the one that waits in case the bank sends it back.
    assert left == [(OTHER_CARD, ACCOUNT), (NEW_CARD, ACCOUNT)]
    assert check(store) == []


def test_an_account_stays_while_another_payment_to_it_is_with_the_bank():
    store = books()
    store.cards.set("lose", CARD, END_S - 60)
    store.reissues.reissue(CARD, NEW_CARD, END_S - 60, "id-card")
    store.top_ups.top_up(NEW_CARD, 500, "order-1")
    store.payouts.register_payee(NEW_CARD, ACCOUNT, NAME, "wang", END_S)
    store.cards.set("close", NEW_CARD, END_S, "id-card")
    store.settlements.settle(DUE_S)
    payments = make_file(store, "2026-06", "li", DUE_S)
    assert [payment.account_no for payment in payments] == [ACCOUNT] * 2
    for payment, account_no in zip(payments, (ACCOUNT, ""), strict=True):
        store.payouts.note_results([(payment.number, "paid", "")], "li", DUE_S)
        assert [who[1] for who in _accounts(store)] == [account_no]


def test_what_failed_waits_for_another_account_and_goes_again():
    store = closed()
    store.settlements.settle(DUE_S)
    make_file(store, "2026-06", "li", DUE_S)
    for news in (1, 0):
        said = [(1, "failed", "name differs")]
        assert store.payouts.note_results(said, "li", DUE_S) == news
        assert held(store) == (0, 0, OPENING_FEN, 0, BANK)
        assert not_paid(store) == [(1, CARD, OPENING_FEN, False)]
    assert make_file(store, "2026-07", "li", DUE_S) == []
    store.payouts.register_payee(CARD, NEW_ACCOUNT, NAME, "wang", DUE_S)
    (payment,) = make_file(store, "2026-07", "li", DUE_S)
    assert (payment.number, payment.account_no) == (2, NEW_ACCOUNT)
    store.payouts.note_results([(2, "paid", "")], "li", DUE_S)
    assert held(store) == (0, 0, 0, 0, BANK + OPENING_FEN)
    with pytest.raises(CardRefused, match="is failed, not paid"):
        store.payouts.note_results([(1, "paid", "")], "li", DUE_S)


def test_what_a_bank_sends_back_is_in_the_books_again_and_goes_to_another_account():
    """It said paid, the account was blanked, and days later the money is there again."""
    store = paid_out(closed())
    for news in (1, 0):
        said = [(1, "returned", "closed account")]
        assert store.payouts.note_results(said, "li", DUE_S + 9) == news
        assert held(store) == (0, 0, OPENING_FEN, 0, BANK)
    assert store.payouts.note_results([(1, "paid", "")], "li", DUE_S + 9) == 0  # the old file
    assert not_paid(store) == [(1, CARD, OPENING_FEN, False)]
    store.payouts.register_payee(CARD, NEW_ACCOUNT, NAME, "wang", DUE_S)
    (payment,) = make_file(store, "2026-07", "li", DUE_S)
    for result in ("paid", "returned"):
        store.payouts.note_results([(payment.number, result, "")], "li", DUE_S)
    assert held(store) == (0, 0, OPENING_FEN, 0, BANK)


@pytest.mark.parametrize("before", [None, "failed"])
def test_only_what_was_paid_is_sent_back(before):
    store = closed()
    store.settlements.settle(DUE_S)
    make_file(store, "2026-06", "li", DUE_S)
    if before:
        store.payouts.note_results([(1, before, "")], "li", DUE_S)
    with pytest.raises(CardRefused, match=r"(bank|failed), not returned"):
        store.payouts.note_results([(1, "returned", "")], "li", DUE_S)
    assert held(store) == (0, 0, OPENING_FEN, 0, BANK)


def test_without_an_account_nothing_is_lost():
    store = closed(payee=False)
    store.settlements.settle(DUE_S)
    assert make_file(store, "2026-06", "li", DUE_S) == []
    assert not_paid(store) == [(1, CARD, OPENING_FEN, False)]
    store.payouts.register_payee(CARD, ACCOUNT, NAME, "wang", DUE_S)
    assert len(make_file(store, "2026-06", "li", DUE_S)) == 1
    assert held(store) == (0, 0, OPENING_FEN, 0, BANK)


def test_who_registers_an_account_does_not_pay_to_it():
    store = closed()
    store.settlements.settle(DUE_S)
    with pytest.raises(CardRefused, match="has registered its account"):
        make_file(store, "2026-06", "wang", DUE_S)
    assert list(store.database.rows("SELECT 1 FROM payout_try")) == []


@pytest.mark.parametrize(
    ("account_no", "name", "said"),
    [
        ("", NAME, "12 to 19 digits"),
        ("62170012345678901", NAME, "check digit"),
        ("6217001234567890123", NAME, "check digit"),
        ("４３０１０２１９９００１", NAME, "12 to 19 digits"),
        ("43010219900", NAME, "12 to 19 digits"),
        (ACCOUNT, "", "name of 1 to 64"),
        (ACCOUNT, "a\nb", "name of 1 to 64"),
        (ACCOUNT, '=HYPERLINK("x")', "name of 1 to 64"),
    ],
)
def test_an_account_that_no_bank_has(account_no, name, said):
    store = closed(payee=False)
    with pytest.raises(CardRefused, match=said) as refused:
        store.payouts.register_payee(CARD, account_no, name, "wang", END_S)
    assert not account_no or account_no not in str(refused.value)


def test_results_are_all_noted_or_none():
    store = closed()
    store.settlements.settle(DUE_S)
    make_file(store, "2026-06", "li", DUE_S)
    before = store.dump()
    for said in ([(1, "paid", ""), (2, "paid", "")], [(1, "paid", ""), (1, "failed", "")]):
        with pytest.raises(CardRefused):
            store.payouts.note_results(said, "li", DUE_S)
        assert store.dump() == before


# --- what comes late -------------------------------------------------------------------------


@pytest.mark.parametrize("is_paid", [False, True])
def test_a_spend_that_is_told_behind_the_settlement_is_its_holder_s(is_paid):
    reader = Reader(1001)
    store = paid_out(closed(reader)) if is_paid else closed(reader)
    let_go(store, DUE_S)
    spend = reader.spend(amount_fen=700)
    for _ in range(2):
        store.book([reader.records])
        let_go(store, DUE_S)
    on_its_way_fen = 0 if is_paid else OPENING_FEN
    assert held(store)[:3] == (-700, 0, on_its_way_fen)
    assert store.cases() == [(reasons.SPENT_BEFORE_ITS_END, *spend)]
    assert store.summary()["overdrawn"] == 1


def test_what_waited_for_the_card_goes_too_and_comes_on_it_no_more():
    store = books(Reader(1001))
    for order_id in ("a", "b"):
        store.top_ups.top_up(CARD, 500, order_id)
    store.top_ups.note_try(1, 5, 1001)
    store.cards.set("close", CARD, END_S, "id-card")
    with pytest.raises(TopUpRefused, match="is closed"):
        store.top_ups.top_up(CARD, 500, "c")
    let_go(store, DUE_S)
    assert held(store) == (0, 0, OPENING_FEN + 1_000, 0, BANK - 1_000)
    for number in (1, 2):
        with pytest.raises(NotCovered):
            store.top_ups.note_try(number, 6, 1001)
    assert store.top_ups.next_of(CARD, 9) is None


def test_a_load_that_had_come_after_all_makes_no_money():
    reader = Reader(1001)
    store = books(reader)
    store.top_ups.top_up(CARD, 500, "a")
    store.top_ups.note_try(1, 5, 1001)
    store.cards.set("close", CARD, END_S, "id-card")
    let_go(store, DUE_S)
    reader.outcome(reader.credit(counter=5, number=1, amount_fen=500))
    store.book([reader.records])
    let_go(store, DUE_S)
    assert held(store)[:3] == (0, 0, OPENING_FEN + 500)
    assert store.cases() == [(reasons.LOADED_TOO_LATE, 0xFFFFFFFF, 1)]


def test_an_overdrawn_purse_is_made_good_by_what_waited():
    reader = Reader(1001)
    store = books(reader)
    store.top_ups.top_up(CARD, 5_000, "a")
    reader.spend(amount_fen=OPENING_FEN + 3_000)
    store.book([reader.records])
    store.cards.set("close", CARD, END_S, "id-card")
    let_go(store, DUE_S)
    assert held(store)[:3] == (0, 0, 2_000)
    assert store.summary()["overdrawn"] == 0


def test_what_was_reserved_by_a_code_goes_when_it_is_given_back():
    store = books(Reader(1001))
    store.top_ups.top_up(CARD, 5_000, "a")
    phones, now_ms = Phones(store.database, bytes(32), bytes), (END_S * 1000, END_S * 1000)
    code = virtual_code.make(phones.bind(CARD, PROOF, 1)[1], CAMPUS_PAYMENT, CARD, END_S, bytes(2))
    ask = Ask(1001, bytes(8), code, 1_000, 1)
    number = store.code_sales.ask(ask, phones.seed_of, now_ms, CodePolicy(2_000, 2_000)).number
    store.cards.set("close", CARD, END_S, "id-card")
    let_go(store, DUE_S)
    assert held(store)[:3] == (0, 0, OPENING_FEN + 4_000)
    store.code_sales.settle(number, Settled.VOID)
    let_go(store, DUE_S)
    assert held(store)[:3] == (0, 0, OPENING_FEN + 5_000)


@pytest.mark.parametrize("verb", ["reissue", "swap"])
def test_what_was_left_of_the_card_before_goes_with_its_heir(verb):
    """Closed before it was carried over: nobody claims it any more."""
    store = books()
    if verb == "reissue":
        store.cards.set("lose", CARD, END_S - 60)
    getattr(store.reissues, verb)(CARD, NEW_CARD, END_S - 60, "id-card")
    store.payouts.register_payee(NEW_CARD, ACCOUNT, NAME, "wang", END_S)
    store.cards.set("close", NEW_CARD, END_S, "id-card")
    store.settlements.settle(DUE_S)
    assert held(store) == (0, 0, OPENING_FEN, 0, BANK)
    (payment,) = make_file(store, "2026-06", "li", DUE_S)
    assert (payment.owner, payment.amount_fen) == (CARD, OPENING_FEN)


# --- staff who leave (R15.1) ------------------------------------------------------------------


def test_who_was_told_and_did_not_spend_has_forfeited_it():
    store = left()
    assert store.settlements.settle(DUE_S - 1) == []
    for _ in range(2):
        store.settlements.settle(DUE_S)
        assert held(store) == (0, 0, 0, OPENING_FEN, BANK)
    assert make_file(store, "2026-06", "li", DUE_S) == []
    with pytest.raises(CardRefused, match="is terminated"):
        store.payouts.register_payee(CARD, ACCOUNT, NAME, "wang", END_S)


@pytest.mark.parametrize("is_late", [False, True])
def test_who_was_not_told_before_forfeits_nothing(is_late):
    store = left(is_warned=False)
    if is_late:
        with pytest.raises(CardRefused, match="is terminated"):
            store.settlements.warn(CARD, "wang", END_S + 1)
    assert store.settlements.settle(DUE_S) == []
    assert held(store) == (OPENING_FEN, 0, 0, 0, BANK)
    assert store.settlements.unwarned() == [CARD]


def test_who_was_told_in_the_second_of_the_end_was_not_told_before():
    store = books()
    store.settlements.warn(CARD, "wang", END_S)
    store.cards.set("terminate", CARD, END_S, "leaving-notice")
    assert store.settlements.settle(DUE_S) == []
    assert store.settlements.unwarned() == [CARD]


@pytest.mark.parametrize("cards", [1, 2])
def test_who_was_told_with_a_card_that_was_replaced_since_was_told(cards):
    """A person is told, not a piece of plastic."""
    store = books()
    store.settlements.warn(CARD, "wang", END_S - 99)
    chain = (CARD, NEW_CARD, NEWER_CARD)[: cards + 1]
    for old_card, new_card in pairwise(chain):
        store.cards.set("lose", old_card, END_S - 60)
        store.reissues.reissue(old_card, new_card, END_S - 60, "id-card")
    store.cards.set("terminate", chain[-1], END_S, "leaving-notice")
    assert store.settlements.unwarned() == []
    store.settlements.settle(DUE_S)
    assert held(store) == (0, 0, 0, OPENING_FEN, BANK)


@pytest.mark.parametrize("told", [CARD, NEW_CARD])
def test_who_was_told_once_was_told_of_what_each_of_their_cards_has(told):
    store = books()
    if told == CARD:
        store.settlements.warn(CARD, "wang", END_S - 99)
    store.cards.set("lose", CARD, END_S - 60)
    store.reissues.reissue(CARD, NEW_CARD, END_S - 60, "id-card")
    store.top_ups.top_up(NEW_CARD, 500, "order-1")
    if told == NEW_CARD:
        store.settlements.warn(NEW_CARD, "wang", END_S - 50)
    store.cards.set("terminate", NEW_CARD, END_S, "leaving-notice")
    settled = store.settlements.settle(DUE_S)
    assert [(s.card_no, s.amount_fen) for s in settled] == [(CARD, OPENING_FEN), (NEW_CARD, 500)]
    assert held(store)[3] == OPENING_FEN + 500


def test_a_notice_to_a_stranger_is_none():
    store = books()
    store.settlements.warn(OTHER_CARD, "wang", END_S - 99)
    store.cards.set("lose", CARD, END_S - 60)
    store.reissues.reissue(CARD, NEW_CARD, END_S - 60, "id-card")
    store.cards.set("terminate", NEW_CARD, END_S, "leaving-notice")
    assert store.settlements.settle(DUE_S) == []
    assert store.settlements.unwarned() == [NEW_CARD]


def test_a_late_spend_takes_from_what_was_forfeited():
    reader = Reader(1001)
    store = left(reader)
    let_go(store, DUE_S)
    reader.spend(amount_fen=700)
    store.book([reader.records])
    assert held(store)[:4] == (-700, 0, 0, OPENING_FEN)
    for _ in range(2):
        let_go(store, DUE_S)
        assert held(store)[:4] == (0, 0, 0, OPENING_FEN - 700)


def test_late_spends_take_no_more_than_their_own_card_has_forfeited():
    """What others have lost lies on the same account."""
    reader = Reader(1001)
    store = left(reader)
    store.settlements.warn(OTHER_CARD, "wang", END_S - 1)
    store.cards.set("terminate", OTHER_CARD, END_S, "leaving-notice")
    let_go(store, DUE_S)
    assert held(store)[3] == 2 * OPENING_FEN
    last, left_fen = (0, 0), OPENING_FEN
    for counter, fen in enumerate((7_000, 5_000), 1):
        last = reader.spend(amount_fen=fen, counter=counter, last=last)
        store.book([reader.records])
        let_go(store, DUE_S)
        left_fen = max(left_fen - fen, 0)
        assert held(store)[3] == OPENING_FEN + left_fen
    assert held(store)[0] == -2_000


def test_who_spends_to_zero_has_nothing_to_forfeit():
    reader = Reader(1001)
    store = left(reader)
    reader.spend(amount_fen=OPENING_FEN)
    store.book([reader.records])
    assert let_go(store, DUE_S) == []
    assert held(store)[:4] == (0, 0, 0, 0)


# --- leave of absence and withdrawal (R15.2, R15.3) --------------------------------------------


def test_a_leave_of_absence_keeps_the_money_where_it_is():
    store = books()
    store.cards.set("suspend", CARD, END_S)
    assert store.settlements.settle(END_S + 10 * AFTER_S) == []
    store.cards.set("resume", CARD, END_S + 10 * AFTER_S, "reinstatement")
    assert held(store) == (OPENING_FEN, 0, 0, 0, BANK)


def test_a_withdrawal_freezes_registers_and_pays():
    store = books()
    store.cards.set("freeze", CARD, END_S - 9, "withdrawal-notice")
    store.payouts.register_payee(CARD, ACCOUNT, NAME, "wang", END_S - 9)
    assert store.settlements.settle(END_S + 10 * AFTER_S) == []  # frozen is not closed yet
    store.cards.set("close", CARD, END_S, "withdrawal-notice")
    assert held(paid_out(store)) == (0, 0, 0, 0, BANK + OPENING_FEN)


def test_the_database_itself_lets_a_refund_go_one_way_at_a_time():
    store = closed()
    store.settlements.settle(DUE_S)
    make_file(store, "2026-06", "li", DUE_S)
    row = (9, 1, 1, "2026-07", "li", DUE_S)
    for sql, rows in (
        ("INSERT INTO payout_try VALUES (?, ?, ?, ?, ?, ?)", [row]),
        ("UPDATE payee SET account_no = ? WHERE number = 1", [(NEW_ACCOUNT,)]),
        ("DELETE FROM payee WHERE number = ?", [(1,)]),
        ("UPDATE card_settlement SET amount_fen = ?", [(1,)]),
    ):
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.many(sql, rows)
    assert held(store) == (0, 0, OPENING_FEN, 0, BANK)


def test_a_late_spend_of_after_a_loss_is_nobody_s_debt():
    """The card centre bears it, as of any replaced card; no case says that its holder owes it."""
    reader = Reader(1001)
    store = books(reader)
    store.cards.set("lose", CARD, END_S - 60)
    store.reissues.reissue(CARD, NEW_CARD, END_S - 60, "id-card")
    store.cards.set("close", NEW_CARD, END_S, "id-card")
    let_go(store, DUE_S)
    after = reader.spend(amount_fen=700, earliest_s=END_S - 30, latest_s=END_S - 29)
    before = reader.spend(amount_fen=80, counter=2, earliest_s=END_S - 99, latest_s=END_S - 98)
    store.book([reader.records])
    assert store.cases() == [
        (reasons.SPENT_WHILE_LOST, *after),
        (reasons.SPENT_BEFORE_ITS_END, *before),
    ]
    assert held(store)[:3] == (-80, 0, OPENING_FEN)


def lost_for_good(deliveries, is_replaced):
    """(what its holder gets, its purse, borne) where readers tell so much before each deed."""
    reader = Reader(1001)
    reader.spend(amount_fen=700, earliest_s=END_S - 61, latest_s=END_S - 60)
    reader.spend(amount_fen=80, counter=2, earliest_s=END_S - 62, latest_s=END_S - 61)
    store = books(reader)
    store.cards.set("lose", CARD, END_S - 60)
    for step, count in enumerate(deliveries):
        store.book([reader.records[:count]])
        if step and is_replaced:
            store.carry_overs.claim(NEW_CARD, DUE_S)
        elif step:
            let_go(store, DUE_S)
        elif is_replaced:
            store.reissues.reissue(CARD, NEW_CARD, END_S, "id-card")
        else:
            store.cards.set("close", CARD, END_S, "id-card")
        assert check(store) == []
    sums = store.balances()
    gets_fen = sums["pending", NEW_CARD] if is_replaced else sums["payout", CARD]
    return gets_fen, sums["holder", CARD], sums["loss", reasons.SPENT_WHILE_LOST]


@pytest.mark.parametrize("deliveries", [(4, 4, 4), (0, 4, 4), (0, 0, 2), (2, 4, 4), (1, 1, 2)])
def test_lost_and_closed_costs_whom_it_costs_if_another_is_in_its_place(deliveries):
    """The card centre, by as much; and the holder has as much, whenever a reader tells of it."""
    own_fen = 80 if deliveries[1] == 4 else 0
    costs = [lost_for_good(deliveries, is_replaced) for is_replaced in (True, False)]
    assert costs == [(OPENING_FEN - own_fen, 0, -700)] * 2


ENDINGS = {"close": "id-card", "terminate": "leaving-notice"}


@pytest.mark.parametrize("told", ["before its end", "before its settlement", "after it"])
@pytest.mark.parametrize("verb", ENDINGS)
def test_lost_and_never_found_its_holder_pays_nothing_of_after_the_report(verb, told):
    """As of a card that was replaced: where another card came in its place or not is the same."""
    reader = Reader(1001)
    after = reader.spend(amount_fen=700, earliest_s=END_S - 30, latest_s=END_S - 29)
    before = reader.spend(amount_fen=80, counter=2, earliest_s=END_S - 99, latest_s=END_S - 98)
    store = books(reader)
    store.settlements.warn(CARD, "wang", END_S - 100)
    store.payouts.register_payee(CARD, ACCOUNT, NAME, "wang", END_S - 100)
    store.cards.set("lose", CARD, END_S - 60)
    deeds = {
        "before its end": lambda: store.cards.set(verb, CARD, END_S, ENDINGS[verb]),
        "before its settlement": lambda: let_go(store, DUE_S),
        "after it": lambda: let_go(store, DUE_S + 1),
    }
    for when, deed in deeds.items():
        if when == told:
            store.book([reader.records])
        deed()
        assert check(store) == []
    is_late = told == "after it"
    paid_fen, lacking_fen = (OPENING_FEN, -80) if is_late and verb == "close" else (9_920, 0)
    ways = (paid_fen, 0) if verb == "close" else (0, paid_fen)
    assert held(store)[:4] == (lacking_fen, 0, *ways)
    assert store.balances()["loss", reasons.SPENT_WHILE_LOST] == -700
    own = [(reasons.SPENT_BEFORE_ITS_END, *before)] if is_late else []
    assert store.cases() == [(reasons.SPENT_WHILE_LOST, *after), *own]


@pytest.mark.parametrize("is_settled", [False, True])
def test_books_of_before_bear_it_at_the_next_settlement(monkeypatch, is_settled):
    reader = Reader(1001)
    reader.spend(amount_fen=700, earliest_s=END_S - 30, latest_s=END_S - 29)
    store = books(reader)
    store.cards.set("lose", CARD, END_S - 60)
    store.book([reader.records])
    with monkeypatch.context() as patch:  # as it was
        patch.setattr(late, "bear_ended", lambda *_what: None)
        patch.setattr(settlements, "bear_all_ended", lambda *_what: None)
        store.cards.set("close", CARD, END_S, "id-card")
        if is_settled:
            let_go(store, DUE_S)
    (violation,) = check(store)
    assert violation.rule.startswith("a spend of after the loss of a card lost for good is not")
    for _ in range(2):
        let_go(store, DUE_S)
        assert held(store)[:3] == (0, 0, OPENING_FEN)


@pytest.mark.parametrize("verb", ENDINGS)
def test_power_gone_before_it_is_borne_ends_no_card(monkeypatch, verb):
    reader = Reader(1001)
    reader.spend(amount_fen=700, earliest_s=END_S - 30, latest_s=END_S - 29)
    store = books(reader)
    store.cards.set("lose", CARD, END_S - 60)
    store.book([reader.records])
    before = store.dump()

    def gone(*_what):
        raise StoreUnavailable("power gone")

    with monkeypatch.context() as patch, pytest.raises(StoreUnavailable):
        patch.setattr(late, "post_recorded", gone)
        store.cards.set(verb, CARD, END_S, ENDINGS[verb])
    assert store.dump() == before and store.cards.state(CARD) == "lost"
    for _ in range(2):  # the answer was lost
        store.cards.set(verb, CARD, END_S, ENDINGS[verb])
        assert held(store)[0] == OPENING_FEN
        assert store.balances()["loss", reasons.SPENT_WHILE_LOST] == -700


def test_lost_and_found_again_before_its_end_people_decide():
    reader = Reader(1001)
    reader.spend(amount_fen=700, earliest_s=END_S - 30, latest_s=END_S - 29)
    store = books(reader)
    store.cards.set("lose", CARD, END_S - 60)
    store.cards.set("unlose", CARD, END_S - 1, "id-card")
    store.cards.set("close", CARD, END_S, "id-card")
    store.book([reader.records])
    let_go(store, DUE_S)
    assert held(store)[:3] == (0, 0, OPENING_FEN - 700)
    assert store.balances()["loss", reasons.SPENT_WHILE_LOST] == 0


def test_a_sale_of_after_the_report_that_is_cancelled_costs_nobody():
    """Borne at the card's end; what it gives back goes to who has borne it."""
    reader = Reader(1001)
    sale = reader.spend(amount_fen=700, earliest_s=END_S - 30, latest_s=END_S - 29)
    told = len(reader.records)
    reader.cancel(sale, amount_fen=700)
    store = books(reader)
    store.cards.set("lose", CARD, END_S - 60)
    store.book([reader.records[:told]])
    store.cards.set("close", CARD, END_S, "id-card")
    assert store.balances()["loss", reasons.SPENT_WHILE_LOST] == -700
    store.book([reader.records])
    let_go(store, DUE_S)
    assert held(store)[:3] == (0, 0, OPENING_FEN)
    assert store.balances()["loss", reasons.SPENT_WHILE_LOST] == 0


def test_a_holder_sees_what_was_settled_of_this_card_and_of_no_other():
    """Openings, settlements, payments and fees are counted on their own: numbers meet."""
    store = paid_out(closed())
    said = store.accounts.entries(CARD, 9)
    assert [(KINDS[one.kind], one.purse_fen) for one in said] == [
        ("refund", -OPENING_FEN),
        ("opening", OPENING_FEN),
    ]
    (only,) = store.accounts.entries(OTHER_CARD, 9)
    assert (KINDS[only.kind], only.purse_fen) == ("opening", OPENING_FEN)
