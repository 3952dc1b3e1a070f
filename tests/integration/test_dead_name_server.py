"""The centre's broker stands in an agent's file by name, and nobody can be asked about names.

The agent is a process whose resolver waits until it is told to go on: with a real one that is gone
it would be half a minute for each attempt. Nothing here is measured by time: what the readers hear
before the resolver has answered, they hear though it has not.
"""

import os
import signal
import subprocess
import sys

import pytest

from simulator.broker import start_broker
from tests.integration.test_agent_kill import DEVICES, Building

CENTRE = "broker.centre.example"
# What getaddrinfo does behind a dead name server, in the process under test; a pipe is the server.
_PROGRAM = f"""
import socket, sys
from edge_agent.daemon import main

real = socket.getaddrinfo

def getaddrinfo(host, *where, flags=0, **kinds):
    if host != "{CENTRE}" or flags & socket.AI_NUMERICHOST:
        return real(host, *where, flags=flags, **kinds)
    with open(sys.argv[2]) as answer:
        return real(answer.read(), *where, flags=flags, **kinds)

socket.getaddrinfo = getaddrinfo
sys.exit(main(sys.argv[1]))
"""


class NamedCentre(Building):
    """The same building, whose agent finds the centre by name."""

    def __init__(self, folder, repo_root, broker):
        super().__init__(folder, repo_root, broker)
        self.resolver = folder / "resolver"
        os.mkfifo(self.resolver)
        path = folder / "agent.toml"
        before, upstream, after = path.read_text().partition("[upstream]\n")
        path.write_text(before + upstream + after.replace(broker.host, CENTRE, 1))

    def start_agent(self):
        with open(self.folder / "agent.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, self.folder / "agent.toml", self.resolver],
                cwd=self.repo_root,
                env={**os.environ, "PYTHONPATH": str(self.repo_root)},
                stderr=log,
            )


@pytest.fixture
def building(tmp_path, repo_root):
    with start_broker("amqtt", tmp_path) as broker:
        building = NamedCentre(tmp_path, repo_root, broker)
        yield building
        building.close()


def test_readers_are_served_while_the_look_up_of_the_centre_hangs(building):
    building.start_agent()
    for reader in building.readers.values():
        reader.write(40)
    building.run(lambda: min(building.promised.values()) == 40)
    for reader in building.readers.values():
        reader.write(40)
    building.run(lambda: min(building.promised.values()) == 80)
    assert building.ledger.booked == {}
    # The name server is back: what was kept goes to the centre.
    building.resolver.write_text(building.broker.host)
    building.run(lambda: all(building.ledger.head(device) == 80 for device in DEVICES))


def test_a_look_up_that_hangs_keeps_no_agent_from_its_end(building):
    building.start_agent()
    building.readers[DEVICES[0]].write(1)
    building.run(lambda: building.promised[DEVICES[0]] == 1)
    building.process.send_signal(signal.SIGTERM)
    assert building.process.wait(20) == 0
