"""`onecard ledger device`: beside a ledger that has the books open, and no more than may be."""

import re

import pytest
from typer.testing import CliRunner

from protocols.wire import messages
from tests.ledger.readers import Reader, open_ledger
from tools.cli import app


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", "device", *map(str, words)])


@pytest.fixture
def store(tmp_path):
    """Books that a ledger has open, with a reader that was opened."""
    reader = Reader(1001)
    reader.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    store = open_ledger(reader, path=str(tmp_path / "ledger.sqlite"))
    store.book([reader.records])
    store.tampers.answer_for([(1001, "logistics")])
    yield store
    store.close()


def step(path, as_, by, *more):
    return onecard(
        "approve", path, "--device", 1001, "--record", 1, "--as", as_, "--by", by, *more
    )


def test_two_steps_and_who_is_next(store, tmp_path):
    path = tmp_path / "ledger.sqlite"
    listed = onecard("list", path)
    assert listed.exit_code == 1
    head, what, waits = listed.output.splitlines()
    assert head == "reader 1001 of merchant 12, campus: logistics"
    assert re.fullmatch(r"  record 1, 1970-[^:]+:00:00Z to 2106-\S+: case opened", what)
    assert waits == "  waits for the department"
    refused = step(path, "centre", "li")
    assert refused.exit_code == 2 and "department comes first" in refused.output
    done = step(path, "department", "wang")
    assert (done.exit_code, done.output) == (0, "reader 1001, record 1: 1 of 2 steps\n")
    assert "waits for the centre" in onecard("list", path).output
    assert step(path, "centre", "wang").exit_code == 2
    assert not store.tampers.is_approved(1001, 1)
    assert step(path, "centre", "li").exit_code == 0
    assert store.tampers.is_approved(1001, 1)
    assert "the reader has not told that it knows" in onecard("list", path).output


def test_nothing_waits(tmp_path):
    open_ledger(Reader(1001), path=str(tmp_path / "ledger.sqlite")).close()
    listed = onecard("list", tmp_path / "ledger.sqlite")
    assert (listed.exit_code, listed.output) == (0, "nothing\n")


def test_where_a_reader_was_heard(store, tmp_path):
    store.tampers.sight(1001, 4, "canteen-9", 1_790_000_000, b"sealed")
    listed = onecard("list", tmp_path / "ledger.sqlite").output
    assert "reader 1001 was at canteen-9 with record 4, 2026-09-21T" in listed


def test_other_files_are_refused(tmp_path):
    (tmp_path / "no.sqlite").write_bytes(b"no books")
    assert onecard("list", tmp_path / "no.sqlite").exit_code == 2
    assert step(tmp_path / "no.sqlite", "department", "wang").exit_code == 2
