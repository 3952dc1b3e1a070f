"""A POS in a real MicroPython takes new firmware by the real path, and comes back from bad one."""

import random

import pytest

from protocols.rules import release, slots
from protocols.wire import messages
from simulator.vm import image
from simulator.vm.home import ROOT
from tests.vm.slotted import SLOT_BYTES, Slotted

SEED = 40
BROKEN = {
    "raises": "raise ValueError('at import')\n",
    "is torn": "def f(:\n",
    "hangs": "while True:\n    pass\n",
    "ends": "pass\n",
    "takes all memory": "keep = [bytes(1000) for _ in range(500)]\n",
}


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loader") / "image"
    return image.build(ROOT, folder, ROOT / "firmware" / "main_loader.py")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Versions 1 and 2 of a POS, as they are delivered."""
    folder = tmp_path_factory.mktemp("releases")
    return {
        version: image.build_slot(ROOT, folder / str(version), "main", version)
        for version in (1, 2)
    }


def boots(reader):
    """The firmware numbers of the BOOT records that came to the ledger."""
    kinds = reader.depot.kinds()
    return [one["firmware"] for one in kinds if one["kind"] == messages.BOOT]


def test_a_pos_takes_the_next_image_and_proves_it(loader, releases):
    reader = Slotted(loader, releases[1], 1, releases[2])
    reader.run(400, until=lambda: reader.running == (2, True))
    assert reader.crashes == []
    assert reader.running == (2, True)
    reader.run(5)
    assert boots(reader) == [1, 2]
    assert len(releases[2]) < SLOT_BYTES


def test_power_that_goes_while_it_comes(loader, releases):
    print(f"seed {SEED}")
    draw = random.Random(SEED)
    reader = Slotted(loader, releases[1], 1, releases[2], seed=SEED)
    for _ in range(5):
        reader.images.cut_after(draw.randrange(400))
        reader.run(600, until=lambda: not reader.is_on or reader.running == (2, True))
    reader.images._cut_at = None
    reader.run(600, until=lambda: reader.running == (2, True))
    assert reader.crashes == []
    assert reader.running == (2, True)
    slot = reader.state[slots.IN_USE] * SLOT_BYTES
    assert reader.images.image()[slot : slot + len(releases[2])] == releases[2]


@pytest.mark.parametrize("how", BROKEN)
def test_one_that_is_broken_is_come_back_from(loader, releases, how, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "main.py").write_text(BROKEN[how])
    # In real time, of which a loaded machine may have little: only what hangs is not waited for.
    hangs_s = 1.0 if how == "hangs" else 20.0
    reader = Slotted(loader, releases[1], 1, image.pack(folder), answer_timeout_s=hangs_s)
    reader.run(600, until=lambda: reader.state[slots.FAILED] == 2 and len(boots(reader)) > 1)
    assert len(reader.crashes) == slots.TRIAL_TRIES
    assert reader.running == (1, True)
    assert boots(reader) == [1, 1]
    told = [one for one in reader.depot.kinds() if one["kind"] == messages.UPDATE]
    assert [(one["version"], one["reason"]) for one in told] == [(2, release.NOT_PROVEN)]


def test_a_cut_in_the_updater_boots_the_role(loader, releases):
    reader = Slotted(loader, releases[1], 1, releases[2])
    reader.depot.spoil = lambda page, data: b""
    reader.run(200, until=lambda: len(reader.depot.asked) > 1)
    assert reader.hardware.panel.lines[0] == "FIRMWARE UPDATE"
    reader.cut()
    reader.run(20)
    assert reader.running == (1, True) and reader.hardware.panel.lines[0] == "WELCOME"
