"""What another process has read and checked ahead makes no difference but in time."""

import os
import random
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import cancels, chain, read_ahead, runs
from ledger.claims import Claim, parse_claim
from ledger.invariants import check
from ledger.read_ahead import Portion, read, seal_keys
from ledger.runs import Run, run_of
from protocols.card.purse import CARD_CENTRE
from protocols.wire import cbor, messages
from protocols.wire.errors import BAD_SEAL
from tests.ledger.acquiring import Acquiring
from tests.ledger.checkout import Checkout
from tests.ledger.readers import Reader, open_ledger
from tests.ledger.test_any_order import LOADS, _act, _books, _play
from tests.ledger.test_lock_mail import Room
from tests.ledger.test_retirement import retired


def portion_of(deliveries, keys):
    """As the process reads them that was told `keys`."""
    found, rows, devices = read(deliveries, seal_keys(keys))
    in_runs = [runs.run_from(words, keys[words[0]]) for words in found]
    return Portion(in_runs, [Claim(*row) for row in rows], devices)


def run_in(records, *keys):
    """The Run that some records of one reader are, or None."""
    claims = [parse_claim(sealed) for sealed in records]
    words = run_of(claims, seal_keys({0: keys})[0])
    return None if words is None else runs.run_from(words, keys)


def read_and_booked(store, deliveries, keys):
    """The answers of a ledger whose process was told the keys of one reader, and found a run."""
    device = parse_claim(deliveries[0][0]).device
    portion = portion_of(deliveries, {device: keys})
    assert len(portion.runs) == 1 and portion.claims == []
    return store._book(deliveries, portion)


def told(store):
    """All that the books say, and how much came more than once."""
    return store.dump(), store.summary()


# --- a run is booked as its records are ------------------------------------------------------


class SometimesRead:
    """Stands where the process does, and is told some of the keys."""

    def __init__(self, readers, rng):
        self._keys = {reader.device: reader.keys for reader in readers}
        self._rng = rng
        self.seen = []

    def portion(self, deliveries, ahead):
        known = {d: keys[: self._rng.randrange(4)] for d, keys in self._keys.items()}
        portion = portion_of(deliveries, known)
        self.seen += portion.runs
        if self._rng.random() < 0.2:  # more has come behind what was ahead
            extra = self._rng.sample(deliveries, self._rng.randrange(len(deliveries) + 1))
            deliveries += extra
            for delivery in extra:
                portion.read(delivery)
        return portion

    def close(self):
        pass


def straight(records, rng):
    """Them nearly as they were written, in parcels, some of which come twice."""
    parcels, at = [], 0
    while at < len(records):
        size = rng.randrange(1, 9)
        parcels += [records[at : at + size]] * rng.choice((1, 1, 1, 2))
        at += size
    for _ in range(rng.randrange(3)):
        one = rng.randrange(len(parcels))
        parcels.insert(rng.randrange(len(parcels)), parcels.pop(one))
    return parcels


@pytest.mark.parametrize("order", ["straight", "any"])
@given(st.lists(_act, min_size=1, max_size=24), st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_books_and_answers_are_the_same_whatever_was_read_ahead(order, acts, seed):
    readers, records = _play(acts)
    rng = random.Random(seed)
    if order == "any":
        records = records + rng.sample(records, rng.randrange(len(records) + 1))
        rng.shuffle(records)
    if not records:
        return
    parcels = straight(records, rng)
    plain, checked = _books(readers), _books(readers)
    checked._read_ahead = SometimesRead(readers, rng)
    while parcels:
        size = rng.randrange(1, 6)
        portion, parcels = parcels[:size], parcels[size:]
        answers = checked.book(portion)  # which may have made it longer
        assert plain.book(portion) == answers, f"seed {seed}"
    assert told(plain) == told(checked), f"seed {seed}"
    plain.close()
    checked.close()


def test_what_comes_of_runs_is_all_that_can_be_in_one():
    """The property above would hold if nothing were ever a run, or none ever went on."""
    rng = random.Random(7)
    reader, other = Reader(1001), Reader(1002)
    for number in range(8):
        reader.spend(counter=2 * number, amount_fen=7)
        of_the_future = cbor.decode(other.payload(messages.BOOT, cause=1, firmware=1)) | {0: 77}
        other.write_payload(cbor.encode(of_the_future))
        other.credit(counter=2 * number + 1, number=1 + number % 3, amount_fen=LOADS[0][1])
        other.outcome((1002, other.seq), messages.COMMITTED)
    plain, checked = _books([reader, other]), _books([reader, other])
    checked._read_ahead = SometimesRead([reader, other], rng)
    fits = []
    goes_on = Run.goes_on
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "goes_on", lambda *args: fits.append(goes_on(*args)) or fits[-1])
        for at in range(0, 24, 4):
            portion = [
                each.records[max(0, at - 4 * (at % 8 == 0)) : at + 4] for each in (reader, other)
            ]
            answers = checked.book(portion)
            assert plain.book(portion) == answers
    assert told(plain) == told(checked)
    assert checked._read_ahead.seen and set(fits) == {True, False}


@pytest.mark.parametrize("wrong", ["nothing", "key", "gap", "record", "another", "lost"])
def test_only_what_follows_and_holds_is_a_run(wrong):
    reader = Reader(1001)
    for _ in range(4):
        reader.boot()
    twin = reader.fork()
    reader.spend()
    twin.spend(amount_fen=7)
    records = list(reader.records)
    if wrong == "gap":
        del records[2]
    elif wrong == "record":
        bad = bytearray(records[2])
        bad[60] ^= 1
        records[2] = bytes(bad)
    elif wrong == "another":
        records.append(twin.records[4])
    elif wrong == "lost":
        # By whoever has its key: over the tag before it, where a LOST record has a label.
        reader.write(messages.LOST, next_sha256=bytes(32))
        records = reader.records
    key = bytes(32) if wrong == "key" else reader.key
    run = run_in(random.Random(1).sample(records, len(records)), key)
    if wrong != "nothing":
        assert run is None
        return
    assert [row[4] for row in run.rows] == reader.records and run.key == reader.key
    assert len(run.spends) == 1 and [claim.seq for claim in run.others] == [1, 2, 3, 4]


def test_one_record_is_no_run_and_none_spans_two_keys():
    reader = Reader(1001)
    reader.boot()
    assert run_in(reader.records * 2, reader.key) is None
    reader.rotate()
    reader.boot()
    assert run_in(reader.records, *reader.keys).key_no == 1, "the first one is booking's to check"
    reader.boot()
    before = reader.fork()
    before.key = reader.keys[0]
    before.boot()
    assert run_in(before.records[1:], *reader.keys) is None


@pytest.mark.parametrize(
    "changed",
    [{"amount_fen": 0}, {"after_fen": 1}, {"flags": messages.FLAG_TRY}, {"outcome": (1001, 9)}],
    ids=str,
)
def test_a_spend_that_needs_a_second_look_is_no_plain_one(changed):
    reader = Reader(1001)
    reader.boot()
    fields = {name: value for name, value in changed.items() if name != "outcome"}
    intent = reader.intent(**fields)
    reader.outcome(changed.get("outcome", intent), messages.COMMITTED)
    run = run_in(reader.records, reader.key)
    assert run.spends == [] and [claim.seq for claim in run.others] == [1, 2, 3]


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
    for book in before, store:
        book.book([reader.records[:1]])
    parcel = reader.records[1:]
    before.book([parcel[:0], reader.records[:1]], [parcel])  # its process is told both keys
    store._read_ahead, own = before._read_ahead, store._read_ahead
    (answer,) = store.book([parcel])
    assert answer.refused == [(1001, 2, BAD_SEAL)] and answer.heads[0].seq == 1
    store._read_ahead = own
    assert store.book([parcel]) == [answer]
    before.close()
    store.close()


def test_a_key_that_another_has_ended_is_not_believed():
    reader = Reader(1001)
    reader.boot()
    reader.rotate()
    reader.boot()
    thief = reader.fork()
    thief.key = thief.keys[0]
    thief.spend()
    store = open_ledger(reader)
    store.book([reader.records])
    (answer,) = read_and_booked(store, [thief.records[2:]], reader.keys)
    assert answer.refused == [(1001, 3, BAD_SEAL)] and store.heads() == {1001: 2}


def test_more_of_a_reader_than_its_run_is_read_with_it():
    """What came behind what was ahead: the records again, and the next ones."""
    reader = Reader(1001)
    for counter in range(4):
        reader.spend(counter=counter)
    plain, checked = open_ledger(reader), open_ledger(reader)
    parcels = [reader.records[:4], reader.records[2:6], reader.records[6:]]
    portion = portion_of(parcels[:1], {1001: reader.keys})
    for parcel in parcels[1:]:
        portion.read(parcel)
    assert len(portion.runs) == 1 and len(portion.claims) == 6
    assert checked._book(parcels, portion) == plain.book(parcels)
    assert told(plain) == told(checked) and checked.heads() == {1001: 8}


@pytest.mark.parametrize("seq", [3, 4], ids=["an intent", "its outcome"])
def test_what_another_reader_says_of_a_record_in_a_run_is_heard(seq):
    first, reader = Reader(1001), Reader(1002)
    for counter in range(3):
        reader.spend(counter=counter)
    first.outcome((1002, seq), messages.NOT_COMMITTED)
    first.boot()
    parcels = [first.records, reader.records]
    plain, checked = open_ledger(first, reader), open_ledger(first, reader)
    portion = portion_of(parcels, {each.device: each.keys for each in (first, reader)})
    assert len(portion.runs) == 2
    assert checked._book(parcels, portion) == plain.book(parcels)
    assert told(plain) == told(checked) and len(checked.cases()) == 1


def test_what_a_run_tells_is_told_in_its_order():
    """A bug that was found: a spend that names the credit of a CANCEL before it came first.

    Then no such credit had been given, and a case said so. Books that are made anew from their
    records have both in one run.
    """
    reader = Reader(1001)
    sale = reader.spend(counter=1)
    reader.cancel(sale)
    reader.spend(counter=3, last=(CARD_CENTRE, cancels.numbers_of(*sale)[0]))
    plain, checked = open_ledger(reader), open_ledger(reader)
    (answer,) = plain.book([reader.records])
    assert read_and_booked(checked, [reader.records], reader.keys) == [answer]
    assert told(plain) == told(checked)
    assert checked.cases() == [] and checked.summary()["loaded"] == 1


def test_a_letter_in_a_run_is_opened():
    rooms = plain, checked = Room(), Room()
    for room in rooms:
        parcel = room.opens(4).carried(room.letter(), room.letter())
    assert read_and_booked(checked.store, [parcel], checked.door.keys) == plain.store.book(
        [parcel]
    )
    assert checked.booked() == [1, 2, 3, 4] and told(checked.store) == told(plain.store)


def test_a_run_with_another_number_than_the_next_waits():
    """Whoever has the key may leave numbers out: nothing is booked over a gap."""
    reader = Reader(1001)
    reader.boot()
    twin = reader.fork()
    for seq in (3, 4):
        twin.write(messages.BOOT, cause=1, firmware=1, seq=seq)
    store = open_ledger(reader)
    store.book([reader.records])
    (answer,) = read_and_booked(store, [twin.records[1:]], reader.keys)
    assert answer.refused == [] and answer.heads[0].seq == 1
    assert store.summary()["parked"] == 2
    assert run_in(twin.records, *twin.keys) is None


def test_what_goes_on_elsewhere_is_not_believed():
    """The twin's records are genuine behind the twin's own, and nowhere else."""
    reader = Reader(1001)
    reader.boot()
    twin = reader.fork()
    reader.spend(amount_fen=100)
    twin.spend(amount_fen=200)
    twin.spend(amount_fen=200, counter=2)
    store = open_ledger(reader)
    store.book([reader.records[:3]])
    ahead = [twin.records[3:]]
    (answer,) = read_and_booked(store, ahead, reader.keys)
    assert [seq for _device, seq, _code in answer.refused] == [4], "the next waits for another 4"
    assert store.heads() == {1001: 3}


def _of_one_and_another():
    reader, other = Reader(1001), Reader(1002)
    reader.boot()
    for counter in (1, 2, 3):
        reader.spend(counter=counter)
    other.outcome((1001, 4), messages.COMMITTED)
    store = open_ledger(reader, other)
    store.book([reader.records[:2]])
    return store, reader, other


def an_outcome_has_come():
    store, reader, other = _of_one_and_another()
    store.book([other.records])
    return store, reader, reader.records[2:]


def one_is_parked():
    store, reader, _other = _of_one_and_another()
    store.book([reader.records[5:6]])
    return store, reader, reader.records[2:5]


def money_is_reserved():
    reader = Reader(1001)
    checkout = Checkout(reader)
    checkout.ask(reader)
    reader.spend()  # a card was faster
    reader.spend(counter=2)
    return checkout.store, reader, reader.records


def an_acquirer_was_asked():
    reader = Reader(1001)
    acquiring = Acquiring(reader)
    asked = acquiring.asked(reader)
    acquiring.heard(reader, asked)
    reader.spend()  # a card was faster
    reader.spend(counter=2)
    return acquiring.store, reader, reader.records


def it_has_ended():
    store, canteen, _kiosk = retired()
    had = canteen.seq
    canteen.spend()
    return store, canteen, canteen.records[had:]


@pytest.mark.parametrize(
    "what",
    [
        an_outcome_has_come,
        one_is_parked,
        money_is_reserved,
        an_acquirer_was_asked,
        it_has_ended,
    ],
)
def test_a_run_of_a_reader_about_whom_something_waits_is_read_one_by_one(what):
    (plain, reader, records), (checked, *_) = what(), what()
    assert read_and_booked(checked, [records], reader.keys) == plain.book([records])
    assert told(plain) == told(checked) and check(checked) == []


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
    # The first portion, which the process has not seen; and of each run its first record.
    first = {sealed for delivery in made[0] for sealed in delivery}
    assert records == first | {delivery[0] for part in made[1:] for delivery in part}


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
