"""An entrance: the door controller as it is built on its modelled hardware, and who comes there.

A firmware that ends in an exception stands still, and its watchdog resets it, as on the board.
"""

import random

from firmware.roles import mail_door
from firmware.roles.entrance import OLD_READ_KEY
from protocols.card.identity import Identity
from protocols.rules import access, door, reasons, settings
from protocols.wire import messages
from simulator.cardbox_desfire import DesfireMasters, issue
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.board import HostBoard
from simulator.host.hardware import Hardware
from simulator.world.clock import World
from tests.firmware.counter import (
    CARD_NO,
    DAY,
    DEVICE_KEY,
    MAC_KEY,
    NOON_S,
    POLICY,
    PURSE_KEY,
    SECTOR_BYTES,
    SITE,
    new_card,
    records_on,
)

DEVICE = 2001
MASTERS = DesfireMasters.beside(PURSE_KEY, bytes(range(32, 48)))
WATCHDOG_US = 30_000_000
WATCHDOG_RESET = 3
ALWAYS, OFFICE = [(127, 0, 1440)], [(0b0011111, 8 * 60, 18 * 60)]
STRANGER = CARD_NO + 7  # a card of ours that this door does not know


def new_desfire(card_no=CARD_NO, days=(DAY - 300, DAY + 700), seed=0, masters=MASTERS):
    """A DESFire card as the card centre makes it."""
    uid = b"\x04" + card_no.to_bytes(6, "big")
    return issue(uid, Identity(card_no, 2, *days, 1), 10_000, masters, random.Random(seed))


class Witness:
    """Stands where the transcript stands: lights and sounds."""

    def __init__(self):
        self.lights, self.beeps = [], []

    def add(self, time_us, who, what, data=b""):
        if what == "led":
            self.lights.append(data)
        elif what == "beep":
            self.beeps.append((time_us // 1000, data))


class Entrance:
    """One door, shut, with everything in order; booted unless `boot` is False."""

    build = staticmethod(mail_door.build)

    def __init__(
        self,
        seed=0,
        sectors=16,
        boot=True,
        free=(),
        grant_ms=5000,
        passback_s=0,
        card_sectors=0,
        keys=(),
        pins=(),
        **policy,
    ):
        self.flash = NorFlash(sectors * SECTOR_BYTES, random.Random(seed))
        self.card_flash = None
        if card_sectors:
            self.card_flash = NorFlash(card_sectors * SECTOR_BYTES, random.Random(seed + 1))
        blob = settings.encode(
            {
                "device": DEVICE,
                "site": SITE,
                "merchant_no": 1,
                "device_key": DEVICE_KEY,
                "purse_key": PURSE_KEY,
                "mac_key": MAC_KEY,
                "read_key": MASTERS.read,
                "broker_host": "192.0.2.1",
                "broker_port": 1883,
                "policy": {**POLICY, **policy},
                **{name: key for name, key in dict(keys).items() if name != OLD_READ_KEY},
            }
        )
        cards = [(CARD_NO, (1, 2))]
        rights = access.encode(cards, [ALWAYS, OFFICE], free, grant_ms, passback_s, pins)
        self.witness = Witness()
        nvs = {"settings": blob, "access": rights}
        if OLD_READ_KEY in dict(keys):
            nvs[OLD_READ_KEY] = dict(keys)[OLD_READ_KEY]
        self.hardware = Hardware(
            "door",
            World(NOON_S),
            self.witness,
            self.flash,
            nvs,
            random.Random(seed),
            card_flash=self.card_flash,
        )
        self.lock, self.clock = self.hardware.lock, self.hardware.clock
        self.device = None
        self.net = None  # what stands in for the board's, if anything does
        self.front_end = lambda _hardware: None  # for its card front end, at each boot
        self.booted_us = {}
        self.is_told = False
        self._reset_at_us = None
        self.each_ms = None  # called between two steps
        if boot:
            self.boot()

    # -- power --------------------------------------------------------------------------------

    def boot(self, cause=1, tell_time=True):
        """Power comes, or a reset is over. The first receipt of its life tells the time."""
        self.hardware.boot_cause = cause
        self.hardware.power_on()
        self._reset_at_us = None
        begin_us = self.clock.now_us
        board = HostBoard(self.hardware)
        board.net = self.net or board.net
        self.ticks_us = board.ticks_us
        try:
            self.device = self.build(board, self.front_end(self.hardware))
        except (OSError, PowerCut):
            self.hang()
            return
        self.booted_us[self.device._recorder.boot_id] = begin_us
        if tell_time and not self.is_told:
            self.is_told = True
            now_ms = self.ticks_us() // 1000
            time_s = self.hardware.world.utc_s(self.clock.now_us)
            self.device._clock.observe(time_s, now_ms, now_ms)

    def die(self):
        """The controller's power is gone; the lock's supply is another one."""
        self.device = None
        self._reset_at_us = None
        self.hardware.power_off()

    def hang(self):
        """The firmware stands still; what its pulse unit has begun goes on. Then the watchdog."""
        self.device = None
        self._reset_at_us = self.clock.now_us + WATCHDOG_US

    # -- time ---------------------------------------------------------------------------------

    def run_ms(self, duration_ms):
        """Let the loop of main.py run for that long, or stand still for it."""
        end_us = self.clock.now_us + duration_ms * 1000
        while self.clock.now_us < end_us:
            if self.each_ms is not None:
                self.each_ms(self)
            if self.device is None:
                self._stand_still(end_us)
                continue
            try:
                due_ms = self.device.step(self.ticks_us() // 1000)
            except (OSError, PowerCut):
                self.hang()
                continue
            wait_us = max(due_ms * 1000 - self.ticks_us(), 0)
            self.clock.advance_to(min(self.clock.now_us + wait_us, end_us))
        return self

    def _stand_still(self, end_us):
        self.clock.advance_us(min(50_000, end_us - self.clock.now_us))
        self.hardware.world.now_us = self.clock.now_us
        if self._reset_at_us is not None and self.clock.now_us >= self._reset_at_us:
            self.hardware.power_off()
            self.boot(WATCHDOG_RESET)

    def secured(self):
        self.run_ms(door.SETTLE_MS + 500)
        assert self.state == door.SECURED and self.lock.is_bonded()
        return self

    @property
    def state(self):
        return self.device._door.state if self.device else None

    # -- people -------------------------------------------------------------------------------

    def tap(self, card, hold_ms=500):
        self.hardware.put_card(card)
        self.run_ms(hold_ms)
        self.hardware.take_card(card)
        return self.run_ms(200)

    def released_after_ms(self, card, patience_ms=3000):
        """From a card that is laid down to a coil without current; None if it keeps it."""
        begin_us = self.clock.now_us
        self.hardware.put_card(card)
        for _ in range(patience_ms // 10):
            self.run_ms(10)
            if not self.lock.is_powered():
                break
        self.hardware.take_card(card)
        took_ms = None if self.lock.is_powered() else self.lock.unlocked[-1][0] - begin_us
        self.run_ms(100)  # the field is seen to be empty
        return took_ms if took_ms is None else took_ms // 1000

    def type(self, digits):
        """Somebody types, a key each 150 ms."""
        for key in digits:
            self.hardware.keys += bytes((key,))
            self.run_ms(150)
        return self

    def can_leave(self):
        """Somebody presses the exit button and pushes, for a second at most."""
        self.lock.press(True)
        try:
            for _ in range(20):
                self.run_ms(50)
                if self.lock.push():
                    return True
            return False
        finally:
            self.lock.press(False)

    def turn_key(self):
        self.lock.key_is_turned = True
        self.run_ms(200)
        self.lock.key_is_turned = False
        return self.run_ms(200)

    # -- books --------------------------------------------------------------------------------

    def records(self, *kinds):
        return [each for each in records_on(self.flash, DEVICE) if each["kind"] in kinds]

    def entries(self):
        """(card_no, reason) of every ENTRY."""
        return [(each["card_no"], each["reason"]) for each in self.records(messages.ENTRY)]

    def told(self):
        """(event, state) of every DOOR record, by name."""
        events = [line.split()[0] for line in door.TABLE.strip().split("\n")[1:]]
        return [
            (events[each["event"]], door.STATES[each["state"]])
            for each in self.records(messages.DOOR)
        ]

    def unexplained(self):
        """The times, in ms, at which the coil lost its current and no record says why.

        A record of what happened says it, at that time (where the button's input is dead: that the
        door was opened although it was locked); or the first one behind it is a BOOT:
        until then there was no controller; or it says that records could not be written.
        """
        told = []  # (time, whether it says why, whether it speaks for all that was before)
        for each in self.records(messages.BOOT, messages.DOOR, messages.FAULT):
            at_us = self.booted_us[each["boot_id"]] + each["mono_ms"] * 1000
            is_boot = each["kind"] != messages.DOOR
            if each["kind"] == messages.FAULT and each["last_reason"] != reasons.JOURNAL_FULL:
                continue
            is_why = not is_boot and (
                each["event"] in (door.number("slip"), door.number("opened"))
                or door.STATES[each["state"]] not in door.LOCKING
            )
            told.append((at_us, is_why, is_boot))
        found = []
        for span in self.lock.unlocked[1:]:
            near = any(is_why and abs(us - span[0]) <= 2_000_000 for us, is_why, _ in told)
            behind = [is_boot for us, _, is_boot in told if us > span[0]]
            if not near and not (behind and behind[0]):
                found.append(span[0] // 1000)
        return found


__all__ = ["CARD_NO", "STRANGER", "Entrance", "new_card", "new_desfire"]
