"""Drills of an outage: what records prove of it, and that a drill is filed once (R23, R24)."""

import hashlib
import json

import pytest

from ledger.dossiers import DossierRefused
from ledger.drill_rules import (
    BEHIND_S,
    FAILED,
    NOT_CUT,
    NOT_TRIED,
    PASSED,
    SHORT,
    SILENT,
    UNSEEN,
    Check,
    verdict_of,
)
from ledger.procedures import NO_DOSSIER, SAID_OTHERWISE
from ledger.store import LedgerStore
from protocols.rules import door, reasons
from protocols.wire import messages
from tests.ledger.crashes import stop_anywhere
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader
from tests.ledger.tampering import tamper

T0 = 1_795_240_800  # when the outage begins
TWO_H = 7200
POS, DOOR, LOCK, MACHINE = 901, 902, 903, 904
DARK, SECURED, SETTLING = (
    door.STATES.index(one) for one in (door.DARK, door.SECURED, door.SETTLING)
)
IN_ORDER = door.CLOSED | door.MAINS


class Told(Reader):
    """A reader whose records have their second."""

    def at(self, second, kind, width_s=1, **fields):
        when = {"earliest_s": T0 + second, "latest_s": T0 + second + width_s}
        self.write(kind, **(when | fields))

    def power(self, second, source, **fields):
        self.at(second, messages.POWER, source=source, battery_mv=4100, **fields)

    def says(self, second, state, levels=IN_ORDER):
        self.at(second, messages.DOOR, state=state, event=0, levels=levels, cause=0)

    def entry(self, second, reason=reasons.APPROVED):
        self.at(second, messages.ENTRY, card_no=CARD, reason=reason)

    def spend(self, second, counter, flags, result=messages.COMMITTED):
        when = {"earliest_s": T0 + second, "latest_s": T0 + second + 1}
        intent = self.intent(counter=counter, amount_fen=100, flags=flags, **when)
        words = {"intent_device": intent[0], "intent_seq": intent[1], "result": result}
        self.at(second + 1, messages.OUTCOME, **words)

    def boots(self, second=None):
        when = {} if second is None else {"earliest_s": T0 + second, "latest_s": T0 + second + 9}
        self.write(messages.BOOT, cause=1, firmware=1, **when)


def books(*readers):
    """A ledger in which these have told what they have."""
    store = LedgerStore.open(":memory:")
    store.register_merchant(CANTEEN)
    store.issue_card(CARD, OPENING_FEN)
    for reader in readers:
        store.register_device(reader.device, reader.key, CANTEEN)
        if reader.device in (DOOR, LOCK):
            store.access.add_door(reader.device, "dorm", 5000, 0, is_lock=reader.device == LOCK)
        store.book([[sealed] for sealed in reader.records])
    return store


def judged(*readers, kind="power", length_s=TWO_H + 300, left_out=()):
    return books(*readers).merchants.drills.judge(kind, "campus", T0, T0 + length_s, left_out)


def found(*readers, **about):
    """{rule: (verdict, figures)} of one reader."""
    (one,) = judged(*readers, **about).readers
    return {check.rule: (check.verdict, check.figures) for check in one.checks}


def pos(told, back_s=TWO_H + 300):
    """A POS that has told of the mains and, by `told`, of what was between."""
    reader = Told(POS)
    reader.boots(-500)
    reader.power(0, messages.BATTERY)
    told(reader)
    if back_s is not None:
        reader.power(back_s, messages.MAINS)
        reader.at(back_s + 60, messages.FAULT, network=1, last_reason=0)
    return reader


# --- what records prove --------------------------------------------------------------------------


def test_a_pos_that_sold_on_for_two_hours():
    on_battery = found(pos(lambda one: one.spend(600, 1, messages.FLAG_BATTERY)))
    # From the last moment at which it can have begun to the first at which it can have ended.
    assert on_battery["R23.1a"] == (PASSED, {"on_battery_s": TWO_H + 299, "battery_mv": 4100})
    assert on_battery["R23.1b"] == (PASSED, {"spends": 1})


def test_an_outage_of_an_hour_proves_no_two():
    told = found(pos(lambda one: None, back_s=3600), length_s=3600)
    assert told["R23.1a"] == (SHORT, {"on_battery_s": 3599, "battery_mv": 4100})
    assert told["R23.1b"] == (NOT_TRIED, {"spends": 0})


def test_what_is_just_too_short_by_its_intervals_is_not_rounded_up():
    reader = pos(lambda one: None, back_s=TWO_H)
    assert found(reader, length_s=TWO_H)["R23.1a"][0] == SHORT
    wide = Told(POS)
    wide.boots(-500)
    wide.power(0, messages.BATTERY, width_s=400)
    wide.power(TWO_H + 300, messages.MAINS)
    wide.at(TWO_H + 400, messages.FAULT, network=1, last_reason=0)
    assert found(wide)["R23.1a"] == (SHORT, {"on_battery_s": TWO_H - 100, "battery_mv": 4100})


@pytest.mark.parametrize("clock", [TWO_H + 290, None])
def test_a_pos_whose_battery_gave_up(clock):
    """It stops in the middle and boots with the mains, with or without a clock."""

    def dies(reader):
        reader.spend(1000, 1, messages.FLAG_BATTERY)
        reader.boots(clock)

    verdict, figures = found(pos(dies))["R23.1a"]
    # It sold at 1000, so it lived until then.
    assert (verdict, figures["on_battery_s"]) == (FAILED, 1000)


def test_a_pos_without_any_battery():
    reader = Told(POS)
    reader.boots(-500)
    reader.at(-100, messages.FAULT, network=1, last_reason=0)
    reader.boots(TWO_H + 301)
    reader.at(TWO_H + 400, messages.FAULT, network=1, last_reason=0)
    assert found(reader)["R23.1a"] == (FAILED, {"on_battery_s": 0})


def test_a_pos_that_says_empty_has_ended_there():
    def refuses(reader):
        reader.spend(600, 1, messages.FLAG_BATTERY)
        reason = {"card_no": CARD, "amount_fen": 100, "reason": reasons.BATTERY_EMPTY}
        reader.at(5000, messages.REFUSAL, **reason)

    assert found(pos(refuses))["R23.1a"] == (FAILED, {"on_battery_s": 4999, "battery_mv": 4100})


def test_a_pos_that_kept_its_mains_proves_nothing():
    reader = Told(POS)
    reader.boots(-500)
    reader.spend(600, 1, 0)
    reader.at(TWO_H + 400, messages.FAULT, network=1, last_reason=0)
    assert found(reader) == {"R23.1a": (NOT_CUT, {}), "R23.1b": (NOT_CUT, {"spends": 0})}


@pytest.mark.parametrize("result", [messages.NOT_COMMITTED, messages.UNKNOWN])
def test_a_spend_that_was_not_one_does_not_count(result):
    told = found(pos(lambda one: one.spend(600, 1, messages.FLAG_BATTERY, result)))
    assert told["R23.1b"] == (NOT_TRIED, {"spends": 0})


def door_that(*says, after=TWO_H + 400):
    reader = Told(DOOR)
    reader.says(-100, SECURED)
    for second, state, levels in says:
        reader.says(second, state, levels)
    reader.entry(after)
    return reader


def test_a_magnet_lets_go_and_locks_again():
    reader = door_that(
        (0, DARK, door.CLOSED), (7505, SETTLING, IN_ORDER), (7507, SECURED, IN_ORDER)
    )
    assert found(reader) == {"R23.2": (PASSED, {"released_s": 7504})}


def test_a_magnet_that_does_not_lock_again():
    assert found(door_that((0, DARK, door.CLOSED)))["R23.2"][0] == FAILED


def test_a_magnet_that_held_without_mains():
    reader = door_that((5, SECURED, door.CLOSED))
    assert found(reader)["R23.2"] == (FAILED, {"held_without_mains": 1})


def test_a_door_with_mains_and_one_that_was_dead_itself():
    assert found(door_that((50, SECURED, IN_ORDER)))["R23.2"] == (NOT_CUT, {})
    dead = Told(DOOR)
    dead.says(-100, SECURED)
    dead.boots()
    dead.says(TWO_H + 310, SECURED)
    dead.entry(TWO_H + 400)
    assert found(dead)["R23.2"] == (UNSEEN, {})


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([(600, reasons.APPROVED)], (PASSED, 1, 0)),
        ([(600, reasons.APPROVED), (700, reasons.BATTERY_EMPTY)], (FAILED, 1, 1)),
        ([(600, 281)], (NOT_TRIED, 0, 0)),
        ([(-50, reasons.APPROVED), (TWO_H + 310, reasons.APPROVED)], (NOT_TRIED, 0, 0)),
    ],
)
@pytest.mark.parametrize(("kind", "rule"), [("power", "R23.3a"), ("network", "R24.3")])
def test_a_lock_on_cells(kind, rule, entries, expected):
    reader = Told(LOCK)
    reader.entry(-300)
    for second, reason in entries:
        reader.entry(second, reason)
    reader.entry(TWO_H + 400)
    verdict, opened, empty = expected
    figures = {"opened": opened, "refused_empty": empty}
    assert found(reader, kind=kind) == {rule: (verdict, figures)}


def test_without_network():
    offline, online = Told(POS), Told(POS)
    for reader, flags in ((offline, messages.FLAG_OFFLINE), (online, 0)):
        reader.spend(600, 1, flags)
        reader.at(TWO_H + 400, messages.FAULT, network=1, last_reason=0)
    assert found(offline, kind="network") == {"R24.1": (PASSED, {"spends": 1})}
    assert found(online, kind="network") == {"R24.1": (NOT_CUT, {"spends": 0})}


def test_who_has_not_told_from_behind_it_is_silent():
    for behind in (None, BEHIND_S - 1):
        reader = Told(DOOR)
        reader.says(-100, SECURED)
        reader.says(0, DARK, door.CLOSED)
        if behind is not None:
            reader.entry(TWO_H + 300 + behind)
        assert found(reader) == {"R23.2": (SILENT, {})}
        assert judged(reader).silent == [DOOR]


def test_the_verdict_is_that_of_the_worst():
    def verdict(*verdicts):
        return verdict_of([Check("R1", one) for one in verdicts])

    assert verdict(PASSED, PASSED) == "passed"
    for one in (SHORT, NOT_TRIED, NOT_CUT, UNSEEN, SILENT):
        assert verdict(PASSED, one) == "partly"
        assert verdict(one, FAILED) == "failed"


# --- filing --------------------------------------------------------------------------------------


def good():
    return pos(lambda one: one.spend(600, 1, messages.FLAG_BATTERY))


def filed(store, person="li", left_out=(), time_s=T0 + 9000):
    drills = store.merchants.drills
    judged = drills.judge("power", "campus", T0, T0 + TWO_H + 300, left_out)
    return drills.file(judged, "General Affairs", person, time_s)


def test_a_drill_is_filed_once_whoever_says_it_again():
    store = books(good())
    assert [filed(store), filed(store, time_s=T0 + 9999)] == [1, 1]
    (one,) = store.merchants.drills.filed()
    assert (one.verdict, one.person, one.time_s) == ("passed", "li", T0 + 9000)
    assert one.evidence == hashlib.sha256(one.report.encode()).hexdigest()
    assert [reader["device"] for reader in json.loads(one.report)["readers"]] == [POS]
    with pytest.raises(DossierRefused, match="filed otherwise") as refused:
        filed(store, person="wang")
    assert refused.value.reason == SAID_OTHERWISE


def test_power_lost_at_any_moment_of_the_filing():
    stop_anywhere(books(good()), filed, least=3)


def test_nothing_is_filed_while_a_reader_has_not_told():
    silent = Told(DOOR)
    silent.says(-100, SECURED)
    store = books(good(), silent)
    with pytest.raises(DossierRefused, match=f"not told yet: {DOOR}"):
        filed(store)
    assert filed(store, left_out=[DOOR]) == 1
    (one,) = store.merchants.drills.filed()
    assert json.loads(one.report)["left_out"] == [DOOR]
    assert store.merchants.drills.verify(1)


def test_what_a_reader_has_told_is_not_left_out():
    """Else who files it leaves out whatever failed, and the drill has passed."""
    held = door_that((5, SECURED, door.CLOSED))
    store = books(good(), held)
    before = store.dump()
    with pytest.raises(DossierRefused, match=f"{DOOR} has told"):
        filed(store, left_out=[DOOR])
    assert store.dump() == before
    assert filed(store) == 1 and store.merchants.drills.one(1).verdict == "failed"


def test_a_drill_that_is_filed_stays_so_when_who_was_left_out_tells_at_last():
    silent = Told(DOOR)
    silent.says(-100, SECURED)
    store = books(good(), silent)
    assert filed(store, left_out=[DOOR]) == 1
    silent.entry(TWO_H + 400)
    store.book([silent.records])
    assert filed(store, left_out=[DOOR], time_s=T0 + 99_999) == 1
    assert store.merchants.drills.verify(1)


def test_what_is_no_drill_is_refused():
    drills = books(good()).merchants.drills
    for words in (
        ("fire", "campus", T0, T0 + 1),
        ("power", "no site", T0, T0 + 1),
        ("power", "campus", T0, T0),
        ("power", "campus", T0, T0 + 13 * 3600),
    ):
        with pytest.raises(DossierRefused):
            drills.judge(*words)
    for words in (("power", "elsewhere", T0, T0 + 1), ("power", "campus", T0, T0 + 1, [99])):
        with pytest.raises(DossierRefused) as refused:
            drills.judge(*words)
        assert refused.value.reason == NO_DOSSIER
    with pytest.raises(DossierRefused, match="has not ended"):
        filed(books(good()), time_s=T0 + 10)


def test_what_comes_later_changes_nothing_and_what_was_changed_is_seen():
    reader = good()
    store = books(reader)
    filed(store)
    reader.at(90_000, messages.FAULT, network=1, last_reason=0)
    store.book([[reader.records[-1]]])
    store.register_device(DOOR, b"k" * 32, CANTEEN)
    assert store.merchants.drills.verify(1)
    nothing = """{"left_out":[],"readers":[]}"""
    tamper(store, [f"UPDATE drill SET verdict = 'failed', report = '{nothing}'"])
    assert not store.merchants.drills.verify(1)


@pytest.mark.parametrize("verb", ["UPDATE drill SET person = 'x'", "DELETE FROM drill"])
def test_a_drill_stays(verb):
    store = books(good())
    filed(store)
    with pytest.raises(Exception, match="append-only"):
        store.database.update(verb, [()])
