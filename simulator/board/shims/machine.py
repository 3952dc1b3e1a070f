"""`machine` of the ESP32 port, as far as a board's console is used to provision it."""

from bridge import call, post, take

_MAC = 6
_RESET = 7


def unique_id():
    call(_MAC)
    return take(6)


def reset():
    post(_RESET)
    call(_RESET)  # it does not return
