"""What a POS sells, as a blob: what is written can be read, and nothing else is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import charging, meals, menu
from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, NOT_A_MAP, TOO_LONG, UNKNOWN_FIELD, WireError

PRICES = charging.packed(((1, 1, 0, 900), (1, 0, 0, 1000)))
LUNCH = (630, 810, 3000, 4, 2, 1, 0, 0, 2, 1)


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ([], NOT_A_MAP, None),
        ({}, BAD_FIELD, "prices"),
        ({1: PRICES}, BAD_FIELD, "periods"),
        ({1: PRICES[1:], 2: []}, BAD_FIELD, "prices"),
        ({1: PRICES[6:] + PRICES[:6], 2: []}, BAD_FIELD, "prices"),  # one that is never used
        ({1: PRICES, 2: [LUNCH[1:]]}, BAD_FIELD, "periods"),
        ({1: PRICES, 2: [LUNCH, LUNCH]}, BAD_FIELD, "periods"),
        ({1: PRICES, 2: [], 3: 0}, UNKNOWN_FIELD, None),
    ],
)
def test_what_is_no_menu_is_refused(values, code, field):
    with pytest.raises(WireError) as caught:
        menu.decode(cbor.encode(values))
    assert (caught.value.code, caught.value.detail or None) == (code, field)


def test_a_menu_too_long_for_its_place_is_not_written():
    rows = [(item, kind, 0, 1) for item in range(102) for kind in (1, 2, 3)]
    periods = [(at, at + 100, 0xFFFFFF, *[4] * 4, *[2] * 3) for at in range(0, 800, 100)]
    assert len(menu.encode(charging.packed(rows), periods)) <= menu.MENU_BYTES_MAX
    with pytest.raises(WireError) as caught:
        menu.decode(bytes(menu.MENU_BYTES_MAX + 1))
    assert caught.value.code == TOO_LONG


@given(st.binary(max_size=64))
def test_other_bytes_are_refused_with_a_number(data):
    try:
        prices, periods = menu.decode(data)
    except WireError:
        return
    assert menu.encode(prices, periods) == data or data == b""


def test_what_is_written_can_be_read():
    prices, periods = menu.decode(menu.encode(PRICES, (LUNCH,)))
    assert prices == PRICES and periods == [list(LUNCH)]
    assert charging.cost((charging.ITEM, (1,)), prices, 1, (1,)) == (charging.FINE, 900)
    assert meals.fault_of(periods) == meals.FINE
    assert menu.decode(b"") == (b"", ())
