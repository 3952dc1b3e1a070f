"""What a POS runs after boot.py. Whatever it cannot handle ends it: the watchdog resets the board.

A traceback goes to the console, the loop stands still, 30 s later the chip starts anew.
"""

from firmware import loop
from firmware.boards import esp32
from firmware.roles import pos


def run():
    """Build the POS on its board, and let it step."""
    board = esp32.Board(esp32.Net)
    loop.run(board, pos.build(board))


if __name__ == "__main__":
    run()
