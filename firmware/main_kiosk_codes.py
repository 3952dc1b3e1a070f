"""What a self-service machine with a scanner runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32, esp32_codes
from firmware.roles import code_kiosk


def run():
    """Build the machine on its board, and let it step."""
    board = esp32_codes.CodeBoard(esp32.Net)
    loop.run(board, code_kiosk.build(board))


if __name__ == "__main__":
    run()
