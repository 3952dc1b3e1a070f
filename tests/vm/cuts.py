"""Every step of an update by which a reader's kept state changes, and what a cut there leaves.

The steps are those of one update in a real MicroPython: each value that it stores, each sector of
either flash that it erases, each page that it programs. A reader of its own is then cut in each.
"""

from dataclasses import dataclass

from firmware.services import update
from protocols.rules import slots
from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from tests.vm.bench import SETTINGS
from tests.vm.slotted import Slotted

STORE, ERASE, PROGRAM = "store", "erase", "program"


@dataclass(frozen=True)
class Step:
    """`where`: "nvs", "images" or "journal"; `what`: the arguments; and what was, before it."""

    kind: str
    where: str
    what: tuple
    now_us: int
    nvs: dict
    records: tuple

    @property
    def name(self):
        """What a person would call it."""
        if self.where != "nvs":
            return f"{self.where}: {self.kind}"
        key, data = self.what
        if key == slots.STORED_AS:
            return "slots: " + _of_slots(slots.decode(self.nvs[key]), slots.decode(data))
        if key == update.STORED_AS:
            return "warrant: " + _of_warrant(self.nvs.get(key, b""), data)
        return f"nvs: {key}"


def _of_slots(before, after):
    if after[slots.IN_USE] != before[slots.IN_USE]:
        return "the new image is in use, on trial"
    if after[slots.BOOTS] > before[slots.BOOTS]:
        return "the loader counts a boot"
    return "the role proves itself" if before[slots.BOOTS] else "the other slot is empty"


def _of_warrant(before, data):
    if len(data) <= update.HEAD_BYTES:
        return "taken away"
    if data[:1] == update.GO:
        return "the role makes room"
    return "the loader starts the updater" if before[:1] == update.GO else "kept, or how far it is"


class Watched(Slotted):
    """It notes its steps."""

    def __init__(self, *what, **more):
        super().__init__(*what, **more)
        self.steps = []
        self._watch(self.hardware, "nvs_set", STORE, "nvs")
        for where, flash in (("images", self.images), ("journal", self.hardware.flash)):
            for kind in (ERASE, PROGRAM):
                self._watch(flash, kind, kind, where)

    def _watch(self, owner, name, kind, where):
        act = getattr(owner, name)

        def watched(*what):
            held = tuple(one if isinstance(one, int | str) else bytes(one) for one in what)
            own = dict(self.hardware.nvs), tuple(self.depot.records)
            self.steps.append(Step(kind, where, held, self.hardware.clock.now_us, *own))
            return act(*what)

        setattr(owner, name, watched)


class Cells:
    """What both flashes hold, as far as the steps have come."""

    def __init__(self, reader):
        self.images = bytearray(reader.images.image())
        self.journal = bytearray(reader.hardware.flash.image())
        self._sector_bytes = reader.images.sector_bytes

    def do(self, step):
        """One step further."""
        if step.kind == STORE:
            return
        cells = getattr(self, step.where)
        if step.kind == ERASE:
            start = step.what[0] * self._sector_bytes
            cells[start : start + self._sector_bytes] = b"\xff" * self._sector_bytes
        else:
            start, data = step.what
            for at, byte in enumerate(data, start):
                cells[at] &= byte


def cut_in(reader, step, cells):
    """`reader`, a fresh one, as a cut in `step` leaves it; `cells` stand before that."""
    hardware, depot = reader.hardware, reader.depot
    reader.images.load(bytes(cells.images))
    hardware.flash.load(bytes(cells.journal))
    hardware.nvs.clear()
    hardware.nvs.update(step.nvs)
    hardware.clock.advance_to(step.now_us)
    depot.records[:] = step.records
    if step.kind != STORE:
        flash = reader.images if step.where == "images" else hardware.flash
        flash.cut_after(0)
        try:
            getattr(flash, step.kind)(*step.what)
        except PowerCut:
            pass
    return reader


def boots(reader):
    """The versions that have told the ledger that they run, in order."""
    kinds = reader.depot.kinds()
    return [one["firmware"] for one in kinds if one["kind"] == messages.BOOT]


def is_chain(records):
    """Whether they are the reader's, all of them, in order."""
    before = seal.CHAIN_START
    for seq, sealed in enumerate(records, 1):
        payload = seal.unseal(SETTINGS["device_key"], sealed, before)
        if messages.decode_record(payload)["seq"] != seq:
            return False
        before = seal.tag_of(sealed)
    return True
