"""Readers that were opened or moved: `onecard ledger device list` and `approve` (R18.1, R18.2).

May run beside the ledger, which looks into the books whenever a reader asks.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ledger.tampers import STATES, STEPS, Tamper, Tampers
from tools.ledger_forks import opened
from tools.session import signing

NOTHING_WAITS, SOMETHING_WAITS = 0, 1


def approve(
    path: Path, device: int, record: int, step: str, person: str, site: str, now_s: int
) -> int:
    """How many of the two steps are done. NotBooks, ApprovalRefused, StoreUnavailable."""
    with signing(path, person, now_s) as (store, who):
        return store.tampers.approve(device, record, STEPS[step], who, now_s, site)


def show(path: Path) -> tuple[int, str]:
    """Whether something waits, and what: a paragraph for each reader, and where any was heard."""
    with opened(path) as store:
        waiting = store.tampers.waiting()
        lines = [line for one in waiting for line in _told(store.tampers, one)]
        for device, head_seq, site, time_s in store.tampers.sightings():
            lines.append(f"reader {device} was at {site} with record {head_seq}, {_time(time_s)}")
    return (SOMETHING_WAITS if waiting else NOTHING_WAITS), "\n".join(lines or ["nothing"])


def _told(tampers: Tampers, one: Tamper) -> Iterator[str]:
    merchant_no, site = tampers.where(one.device)
    who = tampers.responsible(one.device) or "nobody is registered as responsible"
    when = f"{_time(one.earliest_s)}"
    if one.latest_s != one.earliest_s:
        when += f" to {_time(one.latest_s)}"
    yield f"reader {one.device} of merchant {merchant_no}, {site}: {who}"
    yield f"  record {one.seq}, {when}: {STATES[one.state]}"
    done = tampers.steps(one.device, one.seq)
    for name, step in STEPS.items():
        if step not in done:
            yield f"  waits for the {name}"
            return
        person, time_s = done[step]
        yield f"  {name}: approved by {person}, {_time(time_s)}"
    yield "  the reader has not told that it knows"


def _time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
