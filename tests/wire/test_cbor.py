"""The codec: one encoding of a value, nothing else accepted, nothing but WireError raised."""

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.wire import cbor
from protocols.wire.errors import TOO_DEEP, WireError

NUMBERS = st.integers(-(2**64), 2**64 - 1)
LEAVES = st.one_of(
    NUMBERS, st.booleans(), st.none(), st.binary(max_size=300), st.text(max_size=100)
)
KEYS = st.integers(0, 2**64 - 1) | st.integers(0, 30)


def containers(items, most):
    return st.lists(items, max_size=most) | st.dictionaries(KEYS, items, max_size=most)


# Up to four levels, as the wire has them.
_TWO, _THREE = containers(LEAVES, 4), containers(containers(LEAVES, 3), 3)
VALUES = st.one_of(LEAVES, containers(NUMBERS, 30), _TWO, _THREE, containers(_THREE, 2))


def same(one, other):
    """Equal, and of equal types all the way down: 1 is not True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


# --- bad input first --------------------------------------------------------------------------


def check_any_bytes(data):
    """Either refused with a number, or the one encoding of what comes out."""
    try:
        value = cbor.decode(data)
    except WireError as error:
        assert 101 <= error.code <= 107
        return False
    assert cbor.encode(value) == data
    return True


@given(st.binary(max_size=200))
@example(b"")
@example(bytes.fromhex("bf00ff"))
@example(bytes.fromhex("9b7fffffffffffffff00"))
@example(bytes.fromhex("fb7ff8000000000001"))
def test_any_bytes(data):
    check_any_bytes(data)


@given(VALUES, st.data())
def test_damaged_bytes(value, data):
    good = bytearray(cbor2.dumps(value, canonical=True))
    assert check_any_bytes(bytes(good))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(good) - 1))
        good[place] = data.draw(st.integers(0, 255))
    check_any_bytes(bytes(good))


@given(VALUES)
def test_what_others_write_less_strictly_is_refused_or_the_same(value):
    """cbor2 without canonical=True keeps the order in which a map was made."""
    data = cbor2.dumps(value)
    if data != cbor2.dumps(value, canonical=True):
        with pytest.raises(WireError):
            cbor.decode(data)
    else:
        assert same(cbor.decode(data), value)


@pytest.mark.parametrize("first", range(256))
def test_every_first_byte(first):
    for rest in (b"", b"\x00", b"\x18\x18", bytes(8), b"\xff" * 8, b"\x61" * 40):
        check_any_bytes(bytes((first,)) + rest)


def test_a_bomb_costs_nothing():
    # A decoder that allocates what a length says would be killed here.
    for head in ("5b", "7b", "9b", "bb"):
        with pytest.raises(WireError):
            cbor.decode(bytes.fromhex(head + "7fffffffffffffff"))


@pytest.mark.parametrize("byte", ["81", "a100"])
def test_depth_is_bounded_however_deep(byte):
    with pytest.raises(WireError) as caught:
        cbor.decode(bytes.fromhex(byte) * 100_000)
    assert caught.value.code == TOO_DEEP


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        2**64,
        -(2**64) - 1,
        object,
        {"a": 1},
        {b"a": 1},
        {-1: 1},
        {-300: 1},
        {2**64: 1},
        {None: 1},
        {1},
        [[[[0]]]],
        [[[[[]]]]],
        {1: {1: {1: {1: 0}}}},
        [1.5],
        {1: [object]},
        "\ud800",
    ],
    ids=repr,
)
def test_what_the_wire_cannot_carry_is_not_encoded(value):
    with pytest.raises(ValueError):
        cbor.encode(value)


# --- good input -------------------------------------------------------------------------------


@given(VALUES)
def test_agrees_with_cbor2(value):
    data = cbor.encode(value)
    assert data == cbor2.dumps(value, canonical=True)
    assert same(cbor2.loads(data), value)
    assert same(cbor.decode(data), value)


@given(VALUES)
def test_other_kinds_of_bytes_are_read_alike(value):
    data = cbor.encode(value)
    for kind in (bytearray, memoryview):
        assert same(cbor.decode(kind(data)), value)


def test_tuples_and_views_are_written_like_lists_and_bytes():
    assert cbor.encode((1, (2,))) == cbor.encode([1, [2]])
    assert cbor.encode(bytearray(b"a")) == cbor.encode(memoryview(b"a")) == cbor.encode(b"a")


def test_order_of_a_map_does_not_matter():
    keys = [70000, 300, 24, 23, 1, 0]
    made = {cbor.encode(dict.fromkeys(order, 0)) for order in (keys, keys[::-1], sorted(keys))}
    assert len(made) == 1
