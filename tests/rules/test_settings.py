"""A reader's settings: what is written can be read, and nothing else is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import settings
from protocols.rules.spending import POLICY_DEFAULTS, POLICY_FIELDS
from protocols.wire import cbor
from protocols.wire.errors import (
    BAD_FIELD,
    MISSING_FIELD,
    NOT_A_MAP,
    TOO_LONG,
    TRAILING,
    TRUNCATED,
    UNKNOWN_FIELD,
    WireError,
)
from tests.rules.tables import POLICY
from tests.wire.test_cbor import VALUES

GOOD = {
    "device": 1001,
    "site": "canteen-1",
    "merchant_no": 71,
    "device_key": bytes(range(32)),
    "purse_key": bytes(range(16)),
    "mac_key": bytes(range(16, 32)),
    "broker_host": "broker.canteen-1.example",
    "broker_port": 1883,
    "policy": POLICY,
}
PREVIOUS = "previous_device_key"
ANTENNA = {"rfid_gain": 0, "rfid_pause_ms": 100, "rfid_rate": 212}
# Fields that may be absent, with values they may have.
CARD_KEYS = {"previous_purse_key": bytes(16), "previous_mac_key": bytes(range(1, 17))}
OPTIONAL = {PREVIOUS: bytes(32), **ANTENNA, **CARD_KEYS, "language": "zh", "speech": 16}
OPTIONAL["ledger_menu"] = 1
KEYS = {name: key for key, name in enumerate((*GOOD, *OPTIONAL), 1)}
KEYS.update(speech=34, ledger_menu=134)
U32 = 0xFFFFFFFF
COUNT, OLD_COUNT = len(POLICY_FIELDS), len(POLICY_FIELDS) - len(POLICY_DEFAULTS)
BAD_NUMBERS = (0, -1, None, True, "1", b"\x01", [1])
BAD = {
    "device": (*BAD_NUMBERS, U32 + 1),
    "merchant_no": (*BAD_NUMBERS, U32 + 1),
    "broker_port": (*BAD_NUMBERS, 0x10000),
    "site": ("", "a" * 17, "Canteen", "a/b", "+", "ledger", "食堂", b"canteen", None, 1),
    "broker_host": ("", "a" * 254, b"broker", None, 7),
    "device_key": (b"", bytes(31), bytes(33), "0" * 32, None, list(range(32))),
    PREVIOUS: (b"", bytes(31), bytes(33), "0" * 32, 0),
    "rfid_gain": (-1, 8, True, "4", b"", []),
    "rfid_pause_ms": (0, -1, 501, True, "100", b""),
    "rfid_rate": (0, 105, 107, 424, -106, True, "106", b""),
    "previous_purse_key": (b"", bytes(15), bytes(17), "0" * 16, 0),
    "previous_mac_key": (b"", bytes(15), bytes(17), "0" * 16, 0),
    "language": ("", "de", "ZH", b"zh", 1, ["zh"]),
    "speech": (0, -1, 17, True, "8", b""),
    "ledger_menu": (0, -1, 2, True, "1", b""),
    "purse_key": (b"", bytes(15), bytes(17), bytes(32), "0" * 16, None),
    "mac_key": (b"", bytes(15), bytes(17), "0" * 16, None),
    "policy": (
        None,
        [],
        {},
        [0] * (OLD_COUNT - 1),
        [0] * (COUNT + 1),
        list(POLICY),
        COUNT,
        "policy",
    ),
}
BAD_FIELDS = [(name, value) for name, values in BAD.items() for value in values]
BAD_POLICIES = [
    *[
        (name, value)
        for name in POLICY_FIELDS
        for value in (-1, None, True, "1", b"", [1], 1 << 32)
    ],
    *[(name, 0x1000000) for name in POLICY_FIELDS if name.endswith("_fen")],
    ("utc_offset_s", 14 * 3600 + 1),
    ("pin_tries_max", 16),
]


def raw(**changes):
    """Settings as they stand in the store, with fields changed; None of `changes` is checked."""
    values = {KEYS[name]: value for name, value in GOOD.items()}
    values[KEYS["policy"]] = [POLICY[name] for name in POLICY_FIELDS]
    values.update({KEYS[name]: value for name, value in changes.items()})
    return values


def refused(code, data):
    with pytest.raises(WireError) as caught:
        settings.decode(data)
    assert caught.value.code == code
    return caught.value.detail


# --- bad input first --------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_field_is_named(name):
    values = raw()
    del values[KEYS[name]]
    assert refused(MISSING_FIELD, cbor.encode(values)) == name


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS, ids=repr)
def test_a_bad_field_is_named_and_neither_read_nor_written(name, value):
    assert refused(BAD_FIELD, cbor.encode(raw(**{name: value}))) == name
    with pytest.raises(WireError) as caught:
        settings.encode({**GOOD, name: value})
    assert (caught.value.code, caught.value.detail) == (BAD_FIELD, name)


@pytest.mark.parametrize(("name", "value"), BAD_POLICIES, ids=repr)
def test_a_bad_policy_is_neither_read_nor_written(name, value):
    policy = {**POLICY, name: value}
    data = cbor.encode(raw(policy=[policy[field] for field in POLICY_FIELDS]))
    assert refused(BAD_FIELD, data) == "policy"
    with pytest.raises(WireError) as caught:
        settings.encode({**GOOD, "policy": policy})
    assert caught.value.code == BAD_FIELD


def test_a_policy_without_a_field_is_not_written():
    for name in POLICY_FIELDS[:OLD_COUNT]:
        policy = {field: value for field, value in POLICY.items() if field != name}
        with pytest.raises(WireError):
            settings.encode({**GOOD, "policy": policy})


@pytest.mark.parametrize("count", range(OLD_COUNT, COUNT + 1))
def test_settings_of_before_a_field_was_there_can_be_read(count):
    """A reader is updated with what its store holds; what is not said there has its default."""
    numbers = [POLICY[field] + 1 for field in POLICY_FIELDS]
    policy = settings.decode(cbor.encode(raw(policy=numbers[:count])))["policy"]
    said = dict(zip(POLICY_FIELDS[:count], numbers, strict=False))
    assert policy == {**POLICY_DEFAULTS, **said}
    old = {field: value for field, value in POLICY.items() if field in POLICY_FIELDS[:OLD_COUNT]}
    again = settings.decode(settings.encode({**GOOD, "policy": old}))["policy"]
    assert again == {**old, **POLICY_DEFAULTS}


def test_other_bytes():
    good = settings.encode(GOOD)
    refused(TRUNCATED, b"")
    refused(TRUNCATED, good[:-1])
    refused(TRAILING, good + b"\x00")
    refused(NOT_A_MAP, cbor.encode([1]))
    refused(MISSING_FIELD, b"\xa0")
    refused(UNKNOWN_FIELD, cbor.encode({**raw(), len(KEYS) + 1: 0}))
    refused(UNKNOWN_FIELD, cbor.encode({0: 0, **raw()}))
    refused(TOO_LONG, bytes(settings.SETTINGS_BYTES_MAX + 1))


def test_no_secret_in_an_error():
    for name in ("device_key", "purse_key", "mac_key", PREVIOUS):
        with pytest.raises(WireError) as caught:
            settings.decode(cbor.encode(raw(**{name: b"secret"})))
        assert "secret" not in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes(data):
    with pytest.raises(WireError):
        settings.decode(data)


@given(st.sampled_from(sorted(KEYS.values())), VALUES)
def test_any_value_in_any_field(key, value):
    try:
        data = cbor.encode({**raw(), key: value})
    except ValueError:
        return  # too deep to be said at all
    try:
        read = settings.decode(data)
    except WireError as error:
        assert error.code in (BAD_FIELD, TOO_LONG)
    else:
        assert settings.encode(read) == data


# --- good input -------------------------------------------------------------------------------


def test_what_is_written_is_read_again():
    data = settings.encode(GOOD)
    assert settings.decode(data) == GOOD
    assert cbor.decode(data) == raw()


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_field_is_there_or_is_not(name):
    with_it = {**GOOD, name: OPTIONAL[name]}
    assert settings.decode(settings.encode(with_it)) == with_it
    assert name not in settings.decode(settings.encode({**GOOD, name: None}))
    assert refused(BAD_FIELD, cbor.encode(raw(**{name: None}))) == name


@pytest.mark.parametrize(
    ("name", "values"),
    [("rfid_gain", (0, 7)), ("rfid_pause_ms", (1, 500)), ("rfid_rate", (106, 212))],
)
def test_antenna_settings_reach_both_ends_of_their_range(name, values):
    for value in values:
        tuned = {**GOOD, name: value}
        assert settings.decode(settings.encode(tuned)) == tuned


def test_largest_settings_fit():
    largest = {
        **GOOD,
        "device": U32,
        "merchant_no": U32,
        "site": "a" * 16,
        "broker_host": "a" * 253,
        "broker_port": 0xFFFF,
        **OPTIONAL,
        "rfid_pause_ms": 500,
        "policy": {
            **dict.fromkeys(POLICY_FIELDS, 0xFFFFFF),
            "epoch": U32,
            "clock_width_max_ms": U32,
            "utc_offset_s": 14 * 3600,
            "since_pin_count_max": 14,
            "pin_tries_max": 15,
        },
    }
    data = settings.encode(largest)
    assert len(data) <= settings.SETTINGS_BYTES_MAX
    assert settings.decode(data) == largest
