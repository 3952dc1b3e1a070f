"""What a reader is told when it is provisioned: who it is, where it stands, its keys, its policy.

Kept as one CBOR blob in the board's key-value store (NVS namespace "onecard", key "settings").
"""

from protocols.rules.spending import (
    PIN_TRIES_MAX,
    POLICY_DEFAULTS,
    POLICY_FIELDS,
    SINCE_PIN_COUNT_MAX,
    SPENT_FEN_MAX,
)
from protocols.wire import cbor, topics
from protocols.wire.errors import (
    BAD_FIELD,
    MISSING_FIELD,
    NOT_A_MAP,
    TOO_LONG,
    UNKNOWN_FIELD,
    WireError,
)

SETTINGS_BYTES_MAX = 1024
# Of a policy that the ledger has sealed for one reader: its key and what the seal is bound to, and
# the page of a CARDS that it comes as (docs/adr/0048-policy-over-the-air.md).
POLICY_LABEL = b"policy"
POLICY_PAGE = 0xFFFE
_U32 = 0xFFFFFFFF
# A card counts to 15 and stays there: a limit of 15 would be none.
_POLICY_BOUNDS = {
    "utc_offset_s": 14 * 3600,
    "pin_tries_max": PIN_TRIES_MAX,
    "since_pin_count_max": SINCE_PIN_COUNT_MAX - 1,
}
# A card held for a moment must still meet a look of the reader.
_RFID_PAUSE_MS_MAX = 500
# A field is (key, name, check, bound). Checks: "number" (1 to bound), "bytes" (exactly bound),
# "text" (1 to bound characters), "site", "policy" (a list in the order of POLICY_FIELDS, whose
# last ones older settings lack), "step" (0 to bound), "rate" (kbit/s, 106 or bound), "word" (one
# of bound).
FIELDS = (
    (1, "device", "number", _U32),
    (2, "site", "site", topics.SITE_CHARS_MAX),
    (3, "merchant_no", "number", _U32),
    (4, "device_key", "bytes", 32),
    (5, "purse_key", "bytes", 16),
    (6, "mac_key", "bytes", 16),
    (7, "broker_host", "text", 253),
    (8, "broker_port", "number", 0xFFFF),
    (9, "policy", "policy", len(POLICY_FIELDS)),
    (10, "previous_device_key", "bytes", 32),
    (11, "rfid_gain", "step", 7),
    (12, "rfid_pause_ms", "number", _RFID_PAUSE_MS_MAX),
    (13, "rfid_rate", "rate", 212),
    (14, "previous_purse_key", "bytes", 16),
    (15, "previous_mac_key", "bytes", 16),
    (16, "language", "word", ("zh", "en")),
    (20, "load_cards", "number", 1),
    (30, "read_key", "bytes", 16),
    (34, "speech", "number", 16),
    (134, "ledger_menu", "number", 1),
)
# Absent where there has been one key only, where the antenna needs no tuning (see
# firmware/drivers/mfrc522.py), where no clerk's display is connected and where no money is put on
# cards (firmware/services/load.py), of what doors alone have: read_key, which tells who holds
# a card and opens no purse; where nothing speaks (speech is how loud: drivers/syn6288.py), and
# where the menu is not the ledger's (services/order.py). The settings then have no such name.
OPTIONAL = (
    "previous_device_key",
    "previous_purse_key",
    "previous_mac_key",
    "rfid_gain",
    "rfid_pause_ms",
    "rfid_rate",
    "language",
    "load_cards",
    "read_key",
    "speech",
    "ledger_menu",
)


def encode(settings):
    """Settings (a dict by name, `policy` a dict of POLICY_FIELDS) as bytes.

    WireError for what `decode` would refuse: a reader is never given settings it cannot read.
    """
    values = {}
    for key, name, check, bound in FIELDS:
        value = settings.get(name)
        if value is None and name in OPTIONAL:
            continue
        if isinstance(value, dict):
            value = [value.get(field, POLICY_DEFAULTS.get(field)) for field in POLICY_FIELDS]
        if not _CHECKS[check](value, bound):
            raise WireError(BAD_FIELD, name)
        values[key] = value
    return _bounded(cbor.encode(values))


def decode(data):
    """The settings by name; WireError if a field is missing, unknown or of the wrong form."""
    values = cbor.decode(_bounded(data))
    if not isinstance(values, dict):
        raise WireError(NOT_A_MAP)
    settings = {}
    for key, name, check, bound in FIELDS:
        if key not in values:
            if name in OPTIONAL:
                continue
            raise WireError(MISSING_FIELD, name)
        value = values.pop(key)
        if not _CHECKS[check](value, bound):
            raise WireError(BAD_FIELD, name)
        settings[name] = value
    if values:
        raise WireError(UNKNOWN_FIELD)
    settings["policy"] = policy_of(settings["policy"])
    return settings


def encode_policy(policy):
    """A policy (a dict by POLICY_FIELDS) as bytes; WireError for what `decode_policy` refuses."""
    data = cbor.encode([policy.get(name, POLICY_DEFAULTS.get(name)) for name in POLICY_FIELDS])
    decode_policy(data)
    return data


def decode_policy(data):
    """The policy by name, all of it, or WireError."""
    return policy_of(cbor.decode(data))


def policy_of(numbers):
    """The policy by name of what should be a list in the order of POLICY_FIELDS; WireError."""
    if not is_policy(numbers, len(POLICY_FIELDS)):
        raise WireError(BAD_FIELD, "policy")
    policy = {}
    for place, name in enumerate(POLICY_FIELDS):
        policy[name] = numbers[place] if place < len(numbers) else POLICY_DEFAULTS[name]
    return policy


def _bounded(data):
    if len(data) > SETTINGS_BYTES_MAX:
        raise WireError(TOO_LONG)
    return data


def _is_uint(value, bound):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= bound


def is_policy(numbers, count):
    least = count - len(POLICY_DEFAULTS)
    if not isinstance(numbers, list) or not least <= len(numbers) <= count:
        return False
    for place, number in enumerate(numbers):
        name = POLICY_FIELDS[place]
        # A limit beyond what a card can count would be no limit.
        bound = SPENT_FEN_MAX if name.endswith("_fen") else _U32
        if not _is_uint(number, _POLICY_BOUNDS.get(name, bound)):
            return False
    return True


_CHECKS = {
    "number": lambda value, bound: _is_uint(value, bound) and value > 0,
    "bytes": lambda value, bound: isinstance(value, bytes) and len(value) == bound,
    "text": lambda value, bound: isinstance(value, str) and 0 < len(value) <= bound,
    "site": lambda value, _: topics.is_site(value),
    "policy": is_policy,
    "step": _is_uint,
    "rate": lambda value, bound: _is_uint(value, bound) and value in (106, bound),
    "word": lambda value, words: isinstance(value, str) and value in words,
}
