"""Records and messages: bounded, exact, and nothing but WireError for anything that arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire import cbor, messages, seal
from protocols.wire.errors import (
    BAD_FIELD,
    TOO_LONG,
    UNEXPECTED_TYPE,
    UNKNOWN_TYPE,
    WireError,
)
from tests.wire.test_cbor import VALUES
from tests.wire.test_vectors import DOCUMENTS
from tests.wire.vector_outcomes import SHAPES, meant

TYPES = (1, 2, 3, 4, 5, 6, 7, 8)
KINDS = (1, 2, 3, 4, 5, 6, 7, 8, 17, 23, 24, 25, 26)
RECORDS = {
    group["id"]: [item for item in group["items"] if item["result"] == "valid"]
    for group in DOCUMENTS["records"]["groups"]
}
MESSAGES = {
    group["id"]: [item for item in group["items"] if item["result"] == "valid"]
    for group in DOCUMENTS["messages"]["groups"]
    if not group["decode"].startswith("who-")  # lists: tests/wire/test_entry_code.py
}
GOOD = [
    bytes.fromhex(item["hex"])
    for groups in (RECORDS, MESSAGES)
    for items in groups.values()
    for item in items
]


def refused(code, call, *arguments):
    with pytest.raises(WireError) as caught:
        call(*arguments)
    assert caught.value.code == code
    return caught.value


# --- bad input first --------------------------------------------------------------------------


def check_any_bytes(data):
    """Every reader refuses `data` with a number or encodes the very same bytes again."""
    readers = (
        (messages.decode_record, messages.encode_record),
        (
            lambda data: messages.decode_message(data, TYPES),
            lambda fields: messages.encode_message(fields["type"], fields),
        ),
        (
            lambda data: messages.decode_relayed(data, KINDS, SHAPES),
            lambda fields: messages.encode_relayed(fields["kind"], fields, SHAPES),
        ),
        (
            messages.decode_receipt,
            lambda fields: messages.encode_receipt(
                fields["device"], fields["upto"], fields["tag"], fields["time_s"]
            ),
        ),
    )
    for decode, encode in readers:
        try:
            fields = decode(data)
        except WireError as error:
            assert 101 <= error.code <= 126
        else:
            assert encode(fields) == data


@given(st.binary(max_size=300))
def test_any_bytes(data):
    check_any_bytes(data)


@given(VALUES)
def test_any_value(value):
    check_any_bytes(cbor.encode(value))


@given(VALUES, st.sampled_from(GOOD), st.data())
def test_any_value_in_any_field(value, good, data):
    """What a hostile peer with a good codec sends: a list where the type should be, and so on."""
    values = cbor.decode(good)
    values[data.draw(st.sampled_from([*values, 23]))] = value
    try:
        damaged = cbor.encode(values)
    except ValueError:
        return  # too deep to be said at all
    check_any_bytes(damaged)


@given(st.sampled_from(GOOD), st.data())
def test_damaged_bytes(good, data):
    damaged = bytearray(good)
    place = data.draw(st.integers(0, len(good) - 1))
    damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    check_any_bytes(bytes(damaged))


LIMITS = (
    (messages.HELLO, 64),
    (messages.BATCH, messages.BATCH_BYTES_MAX),
    (messages.STORED, 64),
    (messages.RECEIPT, 512),
    (messages.FORWARD, messages.FORWARD_BYTES_MAX),
    (messages.RECEIPTS, messages.RECEIPTS_BYTES_MAX),
    (messages.RELAY, messages.RELAY_BYTES_MAX),
    (messages.CARDS, messages.CARDS_BYTES_MAX),
)


@pytest.mark.parametrize(("message_type", "longest"), LIMITS)
def test_size_is_looked_at_before_content(message_type, longest):
    refused(TOO_LONG, messages.decode_message, bytes(longest + 1), (message_type,))
    padded = cbor.encode({0: 99, 1: bytes(longest - 10)})
    refused(UNKNOWN_TYPE, messages.decode_message, padded, (message_type,))


@pytest.mark.parametrize(("message_type", "longest"), LIMITS)
def test_a_longer_neighbour_does_not_lend_its_size(message_type, longest):
    """Expecting HELLO or BATCH, a HELLO may still not be as long as a BATCH."""
    data = cbor.encode({0: message_type, 1: bytes(longest)})
    if longest < messages.RECEIPTS_BYTES_MAX:
        refused(TOO_LONG, messages.decode_message, data, TYPES)


def test_what_is_too_long_is_not_sent_either():
    sealed = bytes(256)
    refused(
        TOO_LONG,
        messages.encode_message,
        messages.BATCH,
        {"device": 1, "records": [sealed] * messages.BATCH_RECORDS_MAX},
    )
    refused(
        TOO_LONG,
        messages.encode_message,
        messages.FORWARD,
        {"site": "a", "number": 1, "records": [sealed] * messages.FORWARD_RECORDS_MAX},
    )


def test_nothing_is_expected():
    refused(TOO_LONG, messages.decode_message, b"\xa1\x00\x01", ())


def sorts(word):
    """The names of messages ("type") or of what is relayed ("kind")."""
    return sorted(name for name, items in MESSAGES.items() if word in items[0]["value"])


@pytest.mark.parametrize("name", sorts("type"))
def test_a_message_has_a_place(name):
    for item in MESSAGES[name]:
        others = tuple(number for number in TYPES if number != item["value"]["type"])
        data = bytes.fromhex(item["hex"])
        if len(data) <= max(longest for number, longest in LIMITS if number in others):
            refused(UNEXPECTED_TYPE, messages.decode_message, data, others)


@pytest.mark.parametrize("name", sorts("kind"))
def test_what_is_relayed_has_a_direction(name):
    for item in MESSAGES[name]:
        others = tuple(number for number in KINDS if number != item["value"]["kind"])
        data = bytes.fromhex(item["hex"])
        refused(UNEXPECTED_TYPE, messages.decode_relayed, data, others, SHAPES)


def test_what_is_relayed_is_bounded():
    refused(TOO_LONG, messages.decode_relayed, bytes(messages.RELAYED_BYTES_MAX + 1), KINDS)


@pytest.mark.parametrize("kind", [None, 0, 99, 255, 256, -1, True, "1", [], {}, b"\x01"])
def test_a_record_or_message_of_no_kind_is_not_encoded(kind):
    refused(UNKNOWN_TYPE, messages.encode_record, {"kind": kind})
    if kind != 6:
        refused(UNKNOWN_TYPE, messages.encode_message, kind, {})


@pytest.mark.parametrize("name", RECORDS)
def test_a_bad_field_is_named(name):
    """Every field of every kind: missing, negative, too large, not a number."""
    fields = meant(RECORDS[name][0]["value"])
    for field in fields.keys() - {"kind"}:
        for bad in (None, -1, 1 << 48, "1", True, b"" if field == "sealed" else b"\x01"):
            error = refused(BAD_FIELD, messages.encode_record, {**fields, field: bad})
            assert error.detail == field
            assert str(error) == f"126: {field}"


@pytest.mark.parametrize("name", sorts("type") + sorts("kind"))
def test_a_bad_field_of_a_message_is_named(name):
    fields = meant(MESSAGES[name][0]["value"])
    word = "type" if "type" in fields else "kind"
    shapes = () if word == "type" else (SHAPES,)
    encode = messages.encode_message if word == "type" else messages.encode_relayed
    for field in fields.keys() - {word}:
        for bad in (None, -1, 1 << 48, True, b"", "", {}, [None], [[1, 2]]):
            if field in ("answer", "data", "person_no") and bad == b"":
                continue  # that is a word: the card lies there, or has left; or a question
            error = refused(BAD_FIELD, encode, fields[word], {**fields, field: bad}, *shapes)
            assert error.detail == field


def test_an_error_without_detail_is_its_number():
    assert str(WireError(TOO_LONG)) == "106"


# --- what must fit ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDS)
def test_the_largest_record_fits_under_its_seal(name):
    largest = max((bytes.fromhex(item["hex"]) for item in RECORDS[name]), key=len)
    sealed = seal.seal(bytes(32), largest, seal.CHAIN_START)
    assert len(sealed) <= messages.RECORD_BYTES_MAX


def test_the_largest_receipt_fits_under_its_seal_and_into_its_message():
    body = messages.encode_receipt(0xFFFFFFFF, 0xFFFFFFFF, bytes(8), 0xFFFFFFFF)
    sealed = seal.seal(bytes(32), body, b"receipt")
    assert len(sealed) <= messages.RECORD_BYTES_MAX
    messages.encode_message(messages.RECEIPT, {"device": 0xFFFFFFFF, "sealed": bytes(256)})


def test_the_answer_to_the_fullest_forward_can_be_said():
    """64 records of 64 devices, and as many refused; the ledger must always be able to answer."""
    most, count = 0xFFFFFFFF, messages.FORWARD_RECORDS_MAX
    fields = {
        "number": most,
        "receipts": [[most, most, bytes(messages.RECORD_BYTES_MAX)]] * count,
        "refused": [[most, most, most]] * count,
    }
    data = messages.encode_message(messages.RECEIPTS, fields)
    assert messages.decode_message(data, (messages.RECEIPTS,))["refused"] == fields["refused"]


def test_names_that_are_not_fields_are_left_out():
    fields = meant(RECORDS["power"][0]["value"])
    assert messages.encode_record({**fields, "note": "x"}) == messages.encode_record(fields)


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("BOOT", "INTENT", "OUTCOME", "REFUSAL", "POWER", "LOST"),
        ("HELLO", "BATCH", "STORED", "RECEIPT", "FORWARD", "RECEIPTS"),
    ],
)
def test_numbers_have_one_meaning(names):
    numbers = [getattr(messages, name) for name in names]
    assert numbers == list(range(1, len(names) + 1))


@pytest.mark.parametrize("document", ["records", "messages"])
def test_keys_of_fields_stay_in_one_byte(document):
    for group in (RECORDS, MESSAGES)[document == "messages"].values():
        assert max(cbor.decode(bytes.fromhex(group[0]["hex"]))) <= 22
