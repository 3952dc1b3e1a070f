"""Readers that are opened and carried away to another building, and who approves it (R18)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ledger.tampers import STEPS
from simulator.world.network import BrokerPort

if TYPE_CHECKING:
    from simulator.reader import Reader
    from simulator.run import Run
    from simulator.scenario import Step

# By whom each step is done, and not the same one.
_PERSONS = dict(zip(STEPS.values(), ("wang", "li"), strict=True))


def _open(run: Run, step: Step) -> None:
    _set_case(run, step, True)


def _shut(run: Run, step: Step) -> None:
    _set_case(run, step, False)


def _set_case(run: Run, step: Step, is_open: bool) -> None:
    """At the reader's own time, or without power, which nobody who opens it asks for."""
    reader = run.readers[step.fields["reader"]]
    run.tell(f"{reader.name}: its case is {'opened' if is_open else 'shut'}")
    hardware = reader.hardware
    reader.at(run.world.now_us, partial(setattr, hardware, "case_is_open", is_open))


def _approve(run: Run, step: Step) -> None:
    """The department, then the centre, as `onecard ledger device approve` does it."""
    reader = step.fields["reader"]
    (device,) = (number for name, number in run.devices() if name == reader)
    tampers = run.services.store.tampers
    for one in [one for one in tampers.waiting() if one.device == device]:
        for number, person in _PERSONS.items():
            tampers.approve(device, one.seq, number, person, run.world.utc_s())
        run.tell(f"{reader}: two persons approve its record {one.seq}")


def _hang(run: Run, reader: Reader, building: BrokerPort) -> None:
    """Off its cable, and on one where `building` answers to the same name."""
    cable = reader.hardware.cable
    assert cable is not None
    reader.rouse()
    cable.set(plugged=False, dark=False, now_us=run.world.now_us)
    cable.broker = building
    cable.set(plugged=True, dark=False, now_us=run.world.now_us)
    reader.wake(run.world.now_us)
    run.services.settle(run.world.now_us)


def _move(run: Run, step: Step) -> None:
    reader = run.readers[step.fields["reader"]]
    run.tell(f"{reader.name} is carried to {run.scenario.elsewhere}")
    elsewhere = run.services.elsewhere
    assert elsewhere is not None
    _hang(run, reader, elsewhere.port)


def _bring_back(run: Run, step: Step) -> None:
    reader = run.readers[step.fields["reader"]]
    run.tell(f"{reader.name} is carried back")
    _hang(run, reader, run.services.building_of(run.site_of(reader.name)).port)


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "open": _open,
    "shut": _shut,
    "approve": _approve,
    "move": _move,
    "bring-back": _bring_back,
}
