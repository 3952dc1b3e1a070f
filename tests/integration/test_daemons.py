"""Both daemons as processes, as `onecard agent run` and `onecard ledger run` start them, over real
brokers, each killed with SIGKILL in mid-stream: every spend is booked once.
"""

import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from adapters.mqtt import MqttPort
from ledger.invariants import check
from ledger.receipts import public_key
from ledger.store import LedgerStore
from protocols.rules import card_status
from protocols.wire import messages, seal, topics
from simulator.broker import start_broker

SITE = "canteen-1"
MERCHANT, CARD, AMOUNT_FEN = 71, 20001, 100
SPENDS = 150
SIGNING_KEY = bytes(range(32))
RESEND_S = 1.0
ASK_AGAIN_S = 0.1
QUESTION = bytes(range(100))
_SERVES = {"agent": "started", "ledger": "ledger serves"}


class Journal:
    """What a reader holds: a sealed chain of INTENT and OUTCOME, and how far it is told."""

    def __init__(self, device):
        self.device, self.key = device, device.to_bytes(32, "big")
        self.records, self.receipted, self.cursor, self.said_s = [], 0, 0, 0.0
        self.warrants = []  # what it was told of cards
        self.asked_s = 0.0  # when it has asked the ledger last; 0: it does not
        self.unheard = []  # ends of what nobody heard
        tag = seal.CHAIN_START
        for number in range(SPENDS):
            for fields in self._spend(number):
                fields.update(device=device, seq=len(self.records) + 1)
                fields.update(
                    earliest_s=1788233400, latest_s=1788233402, boot_id=1, mono_ms=number
                )
                self.records.append(seal.seal(self.key, messages.encode_record(fields), tag))
                tag = seal.tag_of(self.records[-1])

    def _spend(self, number):
        seq = len(self.records) + 1
        yield {
            "kind": messages.INTENT,
            "card_no": CARD + self.device,
            "counter": number,
            "amount_fen": AMOUNT_FEN,
            "before_fen": AMOUNT_FEN * (SPENDS - number),
            "after_fen": AMOUNT_FEN * (SPENDS - number - 1),
            "merchant_no": MERCHANT,
            "last_device": self.device if number else 0,
            "last_seq": seq - 2 if number else 0,
            "flags": 0,
        }
        committed = {"intent_device": self.device, "intent_seq": seq, "result": 1}
        yield {"kind": messages.OUTCOME, **committed}

    def hello(self):
        fields = {"device": self.device, "boot_id": 1, "receipted": self.receipted}
        return messages.encode_message(messages.HELLO, {**fields, "head": len(self.records)})

    def batch(self):
        records = self.records[self.cursor : self.cursor + messages.BATCH_RECORDS_MAX]
        return messages.encode_message(messages.BATCH, {"device": self.device, "records": records})

    def hear(self, payload):
        expected = (messages.STORED, messages.RECEIPT, messages.CARDS, messages.RELAY)
        said = messages.decode_message(payload, expected)
        if said["type"] == messages.RELAY:
            self.unheard.append(said["sealed"])
            return
        if said["type"] == messages.CARDS:
            key = seal.derive(self.key, card_status.LABEL)
            warrant = said["data"][: card_status.WARRANT_BYTES]
            self.warrants.append(seal.unseal(key, warrant, card_status.LABEL))
            return
        if said["type"] == messages.STORED:
            self.cursor, self.said_s = max(said["upto"], self.receipted), 0.0
            return
        body = seal.unseal(seal.derive(self.key, b"receipt"), said["sealed"], b"receipt")
        receipt = messages.decode_receipt(body)
        assert seal.tag_of(self.records[receipt["upto"] - 1])[:8] == receipt["tag"]
        self.receipted = max(self.receipted, receipt["upto"])


class Daemons:
    """Two brokers, two daemons, and two readers in this process."""

    def __init__(self, folder, repo_root, kind):
        self.folder, self.repo_root = folder, repo_root
        for name in ("building", "centre", "keys"):
            (folder / name).mkdir()
        self.building = start_broker(kind, folder / "building")
        self.centre = start_broker(kind, folder / "centre")
        self.journals = {device: Journal(device) for device in (1001, 1002)}
        self._write_configs()
        down = [topics.down(SITE, device) for device in self.journals]
        self.port = MqttPort("127.0.0.1", self.building.port, "readers", subscriptions=down)
        self.processes, self.log_starts = {}, {}

    def _write_configs(self):
        (self.folder / "signing.key").write_text(SIGNING_KEY.hex())
        (self.folder / "signing.key").chmod(0o600)
        (self.folder / "ledger.pub").write_text(public_key(SIGNING_KEY).hex())
        lines = [f'[[merchant]]\nmerchant_no = {MERCHANT}\nname = "noodles"']
        for device, journal in self.journals.items():
            lines.append(
                f'[[device]]\ndevice = {device}\nkey = "{journal.key.hex()}"\n'
                f'merchant_no = {MERCHANT}\nsite = "{SITE}"\n'
                f"[[card]]\ncard_no = {CARD + device}\nbalance_fen = {AMOUNT_FEN * SPENDS}"
            )
        (self.folder / "register.toml").write_text("\n".join(lines))
        (self.folder / "register.toml").chmod(0o600)
        (self.folder / "ledger.toml").write_text(
            'data_dir = "ledger"\nsigning_key_file = "signing.key"\n'
            'register_file = "register.toml"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {self.centre.port}\n'
        )
        (self.folder / "agent.toml").write_text(
            f'site = "{SITE}"\ndata = "agent"\nledger_public_key = "ledger.pub"\n'
            f'[readers]\nhost = "127.0.0.1"\nport = {self.building.port}\n'
            f'[upstream]\nhost = "127.0.0.1"\nport = {self.centre.port}\n'
        )

    def start(self, name):
        command = [sys.executable, "-m", "tools.cli", name, "run"]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.log_starts[name] = log.tell()
            self.processes[name] = subprocess.Popen(
                [*command, str(self.folder / f"{name}.toml")],
                cwd=self.repo_root,
                env={**os.environ, "PYTHONPATH": str(self.repo_root)},
                stderr=log,
            )

    def serves(self, name):
        """Whether the process started last has come as far as its loop."""
        # Not by counting: one that was killed before it came so far has said nothing.
        log = (self.folder / f"{name}.log").read_bytes()
        return _SERVES[name].encode() in log[self.log_starts[name] :]

    def kill(self, name):
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def play(self, until, timeout_s=60.0):
        deadline_s = time.monotonic() + timeout_s
        while not until():
            now_s = time.monotonic()
            assert now_s < deadline_s, "".join(
                (self.folder / f"{name}.log").read_text() for name in self.processes
            )
            self.port.step(int(now_s * 1000))
            while (message := self.port.take()) is not None:
                self.journals[int(message.topic.split("/")[3])].hear(message.payload)
                self.port.ack(message)
            for journal in self.journals.values():
                self._send(journal, now_s)
                self._ask(journal, now_s)
            descriptor = self.port.fileno()
            select.select([descriptor] if descriptor is not None else [], [], [], 0.01)

    def _send(self, journal, now_s):
        if journal.receipted == len(journal.records) or now_s - journal.said_s < RESEND_S:
            return
        if self.port.connected:
            topic = topics.up(SITE, journal.device)
            if journal.said_s or journal.cursor == len(journal.records):
                self.port.publish(topic, journal.hello())
            if journal.cursor < len(journal.records):
                self.port.publish(topic, journal.batch())
            journal.said_s = now_s

    def _ask(self, journal, now_s):
        """Say the same again and again, as a reader that waits for the ledger does."""
        if journal.asked_s and now_s - journal.asked_s >= ASK_AGAIN_S:
            fields = {"device": journal.device, "sealed": QUESTION}
            data = messages.encode_message(messages.RELAY, fields)
            self.port.publish(topics.up(SITE, journal.device), data)
            journal.asked_s = now_s

    def receipted(self):
        return sum(journal.receipted for journal in self.journals.values())

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.port.close()
        self.building.stop()
        self.centre.stop()


@pytest.fixture(params=["amqtt", "mosquitto"])
def daemons(request, tmp_path, repo_root):
    if request.param == "mosquitto":
        request.getfixturevalue("mosquitto")
    made = Daemons(tmp_path, repo_root, request.param)
    yield made
    made.close()


def test_every_spend_is_booked_once_through_kills(daemons):
    seed = 20261123
    print(f"seed {seed}")
    draw = random.Random(seed)
    total = sum(len(journal.records) for journal in daemons.journals.values())
    daemons.start("ledger")
    daemons.start("agent")
    for name in ("agent", "ledger", "agent", "ledger"):
        more = daemons.receipted() + draw.randrange(40, 80)
        daemons.play(lambda more=more: daemons.receipted() >= min(more, total - 20))
        daemons.kill(name)
        daemons.start(name)
    daemons.play(lambda: daemons.receipted() == total)
    daemons.play(lambda: all(journal.warrants for journal in daemons.journals.values()))
    _ask_while_the_ledger_dies(daemons)
    for name in ("agent", "ledger"):
        daemons.play(lambda name=name: daemons.serves(name))
        daemons.processes[name].terminate()
        assert daemons.processes[name].wait(timeout=60) == 0
    books = LedgerStore.open(str(daemons.folder / "ledger" / "ledger.sqlite"))
    summary = books.summary()
    assert (summary["records"], summary["booked"]) == (total, 2 * SPENDS)
    assert books.takings(MERCHANT) == 2 * SPENDS * AMOUNT_FEN
    assert books.holder_balance(CARD + 1001) == 0
    assert [summary[name] for name in ("pending", "unknown", "suspense", "rejected")] == [0] * 4
    assert check(books) == []
    books.close()


def _ask_while_the_ledger_dies(daemons):
    """Who asks is told as soon as the broker has the ledger's will, and not while it is there."""
    journal = daemons.journals[1001]
    journal.asked_s = 0.1
    _wait_until_asks_are_heard(daemons, journal)
    daemons.kill("ledger")
    dead_s = time.monotonic()
    daemons.play(lambda: len(journal.unheard) > 0)
    print(f"refused {time.monotonic() - dead_s:.2f} s after the ledger was killed")
    assert set(journal.unheard) == {QUESTION[-messages.UNHEARD_BYTES :]}
    daemons.start("ledger")
    _wait_until_asks_are_heard(daemons, journal)
    journal.asked_s = 0.0


def _wait_until_asks_are_heard(daemons, journal):
    """The ledger's status is on its way: for half a second nothing is refused any more."""
    daemons.play(lambda: daemons.serves("ledger") and daemons.serves("agent"))
    quiet_s, seen = time.monotonic(), len(journal.unheard)

    def is_quiet():
        nonlocal quiet_s, seen
        if len(journal.unheard) > seen:
            quiet_s, seen = time.monotonic(), len(journal.unheard)
        return time.monotonic() - quiet_s > 0.5

    daemons.play(is_quiet)
    journal.unheard.clear()


def test_a_second_daemon_on_the_same_books_is_refused_in_one_line(daemons):
    daemons.start("ledger")
    database = daemons.folder / "ledger" / "ledger.sqlite"
    deadline_s = time.monotonic() + 60
    while not database.exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    config = str(daemons.folder / "ledger.toml")
    second = subprocess.run(
        [sys.executable, "-m", "tools.cli", "ledger", "run", config],
        cwd=daemons.repo_root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 2
    assert "another ledger is at work" in second.stderr
    assert "Traceback" not in second.stderr
    assert sqlite3.connect(database).execute("PRAGMA integrity_check").fetchone() == ("ok",)
