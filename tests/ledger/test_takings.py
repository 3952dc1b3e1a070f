"""What merchants took in a time, and that nobody has to read the whole books for it."""

import random

from ledger.store import LedgerStore
from ledger.takings import _TAKEN, taken
from protocols.wire import messages
from tests.ledger.readers import CANTEEN, CARD, KIOSK, OPENING_FEN, Reader

MERCHANTS = {901: CANTEEN, 902: KIOSK}


def ledger():
    store = LedgerStore.open(":memory:")
    readers = [Reader(device, merchant_no) for device, merchant_no in MERCHANTS.items()]
    for reader in readers:
        store.register_merchant(reader.merchant_no)
        store.register_device(reader.device, reader.key, reader.merchant_no)
    store.issue_card(CARD, OPENING_FEN)
    return store, readers


def spend(reader, counter, amount_fen, earliest_s, result=messages.COMMITTED):
    when = {"earliest_s": earliest_s, "latest_s": earliest_s + 4}
    intent = reader.intent(
        counter=counter, amount_fen=amount_fen, merchant_no=reader.merchant_no, **when
    )
    reader.outcome(intent, result)


def test_a_day_is_what_was_spent_in_it_whoever_says_it_when():
    store, readers = ledger()
    rng = random.Random(24)
    expected = {}
    for counter in range(1, 60, 3):
        reader = rng.choice(readers)
        at_s = rng.choice((999, 1_000, 1_500, 1_999, 2_000))
        result = rng.choice((messages.COMMITTED, messages.COMMITTED, messages.NOT_COMMITTED))
        spend(reader, counter, 100 + counter, at_s, result)
        if result == messages.COMMITTED and 1_000 <= at_s < 2_000:
            count, fen = expected.get(reader.merchant_no, (0, 0))
            expected[reader.merchant_no] = count + 1, fen + 100 + counter
    assert len(expected) == 2
    for reader in readers:
        # Intents before what became of them: the state rises in a booking of its own.
        for sealed in reader.records:
            store.book([[sealed]])
    assert taken(store.database, 1_000, 2_000) == expected
    assert taken(store.database, 2_001, 9_999) == {}


def test_the_question_reads_one_stretch_of_its_index():
    """On SQLite, where a plan hangs on no statistics."""
    store, _readers = ledger()
    plan = [row[-1] for row in store.database.rows(f"EXPLAIN QUERY PLAN {_TAKEN}", (1, 2))]
    assert plan[0].endswith("USING COVERING INDEX intent_taken (earliest_s>? AND earliest_s<?)")
