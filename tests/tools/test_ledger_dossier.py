"""`onecard ledger merchant` and `device`: beside a ledger that has the books open."""

import csv
import io
import re
import time

import pytest
from typer.testing import CliRunner

from ledger.invariants import check
from tests.ledger.campus import BAKERY, BROKEN, SEIZED, SIGNERS, SPENT, TILL, campus
from tests.ledger.readers import CANTEEN, Reader
from tests.ledger.staff import cheap, password_of, staffed
from tests.ledger.test_merchant_signatures import ANNEX_2
from tools.cli import app

__all__ = ["cheap"]


@pytest.fixture
def books(tmp_path):
    store = campus(str(tmp_path / "ledger.sqlite"))
    yield store, tmp_path / "ledger.sqlite"
    assert check(store) == []
    store.close()


def onecard(group, command, path, code=0, **options):
    words = []
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            words += [f"--{name.strip('_').replace('_', '-')}", str(each)]
    found = CliRunner().invoke(app, ["ledger", group, command, str(path), *words])
    assert found.exit_code == code, found.output
    return found.output


def step(group, path, number, verb, as_, by, code=0, **more):
    return onecard(group, "say", path, code, dossier=number, verb=verb, as_=as_, by=by, **more)


def listed(group, verb, path, code=0):
    found = CliRunner().invoke(app, ["ledger", group, verb, str(path), "--csv"])
    assert found.exit_code == code, found.output
    return list(csv.DictReader(io.StringIO(found.output)))


FORM = {
    "name": "Bakery",
    "department": "General Affairs",
    "project": "Informatisation",
    "readers": 1,
    "amount_fen": 300_000,
    "said": "bread for the east gate",
    "by": "wu",
}


def test_from_the_form_to_the_reader(books):
    store, path = books
    form = {"ref": "2026-1", "merchant": BAKERY, **FORM}
    for _ in range(2):  # the answer was lost: again
        said = onecard("merchant", "apply", path, **form)
    assert said == f"dossier 1: merchant 2026-1, merchant {BAKERY}: applied\n"
    refused = onecard("merchant", "apply", path, 2, **(form | {"readers": 2}))
    assert "says otherwise (449" in refused
    wrong = step("merchant", path, 1, "sign", "president", "zhou", 2)
    assert "443, R16, annex 2" in wrong
    for role, person in SIGNERS.items():
        assert "five persons" in onecard(
            "device", "admit", path, 2, application=1, device=2001, by="wang"
        )
        said = step("merchant", path, 1, "sign", role, person)
    assert said.endswith(": approved\n")
    admitted = onecard("device", "admit", path, application=1, device=2001, by="wang")
    assert admitted.startswith("application 1: 1 of 1 readers")
    shown = onecard("merchant", "show", path, dossier=1)
    assert "Bakery: 1 readers, 3000.00 yuan" in shown and "admitted: 2001" in shown
    assert re.search(r'apply: wu as merchant, "bread for the east gate" -> applied', shown)
    store.register_device(2001, Reader(2001).key, BAKERY)
    (till, new) = listed("device", "registry", path, 1)
    assert (till["application"], till["state"]) == ("before", "in use")
    assert (new["application"], new["state"]) == ("1", "NOBODY ANSWERS FOR IT")
    store.merchants.onboarding.answer_for([2001])
    assert "department General Affairs, application 1: in use" in onecard(
        "device", "registry", path
    )


def test_a_dossier_is_the_word_of_who_has_logged_in(books, tmp_path, monkeypatch, cheap):
    store, path = books
    monkeypatch.setenv("ONECARD_SESSION", str(tmp_path / "session"))
    staffed(store, int(time.time()))

    def as_(login):
        words = ["ledger", "operator", "login", str(path), login]
        done = CliRunner().invoke(app, words, input=f"{password_of(login)}\n")
        assert done.exit_code == 0, done.output

    form = {"ref": "2026-1", "merchant": BAKERY, **FORM}
    assert "(750)" in onecard("merchant", "apply", path, 2, **form)
    as_("stella")
    assert "(759)" in onecard("merchant", "apply", path, 2, **form)
    form.pop("by")
    onecard("merchant", "apply", path, **form)
    sign = {"dossier": 1, "verb": "sign"}
    assert "(753)" in onecard("merchant", "say", path, 2, **sign, as_="department")
    for role, login in ANNEX_2.items():
        as_(login)
        said = onecard("merchant", "say", path, **sign, as_=role)
    assert said.endswith(": approved\n")
    as_("eng")
    onecard("device", "admit", path, application=1, device=2001)
    shown = onecard("merchant", "show", path, dossier=1)
    assert "apply: stella as merchant" in shown and "sign: pei as president" in shown
    as_("clara")
    onecard("merchant", "withhold", path, record="{}/{}".format(*SEIZED))
    assert "in the hands of clara as merchant" in onecard("merchant", "show", path, dossier=2)
    as_("hua")
    where = {"department": "General Affairs", "site": "campus"}
    onecard("device", "duty", path, **where, person="sun", every_days=7)
    as_("sun")
    results = {"devices": "ok", "network": "mended", "power": "ok"}
    onecard("device", "round", path, **where, **results)
    done = CliRunner().invoke(app, ["ledger", "operator", "acts", str(path)]).output
    for said in (
        "stella: annex-2.department merchant 2026-1: sign: refused",
        "hua: annex-2.department merchant 2026-1: sign\n",
        "sun: duty.round round at campus",
    ):
        assert said in done, done


def test_a_move_a_ticket_and_a_damage(books):
    store, path = books
    what = {"ref": "M-1", "device": TILL, "site": "north", "said": "rebuilt", "by": "wu"}
    onecard("device", "move", path, **what)
    step("device", path, 1, "sign", "department", "zhao")
    step("device", path, 1, "sign", "centre", "feng")
    assert "costs of move" in step("device", path, 1, "move", "centre", "chen", 2)
    costs = {"labour_fen": 8_000, "material_fen": 1_250}
    step("device", path, 1, "move", "centre", "chen", **costs)
    shown = onecard("device", "show", path, dossier=1)
    assert "from campus to north" in shown and "labour: 80.00 yuan, borne by the merchant" in shown
    assert store.tampers.where(TILL) == (CANTEEN, "north")
    waits = onecard("device", "open", path, 1)
    assert waits == f"record {TILL}/{BROKEN[1]}: a fault stands, and IS NO TICKET\n"
    fault = {"ref": "R-1", "device": TILL, "as": "merchant", "said": "dark", "by": "wu"}
    onecard("device", "report", path, record=f"{TILL}/{BROKEN[1]}", **fault)
    said = onecard("device", "open", path)
    assert re.fullmatch(
        rf"dossier 2: repair R-1, merchant 12, reader {TILL}: reported, since \S+Z, due \S+Z\n",
        said,
    )
    longer = onecard("device", "open", path, hours="repair/reported=99999")
    assert longer.partition(", due ")[0] == said.partition(", due ")[0] and longer > said
    assert "is no hours" in onecard("device", "open", path, 2, hours="repair/moved=2")
    assert onecard("device", "take-up", path, by="wang") == "nothing to take up\n"
    assert "no record such as" in onecard(
        "device", "report", path, 2, record="1001-17", **(fault | {"ref": "R-2"})
    )
    damage = {"ref": "D-1", "device": TILL, "as": "department", "said": "broken", "by": "zhao"}
    onecard("device", "damage", path, **damage)
    step("device", path, 3, "take", "security", "han")
    found = {"shown": "finding-report", "compensation_fen": 700, "bearer": "person"}
    step("device", path, 3, "establish", "centre", "feng", **found)
    assert "in the hands of han" in onecard("device", "show", path, dossier=3)
    rows = listed("device", "open", path)
    assert [(row["kind"], row["state"], row["in the hands of"]) for row in rows] == [
        ("repair", "reported", ""),
        ("damage", "established", "han"),
    ]


def test_a_withheld_card_and_a_question(books):
    _store, path = books
    assert "NOBODY SAYS WHO HAS IT" in onecard("merchant", "open", path, 1)
    onecard("merchant", "withhold", path, record="{}/{}".format(*SEIZED), by="wu")
    late = step("merchant", path, 1, "receive", "card-centre", "yang", 2, from_="han")
    assert "in the hands of wu" in late and "446, R19.4" in late
    step("merchant", path, 1, "receive", "card-centre", "yang", from_="wu")
    records = ["{}/{}".format(*SPENT), f"{TILL}/5"]
    about = {"ref": "Q-1", "merchant": CANTEEN, "said": "one meal?", "by": "zhao"}
    onecard("merchant", "ask", path, record=records, **about)
    step("merchant", path, 2, "answer", "merchant", "wu", said="two friends")
    shown = onecard("merchant", "show", path, dossier=2)
    assert f"record {TILL}/3: 4.00 yuan" in shown and '"two friends" -> answered' in shown
    found = onecard("merchant", "ask-found", path, limit_fen=5_000, by="zhao")
    assert found == "nothing to ask about\n"
    assert "no dossier 9 (441)" in onecard("merchant", "show", path, 2, dossier=9)


def test_rounds(books):
    _store, path = books
    assert [row["state"] for row in listed("device", "rounds", path, 1)] == ["NOBODY IS NAMED"]
    where = {"department": "General Affairs", "site": "campus"}
    onecard("device", "duty", path, **where, person="wang", every_days=7, by="zhao")
    results = {"devices": "ok", "network": "mended", "power": "told", "by": "wang"}
    assert "say what could not" in onecard("device", "round", path, 2, **where, **results)
    said = onecard("device", "round", path, **where, **results, said="a socket sparks")
    assert said.endswith("is noted; tickets: 1\n")
    shown = onecard("device", "show", path, dossier=1)
    assert "power at campus, by the round of General Affairs on 20" in shown
    (row,) = listed("device", "rounds", path)
    assert (row["person"], row["state"]) == ("wang", "in time") and row["last"]
    assert "every days 7" in onecard("device", "rounds", path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "no.sqlite").write_bytes(b"no books")
    for group, verb, more in (
        ("merchant", "open", {}),
        ("device", "registry", {}),
        ("device", "rounds", {}),
        ("device", "show", {"dossier": 1}),
        ("merchant", "withhold", {"record": "1/1", "by": "wu"}),
    ):
        onecard(group, verb, tmp_path / "no.sqlite", 2, **more)
