"""`onecard ledger forks`: what it says of good and bad books, and that it only reads them."""

import hashlib
import json
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from ledger.schema import MIGRATIONS
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger
from tests.ledger.test_forks import A, B, Plastic, at, tap
from tools.cli import app
from tools.ledger_forks import NotBooks, find


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", "forks", *map(str, words)])


@pytest.fixture
def readers():
    """A card that was copied after its first debit, and one that was not."""
    one, other = Reader(A), Reader(B)
    card, honest = Plastic(CARD), Plastic(OTHER_CARD)
    tap(one, card, span=at(1_788_233_400))
    copy = replace(card)
    tap(other, honest)
    tap(one, card, span=at(1_788_233_500), amount_fen=700)
    tap(other, copy, span=at(1_788_233_600), amount_fen=5)
    tap(one, card, span=at(1_788_233_700))
    return one, other


@pytest.fixture
def books(tmp_path):
    """A database with what readers have written; closed, so that nothing is left in the log."""

    def made(*readers):
        path = tmp_path / "ledger.sqlite"
        store = open_ledger(*readers, path=str(path))
        store.book([reader.records for reader in readers])
        store.close()
        return path

    return made


# -- what is no use -------------------------------------------------------------------------------


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"no database, but long enough to be read as the first page of one" * 20)
    done = onecard(path)
    assert done.exit_code == 2
    assert "x: " in done.stderr and "Traceback" not in done.output


@pytest.mark.parametrize("version", [0, len(MIGRATIONS) - 1, len(MIGRATIONS) + 1])
def test_another_schema_is_refused_and_not_migrated(tmp_path, version):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(NotBooks, match=f"has schema {version}"):
        find(path)
    assert onecard(path).exit_code == 2
    assert path.read_bytes() == before


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    assert onecard(tmp_path / "nothing").exit_code == 2
    assert list(tmp_path.iterdir()) == []


# -- what it says ---------------------------------------------------------------------------------


def test_good_books_exit_0(books):
    reader = Reader(A)
    tap(reader, Plastic(CARD))
    path = books(reader)
    done = onecard(path)
    assert (done.exit_code, done.stdout) == (0, "No card contradicts itself.\n")
    assert json.loads(onecard(path, "--json").stdout) == []


def test_a_clone_as_people_read_it(books, readers):
    done = onecard(books(*readers))
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == f"card {CARD}: CLONE (two debits at one counter)"
    assert lines[2].split() == [
        *("1001/3", "1", "1001/1", "99.00", "7.00", "92.00"),
        *("2026-09-01", "03:31:40", "+1", "s", "committed"),
    ]
    assert lines[4].split()[:6] == ["1002/3", "1", "1001/1", "99.00", "0.05", "98.95"]
    assert "forks: 1, cards: 1" in lines


def test_json_has_everything_to_check_it(books, readers):
    done = onecard(books(*readers), "--json")
    assert done.exit_code == 1
    (fork,) = json.loads(done.stdout)
    assert (fork["card_no"], fork["kind"]) == (CARD, "clone")
    for evidence, reader in zip(fork["evidence"], readers, strict=True):
        sealed = reader.records[evidence["seq"] - 1]
        assert evidence["sha256"] == hashlib.sha256(sealed).hexdigest()
        assert (evidence["device"], evidence["counter"]) == (reader.device, 1)
        assert evidence["before_fen"] - evidence["amount_fen"] == evidence["after_fen"]


def test_it_reads_beside_a_ledger_that_is_writing_and_changes_nothing(tmp_path, readers):
    """In a process of its own, while the ledger holds the write lock in the middle of a batch."""
    path = tmp_path / "ledger.sqlite"
    store = open_ledger(*readers, path=str(path))
    store.book([reader.records for reader in readers])
    before = store.dump()
    command = [sys.executable, "-m", "tools.cli", "ledger", "forks", str(path)]
    with store.database.transaction():
        store.database.many("INSERT INTO merchant VALUES (?, ?)", [(99, "half way")])
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done.stderr
        store.database.many("INSERT INTO merchant VALUES (?, ?)", [(98, "all the way")])
    assert "CLONE" in done.stdout
    assert store.dump().replace(b"merchant 98 'all the way'\nmerchant 99 'half way'\n", b"") == (
        before
    )
