"""The bus of the MFRC522: registers, the values they should have, buffers that are made once.

A transaction that reads names a register for each byte, so registers and FIFO come together; one
that writes goes to one register. Rules and register facts: mfrc522.py.
"""

_FIFO_DATA = 0x09
FIFO_BYTES = 64
_VIEWS_MAX = 32  # spends on both chips have 29; each takes some 120 bytes of the heap
STATUS_BYTES = 7  # in front of an answer: the byte under the first address, six registers


def reading(registers):
    """The bytes to clock out to read `registers` (addresses) in one transaction."""
    return bytes([0x80 | register << 1 for register in registers] + [0])


class Registers:
    """What a driver of the chip derives from; `exchange` runs a transaction on the board.

    `tx` is what goes into the FIFO next, `rx` what came out of it last. `_values` holds what was
    last written to each register, and `_ready` falls while that may not be what stands there.
    `tail_bytes`: how much may be read behind a full FIFO. `views_max`: for how many lengths of a
    transaction buffers are kept.
    """

    def __init__(self, exchange, tail_bytes):
        self._exchange = exchange
        self._ready = False
        self._values = bytearray(FIFO_BYTES)
        self._out2 = bytearray(2)
        self._in2 = bytearray(2)
        self._fill = bytearray(1 + FIFO_BYTES)
        self._fill[0] = _FIFO_DATA << 1
        self._in = bytearray(STATUS_BYTES + FIFO_BYTES + tail_bytes)
        self.tx = memoryview(self._fill)[1:]
        self.rx = memoryview(self._in)[STATUS_BYTES:]
        self._views = {}
        self.views_max = _VIEWS_MAX

    def write(self, register, value):
        """One register, forgotten at once: no proof will look for the value."""
        self._out2[0] = register << 1
        self._out2[1] = value
        self._exchange(self._out2, self._in2)

    def read(self, register):
        """One register, one transaction."""
        self._out2[0] = 0x80 | register << 1
        self._out2[1] = 0
        self._exchange(self._out2, self._in2)
        return self._in2[1]

    def _set(self, register, value):
        ready, self._ready = self._ready, False  # should the write be broken off
        self._values[register] = value
        self.write(register, value)
        self._ready = ready

    def _keep(self, key, out):
        """(out, into): buffers of one length for a transaction, made once and kept in `_views`.

        What comes back covers the last answer, even if it is nothing. A card chooses lengths too:
        when there are `views_max` of them, all are made anew.
        """
        if len(self._views) >= self.views_max:
            self._views.clear()
        self._views[key] = pair = (out, memoryview(self._in)[: len(out)])
        return pair
