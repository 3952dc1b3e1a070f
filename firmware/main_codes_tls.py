"""What a POS with a scanner that speaks TLS runs after boot.py, as main.py. See there."""

from firmware import loop
from firmware.boards import esp32_codes, esp32_tls
from firmware.roles import code_pos


def run():
    """Build the POS on its board, and let it step."""
    board = esp32_codes.CodeBoard(esp32_tls.Net)
    loop.run(board, code_pos.build(board))


if __name__ == "__main__":
    run()
