"""One door of the residence: its hardware, what was seen of it from outside, and what is wrong.

The hardware is the simulator's; it tells of each record at the moment its flash has taken it, and
of each message that its wire has brought. Nothing here asks the firmware what it thinks.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from protocols.rules import access, card_status
from protocols.rules.card_status import PAGE_BYTES
from protocols.wire import messages, mqtt, seal
from protocols.wire.errors import WireError
from simulator.chips.nor_flash import NorFlash
from simulator.host.hardware import Hardware
from simulator.residence.doze import DozingReader
from simulator.residence.place import SECTOR_BYTES, Linked, Place, Recording, Silent
from simulator.torture.cable import Cable
from simulator.world.clock import World

_PACKET_BYTES_MAX = 1 << 16
_USED_US = 5_000_000  # from the last page of a map to a door that goes by it


class DoorHardware(Recording, Hardware):
    """Tells of each record on flash, and `on_message(payload)` of the wire."""

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
class Doorway(Linked, Place):
    """One door and what is true about it."""

    hardware: DoorHardware
    reader: DozingReader
    cable: Cable
    heard_epoch: int = 0
    fooled_us: int = -1  # until when its battery clock was plausible and wrong

    def __post_init__(self) -> None:
        super().__post_init__()
        self._maps = HeardMaps(self.key)
        self.hardware.on_message = self._message

    @property
    def lock(self) -> Any:
        """Its lock, to look at: rouse the reader before."""
        return self.hardware.lock

    # -- what is wrong with it ------------------------------------------------------------------

    def fall_ill(self) -> None:
        """See Place."""
        self.look_at_link()
        super().fall_ill()

    def recover(self) -> None:
        """See Place."""
        super().recover()
        self.linked_us = self.well_us

    def may_hear(self) -> bool:
        """See Linked."""
        return super().may_hear() and not self.ill

    def is_sure_of_time(self) -> bool:
        """Whether it has heard from the ledger long enough since it was switched on."""
        self.look_at_link()
        return self.known_us > max(self.boots[-1], self.fooled_us)

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

    def _message(self, payload: bytes) -> None:
        epoch = self._maps.hear(payload)
        if epoch:
            boot = len(self.boots)
            self.world.at(self.world.now_us + _USED_US, lambda: self._used(epoch, boot))

    def _used(self, epoch: int, boot: int) -> None:
        if boot == len(self.boots) and self.reader.is_on:
            self.heard_epoch = max(self.heard_epoch, epoch)
