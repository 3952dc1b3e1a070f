"""What the reader of a library desk that speaks TLS runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32_desk, esp32_tls
from firmware.roles import identity


def run():
    """Build the reader on its board, and let it step."""
    board = esp32_desk.DeskBoard(esp32_tls.Net)
    loop.run(board, identity.build(board))


if __name__ == "__main__":
    run()
