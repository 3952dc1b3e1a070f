"""What an attendance machine runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32
from firmware.roles import attendance


def run():
    """Build the machine on its board, and let it step."""
    board = esp32.Board(esp32.Net)
    loop.run(board, attendance.build(board))


if __name__ == "__main__":
    run()
