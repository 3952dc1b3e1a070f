"""What an attendance machine that speaks TLS runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32, esp32_tls
from firmware.roles import attendance


def run():
    """Build the machine on its board, and let it step."""
    board = esp32.Board(esp32_tls.Net)
    loop.run(board, attendance.build(board))


if __name__ == "__main__":
    run()
