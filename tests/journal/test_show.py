"""`onecard journal show`: what stands on a reader's flash, what lies torn, what was changed."""

import random

import pytest
from typer.testing import CliRunner

from firmware.services.journal import Journal
from protocols.wire import messages, seal
from simulator.chips.nor_flash import NorFlash, PowerCut
from tools.cli import app
from tools.journal.image import RECORD, NotAJournal, kept, read_image
from tools.journal.keys import BadKey, read
from tools.journal.show import BROKEN, PASSED, UNUSABLE, show

SEED = 5
DEVICE = 1001
KEY = bytes(range(32))
SECTORS = 8
OUTCOME = {"intent_device": DEVICE, "intent_seq": 2, "result": messages.COMMITTED}
REFUSAL = {"card_no": 20001, "amount_fen": 1250, "reason": 101}
BOOT = {"cause": 1, "firmware": 1}


class Device:
    """A reader's journal, written by the firmware's own code on modelled flash."""

    def __init__(self):
        print("seed", SEED)
        self.flash = NorFlash(SECTORS * 4096, random.Random(SEED))
        self.boot()

    def boot(self):
        self.flash.power_on()
        self.journal = Journal(self.flash)
        self.journal.recover()

    def write(self, kind, **fields):
        head = {
            "kind": kind,
            "device": DEVICE,
            "seq": self.journal.head_seq + 1,
            "earliest_s": 1_790_000_000,
            "latest_s": 1_790_000_003,
            "boot_id": 1,
            "mono_ms": 0,
        }
        payload = messages.encode_record(head | fields)
        self.journal.append(seal.seal(KEY, payload, self.journal.head_link))

    def outcomes(self, count):
        for _ in range(count):
            self.write(messages.OUTCOME, **OUTCOME)

    def save(self, path):
        path.write_bytes(self.flash.image())
        return path


@pytest.fixture
def device():
    return Device()


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(KEY.hex() + "\n")
    return path


def rows(text):
    """{sequence: words of the row} of the records that were printed."""
    found = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        if not words:
            break
        if words[1] not in ("receipted", "kept"):
            found[int(words[0])] = line
    return found


def test_what_is_no_image_is_refused(tmp_path, capsys):
    for name, data in {
        "empty": b"",
        "odd": bytes(4095),
        "zeros": bytes(8192),
        "noise": random.Random(SEED).randbytes(8192),
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert show(path) == UNUSABLE
        printed = capsys.readouterr()
        assert printed.out == ""
        assert str(path) in printed.err


@pytest.mark.parametrize("text", ["", "00ff", "zz" * 32, KEY.hex() + "00", "\udcff"])
def test_what_is_no_key_is_refused(tmp_path, text):
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadKey, match="64 hexadecimal digits"):
        read(path)


def test_erased_flash_is_an_empty_journal(device, tmp_path, capsys):
    assert show(device.save(tmp_path / "flash")) == PASSED
    assert "nobody has written here" in capsys.readouterr().out


def test_every_kind_in_words(device, tmp_path, capsys, key_file):
    device.write(messages.BOOT, **BOOT)
    device.write(messages.REFUSAL, **REFUSAL)
    device.write(messages.OUTCOME, **OUTCOME)
    device.write(messages.POWER, source=messages.BATTERY, battery_mv=3700)
    assert show(device.save(tmp_path / "flash"), [KEY]) == PASSED
    out = capsys.readouterr().out
    shown = rows(out)
    assert [shown[seq].split()[1] for seq in (1, 2, 3, 4)] == [
        "boot",
        "refusal",
        "outcome",
        "power",
    ]
    assert "amount_fen=1250" in shown[2]
    assert 'result=1 "committed"' in shown[3]
    assert "2026-09-21 14:13:20 +3 s" in shown[3]
    assert "device     1001" in out
    assert "4, 1 to 4, in 1 of 8 sectors" in out
    assert "torn       nothing" in out


def test_it_follows_the_chain_over_sectors_and_round_the_ring(device, tmp_path, capsys, key_file):
    for _ in range(15):
        device.outcomes(40)
        device.journal.receipt(device.journal.head_seq - 10)
    device.journal.receipt(590)
    image = device.flash.image()
    assert device.journal.generation > SECTORS
    assert len(read_image(image).sectors) > 2
    assert show(device.save(tmp_path / "flash"), [KEY]) == PASSED
    out = capsys.readouterr().out
    shown = rows(out)
    assert max(shown) == device.journal.head_seq == 600
    assert sorted(shown) == list(range(min(shown), 601))
    assert "up to 590" in out
    assert all(line.split()[4:7].count("ok") >= 1 for line in shown.values())


def test_a_forged_record_breaks_its_seal_and_needs_the_key_to_be_seen(
    device, tmp_path, capsys, key_file
):
    device.outcomes(3)
    forged = seal.seal(bytes(32), seal.payload_of(device.journal.record(3)), bytes(32))
    fields = messages.decode_record(seal.payload_of(forged))
    payload = messages.encode_record(fields | {"seq": 4})
    device.journal.append(seal.seal(bytes(32), payload, device.journal.head_link))
    device.outcomes(1)
    path = device.save(tmp_path / "flash")
    assert show(path) == PASSED
    assert "not checked" in capsys.readouterr().out
    assert show(path, [KEY]) == BROKEN
    out = capsys.readouterr().out
    assert [seq for seq, line in rows(out).items() if "BROKEN" in line] == [4]
    assert "seals      1 BROKEN" in out


def test_a_sector_that_does_not_follow_breaks_the_chain_without_a_key(device, tmp_path, capsys):
    device.outcomes(100)
    image = bytearray(device.flash.image())
    sectors = read_image(bytes(image)).sectors
    assert len(sectors) > 2
    start = sectors[1].number * 4096
    image[start : start + 4096] = b"\xff" * 4096
    path = tmp_path / "flash"
    path.write_bytes(image)
    assert show(path) == BROKEN
    broken = [seq for seq, line in rows(capsys.readouterr().out).items() if "BROKEN" in line]
    assert broken == [sectors[2].first_seq]


def test_what_is_kept_is_shown_and_is_no_part_of_the_chain(device, tmp_path, capsys, key_file):
    device.outcomes(1)
    device.journal.keep(2, b"\xab\xcd")
    device.outcomes(60)
    path = device.save(tmp_path / "flash")
    assert len(read_image(path.read_bytes()).sectors) == 2
    assert show(path, [KEY]) == PASSED
    out = capsys.readouterr().out
    assert "kept       2=abcd" in out
    assert [line.split()[:2] for line in out.splitlines() if " kept " in line] == [
        ["2", "kept"]
    ] * 2
    assert max(rows(out)) == 61


def test_bytes_that_are_no_record_are_said_to_be_none(device, tmp_path, capsys):
    device.outcomes(1)
    device.journal.append(b"\x00" * 40)
    assert show(device.save(tmp_path / "flash")) == BROKEN
    assert "40 bytes, no record" in rows(capsys.readouterr().out)[2]


def test_torn_entries_are_named_where_they_lie_and_whether_they_are_healed(
    device, tmp_path, capsys
):
    device.outcomes(2)
    whole = read_image(device.flash.image())
    device.flash.cut_after(0, how="torn")
    with pytest.raises(PowerCut):
        device.outcomes(1)
    torn = read_image(device.flash.image()).torn
    assert [(t.what, t.sector, t.is_healed) for t in torn] == [("entry", 0, False)]
    end = whole.sectors[0].entries[-1]
    assert torn[0].address == end.offset + (12 + len(end.data) + 3) // 4 * 4
    assert show(device.save(tmp_path / "flash")) == PASSED
    assert f"flash address {torn[0].address:#08x}" in capsys.readouterr().out
    device.boot()
    device.outcomes(1)
    assert show(device.save(tmp_path / "flash")) == PASSED
    out = capsys.readouterr().out
    assert "healed" in out
    assert "healed yet" not in out
    assert sorted(rows(out)) == [1, 2, 3]


def test_a_torn_header_is_named_too(device):
    device.outcomes(40)
    number = read_image(device.flash.image()).sectors[-1].number
    image = bytearray(device.flash.image())
    start = (number + 1) * 4096
    image[start : start + 20] = image[number * 4096 : number * 4096 + 20]
    found = read_image(bytes(image))
    assert [(t.what, t.sector) for t in found.torn] == [("header", number + 1)]


def test_it_reads_what_the_firmware_reads(device):
    """Two readers of one format: the same records, whatever the script did."""
    draw = random.Random(SEED)
    device.journal.keep(5, b"\x01")
    for number in range(300):
        device.outcomes(1)
        if number == 40:
            device.journal.keep(3, b"fifth")
        if draw.random() < 0.3:
            device.journal.receipt(device.journal.head_seq - draw.randrange(20))
        if draw.random() < 0.05:
            device.boot()
    image = read_image(device.flash.image())
    assert kept(image) == {3: b"fifth", 5: b"\x01"}
    entries = [entry for sector in image.sectors for entry in sector.entries]
    found = {entry.seq: entry.data for entry in entries if entry.kind == RECORD}
    assert max(found) == device.journal.head_seq
    for seq in range(device.journal.receipted + 1, device.journal.head_seq + 1):
        assert found[seq] == device.journal.record(seq)


def test_by_the_command(device, tmp_path, key_file):
    device.outcomes(2)
    path = device.save(tmp_path / "flash")
    done = CliRunner().invoke(app, ["journal", "show", str(path), "--key", str(key_file)])
    assert done.exit_code == 0
    assert "outcome" in done.output
    missing = CliRunner().invoke(app, ["journal", "show", str(path), "--key", str(path) + "-"])
    assert missing.exit_code == 2
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"#!/bin/sh\n")
    assert CliRunner().invoke(app, ["journal", "show", str(garbage)]).exit_code == 2


def test_an_image_of_a_part_of_a_sector_is_none():
    with pytest.raises(NotAJournal, match="whole sectors"):
        read_image(bytes(100))
