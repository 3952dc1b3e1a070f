"""Any permutation, duplication or partition of the same records ends in the same books."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import reasons
from ledger.invariants import check
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages, seal
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger

DEVICES = (1001, 1002, 1003)
UNREGISTERED = 1004
CARDS = (CARD, OTHER_CARD, 99)  # 99 was never issued

# Mostly an intent that was written, newest first; sometimes any number at all.
_which = st.one_of(
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
    st.tuples(st.sampled_from((*DEVICES, UNREGISTERED)), st.integers(1, 6)),
    st.tuples(st.just(CARD_CENTRE), st.integers(1, 4)),
)
# Credits 1 and 2 are for CARD, 3 for OTHER_CARD, 4 was never given.
LOADS = ((CARD, 5_000), (CARD, 300), (OTHER_CARD, 5_000))
_credit = st.tuples(
    st.just("credit"),
    st.sampled_from(CARDS),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from((5_000, 5_000, 300)),
    _which,
)
_intent = st.tuples(
    st.just("intent"),
    st.sampled_from(CARDS),
    st.integers(1, 4),  # counter: few, so that intents meet
    st.sampled_from((0, 100, 6000)),  # two of the last overdraw a purse
    _which,
    st.sampled_from(((0, 0xFFFFFFFF), (0, 10), (20, 30), (40, 50))),
    st.sampled_from((12, 12, 13, 99)),
)
_act = st.tuples(
    st.sampled_from((*DEVICES, *DEVICES, UNREGISTERED)),
    st.one_of(
        _intent,
        _intent,
        _credit,
        st.tuples(st.just("outcome"), _which, st.sampled_from((1, 1, 2, 3))),
        st.tuples(st.just("outcome"), _which, st.sampled_from((1, 1, 2, 3))),
        st.tuples(st.just("cancel"), _which, st.sampled_from((0, 0, 0, 1))),
        st.tuples(st.just("cancel"), _which, st.sampled_from((0, 0, 0, 1))),
        st.tuples(st.just("aggregate"), st.sampled_from((12, 12, 99))),
        st.tuples(st.just("boot")),
        st.tuples(st.just("forge"), st.integers(0, 255)),
        st.tuples(st.just("rotate")),
        st.tuples(st.just("steal"), st.integers(0, 1)),
    ),
)


def _find(which, intents):
    if isinstance(which, tuple):
        return which
    return intents[-1 - which % len(intents)] if intents else (UNREGISTERED, 1)


def _play(acts):
    """What the readers wrote, and forgeries of some of it."""
    readers = {device: Reader(device) for device in (*DEVICES, UNREGISTERED)}
    forged, intents, sold = [], [], {}
    for device, (verb, *details) in acts:
        reader = readers[device]
        if verb == "intent":
            card_no, counter, amount_fen, last, (earliest_s, latest_s), merchant_no = details
            intent = reader.intent(
                card_no,
                counter,
                amount_fen,
                _find(last, intents),
                earliest_s=earliest_s,
                latest_s=latest_s,
                merchant_no=merchant_no,
            )
            intents.append(intent)
            sold[intent] = card_no, amount_fen
        elif verb == "credit":
            card_no, counter, number, amount_fen, last = details
            intents.append(
                reader.credit(card_no, counter, number, amount_fen, _find(last, intents))
            )
        elif verb == "outcome":
            reader.outcome(_find(details[0], intents), details[1])
        elif verb == "cancel":
            # Mostly of this reader's own sale, and mostly as it was.
            own = [intent for intent in intents if intent[0] == device] or intents
            sale = _find(details[0], own)
            card_no, amount_fen = sold.get(sale, (CARD, 100))
            reader.cancel(sale, card_no, max(1, amount_fen + details[1]))
        elif verb == "aggregate":
            # No intent, whatever may speak of it as of one.
            intents.append(reader.aggregate(merchant_no=details[0]))
        elif verb == "boot":
            reader.boot()
        elif verb == "rotate":
            reader.rotate()
            reader.boot()
        elif verb == "steal" and len(reader.keys) > 1:
            # The key of before, used behind a record under the one that followed it.
            payload = reader.payload(messages.BOOT, cause=9, firmware=details[0])
            forged.append(seal.seal(reader.keys[-2], payload, reader.tag))
        elif verb == "forge" and reader.records:
            bad = bytearray(reader.records[-1])
            bad[details[0] % len(bad)] ^= 1 << details[0] % 8
            forged.append(bytes(bad))
    return [readers[device] for device in DEVICES], [
        sealed for reader in readers.values() for sealed in reader.records
    ] + forged


def _books(readers):
    store = open_ledger(*readers)
    for order, (card_no, amount_fen) in enumerate(LOADS):
        store.top_ups.top_up(card_no, amount_fen, str(order))
    return store


def _deliver(readers, records, rng, is_told=False):
    """The dump after `records` came in some order, some twice, in parcels of some size.

    `is_told`: and the card centre heard of credit 2 itself, at some time.
    """
    store = _books(readers)
    told = rng.randrange(len(records) + 1) if is_told else -1
    queue = records + rng.sample(records, rng.randrange(len(records) + 1))
    rng.shuffle(queue)
    while queue:
        if len(queue) <= told:
            store.top_ups.note_carried(2, 3, 4, bytes(12))
        deliveries = []
        for _ in range(rng.randint(1, 3)):
            size = rng.choice((1, 2, 8, 64))
            deliveries.append(queue[:size])
            queue = queue[size:]
        store.book(deliveries)
    if is_told:
        store.top_ups.note_carried(2, 3, 4, bytes(12))
    broken = check(store)
    dump = store.dump()
    store.close()
    assert broken == []
    return dump


_LIVES = st.lists(_act, min_size=4, max_size=24), st.integers(0, 2**32), st.booleans()


@given(*_LIVES)
def test_books_do_not_depend_on_delivery(acts, seed, is_told):
    _all_the_same(acts, seed, is_told)


@settings(max_examples=12)
@given(*_LIVES)
def test_books_do_not_depend_on_delivery_wherever_they_lie(acts, seed, is_told):
    """On both databases: there the engine is another and not the rules, so fewer do."""
    _all_the_same(acts, seed, is_told)


def _all_the_same(acts, seed, is_told):
    readers, records = _play(acts)
    store = _books(readers)
    for sealed in records:
        store.book([[sealed]])
    if is_told:
        store.top_ups.note_carried(2, 3, 4, bytes(12))
    assert check(store) == []
    expected = store.dump()
    store.close()
    rng = random.Random(seed)
    for _ in range(3):
        assert _deliver(readers, records, rng, is_told).decode() == expected.decode(), (
            f"seed {seed}"
        )


# One card, few counts, and everything names something near: what a portion asks for of the intents
# around its own is little (ledger/loading.py), and here it has to be enough.
_near = st.integers(0, 5)
_near_or_credit = st.one_of(_near, _near, st.tuples(st.just(CARD_CENTRE), st.integers(1, 4)))
_counts, _card = st.integers(1, 4), st.just(CARD)
_sighting = st.tuples(
    st.just("intent"), _card, _counts, st.just(100), _near_or_credit, st.just((0, 10)), st.just(12)
)
_of_one_card = st.tuples(
    st.sampled_from(DEVICES),
    st.one_of(
        _sighting,
        _sighting,
        st.tuples(st.just("credit"), _card, _counts, _counts, st.just(5_000), _near),
        st.tuples(st.just("outcome"), _near, st.sampled_from((1, 1, 2, 3))),
        st.tuples(st.just("cancel"), _near, st.just(0)),
    ),
)


@settings(max_examples=10)
@given(st.lists(_of_one_card, min_size=3, max_size=12), st.integers(0, 2**32))
def test_what_one_card_has_seen_is_told_whole_by_any_portions(acts, seed):
    _all_the_same(acts, seed, False)


_TWINS = st.integers(0, 4), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32)


@given(*_TWINS)
def test_a_twin_cannot_break_the_books_nor_hide(common, ours, theirs, seed):
    """Which of two genuine records stands is the order's doing; that both are seen is not."""
    _both_are_seen(common, ours, theirs, seed)


@settings(max_examples=12)
@given(*_TWINS)
def test_a_twin_cannot_hide_wherever_the_books_lie(common, ours, theirs, seed):
    """On both databases, with fewer."""
    _both_are_seen(common, ours, theirs, seed)


def _both_are_seen(common, ours, theirs, seed):
    reader = Reader(1001)
    for counter in range(common):
        reader.spend(counter=counter)
    twin = reader.fork()
    for each, amount_fen, count in ((reader, 100, ours), (twin, 300, theirs)):
        for counter in range(common, common + count):
            each.spend(counter=counter, amount_fen=amount_fen)
    store = open_ledger(reader)
    rng = random.Random(seed)
    genuine = {*reader.records, *twin.records}
    queue = sorted(genuine) * 2
    rng.shuffle(queue)
    while queue:
        size = rng.choice((1, 3, 8))
        store.book([queue[:size]])
        queue = queue[size:]
        assert check(store) == [], f"seed {seed}"
    # As the agents do until everything is receipted or refused.
    store.book([reader.records, twin.records])
    store.book([reader.records, twin.records])
    seen = [
        sealed
        for table in ("record", "parked", f"suspense_case WHERE reason = {reasons.FORK}")
        for (sealed,) in store.database.rows(f"SELECT sealed FROM {table}")
    ]
    assert sorted(seen) == sorted(genuine), f"seed {seed}"


def test_the_dump_tells_books_apart():
    """The property above would hold for a dump that is always the same."""
    reader = Reader(1001)
    store = open_ledger(reader)
    seen = {store.dump()}
    for counter in (1, 2, 3):
        reader.spend(counter=counter)
        for sealed in reader.records:
            store.book([[sealed]])
            seen.add(store.dump())
    assert len(seen) == 7
