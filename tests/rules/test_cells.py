"""What readings of a lock's cells mean: monotonic, earlier in the cold, never past the motor."""

from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import cells

MV = st.integers(0, 7000)
CELSIUS = st.none() | st.integers(-40, 60)


@given(MV, MV, MV, CELSIUS)
def test_less_is_never_better(high, low, loaded, celsius):
    low, high = sorted((low, high))
    assert cells.grade(low, loaded, celsius) >= cells.grade(high, loaded, celsius)
    if loaded:
        assert cells.grade(high, loaded, celsius) >= cells.grade(high, 0, celsius)


@given(MV, MV, st.integers(-40, 59), st.integers(1, 60))
def test_colder_is_never_better(battery, loaded, celsius, colder_k):
    assert cells.grade(battery, loaded, celsius - colder_k) >= cells.grade(
        battery, loaded, celsius
    )
    assert cells.sag_mv(celsius - colder_k) >= cells.sag_mv(celsius)


@given(MV, CELSIUS)
def test_whoever_is_let_in_leaves_the_regulator_what_it_needs(battery, celsius):
    """By what is foretold: not empty is a motor that leaves more than 3300 mV."""
    if cells.grade(battery, 0, celsius) != cells.EMPTY:
        assert battery - cells.sag_mv(celsius) >= cells.LOADED_MV_MIN > 3300


def test_the_ends():
    assert cells.grade(6400, 6000, 20) == cells.GOOD
    assert cells.grade(4200, 0, 20) == cells.LOW
    assert cells.grade(3900, 0, 20) == cells.EMPTY
    assert cells.grade(6400, 3600, 20) == cells.EMPTY
    assert cells.grade(4100, 0, 20) == cells.LOW
    assert cells.grade(4100, 0, None) == cells.grade(4100, 0, 0) == cells.EMPTY


@given(MV, MV)
def test_only_much_more_is_other_cells(before, rise):
    assert cells.are_new(before + rise, before) == (rise >= cells.SWAP_MV)
