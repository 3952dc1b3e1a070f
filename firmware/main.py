"""What a POS runs after boot.py. Whatever it cannot handle ends it: the watchdog resets the board.

A traceback goes to the console, the loop stands still, 30 s later the chip starts anew.
"""

import gc

from firmware.boards import esp32
from firmware.roles import pos


def run():
    """Step, wait, step: see DESIGN section 3."""
    board = esp32.Board()
    device = pos.build(board)
    # What stays is in its place. From here on garbage is collected between the steps, and inside
    # one only where the heap is small. A quarter of its room, so that no hole gets too small.
    gc.threshold(max(gc.mem_free() // 4, 4096))
    while True:
        due_ms = device.step(board.ticks_ms())
        # Here nobody waits for us; in the middle of a card dialogue somebody would.
        gc.collect()
        board.wait(due_ms)


if __name__ == "__main__":
    run()
