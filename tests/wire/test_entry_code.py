"""What a door asks about a code and hears: exactly that, as the grammar has it, nothing else."""

import cbor2
import pytest

from protocols.wire import entry_code, messages
from protocols.wire.errors import BAD_FIELD, UNEXPECTED_TYPE, WireError
from tests.wire.test_vectors import accepts, schema

NONCE, CODE = bytes(range(8)), b"OCIDYA" + b"A2" * 16
TOLD = (0, 4711, 20_017, 2, 20_000, 21_000)
LARGEST = (0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFF, 0xFFFF, 0xFFFF)
REFUSED = (254, 0, 0, 0, 0, 0)


def code_of(error):
    return error.value.code


def test_an_ask_is_what_it_was():
    data = entry_code.encode_ask(NONCE, CODE)
    assert cbor2.loads(data) == [18, NONCE, CODE]
    assert entry_code.decode_ask(data) == [NONCE, CODE]
    assert entry_code.is_ask(data) and accepts(schema("who-ask"), data)
    assert len(data) <= messages.RELAYED_BYTES_MAX - 64  # and its seal


@pytest.mark.parametrize("numbers", [TOLD, LARGEST, REFUSED])
def test_an_answer_is_what_it_was(numbers):
    data = entry_code.encode_answer(NONCE, *numbers)
    assert cbor2.loads(data) == [19, NONCE, *numbers]
    assert entry_code.decode_answer(data) == [NONCE, *numbers]
    assert accepts(schema("who-answer"), data)


def test_neither_is_a_map_and_no_map_is_either():
    """All else that is relayed is a map: each side knows at the first byte."""
    site = messages.encode_relayed(
        messages.SITE, {"nonce": NONCE, "state": 0, "number": 0, "head": 0}
    )
    assert not entry_code.is_ask(site) and not entry_code.is_ask(b"")
    for data in (entry_code.encode_ask(NONCE, CODE), entry_code.encode_answer(NONCE, *TOLD)):
        with pytest.raises(WireError):
            messages.decode_relayed(data, tuple(range(1, 20)))
        for other in (site, b"\x00", cbor2.dumps(None), data[:-1], data + b"\x00"):
            with pytest.raises(WireError):
                entry_code.decode_ask(other)
            with pytest.raises(WireError):
                entry_code.decode_answer(other)


@pytest.mark.parametrize("at", range(1, 3))
@pytest.mark.parametrize("bad", [b"", bytes(7), bytes(39), "text", 1, None, [], True])
def test_a_bad_ask_is_refused(at, bad):
    values = [18, NONCE, CODE]
    values[at] = bad
    with pytest.raises(WireError) as error:
        entry_code.decode_ask(cbor2.dumps(values, canonical=True))
    assert code_of(error) == BAD_FIELD


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("bad", [-1, 1 << 33, b"", "1", None, [], {}, True])
def test_a_bad_answer_is_refused(at, bad):
    values = [19, NONCE, *TOLD]
    values[at] = bad
    with pytest.raises(WireError) as error:
        entry_code.decode_answer(cbor2.dumps(values, canonical=True))
    assert code_of(error) == BAD_FIELD


@pytest.mark.parametrize("values", [[19], [19, NONCE], [18, NONCE, *TOLD], [19, NONCE, *TOLD, 0]])
def test_another_list_is_refused(values):
    with pytest.raises(WireError) as error:
        entry_code.decode_answer(cbor2.dumps(values, canonical=True))
    assert code_of(error) == UNEXPECTED_TYPE


@pytest.mark.parametrize("numbers", [(0, 0, 20_017, 2, 0, 0), (254, 4711, 20_017, 2, 0, 0)])
def test_who_may_enter_has_a_number_and_nobody_else(numbers):
    with pytest.raises(WireError) as error:
        entry_code.encode_answer(NONCE, *numbers)
    assert code_of(error) == BAD_FIELD
