"""Our own port over TLS: it never waits, trusts nobody wrong, and says what is wrong."""

import socket
import ssl
import time

import pytest

from adapters.dialing import DIAL_MS
from adapters.identity import CertificateWatch, Identity, IdentityError
from adapters.mqtt import PAYLOAD_BYTES_MAX, MqttPort
from edge_agent import doctor
from edge_agent.config import Broker, Config
from protocols.wire import topics
from tests.adapters.test_mqtt import _now_ms, pump
from tests.identity.realm import (
    AGENT,
    HOST,
    READER,
    SITE,
    Peer,
    Realm,
    Refused,
    now_s,
    running,
    stranger,
)
from tools.identity import files, names
from tools.identity.authority import DAY_S, Authority

UP, DOWN = topics.up(SITE, 1001), topics.down(SITE, 1001)


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("realm"))
    realm.issue(READER)
    realm.issue(AGENT)
    return realm


@pytest.fixture(scope="module")
def broker(mosquitto, realm):
    with running(mosquitto, realm) as broker:
        yield broker


@pytest.fixture
def port():
    opened = []

    def make(broker, identity, subscriptions=(), host=HOST):
        port = MqttPort(
            host,
            broker.port,
            "client",
            subscriptions=list(subscriptions),
            secure=identity.context,
        )
        opened.append(port)
        return port

    yield make
    for one in opened:
        one.close()


def complaint(port):
    """What the port says when its first attempt has failed."""
    pump([port], lambda: port.last_error)
    assert not port.connected and port.sessions == 0
    return port.last_error


def test_messages_of_every_size_pass_in_order(broker, realm, port):
    reader = port(broker, realm.identities[READER])
    agent = port(broker, realm.identities[AGENT], [topics.up_filter(SITE)])
    pump([reader, agent], lambda: reader.connected and agent.connected)
    sizes = [0, 1, 16_384, 16_385, PAYLOAD_BYTES_MAX - 100, *range(100, 400)]
    heard = []
    agent.hold()
    reader.hold()
    for size in sizes:
        assert reader.publish(UP, bytes(size))
    reader.release()

    def all_heard():
        while (message := agent.take()) is not None:
            heard.append(len(message.payload))
            agent.hold()
            agent.ack(message)
        return len(heard) == len(sizes) and reader.unacked == 0

    pump([reader, agent], all_heard)
    assert heard == sizes
    # A name in the certificate is the name: nothing was carried by what the client called itself.
    assert agent.last_error == reader.last_error == ""


def test_a_broker_that_is_not_ours_is_not_trusted(mosquitto, realm, port):
    ours, agent = realm.identities[READER], realm.identities[AGENT]
    wrong = {
        "its certificate: no authority of ours has signed it": realm.by_hand(
            HOST, kind=names.BROKER, signer=stranger()
        ),
        "its certificate: it has expired": realm.by_hand(
            HOST, kind=names.BROKER, end_s=now_s() - 60
        ),
        "its certificate: it is another host's": realm.by_hand("127.0.0.2", kind=names.BROKER),
        # A reader that was stolen stands in for the broker of its building.
        "its certificate: it is no broker's": ours,
    }
    for said, identity in wrong.items():
        with running(mosquitto, realm, tls=identity.certificate.parent) as false_broker:
            assert said in complaint(port(false_broker, agent))
    with running(mosquitto, realm) as broker:
        pump([good := port(broker, agent, host="localhost")], lambda: good.connected)


def test_a_port_that_speaks_no_tls_is_told(port, realm):
    with socket.create_server((HOST, 0)) as server:

        class Plain:
            port = server.getsockname()[1]

        one = port(Plain, realm.identities[AGENT])
        one.step(_now_ms())
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert "it does not speak TLS" in complaint(one)
        connection.close()


def test_who_is_refused_says_so(mosquitto, realm, port):
    with running(mosquitto, realm) as broker:
        cases = [
            realm.by_hand(AGENT, end_s=now_s() - 60),
            realm.by_hand(AGENT, kind=names.BROKER),
        ]
        for identity in cases:
            said = complaint(port(broker, identity))
            assert "our certificate" in said or "see the broker's log" in said, said
        gone = realm.issue("canteen-1/1009")
        realm.revoke("canteen-1/1009")
        broker.bring_list()
        broker.restart()
        said = complaint(port(broker, gone))
        assert "revoked" in said or "see the broker's log" in said, said


def test_a_silent_peer_never_holds_the_loop(realm, port):
    """Someone who takes the connection and says nothing, or a byte now and then."""
    with socket.create_server((HOST, 0)) as server:

        class Silent:
            port = server.getsockname()[1]

        one = port(Silent, realm.identities[AGENT])
        began_s = time.monotonic()
        one.step(0)
        connection, _ = server.accept()
        deadline_s = time.monotonic() + 5
        while one.wants_write():  # TCP and our ClientHello are through
            one.step(1)
            assert time.monotonic() < deadline_s
        connection.sendall(b"\x16\x03")
        for now_ms in (2, DIAL_MS - 1):
            assert one.step(now_ms) == DIAL_MS and one.fileno() is not None
            assert one.is_opening and not one.wants_write()
        one.step(DIAL_MS)
        assert one.last_error.startswith("no answer in time")
        assert one.fileno() is None and time.monotonic() - began_s < 5
        connection.close()


def test_a_connection_that_is_cut_in_the_handshake(realm, port):
    with socket.create_server((HOST, 0)) as server:

        class Cut:
            port = server.getsockname()[1]

        one = port(Cut, realm.identities[AGENT])
        one.step(_now_ms())
        server.accept()[0].close()
        assert "it hung up" in complaint(one)


def test_a_renewed_certificate_is_taken_at_the_next_connection(mosquitto, realm, port, tmp_path):
    identity = realm.issue("canteen-1/1008")
    with running(mosquitto, realm) as broker:
        one = port(broker, identity)
        pump([one], lambda: one.connected)
        with Authority.opened(realm.ca) as authority:
            authority.renew(names.client("canteen-1/1008"), tmp_path / "new", now_s())
            authority.revoke(names.client("canteen-1/1008"), now_s(), but_newest=True)
        broker.bring_list()
        broker.restart()
        pump([one], lambda: "CONNACK" in one.last_error)
        assert one.sessions == 1
        for name in ("key.pem", "certificate.pem"):
            data = (tmp_path / "new" / name).read_bytes()
            mode = files.SECRET if name == "key.pem" else files.PUBLIC
            files.replace(identity.key.parent / name, data, mode)
        pump([one], lambda: one.connected)
        assert one.sessions == 2


def test_rolling_the_authority_over_interrupts_nobody(mosquitto, tmp_path, port):
    realm = Realm(tmp_path)
    old_agent, old_reader = realm.issue(AGENT), realm.issue(READER)
    with Authority.opened(realm.ca) as authority:
        assert authority.next_generation(now_s()) == 2
        authority.renew(names.client(AGENT), tmp_path / "agent", now_s())
        authority.renew(names.broker(HOST), tmp_path / "broker", now_s())
        with pytest.raises(Exception, match="still good"):
            authority.retire(1, now_s())
    new_agent = Identity(
        tmp_path / "agent" / "ca.pem",
        tmp_path / "agent" / "certificate.pem",
        tmp_path / "agent" / "key.pem",
        AGENT,
    )
    # First ca.pem goes to brokers: then certificates of both kinds get in.
    with running(mosquitto, realm) as broker:
        for identity in (old_reader, new_agent):
            one = port(broker, identity)
            pump([one], lambda one=one: one.connected)
        assert "revoked" not in broker.log.read_text()
    # A broker with a certificate of the new authority: only who has the new ca.pem trusts it.
    with running(mosquitto, realm, tls=tmp_path / "broker") as broker:
        assert "no authority of ours" in complaint(port(broker, old_agent))
        for identity in (old_agent, old_reader):
            files.replace(identity.ca, (realm.ca / "ca.pem").read_bytes(), files.PUBLIC)
        one = port(broker, old_agent)
        pump([one], lambda: one.connected)
    # What was signed by the old one can still be revoked.
    realm.revoke(READER)
    with running(mosquitto, realm, tls=tmp_path / "broker") as broker:
        complaint(port(broker, old_reader))
        with pytest.raises(Refused, match="revoked"):
            Peer(broker.port, old_reader)


# --- files -------------------------------------------------------------------------------------


def _changed(identity, **paths):
    given = {name: getattr(identity, name) for name in ("ca", "certificate", "key", "name")}
    return Identity(**{**given, **paths})


def test_what_does_not_fit_is_named(realm, tmp_path):
    ours, other = realm.identities[AGENT], realm.identities[READER]
    noise = tmp_path / "noise"
    noise.write_bytes(b"-----BEGIN NOISE-----\n")
    noise.chmod(0o600)
    foreign = realm.by_hand(AGENT, signer=stranger())
    wrong = {
        "is canteen-1/1001's, not canteen-1/agent's": _changed(
            ours, certificate=other.certificate
        ),
        "not the key of": _changed(ours, key=other.key),
        "no authority in": foreign,
        "not a certificate in PEM": _changed(ours, certificate=noise),
        "not a key in PEM": _changed(ours, key=noise),
        "no certificates in PEM": _changed(ours, ca=noise),
        "No such file": _changed(ours, ca=tmp_path / "nowhere"),
    }
    for said, identity in wrong.items():
        with pytest.raises(IdentityError, match=said):
            identity.check()
    ours.check()


def test_a_key_that_others_may_read_is_not_used(realm, tmp_path):
    ours = realm.identities[AGENT]
    key = tmp_path / "key.pem"
    key.write_bytes(ours.key.read_bytes())
    for mode in (0o640, 0o604, 0o660):
        key.chmod(mode)
        with pytest.raises(IdentityError, match=f"others may read it .mode {mode:04o}"):
            _changed(ours, key=key).check()
    key.chmod(0o400)
    _changed(ours, key=key).check()


def test_an_encrypted_key_asks_nobody(realm, tmp_path):
    """OpenSSL would stop the process and ask on its terminal."""
    from cryptography.hazmat.primitives import serialization

    ours = realm.identities[AGENT]
    key = serialization.load_pem_private_key(ours.key.read_bytes(), None)
    path = tmp_path / "key.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    path.chmod(0o600)
    with pytest.raises(IdentityError, match="without a password"):
        _changed(ours, key=path).context()


def test_tls_is_not_older_than_1_2(realm):
    context = realm.identities[AGENT].context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED


def test_an_end_is_told_once_a_day(realm):
    """One that has ended stops nobody: the other link of an agent still takes records."""
    end_s = now_s() + 40 * DAY_S
    identity = realm.by_hand(AGENT, end_s=end_s)
    watch = CertificateWatch("upstream", identity)
    assert [watch.news(end_s - days * DAY_S) for days in (31, 30, 29, 29, 1, -1)] == [
        *(None, None, 29, None, 1, -1),
    ]
    realm.by_hand(AGENT, end_s=now_s() - 60).check()


# --- the doctor --------------------------------------------------------------------------------


def test_the_doctor_looks_without_ending_the_agents_session(broker, realm, port, tmp_path):
    """It has the agent's own certificate: by one word of MQTT the broker would take it for it."""
    ours = realm.identities[AGENT]
    ending = realm.by_hand(AGENT, end_s=now_s() + 5 * DAY_S)
    (tmp_path / "data").mkdir(mode=0o700)
    with running(broker.program, realm, tls=ours.certificate.parent) as false_broker:
        config = Config(
            SITE,
            tmp_path / "data",
            bytes(32),
            Broker(HOST, broker.port, ours),
            Broker(HOST, false_broker.port, ending),
        )
        agent = port(broker, ours)
        pump([agent], lambda: agent.connected)
        found = {finding.about: finding for finding in doctor.examine(config)}
    pump([agent], lambda: agent.publish(DOWN, b"still here") > 0 and agent.unacked == 1)
    pump([agent], lambda: agent.unacked == 0)
    assert agent.sessions == 1 and agent.last_error == ""
    levels = {about: finding.level for about, finding in found.items()}
    assert (levels["readers' broker"], levels["upstream"]) == (doctor.GOOD, doctor.WRONG)
    assert "it is no broker's" in found["upstream"].text
    assert levels["certificate for readers"] == doctor.GOOD
    assert levels["certificate for upstream"] == doctor.WORTH_A_LOOK
    # The authority's, and what a broker has shown: nothing of one that is not trusted.
    assert levels["authority for upstream"] == levels["authority for readers"] == doctor.GOOD
    assert "days left" in found["certificate of readers' broker"].text
    assert "certificate of upstream" not in found
    assert "onecard ca renew" in found["certificate for upstream"].action
