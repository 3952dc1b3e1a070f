"""What a code has reserved is the merchant's or the holder's, once, as its record says."""

import random
import threading

import pytest

from ledger import chart
from ledger import reasons as ledger_reasons
from ledger.code_sales import Ask, SettleRefused
from ledger.dialect import ConstraintBroken
from ledger.entries import post_authorized
from ledger.invariants import check
from ledger.phones import Phones
from ledger.reservations import Reservation, Settled
from ledger.store import LedgerStore
from ledger.topups import NotCovered
from protocols.card.purse import CARD_CENTRE
from protocols.rules import reasons
from protocols.wire import messages
from protocols.wire.messages import COMMITTED, NOT_COMMITTED
from tests.ledger.checkout import CODE_KEY, NOW_S, PAID_IN_FEN, POLICY, PROOF, Checkout
from tests.ledger.readers import CANTEEN, CARD, OTHER_CARD, Reader, lost

LEFT = PAID_IN_FEN - 100
RESERVED, SOLD, BACK = (LEFT, 100), (LEFT, 0), (PAID_IN_FEN, 0)


@pytest.fixture
def reader():
    return Reader(1001)


def cases(checkout):
    return [reason for reason, _device, _seq in checkout.store.cases()]


# --- what the record decides ------------------------------------------------------------------


def test_a_committed_sale_pays_the_merchant_once(reader):
    checkout = Checkout(reader)
    heard = checkout.ask(reader)
    assert heard == {"reason": reasons.APPROVED, "number": 1, "balance_fen": LEFT}
    assert checkout.money() == RESERVED
    assert checkout.store.takings(CANTEEN) == 0, "nothing is the merchant's before the record"
    reader.code_sale(1)
    for _ in range(3):
        checkout.book(reader)
        assert checkout.money() == SOLD
        assert checkout.store.takings(CANTEEN) == 100
    assert checkout.store.cases() == []
    assert (checkout.store.summary()["sold"], checkout.store.summary()["reserved"]) == (1, 0)


RECORDS = {
    "the sale was called off": lambda reader: reader.code_sale(1, result=NOT_COMMITTED),
    "no answer had come": lambda reader: reader.code_sale(0, result=NOT_COMMITTED),
    "power was cut": lambda reader: reader.boot(),
    "on battery": lambda reader: reader.write(messages.POWER, source=1, battery_mv=3900),
    "a refusal": lambda reader: reader.write(
        messages.REFUSAL, card_no=0, amount_fen=100, reason=reasons.CODE_USED
    ),
    "a card was faster": lambda reader: reader.spend(),
}


@pytest.mark.parametrize("what", RECORDS)
@pytest.mark.parametrize("is_late", [False, True])
def test_whatever_else_stands_there_gives_it_back(reader, what, is_late):
    """Ahead of the record or behind it: an ask whose record is booked is refused."""
    checkout = Checkout(reader)
    asked = checkout.asked(reader)
    RECORDS[what](reader)
    if is_late:
        checkout.book(reader)
        assert checkout.say(reader, asked)["reason"] == reasons.ASK_LEDGER
    else:
        assert checkout.say(reader, asked)["reason"] == reasons.APPROVED
        assert checkout.money() == RESERVED
    for _ in range(2):
        checkout.book(reader)
        assert checkout.money() == BACK
    assert checkout.store.cases() == []


@pytest.mark.parametrize("wrong", [{"number": 2}, {"number": 0}, {"amount_fen": 101}])
def test_a_committed_sale_that_does_not_fit_is_a_case_and_no_money(reader, wrong):
    checkout = Checkout(reader)
    checkout.ask(reader)
    reader.code_sale(**{"number": 1, **wrong})
    checkout.book(reader)
    assert checkout.money() == BACK
    assert checkout.store.takings(CANTEEN) == 0
    assert checkout.store.cases() == [(ledger_reasons.UNRESERVED_SALE, 1001, 1)]


def test_a_sale_nobody_asked_for_makes_no_money(reader):
    checkout = Checkout(reader)
    asked = checkout.asked(reader)
    reader.code_sale(1)
    before = checkout.store.balances()
    checkout.book(reader)
    assert checkout.store.balances() == before
    assert cases(checkout) == [ledger_reasons.UNRESERVED_SALE]
    assert checkout.say(reader, asked)["reason"] == reasons.ASK_LEDGER


def test_the_record_of_another_reader_decides_nothing(reader):
    other = Reader(1002)
    checkout = Checkout(reader, other)
    checkout.ask(reader)
    other.code_sale(1)
    checkout.book(other)
    assert checkout.money() == RESERVED
    assert checkout.store.cases() == [(ledger_reasons.UNRESERVED_SALE, 1002, 1)]
    reader.code_sale(1)
    checkout.book(reader)
    assert checkout.money() == SOLD


def test_records_before_it_may_come_later(reader):
    """The ask is faster than the journal: three records are still on their way, out of order."""
    checkout = Checkout(reader)
    for _ in range(3):
        reader.boot()
    checkout.ask(reader)
    reader.code_sale(1)
    reader.boot()
    checkout.store.book([reader.records[3:]])
    assert checkout.money() == RESERVED, "what is ahead of a gap is not booked"
    checkout.store.book([reader.records[:2]])
    assert checkout.money() == RESERVED
    checkout.store.book([reader.records[2:3]])
    assert check(checkout.store) == []
    assert checkout.money() == SOLD


def test_a_parked_record_decides_what_is_asked_before_it_is_booked(reader):
    checkout = Checkout(reader)
    reader.boot()
    asked = checkout.asked(reader)
    reader.code_sale(0, result=NOT_COMMITTED)
    checkout.store.book([reader.records[1:]])
    assert checkout.say(reader, asked)["reason"] == reasons.APPROVED
    checkout.book(reader)
    assert checkout.money() == BACK


def test_a_ledger_that_was_restarted_between(reader, tmp_path):
    checkout = Checkout(reader, path=str(tmp_path / "ledger.sqlite"))
    asked = checkout.asked(reader)
    first = checkout.say(reader, asked)
    checkout.boot()
    assert checkout.money() == RESERVED
    assert checkout.say(reader, asked) == first
    reader.code_sale(first["number"])
    checkout.book(reader)
    checkout.boot()
    assert checkout.money() == SOLD
    assert checkout.say(reader, asked) == first, "and even now nothing moves"
    assert checkout.money() == SOLD
    assert check(checkout.store) == []


def test_a_merchant_that_is_not_registered(reader):
    reader.merchant_no = 99
    checkout = Checkout(reader)
    checkout.ask(reader)
    reader.code_sale(1)
    checkout.book(reader)
    assert checkout.money() == SOLD
    assert checkout.store.balances()["suspense", ledger_reasons.UNKNOWN_MERCHANT] == 100
    assert cases(checkout) == [ledger_reasons.UNKNOWN_MERCHANT]


# --- what tells nothing, and who settles it ---------------------------------------------------


def gone(reader):
    """The sale's record has rotted: its reader sends a LOST one for it."""
    reader.code_sale(1)
    reader.boot()
    rest = reader.records[1:]
    return [lost(reader.key, reader.device, 1, rest[0]), *rest]


def unreadable(reader):
    """A later firmware writes a kind that this ledger does not know."""
    payload = bytearray(reader.payload(messages.POWER, source=0, battery_mv=0))
    payload[2] = 23
    reader.write_payload(bytes(payload))
    return reader.records


@pytest.mark.parametrize("mute", [gone, unreadable])
@pytest.mark.parametrize(("state", "after"), [(Settled.SOLD, SOLD), (Settled.VOID, BACK)])
def test_a_record_that_tells_nothing_leaves_it_to_a_person(reader, mute, state, after):
    checkout = Checkout(reader)
    checkout.ask(reader)
    checkout.store.book([mute(reader)])
    assert check(checkout.store) == []
    assert checkout.money() == RESERVED
    (sale,) = checkout.store.code_sales.open_since(NOW_S + 60)
    assert (sale.device, sale.seq, sale.number, sale.is_mute) == (1001, 1, 1, True)
    for _ in range(2):
        checkout.store.code_sales.settle(1, state)
        assert checkout.money() == after
    assert checkout.store.code_sales.open_since(NOW_S + 60) == []
    other = Settled.VOID if state is Settled.SOLD else Settled.SOLD
    with pytest.raises(SettleRefused, match="is settled"):
        checkout.store.code_sales.settle(1, other)
    assert checkout.money() == after
    assert check(checkout.store) == []


@pytest.mark.parametrize("said", [COMMITTED, NOT_COMMITTED])
@pytest.mark.parametrize(("state", "after"), [(Settled.SOLD, SOLD), (Settled.VOID, BACK)])
def test_a_reader_that_comes_back_behind_that_moves_nothing(reader, said, state, after):
    checkout = Checkout(reader)
    checkout.ask(reader)
    (sale,) = checkout.store.code_sales.open_since(NOW_S + 60)
    assert not sale.is_mute
    assert checkout.store.code_sales.open_since(NOW_S) == [], "not that old"
    checkout.store.code_sales.settle(1, state)
    reader.code_sale(1, result=said)
    for _ in range(2):
        checkout.book(reader)
        assert checkout.money() == after
    agrees = (said == COMMITTED) == (state is Settled.SOLD)
    assert cases(checkout) == ([] if agrees else [ledger_reasons.SETTLED_OTHERWISE])


def test_what_a_person_cannot_settle(reader):
    checkout = Checkout(reader)
    checkout.ask(reader)
    for number, state in ((2, Settled.VOID), (1, Settled.OPEN)):
        before = checkout.store.dump()
        if number == 2:
            with pytest.raises(SettleRefused, match="there is no reservation 2"):
                checkout.store.code_sales.settle(number, state)
        else:
            assert checkout.store.code_sales.settle(number, state).state is Settled.OPEN
        assert checkout.store.dump() == before


# --- the same money twice ---------------------------------------------------------------------


def test_two_asks_beyond_the_balance(reader):
    other = Reader(1002)
    checkout = Checkout(reader, other)
    assert checkout.ask(reader, amount_fen=3_000)["reason"] == reasons.APPROVED
    heard = checkout.ask(other, amount_fen=2_001)
    assert heard == {"reason": reasons.BALANCE_SHORT, "number": 0, "balance_fen": 2_000}
    assert checkout.ask(other, amount_fen=2_000)["reason"] == reasons.APPROVED
    assert checkout.money() == (0, 5_000)
    assert check(checkout.store) == []


def test_two_asks_at_the_very_same_time(tmp_path):
    """Two processes' worth of connections to one file, as fast as they can."""
    readers = [Reader(1001), Reader(1002)]
    path = str(tmp_path / "ledger.sqlite")
    checkout = Checkout(*readers, path=path, paid_in_fen=1_000)
    asks = {
        reader.device: [
            Ask(reader.device, bytes((i,)) * 8, checkout.code(), 300, 1 + i) for i in range(12)
        ]
        for reader in readers
    }
    start, answers = threading.Barrier(2), []

    def run(device):
        store = LedgerStore.open(path)
        phones = Phones(store.database, CODE_KEY, bytes)
        interval_ms = (NOW_S * 1000, NOW_S * 1000)
        start.wait()
        for ask in asks[device]:
            answers.append(store.code_sales.ask(ask, phones.seed_of, interval_ms, POLICY))
        store.close()

    threads = [threading.Thread(target=run, args=(device,)) for device in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    approved = [answer for answer in answers if answer.reason == reasons.APPROVED]
    assert sorted(answer.number for answer in approved) == [1, 2, 3]
    assert len(answers) == 24
    assert checkout.money() == (100, 900)
    assert check(checkout.store) == []


def test_the_database_itself_keeps_what_is_promised(reader):
    """Whatever a bug above it wanted to reserve."""
    checkout = Checkout(reader)
    checkout.store.top_ups.note_try(1, 4, 1001)
    wanted = Reservation(1, 1001, 1, CARD, 1)
    checkout.store.database.many(
        "INSERT INTO account (id, kind, owner, floor_fen) VALUES (?, ?, ?, 0)",
        [(chart.reserved(CARD), chart.RESERVED, CARD)],
    )
    for transfer in (wanted.reserve(), wanted.give_back()):
        with pytest.raises(ConstraintBroken), checkout.store.database.transaction():
            post_authorized(checkout.store.database, [transfer])
    assert checkout.money() == (PAID_IN_FEN, 0)


def test_what_may_be_coming_on_the_card_is_not_spent_by_code(reader):
    checkout = Checkout(reader)
    for _ in range(2):
        checkout.store.top_ups.note_try(1, 4, 1001)
        assert checkout.ask(reader)["reason"] == reasons.BALANCE_SHORT
    checkout.store.top_ups.top_up(CARD, 150, "order-2")
    assert checkout.ask(reader)["balance_fen"] == 50
    reader.code_sale(1)
    checkout.book(reader)
    checkout.store.top_ups.note_carried(1, 5, 15_000, bytes(12))
    assert checkout.money() == (50, 0)
    assert checkout.store.summary()["overdrawn"] == 0
    assert check(checkout.store) == []


def test_what_is_spent_by_code_does_not_come_on_the_card(reader):
    checkout = Checkout(reader)
    assert checkout.ask(reader)["reason"] == reasons.APPROVED
    assert checkout.store.top_ups.next_of(CARD, 9) is None
    before = checkout.store.dump()
    with pytest.raises(NotCovered, match="4900 are left"):
        checkout.store.top_ups.note_try(1, 4, 1001)
    assert checkout.store.dump() == before
    checkout.store.top_ups.top_up(CARD, 4_000, "order-2")
    assert checkout.store.top_ups.next_of(CARD, 9).load.number == 1, "the oldest that is there"
    checkout.store.top_ups.note_try(1, 4, 1001)
    assert checkout.ask(Reader(1001), seq=2, amount_fen=3_000)["reason"] == reasons.APPROVED
    assert checkout.money() == (5_900, 3_100)
    assert check(checkout.store) == []


def test_a_sale_called_off_lets_the_load_go_on(reader):
    checkout = Checkout(reader)
    checkout.ask(reader)
    assert checkout.store.top_ups.next_of(CARD, 9) is None
    reader.code_sale(1, result=NOT_COMMITTED)
    checkout.book(reader)
    assert checkout.store.top_ups.next_of(CARD, 9).load.number == 1


def test_what_a_cancelled_sale_gave_back_is_for_the_card_alone(reader):
    """A reader may have made the sale up, and only the card shows whether it has paid."""
    checkout = Checkout(reader, paid_in_fen=50)
    sale = reader.spend(counter=4)
    reader.cancel(sale)
    checkout.book(reader)
    assert checkout.money() == (150, 0)
    heard = checkout.ask(reader)
    assert (heard["reason"], heard["balance_fen"]) == (reasons.BALANCE_SHORT, 50)
    assert checkout.ask(reader, amount_fen=50)["reason"] == reasons.APPROVED
    pending = checkout.store.top_ups.next_of(CARD, 5)
    assert pending.load.amount_fen == 100, "and codes do not keep it from the card"
    checkout.store.top_ups.note_try(pending.load.number, 5, 1001)
    checkout.store.top_ups.note_carried(pending.load.number, 6, 0, bytes(12))
    assert checkout.money() == (0, 50)
    assert check(checkout.store) == []


def test_a_cancelled_sale_that_is_on_its_card_already_is_released(reader):
    """The card names the credit before the books have heard of the sale."""
    checkout = Checkout(reader, paid_in_fen=50)
    sale = reader.intent(counter=4)
    reader.cancel(sale)
    checkout.book(reader)
    (number,) = next(iter(checkout.store.database.rows("SELECT number FROM cancel")))
    other = Reader(1002)
    checkout.store.register_device(1002, other.key, CANTEEN)
    other.spend(counter=6, last=(CARD_CENTRE, number))
    checkout.book(other)
    reader.outcome(sale)
    checkout.book(reader)
    assert checkout.money() == (50, 0)
    assert checkout.ask(reader, amount_fen=50)["reason"] == reasons.APPROVED


def test_books_of_before_keep_what_was_tried(reader, tmp_path):
    """The migration: a try that had left before there were codes is a promise."""
    import sqlite3

    from ledger import schema

    before = schema.MIGRATIONS[: schema.MIGRATIONS.index(schema._CODES)]
    path = str(tmp_path / "ledger.sqlite")
    old = sqlite3.connect(path)
    for number, migration in enumerate(before, 1):
        old.executescript(migration)
        old.execute(f"PRAGMA user_version = {number}")
    old.executescript(
        f"""
        INSERT INTO device VALUES (1001, {CANTEEN}, 'campus', 0, zeroblob(32), 0, 0);
        INSERT INTO card VALUES ({CARD}, 0, 0);
        INSERT INTO account (id, kind, owner, balance_fen, floor_fen)
            VALUES ({chart.pending(CARD)}, {chart.PENDING}, {CARD}, 700, 0);
        INSERT INTO load (number, card_no, amount_fen, order_id) VALUES (1, {CARD}, 500, 'a'),
            (2, {CARD}, 200, 'b');
        INSERT INTO load_try VALUES (1, 4, 1001);
        """
    )
    old.close()
    store = LedgerStore.open(path)
    ((floor_fen,),) = store.database.rows(
        "SELECT floor_fen FROM account WHERE id = ?", (chart.pending(CARD),)
    )
    assert floor_fen == 500
    store.close()


def test_the_order_of_records_is_nothing():
    """Of the same asks and records, however delivered, the books are the same bytes."""
    dumps = set()
    for order in range(20):
        readers = [Reader(1001), Reader(1002)]
        checkout = Checkout(*readers, seed=4)
        for number, seller in enumerate((*readers, *readers), 1):
            heard = checkout.ask(seller, amount_fen=100 * number)
            if number == 3:
                seller.boot()
            else:
                seller.code_sale(heard["number"], 100 * number + (number == 4))
        delivered = [sealed for seller in readers for sealed in seller.records] * 2
        random.Random(order).shuffle(delivered)
        for sealed in delivered:
            checkout.store.book([[sealed]])
        assert check(checkout.store) == []
        dumps.add(checkout.store.dump())
    assert len(dumps) == 1


# --- everything at once -----------------------------------------------------------------------


class Street:
    """Honest readers, phones of two holders, and a line that loses, doubles and delays."""

    def __init__(self, seed, path):
        self.rng = random.Random(seed)
        self.readers = [Reader(device) for device in (1001, 1002, 1003)]
        self.checkout = Checkout(*self.readers, path=path, seed=seed, paid_in_fen=0)
        self.seeds = {
            CARD: self.checkout.seed,
            OTHER_CARD: self.checkout.phones.bind(OTHER_CARD, PROOF, 1)[1],
        }
        self.orders, self.paid_in, self.sold = 0, 0, 0
        self.echoes = []  # asks that are heard once more, whenever

    def step(self):
        rng, checkout = self.rng, self.checkout
        act = rng.randrange(10)
        if act < 5:
            self.sale()
        elif act == 5:
            self.orders += 1
            amount_fen = rng.randint(1, 4_000)
            self.paid_in += amount_fen
            checkout.store.top_ups.top_up(
                rng.choice((CARD, OTHER_CARD)), amount_fen, f"o-{self.orders}"
            )
        elif act == 6:
            self.load(rng.choice((CARD, OTHER_CARD)))
        elif act == 7:
            reader = rng.choice(self.readers)
            wanted = [sealed for sealed in reader.records if rng.random() < 0.6]
            rng.shuffle(wanted)
            checkout.store.book([wanted])
        elif act == 8 and self.echoes:
            checkout.say(*rng.choice(self.echoes))
        elif act == 9 and rng.random() < 0.3:
            checkout.boot()

    def load(self, card_no):
        pending = self.checkout.store.top_ups.next_of(card_no, 9)
        if pending is None:
            return
        number = pending.load.number
        self.checkout.store.top_ups.note_try(number, 3 * number, 1001)
        if self.rng.random() < 0.5:
            self.checkout.store.top_ups.note_carried(number, 3 * number + 1, 0, bytes(12))

    def sale(self):
        rng, checkout = self.rng, self.checkout
        reader = rng.choice(self.readers)
        card_no = rng.choice((CARD, OTHER_CARD))
        amount_fen = rng.randint(1, 3_100)
        code = checkout.code(self.seeds[card_no], card_no)
        asked = checkout.asked(reader, code, amount_fen)
        heard = None
        for _ in range(rng.randint(0, 3)):
            answer = checkout.say(reader, asked)
            if rng.random() < 0.5:
                heard = answer
        if rng.random() < 0.5:
            self.echoes.append((reader, asked))
        if heard is not None and heard["reason"] != reasons.APPROVED and rng.random() < 0.5:
            return  # refused: nothing need be written
        if heard is not None and heard["reason"] == reasons.APPROVED and rng.random() < 0.7:
            reader.code_sale(heard["number"], amount_fen)
            self.sold += amount_fen
        elif rng.random() < 0.5:
            number = heard["number"] if heard else 0
            reader.code_sale(number, amount_fen, NOT_COMMITTED)
        else:
            reader.boot()


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_and_nothing_twice(seed, tmp_path):
    street = Street(seed, str(tmp_path / "ledger.sqlite"))
    for _ in range(90):
        street.step()
    checkout = street.checkout
    for reader in street.readers:
        reader.boot()
    for reader, asked in street.echoes:
        checkout.say(reader, asked)
    checkout.book(*street.readers)
    for reader, asked in street.echoes:
        checkout.say(reader, asked)
    assert check(checkout.store) == [], f"seed {seed}"
    assert checkout.store.takings(CANTEEN) == street.sold, f"seed {seed}"
    assert cases(checkout) == [], f"seed {seed}"
    balances = checkout.store.balances()
    assert [fen for (kind, _), fen in balances.items() if kind == "reserved" and fen] == []
    held = sum(fen for (kind, _), fen in balances.items() if kind in ("pending", "holder"))
    opening = sum(fen for fen in (10_000, 10_000))
    assert held == opening + street.paid_in - street.sold, f"seed {seed}"
    assert street.sold > 0
