"""Split charges: what a doubt, a PIN, a reboot and a second POS do; and the declared budget."""

import json
import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import charging, meals, reasons, split
from protocols.wire import messages
from tests.rules import portable_pos
from tools.bench import split as bench

W, LIMIT_FEN = 120, 5000  # the window of the cases; the one in force is measured below
OURS, TWIN, CARD, MERCHANT = 1001, 1002, 20001, 71
U32 = 0xFFFFFFFF


def charge(seq, at_s, fen=2000, device=OURS, card=CARD, boot=1, doubt_s=0, **others):
    """A charge `at_s` seconds after boot and after some noon, its clock in doubt by `doubt_s`."""
    noon_s = 1_790_000_000 + at_s
    return (
        device,
        seq,
        card,
        others.get("merchant", MERCHANT),
        fen,
        others.get("earliest_s", noon_s - doubt_s),
        others.get("latest_s", noon_s + doubt_s),
        boot,
        others.get("mono_s", at_s),
        messages.FLAG_PIN if others.get("pin") else 0,
    )


def sets(charges, window_s=W, limit_fen=LIMIT_FEN):
    """What the ledger finds: (is_sure, total_fen, record ids)."""
    return [
        (is_sure, total_fen, [part[:2] for part in parts])
        for _, _, is_sure, total_fen, parts in split.evidence(charges, window_s, limit_fen)
    ]


# --- what must not get through, and what must not be accused ------------------------------------


def test_sixty_in_three_parts_asks_for_the_pin_at_the_third():
    ring = split.Recent(OURS, MERCHANT)
    sums = []
    for seq, at_s in enumerate((0, 10, 20), 1):
        sums.append(ring.purchase_fen(charge(seq, at_s), W))
        ring.note(charge(seq, at_s))
    assert sums == [2000, 4000, 6000]


@pytest.mark.parametrize("others", [{"card": 5}, {"merchant": 72}, {"pin": True}])
def test_no_part_of_the_purchase(others):
    assert split.purchase_fen(charge(2, 10), [charge(1, 0, **others)], W) == 2000
    assert sets([charge(2, 10, 4000), charge(1, 0, 4000, **others)]) == []


def test_the_window_s_last_second():
    """Whole seconds were cut off both: one more may be inside still, and the POS counts it."""
    first = [charge(1, 0)]
    borders = range(W - 1, W + 3)
    at = {seconds: split.purchase_fen(charge(2, seconds), first, W) for seconds in borders}
    assert at == {W - 1: 4000, W: 4000, W + 1: 4000, W + 2: 2000}
    found = {seconds: sets([charge(1, 0, 3000), charge(2, seconds, 3000)]) for seconds in at}
    assert [[is_sure for is_sure, *_ in found[seconds]] for seconds in found] == [
        [True],
        [False],
        [False],
        [],
    ]


def test_a_pin_ends_the_purchase():
    before, pin = [charge(1, 0), charge(2, 10)], charge(3, 20, pin=True)
    assert split.purchase_fen(charge(4, 30), [*before, pin], W) == 2000
    assert split.purchase_fen(charge(4, 30), before, W) == 6000
    after = [charge(4, 30), charge(5, 40), charge(6, 50)]
    assert sets([*before, pin, *after]) == [(True, 6000, [(OURS, 4), (OURS, 5), (OURS, 6)])]


def test_a_pin_above_the_limit_ends_it_too():
    """What it is mostly given for. The ledger passed over such a charge, and accused the clerk."""
    before, after = [charge(1, 0), charge(2, 10)], charge(4, 30)
    pin = charge(3, 20, LIMIT_FEN + 1, pin=True)
    assert split.purchase_fen(after, [*before, pin], W) == 2000
    assert sets([*before, pin, after]) == []


def test_a_pin_that_came_later_excuses_nothing():
    charges = [charge(1, 0), charge(2, 10), charge(3, 20), charge(4, 30, pin=True)]
    assert sets(charges) == [(True, 6000, [(OURS, 1), (OURS, 2), (OURS, 3)])]


def test_one_charge_above_the_limit_is_no_split():
    assert sets([charge(1, 0, 9000), charge(2, 10, 1000)]) == []
    assert sets([charge(1, 0, 5000)]) == []
    assert sets([charge(1, 0, 5000), charge(2, 9, 1)]) == [(True, 5001, [(OURS, 1), (OURS, 2)])]


def test_a_record_that_came_twice_counts_once():
    assert sets([charge(1, 0, 3000)] * 5) == []
    assert split.purchase_fen(charge(1, 0), [charge(1, 0)] * 5, W) == 2000


def test_a_set_clock_moves_no_charge_out_of_the_window():
    """A receipt sets the clock an hour on between two charges: the monotonic one goes on."""
    second = charge(2, 10, earliest_s=1_790_003_600, latest_s=1_790_003_600)
    assert split.purchase_fen(second, [charge(1, 0)], W) == 4000


def test_after_a_boot_without_the_time_everything_may_be_near():
    blind = charge(2, 5, boot=2, earliest_s=1_790_000_000, latest_s=U32)
    assert split.purchase_fen(blind, [charge(1, 0)], W) == 4000
    assert sets([charge(1, 0, 3000), (*blind[:4], 3000, *blind[5:])]) == [
        (False, 6000, [(OURS, 1), (OURS, 2)])
    ]


def test_two_pos_of_one_merchant_are_seen_by_the_ledger_only():
    charges = [charge(1, 0), charge(2, 10), charge(9, 30, device=TWIN, boot=8, mono_s=5)]
    rings = {device: split.Recent(device, MERCHANT) for device in (OURS, TWIN)}
    for tap in charges:
        ring = rings[tap[split.DEVICE]]
        assert ring.purchase_fen(tap, W) <= LIMIT_FEN
        ring.note(tap)
    assert sets(charges) == [(True, 6000, [(OURS, 1), (OURS, 2), (TWIN, 9)])]


def test_two_clocks_in_doubt_make_a_possible_case_only():
    far = charge(9, 100, 3000, device=TWIN, doubt_s=30)
    assert sets([charge(1, 0, 3000, doubt_s=0), far]) == [(False, 6000, [(OURS, 1), (TWIN, 9)])]
    # In an order nobody knows: still a case, once.
    both = [charge(1, 0, 3000, doubt_s=5), charge(9, 1, 3000, device=TWIN, doubt_s=5)]
    assert sets(both) == [(False, 6000, [(OURS, 1), (TWIN, 9)])]


def test_a_pin_that_may_lie_between_takes_the_certainty():
    pin = charge(7, 20, 100, device=TWIN, doubt_s=40, pin=True)
    charges = [charge(1, 0, 3000), charge(2, 40, 3000), pin]
    assert [is_sure for is_sure, *_ in sets(charges)] == [False]
    assert split.purchase_fen(charges[1], charges, W) == 6000


def test_parts_of_a_finding_are_not_found_again():
    charges = [charge(seq, 10 * seq) for seq in range(1, 7)]
    assert sets(charges) == [(True, 12000, [(OURS, seq) for seq in range(1, 7)])]


# --- the ring -----------------------------------------------------------------------------------


def intent(seq, at_s, fen=2000, device=OURS, merchant=MERCHANT):
    """An INTENT as a journal gives it."""
    return {
        "kind": messages.INTENT,
        "device": device,
        "seq": seq,
        "earliest_s": 1_790_000_000 + at_s,
        "latest_s": 1_790_000_000 + at_s,
        "boot_id": 1,
        "mono_ms": at_s * 1000,
        "card_no": CARD,
        "counter": seq,
        "amount_fen": fen,
        "before_fen": 9000,
        "after_fen": 9000 - fen,
        "merchant_no": merchant,
        "last_device": 0,
        "last_seq": 0,
        "flags": 0,
    }


def outcome(seq, of_seq, result, device=OURS):
    return {
        "kind": messages.OUTCOME,
        "device": OURS,
        "seq": seq,
        "intent_device": device,
        "intent_seq": of_seq,
        "result": result,
    }


def test_a_boot_takes_up_what_the_journal_holds():
    ring = split.Recent(OURS, MERCHANT)
    ring.take_up(
        [
            {"kind": messages.BOOT},
            intent(2, 0),
            outcome(3, 2, messages.COMMITTED),
            intent(4, 10),
            outcome(5, 4, messages.NOT_COMMITTED),
            intent(6, 20),
            outcome(7, 6, messages.UNKNOWN),
            intent(8, 30),  # power went away: nobody knows
            intent(9, 30, merchant=72),
            intent(10, 30, device=TWIN),
            outcome(11, 8, messages.NOT_COMMITTED, device=TWIN),
        ]
    )
    assert sorted(found[split.SEQ] for found in ring.of(CARD)) == [2, 6, 8]
    assert ring.purchase_fen(charge(12, 40), W) == 8000


@given(st.lists(st.sampled_from([1, 2, 3]), max_size=40), st.integers(1, 12))
def test_a_boot_changes_nothing(results, room):
    """What the ring held before, it holds again from the journal, whatever became of each."""
    ring, journal = split.Recent(OURS, MERCHANT, room), []
    for at, result in enumerate(results):
        journal += [intent(2 * at + 1, at), outcome(2 * at + 2, 2 * at + 1, result)]
        ring.note(split.charge_of(journal[-2]))
        if result == messages.NOT_COMMITTED:
            ring.undo(2 * at + 1)
    rebuilt = split.Recent(OURS, MERCHANT, room)
    rebuilt.take_up(journal)
    assert sorted(rebuilt.of(CARD)) == sorted(ring.of(CARD))
    paid = [2 * at + 1 for at, result in enumerate(results) if result != messages.NOT_COMMITTED]
    kept = [seq for seq in paid if seq > 2 * (len(results) - room)]
    assert sorted(found[split.SEQ] for found in ring.of(CARD)) == kept


def test_the_widest_record_fits_the_ring():
    widest = (OURS, U32, U32, MERCHANT, U32, U32, U32, U32, U32, 255)
    ring = split.Recent(OURS, MERCHANT)
    ring.note(widest)
    assert list(ring.of(U32)) == [widest]
    fields = dict(intent(U32, 0, 0), amount_fen=U32, boot_id=U32, mono_ms=(1 << 48) - 1)
    ring.note(split.charge_of(fields))


# --- what holds for all -------------------------------------------------------------------------

CHARGES = st.builds(
    charge,
    seq=st.integers(1, 12),
    at_s=st.integers(0, 400),
    fen=st.integers(1, 6000),
    device=st.sampled_from([OURS, TWIN]),
    card=st.sampled_from([CARD, 5]),
    boot=st.integers(1, 2),
    doubt_s=st.sampled_from([0, 2, 60]),
    merchant=st.sampled_from([MERCHANT, 72]),
    pin=st.sampled_from([False, False, False, True]),
)
LISTS = st.lists(CHARGES, max_size=14, unique_by=lambda drawn: drawn[:2])
NUMBERS = st.integers(0, 9) | st.integers(0, U32)
ANY = st.tuples(*[NUMBERS] * 9, st.integers(0, 255))


@given(LISTS, st.randoms(use_true_random=False))
def test_the_ledger_finds_the_same_in_any_order(charges, order):
    shuffled = charges + charges[:3]
    order.shuffle(shuffled)
    assert split.evidence(iter(shuffled), W, LIMIT_FEN) == split.evidence(charges, W, LIMIT_FEN)


@given(LISTS, st.integers(0, 500), st.integers(0, 500))
def test_a_longer_window_never_lets_more_pass(charges, window_s, more_s):
    for last in charges:
        short_fen = split.purchase_fen(last, charges, window_s)
        assert short_fen <= split.purchase_fen(last, charges, window_s + more_s)
        assert short_fen >= last[split.AMOUNT_FEN]
    found = {line[:2] for line in split.evidence(charges, window_s, LIMIT_FEN)}
    longer = {line[:2] for line in split.evidence(charges, window_s + more_s, LIMIT_FEN)}
    assert found <= longer


@given(LISTS, st.integers(0, 300))
def test_sure_is_part_of_possible(charges, window_s):
    for last in charges:
        possible = split.possibly_with(last, charges, window_s)
        assert all(part in possible for part in split.surely_with(last, charges, window_s))


@given(LISTS)
def test_evidence_is_what_it_says(charges):
    """Each charge within the limit, their sum above it, none with the PIN, one card, one place."""
    for card_no, merchant_no, _, total_fen, parts in split.evidence(charges, W, LIMIT_FEN):
        assert {part[2:4] for part in parts} == {(card_no, merchant_no)}
        assert max(part[split.AMOUNT_FEN] for part in parts) <= LIMIT_FEN < total_fen
        assert total_fen == sum(part[split.AMOUNT_FEN] for part in parts)
        assert not any(part[split.FLAGS] & messages.FLAG_PIN for part in parts)
        assert len({part[:2] for part in parts}) == len(parts) > 1


@given(st.lists(ANY, max_size=12), st.integers(0, U32), st.integers(0, U32))
def test_no_number_makes_it_fail(charges, window_s, limit_fen):
    split.evidence(charges, window_s, limit_fen)
    ring = split.Recent(OURS, MERCHANT, 3)
    for drawn in charges:
        assert ring.purchase_fen(drawn, window_s) >= drawn[split.AMOUNT_FEN]
        ring.note(drawn)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 5000)), max_size=25))
def test_what_a_pos_lets_pass_the_ledger_never_surely_finds(taps):
    """A POS that asks for the PIN above the limit leaves no split behind, whoever taps when."""
    ring, passed, at_s = split.Recent(OURS, MERCHANT), [], 0
    for seq, (pause_s, fen) in enumerate(taps, 1):
        at_s += pause_s
        tap = charge(seq, at_s, fen)
        if ring.purchase_fen(tap, W) <= LIMIT_FEN:
            ring.note(tap)
            passed.append(tap)
    assert split.evidence(passed, W, LIMIT_FEN) == []


# --- the budget, and the real VM ----------------------------------------------------------------


@pytest.mark.parametrize("seed", [2, 3])
def test_the_budget_holds(seed):
    measured = bench.measure(bench.workload(seed, 10_000, 500), split.WINDOW_S)
    fair, impatient = measured.total(False), bench.impatient(measured)
    assert fair.all == 10_000 and impatient.all > 300
    assert 0 < fair.at_pos <= fair.in_ledger <= bench.BUDGET_PER_10000
    assert impatient.at_pos * 100 >= bench.CAUGHT_PER_100_MIN * impatient.all


def test_a_rule_without_a_window_would_break_the_budget_or_catch_nobody():
    """The workload can fail: a day as the window accuses too many, a second catches no cheat."""
    customers = bench.workload(2, 10_000, 500)
    assert bench.measure(customers, 86_400).total(False).in_ledger > bench.BUDGET_PER_10000
    assert bench.measure(customers, 1).total(True).at_pos == 0


def test_the_workload_is_that_of_its_seed():
    assert bench.workload(5, 200, 20) == bench.workload(5, 200, 20) != bench.workload(6, 200, 20)


def test_the_ring_holds_a_window_of_the_fastest_queue():
    queue = random.Random(1).sample(range(100, 10_000), split.WINDOW_S // 3)
    ring = split.Recent(OURS, MERCHANT)
    ring.note(charge(1, 0))
    for at, card in enumerate(queue[:-1], 1):
        ring.note(charge(at + 1, 3 * at, card=card))
    assert ring.purchase_fen(charge(U32, split.WINDOW_S), split.WINDOW_S) == 4000


def test_micropython_answers_the_same(micropython, repo_root):
    done = subprocess.run(
        [micropython, "-X", "heapsize=192k", "-m", "tests.rules.portable_pos"],
        capture_output=True,
        text=True,
        cwd=repo_root,
        env={"MICROPYPATH": f"{repo_root}:.frozen"},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    there = [json.loads(line) for line in done.stdout.splitlines()]
    assert there == [json.loads(json.dumps(line)) for line in portable_pos.outcomes()]
    given = {}
    for rule, result in there:
        given.setdefault(rule, []).append(result)
    assert any(given["evidence"]) and len(given["purchase_fen"]) > 100
    # Every answer of a meal period, and most of those of a key.
    of_period = range(reasons.NO_MEAL_LEFT, reasons.OVER_MEAL_COUNT + 1)
    answers = {meals.FINE, reasons.PIN_NEEDED, *of_period}
    assert {result[4][0] for result in given["meal"]} == answers
    assert len({result[2] for result in given["key"]}) > 10
    assert {result[0] for result in given["cost"]} >= {charging.FINE, charging.NOT_PRICED}
