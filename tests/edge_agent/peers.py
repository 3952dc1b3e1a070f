"""A reader and a ledger as their neighbours see them: real seals, real chain, real signatures.

They implement the wire, not our services: the agent is tested against the contract, and neither
firmware/ nor ledger/ is needed here.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.wire import messages, seal, topics
from protocols.wire.errors import BAD_SEAL, WireError
from protocols.wire.routing import route

SITE = "north"


def key_of(device):
    return hashlib.sha256(b"device %d" % device).digest()


def power_record(device, seq, before, *, key=None, source=0, interval_s=None):
    """A genuine sealed record; `before` is the tag of the record before it."""
    earliest_s, latest_s = interval_s or (1_700_000_000 + seq, 1_700_000_001 + seq)
    fields = {
        "kind": messages.POWER,
        "device": device,
        "seq": seq,
        "earliest_s": earliest_s,
        "latest_s": latest_s,
        "boot_id": 7,
        "mono_ms": seq * 1_000,
        "source": source,
        "battery_mv": 3_700,
    }
    return seal.seal(key or key_of(device), messages.encode_record(fields), before)


class Reader:
    """A device: its journal, what is receipted, and the cursor that STORED moves."""

    def __init__(self, device, interval_s=None):
        self.device = device
        self.interval_s = interval_s  # what its clock says of all times; None: a good one
        self.journal = [b""]  # journal[seq]
        self.receipted = 0
        self.cursor = 0
        self.outstanding = False

    @property
    def head(self):
        return len(self.journal) - 1

    def write(self, count):
        for _ in range(count):
            tag = seal.tag_of(self.journal[-1]) if self.head else seal.CHAIN_START
            record = power_record(self.device, len(self.journal), tag, interval_s=self.interval_s)
            self.journal.append(record)

    def hello(self):
        fields = {
            "device": self.device,
            "boot_id": 7,
            "receipted": self.receipted,
            "head": self.head,
        }
        return messages.encode_message(messages.HELLO, fields)

    def batch(self, first=None, count=messages.BATCH_RECORDS_MAX):
        first = self.cursor + 1 if first is None else first
        return batch(self.device, self.journal[first : first + count])

    def hear(self, payload):
        """Take a STORED or RECEIPT, as the firmware must."""
        said = messages.decode_message(payload, (messages.STORED, messages.RECEIPT))
        assert said["device"] == self.device
        if said["type"] == messages.STORED:
            self.cursor = min(max(said["upto"], self.receipted), self.head)
            self.outstanding = False
        else:
            key = seal.derive(key_of(self.device), messages.RECEIPT_LABEL)
            body = seal.unseal(key, said["sealed"], messages.RECEIPT_LABEL)
            receipt = messages.decode_receipt(body)
            assert receipt["device"] == self.device
            assert receipt["tag"] == seal.tag_of(self.journal[receipt["upto"]])[:8]
            self.receipted = max(self.receipted, receipt["upto"])


class Ledger:
    """Verifies chains, books each record once, answers each FORWARD with one signed RECEIPTS.

    Like the real one it keeps what is ahead of a gap without a receipt (`parked`), refuses a
    broken seal, and lists the head of every registered device of a delivery.
    """

    def __init__(self, devices=()):
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"ledger").digest())
        self.public_key = self._key.public_key().public_bytes_raw()
        self.devices = set(devices)
        self.booked = {}  # device -> [b"", sealed of 1, ...]
        self.parked = {}  # (device, seq) -> sealed
        self.received = {}  # (device, seq) -> how many times

    def head(self, device):
        return len(self.booked.get(device, [b""])) - 1

    def answer(self, payload):
        """RECEIPTS for a FORWARD."""
        forward = messages.decode_message(payload, (messages.FORWARD,))
        assert forward["site"] == SITE
        devices, refused = set(), []
        for sealed in forward["records"]:
            device, seq = route(sealed)
            self.received[device, seq] = self.received.get((device, seq), 0) + 1
            if device not in self.devices:
                refused.append([device, seq, 301])
                continue
            devices.add(device)
            self._book(device, seq, sealed, refused)
        receipts = [self.receipt(device, self.head(device)) for device in sorted(devices)]
        return self.receipts(forward["number"], receipts, refused)

    def _book(self, device, seq, sealed, refused):
        chain = self.booked.setdefault(device, [b""])
        if seq > len(chain):
            self.parked[device, seq] = sealed
            return
        while sealed is not None and seq == len(chain):
            tag = seal.tag_of(chain[-1]) if len(chain) > 1 else seal.CHAIN_START
            try:
                seal.unseal(key_of(device), sealed, tag)
            except WireError:
                refused.append([device, seq, BAD_SEAL])
                return
            chain.append(sealed)
            seq += 1
            sealed = self.parked.pop((device, seq), None)

    def receipt(self, device, upto):
        tag = (
            seal.tag_of(self.booked[device][upto])[:8]
            if upto in range(1, len(self.booked.get(device, [])))
            else bytes(8)
        )
        body = messages.encode_receipt(device, upto, tag, 1_700_000_000)
        key = seal.derive(key_of(device), messages.RECEIPT_LABEL)
        return [device, upto, seal.seal(key, body, messages.RECEIPT_LABEL)]

    def receipts(self, number, receipts, refused=(), *, signer=None):
        fields = {"number": number, "receipts": receipts, "refused": list(refused)}
        payload = messages.encode_message(messages.RECEIPTS, fields)
        tbs = seal.sign1_tbs(payload, messages.RECEIPTS_LABEL)
        return seal.sign1_pack(payload, (signer or self._key).sign(tbs))


def batch(device, records):
    fields = {"device": device, "records": list(records)}
    return messages.encode_message(messages.BATCH, fields)


def forwards(published):
    """The FORWARD payloads among (topic, payload) pairs."""
    return [payload for topic, payload in published if topic == topics.agent_records(SITE)]


def numbers_of(payload):
    """[(device, seq)] of a FORWARD."""
    records = messages.decode_message(payload, (messages.FORWARD,))["records"]
    fields = [messages.decode_record(seal.payload_of(sealed)) for sealed in records]
    return [(item["device"], item["seq"]) for item in fields]
