"""The routing of a record agrees with its full decoding, and never raises anything of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire import cbor, errors, messages, seal
from protocols.wire.errors import WireError
from protocols.wire.routing import route

KEY, CHAIN = bytes(32), bytes(32)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_route_or_a_wire_error(data):
    for sealed in (data, seal.seal(KEY, data, CHAIN)):
        try:
            device, seq = route(sealed)
        except WireError:
            continue
        assert 0 < device <= 0xFFFFFFFF
        assert 0 < seq <= 0xFFFFFFFF


@given(st.integers(1, 0xFFFFFFFF), st.integers(1, 0xFFFFFFFF), st.data())
def test_a_route_is_what_the_record_says(device, seq, data):
    fields = {"kind": messages.POWER, "device": device, "seq": seq, "earliest_s": 0}
    fields |= {"latest_s": 1, "boot_id": 2, "mono_ms": 3, "source": 0, "battery_mv": 4}
    payload = messages.encode_record(fields)
    assert route(seal.seal(KEY, payload, CHAIN)) == (device, seq)
    cut = data.draw(st.integers(0, 12))
    try:
        found = route(seal.seal(KEY, payload[:cut], CHAIN))
    except WireError as error:
        assert error.code == errors.TRUNCATED
    else:
        assert found == (device, seq)


@pytest.mark.parametrize("pairs", [3, 23, 24, 60])
def test_a_kind_of_a_newer_firmware_is_carried(pairs):
    payload = cbor.encode({0: 250, 1: 1001, 2: 7} | dict.fromkeys(range(3, pairs), 0))
    with pytest.raises(WireError):
        messages.decode_record(payload)
    assert route(seal.seal(KEY, payload, CHAIN)) == (1001, 7)
