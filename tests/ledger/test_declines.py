"""The second person says no: what was proposed is done by nobody, however it comes again."""

import pytest

from ledger import declines, people, proposals
from ledger.bearers import Bearer
from ledger.card_status import CardRefused
from ledger.code_sales import Ask, SettleRefused
from ledger.corrections import CorrectionRefused
from ledger.declines import DECLINED, No
from ledger.invariants import check
from ledger.lifecycle import Act
from ledger.money_lists import Signature
from ledger.operators import ENROL, Wanted
from ledger.reservations import Settled
from ledger.signatures import NotAllowed, acts
from ledger.temporary import STEPS
from ledger.topups import TopUpRefused, told_of
from protocols.rules.scan_codes import WECHAT
from protocols.wire import messages
from tests.ledger.readers import CARD, Reader
from tests.ledger.staff import cheap, staffed
from tests.ledger.test_batches import FILE
from tests.ledger.test_signatures import LINES, NEW, NOW_S, READER, SUBSIDIES, _case, books

__all__ = ["cheap"]
pytestmark = pytest.mark.usefixtures("cheap")
WHY = "the name is another one"
REFUSALS = CardRefused, CorrectionRefused, NotAllowed, SettleRefused, TopUpRefused


@pytest.fixture
def office():
    """Books with operators, and who they are."""
    store = books()
    return store, staffed(store, NOW_S)


def refused(call, *args, reason=DECLINED):
    """`call` is refused for `reason`."""
    with pytest.raises(REFUSALS) as caught:
        call(*args)
    assert str(reason) in str(caught.value)
    return caught.value


def test_a_declined_operator_is_nobody_and_a_newer_proposal_is_another(office):
    store, staff = office
    operators = store.operators
    dora = Wanted(ENROL, "dora", "Nursing", (people.HEAD,))
    number = operators.propose(dora, staff["anna"], NOW_S)
    before = store.dump()
    for because in ("", "x" * 65, "a\nb"):
        refused(
            operators.decline, number, because, staff["bao"], NOW_S, reason=people.NO_REASON_GIVEN
        )
    refused(operators.decline, number + 1, WHY, staff["bao"], NOW_S, reason=people.NO_PROPOSAL)
    assert store.dump() == before
    operators.decline(number, WHY, staff["bao"], NOW_S)
    assert operators.proposals() == []
    refused(operators.approve, number, staff["bao"], NOW_S, reason=people.NO_PROPOSAL)
    refused(operators.decline, number, WHY, staff["bao"], NOW_S, reason=people.NO_PROPOSAL)
    said = declines.declined(store.database, declines.OPERATOR, f"proposal {number}")
    assert said == No("bao", WHY, NOW_S)
    newer = operators.propose(dora, staff["anna"], NOW_S)
    assert operators.approve(newer, staff["bao"], NOW_S)
    operators.decline(operators.propose(Wanted("reset", "dora"), staff["anna"], NOW_S), "mine",
                      staff["anna"], NOW_S)  # fmt: skip
    assert operators.proposals() == [] and check(store) == []


def test_a_declined_case_moves_no_money_until_another_proposal_is_approved(office):
    store, staff = office
    corrections, case = store.corrections, _case(store)
    what = case, Bearer.CARD_CENTRE, staff["clara"], "the camera shows it", NOW_S
    proposal = corrections.propose(*what)
    mark = corrections.mark(case, proposal)
    corrections.decline(proposal.number, WHY, staff["tian"], NOW_S)
    before = store.dump()
    refused(corrections.approve, proposal.number, mark, staff["tian"], NOW_S)
    assert store.dump() == before and corrections.approved(case) is None
    newer = corrections.propose(*what)
    for number in (proposal.number, newer.number + 1):  # not the one that counts, and none
        refused(corrections.decline, number, WHY, staff["tian"], NOW_S, reason="proposal")
    corrections.approve(newer.number, corrections.mark(case, newer), staff["tian"], NOW_S)
    refused(corrections.decline, newer.number, WHY, staff["tian"], NOW_S, reason="it is booked")
    assert check(store) == []


def test_a_declined_list_is_signed_and_run_by_nobody(office):
    store, staff = office
    batches = store.batches
    plan = batches.dry_run("issue", LINES, FILE)
    what = "issue", LINES, FILE, plan.sha256
    refused(batches.decline, plan.sha256, WHY, staff["tian"], NOW_S, reason="second signature")
    batches.sign(*what, staff["chen"], NOW_S)
    batches.decline(plan.sha256, WHY, staff["tian"], NOW_S)
    refused(batches.sign, *what, staff["tian"], NOW_S)
    refused(batches.run, *what, staff["clara"], NOW_S, reason="another one")
    other = batches.dry_run("issue", LINES, bytes(32)).sha256
    anew = "issue", LINES, bytes(32), other
    assert [batches.sign(*anew, staff[who], NOW_S) for who in ("chen", "tian")] == [1, 2]
    refused(batches.decline, other, WHY, staff["tian"], NOW_S, reason="second signature")
    assert [one.reason for one in batches.run(*anew, staff["clara"], NOW_S)] == [0]


def test_declined_money_stays_where_it_is(office):
    store, staff = office
    for lists, name, args in (
        (store.subsidies, "2026-08", (SUBSIDIES, FILE)),
        (store.payouts, "2026-08", ()),
    ):
        plan = lists.dry_run(name, *args)
        assert plan.amount_fen

        def sign(login, lists=lists, plan=plan, what=(name, *args)):
            return lists.sign(*what, Signature(plan.sha256, plan.amount_fen, staff[login], NOW_S))

        assert sign("chen") == 1
        lists.decline(plan.sha256, No(staff["tian"], WHY, NOW_S))
        before = store.dump()
        refused(sign, "tian")
        assert store.dump() == before
    refund = store.payouts.dry_run("2026-08")
    refused(store.payouts.make_file, "2026-08", refund.sha256, staff["tian"], NOW_S,
            reason="another one")  # fmt: skip


def test_a_declined_application_comes_to_no_card_and_only_whose_turn_it_is_says_so(office):
    store, staff = office
    temporaries = store.temporaries
    for login, reason in (("tian", people.NOT_FOR_ROLE), ("hes", people.OTHER_DEPARTMENT)):
        refused(temporaries.decline, 1, WHY, staff[login], NOW_S, reason=reason)
    temporaries.approve(1, STEPS["department"], staff["hua"], NOW_S)
    refused(temporaries.decline, 1, WHY, staff["hes"], NOW_S, reason=people.NOT_FOR_ROLE)
    temporaries.decline(1, WHY, staff["tian"], NOW_S)
    assert temporaries.declined(1) == No("tian", WHY, NOW_S)
    refused(temporaries.approve, 1, STEPS["finance"], staff["tian"], NOW_S)
    act = Act(evidence="id-card+application", person=staff["clara"])
    refused(temporaries.hand_out, 1, NEW + 5, NOW_S, act, reason="two persons")
    for step, login in (("department", "hua"), ("finance", "tian")):
        temporaries.approve(2, STEPS[step], staff[login], NOW_S)
    refused(temporaries.decline, 2, WHY, staff["tian"], NOW_S, reason="does not wait")
    temporaries.hand_out(2, NEW + 5, NOW_S, act)
    assert temporaries.declined(2) is None and check(store) == []


def test_declined_money_by_hand_is_booked_by_nobody_until_it_is_proposed_anew(office):
    store, staff = office
    top_ups, facts = store.top_ups, (CARD, 700, "till-7")
    number = top_ups.propose(*facts, staff["clara"], NOW_S)
    other = top_ups.propose(CARD, 700, "till-8", staff["clara"], NOW_S)
    assert [one.number for one in top_ups.waiting()] == [number, other]
    assert told_of(top_ups.waiting()[0].about) == (CARD, 700, 0)
    no, before = No(staff["tian"], WHY, NOW_S), store.dump()
    for wrong, reason in ((other + 1, people.NO_PROPOSAL), (number - 1, people.NO_PROPOSAL)):
        refused(top_ups.decline, wrong, no, reason=reason)
    refused(top_ups.decline, number, No(staff["tian"], "", NOW_S), reason=people.NO_REASON_GIVEN)
    assert store.dump() == before
    top_ups.decline(number, no)
    assert [one.number for one in top_ups.waiting()] == [other], "the other order still waits"
    refused(top_ups.decline, number, no, reason=people.NO_PROPOSAL)
    before = store.dump()
    refused(top_ups.top_up, *facts, 0, staff["tian"], NOW_S)
    assert store.dump() == before
    ((one, said),) = proposals.told(store.database, proposals.TOPUP, "clara", NOW_S)
    assert (one.number, said) == (number, No("tian", WHY, NOW_S))
    assert not proposals.told(store.database, proposals.TOPUP, "chen", NOW_S)
    assert not proposals.told(store.database, proposals.TOPUP, "clara", NOW_S + proposals.TOLD_S)
    newer = top_ups.propose(*facts, staff["chen"], NOW_S)
    refused(top_ups.decline, number, no, reason=people.NO_PROPOSAL)
    assert not proposals.told(store.database, proposals.TOPUP, "clara", NOW_S)
    credit = top_ups.top_up(*facts, 0, staff["tian"], NOW_S)
    assert top_ups.top_up(*facts, 0, staff["tian"], NOW_S) == credit, "said twice"
    refused(top_ups.decline, newer, no, reason=people.NO_PROPOSAL)
    assert [one.number for one in top_ups.waiting()] == [other]
    assert check(store) == []


@pytest.mark.parametrize(("card_no", "number"), [(10**60, 0), (-1, 0), (CARD, 10**60), (CARD, -1)])
def test_what_no_card_or_credit_can_be_called_is_not_proposed(office, card_no, number):
    """A bug that was found: the act had room for a part of it, and nobody saw what waits."""
    store, staff = office
    what = card_no, 700, "till-7"
    before = store.dump()
    with pytest.raises(TopUpRefused):
        store.top_ups.propose(*what, staff["clara"], NOW_S, number)
    with pytest.raises(TopUpRefused):
        store.top_ups.top_up(*what, number)
    assert store.dump() == before and store.top_ups.waiting() == []


def test_the_same_proposed_twice_is_one_and_a_channel_that_books_it_ends_it(office):
    store, staff = office
    facts = CARD, 700, "till-7"
    first = store.top_ups.propose(*facts, staff["clara"], NOW_S)
    again = store.top_ups.propose(*facts, staff["clara"], NOW_S)  # its answer was lost
    no = No(staff["tian"], WHY, NOW_S)
    assert [one.number for one in store.top_ups.waiting()] == [again]
    refused(store.top_ups.decline, first, no, reason=people.NO_PROPOSAL)
    store.top_ups.top_up(*facts)
    assert store.top_ups.waiting() == []


def test_a_declined_settlement_of_a_payment_by_code_moves_nothing(office):
    store, staff = office
    sales, orders = store.code_sales, store.acquirer_orders
    order = orders.ask(Ask(1001, b"\1" * 8, b"", 300, 500), b"13" * 9, WECHAT, NOW_S)
    for desk, payment in ((sales, 1), (orders, order.number)):
        sold = desk.propose(payment, Settled.SOLD, staff["clara"], NOW_S)
        void = desk.propose(payment, Settled.VOID, staff["chen"], NOW_S)
        (one,) = sales.waiting()
        facts = sales.facts(one)
        assert (one.number, one.person, one.words) == (void, "chen", "void"), "the newest counts"
        assert facts.number == payment and facts.amount_fen > 0
        no = No(staff["tian"], WHY, NOW_S)
        refused(sales.decline, sold, no, reason=people.NO_PROPOSAL)
        sales.decline(void, no)
        assert sales.waiting() == []
        before = store.dump()
        refused(desk.settle, payment, Settled.VOID, staff["tian"], NOW_S)
        refused(desk.settle, payment, Settled.SOLD, staff["tian"], NOW_S,
                reason=people.NO_PROPOSAL)  # fmt: skip
        assert store.dump() == before
        desk.propose(payment, Settled.VOID, staff["clara"], NOW_S)
        assert desk.settle(payment, Settled.VOID, staff["tian"], NOW_S).state is Settled.VOID
        refused(sales.decline, void, no, reason=people.NO_PROPOSAL)
        assert sales.waiting() == []
    assert check(store) == []


def test_a_record_that_settles_a_payment_ends_what_was_proposed_of_it(office):
    store, staff = office
    number = store.code_sales.propose(1, Settled.SOLD, staff["clara"], NOW_S)
    assert [one.number for one in store.code_sales.waiting()] == [number]
    reader = Reader(READER)  # as `books` has it
    reader.boot()
    reader.spend(card_no=99)
    reader.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    while reader.seq < 9:
        reader.boot()
    store.book([reader.records])
    assert store.code_sales.waiting() == []
    no = No(staff["tian"], WHY, NOW_S)
    refused(store.code_sales.decline, number, no, reason=people.NO_PROPOSAL)
    assert check(store) == []


def test_a_typed_name_declines_nothing():
    store = books()
    refused(store.temporaries.decline, 1, WHY, "hua", NOW_S, reason=people.NOT_FOUNDED)
    assert acts(store.database, 9) == []
