"""A realm to attack: an authority, a real Mosquitto with the configuration that we ship, and peers
that speak MQTT byte by byte, so that they can say what no client of ours would.
"""

import getpass
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from adapters.identity import Identity
from protocols.wire import mqtt
from tools.identity import certificates, files, names
from tools.identity.authority import AUTHORITY_DAYS, DAY_S, Authority
from tools.identity.broker import Listener, building_rights, write

SITE, READER, OTHER = "canteen-1", "canteen-1/1001", "canteen-1/1002"
AGENT = SITE + "/agent"
HOST = "127.0.0.1"
WAIT_S = 10.0
CONNACK, SUBACK, PUBACK, PINGRESP, PUBLISH = 2, 9, 4, 13, 3
NOT_AUTHORIZED = 0x87


def now_s():
    return int(time.time())


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Realm:
    """An authority in `folder`, and what it has issued: `identities` by name."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = folder / "ca"
        Authority.create(self.ca, "test", now_s())
        self.identities = {}
        self.broker_tls = self.issue(HOST, broker=True, hosts=["localhost"])

    def issue(self, text, *, hosts=(), broker=False, days=0, name=None):
        """The Identity of a client, or the folder of a broker's certificate."""
        out = self.folder / f"issued-{len(self.identities)}-{broker}"
        given = names.broker(text) if broker else names.client(text)
        with Authority.opened(self.ca) as authority:
            authority.issue(given, out, now_s(), days=days, hosts=hosts)
        if not broker:
            self.identities[text] = identity_in(out, name or text)
        return out if broker else self.identities[text]

    def revoke(self, text):
        with Authority.opened(self.ca) as authority:
            return authority.revoke(names.client(text), now_s())

    def signer(self):
        """The authority's own key: what somebody does who has stolen it, or signs carelessly."""
        with Authority.opened(self.ca) as authority:
            return authority._signer(max(authority._generations))

    def by_hand(self, common_name, *, kind=names.READER, end_s=None, signer=None):
        """A certificate for any name at all, good until `end_s`."""
        end_s = now_s() + DAY_S if end_s is None else end_s
        key = certificates.new_key()
        name = names.Name(common_name, kind)
        certificate = certificates.issue(signer or self.signer(), name, (), key, end_s)
        out = self.folder / f"hand-{certificate.serial_number:x}"
        out.mkdir()
        files.place(out / "key.pem", certificates.key_bytes(key, Encoding.PEM), files.SECRET)
        pem = certificate.public_bytes(Encoding.PEM)
        files.place(out / "certificate.pem", pem, files.PUBLIC)
        files.place(out / "ca.pem", (self.ca / "ca.pem").read_bytes(), files.PUBLIC)
        return identity_in(out, common_name)


def identity_in(out, name):
    return Identity(out / "ca.pem", out / "certificate.pem", out / "key.pem", name)


def stranger():
    """An authority that nobody has heard of."""
    return certificates.authority("test 1", now_s() + AUTHORITY_DAYS * DAY_S)


def end(broker):
    """SIGTERM, and again: a Mosquitto that has its port but not begun its loop overlooks one."""
    until_s = time.monotonic() + WAIT_S
    while broker.poll() is None:
        assert time.monotonic() < until_s, "it does not end"
        broker.terminate()
        with suppress(subprocess.TimeoutExpired):
            broker.wait(0.5)


class Mosquitto:
    """Debian's broker with our configuration; `restart` and `reload` as an operator does them."""

    def __init__(self, program, realm, rights=None, tls=None, **listener):
        self.program, self.realm, self.port = program, realm, free_port()
        self.tls = tls or realm.broker_tls
        self.bring_list()
        # A port comes up again once who had it has ended, a folder does not.
        self.out = Path(tempfile.mkdtemp(prefix="broker-", dir=realm.folder))
        rights = building_rights(SITE) if rights is None else rights
        write(self.out, Listener(self.port, HOST, self.tls, "stderr", **listener), rights)
        self.rights = self.out / "acl"
        # Started by root it would become another user, who may not read the key.
        with (self.out / "mosquitto.conf").open("a") as file:
            file.write(f"user {getpass.getuser()}\n")
        self.log = self.out / "log"
        self.process = None
        self.start()

    def bring_list(self):
        """Bring ca.pem and crl.pem of the authority to the broker, as an operator would."""
        for name in ("ca.pem", "crl.pem"):
            files.replace(self.tls / name, (self.realm.ca / name).read_bytes(), files.PUBLIC)

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command(), stderr=log)
        deadline_s = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection((HOST, self.port)).close()
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline_s, self.log.read_text()
                time.sleep(0.01)

    def _command(self):
        """What systemd would run, with the program that is here."""
        lines = (self.out / "onecard.conf").read_text().splitlines()
        (line,) = [line for line in lines if line.startswith("ExecStart=/")]
        words = line.removeprefix("ExecStart=").split()
        return [self.program if word == "/usr/sbin/mosquitto" else word for word in words]

    def stop(self):
        end(self.process)

    def restart(self):
        self.stop()
        self.start()

    def hang_up(self):
        """SIGHUP; returns once its loop has turned and the signal has had its chance."""
        self.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@contextmanager
def running(program, realm, **options):
    broker = Mosquitto(program, realm, **options)
    try:
        yield broker
    finally:
        broker.stop()


class Refused(Exception):
    """The broker has hung up, or never let us in; the text is what TLS or the socket said."""


class Peer:
    """Whoever holds `identity` (None: nobody), speaking MQTT 3.1.1 or, with `version` 5, 5.0."""

    def __init__(self, port, identity, version=4):
        self.version, self._packet_id = version, 0
        self._buffer = b""
        try:
            plain = socket.create_connection((HOST, port), timeout=WAIT_S)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = _context(identity).wrap_socket(plain, server_hostname=HOST)
        except OSError as error:
            raise Refused(str(error)) from None

    def close(self):
        self.socket.close()

    # --- saying ---

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Refused(str(error)) from None

    def connect(self, client_id="", *, clean=True, keepalive_s=60, user=None, password=None):
        """CONNECT; the code of the CONNACK."""
        flags = (2 if clean else 0) | (0x80 if user else 0) | (0x40 if password else 0)
        body = field("MQTT") + bytes([self.version, flags]) + struct.pack(">H", keepalive_s)
        body += b"\0" if self.version == 5 else b""
        for text in (client_id, user, password):
            body += field(text) if text is not None else b""
        self.send(packet(0x10, body))
        return self.wait(CONNACK)[1]

    def subscribe(self, topic_filter):
        """SUBSCRIBE with QoS 1; the code of the SUBACK."""
        self._packet_id += 1
        head = struct.pack(">H", self._packet_id) + (b"\0" if self.version == 5 else b"")
        self.send(packet(0x82, head + field(topic_filter) + b"\x01"))
        return self.wait(SUBACK)[-1]

    def publish(self, topic, payload=b"x", *, qos=1, retain=False, wait=True):
        """PUBLISH; with QoS 1 the reason of the PUBACK, 0 in MQTT 3.1.1."""
        self._packet_id += 1
        body = field(topic) + (struct.pack(">H", self._packet_id) if qos else b"")
        body += (b"\0" if self.version == 5 else b"") + payload
        self.send(packet(0x30 | qos << 1 | retain, body))
        if not qos or not wait:
            return 0
        answer = self.wait(PUBACK)
        return answer[2] if len(answer) > 2 else 0

    # --- hearing ---

    def wait(self, kind):
        """The body of the next packet of this kind; others are passed over."""
        while True:
            found, body = self.hear()
            if found == kind:
                return body

    def hear(self, timeout_s=WAIT_S):
        """The next packet: kind (with its flags in bits 8 and up) and body."""
        self.socket.settimeout(timeout_s)
        while True:
            whole = _first(self._buffer)
            if whole is not None:
                kind, body, self._buffer = whole
                return kind >> 4, body
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise
            except OSError as error:
                raise Refused(str(error)) from None
            if not data:
                raise Refused("closed")
            self._buffer += data

    def hear_and_ack(self, timeout_s):
        """Hear one message of QoS 1, and say PUBACK."""
        kind, body = self.hear(timeout_s)
        size = struct.unpack_from(">H", body)[0]
        self.send(packet(0x40, body[2 + size : 4 + size]))
        return kind == PUBLISH

    def messages(self, until):
        """(topic, payload) of what is published to us, up to a payload of `until`; not acked."""
        found = []
        while not found or found[-1][1] != until:
            body = self.wait(PUBLISH)
            size = struct.unpack_from(">H", body)[0]
            rest = body[2 + size :]
            rest = rest[2:]  # QoS 1: a packet id
            rest = rest[1:] if self.version == 5 else rest
            found.append((body[2 : 2 + size].decode(), rest))
        return found


def field(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    return bytes(mqtt.packet(first, body))


def _first(data):
    """(first byte, body, rest) of the first whole packet in `data`, or None."""
    size, shift = 0, 0
    for place in range(1, min(len(data), 5)):
        size |= (data[place] & 0x7F) << shift
        shift += 7
        if not data[place] & 0x80:
            end = place + 1 + size
            return (data[0], data[place + 1 : end], data[end:]) if len(data) >= end else None
    return None


def _context(identity):
    """A client that trusts whomever it meets: it is the broker that is tried here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # So that a refusal shows in the handshake, not at some later byte.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context
