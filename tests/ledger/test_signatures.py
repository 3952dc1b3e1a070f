"""Every verb by every role, in books that go through all of them: refused whole, or done."""

from datetime import date

import pytest

from ledger import (
    audit,
    certificates,
    day_totals,
    key_openings,
    names,
    people,
    reasons,
    signatures,
)
from ledger.aggregate_match import Line
from ledger.batches import IssueLine
from ledger.bearers import Bearer
from ledger.card_status import CardRefused
from ledger.carry_over import AFTER_S
from ledger.code_sales import Ask, CodePolicy, SettleRefused
from ledger.corrections import CorrectionRefused
from ledger.declines import No
from ledger.door_log import DoorLog
from ledger.holders import Holder
from ledger.lifecycle import BATCH, DEPARTMENT, HOLDER, ONE_PERSON, SECURITY, Act
from ledger.money_lists import Signature
from ledger.operators import ENROL, Wanted
from ledger.payments.after_restore import Listed
from ledger.people import HEAD
from ledger.phones import Phones, Proof
from ledger.reservations import Settled
from ledger.rosters import Place, Rosters
from ledger.settlement_basis import Decision
from ledger.signatures import NotAllowed
from ledger.subsidies import SubsidyLine
from ledger.temporary import STEPS, Application
from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_PAYMENT, WECHAT
from protocols.rules.spending import STAFF, STUDENT
from protocols.wire import messages
from tests.ledger import test_menus as menus
from tests.ledger.checkout import PROOF
from tests.ledger.departments import DAY as FROM_DAY
from tests.ledger.departments import EARLY
from tests.ledger.lives import STAFF_BY, let_go
from tests.ledger.readers import CANTEEN, CARD, Reader, open_ledger
from tests.ledger.staff import cheap, staffed, tell
from tests.ledger.tampering import tamper
from tests.ledger.test_batches import FILE
from tests.ledger.test_firmware import KEYS, PUBLIC, a_release
from tests.ledger.test_merchant_signatures import STORY as OF_MERCHANTS
from tests.ledger.test_policies import LOWER

__all__ = ["cheap"]
pytestmark = pytest.mark.usefixtures("cheap")

NOW_S = 1_790_000_000
DAY = NOW_S // 86_400
DAYS = DAY - 10, DAY + 5
IN_IT = Place("P001", FROM_DAY, "Cleaning", EARLY.name)
DOOR, READER, NEW = 1002, 1001, 300
ACCOUNT = "430102199001011"
OTHER_FILE = bytes(32)
SUBSIDIES = [SubsidyLine(2, CARD, "", 700)]
PAID_BY_CODE = Line("wechat", "42000001", CANTEEN, 880, NOW_S)
LINES = [IssueLine(2, NEW + 9, Holder("N309", STUDENT, "Nursing"), DAYS)]
FORM = Application("T1", "S1", "cook", 1, "General Affairs", *DAYS)


def books():
    """Whatever the verbs need, from before there were operators."""
    reader = Reader(READER)
    reader.boot()
    reader.spend(card_no=99)
    reader.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    store = open_ledger(reader, Reader(DOOR))
    store.book([reader.records])
    store.tampers.answer_for([(READER, "General Affairs")])
    store.access.add_door(DOOR, "dorm", 5_000, 0)
    store.register_device(1003, bytes(range(32)), CANTEEN)
    store.access.add_door(1003, "public", 5_000, 0)
    store.access.appoint("appoint", "campus", "public", "gu", NOW_S)
    store.register_device(1004, bytes(range(1, 33)), CANTEEN)
    store.top_ups.top_up(CARD, 500, "a")
    _reserve(store)
    store.issue_cards([(NEW + at, 0) for at in (1, 2)] + [(NEW + 3, 900), (NEW + 4, 500)])
    by = Act(evidence="id-card", person="wang")
    for at, kind in ((3, STAFF), (4, STUDENT)):
        holder = Holder(f"N{at}", kind, "Nursing")
        who = STAFF_BY if kind == STAFF else by
        store.holders.open(NEW + at, holder, DAYS, NOW_S - AFTER_S, who)
    store.payouts.register_payee(NEW + 4, ACCOUNT, "Zhang San", "wang", NOW_S - AFTER_S)
    store.cards.set("close", NEW + 4, NOW_S - AFTER_S, "withdrawal-notice", by)
    assert len(let_go(store, NOW_S)) == 1
    store.holders.issue(NEW + 5, NOW_S)
    for _each in range(2):
        store.temporaries.apply(FORM, NOW_S)
    return store


def phones(store):
    return Phones(store.database, bytes(32), bytes)


def _reserve(store):
    """A payment by code that no record has settled."""
    now_ms = (1_000_000_000, 1_000_000_000)
    code = virtual_code.make(
        phones(store).bind(CARD, PROOF, 1)[1], CAMPUS_PAYMENT, CARD, 1_000_000, bytes(2)
    )
    ask = Ask(READER, bytes(8), code, 100, 9)
    asked = store.code_sales.ask(ask, phones(store).seed_of, now_ms, CodePolicy(100, 200))
    assert asked.reason == 0


def said(verb, at, evidence=""):
    """A verb of one card that needs no other."""
    return lambda store, who: store.cards.set(verb, NEW + at, NOW_S, evidence, Act(person=who))


def _sign_day(store, who):
    what = CANTEEN, DAY, 28_800
    seen = day_totals.total(store.database, *what)
    day_totals.sign(store.database, what, seen.sha256, who, NOW_S)


def _decline_code(store, who):
    (proposal,) = store.code_sales.waiting()
    store.code_sales.decline(proposal.number, No(who, "no", NOW_S))


def _case(store):
    return next(one for one in store.corrections.cases() if one.reason == reasons.UNKNOWN_CARD)


def _approve_case(store, who):
    case = _case(store)
    proposal = store.corrections.proposed(case)
    mark = store.corrections.mark(case, proposal) if proposal else "none"
    store.corrections.approve(proposal.number if proposal else 1, mark, who, NOW_S)


def _batch(what, file=FILE):
    def do(store, who):
        plan = store.batches.dry_run("issue", LINES, file)
        act = store.batches.run if what == "run" else store.batches.sign
        act("issue", LINES, file, plan.sha256, who, NOW_S)

    return do


def _decline_batch(store, who):
    plan = store.batches.dry_run("issue", LINES, OTHER_FILE)
    store.batches.decline(plan.sha256, "no", who, NOW_S)


def _subsidy(what, name="2026-09"):
    def do(store, who):
        plan = store.subsidies.dry_run(name, SUBSIDIES, FILE)
        if what == "run":
            store.subsidies.run(name, SUBSIDIES, FILE, plan.sha256, who, NOW_S)
            return
        signature = Signature(plan.sha256, plan.amount_fen, who, NOW_S)
        store.subsidies.sign(name, SUBSIDIES, FILE, signature)

    return do


def _decline_subsidy(store, who):
    plan = store.subsidies.dry_run("2026-08", SUBSIDIES, FILE)
    store.subsidies.decline(plan.sha256, No(who, "no", NOW_S))


def _refund(what, file="2026-09"):
    def do(store, who):
        plan = store.payouts.dry_run(file)
        if what == "make":
            assert len(store.payouts.make_file(file, plan.sha256, who, NOW_S)) == 1
            return
        signature = Signature(plan.sha256, plan.amount_fen, who, NOW_S)
        store.payouts.sign(file, signature)

    return do


def _decline_refund(store, who):
    plan = store.payouts.dry_run("refunds-0")
    store.payouts.decline(plan.sha256, No(who, "no", NOW_S))


def _note(store, who):
    """The bank has the file's one payment, which the books have too."""
    one = Listed(1, ACCOUNT, 500, f"card {NEW + 4}")
    assert store.after_restore.note("refund", "2026-09", [one], who, NOW_S)[0].why == ""


def _let_files_go(store, who):
    store.after_restore.release("2026-09", 500, "", who, NOW_S)


def _decide(store, who):
    """What has ended today goes at once, whatever readers may tell of it yet."""
    found = store.settlements.waiting(NOW_S, 0)
    despite = frozenset((one.device, one.seq) for card in found for one in card.blocking)
    decision = Decision(who, "its merchant has left", despite)
    assert len(store.settlements.settle(NOW_S, 0, decision)) == 1


def _by(who, evidence):
    return Act(evidence=evidence, person=who)


def _release(store, who):
    certificates.release(store.database, READER, 0, NOW_S, who, "scrapped")


def _stage(store, who):
    store.firmware.set_stage(a_release(*KEYS[:2]), PUBLIC, 2, 100, who, NOW_S)


DORA = Wanted(ENROL, "dora", "Nursing", (HEAD,))
# (verb, who may, how it is said), in an order in which each of them can be done.
STORY = [
    (
        "personal.name",
        "clara",
        lambda store, who: names.enter(store.database, NEW + 3, "Zhang San", who, NOW_S),
    ),
    ("operator.propose", "anna", lambda s, who: s.operators.propose(DORA, who, NOW_S)),
    (
        "operator.decline",
        "bao",
        lambda s, who: s.operators.decline(s.operators.proposals()[-1].number, "no", who, NOW_S),
    ),
    ("operator.propose", "anna", lambda s, who: s.operators.propose(DORA, who, NOW_S)),
    (
        "operator.approve",
        "bao",
        lambda s, who: s.operators.approve(s.operators.proposals()[-1].number, who, NOW_S),
    ),
    ("operator.unlock", "anna", lambda s, who: s.operators.unlock("dora", who, NOW_S)),
    ("operator.disable", "anna", lambda s, who: s.operators.disable("dora", who, NOW_S)),
    (
        "topup.propose",
        "clara",
        lambda s, who: s.top_ups.propose(CARD, 700, "by-hand-1", who, NOW_S),
    ),
    (
        "topup.decline",
        "tian",
        lambda s, who: s.top_ups.decline(s.top_ups.waiting()[0].number, No(who, "no", NOW_S)),
    ),
    (
        "topup.propose",
        "clara",
        lambda s, who: s.top_ups.propose(CARD, 700, "by-hand-1", who, NOW_S),
    ),
    (
        "topup.book",
        "tian",
        lambda s, who: s.top_ups.top_up(CARD, 700, "by-hand-1", 0, who, NOW_S),
    ),
    (
        "aggregate.enter",
        "clara",
        lambda s, who: s.aggregate.enter([(2, PAID_BY_CODE)], (who, NOW_S)),
    ),
    ("day.sign", "stella", lambda s, who: _sign_day(s, who)),
    (
        "code.propose",
        "clara",
        lambda s, who: s.code_sales.propose(1, Settled.VOID, who, NOW_S),
    ),
    ("code.decline", "tian", lambda s, who: _decline_code(s, who)),
    (
        "code.propose",
        "clara",
        lambda s, who: s.code_sales.propose(1, Settled.VOID, who, NOW_S),
    ),
    (
        "code.settle",
        "tian",
        lambda s, who: s.code_sales.settle(1, Settled.VOID, who, NOW_S),
    ),
    ("phone.bind", "clara", lambda s, who: phones(s).bind(CARD, Proof("id-card", who), NOW_S)),
    ("phone.bind", "clara", lambda s, who: phones(s).unbind(CARD, who, NOW_S)),
    (
        "door.add",
        "eng",
        lambda s, who: s.access.add_door(1004, "dorm", 5_000, 0, by=who, time_s=NOW_S),
    ),
    ("card.order", "clara", lambda s, who: s.holders.order(NEW, NOW_S, _by(who, ""))),
    ("card.issue", "clara", lambda s, who: s.holders.issue(NEW, NOW_S, _by(who, ""))),
    (
        "card.open",
        "clara",
        lambda s, who: s.holders.open(
            NEW, Holder("N300", STUDENT, "Nursing"), DAYS, NOW_S, _by(who, "id-card")
        ),
    ),
    ("card.lose", "clara", said("lose", 0)),
    ("card.unlose", "clara", said("unlose", 0, "id-card")),
    ("card.suspend", "clara", said("suspend", 0)),
    ("card.resume", "clara", said("resume", 0, "reinstatement")),
    ("card.freeze", "clara", said("freeze", 0, "withdrawal-notice")),
    ("card.unfreeze", "clara", said("unfreeze", 0, "id-card")),
    (
        "card.swap",
        "clara",
        lambda s, who: s.reissues.swap(NEW, NEW + 1, NOW_S, "id-card", Act(person=who)),
    ),
    ("card.lose", "clara", said("lose", 1)),
    (
        "card.reissue",
        "clara",
        lambda s, who: s.reissues.reissue(NEW + 1, NEW + 2, NOW_S, "id-card", Act(person=who)),
    ),
    (
        "card.payee",
        "clara",
        lambda s, who: s.payouts.register_payee(NEW + 2, ACCOUNT, "Li Si", who, NOW_S),
    ),
    ("card.close", "clara", said("close", 2, "id-card")),
    ("card.warn", "clara", lambda s, who: s.settlements.warn(NEW + 3, who, NOW_S - 1)),
    ("card.terminate", "clara", said("terminate", 3, "leaving-notice")),
    ("settlement.decide", "tian", _decide),
    ("refund.sign", "chen", _refund("sign", "refunds-0")),
    ("refund.decline", "tian", _decline_refund),
    ("refund.sign", "chen", _refund("sign")),
    ("refund.approve", "tian", _refund("sign")),
    ("refund.file", "tian", _refund("make")),
    (
        "refund.results",
        "clara",
        lambda s, who: s.payouts.note_results([(1, "paid", "")], who, NOW_S),
    ),
    ("payment.restored", "eng", lambda s, who: s.after_restore.restored(who, NOW_S)),
    ("payment.note", "clara", _note),
    ("payment.release", "chen", _let_files_go),
    ("payment.approve", "tian", _let_files_go),
    ("subsidy.sign", "chen", _subsidy("sign", "2026-08")),
    ("subsidy.decline", "tian", _decline_subsidy),
    ("subsidy.sign", "chen", _subsidy("sign")),
    ("subsidy.approve", "tian", _subsidy("sign")),
    ("subsidy.run", "clara", _subsidy("run")),
    ("batch.sign", "chen", _batch("sign", OTHER_FILE)),
    ("batch.decline", "tian", _decline_batch),
    ("batch.sign", "chen", _batch("sign")),
    ("batch.approve", "tian", _batch("sign")),
    ("batch.run", "clara", _batch("run")),
    ("temporary.apply", "clara", lambda s, who: s.temporaries.apply(FORM, NOW_S, who)),
    ("temporary.decline", "hua", lambda s, who: s.temporaries.decline(2, "no", who, NOW_S)),
    (
        "temporary.department",
        "hua",
        lambda s, who: s.temporaries.approve(1, STEPS["department"], who, NOW_S),
    ),
    (
        "temporary.finance",
        "tian",
        lambda s, who: s.temporaries.approve(1, STEPS["finance"], who, NOW_S),
    ),
    (
        "card.open",
        "clara",
        lambda s, who: s.temporaries.hand_out(1, NEW + 5, NOW_S, _by(who, "application")),
    ),
    (
        "card.extend",
        "clara",
        lambda s, who: s.temporaries.extend(
            NEW + 5, "General Affairs", DAY + 30, DAY, NOW_S, _by(who, "renewal-proof")
        ),
    ),
    (
        "case.propose",
        "clara",
        lambda s, who: s.corrections.propose(
            _case(s), Bearer.CARD_CENTRE, who, "the camera shows it", NOW_S
        ),
    ),
    ("case.decline", "tian", lambda s, who: s.corrections.decline(1, "no", who, NOW_S)),
    (
        "case.propose",
        "clara",
        lambda s, who: s.corrections.propose(
            _case(s), Bearer.CARD_CENTRE, who, "the camera shows it too", NOW_S
        ),
    ),
    ("case.approve", "tian", _approve_case),
    ("device.department", "stella", lambda s, who: s.tampers.approve(READER, 4, 1, who, NOW_S)),
    ("device.centre", "eng", lambda s, who: s.tampers.approve(READER, 4, 2, who, NOW_S)),
    (
        "access.appoint",
        "hes",
        lambda s, who: s.access.appoint("appoint", "campus", "dorm", "wen", NOW_S, who),
    ),
    ("access.dorm", "wen", lambda s, who: s.access.grant(DOOR, CARD, 1, 1, who, NOW_S)),
    (
        "access.dorm",
        "wen",
        lambda s, who: DoorLog(s.database).ask(DOOR, (0, 60), "a wallet", who, NOW_S),
    ),
    ("access.public", "gu", lambda s, who: s.access.grant(1003, CARD, 1, 1, who, NOW_S)),
    (
        "door.key",
        "wen",
        lambda s, who: key_openings.enter(s.database, DOOR, "cells empty", who, NOW_S),
    ),
    ("reader.release", "eng", _release),
    (
        "policy.set",
        "eng",
        lambda s, who: s.policies.set_policy(LOWER, who, NOW_S, site="campus"),
    ),
    ("firmware.stage", "eng", _stage),
    (
        "menu.set",
        "stella",
        lambda s, who: s.menus.set_menu(CANTEEN, "", menus.a_menu(900), who, NOW_S),
    ),
    ("roster.set", "stella", lambda s, who: Rosters(s.database).set_shift(EARLY, who, NOW_S)),
    (
        "roster.set",
        "stella",
        lambda s, who: Rosters(s.database).place([(2, IN_IT)], who, NOW_S),
    ),
    (
        "punch.enter",
        "stella",
        lambda s, who: s.attendance.enter(CARD, NOW_S - 9, NOW_S, who, "the machine was off"),
    ),
]


def test_every_verb_by_every_role():
    """Whoever may not changes nothing, typed or proven; whoever may does it, with its act."""
    store = books()
    staff = staffed(store, NOW_S)
    refused = tell(store, staff, STORY)
    untold = set(people.VERBS) - {verb for verb, _right, _say in (*STORY, *OF_MERCHANTS)}
    assert untold == {
        "personal.show",
        "personal.roster",
        "personal.form",
        "personal.export",
        "retention.run",
    }  # tests/ledger/test_retention.py
    print(f"{len(STORY)} verbs, refused {refused} times")


@pytest.mark.parametrize(
    ("login", "role", "expected"),
    [
        ("hua", DEPARTMENT, 0),
        ("wen", DEPARTMENT, 0),
        ("gu", SECURITY, 0),
        ("clara", HOLDER, 0),
        ("clara", SECURITY, people.NOT_FOR_ROLE),
        ("gu", DEPARTMENT, people.NOT_FOR_ROLE),
        ("hua", HOLDER, people.NOT_FOR_ROLE),
        ("tian", HOLDER, people.NOT_FOR_ROLE),
    ],
)
def test_nobody_speaks_for_another_office(login, role, expected):
    store = open_ledger()
    who = staffed(store, NOW_S)[login]
    act = Act(role, person=who)
    if not expected:
        store.cards.set("lose", CARD, NOW_S, by=act)
        assert store.cards.state(CARD) == "lost"
        return
    with pytest.raises(NotAllowed) as caught:
        store.cards.set("lose", CARD, NOW_S, by=act)
    assert caught.value.reason == expected
    assert store.cards.state(CARD) == "active"


def test_what_phones_machines_readers_and_the_calendar_say_is_nobody_s():
    store = books()
    staffed(store, NOW_S)
    store.cards.set("lose", CARD, NOW_S, by=Act(HOLDER, "app"))
    assert store.cards.state(CARD) == "lost"
    store.holders.expire(DAY + 400, NOW_S)
    with pytest.raises(NotAllowed):
        store.holders.issue(NEW + 20, NOW_S, Act(channel=BATCH, persons=2))


def test_a_head_signs_for_the_own_department():
    store = books()
    staff = staffed(store, NOW_S)
    for say in (
        lambda who: store.temporaries.approve(1, STEPS["department"], who, NOW_S),
        lambda who: store.tampers.approve(READER, 4, 1, who, NOW_S),
    ):
        with pytest.raises(NotAllowed) as caught:
            say(staff["hes"])
        assert caught.value.reason == people.OTHER_DEPARTMENT
        say(staff["hua"])
    with pytest.raises(NotAllowed) as caught:
        store.access.appoint("appoint", "campus", "dorm", "wen", NOW_S, staff["hua"])
    assert caught.value.reason == people.OTHER_DEPARTMENT


@pytest.mark.parametrize("kind", [_batch, _subsidy, _refund])
def test_two_of_one_role_are_not_the_two_that_it_takes(kind):
    store = books()
    staff = staffed(store, NOW_S)
    sign = kind("sign")
    sign(store, staff["clara"])
    with pytest.raises(NotAllowed) as caught:
        sign(store, staff["chen"])
    assert caught.value.reason == people.NOT_FOR_ROLE
    sign(store, staff["clara"])  # again: nothing
    sign(store, staff["tian"])


def test_nobody_pays_in_or_settles_alone_and_what_is_done_is_what_was_proposed():
    store = books()
    staff = staffed(store, NOW_S)
    book, settle = store.top_ups, store.code_sales
    clerk, treasurer = staff["clara"], staff["tian"]
    book.propose(CARD, 700, "by-hand-1", clerk, NOW_S)
    settle.propose(1, Settled.VOID, clerk, NOW_S)
    others = (
        lambda: book.top_up(CARD, 701, "by-hand-1", 0, treasurer, NOW_S),
        lambda: book.top_up(NEW + 1, 700, "by-hand-1", 0, treasurer, NOW_S),
        lambda: book.top_up(CARD, 700, "by-hand-2", 0, treasurer, NOW_S),
        lambda: book.top_up(CARD, 700, "by-hand-1", 2_000, treasurer, NOW_S),
        lambda: settle.settle(1, Settled.SOLD, treasurer, NOW_S),
        lambda: settle.settle(2, Settled.VOID, treasurer, NOW_S),
    )
    before = store.dump()
    for other in others:
        with pytest.raises(NotAllowed) as caught:
            other()
        assert (caught.value.reason, caught.value.login) == (people.NO_PROPOSAL, "tian")
    assert store.dump() == before
    # A proposal that was refused, or is one's own in another role, is none.
    signatures.note_refusal(
        store.database,
        NotAllowed(people.NOT_FOR_ROLE, "topup.propose", "sun", f"card {CARD}: 9 fen"),
        NOW_S,
    )
    with store.database.transaction():
        said = "topup.propose", f"card {CARD}: 9 fen", "by-hand-9", 0, NOW_S
        signatures.write_act(store.database, "tian", *said)
    with pytest.raises(NotAllowed):
        book.top_up(CARD, 9, "by-hand-9", 0, treasurer, NOW_S)
    waits_fen = store.balances()["pending", CARD]
    for _ in range(2):  # a double click pays in once
        book.top_up(CARD, 700, "by-hand-1", 0, treasurer, NOW_S)
        assert settle.settle(1, Settled.VOID, treasurer, NOW_S).state is Settled.VOID
    assert store.balances()["pending", CARD] == waits_fen + 700 + 100


def test_nobody_proposes_what_is_not_there_yet_and_the_newest_word_counts():
    """Signed in advance, a second person would settle alone whatever comes under that number."""
    store = books()
    staff = staffed(store, NOW_S)
    clerk, treasurer = staff["clara"], staff["tian"]
    sales, before = store.code_sales, store.dump()
    for number, book in ((99, sales), (99, store.acquirer_orders), (1, store.acquirer_orders)):
        with pytest.raises(SettleRefused, match=f"there is no .* {number}"):
            book.propose(number, Settled.SOLD, clerk, NOW_S)
    assert store.dump() == before
    for state in (Settled.SOLD, Settled.VOID):  # the clerk has looked again
        sales.propose(1, state, clerk, NOW_S)
    with pytest.raises(NotAllowed) as caught:
        sales.settle(1, Settled.SOLD, treasurer, NOW_S)
    assert caught.value.reason == people.NO_PROPOSAL
    assert sales.settle(1, Settled.VOID, treasurer, NOW_S).state is Settled.VOID
    before = store.dump()
    with pytest.raises(SettleRefused, match="is settled: void"):
        sales.propose(1, Settled.SOLD, clerk, NOW_S)
    assert store.dump() == before


def test_what_an_acquirer_takes_is_settled_by_two_as_well():
    store = books()
    order = store.acquirer_orders.ask(Ask(READER, bytes(8), b"13", 100, 99), b"13", WECHAT, NOW_S)
    assert order is not None
    staff = staffed(store, NOW_S)
    what = order.number, Settled.VOID
    with pytest.raises(NotAllowed) as caught:
        store.acquirer_orders.settle(*what, staff["tian"], NOW_S)
    assert caught.value.reason == people.NO_PROPOSAL
    store.acquirer_orders.propose(*what, staff["clara"], NOW_S)
    assert store.acquirer_orders.settle(*what, staff["tian"], NOW_S).state is Settled.VOID


def test_who_has_registered_an_account_signs_no_file_that_pays_to_it():
    store = books()
    staff = staffed(store, NOW_S)
    store.payouts.register_payee(NEW + 4, ACCOUNT, "Zhang San", staff["clara"], NOW_S)
    before = store.dump()
    with pytest.raises(CardRefused) as caught:
        _refund("sign")(store, staff["clara"])
    assert caught.value.reason == ONE_PERSON and store.dump() == before
    _refund("sign")(store, staff["chen"])


def test_a_list_of_subsidies_is_signed_as_a_list_not_line_by_line():
    store = books()
    staff = staffed(store, NOW_S)
    begun = len(signatures.acts(store.database, 1_000))
    for what, who in (("sign", "clara"), ("sign", "tian"), ("run", "clara")):
        _subsidy(what)(store, staff[who])
    done = signatures.acts(store.database, 1_000)[begun:]
    plan = store.subsidies.dry_run("2026-09", SUBSIDIES, FILE)
    assert [(one.login, one.verb, one.subject, one.evidence) for one in done] == [
        (login, verb, "2026-09", plan.sha256.hex())
        for login, verb in (
            ("clara", "subsidy.sign"),
            ("tian", "subsidy.approve"),
            ("clara", "subsidy.run"),
        )
    ]
    assert store.subsidies.became("2026-09").waiting == (1, 700)


def test_a_decision_has_a_proven_name_and_a_proof_has_none():
    store = books()
    staff = staffed(store, NOW_S)
    begun = len(signatures.acts(store.database, 1_000))
    assert store.settlements.settle(NOW_S) == []
    store.settlements.warn(NEW + 3, staff["clara"], NOW_S - 1)
    said("terminate", 3, "leaving-notice")(store, staff["clara"])
    with pytest.raises(NotAllowed) as caught:
        _decide(store, "tian")
    assert caught.value.reason == people.TYPED_NAME
    _decide(store, staff["tian"])
    done = signatures.acts(store.database, 1_000)[begun:]
    assert [one.verb for one in done] == ["card.warn", "card.terminate", "settlement.decide"]
    assert "1001" in done[-1].subject.split() and done[-1].evidence == "its merchant has left"
    basis = "SELECT person FROM settlement_basis ORDER BY number"
    assert [*store.database.rows(basis)][-1] == ("tian",)


def test_nobody_appoints_himself():
    store = books()
    staff = staffed(store, NOW_S)
    with pytest.raises(NotAllowed) as caught:
        store.access.appoint("appoint", "campus", "dorm", "hes", NOW_S, staff["hes"])
    assert caught.value.reason == people.SAME_PERSON


def test_every_act_is_in_the_audit_and_one_that_is_gone_is_missed(tmp_path):
    store = books()
    staff = staffed(store, NOW_S)
    said("lose", 1)(store, staff["clara"])
    made = audit.export(store.database, tmp_path, date(2026, 9, 20))
    text = made.path.read_text()
    assert '"clara","card.lose","card 301"' in text
    assert "argon2" not in text
    tamper(store, ["DELETE FROM operator_act WHERE verb = 'card.lose'"])
    faults, _files, _newer = audit.verify(tmp_path, store.database)
    assert len(faults) == 1 and "card.lose" in faults[0]


def test_a_form_and_a_statement_stand_with_who_entered_them_and_what_was_shown():
    store = books()
    staff = staffed(store, NOW_S)
    begun = len(signatures.acts(store.database, 1_000))
    number = store.temporaries.apply(FORM, NOW_S, staff["clara"])
    other = PAID_BY_CODE._replace(order_no="42000002")
    for lines in ([(2, PAID_BY_CODE)], [(2, PAID_BY_CODE)], [(2, PAID_BY_CODE), (3, other)]):
        store.aggregate.enter(lines, (staff["clara"], NOW_S))
    form, *statements = signatures.acts(store.database, 1_000)[begun:]
    assert (form.login, form.verb, form.subject, form.evidence) == (
        "clara",
        "temporary.apply",
        f"application {number}",
        "application",
    )
    assert [one.subject for one in statements] == ["statement of 1 lines"] * 2 + [
        "statement of 2 lines"
    ]
    first, again, more = (one.evidence for one in statements)
    assert first == again != more and len(first) == 64, "what was in the file, as its hash"


def test_the_first_two_end_the_typed_names():
    """What is under way by a typed name goes on by a proven one, and never by the same."""
    store = books()
    store.temporaries.approve(1, STEPS["department"], "tian", NOW_S)
    staff = staffed(store, NOW_S)
    with pytest.raises(CardRefused, match="another person"):
        store.temporaries.approve(1, STEPS["finance"], staff["tian"], NOW_S)


def test_what_a_typed_name_has_half_signed_or_proposed_counts_for_nothing():
    store = books()
    store.temporaries.approve(1, STEPS["department"], "hua", NOW_S)
    propose = store.corrections.propose, (Bearer.CARD_CENTRE,), ("the camera shows it", NOW_S)
    call, first, last = propose
    call(_case(store), *first, "clara", *last)
    staff = staffed(store, NOW_S)
    before = store.dump()
    with pytest.raises(CardRefused, match=r"hua signed it by a typed name.*\(759, annex 1\)"):
        store.temporaries.approve(1, STEPS["finance"], staff["tian"], NOW_S)
    with pytest.raises(CorrectionRefused, match=r"clara proposed it by a typed name.*\(759\)"):
        _approve_case(store, staff["tian"])
    assert store.dump() == before
    assert store.temporaries.approve(1, STEPS["department"], staff["hua"], NOW_S) == 1
    assert store.temporaries.approve(1, STEPS["finance"], staff["tian"], NOW_S) == 2
    case = _case(store)
    proposal = call(case, *first, staff["clara"], *last)
    mark = store.corrections.mark(case, proposal)
    store.corrections.approve(proposal.number, mark, staff["tian"], NOW_S)
    assert store.corrections.approved(case)
