"""The configuration of a node of the card centre's cluster of brokers: nats-server 2.9 and later.

Who connects is who its certificate says, as on Mosquitto (tools/identity/broker.py). NATS has no
pattern with a name in it, so every site stands in the file; an agent that is not there does not
get in, which is also how one is revoked. A new file is read at SIGHUP, and ends the session of who
is no longer in it, and nobody else's. Subscriptions are of QoS 0 (ADR 82): for QoS 1 nobody has
the rights.

Nodes speak among themselves with a common word and in clear, so they need a network of their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters import secret_files
from adapters.failover import Address
from adapters.identity import LEDGERS, agent_name
from adapters.mqtt import PAYLOAD_BYTES_MAX
from ledger.service import HEARD, WILL, WITH_CARDS
from protocols.wire import topics
from tools.identity import files, names
from tools.identity.broker import BrokerError

CONFIGURATION = "nats.conf"
CONNECTIONS_MAX = 4096  # agents and ledgers, twice over
_PACKET_ROOM = 4096  # topic and headers

_CONF = """\
# Written by onecard broker cluster. With other sites it is written anew, for all nodes.
server_name: "{node}"
listen: "127.0.0.1:-1"
max_connections: {connections}
max_payload: {payload_bytes}
jetstream {{ store_dir: "{store}" }}
mqtt {{
  listen: "{address}:{port}"
  tls {{
    cert_file: "{tls}/certificate.pem"
    key_file: "{tls}/key.pem"
    ca_file: "{tls}/ca.pem"
    verify_and_map: true
  }}
}}
{cluster}accounts {{
  onecard: {{
    jetstream: enabled
    users: [
{users}
    ]
  }}
}}
"""
_CLUSTER = """\
cluster {{
  name: "onecard-centre"
  listen: "{host}:{port}"
  authorization {{ user: node, password: "{secret}" }}
  routes: [{routes}]
}}
"""
_USER = """\
      {{ user: "CN={name}", permissions: {{
        publish: {{ allow: [{publish}] }}, subscribe: {{ allow: [{subscribe}] }} }} }}"""


@dataclass(frozen=True)
class Node:
    """A node: its name, where agents and ledgers dial it, its certificate, where its disk is.

    `routes`: where all nodes find each other, this one first; none where it is alone. `secret`:
    the file (mode 0600) with the word that they have in common.
    """

    name: str
    address: str
    port: int
    tls: Path
    store: Path
    routes: Sequence[Address] = ()
    secret: Path | None = None


def write(out: Path, node: Node, sites: Sequence[str]) -> None:
    """Write CONFIGURATION into the folder `out`, for root and nats alone. BrokerError."""
    wrong = [site for site in sites if not topics.is_site(site)]
    if wrong or not sites or len(set(sites)) < len(sites):
        raise BrokerError(f"{wrong or sites}: sites are a-z, 0-9 and '-', each once")
    if not names.address(node.address) or not node.name.isprintable() or '"' in node.name:
        raise BrokerError("an IP address to listen on, and a plain name for the node")
    for path in (node.tls, node.store):
        if not str(path).isprintable() or '"' in str(path):
            raise BrokerError(f"{path}: nats-server cannot read such a path")
    text = _CONF.format(
        node=node.name,
        connections=CONNECTIONS_MAX,
        payload_bytes=PAYLOAD_BYTES_MAX + _PACKET_ROOM,
        store=node.store.absolute(),
        address=node.address,
        port=node.port,
        tls=node.tls.absolute(),
        cluster=_cluster(node),
        users=",\n".join(_users(sites)),
    )
    out.mkdir(parents=True, exist_ok=True)
    files.replace(out / CONFIGURATION, text.encode(), files.SECRET)


def agent_rights(site: str) -> tuple[list[str], list[str]]:
    """On which topics the agent of a site may speak, and which it may hear."""
    speaks = [f"{topics.PREFIX}{site}/agent/{_leaf(asked)}" for asked in WITH_CARDS]
    answers = [build(site) for build in _ANSWERS]
    return [*speaks, topics.LEDGER_PROBE], [*answers, topics.LEDGER_STATUS, topics.LEDGER_CARDS]


def ledger_rights() -> tuple[list[str], list[str]]:
    """On which topics (with +) a ledger may speak, and which it may hear."""
    answers = [f"{topics.PREFIX}+/agent/{_leaf(build('x'))}" for build in _ANSWERS]
    return [*answers, WILL[0], topics.LEDGER_CARDS, topics.LEDGER_PROBE], list(HEARD)


_ANSWERS = (topics.agent_receipts, topics.relay_down, topics.cards_down)


def _leaf(topic: str) -> str:
    return topic.rpartition("/")[2]


def _users(sites: Iterable[str]) -> list[str]:
    rights = {agent_name(site): agent_rights(site) for site in sites}
    rights |= {name: ledger_rights() for name in LEDGERS}
    return [
        _USER.format(name=name, publish=_subjects(speaks), subscribe=_subjects(hears))
        for name, (speaks, hears) in rights.items()
    ]


def _subjects(of: Iterable[str]) -> str:
    """MQTT topics as NATS calls them: a level ends with a dot, and any one is a star."""
    return ", ".join(f'"{topic.replace("/", ".").replace("+", "*")}"' for topic in of)


def _cluster(node: Node) -> str:
    if not node.routes:
        return ""
    if node.secret is None:
        raise BrokerError("nodes need a word in common: a file of mode 0600")
    try:
        secret = secret_files.read(node.secret).decode("ascii").strip()
    except (secret_files.SecretFileError, UnicodeDecodeError) as error:
        raise BrokerError(f"{node.secret}: {error}") from None
    if len(secret) < 32 or not secret.isalnum():
        raise BrokerError(f"{node.secret}: 32 letters and digits at least")
    host, port = node.routes[0]
    routes = ", ".join(f'"nats://node:{secret}@{_where(*route)}"' for route in node.routes)
    return _CLUSTER.format(host=host, port=port, secret=secret, routes=routes)


def _where(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
