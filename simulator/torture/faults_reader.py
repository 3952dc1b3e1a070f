"""What can happen to cards, readers and their flash: each function strikes once.

Rules: see faults.py, which has the table.
"""

from __future__ import annotations

import random
from functools import partial

from firmware.drivers.ticks import WRAP_US
from protocols.rules import reasons
from simulator.cards.desfire import Desfire
from simulator.checkers import journal_of
from simulator.chips.nor_flash import SECTOR_FAULTS
from simulator.host.hardware import EPOCH_1970_S, EPOCH_2000_S
from simulator.people import Customer
from simulator.phones import PAYMENT, PICTURE
from simulator.torture.campus import SECTOR_BYTES, Campus
from simulator.torture.watch import BATTERY_STOP_MV

_SECOND = 1_000_000  # microseconds
_DAY_S = 86_400
_ROT_APART_BYTES = 600  # two rotten bits never share a record, nor the newest one
# No two customers of a run pay the same, so that LAST PAID can only mean one of them.
PRICES_FEN = (100, 600, 1100, 1600, 2500, 3500, 6200)
_PRICE_STEP_FEN = 400
_TORN_MS = (15, 160)
_TORN_DESFIRE_MS = (70, 140)  # its commit is under way at about 110
_TORN_LOAD_MS = (140, 450)  # and money comes on it behind the spend
_HOLD_MS = (400, 900)
_RADIO = (
    ("flip_answer", 64),
    ("flip_command", 64),
    ("lose_answer", 1),
    ("lose_command", 1),
    ("parity", 1),
    ("noise", 12),
)
_NOISE = bytes(byte for byte in range(256) if byte not in b"0123456789.\r\x1b+FT")
_WINDOWS_MAX = 5
_CANCEL_IN = 5  # one customer in so many changes his mind
_NEWEST_RECORDS = 20
_WAITING = (reasons.display(reasons.TAP_AGAIN), reasons.display(reasons.SAME_CARD_PLEASE))
_STRANGER_US = 250_000
_DRIFT_PPM = 150  # within what rules/clock.py allows a crystal
_BAD_SECTORS_MAX = 1  # of a ring of six; a real one has hundreds


def customer(
    campus: Campus, draw: random.Random, *, torn: bool = False, two: bool = False
) -> None:
    """Somebody wants to eat, if a card is free and a line is short."""
    windows = [one for one in campus.open_windows() if len(one.clerk.queue) < 3]
    free = campus.free_cards()
    if not windows or len(free) < 2:
        return
    held = draw.choice(free)
    others = [card for card in draw.sample(free, 2) if card is not held][:1] if two else []
    torn_ms = _TORN_DESFIRE_MS if isinstance(held.chip, Desfire) else _TORN_MS
    if campus.business.loads and campus.manners.randrange(2):
        torn_ms = _TORN_LOAD_MS
    hold_ms = [draw.randrange(*torn_ms), 700] if torn else [draw.randrange(*_HOLD_MS)]
    campus.customers += 1
    amount_fen = draw.choice(PRICES_FEN) + campus.customers % _PRICE_STEP_FEN
    window = draw.choice(windows)
    customer = Customer(held, amount_fen, hold_ms, others)
    if campus.business.cancels and not two:
        customer.changes_mind = campus.manners.randrange(_CANCEL_IN) == 0
        customer.cancels_again = campus.manners.randrange(3) == 0
    if window.hardware.scanner is not None and not (torn or two):
        _take_phone(campus, customer)
    campus.arrive(window, customer)


def _take_phone(campus: Campus, customer: Customer) -> None:
    """Some pay by phone where there is a scanner, and a few show a picture of their last code."""
    draw = campus.manners
    if draw.randrange(2) and customer.held.issued_fen is not None:
        shows = PICTURE if draw.randrange(8) == 0 else PAYMENT
        customer.code = partial(campus.phones.show, customer.held.card_no, shows)
        customer.changes_mind = False


# -- cards ------------------------------------------------------------------------------------


def torn(campus: Campus, draw: random.Random) -> None:
    for card in campus.cards:
        card.chip.torn = draw.choice(("mixed", "erased", "old", "new"))
    customer(campus, draw, torn=True)


def two_cards(campus: Campus, draw: random.Random) -> None:
    customer(campus, draw, two=True)


def stranger(campus: Campus, draw: random.Random) -> None:
    """Somebody else holds a card to a reader that waits for the one it has begun with."""
    waiting = [
        window
        for window in campus.open_windows()
        if window.hardware.panel.lines[0] in _WAITING and not window.hardware.field.cards
    ]
    free = campus.free_cards()
    if not waiting or len(free) < 2:
        return
    window, held = draw.choice(waiting), draw.choice(free)
    held.is_busy = True
    window.hardware.put_card(held.chip)
    campus.fired["another card than the one awaited"] += 1

    def leave() -> None:
        window.hardware.take_card(held.chip)
        held.is_busy = False

    window.reader.at(campus.world.now_us + _STRANGER_US, leave)


def radio(campus: Campus, draw: random.Random) -> None:
    window = campus.any_window(draw)
    first = draw.randrange(40)
    for after in range(first, first + draw.randrange(1, 8)):
        effect, bound = draw.choice(_RADIO)
        window.hardware.field.disturb(effect, draw.randrange(bound), after=after)


def keypad_noise(campus: Campus, draw: random.Random) -> None:
    window = campus.any_window(draw)
    if window.reader.is_on:
        window.hardware.keys += bytes(draw.choice(_NOISE) for _ in range(draw.randrange(1, 60)))
        window.reader.wake(campus.world.now_us)
        campus.fired["uart noise"] += 1


# -- power ------------------------------------------------------------------------------------


def power_cut(campus: Campus, draw: random.Random) -> None:
    window = campus.any_window(draw)

    def fall() -> None:
        if not campus.is_healing:
            campus.fired["power cut"] += window.reader.is_on
            window.reader.cut_power_at(campus.world.now_us)

    campus.later(draw.randrange(2 * _SECOND), fall)


def cut_in_flash(campus: Campus, draw: random.Random) -> None:
    """The power goes inside one of the next programs or erases."""
    hardware, operations = campus.any_window(draw).hardware, draw.randrange(8)
    flash = hardware.flash
    if hardware.card_flash is not None and campus.manners.randrange(2):
        flash = hardware.card_flash
    flash.cut_after(operations)


def sawtooth(campus: Campus, draw: random.Random) -> None:
    """The supply comes and goes several times a second."""
    window = campus.any_window(draw)
    for _ in range(draw.randrange(3, 7)):

        def tooth() -> None:
            if campus.is_healing:
                return
            if window.reader.is_on:
                window.reader.switch_off()
                campus.fired["power sawtooth"] += 1
            campus.switch_on(window)

        campus.later(draw.randrange(2 * _SECOND), tooth)


def mains(campus: Campus, draw: random.Random) -> None:
    """The mains are gone for a while, and some batteries are not what they were."""
    window = campus.any_window(draw)
    hardware = window.hardware
    if not hardware.mains_on:
        return
    if draw.randrange(3) == 0:
        hardware.battery_mv_now = BATTERY_STOP_MV + draw.randrange(-20, 5)
    hardware.set_mains(False)
    campus.fired["mains gone"] += 1

    def back() -> None:
        hardware.set_mains(True)
        hardware.battery_mv_now = 4150

    campus.until(draw.randrange(5, 60) * _SECOND, back)


def out_of_memory(campus: Campus, draw: random.Random) -> None:
    """The heap is exhausted at one of the next calls of a reader to its board."""
    campus.trace.out_of_memory_in = draw.randrange(400)


# -- flash ------------------------------------------------------------------------------------


def rot(campus: Campus, draw: random.Random) -> None:
    """One bit of what lies on flash turns over."""
    window = campus.any_window(draw)
    flash, newest = window.hardware.flash, window.hardware.written_at
    at = draw.randrange(flash.size_bytes)
    sector = at // SECTOR_BYTES
    window.rotten = [old for old in window.rotten if flash.erases[old[1]] == old[2]]
    near = [newest, *(old[0] for old in window.rotten)]
    if any(abs(at - other) < _ROT_APART_BYTES for other in near):
        return
    flash.flip(at, draw.randrange(8))
    window.rotten.append((at, sector, flash.erases[sector]))
    campus.fired["bit rot"] += 1


def rotten_record(campus: Campus, draw: random.Random) -> None:
    """Two bits of one record turn over, more than its CRC can put right; nobody has booked it.

    Not one of the newest: a boot that cannot read how the last spend ended cannot say LAST PAID.
    """
    window = campus.any_window(draw)
    flash = window.hardware.flash
    journal = journal_of(flash)
    first, end = campus.watch.head(window.device) + 1, journal.head_seq - _NEWEST_RECORDS
    if first >= end:
        return
    seq = draw.randrange(first, end)
    record = journal.record(seq)
    at = flash.image().find(record) if record else -1
    if at < 0 or any(abs(at - old[0]) < _ROT_APART_BYTES for old in window.rotten):
        return
    for byte in draw.sample(range(len(record or b"")), 2):
        flash.flip(at + byte, draw.randrange(8))
    sector = at // SECTOR_BYTES
    window.rotten.append((at, sector, flash.erases[sector]))
    campus.rotten.add((window.device, seq))
    campus.fired["record rotten beyond repair"] += 1


def loose(campus: Campus, draw: random.Random) -> None:
    """For a while some bits that are programmed do not fall."""
    flash = campus.any_window(draw).hardware.flash
    flash.loose_per_million = draw.choice((20_000, 100_000, 300_000))
    campus.fired["flash loose"] += 1
    campus.until(draw.randrange(5, 30) * _SECOND, lambda: setattr(flash, "loose_per_million", 0))


def bad_sector(campus: Campus, draw: random.Random) -> None:
    """A sector does not erase or program any more, for good.

    Not the one written last: a cut may just have left bits half way in it, and nobody could make
    them firm (ADR 8).
    """
    window = campus.any_window(draw)
    sector, how = draw.randrange(campus.sectors), draw.choice(SECTOR_FAULTS)
    is_last = sector == window.hardware.written_at // SECTOR_BYTES
    if window.bad_sectors < _BAD_SECTORS_MAX and not is_last:
        window.bad_sectors += 1
        window.hardware.flash.fail_sector(sector, how)
        campus.fired["bad sector"] += 1


def slow_flash(campus: Campus, draw: random.Random) -> None:
    """The first reads after a power-on answer anything at all."""
    flash = campus.any_window(draw).hardware.flash
    flash.slow_start_reads = draw.randrange(1, 12)
    campus.until(draw.randrange(10, 60) * _SECOND, partial(setattr, flash, "slow_start_reads", 0))


# -- clocks -----------------------------------------------------------------------------------


def battery_clock(campus: Campus, draw: random.Random) -> None:
    """The battery clock lies: lost its time, or was set by somebody to something else."""
    window = campus.any_window(draw)
    hardware, kind = window.hardware, draw.randrange(5)
    if kind == 0:
        hardware.rtc_set = not hardware.rtc_set
        campus.fired["battery clock unset"] += 1
    elif kind == 1:
        hardware.restart_rtc(draw.choice((EPOCH_1970_S, EPOCH_2000_S)))
        campus.fired["battery clock at 1970 or 2000"] += 1
    elif kind == 2:
        hardware.rtc_step_s = 0
    elif kind == 3:
        hardware.rtc_step_s += draw.choice((-400, -30, -2, 2, 30)) * _DAY_S
        campus.fired["battery clock days off"] += 1
    else:
        # Within a day of a receipt a false clock cannot be told from a true one.
        hardware.rtc_step_s += draw.choice((-1, 1)) * draw.randrange(1, 20 * 3600)
        window.is_clock_fooled = True
        campus.fired["battery clock hours off"] += 1


def crystal(campus: Campus, draw: random.Random) -> None:
    """The crystal runs fast or slow, as the kitchen is hot or cold; and ticks wrap."""
    hardware = campus.any_window(draw).hardware
    hardware.drift_ppm = draw.randrange(-_DRIFT_PPM, _DRIFT_PPM + 1)
    campus.fired["crystal drift"] += 1
    hardware.ticks_from_us = WRAP_US - draw.randrange(60 * _SECOND)
    campus.fired["ticks near their wrap"] += 1


# -- the office -------------------------------------------------------------------------------


def rotate_key(campus: Campus, draw: random.Random) -> None:
    """A reader gets its next key, and the ledger too: one of them hears of it first."""
    window = campus.any_window(draw)
    new_key = draw.randbytes(32)
    if window.is_rotating:
        return
    window.is_rotating = True
    campus.fired["key rotated"] += 1

    def at_reader() -> None:
        campus.provision(window, new_key)
        if window.reader.is_on:
            window.reader.switch_off()

    def at_ledger() -> None:
        campus.books.rotate_device_key(window.device, new_key)

    steps = [at_ledger, at_reader]
    if draw.randrange(2):
        steps.reverse()
        campus.fired["key rotated, reader first"] += 1
    steps[0]()

    def finish() -> None:
        steps[1]()
        window.is_rotating = False

    campus.until(draw.randrange(1, 40) * _SECOND, finish)


def swap_reader(campus: Campus, draw: random.Random) -> None:
    """A reader is taken off the wall with what is in its journal, and another one hung up."""
    idle = [window for window in campus.open_windows() if window.clerk.is_idle]
    if not idle or len(campus.windows) >= _WINDOWS_MAX:
        return
    window = draw.choice(idle)
    window.is_retired = True
    window.cable.cut()
    if window.reader.is_on:
        window.reader.switch_off()
    head_seq = journal_of(window.hardware.flash).head_seq
    if campus.watch.head(window.device) < head_seq:
        campus.fired["reader swapped, journal not empty"] += 1
    campus.add_window()
