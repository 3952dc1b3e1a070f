"""What a door controller with a scanner runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32, esp32_door_codes
from firmware.roles import code_door


def run():
    """Build the door on its board, and let it step."""
    board = esp32_door_codes.CodeDoorBoard(esp32.Net)
    loop.run(board, code_door.build(board))


if __name__ == "__main__":
    run()
