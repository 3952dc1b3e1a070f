"""What a reader's own records say of how it is, for people who look after readers.

Rules of this file. Nothing is decided from it: the agent cannot check a seal, so it believes none
of this and hands every record on as it came. Only kinds that speak of the device are opened, never
one with a card, a person or an amount in it.
"""

from typing import Any

from protocols.wire import messages
from protocols.wire.errors import WireError
from protocols.wire.seal import payload_of

# Kind of record -> what of it is kept, under these names.
_TELLING = {
    messages.BOOT: {
        "cause": "boot_cause",
        "firmware": "firmware",
        "policy_epoch": "policy_epoch",
    },
    messages.POWER: {"source": "power_source", "battery_mv": "battery_mv"},
    messages.FRONT_END: {"faults": "front_end_faults"},
    messages.FAULT: {"last_reason": "fault_reason"},
    messages.INSPECTION: {
        "battery_mv": "battery_mv",
        "waiting": "waiting",
        "clock_width_s": "clock_width_s",
        "free_sectors": "free_sectors",
        "map_made_s": "map_made_s",
        "receipt_s": "receipt_s",
    },
}
_AT = {messages.INSPECTION: "inspected_s", messages.FAULT: "fault_s", messages.BOOT: "boot_s"}


def diagnose(sealed: bytes, utc_s: int) -> dict[str, int]:
    """What a record that arrived at `utc_s` says of its reader; nothing of most records.

    `clock_ahead_s`: by so much at least the reader's clock is before ours; a record that has been
    waiting proves nothing about a clock that is behind.
    """
    try:
        payload = payload_of(sealed)
        if _kind(payload) not in _TELLING:
            return {}
        fields: dict[str, Any] = messages.decode_record(payload)
    except WireError:
        return {}  # a newer firmware's; the ledger says what it thinks of it
    kind = fields["kind"]
    found = {ours: fields[name] for name, ours in _TELLING[kind].items() if name in fields}
    if found.get("boot_cause") == messages.NO_BOOT:
        del found["boot_cause"]
    elif kind in _AT and "by_clock" not in fields:
        found[_AT[kind]] = fields["earliest_s"]
    return found | {"clock_ahead_s": max(fields["earliest_s"] - utc_s, 0)}


def _kind(payload: bytes) -> int:
    """The kind of a record, which deterministic CBOR puts first; 0 for what has none there."""
    at = 2 if payload[:1] == b"\xb8" else 1  # a map of more than 23 pairs has a longer head
    return payload[at + 1] if payload[at : at + 1] == b"\x00" and len(payload) > at + 1 else 0
