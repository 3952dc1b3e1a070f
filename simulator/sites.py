"""Readers that are opened and carried away, the other building, and who approves it (R18)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.mqtt import MqttPort
from edge_agent.inventory import Inventory
from edge_agent.service import AgentService, reader_subscriptions, upstream_subscriptions
from edge_agent.store import Store
from ledger.tampers import STEPS
from simulator.broker import start_broker
from simulator.world.clock import World
from simulator.world.network import BrokerPort, ServicePort

if TYPE_CHECKING:
    from simulator.reader import Reader
    from simulator.run import Run
    from simulator.scenario import Step

# By whom each step is done, and not the same one.
_PERSONS = dict(zip(STEPS.values(), ("wang", "li"), strict=True))


class Elsewhere:
    """Another building: its broker, and the agent of its site, which hears strangers."""

    def __init__(
        self,
        site: str,
        world: World,
        directory: Path,
        broker_kind: str,
        centre: BrokerPort,
        ledger_public_key: bytes,
    ) -> None:
        directory.mkdir()
        self.broker = start_broker(broker_kind, directory)
        self.building = BrokerPort(lambda: self.broker.port)
        self.services = (
            ServicePort("elsewhere", self.building),
            ServicePort("elsewhere-upstream", centre),
        )
        self._parts = (
            Store(str(directory / "records.sqlite")),
            Inventory(str(directory / "inventory.json"), world.utc_s),
        )
        self.ports = (
            MqttPort(
                "127.0.0.1",
                self.services[0].port,
                "onecard-elsewhere",
                subscriptions=reader_subscriptions(site, strangers=True),
            ),
            MqttPort(
                "127.0.0.1",
                self.services[1].port,
                f"onecard-agent-{site}",
                subscriptions=upstream_subscriptions(site),
            ),
        )
        self.agent = AgentService(
            site, *self._parts, *self.ports, ledger_public_key, strangers=True
        )

    def close(self) -> None:
        self.broker.stop()
        for part in self._parts:
            part.close()


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
    _hang(run, reader, elsewhere.building)


def _bring_back(run: Run, step: Step) -> None:
    reader = run.readers[step.fields["reader"]]
    run.tell(f"{reader.name} is carried back")
    _hang(run, reader, run.services.building)


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "open": _open,
    "shut": _shut,
    "approve": _approve,
    "move": _move,
    "bring-back": _bring_back,
}
