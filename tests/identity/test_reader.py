"""A reader that speaks TLS: its board file in a real MicroPython, with that one's mbedTLS, and a
real Mosquitto. Time and sockets are the host's here, so nothing is compared byte by byte.
"""

import datetime
import random
import select
import socket
import time

import pytest

from adapters.mqtt import MqttPort
from protocols.rules import settings
from protocols.wire import messages, seal, topics
from simulator.chips.nor_flash import NorFlash
from simulator.host.hardware import Hardware as ModelledHardware
from simulator.vm import ops
from simulator.vm.bridge import VmCrashed
from simulator.vm.home import POS_HEAP_BYTES, VmHome
from simulator.vm.image import build
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.identity.realm import AGENT, HOST, READER, SITE, Realm, now_s, running, stranger
from tests.link.bench import stored
from tests.vm.bench import SETTINGS, Hardware, make_home
from tools.identity import certificates, names
from tools.identity.authority import Authority

SEED = 36
WAIT_S = 30.0
PROGRAM = """
from firmware.boards import esp32, esp32_tls
from protocols.wire.mqtt_client import MqttClient
board = esp32.Board(esp32_tls.Net)
client = MqttClient("onecard-1001", 60)
stream = board.net.open(board.settings["broker_host"], board.settings["broker_port"])
unsent, size = b"", 0
def turn():
    global unsent, size
    now_ms = board.ticks_ms()
    client.tick(now_ms)
    unsent = unsent or bytes(client.data_to_send())
    if unsent:
        unsent = unsent[stream.send(unsent):]
    data = stream.recv(512)
    if data == b"":
        raise OSError("closed")
    for event in client.receive(data or b""):
        print("event", event[0])
        if event[0] == 2:
            client.subscribe("onecard/v1/canteen-1/1001/down")
        elif event[0] == 9:
            client.publish("onecard/v1/canteen-1/1001/up", b"u" * 3000)
        elif event[0] == 3:
            size += len(event[2])
            client.puback(event[5])
            if size == 40000:
                print("heard", size)
try:
    while not stream.connected():
        board.wait(board.ticks_ms() + 5)
    client.connect(board.ticks_ms())
    while True:
        turn()
        board.wait(board.ticks_ms() + 20)
except OSError as error:
    print("OSError", error)
    stream.close()
while True:
    board.wait(board.ticks_ms() + 1000)
"""


class Sockets:
    """The network side of a Hardware, as real sockets of this machine."""

    def __init__(self):
        self.open = {}
        self.poll = select.poll()

    def dial(self, host, port):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((host, port))
        self.open[sock.fileno()] = sock
        self.poll.register(sock, select.POLLIN)
        return sock.fileno()

    def connected(self, handle):
        sock = self.open[handle]
        if not select.select([], [sock], [], 0)[1]:
            return False
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, "refused")
        return True

    def send(self, handle, data):
        try:
            return self.open[handle].send(data)
        except BlockingIOError:
            return None

    def recv(self, handle, size):
        try:
            return self.open[handle].recv(size)
        except BlockingIOError:
            return None

    def close(self, handle):
        sock = self.open.pop(handle)
        self.poll.unregister(sock)
        sock.close()


def on_sockets(hardware):
    """`hardware` with the network of this machine."""
    sockets = hardware.sockets = Sockets()
    hardware.net_is_up = lambda: True
    hardware.net_open = sockets.dial
    hardware.net_connected, hardware.net_send = sockets.connected, sockets.send
    hardware.net_recv, hardware.net_close = sockets.recv, sockets.close
    return hardware


def provision(identity, ca=None):
    """What `ca issue` wrote for a reader, as its NVS has it."""
    folder = identity.key.parent
    blobs = {name: (folder / name).read_bytes() for name in ("tls_key", "tls_cert", "tls_ca1")}
    return {**blobs, **(ca or {})}


def reader_settings(broker, **other):
    return settings.encode(
        {**SETTINGS, "site": SITE, "broker_host": HOST, "broker_port": broker.port, **other}
    )


def drive(home, hardware, due_us, advance, until, meanwhile=lambda: None):
    """Let the reader step in real time until `until()` holds; the time it wants to be run next."""
    deadline_s = time.monotonic() + WAIT_S
    began_s, began_us = time.monotonic(), hardware.ticks_us()
    while not until():
        assert time.monotonic() < deadline_s, home.stderr_tail()
        meanwhile()
        woken = bool(hardware.sockets.poll.poll(2))
        now_us = began_us + int((time.monotonic() - began_s) * 1e6)
        if woken or now_us >= due_us:
            advance(max(now_us, hardware.ticks_us()))
            due_us = home.run(woken=woken)
    return due_us


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("realm"))
    realm.issue(READER)
    realm.issue(AGENT)
    return realm


@pytest.fixture
def said(micropython, tmp_path):
    """A function that runs PROGRAM in a VM until it has said something, and what it has said."""
    homes = []

    def run(broker, nvs, wanted, meanwhile=lambda: None):
        hardware = on_sockets(Hardware())
        hardware.nvs = {"settings": reader_settings(broker), **nvs}
        home = make_home(tmp_path / f"program{len(homes)}", PROGRAM, hardware)
        # The program makes its own board.
        main = tmp_path / f"program{len(homes)}" / "main.py"
        main.write_text(PROGRAM)
        homes.append(home)

        def advance(now_us):
            hardware.now_us = now_us

        due_us = home.start()
        drive(home, hardware, due_us, advance, lambda: wanted in home.stderr_tail(), meanwhile)
        return home.stderr_tail()

    yield run
    for home in homes:
        home.kill()


def test_a_reader_speaks_and_hears_by_its_certificate(mosquitto, realm, said):
    """Also more than fits into what the reader reads at a time, and than TCP takes at once."""
    with running(mosquitto, realm) as broker:
        agent = MqttPort(
            HOST,
            broker.port,
            "agent",
            subscriptions=[topics.up_filter(SITE)],
            secure=realm.identities[AGENT].context,
        )

        def answer():
            agent.step(time.monotonic_ns() // 1_000_000)
            message = agent.take()
            if message is not None:
                assert message.payload == b"u" * 3000
                agent.ack(message)
                for _ in range(20):
                    agent.publish(topics.down(SITE, 1001), b"d" * 2000)

        deadline_s = time.monotonic() + WAIT_S
        while not agent.connected and time.monotonic() < deadline_s:
            answer()
        text = said(broker, provision(realm.identities[READER]), "heard 40000", answer)
        assert text.index("event 2") < text.index("event 9") < text.index("event 4")
        agent.close()


def test_a_reader_trusts_no_broker_but_ours_and_says_why(mosquitto, realm, said, monkeypatch):
    ours = provision(realm.identities[READER])
    with monkeypatch.context() as patch:
        start = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        patch.setattr(certificates, "NOT_BEFORE", start)
        early = realm.by_hand(HOST, kind=names.BROKER)
    wrong = {
        "not correctly signed": realm.by_hand(HOST, kind=names.BROKER, signer=stranger()),
        # Why ours begin in 1970: one of today would be so to a clock that stands in 2000.
        "starts in the future": early,
        "has expired": realm.by_hand(HOST, kind=names.BROKER, end_s=now_s() - 60),
        "does not match": realm.by_hand("127.0.0.2", kind=names.BROKER),
        # Another reader's certificate makes no broker.
        "extendedKeyUsage": realm.identities[READER],
    }
    for text, identity in wrong.items():
        with running(mosquitto, realm, tls=identity.certificate.parent) as broker:
            assert text in said(broker, ours, "OSError")


def test_a_reader_that_is_refused_goes_on_without(mosquitto, realm, said):
    """It hears an alert or nothing, by who is faster; the reason stands in the broker's log."""
    realm.issue("canteen-1/1007")
    gone = provision(realm.identities["canteen-1/1007"])
    realm.revoke("canteen-1/1007")
    with running(mosquitto, realm) as broker:
        assert "event" not in said(broker, gone, "OSError")
        assert "certificate verify failed" in broker.log.read_text()


def test_two_authorities_are_trusted_while_one_follows_the_other(mosquitto, tmp_path, said):
    realm = Realm(tmp_path / "realm")
    old = provision(realm.issue(READER))
    with Authority.opened(realm.ca) as authority:
        authority.next_generation(now_s())
        authority.renew(names.client(READER), tmp_path / "new", now_s())
        authority.renew(names.broker(HOST), tmp_path / "broker", now_s())
    blobs = {
        name: (tmp_path / "new" / name).read_bytes()
        for name in ("tls_key", "tls_cert", "tls_ca1", "tls_ca2")
    }
    assert blobs["tls_ca2"] == old["tls_ca1"]
    with running(mosquitto, realm) as broker:
        assert "event 4" in said(broker, blobs, "event 4")
    with running(mosquitto, realm, tls=tmp_path / "broker") as broker:
        assert "event 4" in said(broker, blobs, "event 4")
        assert "not correctly signed by the trusted" in said(broker, old, "OSError")


@pytest.mark.parametrize("name", ["tls_key", "tls_cert", "tls_ca1"])
def test_a_reader_without_its_files_says_which(realm, said, name):
    class Nowhere:
        port = 1

    blobs = provision(realm.identities[READER])
    without = {key: blob for key, blob in blobs.items() if key != name}
    with pytest.raises(VmCrashed, match=f"NotProvisioned: no {name} in NVS"):
        said(Nowhere, without, "never")
    with pytest.raises(VmCrashed, match="NotProvisioned: tls: "):
        said(Nowhere, {**blobs, name: b"noise"}, "never")


def test_no_clock_is_needed(realm):
    """A reader learns the time from the ledger, over the very connection that asks for it. Its
    port's clock stands in 2000 until then: no certificate of ours begins after that.
    """
    from cryptography import x509

    issued = [*realm.folder.glob("issued-*/*.pem"), *realm.folder.glob("ca/*.pem")]
    made = [path.read_bytes() for path in issued]
    pems = b"".join(pem for pem in made if b"BEGIN CERTIFICATE" in pem)
    found = x509.load_pem_x509_certificates(pems)
    assert len(found) >= 6
    assert all(certificate.not_valid_before_utc.year < 2000 for certificate in found)


# --- the whole POS -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_image(tmp_path_factory, repo_root):
    main = repo_root / "firmware" / "main_tls.py"
    return build(repo_root, tmp_path_factory.mktemp("tls") / "image", main)


def test_a_pos_delivers_its_records_over_tls(mosquitto, micropython, realm, tls_image):
    """The image that is flashed, within the heap of a POS; the broker restarted in between."""
    print("seed", SEED)
    with running(mosquitto, realm) as broker:
        nvs = {"settings": reader_settings(broker), **provision(realm.identities[READER])}
        flash = NorFlash(64 * 4096, random.Random(SEED))
        world = World(now_s())
        hardware = on_sockets(
            ModelledHardware("pos1", world, Transcript(), flash, nvs, random.Random(SEED))
        )
        home = VmHome("pos1", hardware, image=tls_image, probe=ops.PROBE_WAITS)
        agent = MqttPort(
            HOST,
            broker.port,
            "agent",
            subscriptions=[topics.up_filter(SITE)],
            secure=realm.identities[AGENT].context,
        )
        heard = {"hellos": 0, "records": []}

        def answer():
            agent.step(time.monotonic_ns() // 1_000_000)
            while (message := agent.take()) is not None:
                said = messages.decode_message(message.payload, ANSWERED)
                agent.ack(message)
                if said["type"] == messages.HELLO:
                    heard["hellos"] += 1
                elif said["type"] == messages.BATCH:
                    heard["records"] = list(said["records"])
                else:
                    continue
                agent.publish(topics.down(SITE, 1001), stored(len(heard["records"])))

        try:
            hardware.power_on()
            due_us = home.start()
            clock = hardware.clock
            due_us = drive(
                home, hardware, due_us, clock.advance_to, lambda: heard["records"], answer
            )
            broker.restart()
            drive(home, hardware, due_us, clock.advance_to, lambda: heard["hellos"] > 1, answer)
        finally:
            home.kill()
            agent.close()
    tag = seal.CHAIN_START
    for record in heard["records"]:
        seal.unseal(SETTINGS["device_key"], record, tag)
        tag = seal.tag_of(record)
    # The shim of ssl counts here, which no board has; mbedTLS takes its buffers elsewhere on both.
    live_bytes = home.memory()["live_peak"] - home.memory()["shims"]
    print(f"live heap at its peak {live_bytes} of {POS_HEAP_BYTES} bytes")
    assert live_bytes < POS_HEAP_BYTES


ANSWERED = (messages.HELLO, messages.BATCH, messages.CARDS, messages.RELAY)
