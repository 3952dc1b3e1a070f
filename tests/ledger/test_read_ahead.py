"""What another process has read and checked ahead makes no difference but in time."""

import os
import random
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import chain, read_ahead
from ledger.claims import UNCHECKED, parse_claim
from ledger.read_ahead import check, seal_keys
from protocols.wire import seal
from protocols.wire.errors import BAD_SEAL
from tests.ledger.readers import Reader, open_ledger
from tests.ledger.test_any_order import _act, _books, _play

# --- a word about a seal is only a hint ------------------------------------------------------


class SometimesChecked:
    """Stands where the process does: checks with some keys and some of the records before."""

    def __init__(self, readers, rng):
        self._keys = {reader.device: reader.keys for reader in readers}
        self._rng = rng
        self._links = {}

    def claims(self, deliveries, ahead):
        batches = [[parse_claim(sealed) for sealed in delivery] for delivery in deliveries]
        claims = [claim for batch in batches for claim in batch]
        self._links |= {(c.device, c.seq): c.link for c in claims if self._rng.random() < 0.8}
        known = {d: keys[: self._rng.randrange(4)] for d, keys in self._keys.items()}
        check(claims, seal_keys(known), self._links)
        return batches

    def close(self):
        pass


@given(st.lists(_act, max_size=14), st.integers(0, 1 << 32))
@settings(max_examples=30, deadline=None)
def test_books_and_answers_are_the_same_whatever_was_checked_ahead(acts, seed):
    readers, records = _play(acts)
    rng = random.Random(seed)
    queue = records + rng.sample(records, rng.randrange(len(records) + 1))
    rng.shuffle(queue)
    plain, checked = _books(readers), _books(readers)
    checked._read_ahead = SometimesChecked(readers, rng)
    while queue:
        size = rng.randrange(1, 8)
        portion, queue = queue[:size], queue[size:]
        assert plain.book([portion]) == checked.book([portion])
    assert plain.dump() == checked.dump()


@pytest.mark.parametrize("wrong", ["key", "link", "record"])
def test_only_a_seal_that_holds_is_said_to(wrong):
    reader = Reader(1001)
    reader.boot()
    sealed = bytearray(reader.boot())
    if wrong == "record":
        sealed[60] ^= 1
    claim = parse_claim(bytes(sealed))
    keys = {1001: [bytes(32) if wrong == "key" else reader.key]}
    first = parse_claim(reader.records[0])
    links = {(1001, 1): bytes(32) if wrong == "link" else first.link}
    check([first, claim], seal_keys(keys), links)
    assert claim.under == UNCHECKED
    assert (first.under, first.over) == ((-1, b"") if wrong == "key" else (0, seal.CHAIN_START))


@pytest.mark.parametrize("has_another", [False, True])
def test_a_key_that_the_books_do_not_have_is_not_believed(has_another):
    """A bug that was found: books that came back without a key, under a ledger that went on.

    Records under it were booked, and nobody could be answered about that reader any more.
    """
    reader = Reader(1001)
    reader.boot()
    before = open_ledger(reader)
    reader.rotate()
    store = open_ledger(Reader(1001))
    if has_another:
        store.rotate_device_key(1001, bytes(32))
    for _ in range(3):
        reader.boot()
    before.rotate_device_key(1001, reader.key)
    whole = reader.records
    before.book([whole[:1]], [whole])  # its process is told both keys, and checks
    store._read_ahead, own = before._read_ahead, store._read_ahead
    (answer,) = store.book([whole])
    assert answer.refused == [(1001, 2, BAD_SEAL)] and answer.heads[0].seq == 1
    store._read_ahead = own
    assert store.book([whole]) == [answer]
    before.close()
    store.close()


def test_a_seal_over_another_tag_than_the_chain_s_is_not_believed():
    """The twin's second record is genuine behind the twin's first, and nowhere else."""
    reader = Reader(1001)
    reader.boot()
    twin = reader.fork()
    reader.spend(amount_fen=100)
    twin.spend(amount_fen=200)
    store = open_ledger(reader)
    store.book([reader.records[:2]])
    claims = [parse_claim(sealed) for sealed in twin.records]
    check(claims, seal_keys({1001: reader.keys}), {(c.device, c.seq): c.link for c in claims})
    assert [claim.under for claim in claims] == [0, 0, 0]
    answers = store._book([claims[2:]])
    assert answers[0].refused, "no record of the chain: its head is the reader's"
    assert store.heads() == {1001: 2}


# --- the process -----------------------------------------------------------------------------


@pytest.fixture
def portions():
    """Ten portions of what two readers wrote; one of them gets another key on the way."""
    readers = [Reader(1001), Reader(1002)]
    made = []
    for number in range(10):
        if number == 5:
            readers[0].rotate()
        had = [reader.seq for reader in readers]
        for reader in readers:
            reader.boot()
            reader.spend(counter=2 * number + reader.device % 2, amount_fen=7)
        made.append([r.records[n:] for r, n in zip(readers, had, strict=True)])
    return readers, made


def booked(readers, made, between=lambda store, number: None):
    """The dump after the portions were booked, each while the next was read."""
    store = open_ledger(*readers)
    for number, (portion, ahead) in enumerate(zip(made, [*made[1:], []], strict=True)):
        store.book(portion, ahead)
        between(store, number)
    dump = store.dump()
    store.close()
    return dump


@pytest.fixture
def expected(portions):
    readers, made = portions
    store = open_ledger(*readers)
    for portion in made:
        store.book(portion)
    return store.dump()


def test_what_was_read_ahead_is_checked_ahead(portions, expected, monkeypatch):
    readers, made = portions
    checked_here = []
    is_sealed = chain.is_sealed
    monkeypatch.setattr(chain, "is_sealed", lambda *a: checked_here.append(a) or is_sealed(*a))
    assert booked(readers, made) == expected
    records = {sealed for _key, _payload, sealed, _over in checked_here}
    # The first portion, and what follows it: the process has not seen that one. And of each one
    # the first that is said to hold, by the key in the books.
    first = {sealed for delivery in made[0] for sealed in delivery}
    second = {sealed for delivery in made[1] for sealed in delivery[:2]}
    assert records == first | second | {delivery[0] for part in made[2:] for delivery in part}


def test_more_may_have_come_behind_what_was_ahead(portions, expected, monkeypatch):
    """Less than a portion waited: what was read of it counts, and the rest is read here."""
    readers, made = portions
    read_here = []
    monkeypatch.setattr(
        read_ahead, "parse_claim", lambda sealed: read_here.append(sealed) or parse_claim(sealed)
    )
    store = open_ledger(*readers)
    for portion, following in zip(made, [*made[1:], []], strict=True):
        store.book(portion, following[:1])
    assert store.dump() == expected
    store.close()
    unread = [made[0], *(portion[1:] for portion in made[1:])]
    assert read_here == [sealed for part in unread for delivery in part for sealed in delivery]


@pytest.mark.parametrize(
    ("sign", "error"), [(signal.SIGKILL, "EOFError"), (signal.SIGSTOP, "TimeoutError")]
)
def test_the_books_go_on_without_the_process(portions, expected, caplog, sign, error):
    readers, made = portions
    ended = []

    def end(store, number):
        reader = store._read_ahead._reader
        if number == 3:
            reader.hear()  # it has answered, and will not again
            reader._socket.settimeout(0.1)
            os.kill(reader._process.pid, sign)
        ended.append(reader is None)

    assert booked(readers, made, end) == expected
    assert ended == [False] * 4 + [True] * 6
    (line,) = (record.message for record in caplog.records)
    assert line.startswith(f"nothing is read ahead any more: {error}")


def test_something_else_may_come_than_what_was_ahead(portions, expected):
    readers, made = portions
    store = open_ledger(*readers)
    for portion in made:
        store.book(portion, made[7])
    assert store.dump() == expected
    store.close()


def test_the_process_ends_with_the_books(portions):
    readers, made = portions
    store = open_ledger(*readers)
    store.book(made[0], made[1])
    pid = store._read_ahead._reader._process.pid
    os.kill(pid, 0)
    store.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
