"""What a door will do with a card, from the field to a believed identity: no role does it yet.

The drivers and protocols/card are led here as services/purse_*.py lead them, with keys that a door
would have. Whether the card may enter is rules/access.py's business and not measured. The bench
runs this file in CPython and, compiled with the firmware, in MicroPython.
"""

# MicroPython has no typing module to take the names of types from.
# ruff: noqa: ANN001, ANN201, ANN202, ANN204

import struct

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mfrc522 import Mfrc522
from firmware.drivers.mifare_classic import Classic
from firmware.services.purse_classic import PurseKeys
from protocols.card import ev2
from protocols.card import purse_desfire as layout
from protocols.card.diversify import Cmac
from protocols.card.identity import FIELDS_BYTES, FORMAT, Identity, decode_identity
from protocols.card.purse_classic import BLOCKS_PER_SECTOR, IDENTITY_BLOCK

_SAK_ISO_DEP = 0x20
_POLL_MS = 50
_RND_BYTES = 16
_STATUS_BYTES = 1
_SEALED_BYTES = 25  # status, one block, MAC


class Door:
    """A reader that looks for a card, reads who it is and turns its light green.

    `board` has the read key of DESFire cards in its settings as "read_key". `identity` is what the
    last card said, None before that.
    """

    def __init__(self, board):
        settings = board.settings
        self._board = board
        self._pcd = Pcd(Mfrc522(board))
        self._classic_keys = PurseKeys(board.aes, settings["purse_key"], settings["mac_key"])
        self._read_master = Cmac(board.aes(settings["read_key"]))
        self.identity = None

    def step(self, now_ms):
        """One look at the field; when to look again."""
        card = self._pcd.poll()
        if card is not None:
            read = self._read_desfire if card.sak & _SAK_ISO_DEP else self._read_classic
            self.identity = read(card)
            self._board.led(1, 0)
        return now_ms + _POLL_MS

    def _read_classic(self, card):
        classic, keys = Classic(self._pcd, card), self._classic_keys
        sector = IDENTITY_BLOCK // BLOCKS_PER_SECTOR
        classic.authenticate(IDENTITY_BLOCK, *keys.sector(card.uid, sector))
        return decode_identity(classic.read(IDENTITY_BLOCK), card.uid, keys.mac(card.uid))

    def _read_desfire(self, card):
        dep = IsoDep(self._pcd, card)
        dep.activate()
        select = bytes((layout.SELECT_APPLICATION,)) + layout.APPLICATION
        ev2.body_of(dep.exchange(select, _STATUS_BYTES))
        key = layout.application_key(self._read_master, card.uid, layout.READ_KEY)
        login = ev2.Login(self._board, key, layout.READ_KEY, self._board.urandom(_RND_BYTES))
        proof = login.prove(dep.exchange(login.begin(), _STATUS_BYTES + _RND_BYTES))
        session = login.session(dep.exchange(proof, _STATUS_BYTES + 2 * _RND_BYTES))
        place = layout.place(layout.DOOR_IDENTITY_FILE, FIELDS_BYTES)
        answer = dep.exchange(session.command(layout.READ_DATA, place), _SEALED_BYTES)
        fields = session.answer(answer, ev2.FULL_ANSWER)
        return Identity(*struct.unpack(FORMAT, fields))


def build(board):
    """The door on a board: an object with step(now_ms) -> due_ms, as roles have it."""
    return Door(board)
