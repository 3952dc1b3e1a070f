"""Who holds a card, for readers that only ask for that: its identity, believed, and nothing else.

Of a DESFire with the read key alone, which opens no purse; of a Classic with the key of its
identity sector. A conversation has 150 ms in all: see docs/adr/0019-pulses-hold-the-door.md.
"""

import struct

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mifare_classic import AuthFailed, CardRefused, Classic
from firmware.services.purse_classic import PurseKeys
from protocols.card import ev2
from protocols.card import purse_desfire as layout
from protocols.card.diversify import Cmac
from protocols.card.identity import (
    FIELDS_BYTES,
    FORMAT,
    ForeignCard,
    Identity,
    decode_identity,
)
from protocols.card.purse_classic import BLOCKS_PER_SECTOR, IDENTITY_BLOCK

TALK_US_MAX = 150000
# SAK: bit 6 is ISO/IEC 14443-4, bit 4 MIFARE Classic.
_SAK_ISO_DEP, _SAK_CLASSIC = 0x20, 0x08
_RND_BYTES = 16
_STATUS_BYTES = 1
_SEALED_BYTES = 25  # status, one block, MAC


class Credentials:
    """Reads cards in the field of `pcd` with the keys in the settings of `board`.

    DESFire cards need "read_key" among them; without it they are foreign.
    """

    def __init__(self, board, pcd):
        settings = board.settings
        self._board = board
        self._pcd = pcd
        self._classic_keys = PurseKeys(board.aes, settings["purse_key"], settings["mac_key"])
        self._read_master = None
        if "read_key" in settings:
            self._read_master = Cmac(board.aes(settings["read_key"]))

    def read(self, card):
        """The Identity of `card` (Card). CardGone, CardRefused, AuthFailed, ForeignCard."""
        if card.sak & _SAK_CLASSIC:
            return self._read_classic(card)
        if not card.sak & _SAK_ISO_DEP or self._read_master is None:
            raise ForeignCard("SAK {:#x}".format(card.sak))
        try:
            return self._read_desfire(card)
        except ev2.CardStatus as refusal:
            if refusal.status in (ev2.AUTHENTICATION_ERROR, ev2.NO_SUCH_KEY):
                raise AuthFailed("read key")
            raise CardRefused(refusal.status)
        except ev2.NotGenuine:
            raise CardGone("not to be believed")

    def _read_classic(self, card):
        classic, keys = Classic(self._pcd, card), self._classic_keys
        sector = IDENTITY_BLOCK // BLOCKS_PER_SECTOR
        classic.authenticate(IDENTITY_BLOCK, *keys.sector(card.uid, sector))
        return decode_identity(classic.read(IDENTITY_BLOCK), card.uid, keys.mac(card.uid))

    def _read_desfire(self, card):
        dep = IsoDep(self._pcd, card, self._pcd.chip.ticks_us() + TALK_US_MAX)
        dep.activate()
        select = bytes((layout.SELECT_APPLICATION,)) + layout.APPLICATION
        try:
            ev2.body_of(dep.exchange(select, _STATUS_BYTES))
        except ev2.CardStatus as refusal:
            raise ForeignCard("application {:#04x}".format(refusal.status))
        key = layout.application_key(self._read_master, card.uid, layout.READ_KEY)
        login = ev2.Login(self._board, key, layout.READ_KEY, self._board.urandom(_RND_BYTES))
        proof = login.prove(dep.exchange(login.begin(), _STATUS_BYTES + _RND_BYTES))
        session = login.session(dep.exchange(proof, _STATUS_BYTES + 2 * _RND_BYTES))
        place = layout.place(layout.DOOR_IDENTITY_FILE, FIELDS_BYTES)
        answer = dep.exchange(session.command(layout.READ_DATA, place), _SEALED_BYTES)
        fields = session.answer(answer, ev2.FULL_ANSWER)
        if len(fields) != FIELDS_BYTES:
            raise ForeignCard("identity")
        return Identity(*struct.unpack(FORMAT, fields))
