"""Flash images that readers have left behind stay readable for ever.

images/ holds them, by the format they were written in; images.json says what is in each. Nothing
there is ever changed. `python -m tests.firmware.test_journal_images NAME` adds one, as the journal
of that day writes it.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from firmware.services.journal import KEYS, Journal
from tests.firmware.ring import PlainFlash, content, play

IMAGES = Path(__file__).parent / "images"
CONTENTS = json.loads((IMAGES / "images.json").read_text(encoding="utf-8"))
SECTOR_BYTES = 4096


def opened(name):
    """(flash, journal) of an image, after the boot of today's firmware."""
    image = (IMAGES / f"{name}.bin").read_bytes()
    flash = PlainFlash(len(image) // SECTOR_BYTES)
    flash.cells[:] = image
    journal = Journal(flash)
    journal.recover()
    return flash, journal


def described(journal):
    """What images.json says of an image."""
    seqs = range(1, journal.head_seq + 1)
    records = {str(seq): journal.record(seq) for seq in seqs}
    return {
        "head_seq": journal.head_seq,
        "head_link": journal.head_link.hex(),
        "receipted": journal.receipted,
        "generation": journal.generation,
        "kept": {str(key): journal.kept(key).hex() for key in range(KEYS) if journal.kept(key)},
        "records": {seq: sha256(data).hexdigest()[:16] for seq, data in records.items() if data},
    }


def test_every_image_is_described_and_every_description_has_one():
    assert {path.stem for path in IMAGES.glob("*.bin")} == set(CONTENTS)
    assert len(CONTENTS) >= 5


@pytest.mark.parametrize("name", CONTENTS)
def test_image_is_read(name):
    wanted = CONTENTS[name]
    found = described(opened(name)[1])
    # Records that were booked when the image was made may be given up earlier or later now.
    lost = wanted["records"].keys() - found["records"].keys()
    assert all(int(seq) <= wanted["receipted"] for seq in lost)
    kept = {seq: digest for seq, digest in wanted["records"].items() if seq in found["records"]}
    assert kept.items() <= found.pop("records").items()
    assert found == {key: value for key, value in wanted.items() if key != "records"}


@pytest.mark.parametrize("name", CONTENTS)
def test_journal_goes_on_from_an_image(name):
    flash, journal = opened(name)
    head = journal.head_seq
    for number in range(60):
        journal.receipt(journal.head_seq)
        journal.append(content(9000 + number, 113))
    journal = Journal(flash)
    journal.recover()
    assert journal.head_seq == head + 60
    assert journal.record(head + 60) == content(9059, 113)
    kept = {str(key): journal.kept(key).hex() for key in range(KEYS) if journal.kept(key)}
    assert kept == CONTENTS[name]["kept"]


def add(name):
    """Write an image of a journal that has turned, keeps values and was booted between records."""
    flash = PlainFlash(4)
    play(flash, 21, 260)
    journal = Journal(flash)
    for key in (0, 3, 7):
        journal = Journal(flash)
        journal.recover()
        journal.keep(key, content(700 + key, 8 + key))
        journal.append(content(800 + key, 90))
    image, contents = bytes(flash.cells), described(journal)
    (IMAGES / f"{name}.bin").write_bytes(image)
    CONTENTS[name] = contents
    text = json.dumps(CONTENTS, indent=1) + "\n"
    (IMAGES / "images.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    add(sys.argv[1])
