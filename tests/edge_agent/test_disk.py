"""A disk that gives back something else: it is noticed, put aside, and the readers have it all."""

import sqlite3

import pytest

from edge_agent.disk import KEPT_MAX, StoreDamaged, put_aside
from edge_agent.store import Store
from tests.edge_agent.building import Building
from tests.edge_agent.peers import Ledger
from tests.edge_agent.test_store import A, _records

PAGE_BYTES = 4096


def _spoil(path, page):
    with open(path, "r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES)


def _rest(store):
    """Everything in the file itself, as after a checkpoint."""
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


def test_every_single_page_that_is_spoiled_is_noticed_or_does_no_harm(tmp_path):
    path = str(tmp_path / "agent.sqlite")
    store = Store(path)
    records = [(device, seq, bytes(150)) for device in (1, 2, 3) for seq in range(1, 80)]
    store.put_many(records)
    store.apply_receipt(2, 40, b"receipt", 0)
    store.flush()
    expected = {device: store.records_after(device, 0, 999) for device in (1, 2, 3)}
    _rest(store)
    whole = (tmp_path / "agent.sqlite").read_bytes()
    noticed = 0
    for page in range(1, len(whole) // PAGE_BYTES + 1):
        (tmp_path / "agent.sqlite").write_bytes(whole)
        _spoil(path, page)
        try:
            store = Store(path)
            found = {device: store.records_after(device, 0, 999) for device in (1, 2, 3)}
            store.close()
        except StoreDamaged:
            noticed += 1
        else:
            assert found == expected, f"page {page}"
    assert noticed >= len(whole) // PAGE_BYTES // 2


def test_a_mark_that_is_not_what_was_written_frees_nothing(tmp_path):
    path = str(tmp_path / "agent.sqlite")
    store = Store(path)
    store.put_many(_records(A, 1, 20))
    _rest(store)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE device SET receipted = 16")  # one bit, and what a page allows
    with pytest.raises(StoreDamaged, match="marks"):
        Store(path)


def test_a_file_of_the_first_schema_is_taken_on(tmp_path):
    path = str(tmp_path / "agent.sqlite")
    store = Store(path)
    store.put_many(_records(A, 1, 20))
    _rest(store)
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE device DROP COLUMN sum")
        database.execute("PRAGMA user_version = 1")
    store = Store(path)
    assert store.mark(A).stored == store.count() == 20
    store.put_many(_records(A, 21, 21))
    (checksum,) = store._db.execute("SELECT sum FROM device").fetchone()
    assert checksum == store.mark(A).checksum(A)


def test_what_a_damaged_file_held_the_readers_send_again(tmp_path):
    building = Building(tmp_path, Ledger([A]), [A])
    reader = building.readers[A]
    reader.write(200)
    building.upstream.down()
    for first in range(1, 201, 8):
        building.say(A, reader.batch(first))
    building.step()
    for _topic, payload in building.port.sent():
        reader.hear(payload)
    assert reader.cursor == 200
    building.store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    building.crash()
    path = tmp_path / "agent.sqlite"
    for page in range(4, path.stat().st_size // PAGE_BYTES + 1):
        _spoil(path, page)
    with pytest.raises(StoreDamaged):
        building.start()
    put_aside(str(path), 1)
    building.start()
    building.play()
    assert building.ledger.booked[A] == reader.journal
    assert reader.receipted == 200


def test_a_record_with_one_wrong_bit_is_refused_by_the_ledger_and_fetched_again(tmp_path):
    """SQLite has no checksum over a page, but each record has one: its seal."""
    building = Building(tmp_path, Ledger([A]), [A])
    reader = building.readers[A]
    reader.write(16)
    building.upstream.down()
    building.put(A, reader.journal[1:])
    spoiled = bytearray(reader.journal[7])
    spoiled[-3] ^= 4
    building.store._db.execute("UPDATE record SET sealed = ? WHERE seq = 7", (bytes(spoiled),))
    building.upstream.up()
    building.settle()
    assert building.ledger.head(A) == 6
    for _ in range(3):  # it asks once a minute
        building.say(A, reader.hello())
        building.step(60_000)
        building.settle()
        for _topic, payload in building.port.sent():
            reader.hear(payload)
        if reader.cursor < reader.head:
            building.say(A, reader.batch())
    assert building.ledger.booked[A] == reader.journal
    assert reader.receipted == 16


def test_a_record_that_does_not_say_any_more_whose_it_is_means_a_damaged_file(tmp_path):
    """The ledger could not say which record of the queue it refuses."""
    building = Building(tmp_path, Ledger([A]), [A])
    building.readers[A].write(16)
    building.upstream.down()
    building.put(A, building.readers[A].journal[1:])
    spoiled = bytearray(building.readers[A].journal[7])
    spoiled[spoiled.index(b"\x01\x19\x03\xe9") + 3] ^= 8  # key 1, device 1001
    building.store._db.execute("UPDATE record SET sealed = ? WHERE seq = 7", (bytes(spoiled),))
    building.upstream.up()
    with pytest.raises(StoreDamaged, match="device 1001, record 7"):
        building.step(10_000)


def test_only_so_many_damaged_files_are_kept(tmp_path):
    path = tmp_path / "agent.sqlite"
    kept = []
    for utc_s in range(1_700_000_001, 1_700_000_007):
        path.write_bytes(b"%d" % utc_s)
        (tmp_path / "agent.sqlite-wal").write_bytes(b"beside")
        kept.append(put_aside(str(path), utc_s))
    names = sorted(file.name for file in tmp_path.iterdir() if not file.name.endswith("-wal"))
    assert len(names) == KEPT_MAX
    assert names[-1] == kept[-1].rpartition("/")[2]
    assert (tmp_path / (names[-1] + "-wal")).read_bytes() == b"beside"
