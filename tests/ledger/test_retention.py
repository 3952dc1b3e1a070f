"""What is kept of persons: masked, told to whom it belongs, and blanked when its time is over."""

import json
import re

import pytest

from ledger import names, people, privacy, retention, signatures
from ledger.carry_over import AFTER_S
from ledger.chart import purse
from ledger.config import import_register
from ledger.dialect import ConstraintBroken
from ledger.holders import Holder
from ledger.invariants import check
from ledger.lifecycle import Act
from ledger.phones import Phones, Proof
from ledger.retention import RULES
from ledger.rosters import Place, Rosters, Shift
from ledger.signatures import NotAllowed
from ledger.temporary import Application
from protocols.rules.spending import STUDENT
from tests.ledger.lives import let_go, make_file
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.staff import OF_ROLE, cheap, log_in, staffed

__all__ = ["cheap"]
pytestmark = pytest.mark.usefixtures("cheap")

NOW_S = 1_790_000_000
DAY_S = 86_400
PERSON, ACCOUNT, NAME = "2021010042", "430102199001011", "Zhang San"
BY = Act(evidence="id-card", person="wang")


def books(fen=500, is_closed=True):
    """A student's card with so much on it, an account for it, a phone; closed at NOW_S."""
    store = open_ledger(Reader(1001))
    store.issue_card(50, fen)
    store.holders.open(50, Holder(PERSON, STUDENT, "Nursing"), (0, 65_000), NOW_S - 9, BY)
    store.payouts.register_payee(50, ACCOUNT, NAME, "wang", NOW_S - 9)
    Phones(store.database, bytes(32), bytes).bind(50, Proof("id-card", "wang", PERSON), NOW_S - 9)
    if is_closed:
        store.cards.set("close", 50, NOW_S, "withdrawal-notice", BY)
        keep_seed(store)
    return store


def keep_seed(store):
    """As books have it whose card was closed before a phone ended with its card (ADR 52)."""
    assert list(store.database.rows("SELECT sealed_seed FROM phone")) == [(b"",)]
    with store.database.transaction():
        sql = "UPDATE phone SET binding = binding + 1, sealed_seed = ?"
        store.database.many(sql, [(bytes(60),)])


def counts(store, days):
    found = retention.due(store.database, NOW_S + days * DAY_S)
    return {one.name: len(one.keys) for one in found if one.keys}


def payee(store):
    return next(iter(store.database.rows("SELECT account_no, name FROM payee")))


@pytest.mark.parametrize(("text", "shown"), [
    ("2021010042", "20******42"), ("T2026001", "T2****01"), ("S1001", "S***1"),
    ("S1", "**"), ("", ""), ("张三李四王五赵六", "张三****赵六"),
])  # fmt: skip
def test_a_mask_leaves_little(text, shown):
    assert privacy.masked(text) == shown


def test_each_thing_has_its_day():
    store = books(fen=0)
    for name, rule in RULES.items():
        if name != "session":
            assert name not in counts(store, rule.days - 1)
            assert counts(store, rule.days)[name] == 1
    before = store.dump()
    assert counts(store, 9_999) == {"payee": 1, "holder": 1, "phone": 1}
    assert store.dump() == before  # looking does nothing


def test_what_is_over_is_blanked_once_and_the_books_hold():
    store = books(fen=0)
    late = NOW_S + 2_000 * DAY_S
    assert [len(one.keys) for one in retention.run(store.database, "wang", late)] == [1, 1, 1, 0]
    assert payee(store) == ("", "")
    assert store.holders.of(50).person_no == "~1"
    told = " ".join(map(str, store.database.rows("SELECT person_no FROM person_no")))
    assert PERSON not in told
    assert Phones(store.database, bytes(32), bytes).binding(50) == 0
    assert counts(store, 2_000) == {}
    assert check(store) == []
    # Who comes back is new to the books, and is let in.
    store.holders.issue(51, late)
    store.holders.open(51, Holder(PERSON, STUDENT, "Nursing"), (0, 65_000), late, BY)
    assert store.holders.card_of(PERSON) == 51
    assert counts(store, 9_999) == {}  # has a card now


def test_a_register_brings_no_blanked_number_back(tmp_path):
    """It is read at each start, and what it says of a card may be older than the blanking."""
    store = books(fen=0)
    register = tmp_path / "register.json"
    register.write_text(
        json.dumps({"card": [{"card_no": 50, "balance_fen": 0, "person_no": PERSON}]})
    )
    import_register(store, register)
    assert store.person_numbers.known(50) == PERSON
    retention.run(store.database, "wang", NOW_S + 2_000 * DAY_S)
    import_register(store, register)
    assert store.person_numbers.known(50) == "~1"


@pytest.mark.parametrize("result", [None, "failed"])
def test_money_that_is_somebody_s_keeps_its_person(result):
    store = books()
    assert counts(store, 9_999) == {"phone": 1}  # on the card
    let_go(store, NOW_S + AFTER_S)
    assert counts(store, 9_999) == {"phone": 1}  # waits for a file
    make_file(store, "2026-09", "li", NOW_S + AFTER_S)
    assert counts(store, 9_999) == {"phone": 1}  # with the bank
    if result:
        store.payouts.note_results([(1, result, "")], "li", NOW_S + AFTER_S)
        assert counts(store, 9_999) == {"phone": 1}  # waits for another account
    store.payouts.register_payee(50, ACCOUNT, NAME, "wang", NOW_S + AFTER_S)
    if result:
        make_file(store, "2026-10", "li", NOW_S + AFTER_S)
        store.payouts.note_results([(2, "paid", "")], "li", NOW_S + AFTER_S)
        # Paid, every account of the card is blanked at once (ledger/payouts.py).
        assert counts(store, 9_999) == {"holder": 1, "phone": 1}


def test_an_account_serves_the_cards_before_it_too():
    store = books(fen=0, is_closed=False)
    store.issue_cards([(51, 0)])
    store.cards.set("lose", 50, NOW_S, by=BY)
    store.reissues.reissue(50, 51, NOW_S, "id-card", BY)
    store.payouts.register_payee(51, ACCOUNT, NAME, "wang", NOW_S)
    store.cards.set("close", 51, NOW_S, "withdrawal-notice", BY)
    assert counts(store, 9_999)["payee"] == 2
    with store.database.transaction():
        store.database.many("UPDATE account SET balance_fen = ? WHERE id = ?", [(1, purse(50))])
    assert "payee" not in counts(store, 9_999)  # of neither: the newest would get it


def test_the_database_itself_blanks_nobody_who_has_a_card():
    store = books(is_closed=False)
    assert counts(store, 9_999) == {}
    for sql in ("UPDATE holder SET person_no = '~1'", "UPDATE holder SET person_no = 'N9'"):
        with pytest.raises(ConstraintBroken), store.database.transaction():
            list(store.database.rows(sql))
    store.cards.set("close", 50, NOW_S, "withdrawal-notice", BY)
    with pytest.raises(ConstraintBroken), store.database.transaction():
        list(store.database.rows("UPDATE holder SET person_no = '~2'"))


def test_power_gone_in_the_middle_blanks_nothing(monkeypatch):
    store = books(fen=0)
    late = NOW_S + 2_000 * DAY_S
    before = store.dump()

    class PowerGone(BaseException):
        pass

    def gone(*_words):
        raise PowerGone

    cut = dict(RULES)
    cut["phone"] = retention.Rule("", "", 30, RULES["phone"].find, gone)
    monkeypatch.setattr(retention, "RULES", cut)
    with pytest.raises(PowerGone):
        retention.run(store.database, "wang", late)
    monkeypatch.undo()
    assert store.dump() == before and payee(store) == (ACCOUNT, NAME)


def test_by_the_engineer_alone_and_as_an_act():
    store = books(fen=0)
    late = NOW_S + 2_000 * DAY_S
    staff = staffed(store, late)
    for role in people.ROLES:
        if role not in people.VERBS["retention.run"].roles:
            with pytest.raises(NotAllowed) as caught:
                retention.run(store.database, staff[OF_ROLE[role]], late)
            assert caught.value.reason == people.NOT_FOR_ROLE
    assert payee(store) == (ACCOUNT, NAME)
    retention.run(store.database, staff["eng"], late)
    said = signatures.acts(store.database, 1_000)[-1]
    assert (said.verb, said.evidence) == (
        "retention.run",
        "payee 1, holder 1, phone 1, session 0",
    )
    assert payee(store) == ("", "")
    after = retention.run(store.database, staff["eng"], late)
    assert [len(one.keys) for one in after] == [0, 0, 0, 0]


def test_old_sessions_go_and_their_acts_stay():
    store = open_ledger(Reader(1001))
    staff = staffed(store, NOW_S)
    late = NOW_S + RULES["session"].days * DAY_S
    before = signatures.acts(store.database, 1_000)
    sessions = len(staff)
    assert [len(one.keys) for one in retention.due(store.database, late)][-1] == sessions
    # Whoever says so has just logged in.
    retention.run(store.database, log_in(store, "eng", late), late)
    ((left,),) = store.database.rows("SELECT COUNT(*) FROM operator_session")
    assert left == 1
    assert signatures.acts(store.database, len(before)) == before


def test_all_that_the_books_have_of_a_person_and_of_no_other():
    reader = Reader(1001)
    reader.spend(card_no=50)
    reader.spend(card_no=CARD)
    reader.punch(50, 1_000)
    store = books(is_closed=False)
    store.book([reader.records])
    store.temporaries.apply(Application("T1", PERSON, "cook", 1, "Nursing", 1, 20), NOW_S)
    rosters = Rosters(store.database)
    rosters.set_shift(Shift("early", 0, 31, 480, 1020, 5), "li", NOW_S)
    rosters.place([(2, Place(PERSON, 1, "cleaning", "early"))], "li", NOW_S)
    store.issue_cards([(49, 0)])
    Phones(store.database, bytes(32), bytes).bind(CARD, Proof("passport", "li"), NOW_S)
    for card_no in (50, CARD):
        store.top_ups.top_up(card_no, 700, f"order-{card_no}")
        store.attendance.enter(card_no, 5, NOW_S, "li", "the machine was off")
    store.access.add_door(1001, "dorm", 5_000, 0)
    store.access.appoint("appoint", "campus", "dorm", "wen", NOW_S)
    for first_no in (49, CARD):
        store.access.grant(1001, first_no, 2, 1, "wen", NOW_S)
    staff = staffed(store, NOW_S)
    names.enter(store.database, 50, "张三", staff["clara"], NOW_S)
    words = "the holder has asked", NOW_S
    found = privacy.everything_of(store.database, PERSON, staff["clara"], *words)
    sizes = {name: len(rows) for name, rows in found.items() if rows}
    assert sizes == {
        "holder": 1, "cards": 1, "numbers": 1, "names": 1, "opening": 1, "validity": 1,
        "spends": 1, "paid_in": 1, "payees": 1, "punches": 1, "entered_punches": 1,
        "phones": 1, "door_rights": 1, "applications": 1, "roster": 1,
    }  # fmt: skip
    assert found["paid_in"][0]["amount_fen"] == 700 and found["phones"][0]["way"] == "id-card"
    assert {row["card_no"] for row in found["spends"]} == {50}
    assert json.loads(json.dumps(found)) == found
    last = signatures.acts(store.database, 1_000)[-1]
    assert (last.verb, last.subject) == ("personal.export", "person 20******42")
    nothing = privacy.everything_of(store.database, "N0", staff["clara"], *words)
    assert not any(nothing.values())
    for login in ("tian", "eng", "hua", "anna"):
        with pytest.raises(NotAllowed):
            privacy.everything_of(store.database, PERSON, staff[login], *words)


def test_no_table_that_knows_a_card_or_a_person_is_left_out():
    """Whoever adds one says what of it is the person's."""
    store = books()
    told = {re.search(r"FROM (\w+)", sql)[1] for _columns, sql in privacy._EXPORT.values()}
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    of_persons = {
        table
        for (table,) in list(store.database.rows(tables))
        for _at, column, *_ in store.database.rows(f"PRAGMA table_info({table})")
        if column in ("card_no", "old_card", "first_no", "holder", "person_no")
    }
    assert of_persons - told == set(privacy.NOT_EXPORTED)


@pytest.mark.parametrize("because", ["", "  ", "x" * 65, "a\nb"])
def test_nobody_sees_a_number_without_saying_why(because):
    store = books()
    with pytest.raises(NotAllowed) as caught:
        privacy.reveal_holder(store.database, 50, "wang", because, NOW_S)
    assert caught.value.reason == people.NO_REASON_GIVEN
    shown = privacy.reveal_holder(store.database, 50, "wang", "was found", NOW_S)
    assert shown.person_no == PERSON and PERSON not in repr(shown)


ROSTER = "roster of 2026-11-26"


def test_a_roster_and_a_form_are_unmasked_for_whom_they_concern(cheap):
    """By every role: General Affairs its staff, the card centre any form, a head their own."""
    store, told = books(), []
    staff = staffed(store, NOW_S)
    for login in sorted(staff):
        for verb, say in (
            (
                "personal.roster",
                lambda who: privacy.reveal_roster(store.database, ROSTER, who, "pay", NOW_S),
            ),
            (
                "personal.form",
                lambda who: privacy.reveal_form(
                    store.database, 4, people.STUDENTS, who, "to sign", NOW_S
                ),
            ),
        ):
            try:
                say(staff[login])
            except NotAllowed as refused:
                is_head = verb == "personal.form" and login in ("hua", "hip")
                wanted = people.OTHER_DEPARTMENT if is_head else people.NOT_FOR_ROLE
                assert refused.reason == wanted, (login, verb)
            else:
                told.append((login, verb))
    stewards = [("stella", "personal.roster"), ("sun", "personal.roster")]
    signers = [(one, "personal.form") for one in ("chen", "clara", "hes", "tian")]
    assert sorted(told) == sorted(stewards + signers)
    acts = [one for one in signatures.acts(store.database, 1_000) if one.verb.startswith("pers")]
    assert {(one.subject, one.evidence) for one in acts} == {
        (ROSTER, "pay"),
        ("application 4", "to sign"),
    }
    assert [(one.login, one.verb) for one in acts] == told, "none without its act"
    for because in ("", "a\nb"):
        with pytest.raises(NotAllowed, match=str(people.NO_REASON_GIVEN)):
            privacy.reveal_roster(store.database, ROSTER, staff["stella"], because, NOW_S)
    with pytest.raises(NotAllowed, match=str(people.TYPED_NAME)):
        privacy.reveal_form(store.database, 4, people.STUDENTS, "clara", "to sign", NOW_S)
