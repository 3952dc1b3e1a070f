"""Agent and ledger as processes behind two Mosquittos, by the commands that the documents name: a
spend goes up, its receipt comes down, and an expired certificate costs no record.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from adapters.mqtt import MqttPort
from ledger.receipts import public_key
from protocols.wire import topics
from tests.identity.realm import HOST, SITE, Mosquitto, Realm, identity_in, now_s
from tests.integration.test_daemons import AMOUNT_FEN, CARD, MERCHANT, SIGNING_KEY, SPENDS, Journal
from tools.cli import app
from tools.identity.broker import QUEUED_MESSAGES_MAX, centre_rights

DEVICE = 1001
WAIT_S = 60.0


def onecard(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


class Campus:
    """Two brokers, two daemons and one reader, each with files of its own."""

    def __init__(self, folder, repo_root, program):
        self.folder, self.repo_root = folder, repo_root
        self.realm = Realm(folder)
        for name in (f"{SITE}/{DEVICE}", f"{SITE}/agent", "ledger"):
            out = folder / name.replace("/", "-")
            onecard("ca", "issue", self.realm.ca, name, "--out", out)
        self.building = Mosquitto(program, self.realm)
        self.centre = Mosquitto(program, self.realm, rights=centre_rights())
        # The link upwards has its own files: they have expired.
        self.upstream = self.realm.by_hand(f"{SITE}/agent", end_s=now_s() - 60).key.parent
        self.journal = Journal(DEVICE)
        self._configure()
        reader = identity_in(folder / f"{SITE}-{DEVICE}", f"{SITE}/{DEVICE}")
        down = [topics.down(SITE, DEVICE)]
        self.port = MqttPort(
            HOST, self.building.port, "reader", subscriptions=down, secure=reader.context
        )
        self.processes = {}

    def _configure(self):
        credentials = self.folder / "credentials"
        credentials.mkdir(mode=0o700)
        (credentials / "signing").write_text(SIGNING_KEY.hex())
        (credentials / "signing").chmod(0o440)  # as systemd shows it to a service of a user
        shutil.copy(self.folder / "ledger" / "key.pem", credentials / "tls")
        (self.folder / "ledger.pub").write_text(public_key(SIGNING_KEY).hex())
        (self.folder / "register.toml").write_text(
            f'[[merchant]]\nmerchant_no = {MERCHANT}\nname = "noodles"\n'
            f'[[device]]\ndevice = {DEVICE}\nkey = "{self.journal.key.hex()}"\n'
            f'merchant_no = {MERCHANT}\nsite = "{SITE}"\n'
            f"[[card]]\ncard_no = {CARD + DEVICE}\nbalance_fen = {AMOUNT_FEN * SPENDS}"
        )
        (self.folder / "register.toml").chmod(0o600)
        (self.folder / "ledger.toml").write_text(
            'data_dir = "books"\nsigning_key_file = "$CREDENTIALS_DIRECTORY/signing"\n'
            'register_file = "register.toml"\n'
            f'[broker]\nhost = "{HOST}"\nport = {self.centre.port}\nca = "ledger/ca.pem"\n'
            'certificate = "ledger/certificate.pem"\nkey = "$CREDENTIALS_DIRECTORY/tls"\n'
        )
        links = (("readers", self.building, f"{SITE}-agent"), ("upstream", self.centre, None))
        text = f'site = "{SITE}"\ndata = "agent"\nledger_public_key = "ledger.pub"\n'
        for name, broker, folder in links:
            folder = folder or self.upstream.name
            text += (
                f'[{name}]\nhost = "{HOST}"\nport = {broker.port}\nca = "{folder}/ca.pem"\n'
                f'certificate = "{folder}/certificate.pem"\nkey = "{folder}/key.pem"\n'
            )
        (self.folder / "agent.toml").write_text(text)

    def start(self, name):
        environment = {**os.environ, "PYTHONPATH": str(self.repo_root)}
        environment["CREDENTIALS_DIRECTORY"] = str(self.folder / "credentials")
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tools.cli", name, "run"),
                    str(self.folder / f"{name}.toml"),
                ],
                cwd=self.repo_root,
                env=environment,
                stderr=log,
            )

    def log(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def play(self, until):
        """Let the reader speak and hear until `until()` holds."""
        deadline_s, journal = time.monotonic() + WAIT_S, self.journal
        while not until():
            now_s = time.monotonic()
            assert now_s < deadline_s, self.log("agent") + self.log("ledger")
            self.port.step(int(now_s * 1000))
            while (message := self.port.take()) is not None:
                journal.hear(message.payload)
                self.port.ack(message)
            left = journal.receipted < len(journal.records) and now_s - journal.said_s > 1
            if self.port.connected and left:
                if journal.said_s or journal.cursor == len(journal.records):
                    self.port.publish(topics.up(SITE, DEVICE), journal.hello())
                if journal.cursor < len(journal.records):
                    self.port.publish(topics.up(SITE, DEVICE), journal.batch())
                journal.said_s = now_s
            descriptor = self.port.fileno()
            select.select([descriptor] if descriptor is not None else [], [], [], 0.01)

    def shout(self, count):
        """Let the reader send its whole journal `count` times, without a look at the answers."""
        sent, deadline_s = 0, time.monotonic() + WAIT_S
        while sent < count or self.port.unacked:
            assert time.monotonic() < deadline_s, self.port.last_error
            self.port.step(time.monotonic_ns() // 1_000_000)
            if self.port.connected and sent < count:
                sent += self.port.publish(topics.up(SITE, DEVICE), self.journal.batch()) > 0
            time.sleep(0.001)

    def stop(self):
        self.port.close()
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        self.building.stop()
        self.centre.stop()


@pytest.mark.timeout(180)
def test_an_expired_certificate_costs_no_record(mosquitto, tmp_path, repo_root):
    campus = Campus(tmp_path, repo_root, mosquitto)
    try:
        campus.start("ledger")
        campus.start("agent")
        count = len(campus.journal.records)
        # The link upwards is refused, and says so; what readers bring is kept all the same.
        campus.play(lambda: campus.journal.cursor == count)
        assert campus.journal.receipted == 0
        for event in ("certificate_ends", "no_link"):
            said = f'"{event}", "link": "upstream"'
            campus.play(lambda said=said: said in campus.log("agent"))
        # Renewed in place: no process is touched.
        new = tmp_path / "renewed"
        onecard("ca", "renew", campus.realm.ca, f"{SITE}/agent", "--out", new)
        for name in ("certificate.pem", "key.pem"):
            os.replace(new / name, campus.upstream / name)
        campus.play(lambda: campus.journal.receipted == count)
    finally:
        campus.stop()
    written = campus.log("agent") + campus.log("ledger") + campus.building.log.read_text()
    for path in tmp_path.rglob("*"):
        if path.name in ("key.pem", "signing", "tls", "ca-1.key"):
            secret = path.read_text().replace("-----", "\n").split("\n")
            assert not any(line in written for line in secret if len(line) > 30), path


@pytest.mark.timeout(180)
def test_what_the_broker_drops_comes_again(mosquitto, tmp_path, repo_root):
    """More is queued for an agent that stands still than the broker keeps, and it has said PUBACK
    to all of it. The agent has not said STORED: so the reader says it again.
    """
    campus = Campus(tmp_path, repo_root, mosquitto)
    try:
        configuration = campus.building.out / "mosquitto.conf"
        text = configuration.read_text()
        for limit, kept in (
            ("max_inflight_messages 512", 1),
            (f"max_queued_messages {QUEUED_MESSAGES_MAX}", 2),
        ):
            assert limit in text
            text = text.replace(limit, f"{limit.split()[0]} {kept}")
        configuration.write_text(text)
        campus.building.restart()
        campus.start("agent")
        deadline_s = time.monotonic() + WAIT_S
        while '"connected", "link": "readers"' not in campus.log("agent"):
            assert time.monotonic() < deadline_s, campus.log("agent")
            time.sleep(0.02)
        campus.processes["agent"].send_signal(signal.SIGSTOP)
        campus.shout(20)
        assert "dropped for client canteen-1/agent" in campus.building.log.read_text()
        campus.processes["agent"].send_signal(signal.SIGCONT)
        campus.play(lambda: campus.journal.cursor == len(campus.journal.records))
    finally:
        campus.stop()


FLOODER = 1002


@pytest.mark.timeout(180)
def test_a_reader_that_floods_is_not_listened_to_and_the_other_is(mosquitto, tmp_path, repo_root):
    """It has a good certificate and its own topic. The shipped rights let the agent ask for the
    readers one by one, and the broker itself says that it stopped listening to this one.
    """
    campus = Campus(tmp_path, repo_root, mosquitto)
    whose = campus.realm.issue(f"{SITE}/{FLOODER}")
    up = topics.up(SITE, FLOODER)
    try:
        configuration = campus.building.out / "mosquitto.conf"
        configuration.write_text(configuration.read_text() + "log_type unsubscribe\n")
        campus.building.restart()
        campus.start("agent")
        campus.play(lambda: campus.journal.cursor == len(campus.journal.records))
        flooder = MqttPort(HOST, campus.building.port, "x", subscriptions=[], secure=whose.context)
        said = f'"reader_floods", "site": "{SITE}", "device": {FLOODER}'
        while said not in campus.log("agent"):
            flooder.step(time.monotonic_ns() // 1_000_000)
            if flooder.connected and flooder.unacked < 100:
                flooder.publish(up, b"anything")
        pattern = topics.up_filter(SITE)
        campus.play(lambda: f"{SITE}/agent {pattern}" in campus.building.log.read_text())
        # This one is heard while the other goes on.
        campus.journal.cursor = 0
        for _ in range(1_000):
            flooder.publish(up, b"anything")
        campus.play(lambda: campus.journal.cursor == len(campus.journal.records))
        flooder.close()
    finally:
        campus.stop()
