"""`select.poll` of the ESP32 port. A poll for input gives the thread of time back to the world."""

import bridge
from bridge import call
from micropython import const

_WAIT = const(0)

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16


class poll:
    def __init__(self):
        self._streams = []

    def register(self, stream, eventmask=5):
        self.unregister(stream)
        self._streams.append((stream, eventmask))

    modify = register

    def unregister(self, stream):
        for entry in self._streams:
            if entry[0] is stream:
                self._streams.remove(entry)
                return

    def poll(self, timeout=-1):
        """[(stream, events)]. Asked for input, it waits even if the timeout is 0: other readers
        may have something to do at this very instant. Asked for output only, it never waits."""
        woken = 0
        # A poll of nothing is a sleep.
        if not self._streams or any(mask & POLLIN for _, mask in self._streams):
            woken = call(_WAIT, timeout)
            if bridge.woken:
                bridge.woken()
        elif timeout:
            raise RuntimeError("waiting for output")
        ready = []
        for stream, mask in self._streams:
            events = stream.ioctl(mask, woken)
            if events:
                ready.append((stream, events))
        return ready

    def ipoll(self, timeout=-1, flags=0):
        return iter(self.poll(timeout))
