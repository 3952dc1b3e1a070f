"""Whether this reader is as it was left, and where (R18.1): if not, nothing is taken any more.

Rules of this file:
- that the case was opened, or that this is another site, is kept before it is a record, and counts
  from then on, whatever is unplugged; only the ledger's word about that very record ends it, after
  two persons have approved it there (R18.2), and never while the case is open;
- each further opening is another record, and an approval of the one before it is worth nothing;
- another site is what the ledger says under our own key, and only while the agent of our own does
  not answer: silence alone is an outage, and a reader goes on selling in it.

Functions and a list, no class: that would take some 500 bytes more of a heap that is nearly full.
"""

from firmware.services.journal import JournalFull
from protocols.rules import reasons
from protocols.wire import messages

OPEN_MS = 500  # so long it has to be open: mains that come and go pass through that level
ASK_MS = 60000  # between two questions, and of silence before the first
# Of Recorder.keep: the state, and in four bytes the number of its record; 0: it has none yet.
_KEPT_KEY = 4
_STATE, _SEQ, _OPEN_MS, _ASK_MS, _NONCE = 0, 1, 2, 3, 4
_NONCE_BYTES = 8
_FIRST = reasons.CASE_OPENED - messages.CASE_OPENED  # a state and this are its reason
_COUNTED = -1  # of _OPEN_MS: this opening is on record


def take_up(recorder, till, now_ms):
    """Bar `till` if it was barred when the power went; what `step` goes on with."""
    kept = recorder.kept(_KEPT_KEY) or bytes(5)
    seq = int.from_bytes(kept[1:], "big")
    record = recorder.fields(seq)
    if seq > recorder.head_seq() or (record and record["kind"] != messages.TAMPER):
        seq = 0  # power went before that record was written
    till.barred = kept[0] and _FIRST + kept[0]
    return [kept[0], seq, 0, now_ms + ASK_MS, b""]


def step(board, recorder, uplink, till, load, place, now_ms):
    """Look at the case, hear and ask the ledger; `till.barred` says what came of it.

    `load` speaks and listens for us; `place` is what take_up gave.
    """
    if not board.power.is_open():
        place[_OPEN_MS] = 0
    elif not place[_OPEN_MS]:
        place[_OPEN_MS] = now_ms
    elif place[_OPEN_MS] > 0 and now_ms - place[_OPEN_MS] >= OPEN_MS:
        place[_OPEN_MS] = _COUNTED
        _note(recorder, till, place, messages.CASE_OPENED, now_ms)
    if place[_STATE] and not place[_SEQ] and recorder.has_room():
        _note(recorder, till, place, place[_STATE], now_ms)
    said = load.told.pop(messages.SITE, None)
    may_end = place[_SEQ] and not place[_OPEN_MS]
    if said and said["nonce"] == place[_NONCE]:
        place[_NONCE] = b""
        if said["state"] == messages.APPROVED:
            if may_end and said["number"] == place[_SEQ]:
                _note(recorder, till, place, messages.APPROVED, now_ms)
        elif said["state"] == messages.MOVED != place[_STATE] and not uplink.online:
            _note(recorder, till, place, messages.MOVED, now_ms)
    if uplink.online and not may_end:
        place[_ASK_MS] = now_ms + ASK_MS
    elif now_ms >= place[_ASK_MS]:
        place[_ASK_MS] = now_ms + ASK_MS
        if uplink.stream is not None:
            fields = {"state": place[_STATE], "number": place[_SEQ], "head": recorder.head_seq()}
            place[_NONCE] = board.urandom(_NONCE_BYTES)
            load.relay(messages.SITE, fields, place[_NONCE])


def _note(recorder, till, place, state, now_ms):
    """Write it down: what bars is kept first, with the number that its record will have.

    Without room the record comes later; the bar counts from now on, an approval does not.
    """
    is_over, number, has_room = state == messages.APPROVED, 0, recorder.has_room()
    if is_over:
        number, state = place[_SEQ], 0
    try:
        if is_over:
            recorder.write(messages.TAMPER, now_ms, state=messages.APPROVED, number=number)
        place[_STATE] = state
        place[_SEQ] = recorder.head_seq() + 1 if state and has_room else 0
        till.barred = state and _FIRST + state
        recorder.keep(_KEPT_KEY, bytes((state,)) + place[_SEQ].to_bytes(4, "big"))
        if place[_SEQ]:
            recorder.write(messages.TAMPER, now_ms, state=state, number=0)
    except JournalFull:
        if not is_over:
            place[_SEQ] = 0
