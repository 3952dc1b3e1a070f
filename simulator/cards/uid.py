"""How a card tells its UID: ATQA, cascade levels, anticollision (ISO/IEC 14443-3, type A)."""

from simulator.cards.field import Frame, crc_a

REQA, WUPA = 0x26, 0x52
SHORT_FRAME_BITS = 7
SELECT_LEVELS = (0x93, 0x95, 0x97)
CASCADE_TAG = 0x88
SAK_UID_INCOMPLETE = 0x04
UID_SIZES = (4, 7, 10)  # one, two or three cascade levels

_ALL_KNOWN = 0x70
_LEVEL_BITS = 40  # four bytes and their check byte
_HEAD_BITS = 16  # SEL and NVB


def atqa(uid: bytes, proprietary: int = 0) -> bytes:
    """Return the answer to REQA: the size of `uid`, bit frame anticollision, `proprietary`."""
    return bytes((UID_SIZES.index(len(uid)) << 6 | 0x04, proprietary))


def cascade_levels(uid: bytes) -> list[Frame]:
    """Return what the card shows at each level: four bytes and the check byte over them."""
    if len(uid) not in UID_SIZES:
        raise ValueError(f"uid of {len(uid)} bytes")
    parts = []
    while len(uid) > 4:
        parts.append(bytes((CASCADE_TAG,)) + uid[:3])
        uid = uid[3:]
    parts.append(uid)
    return [Frame.of(p + bytes((p[0] ^ p[1] ^ p[2] ^ p[3],))) for p in parts]


def is_select(frame: Frame, level: int, part: Frame) -> bool:
    """True when `frame` is an undamaged SELECT of all of `part` at cascade `level`."""
    raw = frame.data
    return (
        frame.nbits == _HEAD_BITS + _LEVEL_BITS + 16
        and not frame.bad_parity
        and raw[:2] == bytes((SELECT_LEVELS[level], _ALL_KNOWN))
        and raw[2:7] == part.data
        and crc_a(raw[:7]) == int.from_bytes(raw[7:], "little")
    )


def anticollide(frame: Frame, level: int, part: Frame) -> Frame | None:
    """Return the bits of `part` that `frame` asks for; None when it means another card or none."""
    raw = frame.data
    known = frame.nbits - _HEAD_BITS
    if not 0 <= known < _LEVEL_BITS or raw[0] != SELECT_LEVELS[level]:
        return None
    if (raw[1] >> 4) * 8 + (raw[1] & 7) != frame.nbits:
        return None
    if (frame.value >> _HEAD_BITS ^ part.value) & (1 << known) - 1:
        return None
    return Frame(part.value >> known, _LEVEL_BITS - known)
