"""The formats of library readers, by the example that a maker of such readers publishes."""

import pytest

from protocols.rules import card_number

OF_CHIPS = [form for form in card_number.FORMATS if form not in ("card", "person")]
UID = bytes.fromhex("026f6c3a")
UID7 = bytes.fromhex("04a1b2c3d4e5f6")


@pytest.mark.parametrize(
    ("form", "uid", "digits"),
    [
        ("8H-10D", UID, "0040856634"),  # as published for 026f6c3a
        ("6H-8D", UID, "07302202"),
        ("10H", UID, "00026F6C3A"),
        ("8H-10D-R", UID, "0980184834"),
        ("6H-8D-R", UID, "07106306"),
        ("10H-R", UID, "003A6C6F02"),
        ("10H", UID7, "B2C3D4E5F6"),
        ("8H-10D", UID7, str(0xC3D4E5F6)),
        ("card", UID, "0000004711"),
        ("card", b"\x08\x01\x02\x03", "0000004711"),
    ],
)
def test_a_number_in_each_format(form, uid, digits):
    assert card_number.number(form, uid, 4711) == digits


def test_a_personal_number_stands_on_no_chip():
    assert card_number.number("person", UID, 4711) == ""


@pytest.mark.parametrize("form", OF_CHIPS)
def test_a_chip_that_draws_its_number_has_none(form):
    assert card_number.number(form, b"\x08\x01\x02\x03", 4711) == ""
    assert card_number.number(form, b"\x09\x01\x02\x03", 4711) != ""


@pytest.mark.parametrize("form", ["card", *OF_CHIPS])
@pytest.mark.parametrize("uid", [bytes(4), b"\xff" * 4, bytes(7), b"\xff" * 7, b"\xff" * 10])
def test_a_format_has_always_as_many_digits(form, uid):
    digits = card_number.number(form, uid, 0xFFFFFFFF)
    assert len(digits) == (8 if form.startswith("6H") else 10)
