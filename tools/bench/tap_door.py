"""What a door does with a card, from the field to a believed identity, and nothing beside it.

The cards are read by services/credential.py, as the door of firmware/roles/door.py reads them;
whether one may enter (rules/access.py), and its records, are not measured. The bench runs this
file in CPython and, compiled with the firmware, in MicroPython.
"""

# MicroPython has no typing module to take the names of types from.
# ruff: noqa: ANN001, ANN201, ANN204

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.services.credential import Credentials

_POLL_MS = 50


class Door:
    """A reader that looks for a card, reads who it is and turns its light green.

    `board` has the read key of DESFire cards in its settings as "read_key". `identity` is what the
    last card said, None before that.
    """

    def __init__(self, board):
        self._board = board
        self._pcd = Pcd(Mfrc522(board))
        self._credentials = Credentials(board, self._pcd)
        self.identity = None

    def step(self, now_ms):
        """One look at the field; when to look again."""
        card = self._pcd.poll()
        if card is not None:
            self.identity = self._credentials.read(card)
            self._board.led(1, 0)
        return now_ms + _POLL_MS


def build(board):
    """The door on a board: an object with step(now_ms) -> due_ms, as roles have it."""
    return Door(board)
