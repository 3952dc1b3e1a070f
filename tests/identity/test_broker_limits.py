"""Every line of the broker's configuration holds: each is tried here or in test_broker.py, and the
few that nothing can try from outside are named with why.
"""

import socket
import ssl
import struct

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from protocols.wire import topics
from tests.identity import test_broker as tried
from tests.identity.realm import (
    AGENT,
    CONNACK,
    HOST,
    READER,
    SITE,
    Peer,
    Realm,
    Refused,
    _context,
    packet,
    running,
)
from tools.identity import certificates
from tools.identity.broker import building_rights

UP, DOWN = topics.up(SITE, 1001), topics.down(SITE, 1001)
KEEPALIVE_S_MAX = 300
_SILENT_S = 0.3


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("realm"))
    for name in (READER, AGENT):
        realm.issue(name)
    return realm


@pytest.fixture(scope="module")
def broker(mosquitto, realm):
    with running(mosquitto, realm) as broker:
        yield broker


@pytest.fixture
def peers(realm):
    opened = []

    def connect(broker, whose, version=4, **how):
        peer = Peer(broker.port, realm.identities[whose], version)
        opened.append(peer)
        assert peer.connect(whose, **how) == 0
        return peer

    yield connect
    for peer in opened:
        peer.close()


# Directive -> the test of it, or why there is none.
TRIED = {
    "per_listener_settings": "says where all others stand: every test here would fail",
    "listener": tried.test_without_tls_there_is_nothing_to_talk_to,
    "cafile": tried.test_only_who_holds_a_good_certificate_of_ours_gets_in,
    "crlfile": tried.test_a_revoked_certificate_gets_nobody_in_and_a_restart_ends_its_session,
    "certfile": "without it there is no TLS: every test here would fail",
    "keyfile": "without it there is no TLS: every test here would fail",
    "tls_version": "test_tls_older_than_1_2_is_not_spoken",
    "require_certificate": tried.test_only_who_holds_a_good_certificate_of_ours_gets_in,
    "use_identity_as_username": tried.test_a_name_in_connect_is_nobodys,
    "use_username_as_clientid": tried.test_nobody_ends_anothers_session_by_its_client_id,
    "allow_anonymous": "test_a_certificate_without_a_name_gets_nobody_in",
    "acl_file": tried.test_in_a_building_each_speaks_on_its_own_topics_only,
    "max_connections": tried.test_connections_have_a_bound,
    "max_qos": tried.test_quality_two_is_not_spoken_here,
    "max_packet_size": tried.test_a_packet_larger_than_any_of_ours_ends_the_connection,
    "max_inflight_messages": tried.test_more_than_the_broker_keeps_is_dropped_and_nothing_else,
    "max_queued_messages": tried.test_more_than_the_broker_keeps_is_dropped_and_nothing_else,
    "max_queued_bytes": "test_large_messages_are_kept_by_their_bytes_not_their_number",
    "max_keepalive": "test_mqtt_5_is_told_how_often_to_speak_at_least",
    "queue_qos0_messages": "test_nothing_of_quality_0_waits_for_who_is_away",
    "persistence": tried.test_what_a_revoked_reader_left_behind_goes_with_the_restart,
    "persistent_client_expiration": "a day passes for nobody here; the number of sessions is bound"
    " by the number of certificates",
    "check_retain_source": "rights change with a restart only, and that forgets what is retained",
    "set_tcp_nodelay": "a matter of 40 ms: tools/bench/agent_ledger.py would show it",
    "sys_interval": "test_the_broker_tells_nothing_of_itself",
    "log_dest": tried.test_a_broker_that_cannot_read_its_rights_does_not_start,
    "log_type": "test_the_log_says_who_was_refused",
}


def test_every_line_of_the_configuration_is_tried_or_has_a_reason(broker):
    text = (broker.out / "mosquitto.conf").read_text()
    lines = {line.split()[0] for line in text.splitlines() if line and not line.startswith("#")}
    assert lines - {"user"} == TRIED.keys()  # the user is the test's own
    named = [text for text in TRIED.values() if isinstance(text, str) and text.startswith("test_")]
    assert [name for name in named if name not in globals()] == []


_LAX = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
"""


def _context_of(identity, version):
    context = _context(identity)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")  # or this OpenSSL itself would not speak it
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_older_than_1_2_is_not_spoken(mosquitto, realm, tmp_path, monkeypatch):
    """Nor where the system's own OpenSSL would let it pass, as Debian's does not."""
    (tmp_path / "openssl.cnf").write_text(_LAX)
    monkeypatch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))

    def said(port, version):
        with socket.create_connection((HOST, port), timeout=10) as plain:
            context = _context_of(realm.identities[READER], version)
            with context.wrap_socket(plain, server_hostname=HOST) as secured:
                return secured.version()

    with running(mosquitto, realm) as broker:
        assert said(broker.port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with pytest.raises((ssl.SSLError, ConnectionError), match=r"(?i)version|alert|reset"):
                said(broker.port, version)


def test_a_certificate_without_a_name_gets_nobody_in(broker, realm, monkeypatch):
    """Of our own authority, by mistake. That names come from certificates turns it away already;
    allow_anonymous is what is left if somebody takes that line out.
    """
    organisation = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, READER)])
    monkeypatch.setattr(certificates, "_subject", lambda _name: organisation)
    nameless = realm.by_hand(READER)
    monkeypatch.undo()
    with pytest.raises((Refused, AssertionError)):
        peer = Peer(broker.port, nameless)
        assert peer.connect("x") == 0
        peer.publish(UP)


@pytest.mark.parametrize("keepalive_s", [0, KEEPALIVE_S_MAX + 1, 65_535])
def test_mqtt_5_is_told_how_often_to_speak_at_least(broker, realm, keepalive_s):
    """2.0.11 bounds MQTT 5 alone. Who says in 3.1.1 that it will be silent for hours keeps its
    place, one for each certificate: the next connection under that name ends this one.
    """
    body = struct.pack(">H", KEEPALIVE_S_MAX)
    peer = Peer(broker.port, realm.identities[READER], 5)
    peer.send(packet(0x10, b"\0\4MQTT\5\2" + struct.pack(">H", keepalive_s) + b"\0\0\1x"))
    answer = peer.wait(CONNACK)
    assert answer[1] == 0 and b"\x13" + body in answer[2:]
    silent = Peer(broker.port, realm.identities[READER])
    assert silent.connect("x", keepalive_s=keepalive_s) == 0
    after = Peer(broker.port, realm.identities[READER])
    assert after.connect("y") == 0
    with pytest.raises(Refused):
        silent.hear()
    for one in (peer, silent, after):
        one.close()


def test_nothing_of_quality_0_waits_for_who_is_away(broker, peers):
    away = peers(broker, READER, clean=False)
    away.subscribe(DOWN)
    away.close()
    agent = peers(broker, AGENT)
    agent.publish(DOWN, b"nothing", qos=0)
    agent.publish(DOWN, b"end")
    back = peers(broker, READER, clean=False)
    assert back.messages(b"end") == [(DOWN, b"end")]
    back.close()
    peers(broker, READER)  # a clean session ends what waits


def test_large_messages_are_kept_by_their_bytes_not_their_number(mosquitto, realm, peers):
    """Of 64 kB each, a thousand would be 64 MB for each subscriber that stands still. What is in
    flight counts: larger ones than these and nothing at all would wait behind them.
    """
    size, count = 30_000, 700
    with running(mosquitto, realm) as broker:
        reader, agent = peers(broker, READER), peers(broker, AGENT)
        agent.subscribe(topics.up_filter(SITE))
        for _ in range(count):
            reader.publish(UP, bytes(size))
        heard = 0
        with pytest.raises(TimeoutError):
            while agent.hear_and_ack(_SILENT_S):
                heard += 1
        print(f"{heard} of {count} kept, {heard * size} bytes")
        assert 512 < heard < count and heard * size <= 16 * 1024 * 1024 + size
        assert reader.publish(UP, b"end") == 0
        assert agent.messages(b"end")[-1] == (UP, b"end")


def test_the_broker_tells_nothing_of_itself(mosquitto, realm, peers):
    """Versions, numbers of clients: with a right to them, which nobody has, they are not there."""
    rights = building_rights(SITE) + "topic read $SYS/#\n"
    with running(mosquitto, realm, rights=rights) as broker:
        agent = peers(broker, AGENT)
        assert agent.subscribe("$SYS/#") == 1
        with pytest.raises(TimeoutError):
            agent.hear(1.5)


def test_the_log_says_who_was_refused(mosquitto, realm):
    with running(mosquitto, realm) as broker:
        with pytest.raises(Refused):
            Peer(broker.port, None).connect("x")
        reader = Peer(broker.port, realm.identities[READER])
        reader.connect("x")
        with pytest.raises(Refused):
            reader.publish(UP, qos=2, wait=False)
            reader.hear()
        broker.restart()
        log = broker.log.read_text()
    assert "peer did not return a certificate" in log
    assert f"Too high QoS in PUBLISH from {READER}" in log
