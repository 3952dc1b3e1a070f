"""A door's network on a bench: its agent behind a broker, and what is wrong with both."""

import struct
from hashlib import sha256

from protocols.rules import access, card_status
from protocols.rules.card_status import PAGE_BYTES
from protocols.wire import messages, mqtt, seal, topics
from tests.firmware.card_desk import Centre
from tests.firmware.counter import DEVICE_KEY, NOON_S, SITE
from tests.link.bench import Broker, Net

CARDS_KEY = seal.derive(DEVICE_KEY, card_status.LABEL)
ACCESS_KEY = seal.derive(seal.derive(DEVICE_KEY, access.LABEL), card_status.LABEL)
_TELL_STEPS = 100  # the agent repeats which map is the newest
_HEARD = (messages.HELLO, messages.BATCH, messages.RELAY, messages.CARDS)


class Rights:
    """What the ledger says of one door: its newest access map, and the word for it."""

    def __init__(self):
        self.epoch, self.now_s = 0, NOON_S
        self.blob = b""

    def say(self, blob):
        """From now on this is the map."""
        self.epoch += 1
        self.blob = blob

    def warrant(self, epoch=None, made_s=None, key=ACCESS_KEY):
        digest = sha256(self.blob).digest()[:16]
        body = struct.pack(
            card_status.WARRANT,
            self.epoch if epoch is None else epoch,
            self.now_s if made_s is None else made_s,
            len(self.blob),
            digest,
            digest,
        )
        return seal.seal(key, body, card_status.LABEL)

    def news(self, **said):
        return {"epoch": 0, "page": access.PAGES_AT, "data": self.warrant(**said)}

    def answer(self, asked):
        page = asked["page"] - access.PAGES_AT
        if not page:
            return self.news() if self.epoch else None
        data = self.blob[(page - 1) * PAGE_BYTES : page * PAGE_BYTES]
        return {"epoch": asked["epoch"], "page": asked["page"], "data": data}


def answer(centre, rights, asked):
    """What an agent that knows both says to a CARDS of the door; None: nothing."""
    if asked["page"] >= access.PAGES_AT:
        return rights.answer(asked)
    said = centre.answer(asked)
    if not asked["page"]:
        rest = said["data"][card_status.WARRANT_BYTES :]
        said["data"] = centre.warrant(key=CARDS_KEY) + rest
    return said


class Gateway:
    """The other end of a door's wire; `net` is what stands in for its board's.

    `is_silent`: it hears and says nothing. `is_mad`: it says what it must not, at every step.
    """

    def __init__(self, device, draw):
        self.net = Net()
        self.device = device
        self.centre, self.rights = Centre(), Rights()
        self.centre.now_s = NOON_S
        self.is_silent = self.is_mad = False
        self.records = []  # every sealed one, once, in order
        self.sessions = self._steps = 0
        self._draw = draw
        self._broker = None
        self._down = topics.down(SITE, device)

    def cut(self):
        """The cable is out."""
        self.net.up = False
        for wire in self.net.wires:
            wire.reset = True

    def plug(self):
        self.net.up = True

    def jam(self, is_jammed):
        """The port looks alive and carries nothing."""
        self.net.send_max = 0 if is_jammed else 1 << 20
        self.net.recv_max = 0 if is_jammed else 1 << 20

    def step(self):
        """Hear what the door has said, and answer."""
        if not self.net.wires:
            return
        wire = self.net.wires[-1]
        if self._broker is None or self._broker.wire is not wire:
            self._broker = Broker(wire)
            self.sessions += 1
        if wire.closed or wire.reset or not self.net.recv_max:
            return
        try:
            heard = self._broker.step()
        except mqtt.MqttError:
            wire.reset = True
            return
        for event in heard if not self.is_silent else ():
            if event[0] == mqtt.PUBLISH and event[1] == topics.up(SITE, self.device):
                self._answer(messages.decode_message(event[2], _HEARD))
        self._steps += 1
        if self._steps % _TELL_STEPS == 0 and not self.is_silent:
            self._say(messages.CARDS, {**self.rights.news(), "device": self.device})
        if self.is_mad:
            self._rave()

    def _answer(self, fields):
        if fields["type"] == messages.CARDS:
            said = answer(self.centre, self.rights, fields)
            if said is not None:
                self._say(messages.CARDS, {**said, "device": self.device})
            return
        for sealed in fields.get("records", ()):
            seq = messages.decode_record(seal.payload_of(sealed))["seq"]
            if seq == len(self.records) + 1:
                self.records.append(sealed)
        upto = len(self.records)
        self._say(messages.STORED, {"device": self.device, "upto": upto})
        if upto:
            tag = seal.tag_of(self.records[-1])[:8]
            body = messages.encode_receipt(self.device, upto, tag, self.centre.now_s)
            key = seal.derive(DEVICE_KEY, messages.RECEIPT_LABEL)
            sealed = seal.seal(key, body, messages.RECEIPT_LABEL)
            self._say(messages.RECEIPT, {"device": self.device, "sealed": sealed})

    def _say(self, message_type, fields, retain=False):
        self._broker.publish(self._down, messages.encode_message(message_type, fields), retain)

    def _rave(self):
        """A rollback, a forgery, a retained order, noise: none of it may open a door."""
        draw = self._draw.randrange(5)
        device = self.device
        if draw == 0:
            self._say(messages.CARDS, {**self.rights.news(epoch=1), "device": device})
        elif draw == 1:
            forged = {**self.rights.news(epoch=99, key=bytes(32)), "device": device}
            self._say(messages.CARDS, forged)
        elif draw == 2:
            self._say(messages.RELAY, {"device": device, "sealed": b"open"}, retain=True)
        elif draw == 3:
            self._broker.publish(self._down, self._draw.randbytes(40))
        else:
            page = {"epoch": 1, "page": access.PAGES_AT + 1, "data": self._draw.randbytes(256)}
            self._say(messages.CARDS, {**page, "device": device})
