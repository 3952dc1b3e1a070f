"""One bad record never wedges the rest: the agent's service and the ledger's books, hand in hand.

What is bad is booked aside, with a number that says why, or refused with one; everything else of
the same reader (where its chain allows) and of all others is booked, receipted and freed.
"""

import pytest

from ledger import reasons
from ledger.invariants import check
from ledger.receipts import Signer, public_key
from ledger.store import LedgerStore
from protocols.wire import cbor, messages, seal
from protocols.wire.errors import BAD_SEAL, WireError
from tests.edge_agent.building import Building
from tests.edge_agent.peers import batch
from tests.ledger.campus import NOW_S, apply, sign
from tests.ledger.readers import CANTEEN, Reader, open_ledger

A, B, STRANGER = 1001, 1002, 1003
SIGNING_KEY = bytes(range(32))
RETRY_MS = 31_000  # the longest pause of the agent's outbox


class Books:
    """The real ledger behind the seam that tests/edge_agent gives its own one."""

    def __init__(self, *readers: Reader) -> None:
        self.public_key = public_key(SIGNING_KEY)
        self.store: LedgerStore = open_ledger(*readers)
        self._signer = Signer(SIGNING_KEY)

    def answer(self, payload: bytes) -> bytes:
        fields = messages.decode_message(payload, (messages.FORWARD,))
        (booked,) = self.store.book([fields["records"]])
        return self._signer.receipts(fields["number"], booked.heads, booked.refused, 1_700_000_000)


class Line:
    """Readers' records through one agent into the books."""

    def __init__(self, folder, *readers):
        self.books = Books(*readers)
        self.building = Building(folder, self.books)
        self.sent = dict.fromkeys((A, B, STRANGER), 0)

    def bring(self, reader, records=None):
        """Send what the reader has, in batches, as one that has heard no answer yet."""
        self.building.put(reader.device, reader.records if records is None else records)

    def settle(self, turns=4):
        """Let everything that can be answered be answered, pauses and repeats included."""
        for _ in range(turns):
            self.building.settle()
            self.building.step(RETRY_MS)
        self.building.settle()
        self.building.step(600)
        self.building.step(600)

    def booked(self):
        return self.books.store.heads()

    def cases(self):
        return [(reason, device, seq) for reason, device, seq in self.books.store.cases()]

    def held(self):
        """What the agent has left, waiting and refused: (device, seq, code or 0)."""
        rows = "SELECT device, seq, 0 FROM record UNION SELECT device, seq, code FROM refused"
        return self.building.store._db.execute(rows + " ORDER BY 1, 2").fetchall()

    def is_freed(self, reader):
        """Whether the last receipt the reader was sent frees its whole journal."""
        said = self.building.answers(reader.device)
        sealed = [fields["sealed"] for fields in said if fields["type"] == messages.RECEIPT]
        key = seal.derive(reader.key, messages.RECEIPT_LABEL)
        body = seal.unseal(key, sealed[-1], messages.RECEIPT_LABEL)
        return messages.decode_receipt(body)["upto"] == reader.seq


def eaten(device, spends=5):
    reader = Reader(device)
    for _ in range(spends):
        spend(reader)
    return reader


def spend(reader):
    """One that neither proves nor denies anything about any other spend of the card."""
    reader.spend(counter=1_000 * (reader.device - A) + 10 * (1 + reader.seq))


def damaged(sealed):
    return sealed[:-1] + bytes((sealed[-1] ^ 1,))


# --- in suspense, with a reason -----------------------------------------------------------------


def of_a_later_firmware(reader):
    reader.write_payload(cbor.encode({0: 99, 1: reader.device, 2: reader.seq + 1, 77: b"?"}))


def of_nonsense_behind_its_number(reader):
    reader.write_payload(cbor.encode({0: messages.INTENT, 1: reader.device, 2: reader.seq + 1}))


def of_a_card_nobody_issued(reader):
    reader.spend(card_no=99_999)


def of_a_merchant_nobody_knows(reader):
    reader.spend(merchant_no=999, counter=5)


def of_wrong_arithmetic(reader):
    reader.spend(after_fen=1, counter=5)


def of_an_outcome_without_intent(reader):
    reader.outcome((reader.device, 1_000_000))


@pytest.mark.parametrize(
    ("write_bad", "reason"),
    [
        (of_a_later_firmware, reasons.UNREADABLE),
        (of_nonsense_behind_its_number, reasons.UNREADABLE),
        (of_a_card_nobody_issued, reasons.UNKNOWN_CARD),
        (of_a_merchant_nobody_knows, reasons.UNKNOWN_MERCHANT),
        (of_wrong_arithmetic, reasons.BAD_ARITHMETIC),
        (of_an_outcome_without_intent, reasons.OUTCOME_OF_NO_INTENT),
    ],
)
def test_a_record_nobody_can_book_is_put_aside_and_the_rest_is_booked(tmp_path, write_bad, reason):
    reader, other = eaten(A), eaten(B)
    write_bad(reader)
    for _ in range(3):
        spend(reader)
    line = Line(tmp_path, reader, other)
    line.bring(reader)
    line.bring(other)
    line.settle()
    assert line.booked() == {A: reader.seq, B: other.seq}
    assert reason in [found for found, device, _seq in line.cases() if device == A]
    assert line.held() == []
    assert line.is_freed(reader) and line.is_freed(other)
    assert check(line.books.store) == []


# --- refused, with a reason ---------------------------------------------------------------------


def test_a_stranger_is_refused_and_holds_up_nobody(tmp_path):
    reader, stranger = eaten(A), eaten(STRANGER)
    line = Line(tmp_path, reader)
    line.bring(stranger)
    line.bring(reader)
    line.settle()
    assert line.booked() == {A: reader.seq}
    assert {(device, code) for device, _seq, code in line.held()} == {
        (STRANGER, reasons.UNKNOWN_DEVICE)
    }
    line.books.store.register_device(STRANGER, stranger.key, CANTEEN)
    line.bring(stranger)  # it said HELLO and was told to
    line.settle()
    assert line.booked()[STRANGER] == stranger.seq
    assert line.held() == []


def test_a_reader_that_waits_for_its_signatures_is_refused_and_then_booked_whole(tmp_path):
    """Annex 2: five signatures, a number admitted, the register read again, and it said HELLO."""
    reader, new = eaten(A), eaten(STRANGER)
    line = Line(tmp_path, reader)
    store = line.books.store
    number = apply(store, "device", "2026-1", CANTEEN)
    listed = [(STRANGER, b"", new.key, CANTEEN, "campus", "", False)]
    onboarding = store.merchants.onboarding
    assert onboarding.sift([], listed) == ([], [])
    line.bring(new)
    line.bring(reader)
    line.settle()
    assert line.booked() == {A: reader.seq}
    assert {(device, code) for device, _seq, code in line.held()} == {
        (STRANGER, reasons.NOT_APPROVED)
    }
    sign(store, number)
    onboarding.admit(number, [STRANGER], "wang", NOW_S)
    assert onboarding.sift([], listed) == ([], listed)
    store.register_device(STRANGER, new.key, CANTEEN)
    line.bring(new)
    line.settle()
    assert line.booked() == {A: reader.seq, STRANGER: new.seq}
    assert line.held() == [] and check(store) == []


def test_a_seal_that_is_broken_stops_only_what_hangs_on_it(tmp_path):
    reader, other = eaten(A, 20), eaten(B, 20)
    broken = [*reader.records[:12], damaged(reader.records[12]), *reader.records[13:]]
    line = Line(tmp_path, reader, other)
    line.bring(reader, broken)
    line.bring(other)
    line.settle()
    assert line.booked() == {A: 12, B: other.seq}
    assert (A, 13, BAD_SEAL) in line.held()
    assert {device for device, _seq, _code in line.held()} == {A}
    line.bring(reader, reader.records[12:])  # the reader has the true one and sends it again
    line.settle()
    assert line.booked() == {A: reader.seq, B: other.seq}
    assert line.held() == []
    assert line.is_freed(reader)
    assert line.cases() == []


def test_one_wrong_bit_anywhere_in_a_batch_costs_a_repeat_and_nothing_else(tmp_path):
    reader = eaten(A, 2)
    good = batch(A, reader.records)
    for at in range(0, len(good), 5):
        (folder := tmp_path / str(at)).mkdir()
        line = Line(folder, reader)
        spoiled = bytearray(good)
        spoiled[at] ^= 1 << at % 8
        line.building.say(A, bytes(spoiled))
        line.building.step()
        line.settle(1)
        line.bring(reader)
        line.settle()
        assert line.booked() == {A: reader.seq}, at
        assert line.held() == [], at
        assert line.cases() == [], at
        line.building.crash()


def test_one_wrong_bit_anywhere_in_a_forward_costs_a_repeat_and_nothing_else(tmp_path):
    reader, other = eaten(A, 1), eaten(B, 1)
    for at in range(0, 400, 7):
        (folder := tmp_path / str(at)).mkdir()
        line = Line(folder, reader, other)
        line.bring(reader)
        line.bring(other)
        for payload in line.building.forwarded():
            spoiled = bytearray(payload)
            spoiled[at % len(payload)] ^= 1 << at % 8
            try:
                line.building.answer(line.books.answer(bytes(spoiled)))
            except WireError:
                pass  # no answer at all: the agent asks again by itself
        line.settle()
        line.bring(reader)  # their next HELLO asks for what was refused
        line.bring(other)
        line.settle()
        assert line.booked() == {A: reader.seq, B: other.seq}, at
        assert line.held() == [], at
        assert line.cases() == [], at
        line.building.crash()
