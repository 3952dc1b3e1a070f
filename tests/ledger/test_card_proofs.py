"""What a DESFire has signed, through a real reader into the books, and lies about it."""

import pytest

from adapters.aes import CIPHERS
from ledger.card_proofs import Doubt, check
from ledger.config import ConfigError, import_register
from ledger.store import LedgerStore, RegistryError
from protocols.wire import messages, seal
from simulator.torture.tap_window import (
    AWAY,
    CARD_NO,
    DESFIRE,
    DESFIRE_UID,
    DEVICE_KEY,
    HOME,
    ISSUED_FEN,
    KEYS,
    MERCHANT,
    NOON_S,
    Window,
    new_card,
    records_on,
)
from simulator.world.clock import World

MASTER = KEYS.desfire.transaction
UIDS = {CARD_NO: DESFIRE_UID}


def lunch(sales, card=None):
    """Sealed records of two windows at which one card has paid; sales: (device, amount)."""
    world = World(NOON_S)
    card = card or new_card(0, DESFIRE)
    windows = {device: Window(device, world, None, device) for device in (HOME, AWAY)}
    for window in windows.values():
        window.boot()
    for device, amount in sales:
        windows[device].type(amount + b"\r")
        windows[device].tap(card)
        assert windows[device].shown.startswith("PAID")
        windows[device].run_ms(6_000)
    return {device: records_on(window.flash) for device, window in windows.items()}


SALES = [(HOME, b"12.50"), (AWAY, b"3"), (AWAY, b"4.40"), (HOME, b"0.01")]


def books(records):
    store = LedgerStore.open(":memory:")
    store.register_merchant(MERCHANT)
    store.register_devices((device, DEVICE_KEY, MERCHANT, "north") for device in (HOME, AWAY))
    store.issue_card(CARD_NO, ISSUED_FEN)
    for answer in store.book(list(records.values())):
        assert not answer.refused
    return store


def rewritten(records, change):
    """The same chain under the reader's own key, with other fields where `change` says so.

    What a stolen reader can send: it has its device key, and not the card's.
    """
    link, sealed = seal.CHAIN_START, []
    for record in records:
        fields = messages.decode_record(seal.payload_of(record))
        fields.update(change(dict(fields)) or {})
        sealed.append(seal.seal(DEVICE_KEY, messages.encode_record(fields), link))
        link = seal.tag_of(sealed[-1])
    return sealed


def test_cards_vouch_for_what_they_have_paid():
    checked = check(books(lunch(SALES)), CIPHERS, UIDS, MASTER)
    assert (checked.proven, checked.findings) == (len(SALES), ())


def test_the_order_of_arrival_does_not_matter():
    records = lunch(SALES)
    one = check(books(records), CIPHERS, UIDS, MASTER)
    other = check(books(dict(reversed(records.items()))), CIPHERS, UIDS, MASTER)
    assert one == other


LIES = {
    "a higher amount": lambda f: {
        "amount_fen": f["amount_fen"] + 100,
        "after_fen": f["after_fen"] - 100,
    },
    "another time": lambda f: {"earliest_s": f["earliest_s"] - 60},
    "another debit before": lambda f: {"last_seq": f["last_seq"] + 1},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_reader_that_lies_is_found(lie):
    records = lunch(SALES)

    def change(fields):
        return LIES[lie](fields) if fields["kind"] == messages.INTENT else None

    records[AWAY] = rewritten(records[AWAY], change)
    checked = check(books(records), CIPHERS, UIDS, MASTER)
    found = {(f.doubt, f.device) for f in checked.findings}
    assert found == {(Doubt.NOT_SIGNED, AWAY)}
    assert checked.proven == 2


def test_a_spend_that_no_card_has_seen_is_found():
    """The reader makes up an outcome, with the MAC of another one."""
    records = lunch(SALES)
    proofs = []

    def change(fields):
        if fields["kind"] == messages.OUTCOME:
            proofs.append(fields["card_proof"])
            return {"card_proof": proofs[0]}
        return None

    records[AWAY] = rewritten(records[AWAY], change)
    checked = check(books(records), CIPHERS, UIDS, MASTER)
    assert [(f.doubt, f.device) for f in checked.findings] == [(Doubt.NOT_SIGNED, AWAY)]


def test_a_debit_without_a_word_from_the_card():
    records = lunch(SALES)

    def change(fields):
        return {"card_proof": b""} if fields["kind"] == messages.OUTCOME else None

    records[HOME] = rewritten(records[HOME], change)
    checked = check(books(records), CIPHERS, UIDS, MASTER)
    assert {(f.doubt, f.device, f.tmc) for f in checked.findings} == {(Doubt.NO_PROOF, HOME, None)}
    assert (checked.proven, len(checked.findings)) == (2, 2)


def test_a_transaction_beside_the_purse_shows_in_the_next_one():
    card = new_card(0, DESFIRE)
    records = lunch(SALES[:1], card)
    image = card.snapshot()
    (application,) = image["memory"]["applications"].values()
    application["files"]["15"]["tmc"] += 1
    card.restore(image)
    world = World(NOON_S)
    window = Window(AWAY, world, None, 5)
    window.boot()
    window.type(b"3\r")
    window.tap(card)
    records[AWAY] = records_on(window.flash)
    checked = check(books(records), CIPHERS, UIDS, MASTER)
    assert [(f.doubt, f.device, f.tmc) for f in checked.findings] == [(Doubt.NOT_ALONE, AWAY, 3)]


def test_one_transaction_cannot_be_two_records():
    """A chip that was copied with all its keys: nobody should be able to, and it shows."""
    image = new_card(0, DESFIRE).snapshot()
    copies = [new_card(seed, DESFIRE) for seed in (1, 2)]
    records = {}
    for device, copy in zip((HOME, AWAY), copies, strict=True):
        copy.restore(image)
        records[device] = lunch([(device, b"1")], copy)[device]
    store = books(records)
    checked = check(store, CIPHERS, UIDS, MASTER)
    assert [f.doubt for f in checked.findings] == [Doubt.TWICE]


def test_other_keys_prove_nothing():
    checked = check(books(lunch(SALES)), CIPHERS, UIDS, bytes(16))
    assert checked.proven == 0
    assert {f.doubt for f in checked.findings} == {Doubt.NOT_SIGNED}


def test_cards_without_a_known_chip_are_left_out():
    checked = check(books(lunch(SALES)), CIPHERS, {}, MASTER)
    assert (checked.proven, checked.findings) == (0, ())


# -- the register ---------------------------------------------------------------------------


def test_a_chip_is_noted_once():
    store = books({})
    store.know_chips([(CARD_NO, DESFIRE_UID)])
    store.know_chips([(CARD_NO, DESFIRE_UID)])
    assert store.chips() == UIDS
    with pytest.raises(RegistryError, match="4711"):
        store.know_chips([(CARD_NO, bytes(7))])
    with pytest.raises(RegistryError, match="never issued"):
        store.know_chips([(1, bytes(7))])
    store.issue_card(4712, 0)
    with pytest.raises(RegistryError, match="that of 4711"):
        store.know_chips([(4712, DESFIRE_UID)])
    assert store.chips() == UIDS


def test_the_register_names_chips(tmp_path):
    path = tmp_path / "register.toml"
    path.write_text(f'[[card]]\ncard_no = 4711\nbalance_fen = 5\nuid = "{DESFIRE_UID.hex()}"\n')
    store = LedgerStore.open(":memory:")
    import_register(store, path)
    import_register(store, path)
    assert store.chips() == UIDS


@pytest.mark.parametrize("uid", ["04", "zz", "04a1b2c3d4e5", "0" * 22])
def test_a_chip_that_cannot_be_is_refused(tmp_path, uid):
    path = tmp_path / "register.toml"
    path.write_text(f'[[card]]\ncard_no = 4711\nbalance_fen = 5\nuid = "{uid}"\n')
    with pytest.raises(ConfigError, match="uid"):
        import_register(LedgerStore.open(":memory:"), path)
