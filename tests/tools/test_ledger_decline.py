"""`onecard ledger decline`: the console's no, by the command line, beside a ledger."""

import time

import pytest
from typer.testing import CliRunner

from ledger import declining, marks, people
from ledger.backup import back_up, restore
from ledger.card_status import CardRefused
from ledger.declines import DECLINED
from ledger.invariants import check
from ledger.money_lists import Signature
from ledger.operators import ENROL, Wanted
from ledger.signatures import acts
from ledger.subsidies import SubsidyLine
from ledger.temporary import Application
from ledger.topups import TopUpRefused
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.staff import cheap, log_in, staffed, token_of
from tools import session
from tools.cli import app
from tools.cli_decline import Kind

__all__ = ["cheap"]
pytestmark = pytest.mark.usefixtures("cheap")
WHY = "the slip says another card"
FILE = bytes(range(32))
SUBSIDIES = [SubsidyLine(2, CARD, "", 700)]


@pytest.fixture
def office(tmp_path, monkeypatch):
    """(store, who has logged in by login, how they decline) of books that a ledger has open."""
    monkeypatch.setenv("ONECARD_SESSION", str(tmp_path / "session"))
    path, now_s = tmp_path / "ledger.sqlite", int(time.time())
    store = open_ledger(Reader(1001), path=str(path))

    def decline(login, *words, because=WHY):
        session.keep(token_of(store, login, now_s))
        words = "ledger", "decline", path, *words, "--because", because
        return CliRunner().invoke(app, [*map(str, words)])

    yield store, staffed(store, now_s), decline
    assert check(store) == []
    store.close()


def mark_of(store, kind, subject):
    """What the refusal without it shows."""
    _told, mark = marks.shown(store, kind, str(subject))
    return mark


def said(store, kind):
    """(who, of what, why) of each no of that kind that counts."""
    verb = f"{kind}.decline"
    found = [one for one in acts(store.database, 1_000) if one.verb == verb and not one.reason]
    return [(one.login, one.subject, one.evidence) for one in found]


def test_what_the_console_declines_the_command_line_does_too():
    assert [kind.value for kind in Kind] == list(declining.KINDS)
    assert set(declining.VERBS) == {verb for verb in people.VERBS if verb.endswith(".decline")}


def test_money_by_hand_is_declined_once_and_by_who_would_book_it(office):
    store, staff, decline = office
    facts = CARD, 700, "till-7"
    number = store.top_ups.propose(*facts, staff["clara"], int(time.time()))
    for login, subject, because, reason in (
        ("clara", number, WHY, f"({people.NOT_FOR_ROLE})"),
        ("tian", number, "", f"({people.NO_REASON_GIVEN})"),
        ("tian", number + 50, WHY, f"({people.NO_PROPOSAL})"),
        ("tian", "seven", WHY, "not a number: 'seven'"),
        ("tian", "9" * 40, WHY, "not a number"),
    ):
        mark = mark_of(store, "topup", subject) if subject == number else "0"
        refused = decline(login, "topup", subject, "--mark", mark, because=because)
        assert (refused.exit_code, reason in refused.output) == (2, True), refused.output
    assert said(store, "topup") == []
    done = decline("tian", "topup", number, "--mark", mark_of(store, "topup", number))
    assert done.exit_code == 0 and done.output.startswith(f"topup {number} is declined")
    assert said(store, "topup") == [("tian", f"proposal {number}", WHY)]
    assert decline("tian", "topup", number).exit_code == 2
    with pytest.raises(TopUpRefused, match=str(DECLINED)):
        store.top_ups.top_up(*facts, 0, staff["tian"], int(time.time()))
    assert store.balances().get(("pending", CARD), 0) == 0


def test_a_number_that_is_something_elses_behind_a_restore_is_shown_and_not_declined(
    office, tmp_path
):
    """The treasurer has noted "proposal 17"; books of last night give 17 to somebody else's."""
    store, _staff, decline = office
    now_s = int(time.time())
    night = tmp_path / "night.sqlite"
    back_up(tmp_path / "ledger.sqlite", night, now_s)
    number = store.top_ups.propose(CARD, 700, "till-7", log_in(store, "clara", now_s), now_s)
    seen = decline("tian", "topup", number)
    assert seen.exit_code == 2
    assert f"card {CARD}: 700 fen, till-7, by clara" in seen.output.replace("\n", " ")
    mark = mark_of(store, "topup", number)
    assert mark in seen.output

    restore(night, tmp_path / "restored.sqlite", now_s)
    restored = open_ledger(Reader(1001), path=str(tmp_path / "restored.sqlite"))
    other = restored.top_ups.propose(CARD, 900, "till-9", log_in(restored, "chen", now_s), now_s)
    assert other == number
    session.keep(token_of(restored, "tian", now_s))
    words = "ledger", "decline", tmp_path / "restored.sqlite", "topup", number, "--mark", mark
    said = CliRunner().invoke(app, [*map(str, words), "--because", WHY])
    assert said.exit_code == 2 and "900 fen, till-9, by chen" in said.output.replace("\n", " ")
    assert [one.number for one in restored.top_ups.waiting()] == [number]
    restored.close()


def test_all_that_has_a_number_is_shown_with_a_mark_over_it(office):
    store, staff, decline = office
    now_s = int(time.time())
    day = now_s // 86_400
    dora = Wanted(ENROL, "dora", "Nursing", (people.HEAD,))
    operator = store.operators.propose(dora, staff["anna"], now_s)
    form = Application("2026010203", "2026010203", "self", 3, "General Affairs",
                       day, day + 30)  # fmt: skip
    application = store.temporaries.apply(form, now_s, staff["clara"])
    for kind, number, who, told in (
        ("operator", operator, "bao", "enrol dora, Nursing, head, by anna"),
        ("temporary", application, "hua", "category 3, General Affairs, from "),
    ):
        refused = decline(who, kind, number)
        assert refused.exit_code == 2 and told in refused.output.replace("\n", " "), refused.output
        assert form.person_no not in refused.output
        done = decline(who, kind, number, "--mark", mark_of(store, kind, number))
        assert done.exit_code == 0, done.output


def test_a_list_and_a_person_are_declined_by_their_hash_and_number(office):
    store, staff, decline = office
    now_s = int(time.time())
    plan = store.subsidies.dry_run("2026-11", SUBSIDIES, FILE)
    signature = Signature(plan.sha256, plan.amount_fen, staff["chen"], now_s)
    store.subsidies.sign("2026-11", SUBSIDIES, FILE, signature)
    for subject in ("x" * 64, plan.sha256.hex()[:-2], " ".join(["ab"] * 32), "7"):
        refused = decline("tian", "subsidy", subject)
        assert (refused.exit_code, "64 hexadecimal" in refused.output) == (2, True), refused.output
    assert decline("tian", "refund", plan.sha256.hex()).exit_code == 2, "another kind of list"
    assert decline("tian", "subsidy", plan.sha256.hex()).exit_code == 0
    again = Signature(plan.sha256, plan.amount_fen, staff["tian"], now_s)
    with pytest.raises(CardRefused, match=str(DECLINED)):
        store.subsidies.sign("2026-11", SUBSIDIES, FILE, again)
    dora = Wanted(ENROL, "dora", "Nursing", (people.HEAD,))
    number = store.operators.propose(dora, staff["anna"], now_s)
    subject = f"proposal {number}"  # as the console has it
    mark = mark_of(store, "operator", subject)
    assert decline("bao", "operator", subject, "--mark", mark).exit_code == 0
    assert store.operators.proposals() == []


def test_where_names_are_typed_nobody_declines(tmp_path):
    path = tmp_path / "ledger.sqlite"
    open_ledger(Reader(1001), path=str(path)).close()
    words = "ledger", "decline", path, "topup", 1, "--because", WHY, "--by", "li"
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 2 and f"({people.NOT_FOUNDED})" in done.output
