"""The configuration of a production broker: Mosquitto 2.0, in a building or in the card centre.

Who connects is who its certificate says; nothing else is asked. A reader's name is what stands in
its topics, so one pattern serves all of them, and a new reader needs no change here. The agent's
links go to two brokers: on one, its connections would bear one client id and end each other.

Mosquitto is started anew for every change, never told to reload: at a SIGHUP that cannot read its
file of rights (gone, or no descriptor left) 2.0.11 goes on without one, and everybody who is let
in may do everything. SERVICE, for systemd, keeps that signal from it, whoever sends it: the
package's log rotation does. A start that cannot read the file ends.
"""

from dataclasses import dataclass
from pathlib import Path

from adapters.identity import LEDGERS
from adapters.mqtt import INBOX_MAX, PAYLOAD_BYTES_MAX
from ledger.service import HEARD, WILL, WITH_CARDS
from protocols.wire import topics
from tools.identity import files, names

CONFIGURATION, RIGHTS, SERVICE = "mosquitto.conf", "acl", "onecard.conf"
# What MqttPort would drop unread never comes to it: the agent has to see who floods.
_PACKET_BYTES_MAX = PAYLOAD_BYTES_MAX
# What a fast flooder sends until the agent has stopped listening to it (edge_agent/hearing.py):
# with 1,000 the others' messages of that moment were dropped, and said again after 5 s.
QUEUED_MESSAGES_MAX = 10_000
# All of one agent's readers, twice over: a connection that died is noticed late.
CONNECTIONS_MAX = 2000
_QUEUED_BYTES_MAX = 16 * 1024 * 1024

_CONF = """\
# Written by onecard broker config. Use it instead of what the package brings, not beside it.
per_listener_settings false
listener {port} {address}
# Who you are is what your certificate says, also as client id: nobody ends another's session.
cafile {tls}/ca.pem
crlfile {tls}/crl.pem
certfile {tls}/certificate.pem
keyfile {tls}/key.pem
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {rights}
# Bounds. No promise of this system rests on what a broker keeps: what is lost here is sent again.
max_connections {connections}
max_qos 1
max_packet_size {packet_bytes}
max_inflight_messages {inflight}
max_queued_messages {queued}
max_queued_bytes {queued_bytes}
# Of MQTT 5 alone; in 3.1.1 a certificate has one connection, however long that is silent.
max_keepalive 300
queue_qos0_messages false
# A restart forgets sessions and retained messages, so it also forgets whoever was revoked.
persistence false
persistent_client_expiration 1d
check_retain_source true
set_tcp_nodelay true
sys_interval 0
log_dest {log}
log_type error
log_type warning
log_type notice
log_type information
"""
_SERVICE = """\
# For /etc/systemd/system/mosquitto.service.d/. Written by onecard broker config.
[Service]
ExecStart=
ExecStart=/usr/bin/env --block-signal=HUP /usr/sbin/mosquitto -c {configuration}
ExecReload=
Restart=on-failure
LimitNOFILE={descriptors}
"""


class BrokerError(Exception):
    """No such configuration; the text says why."""


@dataclass(frozen=True)
class Listener:
    """Where the broker listens, where its key lies, where its log goes, how many it serves."""

    port: int
    address: str
    tls: Path
    log: str = "syslog"
    connections: int = CONNECTIONS_MAX


def write(out: Path, listener: Listener, rights: str) -> None:
    """Write CONFIGURATION, RIGHTS and SERVICE into the folder `out`. BrokerError if one is there.

    Paths in them are absolute: the folder stays where it is written.
    """
    if not names.address(listener.address) or not 1 <= listener.port <= 65_535:
        raise BrokerError("an IP address to listen on, and a port from 1 to 65535")
    for path in (out.absolute(), listener.tls.absolute()):
        if not str(path).isprintable() or set(str(path)) & set(" %'\"\\"):
            raise BrokerError(f"{path!r}: Mosquitto cannot read such a path")
    out.mkdir(parents=True, exist_ok=True)
    text = _CONF.format(
        port=listener.port,
        address=listener.address,
        tls=listener.tls.absolute(),
        rights=(out / RIGHTS).absolute(),
        connections=listener.connections,
        packet_bytes=_PACKET_BYTES_MAX,
        inflight=INBOX_MAX,
        queued=QUEUED_MESSAGES_MAX,
        queued_bytes=_QUEUED_BYTES_MAX,
        log=listener.log,
    )
    service = _SERVICE.format(
        configuration=(out / CONFIGURATION).absolute(), descriptors=listener.connections + 100
    )
    try:
        files.place(out / SERVICE, service.encode(), files.PUBLIC)
        # Later Mosquittos complain of rights that others may read.
        files.place(out / RIGHTS, rights.encode(), files.SECRET)
        files.place(out / CONFIGURATION, text.encode(), files.PUBLIC)
    except FileExistsError as error:
        raise BrokerError(f"{error.filename}: is there already") from None


def building_rights(site: str, *, strangers: bool = False) -> str:
    """Who may do what on the broker of a building; a moved reader is heard if `strangers`."""
    if not topics.is_site(site):
        raise BrokerError(f"{site!r}: a site is a-z, 0-9 and '-', 1 to 16 characters")
    lines = ["# A reader, by its name SITE/NUMBER: its own topics, and nobody else's."]
    lines += [f"pattern write {topics.PREFIX}%u/{leaf}" for leaf in ("up", "status")]
    lines += [f"pattern read {topics.PREFIX}%u/down", "", f"user {site}/{names.AGENT}"]
    heard = topics.any_up_filter() if strangers else topics.up_filter(site)
    lines += [f"topic read {heard}"]
    lines += [f"topic write {heard.removesuffix('up')}down"]
    return "\n".join(lines) + "\n"


def centre_rights() -> str:
    """Who may do what on the broker of the card centre."""
    lines = ["# An agent, by its name SITE/agent: its own topics, and what the ledger tells all."]
    lines += [f"pattern write {topics.PREFIX}%u/{_leaf(asked)}" for asked in WITH_CARDS]
    answers = [_leaf(build("x")) for build in _ANSWERS]
    lines += [f"pattern read {topics.PREFIX}%u/{leaf}" for leaf in answers]
    lines += [f"pattern read {topic}" for topic in (topics.LEDGER_STATUS, topics.LEDGER_CARDS)]
    lines += [f"pattern write {topics.LEDGER_PROBE}"]
    for name in LEDGERS:
        lines += ["", f"user {name}"]
        lines += [f"topic read {asked}" for asked in HEARD]
        lines += [f"topic write {topics.PREFIX}+/agent/{leaf}" for leaf in answers]
        lines += [f"topic write {topic}" for topic in (WILL[0], *_TOLD)]
    return "\n".join(lines) + "\n"


_TOLD = topics.LEDGER_CARDS, topics.LEDGER_PROBE
_ANSWERS = (topics.agent_receipts, topics.relay_down, topics.cards_down)


def _leaf(topic: str) -> str:
    return topic.rpartition("/")[2]
