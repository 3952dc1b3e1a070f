"""`onecard agent top` and `status`: the agent's view in a terminal, and as JSON."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_agent.config import Config

TIMEOUT_S = 3
EVERY_S = 1.0
_POWER = {0: "mains", 1: "battery"}


class NothingToSee(Exception):
    """There is no agent to look at; the text says what to do."""


def top(config: Config, *, once: bool) -> None:
    """Draw the view until Ctrl-C, or once."""
    console = Console()
    if once:
        console.print(drawn(seen(config)))
        return
    with Live(console=console, refresh_per_second=4, screen=True) as live:
        try:
            while True:
                live.update(drawn(seen(config)))
                time.sleep(EVERY_S)
        except KeyboardInterrupt:
            return


def status(config: Config, device: int | None) -> str:
    """What the agent sees now as one JSON object; or of one reader only. Raises NothingToSee."""
    view = seen(config)
    if device is None:
        return json.dumps(view, indent=2)
    enrolment = view.get("enrolment") or {"waiting": []}
    waiting = [each for each in enrolment["waiting"] if each["device"] == device]
    for reader in view.get("readers", []):
        if reader["device"] == device:
            return json.dumps({**reader, "not_admitted_on": waiting}, indent=2)
    if waiting:
        return json.dumps({"device": device, "not_admitted_on": waiting}, indent=2)
    raise NothingToSee(f"no reader {device} has been heard of")


def seen(config: Config) -> dict[str, Any]:
    """The running agent's view (edge_agent/view.py), {} if it has just begun. NothingToSee."""
    if config.view_port is None:
        raise NothingToSee("the configuration has no [view]: add it, with a port, and restart")
    url = f"http://127.0.0.1:{config.view_port}/status.json"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise NothingToSee(f"no agent answers at {url}: {error}") from None


def _heard(reader: dict[str, Any], utc_s: int) -> str:
    if reader.get("is_shunned"):
        return "floods, not listened to"
    seen_s = reader.get("last_seen_s")
    return "" if seen_s is None else f"{max(utc_s - seen_s, 0)} s ago"


def drawn(view: dict[str, Any]) -> Group:
    """A view as tables; one that is empty yet as a line."""
    if not view:
        return Group(Text("The agent has just begun."))
    links = "   ".join(
        f"{name} {'up' if link['connected'] else 'DOWN ' + link['last_error']}"
        for name, link in view["links"].items()
    )
    store = view["store"]
    left = "" if store["hours_left"] is None else f", full in {store['hours_left']} h"
    disk = (
        f"waiting {store['waiting']}   disk {store['used_bytes'] >> 20} of "
        f"{store['limit_bytes'] >> 20} MB, {store['level']}{left}"
    )
    ends = [
        f"{one['whose']} of {one['link']} {one['days_left']} d" for one in view["certificates"]
    ]
    certificates = [Text(f"certificates end: {', '.join(ends)}")] if ends else []
    readers = Table("device", "heard of", "waiting", "power", "battery", "clock", "last fault")
    for reader in view["readers"]:
        readers.add_row(
            str(reader["device"]),
            _heard(reader, view["utc_s"]),
            str(reader["waiting"]),
            _POWER.get(reader.get("power_source", -1), ""),
            f"{reader['battery_mv']} mV" if reader.get("battery_mv") else "",
            f"{reader['clock_ahead_s']} s ahead" if reader.get("clock_ahead_s") else "",
            str(reader.get("fault_reason", "")),
        )
    return Group(
        Text(f"onecard agent {view['site']}   {links}"), Text(disk), *certificates, readers
    )
