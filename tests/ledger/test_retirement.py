"""Readers that end: by proof or by a named word, and nothing that comes behind is lost."""

from copy import deepcopy

import pytest

from ledger import procedures, reasons
from ledger.bearers import Bearer
from ledger.code_sales import Ask
from ledger.dialect import ConstraintBroken
from ledger.dossiers import DossierRefused
from ledger.fleet_news import FleetNews
from ledger.health import look
from ledger.inspections import MISSING, of_day
from ledger.invariants import check
from ledger.map_news import behind
from ledger.onboarding import Form
from ledger.procedures import Act
from ledger.quiescence import Bar
from ledger.receipts import Signer
from ledger.retirement import every
from ledger.store import RegistryError
from protocols.rules.scan_codes import WECHAT
from protocols.wire import fleet_news, seal
from protocols.wire.errors import BAD_SEAL
from tests.ledger.ended import (
    POS,
    SILENT,
    TIME_S,
    end,
    pass_over,
    pay_all,
    retire,
)
from tests.ledger.months import (
    CLOSED_S,
    DAY_S,
    END_S,
    NEXT_END_S,
    close,
    month,
)
from tests.ledger.readers import CANTEEN, CARD, KIOSK, Reader
from tests.ledger.test_menus import a_menu
from tests.ledger.test_policies import LOWER


def refused(reason, match=""):
    return pytest.raises(DossierRefused, match=rf"(?s){match}.*\({reason}, ")


def retired():
    """(store, pos of the canteen, which has ended, that of the kiosk)."""
    store, canteen, kiosk = month()
    number = retire(store)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    assert end(store, number) == "retired"
    return store, canteen, kiosk


def cases(store, reason):
    return [(device, seq) for code, device, seq in store.cases() if code == reason]


def answers(store, *records):
    (booked,) = store.book([list(records)])
    return booked.refused


# --- a reader ends -------------------------------------------------------------------------------


def test_a_reader_ends_once_it_was_heard_behind_the_signature():
    store, canteen, _kiosk = month()
    number = retire(store)
    with refused(procedures.NOT_QUIET, "surely of that time or later"):
        end(store, number)
    canteen.sell(70, TIME_S - 9)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    before = store.balances()
    for _ in range(2):  # the answer was lost
        assert end(store, number) == "retired"
    (one,) = every(store.database)
    assert (one.device, one.head_seq, one.mark_seq) == (POS, canteen.seq, canteen.seq)
    assert store.balances() == before and cases(store, reasons.ENDED_UNPROVEN) == []
    assert check(store) == []


def test_what_waits_behind_a_gap_bars_and_so_does_a_payment_that_nobody_has_decided():
    store, canteen, _kiosk = month()
    number = retire(store)
    canteen.sell(70, TIME_S - 9)
    missing = canteen.seq
    canteen.inspect(TIME_S)
    store.book([canteen.records[: missing - 1] + canteen.records[missing:]])
    with refused(procedures.NOT_QUIET, f"1 records wait behind a gap, from {POS}/{missing + 1}"):
        end(store, number)
    store.book([canteen.records])
    code = b"1" * 18
    asked = Ask(POS, bytes(8), code, 100, canteen.seq + 1)
    assert store.acquirer_orders.ask(asked, code, WECHAT, TIME_S) is not None
    text = f"record {POS}/{canteen.seq + 1} decides a payment by code, and is not there"
    with refused(procedures.NOT_QUIET, text):
        end(store, number)
    canteen.boot()
    store.book([canteen.records])
    assert end(store, number) == "retired"


def test_what_is_broken_is_passed_over_by_who_has_seen_its_mark():
    store, *_ = month(is_there=False)
    number, head_seq = retire(store), store.heads()[POS]
    with refused(procedures.NO_EVIDENCE, f"newest booked record is {head_seq}"):
        pass_over(store, number, head_seq - 1)
    with refused(procedures.NO_EVIDENCE):
        end(store, number, "pass-over", shown=str(head_seq))  # nobody says why
    with refused(procedures.ANOTHER_PERSON):
        pass_over(store, number, head_seq, person="zhao")
    assert pass_over(store, number, head_seq) == "retired"
    assert cases(store, reasons.ENDED_UNPROVEN) == [(POS, head_seq)]
    (one,) = every(store.database)
    assert (one.head_seq, one.mark_seq) == (head_seq, 0)
    assert check(store) == []


def test_what_nothing_bars_is_not_passed_over():
    store, canteen, _kiosk = month()
    number = retire(store)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    with refused(procedures.NOT_QUIET, "say end"):
        pass_over(store, number, canteen.seq)


def test_a_proof_is_not_that_of_a_record_of_the_wrong_time():
    """Its clock is not known, or says a time of before: neither proves that it was heard since."""
    store, canteen, _kiosk = month()
    number = retire(store)
    canteen.boot()
    canteen.inspect(TIME_S - 1)
    store.book([canteen.records])
    with refused(procedures.NOT_QUIET):
        end(store, number)


def test_a_desk_whose_clock_is_behind_makes_no_proof_of_what_was_before():
    store, canteen, _kiosk = month()
    by = Act("merchant", "wu", "broken")
    number = store.merchants.tickets.retire("E-1", POS, by, TIME_S)
    signer = Act("department", "zhao")
    store.merchants.dossiers.say(number, "sign", signer, TIME_S - 365 * DAY_S)
    with refused(procedures.NOT_QUIET, "surely of that time or later"):
        end(store, number)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    assert end(store, number) == "retired" and check(store) == []


def test_nobody_retires_alone_or_twice():
    store, canteen, _kiosk = month()
    by = Act("department", "zhao", "sold")
    number = store.merchants.tickets.retire("E-1", POS, by, TIME_S)
    with refused(procedures.ANOTHER_PERSON):
        store.merchants.dossiers.say(number, "sign", Act("department", "zhao"), TIME_S)
    other = retire(store, reference="E-2")
    store.merchants.dossiers.say(number, "sign", Act("department", "qian"), TIME_S)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    end(store, other)
    with refused(procedures.HAS_ENDED):
        end(store, number)
    with refused(procedures.HAS_ENDED):
        store.merchants.tickets.retire("E-3", POS, by, TIME_S)
    assert store.merchants.tickets.retire("E-1", POS, by, TIME_S) == number  # said again
    with refused(procedures.HAS_ENDED):
        store.merchants.tickets.move("M-1", POS, "north", "wu", "rebuilt", TIME_S)


# --- what comes behind that ----------------------------------------------------------------------


def test_what_comes_behind_its_end_is_a_case_with_its_bytes_and_no_money():
    store, canteen, _kiosk = retired()
    before = store.balances(), store.heads()
    first = canteen.seq
    spend = canteen.sell(250, TIME_S + 5)
    late = canteen.records[first:]
    for _ in range(2):
        assert [code for *_, code in answers(store, *late)] == [reasons.TOLD_AFTER_ITS_END] * 2
    assert (store.balances(), store.heads()) == before
    assert cases(store, reasons.TOLD_AFTER_ITS_END) == [spend, (POS, spend[1] + 1)]
    sql = "SELECT sealed FROM suspense_case WHERE reason = ? ORDER BY seq"
    rows = store.database.rows(sql, (reasons.TOLD_AFTER_ITS_END,))
    assert [bytes(sealed) for (sealed,) in rows] == late
    assert check(store) == []


def test_it_is_kept_however_it_comes_and_a_forgery_is_not():
    store, canteen, _kiosk = retired()
    first = canteen.seq
    for _ in range(3):
        canteen.sell(10, TIME_S + 5)
    late = canteen.records[first:]
    assert answers(store, late[2]) == []  # ahead of a gap: sent again
    for sealed in late:
        assert [code for *_, code in answers(store, sealed)] == [reasons.TOLD_AFTER_ITS_END]
    assert len(cases(store, reasons.TOLD_AFTER_ITS_END)) == len(late)
    stranger = Reader(POS)
    stranger.key = bytes(32)
    stranger.tag, stranger.records = canteen.tag, list(canteen.records)
    stranger.boot()
    assert [code for *_, code in answers(store, stranger.records[-1])] == [BAD_SEAL]
    twice = canteen.records[:first]
    assert answers(store, *twice) == []  # what is booked is a duplicate, as ever
    assert len(cases(store, reasons.TOLD_AFTER_ITS_END)) == len(late)


def test_what_waited_when_it_was_passed_over_is_kept_with_the_rest():
    store, canteen, _kiosk = month(is_there=False)
    head_seq = canteen.seq
    spend = canteen.sell(250, TIME_S - 9)
    store.book([canteen.records[head_seq + 1 :]])  # its outcome, behind a gap
    pass_over(store, retire(store), head_seq)
    assert store.summary()["parked"] == 1
    assert len(answers(store, canteen.records[head_seq])) == 1
    assert cases(store, reasons.TOLD_AFTER_ITS_END) == [spend, (POS, spend[1] + 1)]
    assert store.summary()["parked"] == 0 and check(store) == []


@pytest.mark.parametrize("wanted", [(0, 1, 3, 4), (1, 0, 1, 4, 3, 4)])
def test_what_waited_is_kept_too_when_what_was_missing_comes_one_by_one(wanted):
    store, canteen, _kiosk = month(is_there=False)
    head_seq = canteen.seq
    for _ in range(3):
        canteen.sell(250, TIME_S - 9)
    late = canteen.records[head_seq:]
    store.book([[late[2], late[5]]])
    pass_over(store, retire(store), head_seq)
    for at in wanted:
        store.book([[late[at]]])
    found = cases(store, reasons.TOLD_AFTER_ITS_END)
    assert found == [(POS, head_seq + number) for number in range(1, 7)]
    assert store.summary()["parked"] == 0 and check(store) == []
    assert len(answers(store, *late)) == len(late)


def test_two_persons_book_what_it_took_and_the_merchant_has_it_in_the_next_period():
    store, canteen, _kiosk = retired()
    close(store)
    pay_all(store)
    first = canteen.seq
    spend = canteen.sell(250, END_S - 5)
    store.book([canteen.records[first:]])
    # A sale of before, which is not booked: no period closes over it unseen.
    (one,) = [one for one in store.periods.quiet(NEXT_END_S)[1] if one.bar is Bar.NOT_BOOKED]
    assert (one.device, one.seq) == spend
    case = store.corrections.case(reasons.TOLD_AFTER_ITS_END, *spend)
    proposal = store.corrections.propose(case, Bearer.HOLDER, "wang", "it is his card", CLOSED_S)
    mark = store.corrections.mark(case, proposal)
    store.corrections.approve(proposal.number, mark, "li", CLOSED_S)
    assert store.balances()["merchant", CANTEEN] == 250
    assert Bar.NOT_BOOKED not in [one.bar for one in store.periods.quiet(NEXT_END_S)[1]]
    assert check(store) == []


# --- its key, its number, and who waits for it ---------------------------------------------------


def test_its_key_is_dead_and_its_number_is_nobody_elses():
    store, canteen, _kiosk = retired()
    assert store.speaking_keys(POS, None) == []
    assert POS not in dict(store.keys_at("campus"))
    with pytest.raises(RegistryError, match="gets no other key"):
        store.rotate_device_key(POS, bytes(31) + b"\1")
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.many("INSERT INTO device_key VALUES (?, 1, ?)", [(POS, bytes(32))])
    with pytest.raises(RegistryError, match="differently"):
        store.register_device(POS, Reader(77).key, CANTEEN)
    store.register_device(POS, canteen.key, CANTEEN)  # it may stand in the register still
    form = Form("Canteen", "General Affairs", "Informatisation", 1, 1)
    apply = store.merchants.onboarding.apply
    number = apply("device", "A-1", CANTEEN, form, "more", "wu", TIME_S)
    signers = ("department", "department-leader", "project", "project-leader", "president")
    for at, role in enumerate(signers):
        store.merchants.dossiers.say(number, "sign", Act(role, f"p{at}"), TIME_S)
    with refused(procedures.BEYOND_APPROVAL, "a reader has it already"):
        store.merchants.onboarding.admit(number, [POS], "wang", TIME_S)


def test_nobody_waits_for_it_any_more():
    store, _canteen, _kiosk = month()
    store.cards.set("lose", CARD, TIME_S)
    for merchant_no in (CANTEEN, KIOSK):
        store.menus.set_menu(merchant_no, "", a_menu(900), "wang", TIME_S)
    store.policies.set_policy(LOWER, "wang", TIME_S, site="campus")
    assert {one.device for one in behind(store.database)} == {POS, SILENT}
    assert {device for device, *_ in store.policies.sealed("campus")} == {POS, SILENT}
    assert {device for device, *_ in store.menus.sealed("campus")} == {POS, SILENT}
    pass_over(store, retire(store, SILENT), store.heads()[SILENT])
    assert {one.device for one in behind(store.database)} == {POS}
    assert {device for device, *_ in store.policies.sealed("campus")} == {POS}
    assert {device for device, *_ in store.menus.sealed("campus")} == {POS}
    ended = [one.ended for one in store.merchants.onboarding.registry() if one.device == SILENT]
    assert ended != [0]
    news = FleetNews(store.database, Signer(bytes(32)))
    (told,) = news.news("campus")
    assert fleet_news.decode(seal.sign1_split(told)[0]) == [SILENT]
    assert news.news("elsewhere") == []
    # The next period is not barred by it, and says who has released it.
    bars = [one.device for one in store.periods.quiet(NEXT_END_S)[0].blocking]
    assert bars == [POS]
    quiet = store.periods.quiet(NEXT_END_S)[0]
    assert [(one.device, one.person) for one in quiet.released] == [(SILENT, "feng")]


def test_it_is_inspected_no_more_and_what_was_missing_before_its_end_still_is():
    store, canteen, _kiosk = month()
    number = retire(store)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    midnight_s = END_S - END_S % DAY_S
    days = [(midnight_s + day * DAY_S, midnight_s + (day + 1) * DAY_S) for day in (-2, 0, 1)]

    def states():
        found = [of_day(store.database, *day) for day in days]
        return [[one.state for one in day if one.device == POS] for day in found]

    before = states()
    assert before[0] == [MISSING]
    end(store, number, time_s=TIME_S + 9)
    assert states() == [before[0], [], []]  # of the day of its end nobody asks


def test_a_twin_and_a_gap_of_a_reader_that_has_ended_call_nobody_any_more():
    store, canteen, _kiosk = month(is_there=False)
    twin = deepcopy(canteen)
    head_seq = canteen.seq
    for seller, amount_fen in ((canteen, 250), (twin, 260)):
        seller.sell(amount_fen, TIME_S - 9)
    store.book([[canteen.records[head_seq], twin.records[head_seq]]])
    canteen.boot()
    store.book([[canteen.records[-1]]])
    called = {"forked_readers": 1, "parked_records": 1}
    assert called.items() <= look(store.database).counts.items()
    pass_over(store, retire(store), store.heads()[POS])
    counts = look(store.database).counts
    assert {name: counts[name] for name in called} == dict.fromkeys(called, 0)
