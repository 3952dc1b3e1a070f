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
_NOT_THAT_KEY = (ev2.AUTHENTICATION_ERROR, ev2.NO_SUCH_KEY)
_RND_BYTES = 16
_STATUS_BYTES = 1
_SEALED_BYTES = 25  # status, one block, MAC


def is_classic(card):
    """Whether a Card is a MIFARE Classic."""
    return bool(card.sak & _SAK_CLASSIC)


class Credentials:
    """Reads cards in the field of `pcd` with the keys in the settings of `board`.

    DESFire cards need "read_key" among them; without it they are foreign. `old_read_key`: the one
    before it, empty if there is none.
    """

    def __init__(self, board, pcd, old_read_key=b""):
        settings = board.settings
        self._board = board
        self._pcd = pcd
        # The newest generation of keys first: while cards are given new ones, both are out.
        self._classic_keys = [(settings["purse_key"], settings["mac_key"])]
        if "previous_purse_key" in settings:
            mac_key = settings.get("previous_mac_key") or settings["mac_key"]
            self._classic_keys.append((settings["previous_purse_key"], mac_key))
        read_keys = [settings["read_key"]] if "read_key" in settings else []
        if old_read_key:
            read_keys.append(old_read_key)
        self.read_masters = [Cmac(board.aes(key)) for key in read_keys]

    def read(self, card):
        """The Identity of `card` (Card). CardGone, CardRefused, AuthFailed, ForeignCard."""
        if is_classic(card):
            return self._read_classic(card)
        try:
            return self._read_desfire(card)
        except ev2.CardStatus as refusal:
            if refusal.status in _NOT_THAT_KEY:
                raise AuthFailed("read key")
            raise CardRefused(refusal.status)
        except ev2.NotGenuine:
            raise CardGone("not to be believed")

    def _read_classic(self, card):
        classic, sector = Classic(self._pcd, card), IDENTITY_BLOCK // BLOCKS_PER_SECTOR
        *_, oldest = self._classic_keys
        for pair in self._classic_keys:
            # Made anew for each card: kept, they would take 2 kB of the heap for ever.
            keys = PurseKeys(self._board.aes, *pair)
            try:
                classic.authenticate(IDENTITY_BLOCK, *keys.sector(card.uid, sector))
                break
            except AuthFailed:
                if pair is oldest:
                    raise
        return decode_identity(classic.read(IDENTITY_BLOCK), card.uid, keys.mac(card.uid))

    def enter_desfire(self, card, talk_us=TALK_US_MAX):
        """(IsoDep, ev2.Session) of a DESFire under the read key; CardStatus and NotGenuine too.

        `talk_us`: how long the whole conversation may take.
        """
        if not card.sak & _SAK_ISO_DEP or not self.read_masters:
            raise ForeignCard("SAK {:#x}".format(card.sak))
        dep = IsoDep(self._pcd, card, self._pcd.chip.ticks_us() + talk_us)
        dep.activate()
        select = bytes((layout.SELECT_APPLICATION,)) + layout.APPLICATION
        try:
            ev2.body_of(dep.exchange(select, _STATUS_BYTES))
        except ev2.CardStatus as refusal:
            raise ForeignCard("application {:#04x}".format(refusal.status))
        *newer, oldest = self.read_masters
        for master in newer:
            try:
                return dep, self._log_in(dep, master, card.uid)
            except ev2.CardStatus as refusal:
                if refusal.status not in _NOT_THAT_KEY:
                    raise
            except ev2.NotGenuine:
                pass  # it does not know this key, and did not say so
        return dep, self._log_in(dep, oldest, card.uid)

    def _read_desfire(self, card):
        dep, session = self.enter_desfire(card)
        place = layout.place(layout.DOOR_IDENTITY_FILE, FIELDS_BYTES)
        answer = dep.exchange(session.command(layout.READ_DATA, place), _SEALED_BYTES)
        fields = session.answer(answer, ev2.FULL_ANSWER)
        if len(fields) != FIELDS_BYTES:
            raise ForeignCard("identity")
        return Identity(*struct.unpack(FORMAT, fields))

    def _log_in(self, dep, master, uid):
        key = layout.application_key(master, uid, layout.READ_KEY)
        login = ev2.Login(self._board, key, layout.READ_KEY, self._board.urandom(_RND_BYTES))
        proof = login.prove(dep.exchange(login.begin(), _STATUS_BYTES + _RND_BYTES))
        return login.session(dep.exchange(proof, _STATUS_BYTES + 2 * _RND_BYTES))
