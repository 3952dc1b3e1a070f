"""Frames of a serial line: one form for each, no wrong one taken, in step again after anything."""

import itertools
import random
from binascii import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire.errors import FRAME_CHECKSUM, MALFORMED_FRAME, WireError
from protocols.wire.frame import (
    FRAME_BYTES_MAX,
    MORE,
    PIECE_BYTES_MAX,
    UP,
    FrameReader,
    decode_frame,
    encode_frame,
)

FRAMES = st.tuples(
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFF),
    st.binary(max_size=PIECE_BYTES_MAX) | st.integers(0, PIECE_BYTES_MAX).map(bytes),
)


def test_the_checksum_is_the_published_one():
    """CRC-32/ISO-HDLC of the nine digits, from the catalogue of parametrised CRC algorithms."""
    assert crc32(b"123456789") == 0xCBF43926


def test_a_frame_byte_by_byte():
    data = bytes.fromhex("000003e9 1234 c1 00616200")
    data += crc32(data).to_bytes(4, "big")
    blocks = data.split(b"\x00")
    expected = b"\x00" + b"".join(bytes([len(block) + 1]) + block for block in blocks) + b"\x00"
    frame = encode_frame(1001, 0x1234, UP | MORE | 1, b"\x00ab\x00")
    assert frame == expected
    assert decode_frame(frame[1:-1]) == (1001, 0x1234, UP | MORE | 1, b"\x00ab\x00")


@given(frame=FRAMES)
def test_there_and_back(frame):
    line = encode_frame(*frame)
    assert line[0] == line[-1] == 0 not in line[1:-1]
    assert len(line) == len(frame[3]) + 14 <= FRAME_BYTES_MAX
    assert decode_frame(line[1:-1]) == frame


@given(body=st.binary(max_size=300))
def test_what_is_decoded_has_one_form(body):
    """Any bytes are a frame or a numbered error; and a frame is as `encode_frame` writes it."""
    try:
        frame = decode_frame(body)
    except WireError as error:
        assert error.code in (MALFORMED_FRAME, FRAME_CHECKSUM)
    else:
        assert bytes(encode_frame(*frame)[1:-1]) == body


def test_every_single_bit_and_every_short_burst_is_seen():
    """No frame with up to 32 wrong bits in a row passes; here all bursts of 1, 2, 8 and 9 bits."""
    body = encode_frame(1001, 7, 5, b"a message of some length")[1:-1]
    number = int.from_bytes(body, "big")
    for burst in (1, 3, 0xFF, 0x101):
        for place in range(8 * len(body) - burst.bit_length() + 1):
            spoiled = (number ^ burst << place).to_bytes(len(body), "big")
            reader = FrameReader()
            assert reader.feed(b"\x00" + spoiled + b"\x00") == []
            assert reader.garbled >= 1


@pytest.mark.parametrize("size", [PIECE_BYTES_MAX + 1, 1000])
def test_a_frame_too_long_is_none(size):
    frame = encode_frame(1, 2, 3, bytes(size))
    with pytest.raises(WireError) as caught:
        decode_frame(frame[1:-1])
    assert caught.value.code == MALFORMED_FRAME


@given(
    frames=st.lists(FRAMES, min_size=1, max_size=5),
    noise=st.lists(st.binary(max_size=400), min_size=6, max_size=6),
    cuts=st.lists(st.integers(0, 4000), max_size=20),
)
def test_in_step_again_behind_anything(frames, noise, cuts):
    """Noise between frames costs none of them, however the bytes arrive, and memory is bounded."""
    line = b""
    for place, frame in enumerate(frames):
        line += noise[place] + bytes(encode_frame(*frame))
    line += noise[5]
    reader, found = FrameReader(), []
    places = [0, *sorted(min(cut, len(line)) for cut in cuts), len(line)]
    for start, end in itertools.pairwise(places):
        found += reader.feed(line[start:end])
        assert len(reader._body) <= FRAME_BYTES_MAX
    wanted = iter(found)
    assert all(frame in wanted for frame in frames), "a frame was lost"
    # What is more than the frames would be noise that has a right checksum.
    assert len(found) == len(frames)


def test_a_cut_frame_takes_nothing_with_it():
    """Whatever is missing of a frame, the next one is heard."""
    first, second = encode_frame(1, 2, 3, b"\x00\x01" * 20), encode_frame(4, 5, 6, b"second")
    for start in range(len(first)):
        for end in (start + 1, len(first) // 2, len(first)):
            reader = FrameReader()
            found = reader.feed(bytes(first[start:end]) + bytes(second))
            assert found[-1] == (4, 5, 6, b"second")
            assert found[:-1] in ([], [(1, 2, 3, b"\x00\x01" * 20)])


def test_random_bytes_are_no_frames():
    seed = 27
    print("seed", seed)
    draw, reader = random.Random(seed), FrameReader()
    for _ in range(300):
        assert reader.feed(draw.randbytes(1000)) == []
    assert reader.garbled > 500
