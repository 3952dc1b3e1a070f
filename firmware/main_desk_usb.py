"""What the reader of a library desk that types runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32s3_desk
from firmware.roles import identity


def run():
    """Build the reader on its board, and let it step."""
    board = esp32s3_desk.UsbDeskBoard()
    loop.run(board, identity.build(board))


if __name__ == "__main__":
    run()
