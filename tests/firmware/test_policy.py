"""A policy that comes over the air: taken whole, once, never an older one, whatever is unplugged.

Real readers; what they hear is what the ledger's own code has sealed.
"""

import pytest

from protocols.rules import reasons, settings
from protocols.rules.settings import POLICY_LABEL, POLICY_PAGE
from protocols.wire import cbor, messages, seal
from protocols.wire.errors import WireError
from tests.firmware.counter import DEVICE, DEVICE_KEY, POLICY, Counter, new_card
from tests.firmware.entrance import Entrance

LIMIT = {**POLICY, "epoch": 2, "amount_max_fen": 1000}


def sealed(fields, key=DEVICE_KEY, body=None):
    body = settings.encode_policy(fields) if body is None else body
    return seal.seal(seal.derive(key, POLICY_LABEL), body, POLICY_LABEL)


def tell(uplink, data, now_ms=1_000, device=DEVICE):
    """A CARDS of the agent, as it comes to a reader; the counter that says why not."""
    fields = {"device": device, "epoch": 2, "page": POLICY_PAGE, "data": data}
    return uplink.hear(messages.encode_message(messages.CARDS, fields), now_ms)


def boots(counter):
    return [(one["cause"], one.get("policy_epoch", 0)) for one in counter.records(messages.BOOT)]


def test_a_pos_has_it_in_force_at_once_and_says_so():
    counter = Counter()
    assert counter.sell("12.50", new_card()) == "PAID 12.50"
    counter.run_ms(6_000)
    assert tell(counter.pos._uplink, sealed(LIMIT)) == ""
    assert counter.sell("12.50", new_card(2)) == reasons.display(reasons.OVER_SPEND_LIMIT)
    counter.run_ms(6_000)
    assert counter.sell("10.00", new_card(3)) == "PAID 10.00"
    assert boots(counter) == [(1, 1), (messages.NO_BOOT, 2)]
    # It is there behind a boot; again and again it changes nothing, and costs nothing.
    counter.die()
    counter.boot()
    written = dict(counter.hardware.nvs)
    assert tell(counter.pos._uplink, sealed(LIMIT)) == "repeated"
    assert counter.hardware.nvs == written
    counter.run_ms(6_000)
    assert counter.sell("12.50", new_card(4)) == reasons.display(reasons.OVER_SPEND_LIMIT)
    assert boots(counter)[2:] == [(1, 2)]


def test_an_older_one_is_refused_for_ever():
    counter = Counter(epoch=5)
    for epoch in (1, 4, 5):
        assert tell(counter.pos._uplink, sealed({**LIMIT, "epoch": epoch})) == "repeated"
    assert tell(counter.pos._uplink, sealed({**LIMIT, "epoch": 9})) == ""
    assert tell(counter.pos._uplink, sealed({**LIMIT, "epoch": 8})) == "repeated"
    counter.die()
    counter.boot()
    assert tell(counter.pos._uplink, sealed({**LIMIT, "epoch": 8})) == "repeated"
    assert boots(counter) == [(1, 5), (messages.NO_BOOT, 9), (1, 9)]


def test_settings_by_cable_count_again_when_they_are_newer():
    counter = Counter()
    assert tell(counter.pos._uplink, sealed(LIMIT)) == ""
    counter.die()
    own = settings.decode(counter.hardware.nvs["settings"])
    own["policy"]["epoch"] = 3
    counter.hardware.nvs["settings"] = settings.encode(own)
    counter.boot()
    assert counter.pos._board.settings["policy"]["amount_max_fen"] == POLICY["amount_max_fen"]
    assert boots(counter)[-1] == (1, 3)


NUMBERS = cbor.decode(settings.encode_policy(LIMIT))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (sealed(LIMIT, key=bytes(32)), "forged"),  # of another reader
        (sealed(LIMIT)[:-1], "forged"),
        (seal.seal(DEVICE_KEY, settings.encode_policy(LIMIT), POLICY_LABEL), "forged"),
        (b"", "forged"),
        (sealed({}, body=cbor.encode(NUMBERS[:5])), "malformed"),  # half of one
        (sealed({}, body=cbor.encode([*NUMBERS, 1])), "malformed"),
        (sealed({}, body=cbor.encode([2, -1, *NUMBERS[2:]])), "malformed"),
        (sealed({}, body=cbor.encode([*NUMBERS[:2], 1 << 24, *NUMBERS[3:]])), "malformed"),
        (sealed({}, body=b"\x80"), "malformed"),
        (sealed({}, body=b""), "malformed"),
    ],
)
def test_what_is_wrong_changes_nothing(data, said):
    counter = Counter()
    written, before = dict(counter.hardware.nvs), dict(counter.pos._board.settings["policy"])
    if said == "malformed":
        with pytest.raises(WireError):
            tell(counter.pos._uplink, data)
    else:
        assert tell(counter.pos._uplink, data) == said
    assert (counter.hardware.nvs, counter.pos._board.settings["policy"]) == (written, before)
    assert boots(counter) == [(1, 1)]


@pytest.mark.parametrize("is_late", [False, True])
def test_a_cut_while_it_is_stored_leaves_old_or_new(is_late):
    """NVS keeps one of both; whichever it is, it comes again, and is then the new one."""
    counter = Counter()
    board = counter.pos._board
    before = dict(board.settings["policy"])

    def cut(name, data, store=board.store):
        if is_late:
            store(name, data)
        raise KeyboardInterrupt

    board.store = cut
    with pytest.raises(KeyboardInterrupt):
        tell(counter.pos._uplink, sealed(LIMIT))
    assert board.settings["policy"] == before
    counter.die()
    counter.boot()
    assert boots(counter)[-1] == (1, 2 if is_late else 1)
    assert tell(counter.pos._uplink, sealed(LIMIT)) == ("repeated" if is_late else "")
    assert counter.pos._board.settings["policy"] == settings.decode_policy(
        settings.encode_policy(LIMIT)
    )


def test_worn_flash_keeps_the_old_one_in_force():
    counter = Counter()

    def worn(_name, _data):
        raise OSError

    counter.pos._board.store = worn
    assert tell(counter.pos._uplink, sealed(LIMIT)) == "refused"
    assert counter.sell("12.50", new_card()) == "PAID 12.50"
    assert boots(counter) == [(1, 1)]


def test_what_is_stored_and_cannot_be_read_is_as_nothing():
    counter = Counter()
    for stored in (b"\x00", cbor.encode([*NUMBERS, 1]), b"\xff" * 40):
        counter.die()
        counter.hardware.nvs["policy"] = stored
        counter.boot()
        assert boots(counter)[-1] == (1, 1)
        counter.run_ms(6_000)
    assert counter.sell("12.50", new_card()) == "PAID 12.50"


def test_caps_that_come_count_what_waits_already():
    """Spends of this boot and of the one before it: nobody gets another allowance (R26)."""
    counter = Counter()
    counter.sell("1.00", new_card(1))
    counter.die()
    counter.boot()
    counter.run_ms(6_000)
    counter.sell("1.00", new_card(2))
    counter.run_ms(6_000)
    assert tell(counter.pos._uplink, sealed({**POLICY, "epoch": 2, "offline_count_max": 2})) == ""
    refused = reasons.display(reasons.OVER_READER_LIMIT)
    assert counter.sell("1.00", new_card(3)) == refused
    counter.run_ms(6_000)
    # Counted as far as the cap: a higher one is counted to anew.
    assert tell(counter.pos._uplink, sealed({**POLICY, "epoch": 3, "offline_count_max": 3})) == ""
    assert counter.sell("1.00", new_card(4)) == "PAID 1.00"
    counter.run_ms(6_000)
    assert counter.sell("1.00", new_card(5)) == refused


def test_a_door_has_it_too_and_holds_the_door_meanwhile():
    site = Entrance()
    site.secured()
    unlocked = len(site.lock.unlocked)
    fields = {**POLICY, "epoch": 2, "utc_offset_s": 0}
    device = site.device._board.settings["device"]
    assert tell(site.device._uplink, sealed(fields), device=device) == ""
    assert site.device._policy["utc_offset_s"] == 0
    site.run_ms(1_000)
    assert len(site.lock.unlocked) == unlocked and site.lock.is_powered()
