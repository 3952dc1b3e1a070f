"""`machine` of the ESP32 port, as far as a board's console is used to provision it."""

from bridge import call, post, take

_MAC = 6
_RESET = 7
_WATCHDOG = 8


def unique_id():
    call(_MAC)
    return take(6)


def reset():
    post(_RESET)
    call(_RESET)  # it does not return


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0 or timeout <= 0:
            raise ValueError("WDT(%d, %d)" % (id, timeout))
        self._timeout_ms = timeout
        self.feed()

    def feed(self):
        call(_WATCHDOG, self._timeout_ms)
