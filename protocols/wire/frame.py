"""Frames of a serial line: who is meant, which answer to which poll, a piece of a message, a CRC.

    00 | COBS( device u32 | session u16 | control u8 | piece 0..240 | crc32 u32 ) | 00

All numbers are big-endian. COBS (Cheshire and Baker, 1999) leaves no zero between two zeros, so
whoever comes in the middle of anything is in step again at the next zero, and never asks a damaged
byte how long something is. The checksum is CRC-32/ISO-HDLC over what stands before it: a reader
has it in C, where a CRC-16 would be a loop in Python (docs/adr/0027-serial-line.md).

control: bits 0 to 5 the sequence, START begins a session; MORE: the message goes on in the next
frame; UP: a reader speaks, else the agent.
"""

import struct
from binascii import crc32

from protocols.wire.errors import FRAME_CHECKSUM, MALFORMED_FRAME, WireError

PIECE_BYTES_MAX = 240
# Zero, code, seven bytes of head, piece, checksum, zero: what one turn of one side may take.
FRAME_BYTES_MAX = PIECE_BYTES_MAX + 14
START, SEQUENCE, MORE, UP = 0, 63, 64, 128
_HEAD = ">IHB"
_HEAD_BYTES, _CRC_BYTES = 7, 4
_BODY_BYTES_MAX = FRAME_BYTES_MAX - 2


def encode_frame(device, session, control, piece=b""):
    """One frame as bytes, with a zero at both ends; `piece` has at most PIECE_BYTES_MAX bytes."""
    data = struct.pack(_HEAD, device, session, control) + piece
    data += struct.pack(">I", crc32(data))
    frame = bytearray(1)
    # No block is as long as COBS would have to cut it.
    for block in data.split(b"\x00"):
        frame.append(len(block) + 1)
        frame.extend(block)
    frame.append(0)
    return frame


def decode_frame(body):
    """(device, session, control, piece) of what stood between two zeros; WireError if it is none.

    MALFORMED_FRAME or FRAME_CHECKSUM; the second is what noise mostly looks like.
    """
    data = bytearray()
    at, end = 0, len(body)
    while at < end:
        code = body[at]
        if not 0 < code <= end - at:
            raise WireError(MALFORMED_FRAME)
        data.extend(body[at + 1 : at + code])
        at += code
        if at < end:
            data.append(0)
    size = len(data) - _CRC_BYTES
    if not _HEAD_BYTES <= size <= _HEAD_BYTES + PIECE_BYTES_MAX:
        raise WireError(MALFORMED_FRAME)
    data, found = bytes(data[:size]), struct.unpack(">I", data[size:])[0]
    if crc32(data) != found:
        raise WireError(FRAME_CHECKSUM)
    device, session, control = struct.unpack(_HEAD, data[:_HEAD_BYTES])
    return device, session, control, data[_HEAD_BYTES:]


class FrameReader:
    """Cuts what a line brings into frames, however its bytes arrive and whatever stands between.

    `garbled`: how often there was something between two zeros that is no frame.
    """

    def __init__(self):
        self.garbled = 0
        self._body = b""
        self._too_long = False

    def feed(self, data):
        """The frames (as of `decode_frame`) that `data` completes; the rest is kept, bounded."""
        frames = []
        bodies = data.split(b"\x00")
        last = len(bodies) - 1
        for place, body in enumerate(bodies):
            if len(self._body) + len(body) > _BODY_BYTES_MAX:
                self._body, self._too_long = b"", True
            elif not self._too_long:
                self._body += body
            if place < last:
                self._close(frames)
        return frames

    def _close(self, frames):
        """A zero has come."""
        body, self._body = self._body, b""
        if self._too_long:
            self._too_long = False
            self.garbled += 1
        elif body:
            try:
                frames.append(decode_frame(body))
            except WireError:
                self.garbled += 1
