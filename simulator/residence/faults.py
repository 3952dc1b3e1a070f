"""What goes wrong in a residence, as a table: a kind, how often it is drawn, and what it does.

Rules of this file. Each fault ends by itself, or when the building heals, and says so to the door
it strikes (`fall_ill`, `lose_link`): meanwhile people there expect nothing but to get out. Where
only a key at the door ends what a fault has brought about, somebody comes and turns it. What
struck is counted in building.fired, where it strikes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from protocols.rules import door
from simulator.host.hardware import EPOCH_1970_S, EPOCH_2000_S
from simulator.residence.building import SECOND_US, Building
from simulator.residence.doorway import Doorway
from simulator.residence.faults_line import (
    Act,
    cable,
    disk_of,
    half_open,
    kill_of,
    lose_links,
    service,
)
from simulator.torture import faults_service

_MINUTE_US = 60 * SECOND_US
_HOUR_US = 60 * _MINUTE_US
_WATCHDOG_US, _WATCHDOG_RESET = 30 * SECOND_US, 3
_TURN_US = 300_000
_COMES_US = (30 * SECOND_US, 10 * _MINUTE_US)  # until somebody with a key is there
_SHORT_US = (5 * SECOND_US, 10 * _MINUTE_US)
_DAY_S = 86_400
_DRIFT_PPM = 150  # within what rules/clock.py allows a crystal
_LOOKS_US = (SECOND_US, 30 * SECOND_US)  # when it is looked whether a door lets go
_FOR_EVER_US = 1 << 62


def turn_key(building: Building, each: Doorway) -> None:
    """Somebody turns the key at a door, and back."""
    now_us = building.world.now_us

    def turn(is_turned: bool) -> None:
        each.lock.key_is_turned = is_turned
        each.tell("key" if is_turned else "key back")

    each.reader.at(now_us, partial(turn, True))
    each.reader.at(now_us + _TURN_US, partial(turn, False))


def _until(building: Building, each: Doorway, duration_us: int, end: Callable[[], None]) -> None:
    """A door is ill for a while."""
    each.fall_ill()

    def over() -> None:
        end()
        each.recover()

    building.until(duration_us, over)


def _latched(building: Building, each: Doorway, draw: random.Random) -> None:
    """Until somebody has turned the key it is not what it should be."""
    end = partial(turn_key, building, each)
    _until(building, each, draw.randrange(*_COMES_US), end)


# -- power ------------------------------------------------------------------------------------


def brown_out(building: Building, draw: random.Random) -> None:
    """The controller's supply goes for a while, between two steps or in one."""
    each = draw.choice(building.doors)
    if each.reader.is_on:
        building.fired["brown-out"] += 1
        if draw.randrange(2):
            each.reader.switch_off()
        else:
            each.reader.cut_power_at(building.world.now_us + draw.randrange(SECOND_US))


def flash_cut(building: Building, draw: random.Random) -> None:
    """The power goes inside one of the next programs or erases of either flash."""
    each = draw.choice(building.doors)
    flash = draw.choice((each.hardware.flash, each.hardware.card_flash))
    if flash is not None:
        building.fired["cut in flash"] += 1
        flash.cut_after(draw.randrange(8))


def slow_flash(building: Building, draw: random.Random) -> None:
    """The first reads after a power-on answer garbage."""
    each = draw.choice(building.doors)
    each.hardware.flash.slow_start_reads = draw.randrange(30)
    building.fired["slow flash"] += 1


def hang(building: Building, draw: random.Random) -> None:
    """The firmware stands still until its watchdog resets it, which is a fault (ADR 19)."""
    each = draw.choice(building.doors)
    if not each.reader.is_on:
        return
    each.reader.hang()
    each.tell("dead")
    each.die()
    building.fired["hang"] += 1

    def reset() -> None:
        each.hardware.clock.advance_to(building.world.now_us)
        each.hardware.power_off()
        building.switch_on(each, _WATCHDOG_RESET)
        _latched(building, each, draw)

    building.until(_WATCHDOG_US, reset)


def mains(building: Building, draw: random.Random) -> None:
    """One lock has no supply."""
    building.fired["mains of a door gone"] += 1
    darken(building, draw.choice(building.doors), draw.randrange(*_SHORT_US))


def blackout(building: Building, draw: random.Random) -> None:
    """The mains of the building are gone: every lock, sometimes the agent, some controllers."""
    duration_us = draw.randrange(10 * SECOND_US, _HOUR_US)
    building.fired["mains of the building gone"] += 1
    for each in building.doors:
        darken(building, each, duration_us)
        if draw.randrange(3) == 0 and each.reader.is_on:
            each.reader.switch_off()
    if draw.randrange(2):
        building.building.stop(forget=True)
        lose_links(building, duration_us, partial(setattr, building.building, "is_up", True))
        building.agent.kill()


def darken(building: Building, each: Doorway, duration_us: int) -> None:
    """A lock has no supply for a while."""
    _set_mains(each, False)
    _must_let_go(building, each, door.MAINS, "without mains")
    _until(building, each, duration_us, partial(_set_mains, each, True))


def _set_mains(each: Doorway, is_on: bool) -> None:
    def act() -> None:
        each.lock.mains(is_on)
        each.tell("mains" if is_on else "dark")

    each.reader.at(each.world.now_us, act)


def chatter(building: Building, draw: random.Random) -> None:
    """A supply that comes and goes is no supply: the door lets go until a key is turned."""
    each = draw.choice(building.doors)
    now_us = building.world.now_us
    building.fired["mains chatter"] += 1
    for turn in range(2 * door.CHATTER_LOSSES):
        at_us = now_us + turn * 700_000
        each.reader.at(at_us, partial(_set_mains, each, bool(turn % 2)))
    _latched(building, each, draw)


# -- the door itself --------------------------------------------------------------------------


def fire_alarm(building: Building, draw: random.Random) -> None:
    """The fire panel opens the loop of all doors."""
    building.fired["fire alarm"] += 1
    duration_us = draw.randrange(_MINUTE_US, 20 * _MINUTE_US)
    for each in building.doors:
        burn(building, each, duration_us, draw)


def fire_wire(building: Building, draw: random.Random) -> None:
    """The wire of one fire loop is cut, and mended."""
    building.fired["fire wire cut"] += 1
    burn(building, draw.choice(building.doors), draw.randrange(*_SHORT_US), draw)


def burn(building: Building, each: Doorway, duration_us: int, draw: random.Random) -> None:
    """A fire loop is open for a while; later somebody comes with a key."""
    _set_fire(each, True)
    _must_let_go(building, each, door.FIRE_QUIET, "on fire")

    def over() -> None:
        _set_fire(each, False)
        _latched(building, each, draw)

    _until(building, each, duration_us, over)


def _set_fire(each: Doorway, is_alarm: bool) -> None:
    def act() -> None:
        each.lock.fire(is_alarm)
        each.tell("fire" if is_alarm else "quiet")

    each.reader.at(each.world.now_us, act)


def _must_let_go(building: Building, each: Doorway, level: int, why: str) -> None:
    """Nobody is locked in or out while it burns, or without mains."""

    def look() -> None:
        if not each.lock.levels() & level and each.lock.is_bonded():
            building.report(f"{each.name} is locked, and it is {why}")

    for after_us in _LOOKS_US:
        each.reader.at(building.world.now_us + after_us, look)


def relay(building: Building, draw: random.Random) -> None:
    """The relay's contact is welded, or never closes."""
    each = draw.choice(building.doors)
    how = draw.choice(("welded", "open"))
    building.fired["relay " + how] += 1
    _at_lock(each, "relay_is", how)

    def mend() -> None:
        _at_lock(each, "relay_is", "")
        _latched(building, each, draw)

    _until(building, each, draw.randrange(*_SHORT_US), mend)


def exit_wire(building: Building, draw: random.Random) -> None:
    """The input of the exit button reads as pressed."""
    each = draw.choice(building.doors)
    building.fired["exit wire cut"] += 1
    _at_lock(each, "stuck", {door.EXIT_IDLE: 0})
    mend = partial(_at_lock, each, "stuck", {})
    _until(building, each, draw.randrange(*_SHORT_US), mend)


def tamper(building: Building, draw: random.Random) -> None:
    """Somebody has the case open."""
    each = draw.choice(building.doors)
    building.fired["case open"] += 1
    _at_lock(each, "case_is_open", True)
    shut = partial(_at_lock, each, "case_is_open", False)
    _until(building, each, draw.randrange(*_SHORT_US), shut)


def _at_lock(each: Doorway, name: str, value: object) -> None:
    """Change something about a lock now, whatever its reader is at."""

    def act() -> None:
        each.lock.is_powered()  # what was so far was so
        setattr(each.lock, name, value)

    each.reader.at(each.world.now_us, act)


# -- clocks -----------------------------------------------------------------------------------


def battery_clock(building: Building, draw: random.Random) -> None:
    """The battery clock has lost its time, or says another one; somebody sets it right later."""
    each = draw.choice(building.doors)
    hardware, kind = each.hardware, draw.randrange(4)
    if kind == 0:
        hardware.rtc_set = False
        building.fired["battery clock unset"] += 1
    elif kind == 1:
        hardware.restart_rtc(draw.choice((EPOCH_1970_S, EPOCH_2000_S)))
        building.fired["battery clock at 1970 or 2000"] += 1
    elif kind == 2:
        hardware.rtc_step_s += draw.choice((-400, -30, -2, 2, 30)) * _DAY_S
        building.fired["battery clock days off"] += 1
    else:
        # Within a day of a receipt a false clock cannot be told from a true one.
        hardware.rtc_step_s += draw.choice((-1, 1)) * draw.randrange(1, 20 * 3600)
        each.fooled_us = _FOR_EVER_US
        building.fired["battery clock hours off"] += 1

    def put_right() -> None:
        hardware.rtc_set, hardware.rtc_step_s = True, 0
        if each.fooled_us == _FOR_EVER_US:
            each.fooled_us = building.world.now_us + _DAY_S * SECOND_US

    building.until(draw.randrange(10 * _MINUTE_US, 6 * _HOUR_US), put_right)


def crystal(building: Building, draw: random.Random) -> None:
    """The crystal runs fast or slow, as the day is hot or cold."""
    each = draw.choice(building.doors)
    each.reader.rouse()
    each.hardware.drift_ppm = draw.randrange(-_DRIFT_PPM, _DRIFT_PPM + 1)
    building.fired["crystal drift"] += 1


# Kind -> (weight, what it does).
FAULTS: dict[str, tuple[int, Act]] = {
    "brown-out": (8, brown_out),
    "flash cut": (6, flash_cut),
    "slow flash": (2, slow_flash),
    "hang": (4, hang),
    "mains": (6, mains),
    "blackout": (1, blackout),
    "chatter": (2, chatter),
    "fire alarm": (1, fire_alarm),
    "fire wire": (3, fire_wire),
    "relay": (3, relay),
    "exit wire": (3, exit_wire),
    "tamper": (3, tamper),
    "battery clock": (4, battery_clock),
    "crystal": (3, crystal),
    "cable": (6, cable),
    "half-open": (4, half_open),
    "mischief": (6, service(faults_service.mischief)),
    "broker": (3, service(faults_service.broker)),
    "upstream": (4, service(faults_service.upstream)),
    "agent kill": (4, kill_of("agent")),
    "agent disk": (3, disk_of("agent")),
    "agent replaced": (
        1,
        service(lambda campus, draw: faults_service.replace_agent(campus, draw)),
    ),
    "ledger kill": (4, kill_of("ledger")),
    "ledger disk": (3, disk_of("ledger")),
}
