"""What the books say of a card that shall pay above the floor limit; nothing is written for it."""

import pytest

from ledger.dialect import StoreUnavailable
from ledger.relay_desk import RelayDesk
from ledger.spend_desk import SpendDesk, judged
from ledger.watch import Watch
from protocols.rules import reasons
from protocols.wire import messages, seal
from protocols.wire.errors import BAD_SEAL, UNEXPECTED_TYPE, WireError
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger

NOW_S = 1_790_000_000
HOME = "campus"
NONCE = bytes(range(8))


@pytest.fixture
def reader():
    return Reader(1001)


@pytest.fixture
def books(reader):
    store = open_ledger(reader)
    yield store
    store.close()


def spend(store, reader, counter, result, before_fen=10_000, **last):
    """A debit of 1.00 at that counter comes to that; a result of 0: nobody has said."""
    records = [
        reader.write(
            messages.INTENT,
            card_no=CARD,
            counter=counter,
            amount_fen=100,
            before_fen=before_fen,
            after_fen=before_fen - 100,
            merchant_no=reader.merchant_no,
            last_device=last.get("last_device", 0),
            last_seq=last.get("last_seq", 0),
            flags=0,
        )
    ]
    if result:
        seq = reader.seq
        records.append(
            reader.write(
                messages.OUTCOME, intent_device=reader.device, intent_seq=seq, result=result
            )
        )
    (booked,) = store.book([records])
    assert not booked.refused
    return seq if result else reader.seq


@pytest.mark.parametrize(
    ("verb", "shown", "reason"),
    [
        ("lose", "", reasons.CARD_LOST),
        ("suspend", "suspension-notice", reasons.CARD_SUSPENDED),
    ],
)
def test_its_status_is_that_of_this_moment(books, verb, shown, reason):
    assert judged(books.database, CARD, 1) == reasons.APPROVED
    books.cards.set(verb, CARD, NOW_S, shown)
    assert judged(books.database, CARD, 1) == reason
    assert judged(books.database, OTHER_CARD, 1) == reasons.APPROVED


def test_a_card_that_nobody_issued(books):
    assert judged(books.database, 4711, 1) == reasons.CARD_BEHIND


@pytest.mark.parametrize(
    ("result", "at_it"),
    [
        (messages.COMMITTED, reasons.CARD_BEHIND),
        (messages.NOT_COMMITTED, reasons.APPROVED),
        (messages.UNKNOWN, reasons.APPROVED),  # the card may tell that it was not debited
        (0, reasons.APPROVED),
    ],
)
def test_a_state_that_it_has_surely_left(books, reader, result, at_it):
    spend(books, reader, 5, result)
    found = [judged(books.database, CARD, counter) for counter in (4, 5, 6)]
    assert found == [reasons.CARD_BEHIND, at_it, reasons.APPROVED]


def test_whatever_was_found_of_it_until_it_is_settled(books, reader):
    other = Reader(1002)
    books.register_device(other.device, other.key, other.merchant_no, HOME)
    spend(books, reader, 5, messages.COMMITTED)
    spend(books, other, 5, messages.COMMITTED)  # two debits of one state: it was copied
    Watch(books, lambda: NOW_S, {}).look()
    assert list(books.database.rows("SELECT card_no FROM finding")) == [(CARD,)]
    assert judged(books.database, CARD, 6) == reasons.CARD_BEHIND


def test_it_answers_a_reader_of_its_own_site_and_keeps_nothing(books, reader):
    desk = SpendDesk(books.database)
    relay = RelayDesk(books, desk)
    key = seal.derive(reader.key, messages.RELAY_LABEL)
    fields = {"nonce": NONCE, "card_no": CARD, "counter": 1, "amount_fen": 15_000}
    payload = messages.encode_relayed(messages.SPEND_ASK, fields)

    def ask(key=key, site=HOME):
        sealed = seal.seal(key, payload, messages.RELAY_UP)
        return relay.hear(site, reader.device, sealed, 0)

    before = books.dump()
    first, again = ask(), ask()
    assert first == again and books.dump() == before
    said = messages.decode_relayed(
        seal.unseal(key, first, messages.RELAY_DOWN), (messages.SPEND_ANSWER,)
    )
    assert (said["nonce"], said["reason"]) == (NONCE, reasons.APPROVED)
    books.cards.set("lose", CARD, NOW_S, "")
    ask()
    assert desk.counters == {"asks": 3, "approved": 2, "refused": 1, "store_unavailable": 0}
    for wrong, code in (({"key": bytes(32)}, BAD_SEAL), ({"site": "else"}, UNEXPECTED_TYPE)):
        with pytest.raises(WireError) as caught:
            ask(**wrong)
        assert caught.value.code == code


def test_books_that_cannot_be_read_now_say_nothing(books, monkeypatch):
    desk = SpendDesk(books.database)

    def unavailable(*_values):
        raise StoreUnavailable("disk full")

    monkeypatch.setattr("ledger.spend_desk.standing", unavailable)
    said = {"card_no": CARD, "counter": 1, "amount_fen": 1, "nonce": NONCE}
    assert desk.answer(1001, b"", said, 0) is None
    assert desk.counters["store_unavailable"] == 1
