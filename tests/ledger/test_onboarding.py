"""Readers and merchants that the register names before anybody has approved them (annex 2)."""

import json
import sqlite3
from dataclasses import replace

import pytest

from adapters.sqlite import open_database
from ledger import procedures, reasons
from ledger.config import ConfigError, import_register
from ledger.dialect import SqliteDialect
from ledger.dossiers import DossierRefused
from ledger.invariants import check
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from tests.ledger.campus import BAKERY, FORM, NOW_S, apply, campus, say, sign
from tests.ledger.ended import SILENT, leave, pass_over, retire
from tests.ledger.months import month
from tests.ledger.readers import CANTEEN, CARD, KIOSK, OPENING_FEN, Reader, open_ledger

NEW = 2001
BEFORE = MIGRATIONS.index(next(sql for sql in MIGRATIONS if "CREATE TABLE dossier " in sql))


def device(reader, site="campus", merchant_no=CANTEEN, **more):
    key = reader.key.hex()
    return {"device": reader.device, "key": key, "merchant_no": merchant_no, "site": site, **more}


def told(store, folder, *devices, merchants=()):
    """Import a register of the two merchants, of `merchants` and of `devices`."""
    names = [(CANTEEN, "Canteen"), (13, "Kiosk"), *merchants]
    register = {
        "merchant": [{"merchant_no": number, "name": name} for number, name in names],
        "device": list(devices),
    }
    path = folder / "register.json"
    path.write_text(json.dumps(register))
    path.chmod(0o600)
    import_register(store, path)


def sold(device=NEW, merchant_no=CANTEEN):
    reader = Reader(device, merchant_no)
    reader.spend(amount_fen=400)
    return reader


def refusals(store, reader):
    (answer,) = store.book([reader.records])
    return {code for _device, _seq, code in answer.refused}


def test_a_register_of_before_is_good_for_ever(tmp_path):
    """Books of an older version: their readers stay, new ones come by the register as before."""
    path = tmp_path / "ledger.sqlite"
    open_database(str(path), MIGRATIONS[:BEFORE]).close()
    old, new = Reader(1001), Reader(1002)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA foreign_keys = ON")
        old_books = LedgerStore(SqliteDialect(database))
        old_books.register_merchant(CANTEEN, "Canteen")
        database.commit()
    store = LedgerStore.open(str(path))
    told(store, tmp_path, device(old), device(new))
    assert set(store.heads()) == {1001, 1002}
    number = apply(store)  # from now on the register is closed
    told(store, tmp_path, device(old), device(new), device(Reader(NEW)))
    assert set(store.heads()) == {1001, 1002}
    assert store.merchants.onboarding.held_back() == [(NEW, CANTEEN)]
    old.boot()
    assert refusals(store, old) == set() and number and check(store) == []
    store.close()


def test_before_the_fifth_signature_nothing_is_booked_and_nothing_is_lost(tmp_path):
    store = campus()
    reader, stranger = sold(), sold(NEW + 7)
    assert refusals(store, reader) == {reasons.UNKNOWN_DEVICE}
    number = apply(store, "device", "2026-2", CANTEEN, replace(FORM, quantity=1))
    steps = [lambda: None, lambda: sign(store, number)]
    for step in steps:
        step()
        told(store, tmp_path, device(reader))
        before = store.dump(), store.takings(CANTEEN)
        assert refusals(store, reader) == {reasons.NOT_APPROVED}
        assert refusals(store, stranger) == {reasons.UNKNOWN_DEVICE}
        assert store.takings(CANTEEN) == before[1] and NEW not in store.heads()
    store.merchants.onboarding.admit(number, [NEW], "wang", NOW_S)
    assert refusals(store, reader) == {reasons.NOT_APPROVED}  # the register was not read again
    told(store, tmp_path, device(reader))
    assert refusals(store, reader) == set()
    assert store.takings(CANTEEN) == before[1] + 400
    assert store.holder_balance(CARD) == OPENING_FEN - 700 - 400
    assert store.merchants.onboarding.held_back() == []
    assert check(store) == []


def test_a_merchant_of_the_register_waits_too_and_so_do_its_readers(tmp_path):
    store = campus()
    number = apply(store)
    bakery = [(BAKERY, "Bakery")]
    reader = sold(NEW, BAKERY)
    told(store, tmp_path, device(reader, merchant_no=BAKERY), merchants=bakery)
    assert ("merchant", BAKERY) not in store.balances()
    sign(store, number)
    store.merchants.onboarding.admit(number, [NEW], "wang", NOW_S)
    told(store, tmp_path, device(reader, merchant_no=BAKERY), merchants=bakery)
    assert refusals(store, reader) == set()
    assert store.takings(BAKERY) == 400
    with pytest.raises(ConfigError, match="differently"):
        told(store, tmp_path, merchants=[(BAKERY, "Pastry")])
    # Admitted for its applicant: nobody else gets the number.
    told(store, tmp_path, device(Reader(NEW + 1)))
    assert (NEW + 1, CANTEEN) in store.merchants.onboarding.held_back()


@pytest.mark.parametrize("named", ["", "Logistics"])
def test_one_department_answers_for_a_reader(tmp_path, named):
    """R20: that of the form, until the register names another."""
    store = campus()
    number = apply(store, "device", "2026-2", CANTEEN, replace(FORM, quantity=2))
    sign(store, number)
    store.merchants.onboarding.admit(number, [NEW, NEW + 1], "wang", NOW_S)
    more = {"department": named} if named else {}
    told(store, tmp_path, device(Reader(NEW), **more), device(Reader(NEW + 1)))
    of = {one.device: one for one in store.merchants.onboarding.registry()}
    assert of[NEW].department == (named or "General Affairs")
    assert (of[NEW + 1].department, of[NEW + 1].application) == ("General Affairs", number)
    assert (of[1009].department, of[1009].application) == ("General Affairs", 0)


def test_no_more_readers_than_were_signed_for_one_by_one_either():
    store = campus()
    number = apply(store, "device", "2026-2", CANTEEN, replace(FORM, quantity=2))
    sign(store, number)
    admit = store.merchants.onboarding.admit
    for device_no in (NEW, NEW + 1, NEW + 1):  # again: nothing
        admit(number, [device_no], "wang", NOW_S)
    before = store.dump()
    with pytest.raises(DossierRefused, match="is for 2 readers, and has 2"):
        admit(number, [NEW + 2], "wang", NOW_S)
    assert store.dump() == before


def test_a_register_of_before_a_move_does_not_move_it_back_nor_stop_the_ledger(tmp_path):
    reader = Reader(1001)
    store = open_ledger(reader)
    number = store.merchants.tickets.move("M-1", 1001, "north", "wu", "rebuilt", NOW_S)
    say(store, number, "sign", "department", "zhao")
    say(store, number, "sign", "centre", "feng")
    say(store, number, "move", "centre", "chen", costs=[("labour", 0), ("material", 0)])
    told(store, tmp_path, device(reader))
    assert store.tampers.where(1001) == (CANTEEN, "north")
    told(store, tmp_path, device(reader, site="north"))
    with pytest.raises(ConfigError, match="differently"):
        told(store, tmp_path, device(reader, site="south"))


def test_a_register_that_knows_no_ends_does_not_stop_the_ledger(tmp_path):
    """A key that was changed before its reader ended, one planned since, a merchant's new one."""
    store, canteen, *_ = month(is_there=False)
    register = device(canteen, key=(b"\1" * 32).hex(), previous_key=canteen.key.hex())
    silent = Reader(SILENT, KIOSK)
    told(store, tmp_path, register, device(silent, merchant_no=KIOSK))
    for number in (canteen.device, SILENT):
        pass_over(store, retire(store, number), store.heads()[number])
    leave(store)
    planned = device(silent, key=(b"\2" * 32).hex(), previous_key=silent.key.hex())
    before = store.dump()
    told(store, tmp_path, register, planned | {"merchant_no": KIOSK}, device(Reader(NEW)))
    assert store.dump() == before
    assert store.merchants.onboarding.held_back() == [(NEW, CANTEEN)]
    assert refusals(store, sold()) == {reasons.NOT_APPROVED} and check(store) == []


def test_the_number_of_a_refusal_has_its_text():
    assert reasons.NOT_APPROVED in reasons.TEXTS
    numbers = {reasons.NOT_APPROVED, *procedures.TEXTS}
    assert numbers == {*range(440, 450), *range(473, 477), 640}
