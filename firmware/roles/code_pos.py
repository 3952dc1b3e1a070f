"""The POS of a window with a scanner: pos.py, and payment codes beside the card.

An image of its own, for a board with a cable has no pin for a scanner, nor its heap the room.
"""

from firmware.roles import pos
from firmware.services.codes import Codes


def build(board, front_end=None):
    """As pos.build; the board has a `scanner`, see docs/ARCHITECTURE.md."""
    return pos.build(board, front_end, Codes)
