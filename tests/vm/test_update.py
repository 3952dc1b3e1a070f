"""A POS in a real MicroPython takes new firmware by the real path, and comes back from bad one."""

import os
import random
from collections import Counter

import pytest

from protocols.rules import release, slots
from protocols.wire import messages
from simulator.vm import image
from simulator.vm.home import ROOT
from tests.vm.cuts import Cells, Watched, boots, cut_in, is_chain
from tests.vm.slotted import SLOT_BYTES, Slotted

SEED = 40
# Of the steps that are alike, as pages and sectors, so many are cut in; 0: in all of them.
SWITCH = "slots: the new image is in use, on trial"
ALIKE = int(os.environ.get("ONECARD_CUTS", "2"))
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


@pytest.fixture(scope="module")
def steps(loader, releases):
    """All steps of an update that went well, in order, and what the flashes held before it."""
    reader = Watched(loader, releases[1], 1, releases[2])
    cells = Cells(reader)
    reader.run(400, until=lambda: reader.running == (2, True))
    reader.run(5)
    assert reader.running == (2, True) and boots(reader) == [1, 2]
    return reader.steps, cells


def chosen(steps):
    """The numbers of the steps that are cut in, by their names."""
    draw, alike = random.Random(SEED), {}
    for number, step in enumerate(steps):
        alike.setdefault(step.name, []).append(number)
    if not ALIKE:
        return alike
    return {name: draw.sample(all_, min(ALIKE, len(all_))) for name, all_ in alike.items()}


def test_a_cut_in_any_step_leaves_old_or_new_with_its_journal_and_ends_at_new(
    loader, releases, steps
):
    """ONECARD_CUTS=0 pytest -s tests/vm/test_update.py -k any_step: in all of them; a table."""
    steps, cells = steps
    numbers = chosen(steps)
    (switch,) = [n for n, step in enumerate(steps) if step.name == SWITCH]
    ran = {name: Counter() for name in numbers}
    for number, step in enumerate(steps):
        if number in numbers[step.name]:
            reader = cut_in(Slotted(loader, releases[1], 1, releases[2], number), step, cells)
            in_use = 1 if number <= switch else 2
            assert reader.running[0] == in_use, step.name
            runs = lived_through(reader, step)
            assert runs in (in_use, 2), step.name
            ran[step.name][runs] += 1
        cells.do(step)
    count = sum(map(len, numbers.values()))
    print(f"seed {SEED}: cut in {count} of {len(steps)} steps; what ran next: the old, the new")
    for name, versions in ran.items():
        print(f"  {name:48} {versions[1]:4} {versions[2]:4}")


def lived_through(reader, step):
    """The version that ran next; in the end the new one does, and the journal has all it had."""
    before = len(boots(reader))
    reader.run(700, until=lambda: len(boots(reader)) > before)
    runs = boots(reader)[before]
    reader.run(700, until=lambda: reader.running == (2, True))
    reader.run(5)
    records = reader.depot.records
    assert reader.running == (2, True) and reader.crashes == [], step.name
    assert tuple(records[: len(step.records)]) == step.records and is_chain(records), step.name
    assert boots(reader)[-1] == 2, step.name
    reader.cut()
    return runs


@pytest.mark.parametrize(
    "word",
    [{"version": 1}, {"version": 9, "after": 3}, {"version": 3, "program": 7}, {"version": 3}],
    ids=["older", "not after this one", "another program", "another signer"],
)
def test_what_is_older_or_not_for_it_is_not_taken(loader, releases, word):
    """The bytes of version 1 stand ready; nothing asks for them."""
    reader = Slotted(loader, releases[2], 2, releases[1])
    reader.depot.tells = False
    reader.run(10)
    key = bytes(32) if word == {"version": 3} else None
    reader.depot.tell(reader.depot.warrant(key=key, **word))
    reader.run(150)
    assert reader.running == (2, True) and reader.depot.asked == [] and boots(reader) == [2]
    reader.depot.tell(reader.depot.warrant(version=3))
    reader.run(150, until=lambda: bool(reader.depot.asked))
    assert reader.depot.asked  # a word as it should be is
    reader.cut()
