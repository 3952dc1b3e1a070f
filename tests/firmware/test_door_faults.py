"""Every single and double fault of a door, its network, its gateway and its flash.

Whoever is inside gets out while it lasts, and afterwards a record says why, of every unlocking.
"""

import random
from itertools import combinations

import pytest

from protocols.rules import access, door
from protocols.rules.card_status import ACTIVE
from protocols.wire import messages, seal
from simulator.host.card_port import front_end
from tests.firmware.counter import records_on
from tests.firmware.entrance import ALWAYS, CARD_NO, DEVICE, Entrance, new_card
from tests.firmware.entrance_net import Gateway

MAP = access.encode([(CARD_NO, [1])], [ALWAYS], (), 5000, 0)
SEED = 26
SLOW_US = 400_000  # what an erase may take by the data sheet of a flash


class Site(Entrance):
    """A door with flash for maps that is online, and what is wrong with its flash."""

    def __init__(self):
        super().__init__(card_sectors=16, boot=False)
        self.gateway = Gateway(DEVICE, random.Random(SEED))
        self.gateway.centre.set(CARD_NO, ACTIVE)
        self.gateway.rights.say(MAP)
        self.net = self.gateway.net
        self.front_end = front_end  # a look at the field costs a tenth
        self.flash_is = set()
        self.hardware.before_flash = self._use_flash
        self.chatters = False
        self.each_ms = type(self)._live
        self.boot()

    def _live(self):
        self.gateway.step()
        if self.chatters:
            self.lock.mains(self.clock.now_us // 400_000 % 2 > 0)

    def _use_flash(self, _number):
        if "slow" in self.flash_is:
            self.clock.advance_us(SLOW_US)
        if "dead" in self.flash_is:
            raise OSError(5)

    def wear(self, how):
        """No sector of either flash takes anything any more; "": they all do."""
        for flash in (self.flash, self.card_flash):
            for sector in range(flash.size_bytes // flash.sector_bytes):
                flash.fail_sector(sector, how)

    def blind(self, is_blind):
        """Nothing can be read from either flash."""

        def fail(_address, _size):
            raise OSError(5)

        if is_blind:
            self.hardware.flash_read = fail
        else:
            del self.hardware.flash_read

    def _all_records(self):
        """What the gateway has heard, and what is still on flash: each once, in order."""
        heard = [messages.decode_record(seal.payload_of(each)) for each in self.gateway.records]
        on_flash = records_on(self.flash, DEVICE)
        return heard + [each for each in on_flash if each["seq"] > len(heard)]

    def records(self, *kinds):
        return [each for each in self._all_records() if each["kind"] in kinds]


def stuck(bit, level):
    """An input of the lock that always says the same."""
    return (
        lambda s: s.lock.stuck.update({bit: level}),
        lambda s: s.lock.stuck.pop(bit, None),
    )


def relay(how):
    return (
        lambda s: setattr(s.lock, "relay_is", how),
        lambda s: setattr(s.lock, "relay_is", ""),
    )


def flash(how):
    return (lambda s: s.flash_is.add(how), lambda s: s.flash_is.discard(how))


def gateway(name):
    return (
        lambda s: setattr(s.gateway, name, True),
        lambda s: setattr(s.gateway, name, False),
    )


def nothing(_site):
    pass


def steady(site):
    site.chatters = False
    site.lock.mains(True)


# What happens, and how it ends.
FAULTS = {
    "mains gone": (lambda s: s.lock.mains(False), lambda s: s.lock.mains(True)),
    "mains chatter": (lambda s: setattr(s, "chatters", True), steady),
    "controller without supply": (lambda s: s.die(), nothing),
    "controller hung": (lambda s: s.hang(), nothing),
    "fire input stuck quiet": stuck(door.FIRE_QUIET, 1),
    "fire input stuck alarm": stuck(door.FIRE_QUIET, 0),
    "exit input stuck idle": stuck(door.EXIT_IDLE, 1),
    "relay welded": relay("welded"),
    "relay open": relay("open"),
    "flash dead": flash("dead"),
    "flash unreadable": (lambda s: s.blind(True), lambda s: s.blind(False)),
    "flash worn": (lambda s: s.wear("no program"), lambda s: s.wear("")),
    "flash slow": flash("slow"),
    "network gone": (lambda s: s.gateway.cut(), lambda s: s.gateway.plug()),
    "network jammed": (lambda s: s.gateway.jam(True), lambda s: s.gateway.jam(False)),
    "gateway silent": gateway("is_silent"),
    "gateway mad": gateway("is_mad"),
}
NEEDS_A_BOOT = {"flash dead", "flash unreadable", "flash worn"}
CASES = [(name,) for name in FAULTS] + list(combinations(FAULTS, 2))


def played(faults):
    """A door at work, to which these things happen; they are over, and it is locked again."""
    site = Site().secured()
    for fault in faults:
        FAULTS[fault][0](site)
    # What is under way while it happens: a map, and somebody who wants in.
    site.gateway.rights.say(MAP)
    site.tap(new_card())
    site.lock.shut()
    for _ in range(2):
        site.run_ms(1500)
        assert site.can_leave(), "somebody is kept in"
        site.run_ms(300)
        site.lock.shut()
    for fault in faults:
        FAULTS[fault][1](site)
    site.run_ms(1000)
    if site.device is None or NEEDS_A_BOOT & set(faults):
        site.die()  # whoever mends it starts it anew
        site.boot()
    site.run_ms(door.CHATTER_MS)
    site.turn_key()
    site.run_ms(door.EXIT_MS + door.SETTLE_MS + 2000)
    return site.secured()


@pytest.mark.parametrize("faults", CASES, ids=" + ".join)
def test_whoever_is_inside_gets_out_and_every_unlocking_is_explained(faults):
    site = played(faults)
    assert site.unexplained() == []
    # Mended, it is online, has sent all of it, holds the newest map, and opens for whom it should.
    head = site.device._recorder.head_seq()
    assert len(site.gateway.records) == head
    assert site.device._access_map._map.map_in_use()[2] == site.gateway.rights.epoch
    assert site.device._access.group(CARD_NO) == 1
    assert site.released_after_ms(new_card()) is not None


def test_the_bench_is_online_and_can_be_cut():
    """Or the table above would say nothing of networks."""
    site = Site().secured()
    assert site.device._uplink.online and site.gateway.sessions == 1
    assert site.device._access_map._map.map_in_use()[2] == 1
    for name in ("network gone", "network jammed", "gateway silent"):
        FAULTS[name][0](site)
        site.run_ms(180_000)
        assert not site.device._uplink.online, name
        FAULTS[name][1](site)
        site.run_ms(60_000)
        assert site.device._uplink.online, name
    FAULTS["gateway mad"][0](site)
    site.run_ms(5_000)
    counters = site.device._uplink.counters
    assert all(counters[name] for name in ("repeated", "forged", "retained", "malformed"))
