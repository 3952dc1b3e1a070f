"""What a door controller on a serial line runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32_door, esp32_serial
from firmware.roles import mail_door


def run():
    """Build the door on its board, and let it step."""
    board = esp32_door.DoorBoard(esp32_serial.Net)
    loop.run(board, mail_door.build(board))


if __name__ == "__main__":
    run()
