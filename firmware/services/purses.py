"""Which purse a card has, and the keys of all of them."""

from firmware.services.purse_classic import ClassicPurse, PurseKeys
from firmware.services.purse_desfire import DesfireKeys, DesfirePurse
from protocols.card.identity import ForeignCard

# SAK: bit 6 is ISO/IEC 14443-4, bit 4 MIFARE Classic.
_SAK_ISO_DEP = 0x20
_SAK_CLASSIC = 0x08


class Purses:
    """Opens purses in the field of `pcd`, with the keys in the settings of `board`."""

    def __init__(self, board, pcd):
        settings = board.settings
        self._pcd = pcd
        self.classic_keys = [PurseKeys(board.aes, settings["purse_key"], settings["mac_key"])]
        if "previous_purse_key" in settings:
            old = settings["previous_purse_key"], settings.get("previous_mac_key")
            self.classic_keys.append(PurseKeys(board.aes, old[0], old[1] or settings["mac_key"]))
        self._desfire = DesfireKeys(board, board.urandom, self.classic_keys)

    def of(self, card):
        """The Purse on `card` (Card), not yet read; ForeignCard when it cannot have one."""
        if card.sak & _SAK_CLASSIC:
            return ClassicPurse(self._pcd, card, self.classic_keys)
        if card.sak & _SAK_ISO_DEP:
            return DesfirePurse(self._pcd, card, self._desfire)
        raise ForeignCard("SAK {:#x}".format(card.sak))
