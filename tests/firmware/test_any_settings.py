"""No setting switches off the journal or the seal: each field at both its ends, at a real POS.

Whatever policy then says to the tap, it stands in the journal, sealed and chained (records_on
checks both), and no card is written without its INTENT (the witness of counter.py looks).
"""

import pytest

from protocols.rules import settings
from protocols.rules.spending import POLICY_FIELDS, SPENT_FEN_MAX
from protocols.wire import messages
from tests.firmware.counter import Counter, new_card

U32 = 0xFFFFFFFF
# What a check takes, least and most; keys that open no card here end before any card is written.
ENDS = {
    "number": lambda bound: (1, bound),
    "bytes": lambda bound: (bytes(bound), b"\xff" * bound),
    "text": lambda bound: ("a", "a" * bound),
    "site": lambda bound: ("a", "z" * bound),
    "step": lambda bound: (0, bound),
    "rate": lambda bound: (106, bound),
    "word": lambda words: words,
}
OWN = [
    (name, value)
    for _, name, check, bound in settings.FIELDS
    if check in ENDS and name not in ("device", "device_key", "rfid_pause_ms")
    for value in ENDS[check](bound)
] + [("rfid_pause_ms", 1), ("rfid_pause_ms", 500)]
POLICY = [
    (name, value)
    for name in POLICY_FIELDS
    for value in (
        0,
        settings._POLICY_BOUNDS.get(name, SPENT_FEN_MAX if name.endswith("_fen") else U32),
    )
]


def check_told(counter, card):
    """The tap left its records, whatever came of it."""
    before = card.eeprom_writes
    counter.sell("12.50", card, hold_ms=2_000)
    kinds = [record["kind"] for record in counter.records()]
    assert kinds[0] == messages.BOOT
    told = kinds[1:]
    if card.eeprom_writes > before:
        assert messages.INTENT in told and messages.OUTCOME in told
    else:
        assert messages.REFUSAL in told


@pytest.mark.parametrize(("name", "value"), POLICY)
def test_no_policy_silences_the_journal(name, value):
    check_told(Counter(**{name: value}), new_card())


@pytest.mark.parametrize(("name", "value"), OWN)
def test_no_setting_silences_the_journal(name, value):
    check_told(Counter(own={name: value}), new_card())


def test_every_field_is_tried():
    tried = {name for name, _ in OWN} | {"device", "device_key", "policy"}
    assert tried == {field[1] for field in settings.FIELDS}


@pytest.mark.parametrize("device", [1, U32])
def test_no_device_number_silences_the_journal(device):
    check_told(Counter(device=device), new_card())
