"""A backup is the books, checked, or there is none; what it lacks is named."""

import json
import os
import random
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path

import psycopg
import pytest

from ledger import audit, people
from ledger.backup import (
    BackupError,
    Restored,
    _sha256,
    back_up,
    dump_server,
    manifest_of,
    restore,
)
from ledger.dialect import StoreUnavailable
from ledger.invariants import check
from ledger.operators import RESET, Wanted
from ledger.payments.reasons import WAITS
from ledger.phones import Phones
from ledger.reentry import NUMBERS_APART
from ledger.signatures import NotAllowed
from ledger.store import LedgerStore
from tests.ledger import test_payments
from tests.ledger.checkout import PROOF
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger
from tests.ledger.staff import change, cheap, enrol, found, log_in, staffed
from tests.ledger.tampering import tamper
from tests.rules.tables import POLICY
from tools.ledger_backup import IS_OLDER, make

__all__ = ["cheap"]
DAY, NOW_S = date(2026, 11, 26), 1_795_000_000


@pytest.fixture
def ledger(tmp_path):
    """Books that stay open, with one spend and another that was never finished."""
    reader = Reader(1001)
    reader.spend()
    reader.intent(counter=2, last=(1001, 1))
    store = open_ledger(reader, path=str(tmp_path / "ledger.sqlite"))
    store.book([reader.records])
    yield store, reader, tmp_path
    store.close()


def dump_of(path):
    with closing(LedgerStore.open(str(path))) as store:
        return store.dump()


def test_beside_the_running_ledger_and_bit_for_bit(ledger):
    store, reader, folder = ledger
    before = store.dump()
    told = back_up(folder / "ledger.sqlite", folder / "b.sqlite", 7)
    assert (told["records"], told["booked"], told["made_s"]) == (3, 1, 7)
    reader.outcome((1001, 3))
    store.book([reader.records])
    assert restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S) == Restored(Counter(), 0, [])
    assert dump_of(folder / "new.sqlite") == before != store.dump()
    for name in ("b.sqlite", "b.sqlite.json", "new.sqlite"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert not list(folder.glob("*.partial"))


def test_nothing_is_written_over(ledger):
    _store, _reader, folder = ledger
    books, out = folder / "ledger.sqlite", folder / "b.sqlite"
    back_up(books, out, 7)
    was = out.read_bytes()
    with pytest.raises(BackupError, match="there already"):
        back_up(books, out, 8)
    with pytest.raises(BackupError, match="there already"):
        restore(out, books, NOW_S)
    assert out.read_bytes() == was


def test_books_that_are_wrong_are_not_backed_up(ledger):
    store, _reader, folder = ledger
    tamper(store, ["UPDATE transfer SET amount_fen = 1 WHERE device = 1001"])
    with pytest.raises(BackupError, match="a balance is the sum of its entries"):
        back_up(folder / "ledger.sqlite", folder / "b.sqlite", 7)
    assert not list(folder.glob("b.sqlite*"))
    (folder / "noise").write_bytes(b"no database" * 100)
    with pytest.raises(BackupError):
        back_up(folder / "noise", folder / "b.sqlite", 7)


def test_one_bit_of_a_backup_is_seen(ledger):
    _store, _reader, folder = ledger
    out = folder / "b.sqlite"
    back_up(folder / "ledger.sqlite", out, 7)
    good = out.read_bytes()
    for place in (0, 100, len(good) // 2, len(good) - 1):
        out.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(BackupError, match="its SHA-256 is another"):
            restore(out, folder / "new.sqlite", NOW_S)
    out.write_bytes(good)
    manifest = manifest_of(out)
    told = manifest.read_text()
    for wrong in ("", "[]", "{}"):
        manifest.write_text(wrong)
        with pytest.raises(BackupError, match="manifest"):
            restore(out, folder / "new.sqlite", NOW_S)
    manifest.write_text(told)
    assert not list(folder.glob("new.sqlite*"))
    restore(out, folder / "new.sqlite", NOW_S)


def test_a_backup_that_fits_its_manifest_is_looked_at_all_the_same(ledger):
    """Whoever can write both has still to make books that hold."""
    _store, _reader, folder = ledger
    out = folder / "b.sqlite"
    back_up(folder / "ledger.sqlite", out, 7)
    with closing(sqlite3.connect(out)) as database:
        database.execute("UPDATE account SET balance_fen = balance_fen + 1 WHERE kind = 1")
        database.commit()
    told = json.loads(manifest_of(out).read_text()) | {"sha256": _sha256(out)}
    manifest_of(out).write_text(json.dumps(told))
    with pytest.raises(BackupError, match="not so"):
        restore(out, folder / "new.sqlite", NOW_S)
    assert not list(folder.glob("new.sqlite*"))


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_books_that_were_made_meanwhile_stay(ledger, monkeypatch, suffix):
    """Between the first look and the name whole books were checked: somebody had the time."""
    _store, _reader, folder = ledger
    back_up(folder / "ledger.sqlite", folder / "b.sqlite", 7)
    other = folder / f"new.sqlite{suffix}"

    def check_and_meanwhile(store):
        other.write_bytes(b"of somebody else")
        return check(store)

    monkeypatch.setattr("ledger.backup.check", check_and_meanwhile)
    with pytest.raises(BackupError, match="there already"):
        restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S)
    assert other.read_bytes() == b"of somebody else"
    assert sorted(path.name for path in folder.glob("new.sqlite*")) == [other.name]


def test_the_name_itself_is_given_once(ledger, monkeypatch):
    """Also where they were made behind the last look."""
    _store, _reader, folder = ledger
    back_up(folder / "ledger.sqlite", folder / "b.sqlite", 7)
    real, new = os.fsync, folder / "new.sqlite"

    def fsync_and_meanwhile(handle):
        new.write_bytes(b"of somebody else")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync_and_meanwhile)
    with pytest.raises(BackupError, match="there already"):
        restore(folder / "b.sqlite", new, NOW_S)
    assert new.read_bytes() == b"of somebody else"


@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_cut_leaves_a_backup_that_is_whole_or_none(ledger, monkeypatch, call, after):
    _store, _reader, folder = ledger
    left, real = [after], getattr(os, call)

    def cut(*arguments):
        if not left[0]:
            raise OSError(5, "power")
        left[0] -= 1
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, cut)
        try:
            back_up(folder / "ledger.sqlite", folder / "b.sqlite", 7)
            is_over = True
        except OSError:
            is_over = False
    if is_over or manifest_of(folder / "b.sqlite").exists():
        restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S)
    elif (folder / "b.sqlite").exists():
        with pytest.raises(BackupError, match="manifest"):
            restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S)


def test_yesterdays_backup_says_what_it_lacks(ledger):
    store, reader, folder = ledger
    back_up(folder / "ledger.sqlite", folder / "b.sqlite", 7)
    reader.outcome((1001, 3))
    store.book([reader.records])
    store.top_ups.top_up(CARD, 500, "a")
    store.cards.set("lose", CARD, 9)
    audit.export(store.database, folder / "audit", DAY)
    lacks = restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S, folder / "audit").lacks
    assert lacks == {"record": 1, "transfer": 1, "card_change": 1, "card_act": 1}
    back_up(folder / "ledger.sqlite", folder / "today.sqlite", 8)
    newer = restore(folder / "today.sqlite", folder / "newer.sqlite", NOW_S, folder / "audit")
    assert newer.lacks == {}


def test_a_phone_that_was_bound_since_is_dead_in_restored_books(ledger):
    store, _reader, folder = ledger
    phones = Phones(store.database, bytes(32), random.Random(1).randbytes)
    phones.bind(CARD, PROOF, 1)
    back_up(folder / "ledger.sqlite", folder / "b.sqlite", 7)
    phones.bind(CARD, PROOF, 8)
    audit.export(store.database, folder / "audit", DAY)
    made = restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S, folder / "audit")
    assert made == Restored(Counter(), 0, [], phones=1)
    with closing(LedgerStore.open(str(folder / "new.sqlite"))) as restored:
        assert Phones(restored.database, bytes(32), bytes).binding(CARD) == 0


def test_who_was_let_in_no_more_since_is_not_let_in_by_restored_books(ledger, cheap):
    """With the password of yesterday either; who was disabled and let in again is."""
    store, _reader, folder = ledger
    staff = staffed(store, NOW_S)
    anna, bao = staff["anna"], staff["bao"]
    back_up(folder / "ledger.sqlite", folder / "b.sqlite", NOW_S)
    for login in "clara", "wen", "hua", "tian":
        store.operators.disable(login, anna, NOW_S)
    for login in "hua", "tian":
        store.operators.approve(
            store.operators.propose(Wanted(RESET, login, "", ()), anna, NOW_S), bao, NOW_S
        )
    store.operators.disable("tian", bao, NOW_S)
    change(store, (anna, bao), "gu", people.SECURITY, (people.HEAD,), NOW_S)
    store.operators.disable("gu", bao, NOW_S)
    audit.export(store.database, folder / "audit", DAY)
    made = restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S + 9, folder / "audit")
    assert made.disabled == ["clara", "gu", "tian", "wen"]
    with closing(LedgerStore.open(str(folder / "new.sqlite"))) as restored:
        for login in made.disabled:
            with pytest.raises(NotAllowed):
                log_in(restored, login, NOW_S + 10)
        admins = [log_in(restored, login, NOW_S + 10) for login in ("anna", "bao")]
        assert log_in(restored, "hua", NOW_S + 10) == "hua"
        number = restored.operators.propose(Wanted(RESET, "wen", "", ()), admins[0], NOW_S + 11)
        assert restored.operators.approve(number, admins[1], NOW_S + 11)
        assert check(restored) == []
    again = restore(folder / "b.sqlite", folder / "else.sqlite", NOW_S, None)
    assert again.disabled == [], "no audit, nothing is known"


def test_restored_books_have_two_who_can_let_people_in(ledger, cheap):
    """Who came in the place of one that went is in no backup of before."""
    store, _reader, folder = ledger
    admins = found(store, NOW_S)
    back_up(folder / "ledger.sqlite", folder / "b.sqlite", NOW_S)
    enrol(store, admins, "carl", people.INFORMATION, (people.ADMINISTRATOR,), NOW_S)
    store.operators.disable("bao", admins[0], NOW_S)
    audit.export(store.database, folder / "audit", DAY)
    code, told = make(folder / "b.sqlite", folder / "new.sqlite", folder / "audit")
    assert code == IS_OLDER and "Still let in, with the password of the backup" in told
    assert "though disabled after it: bao." in told and "let in no more" not in told
    with closing(LedgerStore.open(str(folder / "new.sqlite"))) as restored:
        one, other = (log_in(restored, login, NOW_S + 10) for login in ("anna", "bao"))
        enrol(
            restored, (one, other), "carl", people.INFORMATION, (people.ADMINISTRATOR,), NOW_S + 11
        )
        restored.operators.disable("bao", one, NOW_S + 11)


def test_an_audit_gives_the_credits_back(ledger, monkeypatch):
    """A card that carries one is not given it again; a cut leaves no books with half of it."""
    store, reader, folder = ledger
    back_up(folder / "ledger.sqlite", folder / "b.sqlite", 7)
    reader.outcome((1001, 3))
    number = store.top_ups.top_up(CARD, 500, "A")
    store.top_ups.note_try(number, 3, 1001)
    credit = {"number": number, "amount_fen": 500, "before_fen": 9_800, "last": (1001, 3)}
    reader.outcome(reader.credit(counter=3, **credit))
    store.book([reader.records])
    audit.export(store.database, folder / "audit", DAY)

    def full(*_):
        raise StoreUnavailable("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("ledger.backup.audit.lacking", full)
        with pytest.raises(BackupError, match="is full"):
            restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S, folder / "audit")
    assert not list(folder.glob("new.sqlite*"))
    made = restore(folder / "b.sqlite", folder / "new.sqlite", NOW_S, folder / "audit")
    assert (made.entered, made.left) == (1, [])
    assert made.lacks == {"record": 3, "transfer": 2}
    with closing(LedgerStore.open(str(folder / "new.sqlite"))) as restored:
        restored.book([reader.records])
        assert restored.balances() == store.balances()
        assert restored.top_ups.next_of(CARD, 4) is None
        assert restored.top_ups.top_up(OTHER_CARD, 1, "B") == number + NUMBERS_APART + 1
        assert check(restored) == []


def test_a_server_that_is_not_there(tmp_path):
    out = tmp_path / "b.dump"
    with pytest.raises(BackupError, match="pg_dump"):
        dump_server(f"postgresql://nobody@/books?host={tmp_path}", None, out)
    assert not list(tmp_path.iterdir())


def test_books_on_postgresql(postgresql, tmp_path):
    """What pg_dump took is, restored, the same books."""
    reader = Reader(1001)
    reader.spend()
    url, other = postgresql.new_books(), postgresql.new_books()
    with closing(LedgerStore.open(url)) as store:
        store.register_merchant(12, "Canteen")
        store.register_device(1001, reader.key, 12)
        store.issue_card(CARD, 10_000)
        store.book([reader.records])
        was = store.dump()
    dump_server(url, None, tmp_path / "b.dump")
    restored = ["pg_restore", "--clean", f"--dbname={other}", str(tmp_path / "b.dump")]
    subprocess.run(restored, check=True, capture_output=True)
    # As an operator does it, by the guide.
    guide = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
    statements = guide.split('psql --dbname="$BOOKS" --command="')[1:]
    assert len(statements) == 3
    with closing(psycopg.connect(other, autocommit=True)) as owner:
        for each in 2 * statements:  # restored once more
            owner.execute(each.partition('"\n')[0])
    with closing(LedgerStore.open(other)) as store:
        assert store.dump() == was
        assert store.after_restore.waiting() is not None
        ((restores,),) = store.database.rows("SELECT COUNT(*) FROM books_restore")
        assert restores == 2
        assert store.top_ups.top_up(CARD, 1, "A") == 2 * NUMBERS_APART + 1
        limits = {name: value for name, value in POLICY.items() if name != "epoch"}
        ((_, epoch),) = store.policies.set_policy(limits, "wang", 1, device=1001)
        assert epoch == 2 * NUMBERS_APART + 1
    for each in (url, other):
        postgresql.drop(each)


# --- files for a bank ----------------------------------------------------------------------------


def test_behind_a_restore_what_the_bank_has_is_known_again(tmp_path):
    store = test_payments.office(str(tmp_path / "ledger.sqlite"))
    now_s = test_payments.NOW_S
    with closing(store):
        back_up(tmp_path / "ledger.sqlite", tmp_path / "b.sqlite", now_s)
        payments = test_payments.pay(store)
        restore(tmp_path / "b.sqlite", tmp_path / "new.sqlite", now_s + 9)
        with closing(LedgerStore.open(str(tmp_path / "new.sqlite"))) as restored:
            assert restored.after_restore.waiting().restored_s == now_s + 9
            test_payments.refused(WAITS, test_payments.pay, restored)
            test_payments.note_all(restored, payments)
            test_payments.release(restored)
            (_refund, first), (_remittance, second) = payments
            for books in (store, restored):
                books.payouts.note_results([(first.number, "paid", "")], "sun", now_s)
                books.periods.payments.note_results([(second.number, "paid", "")], "sun", now_s)
            assert restored.balances() == store.balances()
            assert check(restored) == []
