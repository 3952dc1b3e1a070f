"""`onecard journal collect`: what a dead reader had not uploaded comes into the books, once."""

import random
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from firmware.services.journal import Journal
from ledger import reasons
from ledger.dialect import StoreUnavailable
from ledger.invariants import check
from ledger.store import LedgerStore
from protocols.wire import seal
from protocols.wire.errors import BAD_SEAL
from simulator.chips.nor_flash import NorFlash
from tests.journal.writer import SECTOR_BYTES
from tests.ledger.months import Pos
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, open_ledger
from tools.cli import app
from tools.journal import collect as collecting
from tools.journal.capture import load
from tools.journal.collect import NotCollected, collect

TIME_S = 1_790_000_000
SALES, FEN = 30, 100
UPLOADED = 21  # records: ten sales, and the next one's intent


def flashed(path, records):
    """The chip of a reader that has written these."""
    flash = NorFlash(8 * SECTOR_BYTES, random.Random(3))
    journal = Journal(flash)
    journal.recover()
    for sealed in records:
        journal.append(sealed)
    path.write_bytes(flash.image())
    return path


def sold(sales=SALES):
    pos = Pos(1001, CANTEEN)
    for number in range(sales):
        pos.sell(FEN, TIME_S + 60 * number, before_fen=OPENING_FEN - FEN * number)
    return pos


@pytest.fixture
def dead(tmp_path):
    """(path of the books, store, pos, its chip): ten sales are booked, and the POS is dead."""
    path, pos = tmp_path / "ledger.sqlite", sold()
    store = open_ledger(pos, path=str(path))
    store.book([pos.records[:UPLOADED]])
    yield path, store, pos, flashed(tmp_path / "chip", pos.records)
    assert check(store) == []
    store.close()


def onecard(chip, books):
    return CliRunner().invoke(app, ["journal", "collect", str(chip), "--books", str(books)])


def test_the_merchant_is_due_what_the_dead_reader_took_and_once(dead):
    path, store, pos, chip = dead
    assert store.takings(CANTEEN) == UPLOADED // 2 * FEN
    done = onecard(chip, path)
    assert done.exit_code == 0, done.output
    assert f"up to {UPLOADED}, and have them up to {2 * SALES} now" in done.output
    assert "20 sales more are booked, 20.00 yuan" in done.output
    assert store.takings(CANTEEN) == SALES * FEN
    assert store.holder_balance(CARD) == OPENING_FEN - SALES * FEN
    books = store.dump()
    again = onecard(chip, path)
    assert again.exit_code == 0 and "0 sales more are booked, 0.00 yuan" in again.output
    # An agent that had them after all, or the reader itself, brings nothing new either.
    assert store.book([pos.records])[0].refused == []
    assert store.dump() == books


def test_they_are_the_books_that_an_agent_would_have_made(dead):
    _path, store, pos, chip = dead
    other = open_ledger(pos)
    other.book([pos.records])
    collect(load(chip), store)
    assert store.dump() == other.dump()
    other.close()


def test_stopped_in_the_middle_it_goes_on(dead, monkeypatch):
    """Each piece is a transaction: what was booked stays, and the same command does the rest."""
    path, store, _pos, chip = dead
    monkeypatch.setattr(collecting, "AT_ONCE", 7)
    book, calls = LedgerStore.book, []

    def away(self, deliveries):
        calls.append(deliveries)
        if len(calls) == 6:
            raise StoreUnavailable("the disk is full")
        return book(self, deliveries)

    monkeypatch.setattr(LedgerStore, "book", away)
    stopped = onecard(chip, path)
    assert stopped.exit_code == 2 and "the disk is full" in stopped.stderr
    assert store.heads()[1001] == 35
    assert onecard(chip, path).exit_code == 0
    assert store.takings(CANTEEN) == SALES * FEN


def test_what_was_changed_on_the_chip_is_no_money(dead, tmp_path):
    """Whoever has the chip has no key: a record of his own ends the chain, and is a case."""
    path, store, pos, _chip = dead
    forger = Pos(1001, CANTEEN)
    forger.records, forger.tag = pos.records[:40], seal.tag_of(pos.records[39])
    forger.key = bytes(32)
    forger.sell(5_000, TIME_S, before_fen=9_000)
    done = onecard(flashed(tmp_path / "forged", forger.records), path)
    assert done.exit_code == 1 and f"({BAD_SEAL})" in done.output, done.output
    assert (store.takings(CANTEEN), store.heads()[1001]) == (20 * FEN, 40)


def test_behind_a_record_that_is_lost_the_others_wait_and_it_is_told(dead, tmp_path):
    path, store, pos, chip = dead
    data = bytearray(chip.read_bytes())
    lost = pos.records[49]
    at = data.index(lost)
    data[at : at + len(lost)] = bytes(len(lost))
    (tmp_path / "rotten").write_bytes(data)
    done = onecard(tmp_path / "rotten", path)
    assert done.exit_code == 1 and "record 50 is not here" in done.output, done.output
    assert (store.takings(CANTEEN), store.heads()[1001]) == (24 * FEN, 49)
    # Found elsewhere, it lets the others in.
    store.book([[lost]])
    assert store.takings(CANTEEN) == SALES * FEN


def test_a_dump_that_ends_early_is_not_all_of_it(dead):
    """What is there is booked, and nobody takes it for the whole."""
    _path, store, _pos, chip = dead
    taken = load(chip)
    found = collect(replace(taken, missing=(7,)), store)
    assert (store.takings(CANTEEN), found.is_whole) == (SALES * FEN, False)
    assert "1 sectors of it are missing" in "\n".join(collecting.lines_of(found))


def test_a_second_chain_of_its_number_is_cases_and_no_money(dead, tmp_path):
    path, store, _pos, _chip = dead
    twin = Pos(1001, CANTEEN)
    for number in range(3):
        twin.sell(700, TIME_S + number, before_fen=OPENING_FEN - 700 * number)
    done = onecard(flashed(tmp_path / "twin", twin.records), path)
    said = f"record 1 was not booked: {reasons.TEXTS[reasons.FORK]}"
    assert done.exit_code == 1 and said in done.output, done.output
    assert store.takings(CANTEEN) == UPLOADED // 2 * FEN
    assert {reason for reason, *_ in store.cases()} >= {reasons.FORK}


def test_nothing_is_handed_in_of_a_reader_that_is_not_known_or_of_none(dead, tmp_path):
    path, store, _pos, _chip = dead
    before = store.dump()
    stranger = Pos(1999, CANTEEN)
    stranger.sell(FEN, TIME_S)
    done = onecard(flashed(tmp_path / "strange", stranger.records), path)
    assert done.exit_code == 2 and "reader 1999 is not in the register" in done.stderr
    with pytest.raises(NotCollected, match="here are those of: none"):
        collect(load(flashed(tmp_path / "empty", [])), store)
    assert store.dump() == before
    done = onecard(tmp_path / "strange", tmp_path / "strange")
    assert done.exit_code == 2, "no books"
