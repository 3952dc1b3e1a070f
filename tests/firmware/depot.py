"""Where a reader's firmware comes from, on a bench: its agent behind a broker, and the ledger.

The contract of docs/adr/0040: it tells of a warrant at every hello, and answers for pages.
"""

import hashlib
import struct

from protocols.rules import release
from protocols.rules.release import PAGE_BYTES
from protocols.wire import messages, mqtt, seal, topics
from tests.link.bench import Broker, Net

_HEARD = (messages.HELLO, messages.BATCH, messages.RELAY, messages.CARDS)
DAY_MIN = 1440


class Depot:
    """`image` of `version` for `program`; `spoil(page, data)` changes what is told of a page.

    `books`: whether the ledger answers. `records`: sealed ones, once, in order. `asked`: pages.
    """

    def __init__(self, device, site, key, utc_s, image=b"", version=2, program=0):
        self.net = Net()
        self.device, self.key, self.utc_s = device, key, utc_s
        self.image, self.version, self.program = image, version, program
        self.told = {}
        self.tells, self.books = bool(image), True
        self.expires_s = utc_s() + 86_400
        self.spoil = lambda page, data: data
        self.records, self.asked = [], []
        self._broker = None
        self._up, self._down = topics.up(site, device), topics.down(site, device)

    def warrant(self, key=None, **told):
        """The sealed word for the image; `told` are fields of it that are not so."""
        fields = {
            "version": self.version,
            "program": self.program,
            "after": 1,
            "size": len(self.image),
            "digest": hashlib.sha256(self.image).digest(),
            "from_min": 0,
            "until_min": DAY_MIN - 1,
            "expires_s": self.expires_s,
            "flags": release.FORCED,
        }
        fields.update(self.told)
        fields.update(told)
        body = struct.pack(release.WARRANT, *fields.values())
        return seal.seal(seal.derive(key or self.key, release.LABEL), body, release.LABEL)

    def tell(self, sealed=None):
        """Say the word, whether asked or not."""
        data = self.warrant() if sealed is None else sealed
        self._say(messages.CARDS, {"epoch": self.version, "page": release.PAGE, "data": data})

    def step(self):
        """Hear what the reader has said, and answer; whether something is on its way to it."""
        if not self.net.wires:
            return False
        wire = self.net.wires[-1]
        if self._broker is None or self._broker.wire is not wire:
            self._broker = Broker(wire)
        if wire.closed or wire.reset:
            return False
        for event in self._broker.step():
            if event[0] == mqtt.PUBLISH and event[1] == self._up:
                self._answer(messages.decode_message(event[2], _HEARD))
        return bool(wire.to_device)

    def kinds(self):
        """The fields of every record that came."""
        return [messages.decode_record(seal.payload_of(sealed)) for sealed in self.records]

    def _answer(self, fields):
        if fields["type"] == messages.CARDS:
            self._page(fields)
            return
        for sealed in fields.get("records", ()):
            seq = messages.decode_record(seal.payload_of(sealed))["seq"]
            if seq == len(self.records) + 1:
                self.records.append(sealed)
        upto = len(self.records)
        self._say(messages.STORED, {"upto": upto})
        if upto and self.books:
            tag = seal.tag_of(self.records[-1])[:8]
            body = messages.encode_receipt(self.device, upto, tag, self.utc_s())
            key = seal.derive(self.key, messages.RECEIPT_LABEL)
            self._say(messages.RECEIPT, {"sealed": seal.seal(key, body, messages.RECEIPT_LABEL)})
        if self.tells and fields["type"] == messages.HELLO:
            self.tell()

    def _page(self, fields):
        number = fields["page"] - release.PAGE - 1
        name = hashlib.sha256(self.image).digest()[: release.NAME_BYTES]
        if number < 0 or (fields["epoch"], fields["data"]) != (self.version, name):
            return
        self.asked.append(number)
        data = self.spoil(number, self.image[number * PAGE_BYTES : (number + 1) * PAGE_BYTES])
        if data:
            self._say(messages.CARDS, {**fields, "data": data})

    def _say(self, message_type, fields):
        fields = {**fields, "device": self.device}
        fields.pop("type", None)
        self._broker.publish(self._down, messages.encode_message(message_type, fields))
