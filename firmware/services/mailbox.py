"""What a lock without a network reads off a card and writes on it, while the card lies there.

A letter to it (card/mailbox.py) is what an agent would have told: a receipt, and a map with its
warrant. It is unpacked into just that, and goes where that goes, so nothing older counts, a
receipt has to be about a record of ours, and a cut leaves old or new. The receipt goes first: that
the map is as young as the letter means that all of it was taken. It proves that it is later now.

A letter from it has the oldest records that have no receipt. They stay in the journal, and go on
every card, until a receipt frees them; so whichever card comes through first will do.
"""

import struct
from hashlib import sha256

from firmware.services.card_faults import FAULTS
from firmware.services.card_mail import CardMail
from firmware.services.journal_bytes import RECORD_BYTES_MAX
from protocols.card import mailbox
from protocols.link.delivery import DeliveryError
from protocols.rules import access, card_status
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

# It holds no door, and its motor stops by itself: it may talk for longer than a door.
_TALK_US_MAX = 800000
_STEP_MV = 100  # a smaller difference of the cells is worth no other letter


class Mailbox:
    """The mailbox of whatever card is held to a lock.

    `books` are its Recorder, Clock and Uplink; `battery_mv()` is what its cells read.
    """

    def __init__(self, board, pcd, credentials, books, access_map, battery_mv):
        settings = board.settings
        self._board = board
        self._pcd, self._credentials = pcd, credentials
        self._recorder, self._clock, self._uplink = books
        self._access_map = access_map
        self._battery_mv = battery_mv
        self._device = settings["device"]
        self._keys = [settings["device_key"]]
        if "previous_device_key" in settings:
            self._keys.append(settings["previous_device_key"])

    def visit(self, card, _identity, now_ms):
        """Take what is in the card's mailbox for this lock, and leave what it has to tell.

        Whatever goes wrong with the card, its next visit begins anew. Nothing of a session stays:
        one takes a good part of what the heap has left.
        """
        mail = CardMail(self._pcd, self._credentials, _TALK_US_MAX)
        try:
            heads = mail.heads(card)
            for slot in range(mailbox.TO_LOCKS):
                head = heads[slot]
                if head is not None and head.device == self._device:
                    self._take(mail, card, slot, head, now_ms)
            written = self._letter(heads[mailbox.FROM_LOCK])
            heads = head = None
            if written:
                for _ in mail.put(card, mailbox.FROM_LOCK, *written):
                    pass
        except FAULTS:
            pass  # it has gone, or has no mailbox
        except OSError:
            pass  # the flash has not taken the map: the old one holds

    def _take(self, mail, card, slot, head, now_ms):
        if head.stamp <= self._access_map.held()[1]:
            return  # taken, or older than what was
        letter = bytearray()
        for _ in mail.get(card, slot, head, letter):
            pass
        for key in self._keys:
            try:
                content = mailbox.open_letter(self._board, key, mailbox.TO_LABEL, letter)
                self._apply(mailbox.decode_update(content), now_ms)
                return
            except WireError:
                pass  # torn, forged, another lock's, or under the other key

    def _apply(self, update, now_ms):
        epoch, made_s, upto, tag, data = update
        self._clock.not_before(made_s, now_ms)
        key = self._keys[0]
        if upto:
            body = messages.encode_receipt(self._device, upto, tag, made_s)
            sealed = seal.seal(
                seal.derive(key, messages.RECEIPT_LABEL), body, messages.RECEIPT_LABEL
            )
            said, booked = (
                {"device": self._device, "sealed": sealed},
                self._recorder.receipted_seq(),
            )
            try:
                self._uplink.hear(messages.encode_message(messages.RECEIPT, said), now_ms)
            except DeliveryError:
                pass  # of a journal that is not ours any more
            if booked < self._recorder.receipted_seq():
                self._recorder.keep_receipt()
        if data:
            access.whole(data)  # what cannot be read takes no map's place
            digest = sha256(data).digest()[:16]
            body = struct.pack(card_status.WARRANT, epoch, made_s, len(data), digest, digest)
            key = seal.derive(seal.derive(key, access.LABEL), card_status.LABEL)
            warrant = seal.seal(key, body, card_status.LABEL)
            self._access_map.offer(warrant, data, now_ms)

    def _letter(self, head):
        """(head, letter) of what is to be left, or None; `head`: of the one that lies there.

        What it was made of is gone before it is written.
        """
        recorder = self._recorder
        booked = recorder.receipted_seq()
        is_others = head is not None and head.device != self._device
        if not recorder.waiting() or (is_others and head.state == mailbox.WAITING):
            return None
        tag = recorder.tag_at(booked) if booked else seal.CHAIN_START
        battery_mv = self._battery_mv() // _STEP_MV * _STEP_MV
        held, key = self._access_map.held(), self._keys[0]
        content, count = mailbox.encode_events(
            key, held, battery_mv, self._device, booked + 1, tag, self._records(booked + 1)
        )
        letter = mailbox.seal_letter(self._board, key, mailbox.FROM_LABEL, content)
        ours = mailbox.head_of(self._device, booked + count, letter)
        if head is not None and not is_others and head.crc == ours.crc:
            return None  # it is there, or a door has it and the receipt is on its way
        return ours, letter

    def _records(self, seq):
        """Our sealed records from `seq` on, one at a time: all of them are much of the heap."""
        while True:
            found = self._recorder.records_from(seq, 1, RECORD_BYTES_MAX)
            if not found:
                return
            yield found[0]
            seq += 1
