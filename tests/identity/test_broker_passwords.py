"""CVE-2018-12551: an entry of a password file that is none once let anybody in.

What we ship has no such file, and none of the other doors that published weaknesses stood behind:
that is read off the configuration. Should somebody add one all the same, in any broken form, to
a real Mosquitto with that configuration, it opens nothing: who somebody is says his certificate.
"""

import base64
import getpass
import hashlib
import socket
import struct
import subprocess
import time

import pytest

from tests.identity.realm import (
    AGENT,
    HOST,
    OTHER,
    READER,
    WAIT_S,
    Peer,
    Realm,
    Refused,
    end,
    field,
    free_port,
    packet,
    running,
)
from tests.identity.test_broker import BUILDING, TRIED, rights_of
from tools.identity.broker import building_rights, centre_rights

ACCEPTED, REFUSED = 0, 5  # of CONNACK in MQTT 3.1.1
# Directives that nothing we ship has, and what was published of what they open.
CLOSED = {
    "password_file": "CVE-2018-12551",
    "psk_file": "another list of who may come in, in the same form",
    "plugin": "CVE-2021-34434: of the plugin for rights that change while it runs",
    "auth_plugin": "the same under its old name",
    "include_dir": "whatever else lies in a folder",
    "connection": "a bridge to another broker",
    "mount_point": "other topics than the rights speak of",
    "protocol": "WebSockets, a listener of its own",
    "auto_id_prefix": "client ids that no certificate gave",
    "persistence_location": "CVE-2018-12546: what outlives the right to say it",
}
# As CVE-2018-12551 had it, a line of no bytes among them; and whatever else is no entry.
BROKEN = (
    "",
    "\n\n",
    " \n\t\n",
    f"{READER}\n",
    f"{READER}:\n",
    ":\n",
    "::\n",
    "\n:\n\0\n",
    f"{AGENT}:plain\n",
    f"{AGENT}:$6$\n",
    f"{AGENT}:$7$101$\n",
    f"{AGENT}:$6$!!$!!\n",
    f"\n{AGENT}\n{READER}:\n:x\n",
)
CLAIMS = ((AGENT, b""), (AGENT, b"plain"), (READER, b""), ("\t", b""), (" ", b" "))


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("realm"))
    for name in (READER, OTHER, AGENT):
        realm.issue(name)
    return realm


@pytest.mark.parametrize("rights", [building_rights("canteen-1"), centre_rights()])
def test_what_we_ship_has_none_of_the_doors_that_were_left_open(mosquitto, realm, rights):
    with running(mosquitto, realm, rights=rights) as broker:
        text = (broker.out / "mosquitto.conf").read_text()
        lines = [line.split() for line in text.splitlines() if line and line[0] != "#"]
        assert {line[0] for line in lines} & CLOSED.keys() == set()
        assert [line for line in lines if line[0] == "listener"] == [
            ["listener", str(broker.port), HOST]
        ]
        for line in (["require_certificate", "true"], ["use_identity_as_username", "true"]):
            assert line in lines
        assert ["persistence", "false"] in lines and ["allow_anonymous", "false"] in lines
        # And nothing else is read: no second file, no port of the command line.
        assert broker._command()[-2:] == ["-c", str(broker.out / "mosquitto.conf")]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_password_file_in_what_we_ship_opens_nothing(mosquitto, realm, content):
    with running(mosquitto, realm) as broker:
        passwords = broker.out / "passwords"
        passwords.write_text(content)
        with (broker.out / "mosquitto.conf").open("a") as file:
            file.write(f"password_file {passwords}\n")
        broker.restart()
        with pytest.raises(Refused):
            Peer(broker.port, None).connect("x", user=AGENT, password=b"")
        whole = Peer(broker.port, realm.identities[READER], 5)
        assert whole.connect("x") == ACCEPTED  # who claims nothing is who he is, as ever
        assert rights_of(whole, sorted(TRIED)) == BUILDING[READER]
        whole.close()
        for user, password in CLAIMS:
            peer = Peer(broker.port, realm.identities[READER], 5)
            try:
                is_in = peer.connect("x", user=user, password=password) == ACCEPTED
            except Refused:
                is_in = False  # it is let in by its certificate or not at all
            allowed = rights_of(peer, sorted(TRIED)) if is_in else BUILDING[READER]
            assert allowed == BUILDING[READER], (user, password)
            peer.close()


def _entry(user, password):
    """A line as mosquitto_passwd writes it: PBKDF2 of SHA-512."""
    salt = bytes(range(12))
    made = hashlib.pbkdf2_hmac("sha512", password, salt, 101)
    return f"{user}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}\n"


class _ByPassword:
    """The same Mosquitto as nobody should run it: without TLS, with a password file."""

    def __init__(self, program, folder, content):
        self.port = free_port()
        (folder / "passwords").write_text(content)
        lines = [f"listener {self.port} {HOST}", "allow_anonymous false"]
        lines += [f"user {getpass.getuser()}"]
        lines += [f"password_file {folder / 'passwords'}", "log_dest none"]
        (folder / "conf").write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen([program, "-c", str(folder / "conf")])
        deadline_s = time.monotonic() + WAIT_S
        while self.process.poll() is None and time.monotonic() < deadline_s:
            try:
                socket.create_connection((HOST, self.port)).close()
                return
            except OSError:
                time.sleep(0.01)

    def knock(self, user, password):
        """The code of its CONNACK; REFUSED where it hangs up, or has never started."""
        flags = 2 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
        body = field("MQTT") + bytes([4, flags]) + struct.pack(">H", 60) + field("x")
        for text in (user, password):
            body += field(text) if text is not None else b""
        try:
            with socket.create_connection((HOST, self.port), WAIT_S) as plain:
                plain.sendall(packet(0x10, body))
                return (plain.recv(4) or bytes((0, 0, 0, REFUSED)))[3]
        except OSError:
            return REFUSED

    def stop(self):
        end(self.process)


@pytest.mark.parametrize("content", BROKEN)
def test_and_the_broker_that_is_here_takes_nobody_in_for_a_broken_line(
    mosquitto, tmp_path, content
):
    broker = _ByPassword(mosquitto, tmp_path, content)
    try:
        for user, password in ((None, None), ("", b""), (AGENT, None), *CLAIMS):
            assert broker.knock(user, password) == REFUSED, (user, password)
    finally:
        broker.stop()


def test_whoever_has_a_good_line_would_be_taken_in(mosquitto, tmp_path):
    """So what was tried above is what lets people in."""
    broker = _ByPassword(mosquitto, tmp_path, "\n" + _entry(AGENT, b"right") + "\n")
    try:
        assert broker.knock(AGENT, b"right") == ACCEPTED
        for user, password in ((AGENT, b"wrong"), (AGENT, b""), (AGENT, None), ("", b"right")):
            assert broker.knock(user, password) == REFUSED
    finally:
        broker.stop()


def test_messages_that_are_never_finished_are_not_kept_either(mosquitto, realm):
    """CVE-2023-28366, in both versions of MQTT: QoS 2 ends the connection, and what it held."""
    payload, rounds = bytes(60_000), 60
    with running(mosquitto, realm) as broker:
        before_kb = 0
        for number in range(rounds + 10):
            if number == 10:
                before_kb = broker.rss_kb()
            peer = Peer(broker.port, realm.identities[READER], 4 + number % 2)
            assert peer.connect("x") == ACCEPTED
            with pytest.raises(Refused):
                peer.publish("onecard/v1/canteen-1/1001/up", payload, qos=2, wait=False)
                while peer.hear():
                    pass
            peer.close()
        assert broker.rss_kb() - before_kb < rounds * 60 / 2
