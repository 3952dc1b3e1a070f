"""The quick way to read a record says what the exact one says, of anything."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.wire import cbor, messages, quick_records, seal
from protocols.wire.errors import WireError
from tests.ledger.readers import Reader


def said(decode, payload):
    try:
        fields = decode(payload)
    except WireError as error:
        return error.code, str(error)
    return list(fields.items())


_BOUNDS = messages._NUMBERS
_SIZES = {ord("T"): 32, ord("?"): 21, ord("!"): 6}


@st.composite
def records(draw):
    """A record of any kind, its fields at and around their bounds; sometimes one of them off."""
    kind = draw(st.sampled_from(sorted(messages._RECORDS)))
    values = {}
    fields = list(enumerate(messages._RECORD_HEAD[0]))
    fields += enumerate(messages._RECORDS[kind][0], messages._RECORD_KEY)
    for key, letter in fields:
        if letter in messages._OPTIONAL and draw(st.booleans()):
            continue
        if letter in _BOUNDS:
            near = st.sampled_from((0, 1, 23, 24, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32))
            values[key] = min(draw(near), _BOUNDS[letter] + draw(st.sampled_from((0, 0, 0, 1))))
        else:
            values[key] = bytes(_SIZES.get(letter, 40) + draw(st.sampled_from((0, 0, 0, 1))))
    values[0] = kind
    if draw(st.integers(0, 9)) == 0:
        values[draw(st.integers(0, 23))] = draw(st.sampled_from((True, None, -1, b"", "a", [1])))
    return cbor.encode(values)


@settings(max_examples=200, deadline=None)
@given(records(), st.data())
def test_both_ways_say_the_same(payload, data):
    assert said(quick_records.decode_record, payload) == said(messages.decode_record, payload)
    at = data.draw(st.integers(0, len(payload) - 1))
    spoilt = bytearray(payload)
    spoilt[at] = data.draw(st.integers(0, 255))
    for bad in (bytes(spoilt), payload[:at], payload + b"\x00"):
        assert said(quick_records.decode_record, bad) == said(messages.decode_record, bad)


def test_what_nearly_all_records_are_is_read_the_quick_way(monkeypatch):
    reader = Reader(1001)
    reader.boot()
    reader.spend()
    payloads = [seal.payload_of(sealed) for sealed in reader.records]
    wanted = [messages.decode_record(payload) for payload in payloads]
    monkeypatch.setattr(messages, "decode_record", None)
    assert [quick_records.decode_record(payload) for payload in payloads] == wanted
