"""The door of door.py as the post of locks without a network too (services/carrier.py)."""

from firmware.roles.door import DoorController
from firmware.services.carrier import Carrier


def build(board, front_end=None):
    """As door.build."""
    device = DoorController(board, front_end)
    device.carry_with(Carrier)
    return device
