"""What a lock on batteries runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32_lock, esp32_serial
from firmware.roles import lock


def run():
    """Build the lock on its board, and let it step until it sleeps."""
    board = esp32_lock.LockBoard(esp32_serial.Net)
    loop.run(board, lock.build(board))


if __name__ == "__main__":
    run()
