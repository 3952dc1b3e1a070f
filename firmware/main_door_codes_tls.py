"""What a door with a scanner that speaks TLS runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32_door_codes, esp32_tls
from firmware.roles import code_door


def run():
    """Build the door on its board, and let it step."""
    board = esp32_door_codes.CodeDoorBoard(esp32_tls.Net)
    loop.run(board, code_door.build(board))


if __name__ == "__main__":
    run()
