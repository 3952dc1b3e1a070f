"""What a POS with a scanner runs after boot.py, as main.py. See there."""

import gc

from firmware.boards import esp32_codes
from firmware.roles import code_pos


def run():
    """Step, wait, step: see DESIGN section 3."""
    board = esp32_codes.CodeBoard()
    device = code_pos.build(board)
    gc.threshold(max(gc.mem_free() // 4, 4096))
    while True:
        due_ms = device.step(board.ticks_ms())
        # Here nobody waits for us; in the middle of a card dialogue somebody would.
        gc.collect()
        board.wait(due_ms)


if __name__ == "__main__":
    run()
