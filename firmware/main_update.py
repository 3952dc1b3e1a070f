"""What a POS runs for a while in place of its role, by the loader: it fetches its next image."""

from firmware import loop
from firmware.boards import esp32, esp32_update
from firmware.roles import updater


def run():
    """Build the updater on the POS's board, and let it step."""
    board = esp32_update.UpdateBoard(esp32.Net)
    loop.run(board, updater.build(board))


if __name__ == "__main__":
    run()
