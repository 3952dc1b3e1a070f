"""Everything that somebody in the network of a building may try, against a real Mosquitto with the
configuration that we ship. Each published weakness of that broker which a configuration can meet
is tried as well, under its number.
"""

import os
import resource
import socket

import pytest

from adapters.mqtt import INBOX_MAX, PAYLOAD_BYTES_MAX
from protocols.wire import topics
from tests.identity.realm import (
    AGENT,
    HOST,
    NOT_AUTHORIZED,
    OTHER,
    READER,
    SITE,
    Peer,
    Realm,
    Refused,
    now_s,
    packet,
    running,
    stranger,
)
from tools.identity import names
from tools.identity.broker import QUEUED_MESSAGES_MAX, building_rights, centre_rights

UP, DOWN = topics.up(SITE, 1001), topics.down(SITE, 1001)
OTHER_UP, OTHER_DOWN = topics.up(SITE, 1002), topics.down(SITE, 1002)
STATUS = topics.status(SITE, 1001)
_SILENT_S = 0.3


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("realm"))
    for name in (READER, OTHER, AGENT, "ledger"):
        realm.issue(name)
    return realm


@pytest.fixture(scope="module")
def broker(mosquitto, realm):
    with running(mosquitto, realm) as broker:
        yield broker


@pytest.fixture
def peers(realm):
    """A function that connects the holder of a name's certificate to a broker."""
    opened = []

    def connect(broker, whose, version=4, **how):
        identity = realm.identities[whose] if isinstance(whose, str) else whose
        peer = Peer(broker.port, identity, version)
        opened.append(peer)
        assert peer.connect(**{"client_id": f"onecard-{len(opened)}", **how}) == 0
        return peer

    yield connect
    for peer in opened:
        peer.close()


def refused(broker, identity):
    """Why the broker does not let `identity` in, in OpenSSL's words; "" when it does."""
    try:
        peer = Peer(broker.port, identity)
        peer.connect("x")
    except Refused as error:
        return str(error)
    peer.close()
    return ""


def rights_of(peer, tried):
    """Those of the topics `tried` that the broker lets the peer (of MQTT 5) publish on."""
    return {topic for topic in tried if peer.publish(topic) < 0x80}


# --- who gets in -------------------------------------------------------------------------------


def test_only_who_holds_a_good_certificate_of_ours_gets_in(broker, realm):
    assert refused(broker, realm.identities[READER]) == ""
    assert "handshake failure" in refused(broker, None)
    assert "unknown ca" in refused(broker, realm.by_hand(READER, signer=stranger()))
    assert "expired" in refused(broker, realm.by_hand(READER, end_s=now_s() - 60))
    # A broker's own certificate makes nobody a client.
    assert "unsupported" in refused(broker, realm.by_hand(READER, kind=names.BROKER))


def test_without_tls_there_is_nothing_to_talk_to(broker):
    with socket.create_connection((HOST, broker.port)) as plain:
        plain.sendall(packet(0x10, b"\0\4MQTT\4\2\0\x3c\0\1x"))
        plain.settimeout(5)
        try:
            said = plain.recv(100)
        except ConnectionResetError:
            said = b""
        assert not said.startswith(b"\x20")


def test_a_revoked_certificate_gets_nobody_in_and_a_restart_ends_its_session(
    mosquitto, realm, peers
):
    victim = realm.issue("canteen-1/1003")
    with running(mosquitto, realm) as broker:
        session = peers(broker, victim)
        realm.revoke("canteen-1/1003")
        broker.bring_list()
        # Mosquitto goes on with the list that it knows until it is started anew: that is why the
        # documents say restart.
        broker.restart()
        with pytest.raises(Refused):
            session.publish(UP)
            session.publish(UP)
        assert "revoked" in refused(broker, victim)
        assert refused(broker, realm.identities[READER]) == ""


def test_a_revocation_list_never_turns_away_the_good(mosquitto, realm):
    """One that goes out of date would do so to everybody, on the day nobody expects it."""
    with running(mosquitto, realm) as broker:
        log = broker.log.read_text()
        assert refused(broker, realm.identities[READER]) == "", log
    from cryptography import x509

    made = x509.load_pem_x509_crl((realm.ca / "crl.pem").read_bytes())
    authority = x509.load_pem_x509_certificate((realm.ca / "ca-1.pem").read_bytes())
    assert made.next_update_utc == authority.not_valid_after_utc
    assert made.last_update_utc == authority.not_valid_before_utc


# --- who may do what ---------------------------------------------------------------------------

BUILDING = {
    READER: {UP, STATUS},
    AGENT: {DOWN, OTHER_DOWN, f"onecard/v1/{AGENT}/up", f"onecard/v1/{AGENT}/status"},
    "ledger": {"onecard/v1/ledger/up", topics.LEDGER_STATUS},
}
CENTRE = {
    READER: {"onecard/v1/canteen-1/1001/records"},
    AGENT: {topics.agent_records(SITE), topics.relay_up(SITE), topics.cards_up(SITE)},
    "ledger": {
        topics.LEDGER_STATUS,
        topics.LEDGER_CARDS,
        *(build(s) for s in (SITE, "canteen-2") for build in (topics.agent_receipts,)),
        *(topics.relay_down(s) for s in (SITE, "canteen-2")),
        *(topics.cards_down(s) for s in (SITE, "canteen-2")),
        "onecard/v1/ledger/records",
    },
}
TRIED = {
    *(topic for rights in (*BUILDING.values(), *CENTRE.values()) for topic in rights),
    OTHER_UP,
    topics.up("canteen-2", 1001),
    topics.down("canteen-2", 1001),
    topics.agent_records("canteen-2"),
    topics.cards_up("canteen-2"),
    "$CONTROL/dynamic-security/v1",
    "$SYS/broker/uptime",
    "$share/x/" + UP,
    "onecard/v1/canteen-1/1001/up/x",
    "onecard/v1/canteen-1/1001",
    "elsewhere",
}


@pytest.mark.parametrize("whose", BUILDING)
def test_in_a_building_each_speaks_on_its_own_topics_only(broker, peers, whose):
    assert rights_of(peers(broker, whose, 5), sorted(TRIED)) == BUILDING[whose]


def test_in_the_centre_each_speaks_on_its_own_topics_only(mosquitto, realm, peers):
    with running(mosquitto, realm, rights=centre_rights()) as broker:
        for whose, rights in CENTRE.items():
            assert rights_of(peers(broker, whose, 5), sorted(TRIED)) == rights, whose
        # What the ledger says to one agent the agent of another site does not hear.
        realm.issue("canteen-2/agent")
        ears = {whose: peers(broker, whose) for whose in (AGENT, "canteen-2/agent", READER)}
        for ear in ears.values():
            ear.subscribe("#")
        ledger = peers(broker, "ledger")
        for topic in (topics.agent_receipts(SITE), topics.agent_receipts("canteen-2")):
            ledger.publish(topic)
        ledger.publish(topics.LEDGER_STATUS, b"end")
        end = (topics.LEDGER_STATUS, b"end")
        assert ears[AGENT].messages(b"end") == [(topics.agent_receipts(SITE), b"x"), end]
        assert ears["canteen-2/agent"].messages(b"end")[0][0] == topics.agent_receipts("canteen-2")


@pytest.mark.parametrize(
    "wish", ["#", "onecard/v1/#", "onecard/v1/+/+/down", OTHER_DOWN, "$share/g/" + OTHER_DOWN]
)
def test_a_reader_that_listens_to_everything_hears_its_own(broker, peers, wish):
    ear, agent = peers(broker, READER), peers(broker, AGENT)
    ear.subscribe(wish)
    ear.subscribe(DOWN)
    agent.publish(OTHER_DOWN, b"not yours")
    agent.publish(DOWN, b"end")
    assert {payload for _, payload in ear.messages(b"end")} == {b"end"}


def test_a_name_in_connect_is_nobodys(broker, peers):
    """What counts is the certificate; of CVE-2018-12551 see test_broker_passwords.py."""
    for user in (AGENT, "ledger", OTHER, "#"):
        peer = peers(broker, READER, 5, user=user, password=b"x")
        assert rights_of(peer, sorted(TRIED)) == BUILDING[READER], user
    with pytest.raises(Refused):  # a blank line was once a valid user
        peers(broker, READER, user="\n", password=b"")


@pytest.mark.parametrize("name", ["#", "+", "+/+", "canteen-1/+", "canteen-1/#", "+/1001"])
def test_a_wildcard_in_a_name_gives_no_right(broker, realm, peers, name):
    """CVE-2017-7650: a name that is a filter would match everybody's topics."""
    peer = peers(broker, realm.by_hand(name), 5)
    assert rights_of(peer, sorted(TRIED)) == set()
    peer.subscribe("#")
    agent = peers(broker, AGENT)
    agent.publish(DOWN, b"not yours")
    with pytest.raises(TimeoutError):
        peer.hear(_SILENT_S)
    with pytest.raises(names.BadName):
        names.client(name)


@pytest.mark.parametrize("name", ["canteen-1/agent/x", "a/b/c", "", "ledger/status", "1001"])
def test_other_names_out_of_line_reach_no_topic_of_ours(broker, realm, peers, name):
    if name:
        peer = peers(broker, realm.by_hand(name), 5)
        assert rights_of(peer, sorted(TRIED)) == set()
    with pytest.raises(names.BadName):
        names.client(name)


def test_nobody_ends_anothers_session_by_its_client_id(broker, peers):
    reader = peers(broker, READER, client_id="onecard-1001")
    thief = peers(broker, OTHER, client_id="onecard-1001")
    thief_too = peers(broker, AGENT, client_id=READER)
    assert reader.publish(UP) == 0 and thief_too.publish(DOWN) == 0
    # The same identity again is the same client: the older connection is the dead one.
    again = peers(broker, READER, client_id="anything")
    with pytest.raises(Refused):
        reader.publish(UP)
        reader.publish(UP)
    assert again.publish(UP) == 0 and thief.publish(OTHER_UP) == 0


def test_two_ledgers_of_the_centre_are_two_clients(mosquitto, realm, peers):
    """Each hears what agents say; that one is gone is heard by the other."""
    for name in ("ledger-2", "ledger-3"):
        realm.issue(name)
    with running(mosquitto, realm, rights=centre_rights()) as broker:
        ledgers = [peers(broker, name, client_id="ledger") for name in ("ledger", "ledger-2")]
        for ledger in ledgers:
            for heard in (topics.records_filter(), topics.LEDGER_STATUS):
                ledger.subscribe(heard)
        peers(broker, AGENT).publish(topics.agent_records(SITE))
        third = peers(broker, "ledger-3", client_id="ledger")
        assert third.publish(topics.LEDGER_STATUS, b"end") == 0
        said = [(topics.agent_records(SITE), b"x"), (topics.LEDGER_STATUS, b"end")]
        assert [ledger.messages(b"end") for ledger in ledgers] == [said, said]


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n"])
def test_an_empty_file_of_rights_gives_none(mosquitto, realm, peers, content):
    """CVE-2018-12550: it once gave all of them."""
    with running(mosquitto, realm, rights=content) as broker:
        for whose in (READER, AGENT):
            assert rights_of(peers(broker, whose, 5), sorted(TRIED)) == set()


def test_rights_that_are_gone_end_for_sessions_too(mosquitto, realm, peers):
    """CVE-2021-34434: a durable subscription outlived the right to it."""
    with running(mosquitto, realm) as broker:
        peers(broker, READER, clean=False).subscribe(DOWN)
        broker.rights.write_text(f"user {AGENT}\ntopic write onecard/v1/{SITE}/+/down\n")
        broker.restart()
        ear, agent = peers(broker, READER, clean=False), peers(broker, AGENT)
        ear.subscribe(DOWN)
        agent.publish(DOWN, b"after")
        with pytest.raises(TimeoutError):
            ear.hear(_SILENT_S)


def test_a_broker_that_cannot_read_its_rights_does_not_start(mosquitto, realm):
    with running(mosquitto, realm) as broker:
        broker.stop()
        broker.rights.unlink()
        with pytest.raises(AssertionError, match="acl"):
            broker.start()


def test_a_signal_to_reload_takes_nobodys_bounds_away(mosquitto, realm, peers):
    """CVE-2017-7652 and its like: with no descriptor left, or its files gone, 2.0.11 would go on
    with no rights to check. Debian's log rotation sends this signal.
    """
    with running(mosquitto, realm) as broker:
        reader = peers(broker, READER, 5)
        before = resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{broker.process.pid}/fd"))
        resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, (used, before[1]))
        broker.hang_up()
        assert rights_of(reader, sorted(TRIED)) == BUILDING[READER]
        resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, before)
        broker.rights.unlink()
        broker.hang_up()
        assert rights_of(reader, sorted(TRIED)) == BUILDING[READER]
        assert refused(broker, realm.by_hand(READER, signer=stranger())) != ""


# --- what is kept ------------------------------------------------------------------------------


def test_what_a_revoked_reader_left_behind_goes_with_the_restart(mosquitto, realm, peers):
    """CVE-2018-12546, and a durable session that waits for what comes."""
    left = realm.issue("canteen-1/1004")
    down, status = topics.down(SITE, 1004), topics.status(SITE, 1004)
    # Somebody may read here what nobody may with our rights, or this could not be seen.
    rights = building_rights(SITE) + f"topic read onecard/v1/{SITE}/+/status\n"
    with running(mosquitto, realm, rights=rights) as broker:
        session = peers(broker, left, clean=False)
        session.subscribe(down)
        session.publish(status, b"kept", retain=True)
        agent = peers(broker, AGENT)
        agent.subscribe(status)
        assert agent.messages(b"kept") == [(status, b"kept")]
        session.close()
        agent.publish(down, b"kept too")
        realm.revoke("canteen-1/1004")
        broker.bring_list()
        broker.restart()
        assert "revoked" in refused(broker, left)
        again = realm.by_hand("canteen-1/1004")  # the same name, to look for what is left
        session = peers(broker, again, clean=False)
        agent = peers(broker, AGENT)
        agent.subscribe(status)
        for ear in (session, agent):
            with pytest.raises(TimeoutError):
                ear.hear(_SILENT_S)


def test_a_reader_leaves_no_retained_command_for_another(broker, peers):
    thief = peers(broker, OTHER, 5)
    assert thief.publish(DOWN, b"open", retain=True) == NOT_AUTHORIZED
    ear = peers(broker, READER)
    ear.subscribe(DOWN)
    with pytest.raises(TimeoutError):
        ear.hear(_SILENT_S)


def test_more_than_the_broker_keeps_is_dropped_and_nothing_else(mosquitto, realm, peers):
    """It says PUBACK to all of them: why only a receipt frees a record. Nothing else suffers."""
    count = INBOX_MAX + QUEUED_MESSAGES_MAX + 1_000
    with running(mosquitto, realm) as broker:
        reader, agent = peers(broker, READER), peers(broker, AGENT)
        agent.subscribe(topics.up_filter(SITE))
        before_kb = broker.rss_kb()
        for _ in range(count):
            reader.publish(UP, b"r" * 1000)
        print(f"broker grew by {broker.rss_kb() - before_kb} kB")
        assert broker.rss_kb() - before_kb < 2 * count
        heard = 0
        with pytest.raises(TimeoutError):
            while agent.hear_and_ack(_SILENT_S):
                heard += 1
        assert heard == INBOX_MAX + QUEUED_MESSAGES_MAX  # in flight, and queued
        other = peers(broker, OTHER)
        assert other.publish(OTHER_UP) == 0 and reader.publish(UP, b"end") == 0
        assert agent.messages(b"end")[-1] == (UP, b"end")


# --- what is too much --------------------------------------------------------------------------


def test_a_packet_larger_than_any_of_ours_ends_the_connection(broker, peers):
    """Nor comes what the agent's port would drop unread: who sends that is to be seen there."""
    reader = peers(broker, READER)
    assert reader.publish(UP, bytes(PAYLOAD_BYTES_MAX - 100)) == 0
    with pytest.raises(Refused):
        reader.publish(UP, bytes(PAYLOAD_BYTES_MAX + 1))


def test_quality_two_is_not_spoken_here(broker, peers):
    """CVE-2023-28366: messages of QoS 2 that are never finished were never forgotten."""
    reader = peers(broker, READER)
    with pytest.raises(Refused):
        reader.publish(UP, qos=2, wait=False)
        reader.hear()


def test_connections_have_a_bound(mosquitto, realm, peers):
    with running(mosquitto, realm, connections=2) as broker:
        peers(broker, READER)
        peers(broker, OTHER)
        # Whoever looked whether the broker is up may still be taken for one who has left.
        more = []
        with pytest.raises(Refused):
            for number in range(2):
                more.append(Peer(broker.port, realm.identities[AGENT]))
                more[-1].connect(f"more-{number}")


def test_a_first_packet_that_is_no_connect_takes_no_memory(broker, realm):
    """CVE-2023-0809: 256 MB were set aside for whoever said so."""
    before_kb = broker.rss_kb()
    crowd = [Peer(broker.port, realm.identities[READER]) for _ in range(5)]
    for peer in crowd:
        peer.send(b"\x30\xff\xff\xff\x7f" + bytes(1000))
        with pytest.raises(Refused):
            peer.hear()
    assert broker.rss_kb() - before_kb < 20_000


def test_wills_that_are_wrong_leave_nothing_behind(broker, realm):
    """CVE-2023-3592: each CONNECT of MQTT 5 with a broken will leaked it."""
    will = b"\x01\x7f" + b"\0\1t" + b"\xff\xff" + bytes(60_000)
    body = b"\0\4MQTT\5\x06\0\x3c\0\0\1x" + will
    rounds = 40
    before_kb = 0
    for number in range(rounds + 5):
        peer = Peer(broker.port, realm.identities[READER], 5)
        peer.send(packet(0x10, body))
        try:
            peer.hear(1)
        except Refused:
            pass
        peer.close()
        if number == 5:
            before_kb = broker.rss_kb()
    assert broker.rss_kb() - before_kb < rounds * 60 / 2


def test_a_filter_of_very_many_levels_stops_nothing(broker, peers):
    """CVE-2019-11779: 65,400 slashes overflowed the stack."""
    reader = peers(broker, READER)
    try:
        reader.subscribe("/" * 65_400)
    except Refused:
        pass
    assert peers(broker, OTHER).publish(OTHER_UP) == 0


def test_topics_that_are_no_text_end_the_connection(broker, peers):
    for bad in (b"\xff\xfe", b"a\0b", UP.encode() + b"/+"):
        reader = peers(broker, READER)
        with pytest.raises(Refused):
            reader.publish(bad)
            reader.publish(bad)
    assert peers(broker, OTHER).publish(OTHER_UP) == 0
