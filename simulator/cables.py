"""What can be done to cables, lines, brokers and mains: cut, dark, slow, and as before again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from simulator import locks
from simulator.reader import Reader
from simulator.scenario import ScenarioError, Step
from simulator.world.network import Slowness

if TYPE_CHECKING:
    from simulator.building import Building
    from simulator.run import Run

Fields = Mapping[str, Any]


def _cut(run: Run, step: Step) -> None:
    _switch(run, step, on=False)


def _plug(run: Run, step: Step) -> None:
    _switch(run, step, on=True)


def _switch(run: Run, step: Step, *, on: bool) -> None:
    what, whose = step.fields["what"], step.fields.get("site") or step.fields.get("card")
    where = f" of {whose}" if whose else ""
    run.tell(f"{'back' if on else 'cut'}: {_CABLES[what][0]}{where}")
    _CABLES[what][1](run, on, step.fields)
    run.services.settle(run.world.now_us)


def _readers_of(run: Run, fields: Fields) -> list[Reader]:
    """The reader that a step names, those of the site that it names, or all."""
    name, site = fields.get("reader"), fields.get("site")
    return [
        reader
        for reader in run.readers.values()
        if name in (None, reader.name) and site in (None, run.site_of(reader.name))
    ]


def _buildings_of(run: Run, fields: Fields) -> list[Building]:
    site = fields.get("site")
    return [one for one in run.services.buildings.values() if site in (None, one.site)]


def _reader_network(run: Run, on: bool, fields: Fields) -> None:
    for reader in _readers_of(run, fields):
        _set_cable(run, reader, plugged=on, dark=False)


def _upstream(run: Run, on: bool, fields: Fields) -> None:
    for building in _buildings_of(run, fields):
        if on:
            building.upstream.plug(run.world.now_us)
        else:
            building.upstream.cut()


def _mains(run: Run, on: bool, fields: Fields) -> None:
    """A building's mains: switch, broker and agent die; readers go on on their batteries."""
    buildings = [one for one in _buildings_of(run, fields) if one.has_mains != on]
    for building in buildings if on else ():
        building.restart()
    for reader in _readers_of(run, fields):
        if reader.is_real or locks.hardware_of(reader):
            continue  # it has its cells, or a socket of its own, and no cable of the building
        reader.rouse()
        is_run_down = reader.hardware.battery.is_cut
        reader.hardware.set_mains(on)
        if on and is_run_down:
            reader.switch_on()
        _set_cable(run, reader, plugged=on, dark=False)
    for building in () if on else buildings:
        building.kill()


def _broker(run: Run, on: bool, fields: Fields) -> None:
    """A building's broker alone: whoever was on it is not, and what was retained is gone."""
    for building in _buildings_of(run, fields):
        building.switch_broker(on)


def _centre(run: Run, on: bool, _fields: Fields) -> None:
    run.services.switch_centre(on)


def _ledger(run: Run, on: bool, _fields: Fields) -> None:
    run.services.switch_ledger(on)


def _desk(run: Run, on: bool, fields: Fields) -> None:
    """The cable between a reader that types and its PC."""
    for reader in _readers_of(run, fields):
        if reader.hardware.usb:
            reader.at(run.world.now_us, partial(reader.hardware.usb.plug, on))


def _phone(run: Run, on: bool, fields: Fields) -> None:
    """The network of a holder's phone; without a card, of everybody's."""
    name = fields.get("card")
    for held in run.cards:
        if name in (None, held.name):
            run.phones.set_online(held.card_no, on)


def _dark(run: Run, step: Step) -> None:
    if step.fields.get("what") == "upstream":
        for building in _buildings_of(run, step.fields):
            run.tell(f"the agent of {building.site} hangs on a dead switch port")
            building.upstream.darken()
        return
    for reader in _readers_of(run, step.fields):
        if locks.hardware_of(reader) is None or "reader" in step.fields:
            run.tell(f"{reader.name} hangs on a dead switch port")
            _set_cable(run, reader, plugged=True, dark=True)


def _slow(run: Run, step: Step) -> None:
    """Answers come late from now on, or as soon as ever."""
    delay_ms = step.fields.get("delay_ms", 0)
    loss_percent = step.fields.get("loss_percent", 0)
    if step.fields.get("what") == "upstream":
        for building in _buildings_of(run, step.fields):
            draw = run.seeds.stream("slow", step.line, building.site)
            slowness = Slowness(delay_ms, loss_percent, draw)
            building.upstream.slowness = slowness if delay_ms or loss_percent else None
            run.tell(f"upstream of {building.site}: {delay_ms} ms late, {loss_percent} % lost")
        return
    for reader in _readers_of(run, step.fields):
        cable = reader.hardware.cable
        if cable is None and "reader" in step.fields:
            fault = f"{reader.name} hangs on a serial line, which is cut or dark, never slow"
            raise ScenarioError(run.scenario.path, step.line, fault)
        if cable is not None:
            draw = run.seeds.stream("slow", step.line, reader.name)
            cable.slowness = Slowness(delay_ms, loss_percent, draw)
            run.tell(f"{reader.name}: {delay_ms} ms late, {loss_percent} % lost")


def _set_cable(run: Run, reader: Reader, *, plugged: bool, dark: bool) -> None:
    if locks.hardware_of(reader):
        locks.plug(reader, plugged, run.world.now_us)
        return
    reader.set_cable(plugged=plugged, dark=dark)


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "cut": _cut,
    "plug": _plug,
    "dark": _dark,
    "slow": _slow,
}
_CABLES: dict[str, tuple[str, Callable[[Run, bool, Fields], None]]] = {
    "reader-network": ("the readers' network", _reader_network),
    "upstream": ("the line to the card centre", _upstream),
    "mains": ("the building's mains", _mains),
    "broker": ("the building's broker", _broker),
    "centre": ("the card centre's broker", _centre),
    "ledger": ("the ledger", _ledger),
    "desk": ("the USB cable of the desk", _desk),
    "phone": ("the phone's network", _phone),
}
