"""Every combination of everything that may be missing, for every kind of device."""

from itertools import product

import pytest

from protocols.rules import posture, posture_texts, reasons, spending
from protocols.rules.clock import NEVER_SET
from tests.firmware.counter import NOON_S, POLICY
from tests.firmware.test_till import Card

LEVELS = list(posture_texts.CONDITIONS.values())
ALL = list(product(*LEVELS))
KNOWN_MS, UNKNOWN_MS = (NOON_S * 1000, NOON_S * 1000 + 999), NEVER_SET


def postures(device):
    return {conditions: posture.of(device, *conditions) for conditions in ALL}


@pytest.mark.parametrize("device", posture_texts.DEVICES)
def test_the_table_is_total_and_says_nothing_twice(device):
    """The last row fits everything; every row is the first that fits somewhere."""
    rows = posture_texts.rows(device)
    assert rows[-1][:-1] == ["*"] * len(LEVELS)
    first = set()
    for conditions in ALL:
        fits = [
            row
            for row in rows
            if all(want in ("*", word) for want, word in zip(row, conditions, strict=False))
        ]
        first.add(tuple(fits[0]))
        assert posture.of(device, *conditions) == fits[0][-1]
    assert first == {tuple(row) for row in rows}


def test_every_word_has_a_meaning_and_is_used():
    head, *lines = posture.TABLE.decode().strip().split("\n")
    assert head.split() == ["device", *posture_texts.CONDITIONS, "posture"]
    assert list(dict.fromkeys(line.split()[0] for line in lines)) == list(posture_texts.DEVICES)
    used = set()
    for line in lines:
        _, *words, stance = line.split()
        used.add(stance)
        assert all(word in ("*", *level) for word, level in zip(words, LEVELS, strict=True))
    assert used == set(posture_texts.TEXTS)


def test_a_device_nobody_knows_has_no_posture():
    for device in ("", "po", "pos ", "os", "device"[:-1]):
        with pytest.raises(ValueError):
            posture.of(device, *ALL[0])


def test_every_posture_of_a_pos_serves_or_says_why_not():
    reached = set(postures("pos").values())
    assert reached == set(posture_texts.SPEND_LIMITS) | set(posture.BARS)
    assert not set(posture_texts.SPEND_LIMITS) & set(posture.BARS)
    assert reasons.APPROVED not in posture.BARS.values()


def test_a_pos_begins_a_spend_only_with_power_and_room():
    for conditions, stance in postures("pos").items():
        power, _, journal, _, _ = conditions
        can = power in ("mains", "battery") and journal == "room"
        assert posture_texts.may_begin(stance) == can
        assert (posture_texts.spend_max_fen(stance, POLICY) > 0) == can


def test_what_is_missing_never_allows_more():
    """Each condition at its best, all else equal, bounds a spend the least."""
    for conditions in ALL:
        fen = posture_texts.spend_max_fen(posture.of("pos", *conditions), POLICY)
        for at, level in enumerate(LEVELS):
            better = (*conditions[:at], level[0], *conditions[at + 1 :])
            assert fen <= posture_texts.spend_max_fen(posture.of("pos", *better), POLICY)


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        {**POLICY, "blind_max_fen": 0},
        {**POLICY, "offline_max_fen": 1000},
        {**POLICY, "offline_max_fen": 0},
    ],
)
def test_spending_takes_as_much_as_the_posture_allows_and_no_more(policy):
    """The table and the rules for a card say the same about network and clock."""
    policy = {**policy, "no_pin_max_fen": policy["amount_max_fen"]}
    for network, clock in product(LEVELS[1], LEVELS[3]):
        stance = posture.of("pos", "mains", network, "room", clock)
        most_fen = posture_texts.spend_max_fen(stance, policy)
        interval_ms = KNOWN_MS if clock == "known" else UNKNOWN_MS
        for amount_fen in (most_fen, most_fen + 1):
            offline = network != "online"
            reason, _ = spending.decide(policy, Card(), amount_fen, interval_ms, offline)
            assert (reason == reasons.APPROVED) == (0 < amount_fen <= most_fen)


def test_no_door_is_held_without_mains_or_in_a_fire():
    for conditions, stance in postures("door").items():
        power, _, _, _, fire = conditions
        is_held = power == "mains" and fire == "quiet"
        assert stance == ("secured" if is_held else "released")


def test_a_lock_opens_for_cards_as_long_as_its_battery_lasts():
    for (power, *_), stance in postures("lock").items():
        has_power = power in ("mains", "battery")
        assert stance == ("secured" if has_power else "key-only")


def test_only_a_kiosk_with_everything_takes_money():
    serving = [what for what, stance in postures("kiosk").items() if stance == "serving"]
    assert serving == [ALL[0], ALL[1]] and ALL[1][:-1] == ALL[0][:-1]


def test_the_battery_s_last_millivolt():
    assert posture.battery(3350) == "battery"
    assert posture.battery(3349) == "empty"
