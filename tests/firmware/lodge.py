"""A lock on batteries as it is built on its modelled hardware, in one home or the other.

Time passes in steps of its home; what people do happens between two of them, at its time.
"""

import random

from protocols.rules import access, lock, settings
from protocols.wire import messages
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.home import HostHome
from simulator.host.lock_hardware import LockHardware
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.firmware.counter import (
    CARD_NO,
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
from tests.firmware.entrance import ALWAYS, MASTERS, OFFICE, STRANGER, new_desfire

DEVICE = 3001
WATCHDOG_US, WATCHDOG_RESET = 30_000_000, 3
_EVENTS = [line.split()[0] for line in lock.TABLE.strip().split("\n")[1:]]


class Lodge:
    """One lock with fresh cells, its bolt thrown; booted, and asleep unless `boot` is False."""

    def __init__(
        self, seed=0, sectors=16, boot=True, home=None, card_sectors=0, percent=100, celsius=20
    ):
        draw = random.Random(seed)
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
                "policy": POLICY,
            }
        )
        rights = access.encode([(CARD_NO, (1, 2))], [ALWAYS, OFFICE], (), 5000, 0)
        nvs = {"settings": blob, "access": rights, "serial_baud": b"115200"}
        self.transcript = Transcript()
        self.flash = NorFlash(sectors * SECTOR_BYTES, random.Random(seed))
        card_flash = None
        if card_sectors:
            card_flash = NorFlash(card_sectors * SECTOR_BYTES, random.Random(seed + 1))
        self.hardware = LockHardware(
            *("lock", World(NOON_S), self.transcript, self.flash, nvs, draw),
            {"health_percent": percent, "celsius": celsius},
            card_flash,
        )
        self.hardware.on_wake = self._wake
        self.bolt, self.clock, self.pack = (
            self.hardware.bolt,
            self.hardware.clock,
            self.hardware.pack,
        )
        self.home = home(self.hardware) if home else HostHome("lock", self.hardware)
        self.due_us = 0
        self.is_on = False
        if boot:
            self.boot().until_asleep()

    # -- power and time -----------------------------------------------------------------------

    def boot(self, cause=1):
        """Cells are put in, or a reset is over."""
        try:
            self.hardware.power_on()
            self.hardware.boot_cause = cause
            self.is_on = True
            self.due_us = self.home.start(self.clock.now_us)
        except PowerCut:
            self.die()
        return self

    def die(self):
        """The cells are out, or broke down."""
        self.is_on = False
        self.home.kill()
        self.hardware.power_off()

    def hang(self):
        """Its firmware has ended; its watchdog finds that, its pins as they were."""
        self.home.kill()
        self.clock.advance_us(WATCHDOG_US)
        self.hardware.power_off()
        return self.boot(WATCHDOG_RESET)

    def _wake(self):
        self.due_us = self.clock.now_us

    @property
    def is_asleep(self):
        return self.is_on and self.hardware.wakes_by is not None

    @property
    def device(self):
        return self.home._device

    def run_ms(self, duration_ms):
        """Let the loop of main.py run for that long."""
        end_us = self.clock.now_us + duration_ms * 1000
        while self.is_on and max(self.due_us, self.clock.now_us) < end_us:
            try:
                self.clock.advance_to(self.due_us)
                self.due_us = self.home.run(self.clock.now_us)
                if self.is_asleep and self.hardware.wake_reason():
                    self._wake()  # it was over before it had begun
            except PowerCut:
                self.die()
        self.clock.advance_to(end_us)
        return self

    def until_asleep(self, patience_ms=60000):
        for _ in range(patience_ms // 100):
            if self.is_asleep and self.due_us > self.clock.now_us:
                return self
            self.run_ms(100)
        raise AssertionError("it never sleeps")

    # -- people -------------------------------------------------------------------------------

    def touch(self, bit=lock.TOUCHED, hold_ms=300):
        """A hand at the handle, a key, the inner handle."""
        self.bolt.set_input(bit, True)
        self.run_ms(hold_ms)
        self.bolt.set_input(bit, False)
        return self

    def tap(self, card, hold_ms=800):
        """Somebody touches the lock and holds a card there; whether the handle then opens."""
        self.touch()
        self.hardware.put_card(card)
        self.run_ms(hold_ms)
        self.hardware.take_card(card)
        self.run_ms(200)
        return self.bolt.pull()

    # -- books --------------------------------------------------------------------------------

    def records(self, *kinds):
        return [each for each in records_on(self.flash, DEVICE) if each["kind"] in kinds]

    def entries(self):
        """(card_no, reason) of every ENTRY."""
        return [(each["card_no"], each["reason"]) for each in self.records(messages.ENTRY)]

    def told(self):
        """(event, state) of every DOOR record, by name."""
        return [
            (_EVENTS[each["event"]], lock.STATES[each["state"] - lock.STATES_AT])
            for each in self.records(messages.DOOR)
        ]


__all__ = ["CARD_NO", "STRANGER", "Lodge", "new_card", "new_desfire"]
