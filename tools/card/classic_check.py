"""Whether a MIFARE Classic is in every block, key, MAC and access bit what the layout demands."""

from collections.abc import Iterator

from firmware.drivers.mifare_classic import KEY_A, KEY_B, CardRefused
from protocols.card.holder import open_name
from protocols.card.identity import FIELDS_BYTES, ForeignCard, decode_identity
from protocols.card.personalise import SECTORS
from protocols.card.pin import VERIFIER_BYTES
from protocols.card.purse import PurseState
from protocols.card.purse_classic import (
    IDENTITY_BLOCK,
    MAIL_SECTOR,
    NAME_BLOCK,
    PIN_BLOCK,
    READ_ORDER,
    STATE_BLOCKS,
    VALUE_BLOCKS,
    decode_slot,
    decode_value,
)
from protocols.rules.meals import PERIOD_USE_MAX
from tools.card.classic import (
    ACCESS,
    FACTORY_KEY,
    SectorKeys,
    data_blocks,
    keys_of,
    opens,
    trailer_of,
)
from tools.card.desk import Port
from tools.card.keyfile import CardKeys
from tools.card.report import Deviation, Report

_ZEROS = bytes(16)


def check(card: Port, keys: CardKeys) -> Report:
    """Everything that is wrong with `card`. CardGone, BusFault."""
    own = keys_of(card, keys)
    blocks: dict[int, bytes] = {}
    found: list[Deviation] = []
    for sector in range(SECTORS):
        found += _check_sector(card, own, sector, blocks)
    found += _check_manufacturer(card.uid, blocks)
    if not all(number in blocks for number in READ_ORDER):
        return Report(found, [])
    found += _check_identity(card.uid, blocks, own, keys.key_version)
    fields = blocks[IDENTITY_BLOCK][:FIELDS_BYTES]
    slots = [decode_slot(slot, blocks, card.uid, fields, own.mac) for slot in (0, 1)]
    found += _check_purse(slots)
    return Report(found, list(_torn(slots, blocks)))


def _check_sector(
    card: Port, keys: SectorKeys, sector: int, blocks: dict[int, bytes]
) -> Iterator[Deviation]:
    where = f"sector {sector}"
    if not opens(card, sector, keys.key_b(sector), KEY_B):
        yield Deviation(where, "key B is not ours")
    if not opens(card, sector, keys.key_a(sector), KEY_A):
        is_new = opens(card, sector, FACTORY_KEY, KEY_A)
        yield Deviation(where, "key A is the factory's" if is_new else "key A is not ours")
        return
    numbers = [*([0] if sector == 0 else []), *data_blocks(sector), trailer_of(sector)]
    for number in numbers:
        try:
            blocks[number] = card.read(number)
        except CardRefused as refusal:
            yield Deviation(f"block {number}", f"cannot be read: {refusal}")
            card.reselect()
            opens(card, sector, keys.key_a(sector), KEY_A)
    yield from _check_access(keys, sector, blocks)
    for number in data_blocks(sector):
        block = blocks.get(number, _ZEROS)
        rest = block[VERIFIER_BYTES:] if number == PIN_BLOCK else block
        is_mail = keys.has_mailbox and sector >= MAIL_SECTOR
        if number in READ_ORDER or is_mail or not any(rest):
            continue
        if number != NAME_BLOCK:
            yield Deviation(f"block {number}", "holds something, and nothing belongs there")
        elif not open_name(block, card.uid, keys.mac):
            yield Deviation(f"block {number}", "the MAC of the name is wrong")


def _check_access(keys: SectorKeys, sector: int, blocks: dict[int, bytes]) -> Iterator[Deviation]:
    wanted = keys.trailers[sector][ACCESS]
    block = blocks.pop(trailer_of(sector), None)
    if block is not None and block[ACCESS] != wanted:
        said = f"access bits {block[ACCESS].hex()} instead of {wanted.hex()}"
        yield Deviation(f"sector {sector}", said)


def _check_manufacturer(uid: bytes, blocks: dict[int, bytes]) -> Iterator[Deviation]:
    block = blocks.get(0)
    if block is None:
        return
    if block[: len(uid)] != uid:
        yield Deviation("block 0", "names another uid than the card answers to")
    elif len(uid) == 4 and block[4] != uid[0] ^ uid[1] ^ uid[2] ^ uid[3]:
        yield Deviation("block 0", "the check byte of the uid is wrong")


def _check_identity(
    uid: bytes, blocks: dict[int, bytes], keys: SectorKeys, key_version: int
) -> Iterator[Deviation]:
    where = f"block {IDENTITY_BLOCK}"
    try:
        identity = decode_identity(blocks[IDENTITY_BLOCK], uid, keys.mac)
    except ForeignCard:
        yield Deviation(where, "the MAC of the identity is wrong")
        return
    if identity.valid_to < identity.valid_from:
        yield Deviation(where, "its validity ends before it begins")
    if identity.key_version != key_version:
        said = f"says key generation {identity.key_version}, and opens with {key_version}"
        yield Deviation(where, said)


def _check_purse(slots: list[PurseState | None]) -> Iterator[Deviation]:
    whole = [state for state in slots if state is not None]
    if not whole:
        yield Deviation("purse", "neither slot has a right MAC")
        return
    ruling = max(whole, key=lambda state: state.counter)
    idle = (ruling.counter & 1) ^ 1
    rest = slots[idle]
    if rest is not None and rest.counter + 1 != ruling.counter:
        said = f"counters {rest.counter} and {ruling.counter} do not follow each other"
        yield Deviation("purse", said)
    if ruling.period_use > PERIOD_USE_MAX:
        yield Deviation("purse", f"period_use {ruling.period_use}, which no reader writes")


def _torn(slots: list[PurseState | None], blocks: dict[int, bytes]) -> Iterator[str]:
    """A spend or credit that was broken off leaves a slot without a right MAC; the other rules.

    Before the first one, the idle slot holds the same value and nothing else.
    """
    for slot, ruling in ((0, slots[1]), (1, slots[0])):
        if slots[slot] is not None or ruling is None:
            continue
        value = decode_value(blocks[VALUE_BLOCKS[slot]])
        if blocks[STATE_BLOCKS[slot]] != _ZEROS or value != ruling.balance_fen:
            yield f"slot {slot} was torn in a spend or credit; the other one rules"
