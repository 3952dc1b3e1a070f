"""What was signed by typed names counts for nothing once the books have operators."""

from dataclasses import replace

import pytest

from ledger import batches, chart, people, period_reasons, subsidies
from ledger.card_fees import FEE_FEN
from ledger.card_status import CardRefused
from ledger.dossiers import DossierRefused
from ledger.invariants import check
from ledger.lifecycle import NO_EVIDENCE, ONE_PERSON
from ledger.money_lists import NAME_USED, Signature
from ledger.period_reasons import PeriodRefused
from ledger.periods import STEPS
from ledger.procedures import Act
from ledger.signatures import NotAllowed
from ledger.subsidies import SubsidyLine
from tests.ledger import lives
from tests.ledger import test_temporary as temporary
from tests.ledger.campus import BAKERY, SIGNERS, TILL, apply, campus
from tests.ledger.crashes import Stopped
from tests.ledger.months import DAY_S, NEXT_END_S
from tests.ledger.readers import CANTEEN, CARD, OTHER_CARD, open_ledger
from tests.ledger.staff import FIRST, cheap, enrol, log_in, staffed
from tests.ledger.test_batches import freshmen
from tests.ledger.test_merchant_signatures import (
    ANNEX_2,
    NOW_S,
    REPORT,
    applies,
    approves,
    closes,
    decides,
    moves,
    opens,
    passes_over,
    refused,
    refuses,
    retires,
    says,
)

__all__ = ["cheap"]
pytestmark = pytest.mark.usefixtures("cheap")

SUBSIDIES = [SubsidyLine(2, CARD, "", 50), SubsidyLine(3, OTHER_CARD, "", 70)]
FRESHMEN = freshmen(50, 51)


# --- lists: each by its dry run, its signature, and what does it ---------------------------------


def _subsidy(store):
    return store.subsidies.dry_run("a", SUBSIDIES, lives.FILE)


def _sign_subsidy(store, plan, who):
    signature = Signature(plan.sha256, plan.amount_fen, who, NOW_S)
    return store.subsidies.sign("a", SUBSIDIES, lives.FILE, signature)


def _run_subsidy(store, plan, who):
    done = store.subsidies.run("a", SUBSIDIES, lives.FILE, plan.sha256, who, NOW_S)
    return sum(not one.reason for one in done)


def _refund(store):
    return store.payouts.dry_run("a")


def _sign_refund(store, plan, who):
    return store.payouts.sign("a", Signature(plan.sha256, plan.amount_fen, who, NOW_S))


def _run_refund(store, plan, who):
    return len(store.payouts.make_file("a", plan.sha256, who, NOW_S))


def _batch(store):
    return store.batches.dry_run("issue", FRESHMEN, lives.FILE)


def _sign_batch(store, plan, who):
    return store.batches.sign("issue", FRESHMEN, lives.FILE, plan.sha256, who, NOW_S)


def _run_batch(store, plan, who):
    done = store.batches.run("issue", FRESHMEN, lives.FILE, plan.sha256, who, NOW_S)
    return sum(not one.reason for one in done)


# (dry run, sign, do, who does it)
LISTS = {
    "subsidy": (_subsidy, _sign_subsidy, _run_subsidy, "clara"),
    "refund": (_refund, _sign_refund, _run_refund, "tian"),
    "batch": (_batch, _sign_batch, _run_batch, "clara"),
}


def books():
    """Two refunds that no bank has, cards to pay subsidies to, and none for the freshmen."""
    store = open_ledger()
    store.issue_cards([(70, 100), (71, 200)])
    for card_no in (70, 71):
        store.payouts.register_payee(card_no, lives.ACCOUNT, "Li Si", "wang", lives.END_S - 1)
        store.cards.set("close", card_no, lives.END_S, "id-card")
    lives.let_go(store)
    return store


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("typed", [("sun",), ("clara",), ("sun", "qian"), ("clara", "tian")])
def test_a_list_that_was_signed_by_typed_names_is_signed_again(kind, typed):
    """Also where who was typed has the same name now: there is another hash to sign."""
    dry_run, sign, do, who = LISTS[kind]
    store = books()
    before = dry_run(store)
    for person in typed:
        sign(store, before, person)
    staff = staffed(store, NOW_S)
    plan = dry_run(store)
    assert plan.sha256 != before.sha256
    for login in ("clara", "tian"):
        refused(CardRefused, NO_EVIDENCE, sign, store, before, staff[login])
    refused(CardRefused, NO_EVIDENCE, do, store, before, staff[who])
    assert sign(store, plan, staff["clara"]) == 1
    refused(CardRefused, ONE_PERSON, do, store, plan, staff[who])
    assert sign(store, plan, staff["tian"]) == 2
    for _ in range(2):
        assert do(store, plan, staff[who]) == 2
    assert check(store) == []


@pytest.mark.parametrize("kind", LISTS)
def test_what_was_done_under_typed_names_is_done(kind):
    dry_run, sign, do, who = LISTS[kind]
    store = books()
    before = dry_run(store)
    for person in ("sun", "qian"):
        sign(store, before, person)
    assert do(store, before, "li") == 2
    balances = store.balances()
    staff = staffed(store, NOW_S)
    assert do(store, before, staff[who]) == 2
    if kind == "subsidy":
        refused(CardRefused, NAME_USED, sign, store, dry_run(store), staff["clara"])
    assert store.balances() == balances and check(store) == []


@pytest.mark.parametrize("kind", ["subsidy", "batch"])
def test_what_was_begun_under_typed_names_goes_on(kind, monkeypatch):
    """The power is gone behind its first line; before it is begun again there are operators."""
    dry_run, sign, do, who = LISTS[kind]
    store = books()
    before = dry_run(store)
    for person in ("sun", "qian"):
        sign(store, before, person)
    rooms = {"subsidy": subsidies.Subsidies, "batch": batches.Batches}
    carried, lines = rooms[kind]._do, []

    def stops(self, *words):
        if lines:
            raise Stopped
        lines.append(words)
        return carried(self, *words)

    with monkeypatch.context() as patched:
        patched.setattr(rooms[kind], "_do", stops)
        with pytest.raises(Stopped):
            do(store, before, "li")
    staff = staffed(store, NOW_S)
    assert do(store, before, staff[who]) == 2 and check(store) == []


# --- reports, forms, moves, damages --------------------------------------------------------------


def typed_report(audit):
    """(store, staff): a report that `audit` has approved by a typed name, before the founding."""
    store = campus()
    decides(store, "zhou")
    closes(store, "chen")
    approves("audit")(store, audit)
    return store, staffed(store, NOW_S)


def test_a_typed_approval_of_a_report_counts_for_nothing():
    store, staff = typed_report("wang")
    wrong = refused(PeriodRefused, people.TYPED_NAME, approves("head"), store, staff["hua"])
    assert "wang approved it by a typed name" in str(wrong)
    refuses("head")(store, staff["hua"])
    # All of it is in the next one, which four proven persons approve.
    later_s = NEXT_END_S + DAY_S
    by = {login: log_in(store, login, later_s) for login in ("tian", "clara", *REPORT.values())}
    decides(store, by["tian"], NEXT_END_S, later_s)
    closes(store, by["clara"], "2026-10", NEXT_END_S, later_s)
    for step, login in REPORT.items():
        approves(step, later_s)(store, by[login])
    assert store.balances()["remittance", CANTEEN] == 700 and check(store) == []


def test_who_is_called_so_approves_again_by_a_session():
    store, staff = typed_report("stella")
    refused(PeriodRefused, people.TYPED_NAME, approves("head"), store, staff["hua"])
    refused(PeriodRefused, period_reasons.WRONG_STEP, approves("audit"), store, staff["sun"])
    for step, login in REPORT.items():
        period = approves(step)(store, staff[login])
    assert period.is_approved and len(period.approvals) == len(STEPS)


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_form_signed_by_typed_names_takes_five_proven_ones(count):
    store = campus()
    number = apply(store)
    for role, person in list(SIGNERS.items())[:count]:
        store.merchants.dossiers.say(number, "sign", Act(role, person), NOW_S)
    staff = staffed(store, NOW_S)
    if count == len(SIGNERS):  # it was approved whole: its merchant is one, and gets no reader
        admit = lambda store, who: store.merchants.onboarding.admit(number, [2001], who, NOW_S)  # noqa: E731
        refused(DossierRefused, people.TYPED_NAME, admit, store, staff["eng"])
        return
    role = list(ANNEX_2)[count]
    sign = says("merchant", "2026-1", "sign", role)
    wrong = refused(DossierRefused, people.TYPED_NAME, sign, store, staff[ANNEX_2[role]])
    assert "zhao signed it by a typed name" in str(wrong)
    says("merchant", "2026-1", "withdraw", "merchant")(store, staff["stella"])
    applies(store, staff["stella"], "2026-1b")
    for role, login in ANNEX_2.items():
        says("merchant", "2026-1b", "sign", role)(store, staff[login])
    assert store.balances()["merchant", BAKERY] == 0 and check(store) == []


def called_so(store, staff, login, role):
    """Somebody of the role who has the name that was typed."""
    admins = [staff[one] for one in FIRST]
    department = "Informatisation" if "project" in role else people.GENERAL
    has = people.SAID_BY[role][-1] if role != "department" else people.HEAD
    return enrol(
        store, admins, login, "School" if has == people.PRESIDENT else department, (has,), NOW_S
    )


def test_a_reader_is_admitted_once_all_five_have_signed_again():
    """And one that was admitted before stays what it is, asked for again too."""
    store = campus()
    signers = {**SIGNERS, "project": "su"}  # of whose name nobody else is
    number = apply(store)
    for role, person in signers.items():
        store.merchants.dossiers.say(number, "sign", Act(role, person), NOW_S)
    admit = store.merchants.onboarding.admit
    assert admit(number, [2001], "feng", NOW_S) == 1
    staff = staffed(store, NOW_S)
    assert admit(number, [2001], staff["eng"], NOW_S) == 1, "done is done"
    for role, person in signers.items():
        with pytest.raises(DossierRefused, match=f"{person} signed it by a typed name"):
            admit(number, [2001, 2002], staff["eng"], NOW_S)
        who = called_so(store, staff, person, role)
        says("merchant", "2026-1", "sign", role)(store, who)
    assert store.merchants.onboarding.admitted(number) == [2001]
    assert admit(number, [2001, 2002], staff["eng"], NOW_S) == 2
    assert check(store) == []


def test_no_reader_ends_on_a_typed_signature():
    """Its department signs again, or it is withdrawn and asked for anew."""
    store = campus()
    tickets, dossiers = store.merchants.tickets, store.merchants.dossiers
    for reference in ("E-1", "E-2"):
        number = tickets.retire(reference, TILL, Act("merchant", "wu", "sold"), NOW_S)
        dossiers.say(number, "sign", Act("department", "hua"), NOW_S)
    staff = staffed(store, NOW_S)
    head_seq = str(store.heads()[TILL])
    words = {"evidence": head_seq, "said": "nothing of it boots"}
    pass_over = says("retirement", "E-1", "pass-over", "centre", **words)
    refused(DossierRefused, people.TYPED_NAME, pass_over, store, staff["eng"])
    says("retirement", "E-1", "withdraw", "centre")(store, staff["eng"])
    again = says("retirement", "E-2", "sign", "department")
    again(store, staff["hua"])
    pass_over = says("retirement", "E-2", "pass-over", "centre", **words)
    assert pass_over(store, staff["eng"]) == "retired"
    assert check(store) == []


def test_no_reader_is_moved_on_typed_signatures_unless_who_is_called_so_signs_again():
    store = campus()
    moves(store, "wu")
    for role, person in (("department", "hua"), ("centre", "eng")):
        says("relocation", "M-1", "sign", role)(store, person)
    staff = staffed(store, NOW_S)
    move = says("relocation", "M-1", "move", "centre", costs=[("labour", 5), ("material", 0)])
    refused(DossierRefused, people.TYPED_NAME, move, store, staff["engel"])
    says("relocation", "M-1", "sign", "department")(store, staff["hua"])
    refused(DossierRefused, people.TYPED_NAME, move, store, staff["engel"])
    says("relocation", "M-1", "sign", "centre")(store, staff["eng"])
    assert move(store, staff["engel"]) == "moved"
    assert store.balances()["fees", chart.owner(chart.EARNED)] == 5 and check(store) == []


def test_no_reader_ends_on_a_typed_signature_unless_who_is_called_so_signs_again():
    store = campus()
    retires(store, "wu")
    sign = says("retirement", "E-1", "sign", "department")
    sign(store, "hua")
    staff = staffed(store, NOW_S)
    refused(DossierRefused, people.TYPED_NAME, passes_over, store, staff["eng"])
    sign(store, staff["hua"])
    assert passes_over(store, staff["eng"]) == "retired" and check(store) == []


def test_a_damage_goes_on_from_a_typed_finding_by_proven_names():
    """It cannot be withdrawn: what was typed stands as it was, and everybody after is proven."""
    store = campus()
    opens("department")(store, "zhao")
    found = {"evidence": "finding-report", "costs": [("compensation", 700)]}
    says("damage", "D-1", "establish", "centre", **found)(store, "feng")
    staff = staffed(store, NOW_S)
    refer = says("damage", "D-1", "refer", "security")
    refused(NotAllowed, people.TYPED_NAME, refer, store, "han")
    assert refer(store, staff["gu"]) == "referred"


def test_no_temporary_card_is_handed_out_on_typed_signatures():
    """Both had signed by typed names; who is called so signs again, and nobody else."""
    store = temporary.approved()
    temporary_card = 1, temporary.CARD, NOW_S
    staff = staffed(store, NOW_S)
    centre = replace(temporary.BY, person=staff["clara"])
    hand_out = store.temporaries.hand_out

    def hands(store, *words):
        return hand_out(*words, centre)

    wrong = refused(CardRefused, people.TYPED_NAME, hands, store, *temporary_card)
    assert "zhao signed it by a typed name" in str(wrong)
    admins = [staff[login] for login in FIRST]
    for login, department, role, step in (
        ("zhao", people.GENERAL, people.HEAD, temporary.HEAD),
        ("qian", people.FINANCE, people.TREASURER, temporary.FINANCE),
    ):
        refused(CardRefused, people.TYPED_NAME, hands, store, *temporary_card)
        who = enrol(store, admins, login, department, (role,), NOW_S)
        assert store.temporaries.approve(1, step, who, NOW_S) == 2
    for _ in range(2):
        hands(store, *temporary_card)
    assert temporary.fees(store) == FEE_FEN and store.cards.state(temporary.CARD) == "active"


def test_a_temporary_card_that_was_handed_out_is_handed_out():
    store = temporary.handed()
    staff = staffed(store, NOW_S)
    by = replace(temporary.BY, person=staff["clara"])
    store.temporaries.hand_out(1, temporary.CARD, NOW_S, by)
    assert temporary.fees(store) == FEE_FEN
