"""A door and its two maps: cards that are lost, and who may enter, told to it over the air.

What an agent says comes from a bench, without a network (card_desk.py); it goes in where the
uplink would bring it.
"""

import pytest

from protocols.rules import access, card_status, reasons
from protocols.rules.card_status import ACTIVE, CLOSED, LOST, SUSPENDED
from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from tests.firmware.card_desk import Centre
from tests.firmware.counter import NOON_S
from tests.firmware.entrance import ALWAYS, CARD_NO, OFFICE, STRANGER, Entrance, new_card
from tests.firmware.entrance_net import CARDS_KEY, Rights, answer

SECTORS = 16
EXPIRED_S = 120


class Line:
    """An uplink that is there for as long as maps are talked of."""

    online = True

    def __init__(self):
        self.counters = {"sessions": 1}
        self.asked = []

    def say(self, message_type, fields):
        data = messages.encode_message(message_type, {**fields, "device": 1})
        self.asked.append(messages.decode_message(data, (messages.CARDS,)))
        return True


class Site(Entrance):
    """A door with flash for maps, and what the ledger knows: `centre` of cards, `rights`."""

    def __init__(self, **own):
        self.centre, self.rights = Centre(), Rights()
        self.centre.now_s = NOON_S
        self.centre.set(CARD_NO, ACTIVE)
        super().__init__(card_sectors=SECTORS, **own)

    def answer(self, asked):
        return answer(self.centre, self.rights, asked)

    def grant(self, groups, grant_ms=5000):
        """From now on: the groups of cards from CARD_NO on."""
        self.rights.say(access.encode([(CARD_NO, groups)], [ALWAYS, OFFICE], (), grant_ms, 0))

    def hear(self, said):
        """The word the door has for a CARDS of the agent."""
        now_ms = self.ticks_us() // 1000
        return self.device._uplink.on_cards(dict(said), now_ms)

    def inform(self, ms=20_000):
        """The door is online for so long; False if its power went meanwhile."""
        line, device = Line(), self.device
        device._card_map._uplink = device._access_map._uplink = line
        device._card_map._session = device._access_map._map._session = 0
        device._access_map.counters = line.counters

        def talk(site):
            if site.device is device:
                while line.asked:
                    said = site.answer(line.asked.pop(0))
                    if said is not None:
                        site.hear(said)

        self.each_ms = talk
        try:
            self.run_ms(ms)
        except PowerCut:
            return False
        finally:
            self.each_ms = None
        line.online = False
        return self.device is device

    def enters(self, card):
        """Whether a card lets one in; back at the locked door afterwards."""
        is_let_in = self.released_after_ms(card, 1_000) is not None
        self.run_ms(9_000)
        return is_let_in

    def allowed(self, cards=40):
        """Which cards from CARD_NO on have a group."""
        group = self.device._access.group
        return [group(CARD_NO + number) for number in range(cards)]


# --- cards that are lost (R10, R14.2, R24.2) -----------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (LOST, reasons.CARD_LOST),
        (SUSPENDED, reasons.CARD_SUSPENDED),
        (CLOSED, reasons.CARD_CLOSED),
    ],
)
def test_a_card_that_is_not_active_does_not_open(status, reason):
    site = Site().secured()
    card = new_card()
    assert site.enters(card)
    site.centre.set(CARD_NO, status)
    site.inform()
    assert not site.enters(card)
    site.die()
    site.boot()  # what it knows it knows behind a power cut
    site.secured()
    assert not site.enters(card)
    assert site.entries()[-2:] == [(CARD_NO, reason)] * 2
    assert site.can_leave()
    site.lock.shut()
    site.run_ms(40_000)
    site.centre.set(CARD_NO, ACTIVE)
    site.inform()
    assert site.enters(card)
    assert site.unexplained() == []


def test_who_tries_a_lost_card_again_and_again_is_called_out():
    site = Site().secured()
    site.centre.set(CARD_NO, LOST)
    site.inform()
    for _ in range(access.TRIES_MAX):
        site.tap(new_card())
    assert site.entries()[-1] == (0, access.LOCKED_OUT)


def test_without_network_a_card_opens_unless_policy_says_the_map_is_too_old():
    for expired_s, opens in ((0, True), (EXPIRED_S, False)):
        site = Site(map_expired_s=expired_s).secured()
        site.inform()
        assert site.enters(new_card())
        site.run_ms(EXPIRED_S * 1_000)
        assert site.enters(new_card()) == opens
    assert site.entries()[-1] == (CARD_NO, reasons.MAP_EXPIRED)
    site.centre.now_s = site.hardware.world.utc_s(site.clock.now_us)
    site.inform()
    assert site.enters(new_card())


# --- who may enter (R8.2, R9.2) ------------------------------------------------------------------


def test_a_grant_and_its_end_come_over_the_air_and_stay():
    site = Site().secured()
    stranger, known = new_card(STRANGER), new_card()
    assert not site.enters(stranger)
    site.grant([0] * 7 + [1], grant_ms=9_000)
    site.inform()
    for _ in range(2):
        assert site.enters(stranger)
        site.secured()
        assert not site.enters(known), "what it was set up with has been replaced"
        site.die()
        site.boot()
        site.secured()
    site.grant([1])
    site.inform()
    assert site.enters(known)
    assert not site.enters(stranger)


def test_a_door_that_the_ledger_does_not_know_goes_on_with_what_it_was_set_up_with():
    site = Site().secured()
    site.inform()
    assert site.device._card_map.map_in_use() is not None
    assert site.enters(new_card())


@pytest.mark.parametrize("how", ["", "late"])
@pytest.mark.parametrize("which", ["flash", "card_flash"])
def test_a_cut_leaves_the_old_rights_or_the_new_ones(which, how):
    """At every flash operation of either flash while a new map of two pages comes."""
    old, new = [1, 0] * 300, [0, 1] * 300
    for operations in range(1_000):
        site = Site(seed=operations)
        site.grant(old)
        site.inform()
        site.grant(new)
        getattr(site, which).cut_after(operations, how=how)
        is_over = site.inform()
        for flash in (site.flash, site.card_flash):
            flash._cut_at = None
        site.die()
        site.boot()
        assert site.allowed() in (old[:40], new[:40]), operations
        assert site.can_leave()
        site.lock.shut()
        site.inform()
        assert site.allowed() == new[:40], operations
        if is_over:
            break
    print(operations, "cuts")
    # On one the map's sector, its spare one and the pages; on the other what says that it counts.
    assert operations >= (4 if which == "card_flash" else 1)


def test_nothing_older_and_nothing_forged_counts():
    site = Site().secured()
    site.grant([1, 1])
    first = site.rights.news(made_s=NOON_S + 99)
    site.grant([0, 1])
    site.inform()
    held = site.allowed()
    assert site.hear(first) == "repeated"
    assert site.hear(site.rights.news(made_s=NOON_S - 1)) == "repeated"
    site.grant([1, 1])
    good = site.rights.news()
    for at in range(len(good["data"])):
        data = bytearray(good["data"])
        data[at] ^= 0x40
        assert site.hear({**good, "data": bytes(data)}) == "forged"
    # The word for one map is none for the other, nor for another door.
    assert site.hear(site.rights.news(key=CARDS_KEY)) == "forged"
    assert site.hear({**good, "page": 0}) == "forged"
    card_word = {"epoch": 0, "page": access.PAGES_AT, "data": site.centre.warrant(key=CARDS_KEY)}
    assert site.hear(card_word) == "forged"
    other = seal.derive(seal.derive(bytes(32), access.LABEL), card_status.LABEL)
    assert site.hear(site.rights.news(key=other)) == "forged"
    site.run_ms(1_000)
    assert site.allowed() == held


def test_another_map_under_the_same_number_is_taken_if_the_word_for_it_is_newer():
    """Of books that came back from a backup and have gone on otherwise."""
    site = Site().secured()
    site.grant([1, 1])
    site.inform()
    assert site.allowed()[:3] == [1, 1, 0]
    site.rights.epoch -= 1
    site.rights.now_s += 60
    site.grant([0, 1, 1])
    site.inform()
    assert site.allowed()[:3] == [0, 1, 1]


def test_a_forged_page_costs_the_new_map_not_the_old_one():
    site = Site().secured()
    site.grant([0, 1])
    site.inform()
    site.grant([1, 1])
    answer = site.answer

    def spoilt(asked):
        said = answer(asked)
        if asked["page"] > access.PAGES_AT:
            said["data"] = said["data"][:-1] + bytes((said["data"][-1] ^ 1,))
        return said

    site.answer = spoilt
    site.inform()
    assert site.allowed(2) == [0, 1]
    site.answer = answer
    site.inform()
    assert site.allowed(2) == [1, 1]


def test_a_map_that_is_replaced_while_it_comes():
    """Nobody has its pages any more: what has replaced it is fetched instead."""
    site = Site().secured()
    site.grant([1] * 2_000)
    answer, fetched = site.answer, []

    def changing(asked):
        if asked["page"] > access.PAGES_AT:
            fetched.append(asked["epoch"])
            if len(fetched) == 3:
                site.grant([0] * 2_000)
                return site.rights.news()
            if asked["epoch"] != site.rights.epoch:
                return None
        return answer(asked)

    site.answer = changing
    site.inform()
    assert set(fetched) == {1, 2}
    assert site.allowed() == [0] * 40
    site.die()
    site.boot()
    assert site.allowed() == [0] * 40


def test_a_map_that_nobody_can_read_lets_nobody_in_and_is_told():
    site = Site().secured()
    site.grant([1])
    site.rights.blob = b"\x00\x01\xa0"
    site.inform()
    assert not site.enters(new_card())
    assert site.records(messages.FAULT) != [] and site.can_leave()


def test_the_door_is_held_while_maps_come_and_no_step_is_too_long():
    site = Site().secured()
    site.grant([1] * access.CARDS_MAX)
    for card_no in range(100, 60_000, 331):
        site.centre.set(card_no, LOST)
    longest_us, step = 0, site.device.step

    def timed(now_ms):
        nonlocal longest_us
        begin_us = site.clock.now_us
        due_ms = step(now_ms)
        longest_us = max(longest_us, site.clock.now_us - begin_us)
        return due_ms

    site.device.step = timed
    site.inform(60_000)
    assert site.allowed(3) == [1, 1, 1]
    assert site.device._card_map.known(100)[0] == LOST
    print("longest step", longest_us, "us")
    assert 45_000 < longest_us < 300_000
    assert len(site.lock.unlocked) == 1 and site.lock.is_powered()


def test_a_card_that_is_left_lying_there_keeps_no_map_out():
    site = Site().secured()
    site.hardware.put_card(new_card(STRANGER))
    site.centre.set(CARD_NO, LOST)
    site.grant([1])
    site.inform()
    assert site.device._card_map.known(CARD_NO)[0] == LOST
    assert site.allowed(2) == [1, 0]
