"""Dossiers, rounds and periods are the word of who has logged in, may, and is another person."""

from dataclasses import replace

import pytest

from ledger import people, period_reasons, procedures, signatures
from ledger.dossiers import DossierRefused
from ledger.drill_rules import Window
from ledger.drills import Judged
from ledger.invariants import check
from ledger.period_reasons import PeriodRefused
from ledger.periods import STEPS
from ledger.procedures import Act
from ledger.signatures import IDLE_S, NotAllowed, note_refusal
from tests.ledger.campus import BAKERY, BROKEN, FORM, SEIZED, SPENT, TILL, TODAY, campus
from tests.ledger.months import ACCOUNT, CLOSED_S, END_S
from tests.ledger.readers import CANTEEN
from tests.ledger.staff import FIRST, change, cheap, log_in, staffed, tell
from tests.ledger.tampering import tamper

__all__ = ["cheap"]
pytestmark = pytest.mark.usefixtures("cheap")

NOW_S = CLOSED_S
GENERAL = people.GENERAL
# Who signs a form and a report here, by their logins in staff.py.
ANNEX_2 = {
    "department": "hua",
    "department-leader": "lin",
    "project": "hip",
    "project-leader": "lip",
    "president": "pei",
}
REPORT = {"audit": "stella", "head": "hua", "leader": "lin", "centre": "tian"}
BAD = "bread\udcff"  # as Python reads a byte of the command line that is no UTF-8
NOTHING = [("labour", 0), ("material", 0)]


def number_of(store, kind, reference):
    """The dossier of this reference, by what the books have."""
    sql = "SELECT number FROM dossier WHERE kind = ? AND reference = ?"
    ((number,),) = store.database.rows(sql, (kind, reference))
    return number


def says(kind, reference, verb, role, **more):
    """How somebody takes a step of a dossier that has begun."""
    costs = more.pop("costs", ())

    def say(store, who):
        number, by = number_of(store, kind, reference), Act(role, who, **more)
        return store.merchants.dossiers.say(number, verb, by, NOW_S, costs)

    return say


def applies(store, who, reference="2026-1"):
    begin = store.merchants.onboarding.apply
    return begin("merchant", reference, BAKERY, FORM, "bread for the east gate", who, NOW_S)


def moves(store, who, reference="M-1"):
    return store.merchants.tickets.move(reference, TILL, "north", who, "rebuilt", NOW_S)


def tells(role, reference="R-1"):
    def say(store, who):
        by = Act(role, who, said="the display is dark")
        return store.merchants.tickets.report(reference, TILL, by, NOW_S, [BROKEN])

    return say


def opens(role, reference="D-1"):
    def say(store, who):
        by = Act(role, who, said="its case was broken open")
        return store.merchants.tickets.damage(reference, TILL, by, NOW_S)

    return say


def asks(store, who):
    what = "Q-1", CANTEEN, [SPENT, (TILL, 5)]
    return store.merchants.tickets.ask(*what, who, "one meal?", NOW_S)


def names(store, who, person="sun", department=GENERAL):
    words = department, "campus", person, 7, TODAY, who, NOW_S
    store.merchants.duties.name(*words)


def goes_round(store, who, results=("ok", "ok", "told")):
    words = GENERAL, "campus", TODAY, who, results, "a socket sparks", NOW_S
    return store.merchants.duties.go_round(*words)


def files_a_drill(store, who):
    """Of no reader: who may file it hangs on none."""
    judged = Judged("power", "campus", Window(NOW_S - 9000, NOW_S - 1000), (), ())
    return store.merchants.drills.file(judged, GENERAL, who, NOW_S)


def closes(store, who, name="2026-09", until_s=END_S, now_s=NOW_S):
    return store.periods.close(name, until_s, who, now_s)


def decides(store, who, until_s=END_S, now_s=NOW_S):
    places = [(one.device, one.seq) for one in store.periods.quiet(until_s)[1]]
    store.periods.decide(until_s, places, who, "broken, and sent in", now_s)


def approves(step, time_s=NOW_S):
    def say(store, who):
        period = store.periods.every()[-1]
        return store.periods.approve(period.number, step, period.sha256.hex(), who, time_s)

    return say


def refuses(step, time_s=NOW_S):
    def say(store, who):
        period = store.periods.every()[-1]
        words = step, period.sha256.hex(), who, "its book says otherwise", time_s
        return store.periods.refuse(period.number, *words)

    return say


def retires(store, who, reference="E-1", device=TILL):
    by = Act("merchant", who, evidence="broken")
    return store.merchants.tickets.retire(reference, device, by, NOW_S)


def passes_over(store, who, reference="E-1", device=TILL):
    """Nobody has heard of it since: its newest booked record is shown."""
    shown = str(store.heads()[device])
    by = Act("centre", who, evidence=shown, said="in pieces")
    number = number_of(store, "retirement", reference)
    return store.merchants.dossiers.say(number, "pass-over", by, NOW_S)


def leaves(role, merchant_no, reference):
    def say(store, who):
        by = Act(role, who, said="it goes to another town")
        return store.merchants.tickets.leave(reference, merchant_no, by, NOW_S)

    return say


STORY = [
    ("annex-2.merchant", "stella", applies),
    *(
        (f"annex-2.{role}", login, says("merchant", "2026-1", "sign", role))
        for role, login in ANNEX_2.items()
    ),
    (
        "device.admit",
        "eng",
        lambda s, who: s.merchants.onboarding.admit(1, [2001], who, NOW_S),
    ),
    ("relocation.merchant", "stella", moves),
    ("relocation.department", "sun", says("relocation", "M-1", "sign", "department")),
    ("relocation.centre", "eng", says("relocation", "M-1", "sign", "centre")),
    ("relocation.centre", "engel", says("relocation", "M-1", "move", "centre", costs=NOTHING)),
    ("repair.merchant", "stella", tells("merchant")),
    ("repair.department", "sun", says("repair", "R-1", "accept", "department")),
    ("repair.centre", "eng", says("repair", "R-1", "fix", "centre")),
    ("repair.merchant", "stella", says("repair", "R-1", "confirm", "merchant")),
    (
        "capture.merchant",
        "stella",
        lambda s, who: s.merchants.tickets.withhold(SEIZED, who, NOW_S),
    ),
    (
        "capture.department",
        "sun",
        says("capture", "{}/{}".format(*SEIZED), "pass", "department", given_by="stella"),
    ),
    (
        "capture.security",
        "gu",
        says("capture", "{}/{}".format(*SEIZED), "pass", "security", given_by="sun"),
    ),
    (
        "capture.card-centre",
        "clara",
        says("capture", "{}/{}".format(*SEIZED), "receive", "card-centre", given_by="gu"),
    ),
    ("damage.department", "stella", opens("department")),
    (
        "damage.centre",
        "eng",
        says(
            "damage",
            "D-1",
            "establish",
            "centre",
            evidence="finding-report",
            costs=[("compensation", 700)],
        ),
    ),
    ("damage.security", "gu", says("damage", "D-1", "refer", "security")),
    (
        "damage.card-centre",
        "clara",
        says("damage", "D-1", "compensate", "card-centre", evidence="receipt"),
    ),
    ("question.department", "sun", asks),
    (
        "question.merchant",
        "stella",
        says("question", "Q-1", "answer", "merchant", said="two friends"),
    ),
    ("question.department", "hua", says("question", "Q-1", "accept", "department")),
    ("duty.name", "hua", names),
    ("duty.round", "sun", goes_round),
    ("duty.drill", "sun", files_a_drill),
    ("period.rate", "clara", lambda s, who: s.periods.set_rate(CANTEEN, 60, who, NOW_S)),
    (
        "period.account",
        "clara",
        lambda s, who: s.periods.payments.register(CANTEEN, ACCOUNT, "食堂有限公司", who, NOW_S),
    ),
    ("period.decide", "tian", decides),
    ("period.close", "chen", closes),
    *((f"period.{step}", login, approves(step)) for step, login in REPORT.items()),
    (
        "period.file",
        "tian",
        lambda s, who: s.periods.payments.make_file("2026-09", who, NOW_S),
    ),
    (
        "period.results",
        "clara",
        lambda s, who: s.periods.payments.note_results([(1, "paid", "")], who, NOW_S),
    ),
    ("retirement.merchant", "stella", retires),
    ("retirement.department", "sun", says("retirement", "E-1", "sign", "department")),
    ("retirement.centre", "eng", passes_over),
    ("closing.security", "gu", leaves("security", BAKERY, "X-1")),
    ("closing.department-leader", "lin", says("closing", "X-1", "sign", "department-leader")),
    ("closing.merchant", "stella", leaves("merchant", CANTEEN, "L-1")),
    ("closing.department", "sun", says("closing", "L-1", "sign", "department")),
    (  # of the damage
        "closing.card-centre",
        "clara",
        says("closing", "L-1", "pay-in", "card-centre", evidence="500", said="2026-77"),
    ),
    (
        "capture.card-centre",
        "chen",
        says("capture", "{}/{}".format(*SEIZED), "destroy", "card-centre", evidence="closed-card"),
    ),
    (
        "period.close",
        "chen",
        lambda s, who: s.periods.close("the rest", NOW_S + 5, who, NOW_S + 9),
    ),
    (
        "closing.card-centre",
        "clara",
        says("closing", "L-1", "propose", "card-centre", evidence="department", said="insolvent"),
    ),
    ("closing.finance", "tian", says("closing", "L-1", "write-off", "finance", evidence="200")),
]


def staffed_campus():
    """(store, login -> proven name): the campus's books, just founded."""
    store = campus()
    return store, staffed(store, NOW_S)


def refused(error, reason, say, *words):
    """Somebody is refused by this number, and nothing is changed."""
    store = words[0]
    before = store.dump()
    with pytest.raises(error) as caught:
        say(*words)
    assert caught.value.reason == reason, caught.value
    assert store.dump() == before
    return caught.value


def test_every_step_by_every_role():
    """Whoever may not changes nothing, typed or proven; whoever may does it, with its act."""
    store, staff = staffed_campus()
    count = tell(store, staff, STORY)
    print(f"{len(STORY)} steps, refused {count} times")
    told = {verb for verb, _right, _say in STORY}
    steps = {people.step_verb(row.kind, row.role) for row in procedures.ROWS}
    assert told >= steps | {f"period.{step}" for step in STEPS}
    persons = "SELECT DISTINCT person FROM dossier_step"
    assert {who for (who,) in store.database.rows(persons)} <= set(staff)
    assert check(store) == []


# --- whose department ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "say"),
    [
        ("hes", says("merchant", "2026-1", "sign", "department")),
        ("hip", says("merchant", "2026-1", "reject", "department", said="no room")),
        ("wen", says("relocation", "M-1", "sign", "department")),
        ("hes", says("relocation", "M-1", "reject", "department", said="no room")),
        ("gu", says("repair", "R-1", "accept", "department")),
        ("wen", tells("department", "R-2")),
        ("gu", opens("department")),
        ("hes", asks),
        ("hes", names),
        ("eng", goes_round),
        ("eng", files_a_drill),
    ],
)
def test_what_is_a_department_s_is_no_other_one_s(login, say):
    store, staff = staffed_campus()
    applies(store, staff["stella"])
    moves(store, staff["stella"])
    tells("merchant")(store, staff["stella"])
    refused(NotAllowed, people.OTHER_DEPARTMENT, say, store, staff[login])


def test_a_merchant_s_end_is_signed_by_the_department_that_let_it_in():
    """Of the bakery's form that is another's; of a merchant of before, that of merchants."""
    store, staff = staffed_campus()
    form = replace(FORM, department="Informatisation", project=GENERAL)
    begin = store.merchants.onboarding.apply
    begin("merchant", "2026-1", BAKERY, form, "bread", staff["stella"], NOW_S)
    signers = {"department": "hip", "department-leader": "lip"}
    signers |= {"project": "hua", "project-leader": "lin", "president": "pei"}
    for role, login in signers.items():
        says("merchant", "2026-1", "sign", role)(store, staff[login])
    leaves("merchant", BAKERY, "L-1")(store, staff["stella"])
    leaves("merchant", CANTEEN, "L-2")(store, staff["stella"])
    expel = leaves("department", CANTEEN, "X-1")
    refused(NotAllowed, people.OTHER_DEPARTMENT, expel, store, staff["hip"])
    leaves("security", CANTEEN, "X-2")(store, staff["gu"])
    sign = says("closing", "X-2", "sign", "department-leader")
    refused(NotAllowed, people.OTHER_DEPARTMENT, sign, store, staff["lip"])
    for reference, own, other in (("L-1", "hip", "hua"), ("L-2", "hua", "hip")):
        sign = says("closing", reference, "sign", "department")
        refused(NotAllowed, people.OTHER_DEPARTMENT, sign, store, staff[other])
        assert sign(store, staff[own]) == "winding-up"
    assert check(store) == []


def test_opinions_on_a_form_are_of_who_stands_on_it():
    store, staff = staffed_campus()
    applies(store, staff["stella"])
    wrong = {"department": "hip", "department-leader": "lip", "project": "hua"}
    wrong |= {"project-leader": "lin"}
    for role, login in ANNEX_2.items():
        say = says("merchant", "2026-1", "sign", role)
        if role in wrong:
            refused(NotAllowed, people.OTHER_DEPARTMENT, say, store, staff[wrong[role]])
        say(store, staff[login])
    assert store.balances()["merchant", BAKERY] == 0 and check(store) == []


def test_a_report_is_signed_by_general_affairs_and_the_leader_over_it():
    store, staff = staffed_campus()
    decides(store, staff["tian"])
    closes(store, staff["clara"])
    for step, login, other in (("audit", "stella", ""), ("head", "hua", "hes")):
        if other:
            say = approves(step)
            refused(NotAllowed, people.OTHER_DEPARTMENT, say, store, staff[other])
            refused(NotAllowed, people.OTHER_DEPARTMENT, refuses(step), store, staff[other])
        approves(step)(store, staff[login])
    refused(NotAllowed, people.OTHER_DEPARTMENT, approves("leader"), store, staff["lip"])
    with pytest.raises(PeriodRefused, match="the steps are audit"):
        approves("president")(store, staff["pei"])


def test_who_is_named_for_rounds_can_note_one():
    store, staff = staffed_campus()
    for person, reason in (
        ("nobody", people.NO_OPERATOR),
        ("hes", people.OTHER_DEPARTMENT),
        ("lin", people.NOT_FOR_ROLE),
    ):
        refused(NotAllowed, reason, names, store, staff["hua"], person)
    refused(DossierRefused, procedures.ANOTHER_PERSON, names, store, staff["hua"], "hua")
    names(store, staff["hua"])
    refused(DossierRefused, procedures.ANOTHER_PERSON, goes_round, store, staff["stella"])
    (number,) = goes_round(store, staff["sun"])
    assert goes_round(store, staff["sun"]) == [number]  # again: no second ticket
    reference = store.merchants.dossiers.dossier(number).reference
    accept = says("repair", reference, "accept", "department")
    refused(NotAllowed, people.OTHER_DEPARTMENT, accept, store, staff["wen"])
    assert accept(store, staff["stella"]) == "accepted"


def test_what_readers_told_may_be_taken_up_by_any_department():
    store, staff = staffed_campus()
    take_up = store.merchants.tickets.take_up
    refused(NotAllowed, people.NOT_FOR_ROLE, lambda s, w: take_up(w, NOW_S), store, staff["clara"])
    assert [take_up(staff["wen"], NOW_S) for _ in range(2)] == [[1], []]


@pytest.mark.parametrize(
    "say",
    [
        lambda s, who: applies(s, who, BAD),
        lambda s, who: moves(s, who, BAD),
        tells("merchant", BAD),
        opens("department", BAD),
        says("merchant", "2026-1", "withdraw", "merchant", said=BAD),
        says("merchant", "2026-1", BAD, "merchant"),
    ],
)
def test_a_word_that_cannot_be_written_down_is_refused_before_its_act(say):
    """Bytes of a terminal that are no text stand in no act either."""
    store, staff = staffed_campus()
    applies(store, staff["stella"])
    before = store.dump()
    with pytest.raises(DossierRefused):
        say(store, staff["stella"])
    assert store.dump() == before


# --- another person ------------------------------------------------------------------------------


def test_another_role_makes_nobody_another_person():
    """Whoever has applied, or audited, got the next role in between: it stays the same person."""
    store, staff = staffed_campus()
    admins = [staff[login] for login in FIRST]
    applies(store, staff["stella"])
    decides(store, staff["tian"])
    closes(store, staff["clara"])
    approves("audit")(store, staff["stella"])
    head = change(store, admins, "stella", GENERAL, (people.HEAD,), NOW_S)
    sign = says("merchant", "2026-1", "sign", "department")
    refused(NotAllowed, people.NO_SESSION, sign, store, staff["stella"])
    refused(DossierRefused, procedures.ANOTHER_PERSON, sign, store, head)
    refused(PeriodRefused, period_reasons.SAME_PERSON, approves("head"), store, head)
    sign(store, staff["hua"])
    leader = change(store, admins, "hua", GENERAL, (people.LEADER,), NOW_S)
    sign = says("merchant", "2026-1", "sign", "department-leader")
    refused(DossierRefused, procedures.ANOTHER_PERSON, sign, store, leader)
    assert [who for _step, who, _s in store.periods.period(1).approvals] == ["stella"]


def test_who_has_closed_it_does_not_audit_it_again_in_another_role():
    store, staff = staffed_campus()
    decides(store, staff["tian"])
    closes(store, staff["clara"])
    for step in ("audit", "head", "leader"):
        approves(step)(store, staff[REPORT[step]])
    admins = [staff[login] for login in FIRST]
    clara = change(store, admins, "clara", people.FINANCE, (people.TREASURER,), NOW_S)
    refused(PeriodRefused, period_reasons.SAME_PERSON, approves("centre"), store, clara)
    approves("centre")(store, staff["tian"])
    assert store.balances()["remittance", CANTEEN] == 700


def test_whoever_enters_what_a_merchant_says_signs_nothing_of_it():
    store, staff = staffed_campus()
    moves(store, staff["stella"])
    sign = says("relocation", "M-1", "sign", "department")
    refused(DossierRefused, procedures.ANOTHER_PERSON, sign, store, staff["stella"])
    sign(store, staff["sun"])
    opens("department")(store, staff["hua"])
    take = says("damage", "D-1", "take", "centre")
    take(store, staff["eng"])
    found = says("damage", "D-1", "dismiss", "centre", said="it fell")
    refused(DossierRefused, procedures.ANOTHER_PERSON, found, store, staff["eng"])
    assert found(store, staff["engel"]) == "dismissed"


def test_a_card_comes_from_the_hands_of_who_has_logged_in():
    store, staff = staffed_campus()
    store.merchants.tickets.withhold(SEIZED, staff["clara"], NOW_S)
    place = "{}/{}".format(*SEIZED)
    receive = says("capture", place, "receive", "card-centre", given_by="wu")
    refused(DossierRefused, procedures.NOT_IN_CUSTODY, receive, store, staff["clara"])
    says("capture", place, "receive", "card-centre", given_by="clara")(store, staff["clara"])
    destroy = says("capture", place, "destroy", "card-centre", evidence="closed-card")
    refused(DossierRefused, procedures.ANOTHER_PERSON, destroy, store, staff["clara"])
    back = says("capture", place, "return", "card-centre", given_by="clara", evidence="id-card")
    refused(DossierRefused, procedures.NOT_IN_CUSTODY, back, store, staff["chen"])
    assert back(store, staff["clara"]) == "returned"


# --- sessions, and what changes between two steps ------------------------------------------------


def test_a_session_that_is_over_between_two_steps_signs_nothing():
    store, staff = staffed_campus()
    applies(store, staff["stella"])
    decides(store, staff["tian"])
    closes(store, staff["clara"])
    later_s = NOW_S + IDLE_S
    approves("audit")(store, staff["stella"])
    refused(NotAllowed, people.NO_SESSION, approves("head", later_s), store, staff["hua"])

    def sign(store, who):
        return store.merchants.dossiers.say(1, "sign", Act("department", who), later_s)

    refused(NotAllowed, people.NO_SESSION, sign, store, staff["hua"])
    again = log_in(store, "hua", later_s)
    assert sign(store, again) == "signed-1"
    assert len(approves("head", later_s)(store, again).approvals) == 2


def test_who_is_let_in_no_more_signs_nothing_and_what_they_signed_stands():
    store, staff = staffed_campus()
    applies(store, staff["stella"])
    says("merchant", "2026-1", "sign", "department")(store, staff["hua"])
    for login in ("hua", "lin"):
        store.operators.disable(login, staff["anna"], NOW_S)
    leader = says("merchant", "2026-1", "sign", "department-leader")
    refused(NotAllowed, people.NO_SESSION, leader, store, staff["lin"])
    admins = [staff[login] for login in FIRST]
    other = change(store, admins, "lip", GENERAL, (people.LEADER,), NOW_S)
    assert leader(store, other) == "signed-2"


def test_an_approval_that_comes_twice_is_one_and_the_fourth_pays_once():
    store, staff = staffed_campus()
    decides(store, staff["tian"])
    assert closes(store, staff["clara"]) == closes(store, staff["clara"])
    for step, login in REPORT.items():
        assert approves(step)(store, staff[login]) == approves(step)(store, staff[login])
    assert store.balances()["remittance", CANTEEN] == 700
    refused(PeriodRefused, period_reasons.ENDED, refuses("centre"), store, staff["tian"])
    applies(store, staff["stella"])
    for role, login in ANNEX_2.items():
        say = says("merchant", "2026-1", "sign", role)
        assert say(store, staff[login]) == say(store, staff[login])
    assert check(store) == []


def test_what_was_signed_is_the_report_that_was_seen():
    store, staff = staffed_campus()
    decides(store, staff["tian"])
    closes(store, staff["clara"])
    approves("audit")(store, staff["stella"])
    begun = len(signatures.acts(store.database, 1_000))

    def other(store, who):
        return store.periods.approve(1, "head", "0" * 64, who, NOW_S)

    refused(PeriodRefused, period_reasons.OTHER_REPORT, other, store, staff["hua"])
    tamper(store, ["UPDATE period_line SET amount_fen = amount_fen + 1 WHERE device = 1009"])
    refused(PeriodRefused, period_reasons.OTHER_REPORT, approves("head"), store, staff["hua"])
    assert len(signatures.acts(store.database, 1_000)) == begun


def test_an_act_says_what_was_shown_and_a_refused_one_stays():
    store, staff = staffed_campus()
    applies(store, staff["stella"])
    sign = says("merchant", "2026-1", "sign", "department")
    wrong = refused(NotAllowed, people.OTHER_DEPARTMENT, sign, store, staff["hes"])
    note_refusal(store.database, wrong, NOW_S)
    decides(store, staff["tian"])
    period = closes(store, staff["clara"])
    approves("audit")(store, staff["stella"])
    said = [
        (one.login, one.verb, one.subject, one.evidence, one.reason)
        for one in signatures.acts(store.database, 1_000)
    ][-5:]
    about = "merchant 2026-1"
    assert said[0] == (
        "stella",
        "annex-2.merchant",
        f"{about}: apply",
        "bread for the east gate",
        0,
    )
    assert said[1] == ("hes", "annex-2.department", f"{about}: sign", "", people.OTHER_DEPARTMENT)
    assert said[2][:2] == ("tian", "period.decide") and f"{TILL}" in said[2][2]
    assert said[4] == ("stella", "period.audit", "report 1", period.sha256.hex(), 0)
