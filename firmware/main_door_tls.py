"""What a door controller that speaks TLS runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32_door, esp32_tls
from firmware.roles import door


def run():
    """Build the door on its board, and let it step."""
    board = esp32_door.DoorBoard(esp32_tls.Net)
    loop.run(board, door.build(board))


if __name__ == "__main__":
    run()
