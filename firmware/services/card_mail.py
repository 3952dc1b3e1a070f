"""The mailbox of a card as blocks, on both kinds of card; what stands in them: card/mailbox.py.

For readers that hold the read key: doors, locks. It belongs to no purse, so whatever becomes of a
write, nothing is lost but a letter, which its head then does not fit. A card without a mailbox
says so as a card with other keys does.
"""

import struct

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import KEY_B, AuthFailed, CardRefused, Classic
from firmware.services.credential import TALK_US_MAX, is_classic
from protocols.card import ev2, mailbox
from protocols.card import purse_desfire as layout
from protocols.card.mailbox import BLOCK_BYTES
from protocols.card.purse_classic import BLOCKS_PER_SECTOR, MAIL_KEY, MAIL_SECTOR, sector_key

_DATA_BLOCKS = BLOCKS_PER_SECTOR - 1
_MAC_BYTES = 9  # and the status
_PLACE = "<BHBHB"


class CardMail:
    """The mailbox of the card in the field of `pcd`, by the keys of `credentials`.

    `talk_us`: how long a conversation with a DESFire may take, from each selection on.

    Every method raises CardGone, CardRefused, AuthFailed, ForeignCard and BusFault, as reading an
    identity does. What lasts is a generator: each piece is at most a sector, and between two of
    them the card may have been selected anew.
    """

    def __init__(self, pcd, credentials, talk_us=TALK_US_MAX):
        self._pcd = pcd
        self._credentials = credentials
        self._talk_us = talk_us
        self._session = self._sector = None  # of pcd; what is open in it
        self._classic = self._desfire = None

    def heads(self, card):
        """A mailbox.Head for each slot, None for an empty one."""
        return mailbox.decode_heads(self._act(card, 0, mailbox.SLOTS, None))

    def get(self, card, slot, head, letter):
        """Read the letter of a slot, piece by piece, into `letter` (bytearray)."""
        at = mailbox.SLOTS + slot * mailbox.BODY_BLOCKS
        end = at + (head.length + BLOCK_BYTES - 1) // BLOCK_BYTES
        while at < end:
            count = min(_DATA_BLOCKS - at % _DATA_BLOCKS, end - at)
            letter.extend(self._act(card, at, count, None))
            at += count
            yield

    def put(self, card, slot, head, letter):
        """Write a letter, piece by piece, and then its head."""
        letter += bytes(-len(letter) % BLOCK_BYTES)
        first = at = mailbox.SLOTS + slot * mailbox.BODY_BLOCKS
        end = at + len(letter) // BLOCK_BYTES
        while at < end:
            count = min(_DATA_BLOCKS - at % _DATA_BLOCKS, end - at)
            begin = (at - first) * BLOCK_BYTES
            self._act(card, at, count, letter[begin : begin + count * BLOCK_BYTES])
            at += count
            yield
        self.mark(card, slot, head)

    def mark(self, card, slot, head):
        """Write the head of a slot."""
        self._act(card, slot, 1, mailbox.encode_head(head))

    def _act(self, card, at, count, data):
        """Read `count` blocks from `at` on, or write `data` there; within a sector."""
        if is_classic(card):
            return self._act_classic(card, at, count, data)
        try:
            if self._session != self._pcd.session or self._desfire is None:
                self._session = None
                self._desfire = self._credentials.enter_desfire(card, self._talk_us)
                self._session = self._pcd.session
            dep, session = self._desfire
            length = count * BLOCK_BYTES
            place = struct.pack(_PLACE, layout.MAIL_FILE, at * BLOCK_BYTES, 0, length, 0)
            if data is not None:
                command = session.command(layout.WRITE_DATA, place, data, ev2.FULL_COMMAND)
                return session.answer(dep.exchange(command, _MAC_BYTES))
            command = session.command(layout.READ_DATA, place)
            # What is hidden is padded: one block more.
            answer = dep.exchange(command, length + BLOCK_BYTES + _MAC_BYTES)
            return session.answer(answer, ev2.FULL_ANSWER)
        except ev2.CardStatus as refusal:
            self._desfire = None
            raise CardRefused(refusal.status)
        except ev2.NotGenuine:
            self._desfire = None
            raise CardGone("not to be believed")

    def _act_classic(self, card, at, count, data):
        sector = MAIL_SECTOR + at // _DATA_BLOCKS
        first, read = sector * BLOCKS_PER_SECTOR + at % _DATA_BLOCKS, b""
        if (self._session, self._sector) != (self._pcd.session, sector):
            if self._session != self._pcd.session:
                self._classic = Classic(self._pcd, card)
            self._session = None
            for master in self._credentials.read_masters:
                key = sector_key(master, card.uid, MAIL_KEY, sector)
                try:
                    self._classic.authenticate(first, key, KEY_B)
                    self._session, self._sector = self._pcd.session, sector
                    break
                except AuthFailed:
                    pass  # a card of the generation before, or one without a mailbox
            else:
                raise AuthFailed("mail key")
        for number in range(count):
            if data is None:
                read += self._classic.read(first + number)
            else:
                begin = number * BLOCK_BYTES
                self._classic.write(first + number, data[begin : begin + BLOCK_BYTES])
        return read
