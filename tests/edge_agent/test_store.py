"""The store: what a commit promised is there, what was first stays, what is booked is freed."""

import os
import signal
import subprocess
import sys

import pytest

from adapters.sqlite import open_database
from edge_agent import store as store_module
from edge_agent.disk import StoreDamaged, StoreUnavailable
from edge_agent.marks import Mark
from edge_agent.store import FREE_ROWS_MAX, WRITE_DELAY_MS, Store

A, B = 1001, 1002


def _records(device, first, last):
    return [(device, seq, b"%d/%d" % (device, seq)) for seq in range(first, last + 1)]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "agent.sqlite")


def test_a_file_that_is_no_database_is_said_to_be_so(path):
    with open(path, "wb") as file:
        file.write(b"this is not a database at all" * 300)
    with pytest.raises(StoreDamaged, match=r"agent\.sqlite"):
        Store(path)


def test_other_bytes_for_a_number_never_overwrite_and_are_kept(path):
    store = Store(path)
    store.put_many(_records(A, 1, 8))
    put = store.put_many([(A, 3, b"another"), (A, 3, b"a third"), (A, 3, b"another")])
    assert (put.new, put.repeated, put.conflicts, put.conflicts_kept) == (0, 0, 3, 2)
    assert store.records_after(A, 2, 1) == [(3, b"1001/3")]
    rows = store._db.execute("SELECT seq, kept, offered FROM conflict ORDER BY offered").fetchall()
    assert rows == [(3, b"1001/3", b"a third"), (3, b"1001/3", b"another")]


def test_conflicts_cannot_fill_the_disk(path, monkeypatch):
    monkeypatch.setattr(store_module, "CONFLICTS_MAX", 5)
    store = Store(path)
    store.put_many(_records(A, 1, 1))
    put = store.put_many([(A, 1, b"%d" % number) for number in range(9)])
    assert (put.conflicts, put.conflicts_kept) == (9, 5)
    assert store.put_many([(A, 1, b"more")]).conflicts_kept == 0


def test_a_failed_commit_leaves_marks_and_rows_as_they_were(path):
    store = Store(path)
    store.put_many(_records(A, 1, 4))
    store._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreUnavailable, match="full"):
        store.put_many([(A, seq, bytes(3_000)) for seq in range(5, 60)])
    assert store.mark(A).stored == 4
    assert store.count() == 4
    store._db.execute("PRAGMA max_page_count = 100000")
    assert store.put_many(_records(A, 5, 6)).new == 2


def test_the_same_again_is_no_news(path):
    store = Store(path)
    store.put_many(_records(A, 1, 8))
    put = store.put_many(_records(A, 5, 10))
    assert (put.new, put.repeated, put.first_new) == (2, 4, {A: 9})


def test_marks_survive_a_restart(path):
    store = Store(path)
    store.put_many(_records(A, 1, 20))
    store.apply_receipt(A, 10, b"sealed", 0)
    store.close()
    reopened = Store(path)
    assert reopened.mark(A) == Mark(receipted=10, base=0, stored=20, receipt=b"sealed")
    assert reopened.records_after(A, 0, 2) == [(11, b"1001/11"), (12, b"1001/12")]


def test_a_start_costs_the_same_whatever_the_backlog(path, monkeypatch):
    steps = []

    def counted(*arguments):
        database = open_database(*arguments)
        database.set_progress_handler(lambda: steps.append(1), 1)
        return database

    costs = []
    for total in (100, 5_000):
        store = Store(path)
        store.put_many(_records(A, 1, total))
        store.close()
        steps.clear()
        with monkeypatch.context() as patch:
            patch.setattr(store_module, "open_database", counted)
            Store(path).close()
        costs.append(len(steps))
    assert costs[0] == costs[1] > 0


def test_stored_upto_counts_from_where_the_device_says_its_journal_begins(path):
    store = Store(path)
    assert store.stored_upto(A, 499) == 499
    store.put_many(_records(A, 500, 520))
    assert store.stored_upto(A, 499) == 520
    assert store.stored_upto(A, 505) == 520
    assert store.stored_upto(A, 300) == 300  # 301 to 499 are not here
    assert store.stored_upto(A, 499) == 520
    assert store.mark(A).receipted == 0


def test_what_comes_beyond_a_gap_is_not_kept(path):
    store = Store(path)
    put = store.put_many([*_records(A, 1, 4), *_records(A, 9, 12), (A, 4_000_000_000, b"forged")])
    assert (put.new, put.beyond_gap, put.first_new) == (4, 5, {A: 1})
    assert store.mark(A).stored == store.count() == 4
    assert store.put_many(_records(A, 5, 12)).new == 8
    assert store.mark(A).stored == store.count() == 12


def test_one_device_cannot_fill_the_disk(path, monkeypatch):
    """What the ledger refuses stays on the disk, so somebody with a device's name could."""
    monkeypatch.setattr(store_module, "HELD_MAX", 50)
    store = Store(path)
    put = store.put_many(_records(A, 1, 60))
    assert (put.new, put.beyond_gap, store.mark(A).stored) == (50, 10, 50)
    store.apply_refused([(A, seq, 112) for seq in range(1, 51)])
    assert store.put_many(_records(A, 51, 60)).new == 0
    store.apply_receipt(A, 40, b"", 0)
    assert store.put_many(_records(A, 51, 60)).new == 10
    assert store.stored_upto(B, 5_000) == 5_000
    assert store.put_many(_records(B, 5_001, 5_060)).new == 50


def test_what_arrives_out_of_order_in_one_commit_is_in_order_on_the_disk(path):
    store = Store(path)
    put = store.put_many([*_records(A, 5, 8), *_records(B, 1, 1), *_records(A, 1, 4)])
    assert (put.new, put.beyond_gap) == (9, 0)
    assert (store.mark(A).stored, store.mark(B).stored) == (8, 1)


def test_receipts_only_move_forward(path):
    store = Store(path)
    store.put_many(_records(A, 1, 20))
    assert store.apply_receipt(A, 10, b"ten", 0)
    assert not store.apply_receipt(A, 10, b"ten again", 0)
    assert not store.apply_receipt(A, 4, b"four", 0)
    assert not store.apply_receipt(B, 4, b"of nobody here", 0)
    assert store.mark(A).receipt == b"ten"
    assert store.records_after(A, 0, 1) == [(11, b"1001/11")]
    assert store.devices() == [A]


def test_a_booked_record_offered_again_is_not_stored_again(path):
    store = Store(path)
    store.put_many(_records(A, 1, 20))
    store.apply_receipt(A, 20, b"", 0)
    store.flush()
    assert store.put_many(_records(A, 1, 20)).repeated == 20
    assert store.count() == 0


def test_freeing_is_done_in_bounded_pieces_also_after_a_restart(path):
    store = Store(path)
    total = 2 * FREE_ROWS_MAX + 100
    store.put_many(_records(A, 1, total))
    store.put_many(_records(B, 1, 8))
    store.apply_receipt(A, total, b"", 1_000)
    assert store.step(1_000 + WRITE_DELAY_MS - 1) == 1_000 + WRITE_DELAY_MS
    assert store.count() == total + 8  # written later, together
    store.step(1_000 + WRITE_DELAY_MS)
    assert store.count() == total + 8 - FREE_ROWS_MAX
    store._db.close()
    store = Store(path)
    now_ms = 0
    while (due_ms := store.step(now_ms)) is not None:
        now_ms = due_ms
    assert store.count() == 8
    assert store.step(now_ms) is None


def test_freeing_a_device_with_holes_comes_to_an_end(path):
    store = Store(path)
    for seq in (1, 5_000, 5_001, 4_000_000_000):
        store.stored_upto(A, seq - 1)
        store.put_many([(A, seq, b"x")])
    store.apply_receipt(A, 4_000_000_000, b"", 0)
    for _ in range(4):
        store.flush()
    assert store.count() == 0
    assert store.step(10_000) is None


def test_a_receipt_lost_with_the_power_only_means_that_it_is_asked_for_again(path):
    store = Store(path)
    store.put_many(_records(A, 1, 8))
    store.apply_receipt(A, 8, b"", 0)
    store._db.close()  # before anything was written
    assert Store(path).records_after(A, 0, 99) == [(s, b"1001/%d" % s) for s in range(1, 9)]


def test_a_pending_receipt_rides_on_the_next_commit(path):
    store = Store(path)
    store.put_many(_records(A, 1, 8))
    store.apply_receipt(A, 8, b"", 0)
    store.put_many(_records(B, 1, 8))
    store._db.close()
    assert Store(path).mark(A).receipted == 8


def test_refused_records_go_aside_and_come_back_behind_a_new_receipt(path):
    store = Store(path)
    store.put_many(_records(A, 1, 10))
    assert store.apply_refused([(A, 5, 112), (A, 6, 112), (A, 9, 112), (B, 1, 301)]) == {}
    assert [seq for seq, _ in store.records_after(A, 0, 99)] == [1, 2, 3, 4, 7, 8, 10]
    assert store.retry_refused(A) is None
    store.apply_receipt(A, 4, b"", 0)
    assert store.retry_refused(A) == 5
    assert [seq for seq, _ in store.records_after(A, 0, 99)] == [5, 6, 7, 8, 10]
    assert store.first_refused(A, 4) == 9


def test_a_refusal_of_what_is_booked_changes_nothing(path):
    store = Store(path)
    store.put_many(_records(A, 1, 4))
    store.apply_receipt(A, 4, b"", 0)
    store.apply_refused([(A, 3, 311)])
    assert store.first_refused(A, 0) is None


WRITER = """
import sys
from edge_agent.store import Store
store = Store(sys.argv[1])
seq = store.mark(1).stored
while True:
    store.put_many([(1, seq + n, b"%d" % (seq + n)) for n in range(1, 9)])
    seq += 8
    print(seq, flush=True)
"""


def test_sigkill_while_writing_loses_nothing_that_was_acknowledged(path, repo_root):
    promised = 0
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, path],
            stdout=subprocess.PIPE,
            cwd=repo_root,
            env={**os.environ, "PYTHONPATH": str(repo_root)},
        )
        assert writer.stdout is not None
        for _ in range(40):
            promised = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        promised = int(([promised, *writer.stdout.read().split()])[-1])
        writer.wait()
        store = Store(path)
        assert store.mark(1).stored >= promised
        assert store.records_after(1, promised - 1, 1) == [(promised, b"%d" % promised)]
        assert store.count() == store.mark(1).stored
        store.close()
