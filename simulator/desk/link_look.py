"""What stands between the readers and the books: brokers, lines, the ledger, each up or not."""

from __future__ import annotations

from typing import Any

from simulator.reader import Reader
from simulator.run import Run
from simulator.world.network import Slowness

Seen = dict[str, Any]


def centre(run: Run) -> Seen:
    """The card centre: whether its broker runs, and its ledger."""
    services = run.services
    return {"centre": services.has_centre, "ledger": services.has_ledger}


def site(run: Run, name: str, readers: list[Reader]) -> Seen:
    """Of a building: its broker, and by `what` of a step what is wrong with its lines."""
    building = run.services.buildings[name]
    cables = [reader.hardware.cable for reader in readers if reader.hardware.cable]
    slow = next((cable.slowness for cable in cables if cable.slowness), None)
    is_dark = bool(cables) and all(cable.dark for cable in cables)
    upstream = building.upstream
    return {
        "broker": building.has_broker and building.has_mains,
        "faults": {
            "reader-network": _faults(slow, is_dark),
            "upstream": _faults(upstream.slowness, upstream.is_dark),
        },
    }


def _faults(slow: Slowness | None, is_dark: bool) -> Seen:
    return {
        "dark": is_dark,
        "delay_ms": slow.delay_ms if slow else 0,
        "loss_percent": slow.loss_percent if slow else 0,
    }


def typed(reader: Reader) -> Seen:
    """What a library desk's reader has typed, newest last, and whether its PC is plugged in."""
    hardware = reader.hardware
    is_plugged = hardware.usb is None or hardware.usb.is_plugged
    return {"lines": hardware.desk_lines()[-3:], "pc": is_plugged}
