"""Three nodes of nats-server that are one MQTT broker: each a process of its own on the loopback.

What one accepts is on the disks of two before it is acknowledged, so any one may die. Each can be
killed, stopped (it keeps its connections and says nothing), started again, and given the disk that
it had before.
"""

import os
import shutil
import signal
import socket
from pathlib import Path

from simulator.broker import NATS_CONF, Broker, BrokerError, find_nats

NODES = 3
_LOOPBACK = "127.0.0.1"
_CLUSTER_CONF = """\
cluster {{ name: centre, listen: "{address}:{route}", routes: [{routes}] }}
"""


class Cluster:
    """`nodes` are Brokers; `addresses` where they are dialled. Starting until `wait` returns.

    `kind` as of a Broker.

    `folder` takes configurations, disks and logs. BrokerError without nats-server.
    """

    kind = "nats"

    def __init__(self, folder: Path) -> None:
        if find_nats() is None:
            raise BrokerError("nats is not installed: apt-get install nats-server")
        self._folder = folder
        ports, routes = _free_ports(NODES), _free_ports(NODES)
        self.nodes = [self._node(number, ports, routes) for number in range(NODES)]
        self.addresses = [(node.host, node.port) for node in self.nodes]
        self.launch()

    def _node(self, number: int, ports: list[int], routes: list[int]) -> Broker:
        place = self.place(number)
        place.mkdir(parents=True)
        text = NATS_CONF.format(
            name=f"node-{number}", address=_LOOPBACK, port=ports[number], folder=place / "disk"
        )
        others = ", ".join(f'"nats://{_LOOPBACK}:{port}"' for port in routes)
        text += _CLUSTER_CONF.format(address=_LOOPBACK, route=routes[number], routes=others)
        (place / f"nats-{ports[number]}.conf").write_text(text)
        return Broker("nats", place, ports[number])

    def place(self, number: int) -> Path:
        """Where everything of a node lies."""
        return self._folder / f"node-{number}"

    def launch(self) -> None:
        """Start those that do not run. They take connections once two have found each other."""
        for node in self.nodes:
            if not node.running:
                node.launch()

    def wait(self) -> None:
        """Until all of them take connections; BrokerError if they do not."""
        for node in self.nodes:
            node.wait()

    def keep_disk(self, number: int) -> None:
        """Remember the disk of a node as it is now, as a snapshot of its machine would."""
        disk = self.place(number) / "disk"
        shutil.copytree(disk, disk.with_name("old"))

    def bring_old_disk(self, number: int) -> None:
        """Give a node that does not run the disk of `keep_disk`: a backup, or a clone."""
        disk = self.place(number) / "disk"
        shutil.rmtree(disk)
        shutil.copytree(disk.with_name("old"), disk)

    def freeze(self, number: int) -> None:
        """Nothing of it answers and no connection ends, as when its machine hangs."""
        os.kill(self._pid(number), signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        os.kill(self._pid(number), signal.SIGCONT)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _pid(self, number: int) -> int:
        """Of nats-server itself, which its watcher has started."""
        watcher = self.nodes[number].pid
        return int(Path(f"/proc/{watcher}/task/{watcher}/children").read_text().split()[0])


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server((_LOOPBACK, 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
