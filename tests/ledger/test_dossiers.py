"""Dossiers in the books: what the database refuses, what is seen, a crash at any statement."""

import random
from dataclasses import replace

import pytest

from ledger import chart, dossier_rules, procedures
from ledger.dialect import ConstraintBroken
from ledger.doctor import WORTH_A_LOOK, examine
from ledger.dossiers import DossierRefused
from ledger.invariants import check
from ledger.procedure_rows import ROWS
from ledger.procedure_schema import JOURNALS
from ledger.procedures import ROLES, SIGN, Act, answer, custodian, of
from ledger.store import RegistryError
from tests.ledger.campus import (
    BAKERY,
    BROKEN,
    FORM,
    NOW_S,
    PARTS,
    SEIZED,
    SIGNERS,
    TILL,
    TODAY,
    apply,
    campus,
    fill,
    say,
    sign,
)
from tests.ledger.crashes import stop_anywhere
from tests.ledger.readers import CANTEEN, KIOSK, Reader
from tests.ledger.tampering import in_its_words, tamper

# A column that anybody would have to touch.
KEYS = {
    "procedure_rule": "act",
    "dossier": "reference",
    "dossier_step": "person",
    "dossier_record": "seq",
    "annex_form": "quantity",
    "registered_before": "number",
    "admission": "application",
    "relocation": "site_after",
    "dossier_cost": "amount_fen",
    "duty": "person",
    "duty_round": "power",
    "duty_ticket": "item",
}
STEP = "INSERT INTO dossier_step VALUES "
BROKEN_BY = [
    # A step that is no row of the table, of another's dossier, or that leaves one out.
    STEP
    + "(8, 2, 'device', 'sign', 'applied', 'approved', 'president', 'sign', 'a', '', '', '', 1)",
    STEP
    + "(8, 2, 'device', 'sign', 'applied', 'signed-1', 'department', 'say', 'a', '', '', '', 1)",
    STEP
    + "(8, 2, 'repair', 'accept', 'reported', 'accepted', 'centre', 'say', 'a', '', '', '', 1)",
    STEP + "(8, 2, 'device', 'sign', 'signed-1', 'signed-2', 'department-leader', 'sign', 'a', '',"
    " '', '', 1)",
    STEP
    + "(8, 3, 'device', 'sign', 'applied', 'signed-1', 'department', 'sign', 'a', '', '', '', 1)",
    # Who applied signs; who has signed signs again; what goes through nobody's hands.
    STEP
    + "(8, 2, 'device', 'sign', 'applied', 'signed-1', 'department', 'sign', 'wu', '', '', '', 1)",
    STEP + "(9, 3, 'device', 'sign', 'signed-1', 'signed-2', 'department-leader', 'sign', 'zhao',"
    " '', '', '', 1)",
    STEP
    + "(8, 2, 'device', 'sign', 'applied', 'signed-1', 'department', 'sign', 'a', '', '', 'b', 1)",
    STEP + "(10, 2, 'damage', 'take', 'opened', 'opened', 'centre', 'take', 'a', '', '', 'b', 1)",
    "INSERT INTO dossier VALUES (99, 'device', '2026-2', 12, NULL)",
    "INSERT INTO dossier VALUES (99, 'repair', 'x', 12, 7777)",
    "INSERT INTO dossier_record VALUES (8, 1009, 77)",
    # More readers than signed for, one of an application that nobody has signed, one of nobody.
    "INSERT INTO admission VALUES (2005, 8, 'wang', 1)",
    "INSERT INTO admission VALUES (2001, 1, 'wang', 1)",
    "INSERT INTO device (device, merchant_no, site, head_tag)"
    " VALUES (2005, 12, 'campus', zeroblob(32))",
    "INSERT INTO device (device, merchant_no, site, head_tag)"
    " VALUES (2001, 12, 'campus', zeroblob(32))",
    "INSERT INTO merchant VALUES (15, 'nobody signed')",
    "INSERT INTO registered_before VALUES ('device', 2005)",
    "INSERT INTO dossier_cost VALUES (2, 'labour', 'merchant', 1)",
    "INSERT INTO dossier_cost VALUES (8, 'labour', 'person', 1)",
    "INSERT INTO duty VALUES (9, 'General Affairs', 'campus', 'li', 7, 1, 'li')",
    "INSERT INTO duty_round VALUES ('General Affairs', 'campus', 7, 'li', 0, 0, 0, 1)",
    "INSERT INTO duty_round VALUES ('Nobody', 'campus', 7, 'wang', 0, 0, 0, 1)",
    "INSERT INTO duty_ticket VALUES ('General Affairs', 'campus', 7, 'power', 1)",
]
TAMPERED = {
    "a dossier begins with its first step, and each step follows the one before": [
        "DELETE FROM dossier_step WHERE dossier = 1 AND step = 3"
    ],
    "each step is one of its procedure's table": [
        "UPDATE dossier_step SET role = 'merchant' WHERE dossier = 1 AND step = 6"
    ],
    "signatures are of different persons, and nobody signs what he has said": [
        "DROP INDEX one_person_one_signature",
        "UPDATE dossier_step SET person = 'zhao' WHERE dossier = 1 AND step = 6",
    ],
    "a thing in custody comes from the hands that had it": [
        "UPDATE dossier_step SET person = 'thief' WHERE dossier = 4 AND step = 2"
    ],
    "no more readers than five persons have signed for": ["UPDATE annex_form SET quantity = 0"],
    "once the register is closed, who is in it was there before or is approved": [
        "INSERT INTO merchant VALUES (15, 'nobody signed')",
        "INSERT INTO account (id, kind, owner) VALUES (8589934607, 2, 15)",
    ],
    "a reader that was admitted is its applicant's": [
        "UPDATE dossier SET merchant_no = 12 WHERE number = 1"
    ],
    "who has five signatures is a merchant, by the name on the form": [
        "UPDATE annex_form SET name = 'Another'"
    ],
    "what a dossier has cost is booked once, when it is due, from who bears it": [
        "UPDATE dossier_cost SET amount_fen = amount_fen + 1 WHERE item = 'labour'"
    ],
    "nothing else is booked as the cost of a dossier": [
        "DELETE FROM dossier_cost WHERE item = 'compensation'"
    ],
    "whoever makes a round was named for it": ["UPDATE duty SET person = 'li'"],
    "what a round could not put right is a ticket": ["UPDATE duty_round SET network = 2"],
}


def filled():
    store = campus()
    fill(store)
    assert store.balances()["fees", 0] == 8_000 + 1_250 + 30_000
    store.register_device(2001, Reader(2001).key, BAKERY)
    return store


def with_more():
    """The same, an application at its start (8) and one on its way (9), and a damage (10)."""
    store = filled()
    form = replace(FORM, name="Canteen")
    for reference in ("2026-2", "2026-3"):
        number = apply(store, "device", reference, CANTEEN, form)
    say(store, number, "sign", "department", "zhao")
    by = Act("department", "zhao", said="its case was broken open")
    assert (number, store.merchants.tickets.damage("D-2", TILL, by, NOW_S)) == (9, 10)
    return store


def test_every_table_has_something_and_the_books_hold():
    store = with_more()
    for table in JOURNALS:
        assert list(store.database.rows(f"SELECT 1 FROM {table}")), table
    assert check(store) == []
    assert KEYS.keys() == set(JOURNALS)


def test_journals_are_append_only():
    store = filled()
    for table, key in KEYS.items():
        for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET {key} = {key}"):
            with (
                pytest.raises(ConstraintBroken, match="append-only"),
                store.database.transaction(),
            ):
                store.database.rows(sql)


def test_the_database_refuses():
    store = with_more()
    before = store.dump()
    for sql in BROKEN_BY:
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.rows(in_its_words(store, sql))
        assert store.dump() == before, sql


def test_the_database_lets_nobody_sign_what_he_began():
    store = campus()
    number = apply(store)
    store.merchants.dossiers.say(number, "sign", Act("department", "zhao"), NOW_S)
    row = (number, 3, "merchant", "sign", "signed-1", "signed-2", "department-leader", "sign")
    sql = "INSERT INTO dossier_step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', 0)"
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.many(sql, [(*row, "wu")])
    with store.database.transaction():
        store.database.many(sql, [(*row, "qian")])


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = filled()
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


def test_every_rule_has_its_tampering():
    assert TAMPERED.keys() == dossier_rules.RULES.keys()


def test_a_foreign_row_in_the_table_is_seen():
    store = filled()
    row = "INSERT INTO procedure_rule VALUES ('device', 'sign', 'applied', 'approved', 'x', 'say')"
    tamper(store, [row])
    assert [violation.rule for violation in check(store)] == [dossier_rules.IS_THE_TABLE]


def test_the_table_in_the_books_is_the_programs():
    sql = "SELECT kind, verb, state_before, state_after, role, act FROM procedure_rule"
    assert set(campus().database.rows(sql)) == {tuple(row) for row in ROWS}


# --- a crash at any statement --------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_stopped_at_any_statement_then_run_again(part):
    """Every command is given again, word for word, as whoever has heard no answer does."""
    prepared = campus()
    stop_anywhere(prepared, part, least=15, check_each=29)
    assert check(prepared) == []


# --- any verbs in any order ----------------------------------------------------------------------


def test_the_books_go_through_the_table_and_keep_nothing_else():
    """1,500 steps said by anybody of eight persons: books and table agree on each."""
    seed = 49
    print("seed", seed)
    draw, store = random.Random(seed), campus()
    tickets = store.merchants.tickets
    by = Act("merchant", "p0", said="dark")
    opened = {
        "relocation": tickets.move("M", TILL, "north", "p0", "rebuilt", NOW_S),
        "capture": tickets.withhold(SEIZED, "p0", NOW_S),
        "question": tickets.ask("Q", CANTEEN, [(TILL, 3)], "p0", "one?", NOW_S),
        "device": apply(store, "device", "A", CANTEEN, FORM),
    }
    for at in range(26):
        opened |= {
            f"repair{at}": tickets.report(f"R{at}", TILL, by, NOW_S),
            f"damage{at}": tickets.damage(f"D{at}", TILL, replace(by, role="centre"), NOW_S),
        }
    refused = done = 0
    for _ in range(1_500):
        known = store.merchants.dossiers.dossier(draw.choice(list(opened.values())))
        rows = [row for row in of(known.kind) if row.before == known.state] or list(of(known.kind))
        row = draw.choice(rows)
        words = procedures.EVIDENCE.get((known.kind, row.verb), ("",))
        act = Act(
            draw.choice([row.role, row.role, draw.choice(list(ROLES))]),
            draw.choice([f"p{n}" for n in range(8)]),
            draw.choice([words[0], words[0], "paper"]),
            draw.choice(["because", "because", ""]),
            draw.choice([custodian(known.steps) if row.act in ("take", "give") else "", "p1"]),
        )
        costs = []
        if procedures.COSTS_SAID.get(known.kind) == row.verb:
            costs = [(item, draw.randrange(3) * 100) for item in procedures.COSTS[known.kind]]
        said = answer(known.kind, known.steps, row.verb, act)
        try:
            state = store.merchants.dossiers.say(known.number, row.verb, act, NOW_S, costs)
        except DossierRefused as error:
            assert error.reason == said.reason != 0
            refused += 1
        else:
            assert not said.reason and (said.row is None or state == said.row.after)
            done += said.row is not None
        now = store.merchants.dossiers.dossier(known.number)
        signed = [step.by.person for step in now.steps if step.act == SIGN]
        assert len(signed) == len(set(signed))
    print("done", done, "refused", refused)
    assert done > 150 and refused > 150
    assert check(store) == []


# --- merchants and readers that are new ----------------------------------------------------------


def test_a_merchant_is_one_with_the_fifth_signature_and_not_before():
    store = campus()
    number = apply(store)
    for role, person in SIGNERS.items():
        assert ("merchant", BAKERY) not in store.balances()
        assert store.merchants.onboarding.admitted(number) == []
        with pytest.raises(DossierRefused, match="five persons have to sign"):
            store.merchants.onboarding.admit(number, [2001], "wang", NOW_S)
        say(store, number, "sign", role, person)
    assert store.balances()["merchant", BAKERY] == 0
    sql = "SELECT name FROM merchant WHERE merchant_no = ?"
    assert list(store.database.rows(sql, (BAKERY,))) == [("Bakery",)]
    assert check(store) == []


@pytest.mark.parametrize("signatures", range(5))
def test_out_of_turn_nobody_signs(signatures):
    store = campus()
    number = apply(store)
    sign(store, number, dict(list(SIGNERS.items())[:signatures]))
    turn = list(SIGNERS)[signatures]
    for role in set(ROLES) - {turn}:
        with pytest.raises(DossierRefused) as refused:
            say(store, number, "sign", role, "new")
        assert refused.value.reason == procedures.WRONG_ROLE
    say(store, number, "reject", turn, "new", said="no room")
    with pytest.raises(DossierRefused, match="is rejected"):
        say(store, number, "sign", turn, "newer")
    assert apply(store, reference="2026-9") != number


def test_no_more_readers_than_were_signed_for():
    store = campus()
    number = apply(store)
    sign(store, number)
    admit = store.merchants.onboarding.admit
    with pytest.raises(DossierRefused, match="is for 2 readers"):
        admit(number, [2001, 2002, 2003], "wang", NOW_S)
    assert store.merchants.onboarding.admitted(number) == []
    assert [admit(number, [2001], "wang", NOW_S) for _ in range(2)] == [1, 1]
    assert admit(number, [2001, 2002], "li", NOW_S) == 2
    with pytest.raises(DossierRefused, match="is for 2 readers, and has 2"):
        admit(number, [2003], "wang", NOW_S)
    other = apply(store, "device", "2026-2", CANTEEN, replace(FORM, quantity=9))
    sign(store, other)
    for device, said in (
        (2001, "another application"),
        (TILL, "a reader has it"),
        (0, "no number"),
    ):
        with pytest.raises(DossierRefused, match=said):
            admit(other, [device], "wang", NOW_S)
    with pytest.raises(DossierRefused, match="who admits"):
        admit(other, [3001], "Wang Fang", NOW_S)


def test_a_reader_without_five_signatures_is_none():
    """Not even for who calls the store itself: the database refuses."""
    store = campus()
    apply(store)
    reader = Reader(2001)
    with pytest.raises(ConstraintBroken, match="five signatures"):
        store.register_device(2001, reader.key, CANTEEN)
    with pytest.raises(ConstraintBroken, match="five signatures"):
        store.register_merchant(77, "Another")
    assert 2001 not in store.heads()


@pytest.mark.parametrize(
    ("kind", "merchant_no", "change", "reason"),
    [
        ("merchant", CANTEEN, {}, procedures.NO_DOSSIER),
        ("device", 77, {}, procedures.NO_DOSSIER),
        ("device", CANTEEN, {"quantity": 0}, procedures.NO_EVIDENCE),
        ("merchant", BAKERY, {"quantity": 10_000}, procedures.NO_EVIDENCE),
        ("merchant", BAKERY, {"amount_fen": -1}, procedures.NO_EVIDENCE),
        ("merchant", BAKERY, {"name": ""}, procedures.NO_EVIDENCE),
        ("merchant", BAKERY, {"department": "x" * 33}, procedures.NO_EVIDENCE),
        ("merchant", -1, {}, procedures.NO_EVIDENCE),
        ("repair", CANTEEN, {}, procedures.NO_EVIDENCE),
    ],
)
def test_a_form_that_cannot_be(kind, merchant_no, change, reason):
    store = campus()
    before = store.dump()
    with pytest.raises(DossierRefused) as refused:
        apply(store, kind, "2026-1", merchant_no, replace(FORM, **change))
    assert refused.value.reason == reason and str(reason) in str(refused.value)
    assert store.dump() == before


def test_one_reference_is_one_form():
    store = campus()
    assert [apply(store) for _ in range(2)] == [1, 1]
    with pytest.raises(DossierRefused) as refused:
        apply(store, form=replace(FORM, quantity=3))
    assert refused.value.reason == procedures.SAID_OTHERWISE
    sign(store, 1)
    assert apply(store) == 1  # also when it is a merchant by now


# --- money ---------------------------------------------------------------------------------------


def moved(store):
    number = store.merchants.tickets.move("M-1", TILL, "north", "wu", "rebuilt", NOW_S)
    say(store, number, "sign", "department", "zhao")
    say(store, number, "sign", "centre", "feng")
    return number


def test_a_move_is_paid_by_its_merchant_once():
    store = campus()
    number = moved(store)
    before = store.balances()
    costs = [("labour", 8_000), ("material", 1_250)]
    for _ in range(2):
        say(store, number, "move", "centre", "chen", costs=costs)
    gained = {key: fen - before[key] for key, fen in store.balances().items()}
    assert {key: fen for key, fen in gained.items() if fen} == {
        ("merchant", CANTEEN): -9_250,
        ("fees", 0): 9_250,
    }
    assert store.tampers.where(TILL) == (CANTEEN, "north")
    with pytest.raises(DossierRefused, match="other costs"):
        say(store, number, "move", "centre", "chen", costs=[("labour", 1), ("material", 1)])
    assert check(store) == []


@pytest.mark.parametrize(
    "costs",
    [
        [],
        [("labour", 1)],
        [("labour", 1), ("material", -1)],
        [("labour", 1), ("material", 1), ("material", 1)],
        [("labour", 1), ("material", 1), ("compensation", 1)],
        [("labour", 1), ("material", 100_000_000)],
    ],
)
def test_a_move_says_what_it_cost(costs):
    store = campus()
    number = moved(store)
    before = store.dump()
    with pytest.raises(DossierRefused) as refused:
        say(store, number, "move", "centre", "chen", costs=costs)
    assert refused.value.reason == procedures.NO_EVIDENCE
    assert store.dump() == before


def test_of_two_moves_the_second_is_of_where_the_reader_is():
    """Both were approved from the same site: the later one would move it from where it is not."""
    store = campus()
    first = moved(store)
    second = store.merchants.tickets.move("M-2", TILL, "south", "wu", "again", NOW_S)
    say(store, second, "sign", "department", "zhao")
    say(store, second, "sign", "centre", "feng")
    nothing = [("labour", 0), ("material", 0)]
    say(store, first, "move", "centre", "chen", costs=nothing)
    with pytest.raises(DossierRefused, match="is at north, not at campus"):
        say(store, second, "move", "centre", "chen", costs=nothing)
    assert check(store) == []


@pytest.mark.parametrize(
    ("bearer", "payer"), [("merchant", ("merchant", CANTEEN)), ("person", ("clearing", 0))]
)
def test_a_damage_is_paid_by_who_bears_it_and_not_before_it_is_referred(bearer, payer):
    store = campus()
    by = Act("department", "zhao", said="broken open")
    number = store.merchants.tickets.damage("D-1", TILL, by, NOW_S)
    before = store.balances()
    more = {"evidence": "finding-report", "costs": [("compensation", 700)], "bearer": bearer}
    say(store, number, "establish", "centre", "feng", **more)
    say(store, number, "refer", "security", "han")
    assert store.balances() == before and check(store) == []
    for _ in range(2):
        say(store, number, "compensate", "card-centre", "yang", evidence="receipt")
    after = store.balances()
    assert after["fees", 0] == 700 and after[payer] == before[payer] - 700
    assert chart.FEES and check(store) == []


# --- what begins, and what of it is late ---------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "reason"),
    [
        (lambda t: t.move("M", 7777, "north", "wu", "x", 1), procedures.NO_DOSSIER),
        (lambda t: t.move("M", TILL, "campus", "wu", "x", 1), procedures.NO_EVIDENCE),
        (lambda t: t.move("M", TILL, "No Site", "wu", "x", 1), procedures.NO_EVIDENCE),
        (lambda t: t.move("M", TILL, "north", "wu", "", 1), procedures.NO_EVIDENCE),
        (lambda t: t.withhold((TILL, 2), "wu", 1), procedures.NO_DOSSIER),
        (lambda t: t.withhold((TILL, 99), "wu", 1), procedures.NO_DOSSIER),
        (lambda t: t.ask("Q", KIOSK, [(TILL, 3)], "wu", "x", 1), procedures.NO_DOSSIER),
        (lambda t: t.ask("Q", CANTEEN, [], "wu", "x", 1), procedures.NO_EVIDENCE),
        (lambda t: t.ask("Q", 99, [(TILL, 3)], "wu", "x", 1), procedures.NO_DOSSIER),
        (lambda t: t.report("R", TILL, Act("merchant", "wu"), 1), procedures.NO_EVIDENCE),
        (
            lambda t: t.report("round-1", TILL, Act("centre", "w", said="x"), 1),
            procedures.NO_EVIDENCE,
        ),
        (
            lambda t: t.report("fault-1", TILL, Act("centre", "w", said="x"), 1),
            procedures.NO_EVIDENCE,
        ),
        (lambda t: t.report("", TILL, Act("centre", "w", said="x"), 1), procedures.NO_EVIDENCE),
        (lambda t: t.report("R", TILL, Act("centre", "W", said="x"), 1), procedures.NO_EVIDENCE),
        (
            lambda t: t.report("R", TILL, Act("centre", "w", said="a\nb"), 1),
            procedures.NO_EVIDENCE,
        ),
        (lambda t: t.report("R", TILL, Act("president", "w", said="x"), 1), procedures.WRONG_ROLE),
    ],
)
def test_what_cannot_begin(begin, reason):
    store = campus()
    before = store.dump()
    with pytest.raises(DossierRefused) as refused:
        begin(store.merchants.tickets)
    assert refused.value.reason == reason
    assert store.dump() == before


def test_a_captured_card_is_of_one_dossier_and_nobody_has_it_until_somebody_says_so():
    store = campus()
    tickets = store.merchants.tickets
    assert tickets.captures() == [SEIZED]
    assert [tickets.withhold(SEIZED, "wu", NOW_S) for _ in range(2)] == [1, 1]
    assert tickets.captures() == []
    with pytest.raises(DossierRefused) as refused:
        tickets.withhold(SEIZED, "zheng", NOW_S)
    assert refused.value.reason == procedures.SAID_OTHERWISE


def test_a_fault_that_stands_waits_for_a_ticket():
    store = campus()
    tickets = store.merchants.tickets
    assert tickets.faults(NOW_S) == [BROKEN]
    tickets.report("R-1", TILL, Act("merchant", "wu", said="dark"), NOW_S, [BROKEN])
    assert tickets.faults(NOW_S) == []


def test_whoever_takes_up_what_readers_have_told_does_so_once():
    store = campus()
    tickets = store.merchants.tickets
    assert [tickets.take_up("wang", NOW_S) for _ in range(2)] == [[1], []]
    ticket = store.merchants.dossiers.dossier(1)
    assert (ticket.records, ticket.reference) == ((BROKEN,), f"fault-{TILL}-{BROKEN[1]}")
    assert check(store) == []


def test_the_doctor_tells_what_waits_for_a_person():
    store = campus()
    told = {one.about: (one.text, one.level) for one in examine(store, NOW_S)}
    assert told["withheld cards in nobody's hands"] == ("1", WORTH_A_LOOK)
    apply(store)
    store.merchants.onboarding.sift([], [(2001, b"", b"", CANTEEN, "campus", "", False)])
    store.merchants.tickets.withhold(SEIZED, "wu", NOW_S)
    told = {one.about: one.text for one in examine(store, NOW_S + 25 * 3_600)}
    assert told["readers that are not approved"] == told["dossiers that are late"] == "1"
    assert "withheld cards in nobody's hands" not in told


def test_what_is_late():
    store = campus()
    tickets = store.merchants.tickets
    number = tickets.report("R-1", TILL, Act("merchant", "wu", said="dark"), NOW_S)
    hour_s = 3_600
    for now_s, is_late in (
        (NOW_S, False),
        (NOW_S + 4 * hour_s, False),
        (NOW_S + 4 * hour_s + 1, True),
    ):
        (one,) = tickets.open(now_s)
        assert (one.due_s, one.is_late) == (NOW_S + 4 * hour_s, is_late)
    (one,) = tickets.open(NOW_S + hour_s + 1, {("repair", "reported"): 1})
    assert one.is_late
    # The clock of who entered it was ahead: that is said, and not taken for time that is left.
    (one,) = tickets.open(NOW_S - 9)
    assert one.is_late
    say(store, number, "withdraw", "merchant", "wu")
    assert tickets.open(NOW_S + 99 * hour_s) == []


# --- rounds --------------------------------------------------------------------------------------


def named():
    store = campus()
    store.merchants.duties.name("General Affairs", "campus", "wang", 7, TODAY, "zhao", NOW_S)
    return store, store.merchants.duties


def go(duties, day=TODAY, results=("ok", "ok", "ok"), person="wang", said=""):
    return duties.go_round("General Affairs", "campus", day, person, results, said, NOW_S)


def test_what_a_round_cannot_put_right_is_a_ticket_each():
    store, duties = named()
    assert go(duties) == []
    results = ("told", "mended", "told")
    numbers = go(duties, TODAY + 7, results, said="a socket sparks")
    assert len(numbers) == 2 and go(duties, TODAY + 7, results, said="again") == numbers
    for number in numbers:
        ticket = store.merchants.dossiers.dossier(number)
        assert (ticket.kind, ticket.state, ticket.steps[0].by.said) == (
            "repair",
            "reported",
            "a socket sparks",
        )
    assert say(store, numbers[0], "accept", "centre", "feng") == "accepted"
    assert check(store) == []


def test_when_a_round_is_due_and_where_nobody_is_named():
    store, duties = named()
    assert [(d.person, d.last, d.due) for d in duties.every(TODAY)] == [("wang", None, TODAY + 7)]
    go(duties, TODAY + 3)
    assert [d.due for d in duties.every(TODAY + 3)] == [TODAY + 10]
    assert [d.last for d in duties.every(TODAY + 2)] == [None]
    assert duties.unnamed() == []
    store.register_device(1002, Reader(1002).key, CANTEEN, "north")
    assert duties.unnamed() == [("", "north")]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"person": "li"}, procedures.ANOTHER_PERSON),
        ({"day": TODAY - 1}, procedures.ANOTHER_PERSON),
        ({"results": ("ok", "ok")}, procedures.NO_EVIDENCE),
        ({"results": ("ok", "ok", "fine")}, procedures.NO_EVIDENCE),
        ({"results": ("ok", "ok", "told")}, procedures.NO_EVIDENCE),
        ({"results": ("mended", "ok", "ok"), "day": TODAY + 1}, procedures.SAID_OTHERWISE),
    ],
)
def test_a_round_that_cannot_be(how, reason):
    store, duties = named()
    go(duties, TODAY + 1)
    before = store.dump()
    with pytest.raises(DossierRefused) as refused:
        go(duties, **how)
    assert refused.value.reason == reason and store.dump() == before


def test_nobody_names_himself_and_the_newest_word_counts():
    store, duties = named()
    with pytest.raises(DossierRefused, match="nobody names himself"):
        duties.name("General Affairs", "campus", "li", 7, TODAY, "li", NOW_S)
    duties.name("General Affairs", "campus", "li", 14, TODAY + 1, "zhao", NOW_S)
    assert [(d.person, d.due) for d in duties.every(TODAY + 1)] == [("li", TODAY + 15)]
    with pytest.raises(DossierRefused):
        go(duties, TODAY + 2)
    assert go(duties, TODAY + 2, person="li") == []
    assert len(list(store.database.rows("SELECT 1 FROM duty"))) == 2


def test_a_closed_register_is_no_matter_of_registered_readers():
    store = campus()
    apply(store)
    store.register_device(TILL, Reader(TILL).key, CANTEEN)  # again: nothing
    with pytest.raises(RegistryError, match="differently"):
        store.register_device(TILL, Reader(TILL).key, KIOSK)
