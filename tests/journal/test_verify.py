"""`onecard journal verify`: each thing that can be wrong is named, by its record, address, cause.

And what power cuts leave of a journal that nobody touched is never called broken.
"""

import json
import random
import struct
from binascii import crc32

import pytest
from typer.testing import CliRunner

from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from tests.journal.writer import (
    DEVICE,
    KEY,
    NEXT_KEY,
    SECTOR_BYTES,
    Device,
    captured,
)
from tools.cli import app
from tools.journal import findings as why
from tools.journal.image import RECORD, read_image
from tools.journal.verify import verify

LONG = 100  # records that take more than two sectors


@pytest.fixture
def device():
    return Device()


def entry_at(data, seq):
    """(offset, Entry) of a record in an image."""
    for sector in read_image(bytes(data)).sectors:
        for entry in sector.entries:
            if entry.kind == RECORD and entry.seq == seq:
                return sector.number * SECTOR_BYTES + entry.offset, entry
    raise AssertionError(seq)


def first(verdict):
    one = verdict.breaks[0]
    return one.why, one.seq, one.offset


def test_what_nobody_touched_holds_and_says_what_it_is_without_a_key(device):
    device.outcomes(LONG)
    found = verify(device.capture(), [KEY])
    assert (found.device, found.records, found.sealed, found.breaks) == (DEVICE, LONG, LONG, [])
    blind = verify(device.capture())
    assert (blind.sealed, blind.has_key, blind.breaks) == (0, False, [])
    empty = verify(Device(6).capture(), [KEY])
    assert (empty.device, empty.records, empty.findings) == (None, 0, [])


@pytest.mark.parametrize("seed", range(12))
def test_no_power_cut_makes_a_journal_broken(seed):
    """Cut at any operation, booted or not, the firmware's own journal is called whole."""
    device, draw = Device(seed, sectors=6), random.Random(seed)
    for _ in range(60):
        if draw.random() < 0.2:
            device.flash.cut_after(draw.randrange(60), how=draw.choice(("torn", "late")))
        try:
            if draw.random() < 0.1:
                device.journal.keep(draw.randrange(8), draw.randbytes(draw.randrange(20)))
            device.outcomes(draw.randrange(6))
            device.journal.receipt(device.journal.head_seq - draw.randrange(12))
            device.journal.prepare()
        except PowerCut:
            assert verify(device.capture(), [KEY]).breaks == []
            device.boot()
        found = verify(device.capture(), [KEY])
        assert found.breaks == []
        assert found.records == 0 or found.last == device.journal.head_seq


def test_one_wrong_bit_is_put_right_and_told_and_two_are_a_loss(device):
    device.outcomes(20)
    data = bytearray(device.flash.image())
    at, _ = entry_at(data, 7)
    data[at + 30] ^= 4
    found = verify(captured(data), [KEY])
    assert found.breaks == [] and found.sealed == 20
    assert [(one.why, one.offset) for one in found.notes] == [(why.MENDED, at + 30)]
    data[at + 50] ^= 32
    found = verify(captured(data), [KEY])
    # The tag of the lost record still stands, so the ones behind it are proven all the same.
    assert first(found) == (why.BITS_FLIPPED, 7, at) and len(found.breaks) == 1
    assert found.sealed == 19 and not found.notes
    data[at + 60 :] = bytes(b & 0xF0 for b in data[at + 60 : at + 100]) + data[at + 100 :]
    found = verify(captured(data), [KEY])
    assert [one.why for one in found.findings][:1] == [why.BITS_FLIPPED]


def test_one_wrong_bit_of_a_header_hides_no_sector(device):
    device.outcomes(LONG)
    data = bytearray(device.flash.image())
    number = read_image(bytes(data)).sectors[1].number
    data[number * SECTOR_BYTES + 20] ^= 1
    found = verify(captured(data), [KEY])
    assert found.breaks == [] and found.records == LONG


def test_a_word_that_was_programmed_half_is_named_where_it_lies(device):
    device.outcomes(20)
    data = bytearray(device.flash.image())
    at, entry = entry_at(data, 9)
    data[at + 24 : at + 12 + len(entry.data)] = b"\xff" * (len(entry.data) - 12)
    data[at + 22 : at + 24] = b"\xff\xff"
    found = verify(captured(data), [KEY])
    assert first(found) == (why.HALF_PROGRAMMED, 9, at)
    assert found.breaks[0].facts["word"] == at + 20
    assert [one.why for one in found.notes] == [why.UNPROVEN]  # record 10 has nothing to follow


def test_a_changed_record_breaks_its_seal_whatever_its_crc_says(device):
    device.outcomes(3)
    payload = seal.payload_of(device.sealed(messages.OUTCOME, **OUTCOMES_OTHER))
    tag = seal.tag_of(device.sealed(messages.OUTCOME, intent_device=9, intent_seq=9, result=2))
    device.journal.append(seal.seal(KEY, payload, bytes(32))[: -len(tag)] + tag)
    device.outcomes(2)
    found = verify(device.capture(), [KEY])
    assert first(found)[:2] == (why.SEAL_WRONG, 4)
    assert found.sealed == 5
    assert verify(device.capture()).breaks == []  # only the key sees it


OUTCOMES_OTHER = {"intent_device": DEVICE, "intent_seq": 3, "result": messages.NOT_COMMITTED}


def test_a_sector_that_follows_another_record_is_seen_without_a_key(device):
    """Its header says behind which record it was begun: no seal has to be known for that."""
    device.outcomes(LONG)
    data = bytearray(device.capture().data)
    sector = read_image(bytes(data)).sectors[1]
    header = struct.Struct("<IIII32sI")
    at = sector.number * SECTOR_BYTES
    *facts, link, _crc = header.unpack_from(data, at)
    other = bytes(byte ^ 1 for byte in link)
    crc = crc32(header.pack(*facts, other, 0)[:-4])
    header.pack_into(data, at, *facts, other, crc)
    for keys in ((), [KEY]):
        assert first(verify(captured(data), keys)) == (why.CHAIN_BROKEN, sector.first_seq, at)


def test_a_record_that_the_reader_sealed_behind_another_one_breaks_the_chain(device):
    device.outcomes(3)
    behind = seal.tag_of(device.journal.record(2))
    device.journal.append(device.sealed(messages.OUTCOME, link=behind, **OUTCOMES_OTHER))
    device.outcomes(1)
    found = verify(device.capture(), [KEY])
    assert first(found)[:2] == (why.CHAIN_BROKEN, 4)
    assert "record 2" in found.breaks[0].text(0) and "记录 2" in found.breaks[0].text(1)
    assert len(found.breaks) == 1


def test_numbers_that_are_left_out_or_come_again(device):
    device.outcomes(3)
    device.journal.head_seq = 6
    device.outcomes(1)
    found = verify(device.capture(), [KEY])
    assert first(found)[:2] == (why.GAP, 4)
    assert found.breaks[0].facts == {"first": 4, "last": 6}
    device.journal.head_seq = 5
    device.outcomes(1)
    found = verify(device.capture(), [KEY])
    assert [one.why for one in found.breaks] == [why.GAP, why.REPEATED]


def test_a_record_of_another_reader_and_a_journal_of_another_one(device):
    device.outcomes(3)
    device.device = 1002
    device.outcomes(1)
    found = verify(device.capture(), [KEY])
    assert first(found)[:2] == (why.OTHER_DEVICE, 4)
    assert found.breaks[0].facts == {"device": 1002, "own": DEVICE}
    assert first(verify(device.capture(), [KEY], 1003))[:2] == (why.OTHER_DEVICE, 1)


def test_the_wrong_key_is_said_once_and_not_of_each_record(device):
    device.outcomes(5)
    found = verify(device.capture(), [NEXT_KEY])
    assert [one.why for one in found.findings] == [why.WRONG_KEY]
    assert found.sealed == 0


def test_a_key_follows_the_one_before_and_never_the_other_way(device):
    device.outcomes(3)
    device.key = NEXT_KEY
    device.outcomes(3)
    found = verify(device.capture(), [KEY, NEXT_KEY])
    assert found.breaks == [] and found.sealed == 6
    assert [(one.why, one.seq) for one in found.notes] == [(why.NEWER_KEY, 4)]
    # Who stole the replaced key makes a record with it: it can be read, and is not believed.
    device.key = KEY
    device.outcomes(1)
    assert first(verify(device.capture(), [KEY, NEXT_KEY]))[:2] == (why.OLDER_KEY, 7)
    assert first(verify(device.capture(), [KEY]))[:2] == (why.SEAL_WRONG, 4)


def test_a_sector_that_was_erased_in_the_middle(device):
    device.outcomes(LONG)
    data = bytearray(device.flash.image())
    sectors = read_image(bytes(data)).sectors
    at = sectors[1].number * SECTOR_BYTES
    data[at : at + SECTOR_BYTES] = b"\xff" * SECTOR_BYTES
    found = verify(captured(data), [KEY])
    assert first(found) == (why.ERASED, sectors[1].first_seq, at)
    assert found.breaks[0].facts["last"] == sectors[2].first_seq - 1
    # The header behind it says what its first record follows, so all that is there is proven.
    assert len(found.breaks) == 1 and found.sealed == found.records
    # The reader itself erases the oldest sector, but notes the receipt for it first.
    data[:SECTOR_BYTES] = b"\xff" * SECTOR_BYTES
    found = verify(captured(data), [KEY])
    assert first(found)[:2] == (why.UNBOOKED, 1) and found.first == sectors[2].first_seq


@pytest.mark.parametrize("begun_anew_at", [3, 5])
def test_two_journals_on_one_chip(device, begun_anew_at):
    """A part of the ring is of a journal that was begun anew, by whoever erased the other part."""
    device.outcomes(LONG)
    other = Device(9)
    for _ in range(20):
        other.write(messages.OUTCOME, **OUTCOMES_OTHER)
    data, theirs = bytearray(device.flash.image()), other.flash.image()
    assert len(read_image(bytes(data)).sectors) == 3
    at = begun_anew_at * SECTOR_BYTES
    data[at : at + SECTOR_BYTES] = theirs[:SECTOR_BYTES]
    found = verify(captured(data), [KEY])
    one = found.breaks[0]
    assert one.why == why.TWO_EPOCHS and one.facts["generation"] == 1 and one.facts["first"] == 1


def test_yesterdays_backup_written_back_over_a_part(device):
    device.outcomes(60)
    old = device.flash.image()
    for _ in range(12):
        device.outcomes(40)
        device.journal.receipt(device.journal.head_seq - 5)
    data = bytearray(device.flash.image())
    newest = read_image(bytes(data)).sectors[-1].number
    for number in range(2):
        if number != newest:
            at = number * SECTOR_BYTES
            data[at : at + SECTOR_BYTES] = old[at : at + SECTOR_BYTES]
    found = verify(captured(data), [KEY])
    assert found.breaks


def test_bytes_that_are_no_record_and_a_dump_that_ends_early(device):
    device.outcomes(2)
    device.journal.append(bytes(40))
    device.outcomes(1)
    found = verify(captured(device.flash.image(), missing=(6, 7)), [KEY])
    assert [one.why for one in found.breaks] == [why.NO_RECORD, why.CUT_SHORT]
    assert found.breaks[1].offset == 6 * SECTOR_BYTES


def test_any_single_damage_is_found_and_none_ends_in_a_traceback():
    """A byte made another one is told, wherever it is; what is missing at the end, as such."""
    device, draw = Device(3), random.Random(3)
    device.outcomes(LONG)
    whole = device.flash.image()
    used = [s.number for s in read_image(whole).sectors]
    for _ in range(150):
        data = bytearray(whole)
        at = draw.choice(used) * SECTOR_BYTES + draw.randrange(SECTOR_BYTES)
        was = data[at]
        data[at] ^= draw.randrange(1, 256)
        found = verify(captured(data), [KEY])
        is_blank = was == 0xFF and not found.breaks
        assert is_blank or found.findings
        is_end = why.TORN_END in [one.why for one in found.notes]
        assert found.sealed == LONG or found.breaks or (is_end and found.last == LONG - 1)
    for _ in range(40):
        data = bytearray(whole)
        at = draw.randrange(3 * SECTOR_BYTES)
        data[at : at + 200] = draw.randbytes(200)
        assert verify(captured(data), [KEY]).findings


def test_the_texts_are_whole_in_both_languages():
    facts = dict.fromkeys(
        ("first", "last", "word", "behind", "device", "own", "generation", "size", "what"), 1
    )
    facts |= {"sectors": "2", "count": 3, "byte": 4}
    for number in why.WHY:
        one = why.Finding(number, 0, 1, facts)
        assert one.text(0).isascii() and not one.text(1).isascii()
        assert "{" not in one.text(0) + one.text(1)


def test_by_the_command(device, tmp_path):
    device.outcomes(3)
    path, key = tmp_path / "flash.bin", tmp_path / "key"
    path.write_bytes(device.flash.image())
    key.write_text(KEY.hex())
    run = CliRunner().invoke
    for mode in (0o640, 0o604):
        key.chmod(mode)
        done = run(app, ["journal", "verify", str(path), "--key", str(key)])
        told = done.output.replace("\n", " ")
        assert done.exit_code == 2 and f"others may read it (mode 0{mode:o}): chmod 600" in told
        assert KEY.hex() not in done.output
    key.chmod(0o600)
    done = run(app, ["journal", "verify", str(path), "--key", str(key)])
    assert done.exit_code == 0 and "3 of 3 hold" in done.output
    key.write_text(NEXT_KEY.hex())
    done = run(app, ["journal", "verify", str(path), "--key", str(key)])
    assert done.exit_code == 1
    assert "no seal holds" in done.output and "没有一条密封相符" in done.output
    done = run(app, ["journal", "verify", str(path), "--key", str(key), "--json"])
    (one,) = json.loads(done.output)["findings"]
    assert (one["why"], one["record"], one["address"]) == (why.WRONG_KEY, 1, 52)
    assert NEXT_KEY.hex() not in done.output
    path.write_bytes(b"#!/bin/sh\n")
    assert run(app, ["journal", "verify", str(path)]).exit_code == 2
