"""One door of the residence: its hardware, what was seen of it from outside, and what is wrong.

The hardware is the simulator's; it tells of each record at the moment its flash has taken it, and
of each message that its wire has brought. Nothing here asks the firmware what it thinks.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from protocols.rules import access, card_status
from protocols.rules.card_status import PAGE_BYTES
from protocols.wire import messages, mqtt, seal
from protocols.wire.errors import WireError
from simulator.chips.nor_flash import NorFlash
from simulator.host.hardware import CARDS_AT, Hardware
from simulator.residence.doze import DozingReader
from simulator.torture.cable import Cable
from simulator.world.clock import World
from simulator.world.transcript import Transcript

SECTOR_BYTES = 4096
_SEALED = b"\xd1\x84\x43\xa1\x01\x05\xa0"  # how every sealed record begins (protocols/wire/seal)
_PACKET_BYTES_MAX = 1 << 16
# After so long in good order whatever the ledger said has arrived: an agent asks every 300 s.
SYNC_US = 420_000_000
# From a boot, or from the end of whatever was wrong, to a door that does what it should.
SETTLED_US = 8_000_000
_USED_US = 5_000_000  # from the last page of a map to a door that goes by it


class Silent(Transcript):
    """No event log: a fortnight of it is of no use to anybody."""

    def add(self, time_us: int, who: str, what: str, data: bytes | str | int = b"") -> None:
        """See Transcript."""


@dataclass(frozen=True)
class Written:
    """A record that has come on flash whole; `time_us` is the true one."""

    time_us: int
    seq: int
    sealed: bytes
    fields: dict[str, Any]


class DoorHardware(Hardware):
    """Tells `on_record(sealed)` of each record on flash and `on_message(payload)` of the wire."""

    on_record: Callable[[bytes], None] = staticmethod(lambda _sealed: None)
    on_message: Callable[[bytes], None] = staticmethod(lambda _payload: None)

    def __init__(
        self,
        name: str,
        world: World,
        nvs: dict[str, bytes],
        draw: random.Random,
        sectors: tuple[int, int],
    ) -> None:
        flash, card_flash = (NorFlash(count * SECTOR_BYTES, draw) for count in sectors)
        super().__init__(name, world, Silent(), flash, nvs, draw, card_flash=card_flash)
        self._reader = mqtt.PacketReader(_PACKET_BYTES_MAX)

    def flash_program(self, address: int, data: bytes) -> None:
        super().flash_program(address, data)
        at = data.find(_SEALED)
        if at >= 0 and address < CARDS_AT:
            self.on_record(data[at:])

    def net_open(self, host: str, port: int) -> int:
        self._reader = mqtt.PacketReader(_PACKET_BYTES_MAX)
        return super().net_open(host, port)

    def net_recv(self, handle: int, size: int) -> bytes | None:
        data = super().net_recv(handle, size)
        for packet in self._reader.feed(data or b""):
            event = mqtt.parse(*packet)
            if event[0] == mqtt.PUBLISH and not event[4]:  # retained: said to somebody else
                self.on_message(bytes(event[2]))
        return data


class HeardMaps:
    """The access maps that have come over a door's wire, whole and as the ledger vouched for."""

    def __init__(self, device_key: bytes) -> None:
        key = seal.derive(device_key, access.LABEL)
        self._key = seal.derive(key, card_status.LABEL)
        self._wanted: tuple[int, int, bytes] | None = None  # epoch, bytes, digest
        self._pages = b""

    def hear(self, payload: bytes) -> int:
        """The epoch of the map that this message has made whole; 0: none."""
        try:
            said = messages.decode_message(payload, (messages.CARDS,))
        except WireError:
            return 0
        page, data = said["page"] - access.PAGES_AT, said["data"]
        if page < 0:
            return 0
        if not page:
            self._begin(data)
            return 0
        if self._wanted is None or page != len(self._pages) // PAGE_BYTES + 1:
            return 0
        epoch, size, digest = self._wanted
        if said["epoch"] != epoch:
            return 0
        self._pages += data
        if len(self._pages) < size or sha256(self._pages).digest()[:16] != digest:
            return 0
        return epoch

    def _begin(self, data: bytes) -> None:
        try:
            word = seal.unseal(self._key, data[: card_status.WARRANT_BYTES], card_status.LABEL)
        except WireError:
            return
        epoch, _, size, _, digest = struct.unpack(card_status.WARRANT, word)
        if self._wanted is None or epoch > self._wanted[0]:
            self._wanted, self._pages = (epoch, size, digest), b""


@dataclass(eq=False)
class Doorway:
    """One door and what is true about it.

    `story`: (time_us, what) of all that was done to its inputs; `ill`: how many things are wrong
    with it now; `cut`: how many of its line, or of what lies behind it.
    """

    name: str
    device: int
    key: bytes
    world: World
    hardware: DoorHardware
    reader: DozingReader
    cable: Cable
    story: list[tuple[int, str]] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    free_us: int = 0  # from when on nobody stands before it
    ill: int = 1  # without power
    well_us: int = 0  # since when it does what it should, if it is not ill
    cut: int = 0
    linked_us: int = 0  # since when the wire is in order, if nothing is cut
    known_us: int = 0  # whatever the ledger said until then has arrived
    heard_epoch: int = 0
    fooled_us: int = -1  # until when its battery clock was plausible and wrong
    refused_us: list[int] = field(default_factory=list)  # who was not let in, and when
    boots: list[int] = field(default_factory=list)
    on_doubt: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self._maps = HeardMaps(self.key)
        self.hardware.on_record = self._record
        self.hardware.on_message = self._message

    @property
    def lock(self) -> Any:
        """Its lock, to look at: rouse the reader before."""
        return self.hardware.lock

    def tell(self, what: str) -> None:
        """Something was done to it now."""
        self.story.append((self.world.now_us, what))

    # -- what is wrong with it ------------------------------------------------------------------

    def fall_ill(self) -> None:
        """Something is wrong with it from now on."""
        self.look_at_link()
        self.ill += 1

    def recover(self) -> None:
        """One thing less is wrong with it."""
        self.ill -= 1
        self.well_us = self.linked_us = self.world.now_us + SETTLED_US

    def lose_link(self) -> None:
        """Its line, or something behind it, is out of order from now on."""
        self.look_at_link()
        self.cut += 1

    def regain_link(self) -> None:
        """One thing less is wrong with it."""
        self.cut -= 1
        self.linked_us = self.world.now_us

    def look_at_link(self) -> None:
        """Note how much of what the ledger said has surely arrived."""
        if not self.ill and not self.cut and self.world.now_us - self.linked_us >= SYNC_US:
            self.known_us = self.world.now_us - SYNC_US

    def is_well(self) -> bool:
        """Whether it does what it should, and has for a while."""
        return not self.ill and self.world.now_us >= self.well_us

    def is_sure_of_time(self) -> bool:
        """Whether it has heard from the ledger long enough since it was switched on."""
        self.look_at_link()
        return self.known_us > max(self.boots[-1], self.fooled_us)

    def entries(self, from_us: int, to_us: int) -> list[Written]:
        """The ENTRYs that came on flash between two times."""
        found = []
        for each in reversed(self.written):
            if each.time_us < from_us:
                break
            if each.time_us <= to_us and each.fields["kind"] == messages.ENTRY:
                found.append(each)
        return found[::-1]

    def was_released(self, from_us: int, to_us: int) -> bool:
        """Whether the coil was without current at some time between two."""
        self.hardware.lock.is_powered()
        for span in reversed(self.hardware.lock.unlocked):
            if len(span) > 1 and span[1] < from_us:
                return False
            if span[0] <= to_us:
                return True
        return False

    # -- what is seen of it ---------------------------------------------------------------------

    def _record(self, sealed: bytes) -> None:
        try:
            fields = messages.decode_record(seal.payload_of(sealed))
        except WireError:
            return  # not at the end of what is programmed: no record of its own
        self.written.append(Written(self.hardware.clock.now_us, fields["seq"], sealed, fields))

    def _message(self, payload: bytes) -> None:
        epoch = self._maps.hear(payload)
        if epoch:
            boot = len(self.boots)
            self.world.at(self.world.now_us + _USED_US, lambda: self._used(epoch, boot))

    def _used(self, epoch: int, boot: int) -> None:
        if boot == len(self.boots) and self.reader.is_on:
            self.heard_epoch = max(self.heard_epoch, epoch)
