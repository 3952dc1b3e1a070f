"""How a tortured campus heals: everything is repaired, everybody served, and it has to converge.

With nothing broken any more, every card is held to a reader once, everything drains within
minutes, what was paid in is on its card, and every reader knows of the cards that are lost.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

from simulator.checkers import journal_of
from simulator.people import Customer
from simulator.torture import office
from simulator.torture.campus import Campus, Window
from simulator.torture.process import Process

_SECOND_US = 1_000_000
_SERVE_US = 600 * _SECOND_US
_DRAIN_US = 600 * _SECOND_US
_MAP_US = 400 * _SECOND_US  # an agent asks every five minutes, whatever it has heard
_LAST_FEN = 1
_LAST_HOLD_MS = 900
_TAPS_MAX = 40
_THIEVES = 2


def heal(campus: Campus) -> None:
    """Everything is repaired, everybody is served, every card is held to a reader once more."""
    campus.is_healing = True
    campus.trace.out_of_memory_in = 1 << 60
    for end in campus.endings:
        end()
    for process in (campus.ledger, campus.agent):
        if process.database is not None:
            process.database.kill_at(1 << 60, after=False)
        start(process)
    for window in campus.windows:
        _mend(campus, window)
    _wait(campus, _SERVE_US, lambda: _is_served(campus))
    if campus.business.losses:
        _find_all(campus)
    for card in campus.cards:
        if card.issued_fen is not None:
            campus.arrive(campus.open_windows()[0], Customer(card, _LAST_FEN, [_LAST_HOLD_MS]))
    _wait(campus, _SERVE_US, lambda: _is_served(campus))
    if not _is_served(campus):
        campus.watch.report("people still stand in line")
    if campus.business.loads:
        _load_all(campus)
    if campus.business.losses:
        _steal(campus)
    _wait(campus, _DRAIN_US, lambda: owed(campus) == [])
    for text in owed(campus):
        campus.watch.report(f"not drained: {text}")


def _load_all(campus: Campus) -> None:
    """Whoever has money waiting goes to a reader again and again: each tap brings one load."""
    for _ in range(_TAPS_MAX):
        waiting, windows = office.waiting(campus), cycle(campus.open_windows())
        for card in campus.cards:
            if card.card_no in waiting:
                customer = Customer(card, _LAST_FEN, [_LAST_HOLD_MS])
                campus.arrive(next(windows), customer)
        _wait(campus, _SERVE_US, lambda: _is_served(campus))
        if not waiting:
            return
    # A record that has rotted away may have been the only one that told.
    if not campus.rotten:
        for card_no, number in sorted(office.waiting(campus).items()):
            campus.watch.report(f"card {card_no}: credit {number} is still not on it")


def _find_all(campus: Campus) -> None:
    """What lost cards have begun is settled by the cards: all are found, and may pay again."""
    for card in campus.cards:
        if campus.lost_cards.is_lost(card.card_no):
            campus.lost_cards.report(campus, card.card_no)
    _wait(campus, _MAP_US, lambda: _knows_all(campus))


def _steal(campus: Campus) -> None:
    """Some are lost once more: when every reader knows it, none takes their money (R14.2)."""
    stolen = office.people(campus)[:_THIEVES]
    for card in stolen:
        campus.lost_cards.report(campus, card.card_no)
    _wait(campus, _MAP_US, lambda: _knows_all(campus))
    for window in campus.open_windows():
        if campus.lost_cards.look(campus, window) < campus.lost_cards.epoch:
            campus.watch.report(f"{window.hardware.name} has not heard of the newest map")
        for card in stolen:
            campus.arrive(window, Customer(card, _LAST_FEN, [_LAST_HOLD_MS]))
            _wait(campus, _SERVE_US, lambda: _is_served(campus))


def _knows_all(campus: Campus) -> bool:
    looks = (campus.lost_cards.look(campus, window) for window in campus.open_windows())
    return all(epoch == campus.lost_cards.epoch for epoch in looks)


def _mend(campus: Campus, window: Window) -> None:
    flash = window.hardware.flash
    flash.cut_after(1 << 60)
    flash.loose_per_million = 0
    if window.hardware.card_flash is not None:
        window.hardware.card_flash.cut_after(1 << 60)
    window.cable.plug()
    campus.switch_on(window)


def _wait(campus: Campus, at_most_us: int, is_done: Callable[[], bool]) -> None:
    end_us = campus.world.now_us + at_most_us
    while not is_done() and campus.world.now_us < end_us:
        campus.run_until(campus.world.now_us + 2 * _SECOND_US)


def _is_served(campus: Campus) -> bool:
    return all(window.clerk.is_idle for window in campus.open_windows())


def owed(campus: Campus) -> list[str]:
    """What has not arrived where it belongs."""
    owed = []
    for window in campus.windows:
        name, head = window.hardware.name, journal_of(window.hardware.flash).head_seq
        booked = campus.watch.head(window.device)
        if booked != head:
            owed.append(f"{name} has written {head}, booked is {booked}")
    for table in ("record", "refused"):
        ((count,),) = campus.watch.rows(campus.agent.path, f"SELECT COUNT(*) FROM {table}")
        if count:
            owed.append(f"the agent holds {count} rows of {table}")
    return owed


def start(process: Process) -> None:
    """Unless it runs."""
    if not process.is_up:
        process.start()
