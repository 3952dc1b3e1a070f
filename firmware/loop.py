"""The one loop of every reader: step, wait, step (DESIGN section 3)."""

import gc


def run(board, device):
    """Let `device` step on its board for ever. Whatever it cannot handle ends it."""
    # What stays is in its place. From here on garbage is collected between the steps, and inside
    # one only where the heap is small. A quarter of its room, so that no hole gets too small.
    gc.threshold(max(gc.mem_free() // 4, 4096))
    while True:
        due_ms = device.step(board.ticks_ms())
        # Here nobody waits for us; in the middle of a card dialogue somebody would.
        gc.collect()
        board.wait(due_ms)
