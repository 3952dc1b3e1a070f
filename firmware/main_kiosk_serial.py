"""What a self-service machine on a serial line runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32, esp32_serial
from firmware.roles import kiosk


def run():
    """Build the machine on its board, and let it step."""
    board = esp32.Board(esp32_serial.Net)
    loop.run(board, kiosk.build(board))


if __name__ == "__main__":
    run()
