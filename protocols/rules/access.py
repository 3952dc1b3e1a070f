"""May this card open this door now? (R8, R9, R13, R24.2) Decided by what the door itself knows.

    2 bytes: how long the head is
    head: CBOR {1: cards, 2: schedules, 3: free, 4: grant_ms, 5: passback_s, 6: pins}
    groups: half a byte for each card, the lower half of a byte first

One blob, in a partition of its own as the ledger sent it (services/access_map.py), or in the
board's key-value store (NVS namespace "onecard", key "access"). `cards` is a list of spans
[card_no, count]: so many cards from that number on, each span's groups from a whole byte on. A tap
reads one byte of them, wherever the blob stands. Group 0 opens nothing, as does a card in no span.
Group n has the n-th schedule: bytes, PERIOD for each of its periods (days, from_min, to_min): days
a mask with Monday in bit 0, minutes of the local day, the end not inside. What runs over midnight
is two periods. `free` is a schedule too: while it holds, the door is open to everybody.
`passback_s`: for so long a card opens this door once (0: as often as it likes). `pins`, which may
be left out: for each group the verifier of its PIN, empty for none. Who is forced to open types
the last digit one higher (0 for 9): the door does the same as ever, and its record says DURESS.

Before all that stands the card map (card_status.py): a card that is lost, suspended or closed
opens nothing. `map_expired_s` of the policy is the only rule about its age here, and 0, which is
no rule, by default: without network a card opens a door (R24.2).

The clock is an interval. A period holds only where it holds at both ends of it, and an interval of
a day or more holds only what always does. Where a clock is not known (spending.py has the same
line) nobody is locked out by a doubt: a card that is not surely out of its validity enters, in a
group that may always. An old map opens for whoever it names: it is the ledger's to make it new.
"""

import struct

from protocols.rules import clock, reasons, validity
from protocols.rules.card_status import LOST
from protocols.wire import cbor, seal
from protocols.wire.errors import (
    BAD_FIELD,
    NOT_A_MAP,
    TOO_LONG,
    TRUNCATED,
    UNKNOWN_FIELD,
    WireError,
)

ACCESS_BYTES_MAX = 6144
CARDS_MAX = 8192
STORED_BYTES_MAX = 2048  # of the key-value store: that blob stands in the heap
# The key of its warrants is derived with this; in a CARDS its pages begin behind this number.
LABEL = b"access"
PIN_LABEL = b"door-pin"
PIN_DIGITS = 6
VERIFIER_BYTES = 8
PAGES_AT = 0x8000
GROUPS = 15
SPANS_MAX = 16
PERIODS_MAX = 8
PERIOD = ">BHH"
_HEAD, _HEAD_BYTES = ">H", 2
_PERIOD_BYTES = 5
ALWAYS = b"\x7f\x00\x00\x05\xa0"  # every day, all day
_ALL_DAYS = 127
_DAY_MIN, _DAY_S = 1440, 86400
_THURSDAY = 3  # 1970-01-01
_U32 = 0xFFFFFFFF
_CARDS, _SCHEDULES, _FREE, _GRANT_MS, _PASSBACK_S, _PINS = 1, 2, 3, 4, 5, 6
_PASSBACK_S_MAX = 86400

# Answers, numbered behind those of reasons.py; a number never gets a second meaning.
NO_ACCESS = 281
NOT_NOW = 282
PASSED_JUST_NOW = 283
LOCKED_OUT = 284
DURESS = 285
NO_PIN_GIVEN = 286
# Of identity codes (code_entry.py); the last two are the ledger's.
CODE_UNANSWERED, CODE_NOT_HERE, CODE_NO_VALIDITY = 305, 306, 307

# Wrong tries in a row (GB 50396: at most 5; GA 374: within 5 minutes, then 90 s of nothing).
TRIES_MAX, TRIES_MS, LOCKED_OUT_MS = 5, 300000, 90000
_AGES = "<{}I"
_PASSED_MAX = 64  # cards that a door remembers to have let in


def encode(cards, schedules, free, grant_ms, passback_s, pins=()):
    """The blob; WireError for what `Access` would refuse, ValueError for a group above 15.

    `cards`: spans (card_no, the group of each card from it on); `schedules`: lists of periods,
    `free` one such list; `pins`: the verifier of each group, from 1 on.
    """
    values = {
        _CARDS: [[card_no, len(groups)] for card_no, groups in cards],
        _SCHEDULES: [packed(periods) for periods in schedules],
        _FREE: packed(free),
        _GRANT_MS: grant_ms,
        _PASSBACK_S: passback_s,
    }
    if pins:
        values[_PINS] = list(pins)
    head = cbor.encode(values)
    groups = [_nibbles(groups) for _, groups in cards]
    data = struct.pack(_HEAD, len(head)) + head + b"".join(groups)
    whole(data)
    return data


def whole(data):
    """The Access of a blob in memory."""
    return Access(lambda at, count: data[at : at + count], len(data))


class Access:
    """Who may open one door, from its blob; of none (no bytes) nobody may.

    `read(at, count)` gives bytes of the blob, which has `size` of them, now and later. WireError
    if anything about it is wrong. `grant_ms` is how long the door then is open.
    """

    def __init__(self, read, size):
        self._read = read
        self._cards, self._schedules, self._free, self._pins = (), (), b"", ()
        self.grant_ms = self._passback_s = self._groups_at = 0
        self._passed = []  # (card_no, until_ms)
        if size:
            self._take(size)

    def decide(self, identity, interval_ms, policy, now_ms, status=0, map_s=0):
        """reasons.APPROVED, or why `identity` (see card/identity.py) may not open the door now.

        `status`: of the card in the card map, which the ledger called the newest at `map_s` (0: no
        map).
        """
        if status:
            return reasons.CARD_LOST - LOST + status
        reason = validity.reason(identity, interval_ms, policy)
        if reason != reasons.APPROVED:
            return reason
        earliest_s, latest_s = clock.seconds(interval_ms)
        is_known = clock.is_known(interval_ms, policy["clock_width_max_ms"])
        expired_s = policy["map_expired_s"]
        if expired_s and (latest_s if is_known else earliest_s) - map_s > expired_s:
            return reasons.MAP_EXPIRED
        group = self.group(identity.card_no)
        if not 0 < group <= len(self._schedules):
            return NO_ACCESS
        schedule = self._schedules[group - 1]
        if not holds(schedule, clock.seconds(interval_ms), policy["utc_offset_s"]):
            return NOT_NOW
        for card_no, until_ms in self._passed:
            if card_no == identity.card_no and now_ms < until_ms:
                return PASSED_JUST_NOW
        return reasons.APPROVED

    def passed(self, card_no, now_ms):
        """The card has opened the door: anti-passback begins. Forgotten at a reboot."""
        if self._passback_s:
            self._passed = self._passed[1 - _PASSED_MAX :]
            self._passed.append((card_no, now_ms + self._passback_s * 1000))

    def group(self, card_no):
        """The group of a card, 0 if it has none."""
        byte_at = self._groups_at
        for first, count in self._cards:
            at = card_no - first
            if 0 <= at < count:
                return self._read(byte_at + at // 2, 1)[0] >> 4 * (at % 2) & 15
            byte_at += (count + 1) // 2
        return 0

    def pin(self, card_no):
        """(group of a card, verifier of the PIN that it has to give); (group, b"") for none."""
        group = self.group(card_no)
        return group, self._pins[group - 1] if 0 < group <= len(self._pins) else b""

    def is_free(self, interval_ms, policy):
        """Whether the door now is surely meant to be open to everybody."""
        return bool(self._free) and holds(
            self._free, clock.seconds(interval_ms), policy["utc_offset_s"]
        )

    def _take(self, size):
        if size > ACCESS_BYTES_MAX:
            raise WireError(TOO_LONG)
        head_bytes = int.from_bytes(self._read(0, _HEAD_BYTES), "big")
        self._groups_at = _HEAD_BYTES + head_bytes
        if self._groups_at > size:
            raise WireError(TRUNCATED)
        values = cbor.decode(self._read(_HEAD_BYTES, head_bytes))
        if not isinstance(values, dict):
            raise WireError(NOT_A_MAP)
        self._cards = values.pop(_CARDS, None)
        self._schedules, self._free = values.pop(_SCHEDULES, None), values.pop(_FREE, None)
        self.grant_ms = values.pop(_GRANT_MS, None)
        self._passback_s = values.pop(_PASSBACK_S, None)
        self._pins = values.pop(_PINS, ())
        checks = (
            (_are_spans(self._cards, size - self._groups_at), "cards"),
            (isinstance(self._schedules, list) and len(self._schedules) <= GROUPS, "schedules"),
            (_is_uint(self.grant_ms, _U32), "grant_ms"),
            (_is_uint(self._passback_s, _PASSBACK_S_MAX), "passback_s"),
            (_is_schedule(self._free), "free"),
            (_are_pins(self._pins), "pins"),
        )
        for is_right, name in checks:
            if not is_right:
                raise WireError(BAD_FIELD, name)
        for schedule in self._schedules:
            if not _is_schedule(schedule):
                raise WireError(BAD_FIELD, "schedules")
        if values:
            raise WireError(UNKNOWN_FIELD)


class Tries:
    """Wrong tries at one door: after `TRIES_MAX` in a row it takes no card for a while.

    Counted in memory: who can make a reader forget can cut its power, and that opens the door.
    """

    def __init__(self):
        self._wrong_ms = []
        self._until_ms = None

    def wrong(self, now_ms):
        """One more; whether that was one too many."""
        self._wrong_ms = [ms for ms in self._wrong_ms if now_ms - ms < TRIES_MS]
        self._wrong_ms.append(now_ms)
        if len(self._wrong_ms) < TRIES_MAX:
            return False
        self._wrong_ms = []
        self._until_ms = now_ms + LOCKED_OUT_MS
        return True

    def right(self):
        """Somebody may enter: the row is broken."""
        self._wrong_ms = []

    def is_locked_out(self, now_ms):
        """Whether nobody's card is looked at now. The exit button has nothing to do with it."""
        return self._until_ms is not None and now_ms < self._until_ms

    def ages(self, now_ms):
        """What a lock retains of it in its sleep: ms still locked out, and since each try."""
        times_ms = [now_ms - ms for ms in self._wrong_ms if now_ms - ms < TRIES_MS]
        left_ms = max(self._until_ms - now_ms, 0) if self._until_ms is not None else 0
        return struct.pack(_AGES.format(len(times_ms) + 1), left_ms, *times_ms)

    def resume(self, ages, slept_ms, now_ms):
        """Go on from what `ages` gave, `slept_ms` ago."""
        left_ms, *times_ms = struct.unpack(_AGES.format(len(ages) // 4), ages)
        self._wrong_ms = [now_ms - slept_ms - ms for ms in times_ms]
        self._until_ms = now_ms + left_ms - slept_ms


def verifier(device_key, group, digits):
    """What an access map has of the PIN `digits` (ASCII) of a group at the door with this key."""
    key = seal.derive(device_key, PIN_LABEL)
    return seal.derive(key, bytes((group,)) + digits)[:VERIFIER_BYTES]


def judge(device_keys, group, expected, digits):
    """reasons.APPROVED, DURESS or PIN_WRONG, for the `digits` that were typed.

    `device_keys`: the door's, and the one before it if there is one. All is always compared: how
    long it takes says nothing.
    """
    last = digits[-1:]
    calm = digits[:-1] + (b"9" if last == b"0" else bytes((last[0] - 1,)))
    found = reasons.PIN_WRONG
    for said, means in ((calm, DURESS), (digits, reasons.APPROVED)):
        for key in device_keys:
            if verifier(key, group, said) == expected:
                found = means
    return found


def holds(schedule, earliest_and_latest_s, utc_offset_s):
    """Whether a schedule holds from the earliest to the latest second."""
    if schedule == ALWAYS:
        return True
    first_s, last_s = [time_s + utc_offset_s for time_s in earliest_and_latest_s]
    if first_s // _DAY_S == last_s // _DAY_S:
        return _covers(schedule, first_s, last_s)
    # Over midnight: each side by itself, and none of a day or more.
    midnight_s = last_s // _DAY_S * _DAY_S
    if midnight_s - first_s > _DAY_S:
        return False
    return _covers(schedule, first_s, midnight_s - 1) and _covers(schedule, midnight_s, last_s)


def _covers(schedule, first_s, last_s):
    """Whether a period holds at two seconds, local time, of the same day."""
    day_bit = 1 << (first_s // _DAY_S + _THURSDAY) % 7
    first_min, last_min = first_s % _DAY_S // 60, last_s % _DAY_S // 60
    for at in range(0, len(schedule), _PERIOD_BYTES):
        days, from_min, to_min = struct.unpack_from(PERIOD, schedule, at)
        if days & day_bit and from_min <= first_min and last_min < to_min:
            return True
    return False


def _nibbles(groups):
    nibbles = bytearray((len(groups) + 1) // 2)
    for at, group in enumerate(groups):
        if not 0 <= group <= GROUPS:
            raise ValueError("group {}".format(group))
        nibbles[at // 2] |= group << 4 * (at % 2)
    return bytes(nibbles)


def packed(periods):
    """Periods as bytes; ValueError for what is none."""
    data = b"".join([struct.pack(PERIOD, *period) for period in periods])
    if not _is_schedule(data):
        raise ValueError("at most 8 periods (days, from_min, to_min), each within one day")
    return data


def unpacked(data):
    """The periods in such bytes."""
    places = range(0, len(data), _PERIOD_BYTES)
    return [struct.unpack_from(PERIOD, data, at) for at in places]


def _is_uint(value, bound):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= bound


def _are_spans(spans, groups_bytes):
    """Whether these are spans of cards that rise, and their groups have so many bytes."""
    if not isinstance(spans, list) or len(spans) > SPANS_MAX or groups_bytes > CARDS_MAX // 2:
        return False
    free_from = 0
    for span in spans:
        if not isinstance(span, list) or len(span) != 2:
            return False
        if not _is_uint(span[0], _U32) or not _is_uint(span[1], CARDS_MAX) or span[0] < free_from:
            return False
        groups_bytes -= (span[1] + 1) // 2
        free_from = span[0] + span[1]
    return groups_bytes == 0


def _are_pins(pins):
    if not isinstance(pins, (list, tuple)) or len(pins) > GROUPS:
        return False
    return all(isinstance(pin, bytes) and len(pin) in (0, VERIFIER_BYTES) for pin in pins)


def _is_schedule(schedule):
    if not isinstance(schedule, bytes) or len(schedule) > PERIODS_MAX * _PERIOD_BYTES:
        return False
    if len(schedule) % _PERIOD_BYTES:
        return False
    for at in range(0, len(schedule), _PERIOD_BYTES):
        days, from_min, to_min = struct.unpack_from(PERIOD, schedule, at)
        if not (0 < days <= _ALL_DAYS and from_min < to_min <= _DAY_MIN):
            return False
    return True
