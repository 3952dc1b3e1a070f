"""What can happen to cables, brokers, the agent and the ledger: each function strikes once.

Rules: see faults.py, which has the table.
"""

from __future__ import annotations

import random
from dataclasses import fields

from simulator.torture.broker import Broker, Mischief
from simulator.torture.campus import Campus
from simulator.torture.process import Process

_SECOND = 1_000_000  # microseconds


# -- network ----------------------------------------------------------------------------------


def cable(campus: Campus, draw: random.Random) -> None:
    cable = campus.any_window(draw).cable
    if cable.plugged:
        cable.cut()
        cable.wake(campus.world.now_us)
        campus.fired["cable cut"] += 1
        campus.until(draw.randrange(2, 90) * _SECOND, cable.plug)


def half_open(campus: Campus, draw: random.Random) -> None:
    cable = campus.any_window(draw).cable
    if cable.half_open(draw):
        campus.fired["half-open"] += 1
        campus.until(draw.randrange(10, 120) * _SECOND, cable.plug)


def reset(campus: Campus, draw: random.Random) -> None:
    """A broker throws somebody out."""
    broker = draw.choice((campus.building, campus.centre))
    if broker.sessions:
        session = broker.sessions[draw.choice(sorted(broker.sessions))]
        broker.leave(session, say_will=True)
        session.closed()
        campus.fired["connection reset"] += 1


def mischief(campus: Campus, draw: random.Random) -> None:
    """For a while a broker breaks one or two of its promises."""
    broker = draw.choice((campus.building, campus.centre))
    kinds = draw.sample([one.name for one in fields(Mischief)], draw.randrange(1, 3))
    broker.mischief = Mischief(**{kind: draw.choice((50_000, 200_000, 500_000)) for kind in kinds})

    def calm() -> None:
        broker.mischief = Mischief()

    campus.until(draw.randrange(5, 40) * _SECOND, calm)


def broker(campus: Campus, draw: random.Random) -> None:
    """A broker dies and comes back, with what it remembered or without."""
    broker = draw.choice((campus.building, campus.centre))
    if not broker.is_up:
        return
    forget = draw.randrange(2) == 1
    broker.stop(forget=forget)
    campus.fired[f"{broker.name} broker restart" + (", state lost" if forget else "")] += 1
    campus.until(draw.randrange(1, 25) * _SECOND, lambda: _raise(broker))


def _raise(broker: Broker) -> None:
    broker.is_up = True


def upstream(campus: Campus, draw: random.Random) -> None:
    """The line to the card centre is cut, on the agent's side or on the ledger's."""
    process = draw.choice((campus.agent, campus.ledger))
    if process.is_line_cut or not process.is_up:
        return
    process.is_line_cut = True
    process.ports[-1].cut()
    campus.fired["upstream cut"] += 1

    def plug() -> None:
        process.is_line_cut = False
        if process.is_up:
            process.ports[-1].plug()

    # Sometimes for as long as it takes to fill a journal.
    campus.until(draw.choice((draw.randrange(2, 90), 400)) * _SECOND, plug)


# -- services ---------------------------------------------------------------------------------


def kill(process: Process, campus: Campus, draw: random.Random) -> None:
    """SIGKILL between two steps, or at one of the next statements."""
    if not process.is_up:
        return
    if draw.randrange(4) == 0:
        process.kill()
        campus.fired[f"{_name(process)} killed"] += 1
    elif process.database is not None:
        process.database.kill_at(draw.randrange(1, 60), after=draw.randrange(2) == 1)


def _name(process: Process) -> str:
    return type(process).__name__.removesuffix("Process").lower()


def disk(process: Process, campus: Campus, draw: random.Random) -> None:
    """The disk under a service is full, or broken, for a while."""
    database = process.database
    if not process.is_up or database is None:
        return
    if draw.randrange(2):
        database.fill()
    else:
        database.fail_from(draw.randrange(40))
    campus.until(draw.randrange(3, 40) * _SECOND, database.mend)


def replace_agent(campus: Campus, _draw: random.Random) -> None:
    """The box in the building is replaced by a new one with an empty disk."""
    if campus.agent.is_up:
        campus.agent.kill()
    campus.agent.replace()
    campus.fired["agent replaced"] += 1
