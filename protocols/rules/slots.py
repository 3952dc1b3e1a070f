"""Which of two images a reader runs: one kept value, which a cut leaves old or new.

Rules of this file. A new image is on trial: each boot of it counts, before any of it has run,
until it has proven itself; where it has not in TRIAL_TRIES boots, the other one is in use again.
One that was proven and ends again and again goes the same way, after more boots. What is not whole
by its digest never runs, and the slot that is being written is empty by this value before its
first sector is erased. The version that was come back from is remembered: it is not taken again.
"""

import struct

from protocols.rules import release

STORED_AS = "slots"
# slot in use, whether on trial, boots since it was proven, the version come back from, why, and
# of each slot: version, bytes (0: empty), SHA-256. A role has no room for more than the bytes: the
# first three are fields, behind them is what was come back from, little-endian.
_FORM = "<BBBIHII32sII32s"
IN_USE, IS_TRIAL, BOOTS, FAILED, REASON, _FIRST = 0, 1, 2, 3, 4, 5
FAILED_END, REASON_END = 7, 9
_FIELDS = 3  # of a slot
_BYTES = 1  # which of them
TRIAL_TRIES, TRIES = 3, 8
_BOOTS_MAX = 0xFF
_EMPTY = (0, 0, bytes(32))


def decode(blob):
    """The value as a list; None for no such value."""
    if len(blob) != struct.calcsize(_FORM) or blob[IN_USE] > 1:
        return None
    return list(struct.unpack(_FORM, blob))


def encode(state):
    """The value as bytes."""
    return struct.pack(_FORM, *state)


def first(version, size_bytes, digest):
    """The value of a reader that was given one image by cable."""
    return [0, 0, 0, 0, 0, version, size_bytes, digest] + list(_EMPTY)


def image(state, slot):
    """(version, bytes, digest) of what is in a slot; no bytes: nothing."""
    at = _FIRST + slot * _FIELDS
    return tuple(state[at : at + _FIELDS])


def booting(state, is_whole):
    """The value that holds from this boot on; None where neither image is whole.

    `is_whole(slot)` reads a slot that is not empty.
    """
    state, slot, reason = list(state), state[IN_USE], 0
    if not _is_there(state, slot, is_whole):
        reason = release.NOT_WHOLE
    elif state[BOOTS] >= (TRIAL_TRIES if state[IS_TRIAL] else TRIES):
        reason = release.NOT_PROVEN if state[IS_TRIAL] else release.KEEPS_FAILING
    if reason:
        if _is_there(state, 1 - slot, is_whole):
            state[:_FIRST] = 1 - slot, 0, 0, image(state, slot)[0], reason
        elif reason == release.NOT_WHOLE:
            return None
    state[BOOTS] = min(state[BOOTS] + 1, _BOOTS_MAX)
    return state


def emptied(state):
    """The slot that is not in use is going to be written."""
    return _with(state, _EMPTY)


def switched(state, version, size_bytes, digest):
    """That slot is whole: it is in use from the next boot on, on trial."""
    state = _with(state, (version, size_bytes, digest))
    state[:FAILED] = 1 - state[IN_USE], 1, 0
    return state


def _with(state, fields):
    at = _FIRST + (1 - state[IN_USE]) * _FIELDS
    return list(state[:at]) + list(fields) + list(state[at + _FIELDS :])


def _is_there(state, slot, is_whole):
    return image(state, slot)[_BYTES] > 0 and is_whole(slot)
