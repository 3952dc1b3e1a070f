"""What a card says of itself in its answer to select (ISO/IEC 14443-4, clause 5.2)."""

from simulator.cards.field import FC

ATS_DESFIRE = bytes.fromhex("067577810280")
ATS_BYTES_MAX = 20

FRAME_BYTES = (16, 24, 32, 40, 48, 64, 96, 128, 256)  # by FSCI and FSDI
TIME_UNIT = 256 * 16 * FC  # of FWT and SFGT
FWI_DEFAULT = 4
FWT_MAX = TIME_UNIT << 14


class Terms:
    """What an ATS says: `frame_bytes` of the card, `waiting_time` and `start_up_guard` in ticks.

    Interface bytes that are left out mean: 106 kbit/s only, FWI 4, SFGI 0, CID supported.
    """

    def __init__(self, ats: bytes) -> None:
        if not ats or ats[0] != len(ats) or len(ats) > ATS_BYTES_MAX:
            raise ValueError(f"ATS {ats.hex()}")
        self.ats = bytes(ats)
        given = ats[1] if len(ats) > 1 else 0x02
        self.frame_bytes = FRAME_BYTES[min(given & 15, len(FRAME_BYTES) - 1)]
        tail = iter(ats[2:])
        self._rate_bits = next(tail, 0) if given & 0x10 else 0
        times = next(tail, 0) if given & 0x20 else FWI_DEFAULT << 4
        options = next(tail, 0) if given & 0x40 else 0x02
        self.waiting_time = TIME_UNIT << (times >> 4 if times >> 4 < 15 else FWI_DEFAULT)
        guard = times & 15
        self.start_up_guard = TIME_UNIT << guard if 0 < guard < 15 else 0
        self.knows_cid = bool(options & 0x02)

    def rates(self, pps1: int) -> tuple[int, int] | None:
        """(reader to card, card to reader) as PPS1 asks for them, None if the card cannot."""
        to_card, to_reader = pps1 & 3, pps1 >> 2 & 3
        can = (self._rate_bits << 1 | 1) >> to_card & (self._rate_bits >> 4 << 1 | 1) >> to_reader
        is_lopsided = self._rate_bits & 0x80 and to_card != to_reader
        if pps1 & 0xF0 or not can & 1 or is_lopsided:
            return None
        return to_card, to_reader
