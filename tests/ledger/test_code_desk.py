"""Whom the code desk hears, what it says to a code, and that it says it again."""

import logging
import sqlite3

import pytest

from ledger.code_desk import ASK_MS_MIN
from ledger.code_sales import CodePolicy
from ledger.holders import Holder
from ledger.invariants import check
from ledger.lifecycle import Act
from ledger.phones import PhoneRefused, Phones
from ledger.relay_desk import RelayDesk
from ledger.service import LedgerService
from protocols.card.virtual_code import EARLY_S, LIFE_S
from protocols.rules import reasons
from protocols.rules.scan_codes import CAMPUS_IDENTITY
from protocols.rules.spending import STUDENT
from protocols.wire import messages, seal, topics
from protocols.wire.errors import WireError
from tests.ledger.checkout import NOW_S, PAID_IN_FEN, PROOF, SITE, Checkout
from tests.ledger.desk import Desk as Port
from tests.ledger.readers import CARD, OTHER_CARD, Reader, forward

ASKED = ASK_MS_MIN  # a word takes that long here


@pytest.fixture
def reader():
    return Reader(1001)


def nothing_moved(checkout):
    return checkout.money() == (PAID_IN_FEN, 0) and check(checkout.store) == []


# --- who is heard -----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"key": bytes(32)}, {"site": "north"}])
def test_nobody_else_is_heard(reader, wrong):
    checkout = Checkout(reader)
    with pytest.raises(WireError):
        checkout.say(reader, checkout.asked(reader), **wrong)
    with pytest.raises(WireError):
        checkout.ask(Reader(1002))
    assert checkout.desk.counters["asks"] == 0
    assert nothing_moved(checkout)


def test_a_reader_with_a_twin_is_not_heard(reader):
    reader.boot()
    twin = reader.fork()
    reader.boot()
    twin.spend()
    checkout = Checkout(reader)
    checkout.store.book([reader.records, twin.records])
    with pytest.raises(WireError):
        checkout.ask(reader)


def test_a_ledger_that_no_phone_pays_at_says_nothing(reader):
    checkout = Checkout(reader)
    checkout.relays = RelayDesk(checkout.store)
    assert checkout.ask(reader) is None


# --- what codes get ---------------------------------------------------------------------------


def spoilt(code):
    return code[:-1] + (b"A" if code[-1:] != b"A" else b"B")


CODES = {
    "forged": (lambda checkout: spoilt(checkout.code()), reasons.CODE_FORGED),
    "of another seed": (lambda checkout: checkout.code(bytes(32)), reasons.CODE_FORGED),
    "of a card without a phone": (
        lambda checkout: checkout.code(card=OTHER_CARD),
        reasons.CODE_FORGED,
    ),
    "of no card": (lambda checkout: checkout.code(card=99), reasons.CODE_FORGED),
    "an identity code": (
        lambda checkout: checkout.code(kind=CAMPUS_IDENTITY),
        reasons.CODE_IS_IDENTITY,
    ),
    "38 digits": (lambda checkout: b"1" * 38, reasons.CODE_UNKNOWN),
    "38 bytes of anything": (lambda checkout: bytes(range(38)), reasons.CODE_UNKNOWN),
    "too old": (
        lambda checkout: checkout.code(made_s=checkout.now_s - LIFE_S - 1),
        reasons.CODE_EXPIRED,
    ),
    "of tomorrow": (
        lambda checkout: checkout.code(made_s=checkout.now_s + EARLY_S + 2),
        reasons.CODE_NOT_YET,
    ),
}


@pytest.mark.parametrize("what", CODES)
def test_a_code_that_is_not_good_is_refused(reader, what):
    make, reason = CODES[what]
    checkout = Checkout(reader)
    heard = checkout.ask(reader, code=make(checkout))
    assert heard == {"reason": reason, "number": 0, "balance_fen": 0}
    assert nothing_moved(checkout)


@pytest.mark.parametrize(
    ("age_s", "error_ms", "reason"),
    [
        (LIFE_S, 0, reasons.APPROVED),
        (LIFE_S, 1, reasons.CODE_EXPIRED),
        (LIFE_S - 2, 2_000, reasons.APPROVED),
        (LIFE_S - 2, 2_001, reasons.CODE_EXPIRED),
        (-EARLY_S, 0, reasons.APPROVED),
        (-EARLY_S, 1, reasons.CODE_NOT_YET),
        (0, 65_000, reasons.CLOCK_UNKNOWN),
    ],
)
def test_both_ends_of_the_clock_have_to_agree(reader, age_s, error_ms, reason):
    checkout = Checkout(reader)
    checkout.now_ms = NOW_S * 1000 - ASKED  # whole when it is heard
    checkout.error_ms = error_ms
    heard = checkout.ask(reader, code=checkout.code(made_s=NOW_S - age_s))
    assert heard["reason"] == reason
    assert nothing_moved(checkout) == (reason != reasons.APPROVED)


def test_a_phone_that_was_bound_anew_has_made_the_old_one_worthless(reader):
    checkout = Checkout(reader)
    old = checkout.code()
    checkout.seed = checkout.phones.bind(CARD, PROOF, 1)[1]
    assert checkout.ask(reader, code=old)["reason"] == reasons.CODE_FORGED
    assert checkout.ask(reader)["reason"] == reasons.APPROVED
    checkout.phones.unbind(CARD, "wang", 1)
    assert checkout.ask(reader, seq=2)["reason"] == reasons.CODE_FORGED


def test_a_seed_that_does_not_open_is_an_error_without_the_seed(reader, caplog):
    checkout = Checkout(reader)
    checkout.desk._phones = Phones(checkout.store.database, bytes(32), bytes)
    with caplog.at_level(logging.DEBUG):
        assert checkout.ask(reader) is None
    assert checkout.desk.counters["unreadable"] == 1
    assert f"binding 1 of card {CARD}" in caplog.text
    assert checkout.seed.hex() not in caplog.text
    assert nothing_moved(checkout)


# --- what money gets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount_fen", "reason"),
    [
        (0, reasons.BAD_AMOUNT),
        (3_001, reasons.OVER_SPEND_LIMIT),
        (0xFFFFFFFF, reasons.OVER_SPEND_LIMIT),
        (3_000, reasons.APPROVED),
    ],
)
def test_an_amount_has_its_limits_and_burns_no_code_beyond_them(reader, amount_fen, reason):
    checkout = Checkout(reader)
    code = checkout.code()
    assert checkout.ask(reader, code=code, amount_fen=amount_fen)["reason"] == reason
    if reason != reasons.APPROVED:
        assert nothing_moved(checkout)
        assert checkout.ask(reader, code=code, amount_fen=1)["reason"] == reasons.APPROVED


def test_a_day_has_its_limit_and_what_was_given_back_does_not_count(reader):
    policy = CodePolicy(3_000, 4_000)
    checkout = Checkout(reader, paid_in_fen=20_000, policy=policy)
    assert checkout.ask(reader, amount_fen=3_000)["number"] == 1
    reader.code_sale(1, 3_000, messages.NOT_COMMITTED)
    checkout.book(reader)
    for number in (2, 3):
        assert checkout.ask(reader, amount_fen=2_000)["number"] == number
        reader.code_sale(number, 2_000)
    assert checkout.ask(reader, amount_fen=1)["reason"] == reasons.OVER_DAY_LIMIT
    day_ms = 86_400_000
    to_midnight_ms = day_ms - (checkout.now_ms + policy.utc_offset_s * 1000) % day_ms
    checkout.now_ms += to_midnight_ms - 2 * ASKED
    assert checkout.ask(reader, amount_fen=1)["reason"] == reasons.OVER_DAY_LIMIT
    assert checkout.ask(reader, amount_fen=1)["reason"] == reasons.APPROVED


def test_a_day_of_codes_begins_at_midnight_where_the_school_is(reader):
    """Breakfast before eight is of the same day here, and of the one before in London."""
    checkout = Checkout(reader, paid_in_fen=20_000, policy=CodePolicy(3_000, 4_000))
    day_ms, hour_ms = 86_400_000, 3_600_000
    midnight_ms = (checkout.now_ms // day_ms + 1) * day_ms - checkout.policy.utc_offset_s * 1000
    checkout.now_ms = midnight_ms + hour_ms
    assert checkout.ask(reader, amount_fen=3_000)["reason"] == reasons.APPROVED
    reader.code_sale(1, 3_000)
    checkout.now_ms = midnight_ms + 12 * hour_ms
    assert checkout.ask(reader, amount_fen=1_001)["reason"] == reasons.OVER_DAY_LIMIT
    assert checkout.ask(reader, amount_fen=1_000)["reason"] == reasons.APPROVED


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (0, 0, reasons.APPROVED),
        (1, 9, reasons.NOT_YET_VALID),
        (-9, -1, reasons.EXPIRED),
    ],
)
def test_a_virtual_card_is_good_on_the_days_of_its_card(reader, first, last, reason):
    checkout = Checkout(reader)
    today = (checkout.now_s + checkout.policy.utc_offset_s) // 86_400
    holder, by = Holder("S1", STUDENT, "Nursing"), Act(evidence="id-card", person="wang")
    checkout.store.holders.open(CARD, holder, (today + first, today + last), checkout.now_s, by)
    assert checkout.ask(reader)["reason"] == reason


def test_nothing_was_ever_paid_in(reader):
    checkout = Checkout(reader, paid_in_fen=0)
    heard = checkout.ask(reader)
    assert heard == {"reason": reasons.BALANCE_SHORT, "number": 0, "balance_fen": 0}


def test_a_card_that_a_merchant_has_withheld_does_not_pay(reader):
    """Its phone is no way around that; what was reserved before is decided by its record."""
    other = Reader(1002)
    checkout = Checkout(reader, other)
    first = checkout.ask(reader)
    other.write(messages.CAPTURE, card_no=CARD, reason=reasons.IDENTITY_CHECK)
    checkout.book(other)
    assert checkout.ask(other)["reason"] == reasons.CARD_SUSPENDED
    reader.code_sale(first["number"])
    checkout.book(reader)
    assert checkout.money() == (PAID_IN_FEN - 100, 0)


@pytest.mark.parametrize(
    ("verb", "undo", "reason"),
    [
        ("lose", "unlose", reasons.CARD_LOST),
        ("suspend", "resume", reasons.CARD_SUSPENDED),
        ("close", None, reasons.CODE_FORGED),  # it has no phone any more
    ],
)
def test_a_virtual_card_lives_and_dies_with_its_card(reader, verb, undo, reason):
    """R14b.1. What was reserved before goes to whom the record says."""
    checkout = Checkout(reader)
    assert checkout.ask(reader)["number"] == 1
    checkout.store.cards.set(verb, CARD, NOW_S, "id-card")
    assert checkout.ask(reader, seq=2)["reason"] == reason
    reader.code_sale(1)
    checkout.book(reader)
    assert checkout.money() == (PAID_IN_FEN - 100, 0)
    if undo is None:
        with pytest.raises(PhoneRefused, match="is closed"):
            checkout.phones.bind(CARD, PROOF, 1)
        checkout.phones.unbind(CARD, "wang", 1)
    else:
        checkout.store.cards.set(undo, CARD, NOW_S, "id-card")
        assert checkout.ask(reader)["reason"] == reasons.APPROVED


# --- said twice, late, by another -------------------------------------------------------------


def test_an_answer_that_was_lost_is_given_again_and_reserves_nothing_more(reader):
    checkout = Checkout(reader)
    asked = checkout.asked(reader)
    first = checkout.say(reader, asked)
    for _ in range(3):
        assert checkout.say(reader, asked) == first
    assert checkout.money() == (PAID_IN_FEN - 100, 100)
    checkout.now_ms += 1_000 * (LIFE_S + 1)
    assert checkout.say(reader, asked) == first, "when its code has expired, too"
    assert checkout.desk.counters["approved"] == 5


def test_a_refusal_is_given_again(reader):
    """Money that comes meanwhile is for the next question."""
    checkout = Checkout(reader, paid_in_fen=50)
    asked = checkout.asked(reader)
    assert checkout.say(reader, asked)["reason"] == reasons.BALANCE_SHORT
    checkout.store.top_ups.top_up(CARD, 500, "order-2")
    assert checkout.say(reader, asked)["reason"] == reasons.BALANCE_SHORT
    assert checkout.ask(reader)["reason"] == reasons.APPROVED


@pytest.mark.parametrize("change", ["nonce", "seq", "amount", "reader"])
def test_a_used_code_is_used_for_any_other_question(reader, change):
    other = Reader(1002)
    checkout = Checkout(reader, other)
    asked = checkout.asked(reader)
    assert checkout.say(reader, asked)["reason"] == reasons.APPROVED
    changed = {
        "nonce": {"nonce": b"another "},
        "seq": {"seq": 2},
        "amount": {"amount_fen": 99},
        "reader": {},
    }[change]
    heard = checkout.say(other if change == "reader" else reader, {**asked, **changed})
    assert heard == {"reason": reasons.CODE_USED, "number": 0, "balance_fen": 0}
    assert checkout.money() == (PAID_IN_FEN - 100, 100)


def test_a_used_code_stays_used_when_its_sale_was_called_off(reader):
    checkout = Checkout(reader)
    code = checkout.code()
    checkout.ask(reader, code=code)
    reader.code_sale(1, result=messages.NOT_COMMITTED)
    checkout.book(reader)
    assert checkout.ask(reader, code=code)["reason"] == reasons.CODE_USED
    assert nothing_moved(checkout)


def test_one_record_decides_one_sale(reader):
    """Whoever asks for a second has to write what became of the first."""
    checkout = Checkout(reader)
    assert checkout.ask(reader)["reason"] == reasons.APPROVED
    assert checkout.ask(reader)["reason"] == reasons.ASK_LEDGER
    assert checkout.money() == (PAID_IN_FEN - 100, 100)
    reader.code_sale(0, result=messages.NOT_COMMITTED)
    assert checkout.ask(reader)["reason"] == reasons.APPROVED
    checkout.book(reader)
    assert checkout.money() == (PAID_IN_FEN - 100, 100)


def test_a_reader_may_not_ask_on_and_on(reader):
    checkout = Checkout(reader)
    assert checkout.ask(reader)
    checkout.now_ms -= 1
    assert checkout.ask(reader) is None
    assert checkout.desk.counters["too_often"] == 1


def test_books_that_cannot_be_written_reserve_nothing(reader, tmp_path):
    path = tmp_path / "ledger.sqlite"
    checkout = Checkout(reader, path=str(path))
    asked = checkout.asked(reader)
    checkout.store.database.rows("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    assert checkout.say(reader, asked) is None
    assert checkout.desk.counters["store_unavailable"] == 1
    other.rollback()
    assert nothing_moved(checkout)
    assert checkout.say(reader, asked)["reason"] == reasons.APPROVED
    other.close()


# --- as a service -----------------------------------------------------------------------------


def test_the_service_answers_beside_its_bookings(reader):
    checkout, port = Checkout(reader), Port()
    service = LedgerService(checkout.store, port, bytes(32), lambda: NOW_S, checkout.relays)
    relay_key = seal.derive(reader.key, messages.RELAY_LABEL)
    payload = messages.encode_relayed(messages.PAY_ASK, checkout.asked(reader))
    said = seal.seal(relay_key, payload, messages.RELAY_UP)
    data = messages.encode_message(messages.RELAY, {"device": 1001, "sealed": said})
    port.deliver(SITE, data, topic=topics.relay_up(SITE))
    service.step(0)
    (answer,) = [data for topic, data, _ in port.sent if topic == topics.relay_down(SITE)]
    sealed = messages.decode_message(answer, (messages.RELAY,))["sealed"]
    opened = seal.unseal(relay_key, sealed, messages.RELAY_DOWN)
    heard = messages.decode_relayed(opened, (messages.PAY_ANSWER,))
    assert (heard["reason"], heard["number"]) == (reasons.APPROVED, 1)
    reader.code_sale(1)
    port.deliver(SITE, forward(SITE, 1, reader.records))
    service.step(0)
    assert len(port.receipts(SITE)) == 1
    assert checkout.money() == (PAID_IN_FEN - 100, 0)
    assert check(checkout.store) == []
