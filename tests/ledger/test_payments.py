"""Payments behind a restore: nothing is paid twice that the bank has and the books have lost."""

from datetime import date
from itertools import count

import pytest

from adapters.sqlite import _statements
from ledger import chart
from ledger.audit import export, verify
from ledger.card_status import CardRefused
from ledger.dialect import ConstraintBroken, SqliteDialect
from ledger.invariants import check
from ledger.lifecycle import ONE_PERSON
from ledger.money_lists import OTHER_SUM, Signature
from ledger.payments import rules
from ledger.payments.after_restore import NUMBERS_APART, PER_S, Listed, note_restore
from ledger.payments.kinds import KINDS
from ledger.payments.reasons import NOT_NOTED, NOT_RESTORED, OTHER_FACTS, WAITS, PaymentRefused
from ledger.payments.schema import PAYMENT_JOURNALS
from ledger.period_reasons import PeriodRefused
from ledger.postgres_schema import migration
from ledger.schema import MIGRATIONS
from tests.ledger import lives, months
from tests.ledger.crashes import stop_anywhere
from tests.ledger.months import CLOSED_S, approve, close, month
from tests.ledger.readers import CANTEEN, CARD, KIOSK, Reader, open_ledger
from tests.ledger.tampering import in_its_words, tamper
from tests.ledger.test_quiescence import inspect

LEAVER, LEFT_FEN, DUE_FEN = 99, 4_200, 900
END_S, NOW_S = CLOSED_S, CLOSED_S + 40 * 86_400
REFUND, REMITTANCE = "refund", "remittance"
FILES = {REFUND: "2026-11", REMITTANCE: "2026-09"}


def office(path=":memory:", is_closed=True):
    """Yesterday's books: a merchant is due 900 fen, and the holder of an ended card 42 yuan."""
    store, *_ = month(path)
    store.issue_cards([(LEAVER, LEFT_FEN)])
    months.register(store)
    store.payouts.register_payee(LEAVER, lives.ACCOUNT, lives.NAME, "wang", END_S - 1)
    store.cards.set("close", LEAVER, END_S, "id-card")
    if is_closed:
        reach(store)
    return store


def reach(store):
    """What makes both of them due; it is done again where a restore has lost it."""
    approve(store, close(store))
    lives.let_go(store, NOW_S)


def pay(store, names=FILES):
    """Make a file of each kind; (kind, payment) of all that is in them."""
    files = {
        REFUND: lives.make_file(store, names[REFUND], "li", NOW_S),
        REMITTANCE: store.periods.payments.make_file(names[REMITTANCE], "sun", NOW_S),
    }
    return [(kind, one) for kind, found in files.items() for one in found]


def back(store, now_s=NOW_S + 3_600):
    """These are the books of a backup."""
    with store.database.transaction():
        note_restore(store.database, now_s)
    return store


def listed(payment, **other):
    facts = {"number": payment.number, "account_no": payment.account_no}
    facts |= {"amount_fen": payment.amount_fen, "purpose": payment.purpose}
    return Listed(**facts | other)


def note(store, kind, *found, file=None, person="clara"):
    """Note payments as the bank's list has them; why each is not known again."""
    name = file or FILES[kind]
    return [one.why for one in store.after_restore.note(kind, name, found, person, NOW_S + 4_000)]


def note_all(store, lost):
    return [note(store, kind, listed(one)) for kind, one in lost]


def release(store, amount_fen=LEFT_FEN + DUE_FEN, newest="2026-11", because="", who="clara tian"):
    """Each of `who` says that the bank has no other; how many have, after each."""
    said = newest, amount_fen, because
    return [store.after_restore.release(*said, one, NOW_S + 5_000) for one in who.split()]


def refused(reason, call, *words, **named):
    with pytest.raises((PaymentRefused, CardRefused, PeriodRefused)) as found:
        call(*words, **named)
    assert found.value.reason == reason, found.value
    assert lives.ACCOUNT not in str(found.value) and months.ACCOUNT not in str(found.value)


def unchanged(store, reason, call, *words, **named):
    before = store.dump()
    refused(reason, call, *words, **named)
    assert store.dump() == before


def bank_fen(store):
    """What the bank has paid out, by the books."""
    return store.balances()["clearing", 0]


@pytest.fixture
def lost():
    """(yesterday's books, come back; the payments that were made since and are with the bank)."""
    yesterday, other = office(), office()
    return back(yesterday), pay(other)


# --- files wait --------------------------------------------------------------------------------


def test_behind_a_restore_no_file_is_made_of_either_kind(lost):
    store, _payments = lost
    plan = store.payouts.dry_run("2026-12")
    signature = Signature(plan.sha256, plan.amount_fen, "sun", NOW_S)
    unchanged(store, WAITS, store.payouts.sign, "2026-12", signature)
    unchanged(store, WAITS, store.payouts.make_file, "2026-12", plan.sha256, "li", NOW_S)
    unchanged(store, WAITS, store.periods.payments.make_file, "2026-12", "sun", NOW_S)
    waits = store.after_restore.waiting()
    assert (waits.open, waits.count, waits.signed) == ((), 0, ())
    assert check(store) == []


@pytest.mark.parametrize("table", ["payout_try", "remittance_try"])
@pytest.mark.parametrize("number", [1, 1 + (NOW_S + 3_600) * PER_S])
def test_nor_does_the_database_take_one(lost, table, number):
    store, _payments = lost
    ((due,),) = store.database.rows(
        "SELECT number FROM card_settlement"
        if table == "payout_try"
        else f"SELECT number FROM period_merchant WHERE merchant_no = {CANTEEN}"
    )
    with pytest.raises(ConstraintBroken), store.database.transaction():
        row = number, due, 1, "2026-12", "sun", NOW_S
        store.database.many(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)", [row])


def test_books_that_never_came_back_wait_for_nothing():
    store = office()
    assert store.after_restore.waiting() is None
    unchanged(store, NOT_RESTORED, release, store)
    unchanged(store, NOT_RESTORED, note, store, REFUND)
    assert len(pay(store)) == 2


def test_readers_that_know_more_than_the_books_say_that_these_came_back():
    """Nobody has said so: the file was copied back, or pg_restore made them."""
    store, reader = office(), Reader(1077)
    store.register_device(1077, reader.key, CANTEEN)
    inspect(reader, NOW_S, map_epoch=9)
    store.book([reader.records])
    assert store.after_restore.waiting().restored_s is None
    refused(WAITS, pay, store)
    refused(NOT_RESTORED, release, store, 0, "")
    store.after_restore.restored("wang", NOW_S)
    release(store, 0, "")
    assert len(pay(store)) == 2


def test_what_the_bank_says_of_a_refund_is_no_word_of_a_merchant_s_payment():
    """Two files of answers look alike: told to the other command, one is refused."""
    store = office()
    numbers = {kind: one.number for kind, one in pay(store)}
    rooms = {REFUND: store.payouts, REMITTANCE: store.periods.payments}
    for kind, other in ((REFUND, REMITTANCE), (REMITTANCE, REFUND)):
        answers = [(numbers[other], "paid", "")]
        with pytest.raises((CardRefused, PeriodRefused), match="there is no payment"):
            rooms[kind].note_results(answers, "sun", NOW_S)
    assert len(set(numbers.values())) == 2
    for kind, room in rooms.items():
        assert room.note_results([(numbers[kind], "paid", "")], "sun", NOW_S) == 1
    assert check(store) == []


# --- and go again ------------------------------------------------------------------------------


def test_what_the_bank_has_is_known_again_and_its_results_find_it(lost):
    store, payments = lost
    for _ in range(2):  # the same list twice
        assert note_all(store, payments) == [[""], [""]]
    assert store.after_restore.waiting().amount_fen == LEFT_FEN + DUE_FEN
    assert release(store, who="clara clara tian tian") == [1, 1, 2, 2]
    assert store.after_restore.waiting() is None
    again = {REFUND: "2026-12", REMITTANCE: "2026-10"}
    assert pay(store, again) == []
    before_fen = bank_fen(store)
    for noted, (_kind, one) in zip((store.payouts, store.periods.payments), payments, strict=True):
        for news in (1, 0):
            assert noted.note_results([(one.number, "paid", "")], "sun", NOW_S) == news
    assert bank_fen(store) == before_fen + LEFT_FEN + DUE_FEN
    assert check(store) == []


def test_what_the_bank_does_not_have_is_paid_with_the_next_file(lost):
    store, (refund, (_kind, remittance)) = lost
    assert note_all(store, [refund]) == [[""]]
    release(store, LEFT_FEN)
    ((kind, payment),) = pay(store, {REFUND: "2026-12", REMITTANCE: "2026-10"})
    assert (kind, payment.owner) == (REMITTANCE, CANTEEN)
    # No other has the number of the one in the lost file, so its result can be no other's.
    assert payment.number > (NOW_S + 3_600) * PER_S
    paid = [(remittance.number, "paid", "")]
    unchanged(store, NOT_NOTED, store.periods.payments.note_results, paid, "sun", NOW_S)
    assert check(store) == []


def test_a_result_that_comes_before_its_payment_is_known_changes_nothing(lost):
    store, _payments = lost
    for noted in (store.payouts, store.periods.payments):
        unchanged(store, NOT_NOTED, noted.note_results, [(1, "paid", "")], "sun", NOW_S)


def test_what_failed_behind_the_backup_is_noted_before_what_followed_it():
    """Two lost files: the first one's payment failed, the second one's went to another account."""
    lives_of = []
    for _ in range(2):
        store = office()
        first = pay(store)
        lives_of.append(store)
    yesterday, today = lives_of
    today.payouts.note_results([(1, "failed", "name differs")], "sun", NOW_S)
    today.payouts.register_payee(LEAVER, "430102199001012", lives.NAME, "wang", NOW_S)
    ((_kind, second),) = pay(today, {REFUND: "2026-12", REMITTANCE: "2026-10"})
    back(yesterday)
    assert note_all(yesterday, first) == [[""], [""]]
    (why,) = note(yesterday, REFUND, listed(second), file="2026-12")
    assert "another payment of it is with the bank" in why
    yesterday.payouts.note_results([(1, "failed", "name differs")], "sun", NOW_S)
    assert note(yesterday, REFUND, listed(second), file="2026-12") == [
        "its account is not registered"
    ]
    yesterday.payouts.register_payee(LEAVER, "430102199001012", lives.NAME, "wang", NOW_S)
    assert note(yesterday, REFUND, listed(second), file="2026-12") == [""]
    assert release(yesterday, 2 * LEFT_FEN + DUE_FEN, "2026-12") == [1, 2]
    assert pay(yesterday, {REFUND: "2027-01", REMITTANCE: "2027-01"}) == []
    assert check(yesterday) == []


def test_what_led_to_it_is_lost_too_and_entered_again():
    today = office()
    payments = pay(today)
    store = back(office(is_closed=False))
    nothing_due = ["nothing is due of it, or another payment of it is with the bank"]
    assert note_all(store, payments) == [nothing_due] * 2
    assert len(store.after_restore.waiting().open) == 2
    refused(NOT_NOTED, release, store, newest="")
    reach(store)
    refused(WAITS, store.periods.payments.make_file, "2026-10", "sun", NOW_S)
    assert note_all(store, payments) == [[""], [""]]
    release(store)
    assert pay(store, {REFUND: "2026-12", REMITTANCE: "2026-10"}) == []
    assert check(store) == []


def test_a_list_of_all_leavers_is_noted_line_by_line(monkeypatch):
    """What is due is not looked through anew for each line of it: others wait for the books."""
    asked = []
    for leavers in (5, 10, 20):
        yesterday, today = (office(is_closed=False) for _ in range(2))
        for store in (yesterday, today):
            store.issue_cards([(1_000 + at, LEFT_FEN) for at in range(leavers)])
            for at in range(leavers):
                store.payouts.register_payee(1_000 + at, lives.ACCOUNT, lives.NAME, "wang", END_S)
                store.cards.set("close", 1_000 + at, END_S, "id-card")
            reach(store)
        refunds = [listed(one) for kind, one in pay(today) if kind == REFUND]
        rows, count_of = type(yesterday.database).rows, count()
        with monkeypatch.context() as patch:
            patch.setattr(
                type(yesterday.database),
                "rows",
                lambda *words, rows=rows, count_of=count_of: (next(count_of), rows(*words))[1],
            )
            assert set(note(back(yesterday), REFUND, *refunds)) == {""}
        asked.append(next(count_of))
    assert asked[2] - asked[1] == 2 * (asked[1] - asked[0]) > 0


def test_an_account_of_before_is_not_printed_with_a_payment_that_is_noted(lost):
    store, payments = lost
    ((_kind, one), _other) = payments
    assert one.account_no not in repr(listed(one))
    note_all(store, payments)
    assert one.account_no.encode() not in store.dump()


# --- what does not fit -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"amount_fen": LEFT_FEN + 1}, f"{LEFT_FEN} fen are due of it"),
        ({"account_no": "430102199001099"}, "its account is not registered"),
        ({"account_no": ""}, "its account is not registered"),
        ({"purpose": f"card {CARD}"}, "nothing is due of it"),
    ],
)
def test_with_another_amount_or_account_it_stays_open_and_files_wait(lost, other, why):
    store, ((_kind, payment), (_, remittance)) = lost
    (said,) = note(store, REFUND, listed(payment, **other))
    assert why in said
    note(store, REMITTANCE, listed(remittance))
    sum_fen = other.get("amount_fen", LEFT_FEN) + DUE_FEN
    for newest in ("2026-11", "2026-09"):
        refused(NOT_NOTED, release, store, sum_fen, newest)
    refused(WAITS, pay, store, {REFUND: "2026-12", REMITTANCE: "2026-10"})
    # Two persons have looked, and let it go.
    assert release(store, sum_fen, "2026-09", "the bank sent it back on Monday") == [1, 2]
    ((kind, again),) = pay(store, {REFUND: "2026-12", REMITTANCE: "2026-10"})
    assert (kind, again.amount_fen) == (REFUND, LEFT_FEN)
    assert check(store) == []


def test_the_newest_file_is_named_though_nothing_of_it_is_known_again(lost):
    """What the persons say is true: another file than the newest is not what the bank has."""
    store, ((_kind, payment), (_, remittance)) = lost
    note(store, REFUND, listed(payment))
    (why,) = note(store, REMITTANCE, listed(remittance, amount_fen=DUE_FEN + 1))
    assert "fen are due" in why
    sum_fen = LEFT_FEN + DUE_FEN + 1
    unchanged(store, NOT_NOTED, release, store, sum_fen, "2026-10", "sent back")
    unchanged(store, NOT_NOTED, release, store, sum_fen, "2026-09")
    assert release(store, sum_fen, "2026-09", "the bank sent it back on Monday") == [1, 2]
    # What was noted behind a restore before is noted anew, and names no file.
    back(store, NOW_S + 9_000)
    unchanged(store, NOT_NOTED, release, store, 0, "2026-09")
    assert check(store) == []


def test_whoever_has_noted_a_payment_does_not_say_that_the_bank_has_no_file(lost):
    store, ((_kind, payment), _remittance) = lost
    note(store, REFUND, listed(payment, amount_fen=7))
    assert not any(store.after_restore.waiting().newest.values())
    unchanged(store, NOT_NOTED, release, store, 7, "", "sent back")
    assert release(store, 7, "2026-11", "sent back") == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        {"amount_fen": LEFT_FEN + 1},
        {"account_no": "430102199001099"},
        {"purpose": f"card {CARD}"},
        {"file": "2026-12"},
    ],
)
def test_noted_twice_with_other_facts_it_is_refused(lost, other):
    store, ((_kind, payment), _remittance) = lost
    note(store, REFUND, listed(payment))
    facts = {name: value for name, value in other.items() if name != "file"}
    again = note, store, REFUND, listed(payment, **facts)
    unchanged(store, OTHER_FACTS, *again, file=other.get("file"))


def test_a_list_is_noted_whole_or_not_at_all(lost):
    store, ((_kind, payment), _remittance) = lost
    wrong = listed(payment, amount_fen=1)
    unchanged(store, OTHER_FACTS, note, store, REFUND, listed(payment), wrong)
    too_high = listed(payment, number=(NOW_S + 3_600) * PER_S + 1)
    unchanged(store, OTHER_FACTS, note, store, REFUND, too_high)
    for number in (0, -1):
        unchanged(store, OTHER_FACTS, note, store, REFUND, listed(payment, number=number))
    unchanged(store, OTHER_FACTS, note, store, REFUND, listed(payment, purpose="x" * 65))


def test_a_file_that_the_books_have_is_not_written_again_and_has_no_more_in_it():
    """It was made before the backup; what the bank has said of it since may be lost."""
    store = office()
    payments = pay(store)
    back(store)
    sha256 = store.payouts.made("2026-11")
    # The bank's list has it too: it is known.
    assert note_all(store, payments) == [[""], [""]]
    unchanged(store, OTHER_FACTS, note, store, REFUND, listed(payments[0][1], number=2))
    release(store)
    refused(WAITS, store.payouts.make_file, "2026-11", sha256, "li", NOW_S)
    refused(WAITS, store.periods.payments.make_file, "2026-09", "sun", NOW_S)
    assert check(store) == []


def test_the_name_of_a_lost_file_is_used(lost):
    store, payments = lost
    note_all(store, payments)
    release(store)
    store.issue_cards([(98, 100)])
    store.payouts.register_payee(98, lives.ACCOUNT, lives.NAME, "wang", END_S)
    store.cards.set("close", 98, END_S, "id-card")
    lives.let_go(store, NOW_S)
    plan = store.payouts.dry_run("2026-11")
    signature = Signature(plan.sha256, 100, "sun", NOW_S)
    refused(WAITS, store.payouts.sign, "2026-11", signature)
    ((_kind, payment),) = pay(store, {REFUND: "2026-12", REMITTANCE: "2026-10"})
    assert payment.owner == 98
    assert check(store) == []


# --- two persons -------------------------------------------------------------------------------


def test_two_persons_say_that_the_bank_has_no_other(lost):
    store, payments = lost
    note_all(store, payments)
    for amount_fen in (0, LEFT_FEN, LEFT_FEN + DUE_FEN + 1):
        unchanged(store, OTHER_SUM, release, store, amount_fen)
    for newest in ("2026-12", ""):
        unchanged(store, NOT_NOTED, release, store, newest=newest)
    assert release(store, who="zhao zhao") == [1, 1]
    refused(WAITS, store.periods.payments.make_file, "2026-10", "sun", NOW_S)
    # Who has noted the payments is not the second to say that there is no other.
    unchanged(store, ONE_PERSON, release, store, who="clara")
    assert release(store, who="tian") == [2]


def test_what_is_noted_between_takes_both_words_anew(lost):
    store, payments = lost
    note_all(store, payments[:1])
    assert release(store, LEFT_FEN, who="clara") == [1]
    note_all(store, payments[1:])
    refused(OTHER_SUM, release, store, LEFT_FEN, who="tian")
    assert release(store, who="tian") == [1]
    assert store.after_restore.waiting() is not None
    assert release(store, who="qian") == [2]


def test_what_is_found_later_makes_files_wait_again(lost):
    """Both were wrong: the bank has it, and it was paid once more."""
    store, payments = lost
    release(store, 0, "")
    assert len(pay(store, {REFUND: "2026-12", REMITTANCE: "2026-10"})) == 2
    for (why,) in note_all(store, payments):
        assert "another payment of it is with the bank" in why
    refused(WAITS, store.periods.payments.make_file, "2026-11", "sun", NOW_S)
    assert len(store.after_restore.waiting().open) == 2
    release(store, newest="2026-12", because="the bank recalled both")
    assert store.after_restore.waiting() is None
    assert check(store) == []


# --- restored more than once -------------------------------------------------------------------


def test_restored_twice_no_life_has_the_numbers_of_another(lost):
    """The first life behind the backup made files too; then yesterday's backup came back again."""
    first, _payments = lost
    release(first, 0, "")
    lost_again = pay(first, {REFUND: "2026-12", REMITTANCE: "2026-10"})
    second = back(office(), NOW_S + 7_200)
    for kind, one in lost_again:
        name = {REFUND: "2026-12", REMITTANCE: "2026-10"}[kind]
        assert note(second, kind, listed(one), file=name) == [""]
    release(second, newest="2026-12")
    assert pay(second, {REFUND: "2027-01", REMITTANCE: "2027-01"}) == []
    second.payouts.note_results([(lost_again[0][1].number, "failed", "")], "sun", NOW_S)
    second.payouts.register_payee(LEAVER, "430102199001012", lives.NAME, "wang", NOW_S)
    ((_kind, last),) = pay(second, {REFUND: "2027-02", REMITTANCE: "2027-02"})
    assert last.number > max(one.number for _, one in lost_again)
    assert check(second) == []


def test_a_backup_that_was_taken_while_files_waited_waits_for_the_whole_list(lost):
    store, payments = lost
    note_all(store, payments)
    release(store, who="clara")
    back(store, NOW_S + 7_200)
    assert store.after_restore.waiting().signed == ()
    refused(OTHER_SUM, release, store)
    assert note_all(store, payments) == [[""], [""]]
    assert release(store) == [1, 2]
    assert check(store) == []


def test_a_list_that_was_mistyped_is_noted_anew(lost):
    store, ((_kind, payment), (_, remittance)) = lost
    note(store, REFUND, listed(payment, amount_fen=LEFT_FEN * 10))
    unchanged(store, OTHER_FACTS, note, store, REFUND, listed(payment))
    store.after_restore.restored("wang", NOW_S + 4_500)
    waits = store.after_restore.waiting()
    assert (waits.open, waits.count) == ((), 0)
    assert note(store, REFUND, listed(payment)) == note(store, REMITTANCE, listed(remittance))
    assert release(store) == [1, 2]
    assert release(store, who="zhao") == [2]
    assert pay(store, {REFUND: "2026-12", REMITTANCE: "2026-10"}) == []
    assert check(store) == []


def test_a_clock_that_is_behind_gives_no_number_again():
    store = office()
    payments = pay(store)
    for _ in range(3):
        back(store, 0)
    ((above,),) = store.database.rows("SELECT MAX(above) FROM books_restore")
    assert above == max(one.number for _kind, one in payments) + 3 * NUMBERS_APART


def test_an_audit_takes_a_payment_that_has_its_number_back(tmp_path):
    """Behind a restore a new audit begins; what is noted then has a number below those it has."""
    store, other = office(), office()
    payments = pay(other)
    months.register(other, KIOSK)
    ((_kind, lost_one),) = pay(other, {REFUND: "2026-12", REMITTANCE: "2026-10"})
    back(store)
    note_all(store, payments)
    release(store)
    months.register(store, KIOSK)
    ((_kind, again),) = pay(store, {REFUND: "2026-13", REMITTANCE: "2026-11"})
    export(store.database, tmp_path, date(2026, 11, 27))
    store.periods.payments.note_results([(again.number, "failed", "recalled")], "sun", NOW_S)
    assert note(store, REMITTANCE, listed(lost_one), file="2026-10") == [""]
    assert lost_one.number < again.number
    assert verify(tmp_path, store.database)[0] == []
    assert check(store) == []


# --- the power goes ----------------------------------------------------------------------------


def _all_of_it(store, payments):
    note_all(store, payments)
    if store.after_restore.waiting() is not None:
        release(store)
    store.payouts.note_results([(1, "paid", "")], "sun", NOW_S)


def test_stopped_at_any_statement_then_done_again(lost):
    fresh, payments = lost
    stop_anywhere(fresh, lambda books: _all_of_it(books, payments), least=60, check_each=8)


# --- the tables --------------------------------------------------------------------------------


def filled():
    """Payments of both kinds in every state, and some that are noted or let go."""
    store = open_ledger()
    lives.fill(store)
    months.fill(store)
    fill(store)
    return store


def fill(store):
    """Something in every table, where lives and months have been."""
    back(store, NOW_S)
    ((file, purpose, amount_fen),) = store.database.rows(
        "SELECT t.file, 'card ' || s.card_no, s.amount_fen FROM payout_try t"
        " JOIN card_settlement s ON s.number = t.settlement WHERE t.number = 3"
    )
    known = Listed(3, lives.ACCOUNT, amount_fen, purpose)
    assert note(store, REFUND, known, file=file) == [""]
    note(store, REMITTANCE, Listed(7, months.ACCOUNT, 5, "merchant 12 period 9"), file="2026-10")
    assert release(store, amount_fen + 5, "2026-09", "sent back") == [1, 2]


_UNDO = ["DROP TRIGGER payout_waits_behind_a_restore"]
_UNDO += ["DROP TRIGGER remittance_waits_behind_a_restore"]
_UNDO += ["DROP TRIGGER payout_is_signed_or_noted"]
_UNDO += [f"DROP TABLE {table}" for table in reversed(PAYMENT_JOURNALS)]
_UNDO_FUNCTIONS = [statement.split()[-1] for statement in _UNDO[:3]]
_UNDO_FUNCTIONS += ["books_restore_follows", "bank_payment_is_of_before"]
_UNDO_FUNCTIONS += ["payment_release_takes_two"]
_SIGNED = """CREATE TRIGGER payout_is_signed BEFORE INSERT ON payout_try
WHEN NOT EXISTS (SELECT 1 FROM money_run WHERE kind = 'refund' AND name = NEW.file)
BEGIN SELECT RAISE(ABORT, 'no refund goes to a bank by one signature'); END;"""


def test_books_of_before_keep_their_payments_in_every_state():
    """The migration moves no row: what was with the bank, paid or sent back is so still."""
    store = open_ledger()
    lives.fill(store)
    months.fill(store)
    before, balances = store.dump(), store.balances()
    assert MIGRATIONS[30].startswith("\nCREATE TABLE books_restore")
    if isinstance(store.database, SqliteDialect):
        for statement in [*_UNDO, _SIGNED, *_statements(MIGRATIONS[30])]:
            store.database.rows(statement)
    else:
        connection = store.database._connection
        for table in reversed(PAYMENT_JOURNALS):
            connection.execute(f"DROP TABLE {table}")
        own = [f"{table}_{verb}" for table in PAYMENT_JOURNALS for verb in ("update", "delete")]
        for name in [*_UNDO_FUNCTIONS, *own]:
            connection.execute(f"DROP FUNCTION {name}() CASCADE")
        connection.execute(
            "CREATE FUNCTION payout_is_signed() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NEW; END $$"
        )
        connection.execute(migration(31))
    assert (store.dump(), store.balances()) == (before, balances)
    assert check(store) == []
    for noted, results in ((store.payouts, "payout"), (store.periods.payments, "remittance")):
        sql = f"SELECT MIN(number) FROM {results}_result WHERE is_paid = 1"
        ((number,),) = store.database.rows(sql)
        assert noted.note_results([(number, "paid", "")], "sun", NOW_S) == 0
    store.payouts.note_results([(3, "paid", "")], "sun", NOW_S)
    assert check(store) == []


def test_every_table_has_something():
    store = filled()
    for table in PAYMENT_JOURNALS:
        assert list(store.database.rows(f"SELECT 1 FROM {table}")), table
    assert check(store) == []


@pytest.mark.parametrize("table", PAYMENT_JOURNALS)
def test_journals_are_append_only(table):
    store = filled()
    for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET person = person"):
        with pytest.raises(ConstraintBroken, match="append-only"), store.database.transaction():
            store.database.rows(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO books_restore VALUES (1, 1, 9999999999999, '')",
        "INSERT INTO books_restore VALUES (3, 1, 9999999999999, '')",
        "INSERT INTO books_restore VALUES (2, 1, 1, '')",
        "INSERT INTO books_restore VALUES (2, 1, 99999999999999, '')",
        "INSERT INTO bank_payment VALUES (9, 2, 'refund', 8, 'x', 1, 'f', 'a', 1)",
        "INSERT INTO bank_payment VALUES (9, 1, 'refund', 3, 'x', 1, 'f', 'a', 1)",
        "INSERT INTO bank_payment VALUES (9, 1, 'salary', 8, 'x', 1, 'f', 'a', 1)",
        "INSERT INTO bank_payment VALUES (9, 1, 'refund', 9999999999999, 'x', 1, 'f', 'a', 1)",
        "INSERT INTO bank_payment VALUES (9, 1, 'refund', 8, 'x', 0, 'f', 'a', 1)",
        "INSERT INTO payment_release VALUES (1, 2, 2, '', 405, 'y', 'zhao', 1)",
        "INSERT INTO payment_release VALUES (1, 1, 1, '', 405, 'y', 'zhao', 1)",
        "INSERT INTO payment_release VALUES (1, 3, 1, '', 405, 'y', 'zhao', 1)",
        "INSERT INTO payout_try VALUES (8, 3, 1, 'f', 'a', 1)",
        "INSERT INTO payout_try VALUES (3000000000000, 1, 1, 'f', 'a', 1)",
    ],
)
def test_the_database_refuses(sql):
    store = filled()
    before = store.dump()
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows(in_its_words(store, sql))
    assert store.dump() == before


def of_kind(kind, paid, another):
    """What somebody with the database could do to payments of one kind."""
    way = KINDS[kind].way
    tries, returns = f"{KINDS[kind].prefix}_try", f"{KINDS[kind].prefix}_return"
    return {
        f"a {kind} is paid as the bank says, and what it sent back is there again": [
            f"DELETE FROM {returns}"
        ],
        f"nothing else moves as if a bank had paid a {kind}": [
            f"UPDATE transfer SET line = 8 WHERE kind = {paid}"
        ],
        f"a {kind} is with the bank, or paid, once at a time": another,
        f"a {kind} on its way to a bank is what no bank has paid": [
            f"UPDATE account SET balance_fen = balance_fen + 1 WHERE kind = {way}",
            f"DELETE FROM {tries} WHERE number > 900",
        ],
    }


TAMPERED = {
    **of_kind(REFUND, 34, ["INSERT INTO payout_try VALUES (9, 1, 1, 'again', 'li', 1)"]),
    **of_kind(
        REMITTANCE,
        52,
        [
            "INSERT INTO remittance_try SELECT 5, due, account, 'x', 'sun', 1 FROM remittance_try",
            "INSERT INTO remittance_try SELECT 6, due, account, 'x', 'sun', 1 FROM remittance_try"
            " WHERE number = 5",
        ],
    ),
    "a payment that the bank has is known again as what it is": [
        "UPDATE bank_payment SET amount_fen = amount_fen + 1"
    ],
    "files go again behind a restore by the word of two persons, of all that is noted": [
        "DELETE FROM payment_release WHERE step = 1"
    ],
}


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = filled()
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE payment_release SET because = ''",
        "UPDATE payment_release SET amount_fen = 404",
    ],
)
def test_a_word_that_is_not_what_two_have_said_is_seen(sql):
    store = filled()
    tamper(store, [sql])
    assert list(TAMPERED)[-1] in [violation.rule for violation in check(store)]


def test_every_rule_has_its_tampering():
    assert TAMPERED.keys() == rules.RULES.keys()
    assert KINDS[REFUND].way == chart.PAYOUT and KINDS[REMITTANCE].way == chart.REMITTANCE
