"""A file of any program there has been is taken on, with all that is in it, also through a cut."""

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.sqlite import open_database
from edge_agent import card_history, schema
from edge_agent.card_history import CardHistory
from edge_agent.marks import Mark
from edge_agent.store import Store
from protocols.rules.card_status import CHANGE_BYTES
from simulator.power_cut import Disk, NoStrace, traced, wait_for_end
from tests.edge_agent.building import Building
from tests.edge_agent.peers import Ledger

A = 1001
HELD, BOOKED = 40, 16
# Steps that files have gone through, without their white space: no step is ever changed.
STEPS = {
    "agent.sqlite": (schema.MIGRATIONS, ["5a99810867ce1571", "f00c4f1866cbd0e9"]),
    "cards.sqlite": (
        card_history.MIGRATIONS,
        [
            "8d41415115808205",
            "21b8f722a4b38aa4",
            "bc8f241cbfa5e724",
            "c66aeca809af03bf",
            "843f2b0c5f9553de",
            "5e910cc4881bbf63",
        ],
    ),
}
AGENT_VERSIONS, CARD_VERSIONS = (range(1, len(known) + 1) for _, known in STEPS.values())


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_files_have_gone_through_is_never_changed(name):
    migrations, known = STEPS[name]
    found = [
        hashlib.sha256(" ".join(step.split()).encode()).hexdigest()[:16] for step in migrations
    ]
    assert found[: len(known)] == known
    assert len(found) == len(known), "a new step: write its digest down here"


def _old_agent_file(path, version, reader):
    """What the program of that schema left: HELD records, of which BOOKED are booked."""
    database = open_database(path, schema.MIGRATIONS[:version])
    rows = [(A, seq, reader.journal[seq]) for seq in range(BOOKED + 1, HELD + 1)]
    database.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
    mark = Mark(receipted=BOOKED, base=0, stored=HELD, receipt=None)
    row = (A, mark.receipted, mark.base, mark.stored, mark.receipt, mark.checksum(A))
    row = row if version > 1 else row[:-1]
    database.execute(f"INSERT INTO device VALUES ({', '.join('?' * len(row))})", row)
    database.close()


@pytest.mark.parametrize("version", AGENT_VERSIONS)
def test_the_records_of_every_schema_go_on_to_the_ledger(tmp_path, version):
    building = Building(tmp_path, Ledger([A]), [A])
    building.crash()
    (tmp_path / "agent.sqlite").unlink()
    reader = building.readers[A]
    reader.write(HELD)
    building.ledger.booked[A] = reader.journal[: BOOKED + 1]
    reader.receipted, reader.cursor = BOOKED, HELD
    _old_agent_file(str(tmp_path / "agent.sqlite"), version, reader)
    building.start()
    building.settle()
    reader.write(8)
    building.play()
    assert building.ledger.booked[A] == reader.journal
    assert reader.receipted == HELD + 8
    # The reader has sent nothing again: it came from the old file.
    assert set(building.ledger.received.values()) == {1}


@pytest.mark.parametrize("version", CARD_VERSIONS)
def test_what_every_schema_kept_of_cards_stays(tmp_path, version):
    path = str(tmp_path / "cards.sqlite")
    database = open_database(path, card_history.MIGRATIONS[:version])
    changes = [(epoch, bytes([epoch]) * CHANGE_BYTES) for epoch in (1, 2, 3)]
    database.executemany("INSERT INTO card_change VALUES (?, ?)", changes)
    database.execute("INSERT INTO warrant VALUES (?, ?, ?)", (A, 3, b"sealed"))
    if version > 1:
        database.execute("INSERT INTO access_map VALUES (?, ?, ?, ?)", (A, 5, b"w", b"map"))
    if version > 2:
        database.execute("INSERT INTO letter VALUES (?, ?, ?)", (A, 9, b"letter"))
    if version > 5:
        database.execute("INSERT INTO menu_warrant VALUES (?, ?, ?, ?)", (A, 4, b"d", b"w"))
        database.execute("INSERT INTO menu VALUES (?, ?)", (b"d", b"menu"))
    database.close()
    history = CardHistory(path)
    assert (history.epoch, history.warrant(A)) == (3, (3, b"sealed"))
    assert history.changes(0, 3) == b"".join(change for _epoch, change in changes)
    assert history.access_epochs() == ([(A, 5)] if version > 1 else [])
    assert history.locks() == ([(A, 5)] if version > 2 else [])
    assert history.menu_warrant(A) == ((4, b"d", b"w") if version > 5 else None)
    assert history.menu(b"d") == (b"menu" if version > 5 else b"")
    history.add_access(A, 6, b"w", b"newer")
    history.add_letters([(A, 10, b"newer")])
    assert (history.access(A)[0], history.letter(A)) == (6, (10, b"newer"))
    history.close()


def test_a_cut_at_any_moment_of_an_upgrade_costs_no_record(tmp_path):
    box = tmp_path / "box"
    box.mkdir()
    building = Building(box, Ledger([A]), [A])
    building.crash()
    for file in box.iterdir():
        file.unlink()
    building.readers[A].write(HELD)
    _old_agent_file(str(box / "agent.sqlite"), 1, building.readers[A])
    disk, log = Disk(box), tmp_path / "log"
    code = "import sys; from edge_agent.store import Store; Store(sys.argv[1]).close()"
    try:
        command = traced([sys.executable, "-c", code, str(box / "agent.sqlite")], log)
    except NoStrace as error:
        pytest.skip(str(error))
    process = subprocess.Popen(command)
    assert process.wait(30) == 0
    wait_for_end(log, process.pid)
    luck, moments = random.Random(11), 0
    for _call in disk.play(log):
        for left in (disk.left(), disk.left(luck)):
            moments += 1
            folder = tmp_path / f"cut-{moments}"
            folder.mkdir()
            for name, data in left.items():
                (folder / Path(name).name).write_bytes(data)
            store = Store(str(folder / "agent.sqlite"))
            assert store.count() == HELD - BOOKED and store.mark(A).stored == HELD
            store.close()
    assert moments > 10
