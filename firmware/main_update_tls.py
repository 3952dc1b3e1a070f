"""What a POS that speaks TLS runs for a while in place of its role. See main_update.py."""

from firmware import loop
from firmware.boards import esp32_tls, esp32_update
from firmware.roles import updater


def run():
    """Build the updater on the POS's board, and let it step."""
    board = esp32_update.UpdateBoard(esp32_tls.Net)
    loop.run(board, updater.build(board))


if __name__ == "__main__":
    run()
