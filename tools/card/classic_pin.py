"""The PIN of a MIFARE Classic at the desk: its verifier, and tries that are given back.

The verifier is one block that only the card centre writes. Tries stand in the purse, so to give
them back is a step of its counter like a debit: the idle slot is built, and its state, written
last, makes it rule. Torn anywhere: run it again.
"""

from adapters.aes import aes
from firmware.drivers.mifare_classic import KEY_B, CardRefused
from protocols.card.identity import ForeignCard, decode_identity
from protocols.card.personalise import encode_value, pin_block, tries_given_back
from protocols.card.purse import PurseView
from protocols.card.purse_classic import (
    BLOCKS_PER_SECTOR,
    IDENTITY_BLOCK,
    PIN_BLOCK,
    READ_ORDER,
    Plan,
    decode_card,
)
from tools.card.classic import SectorKeys, opens
from tools.card.desk import Port
from tools.card.errors import CardUnfit
from tools.card.keyfile import CardKeys


def set_pin(card: Port, keys: CardKeys, digits: bytes) -> None:
    """Set the PIN of a card that is ours. CardUnfit for any other; CardGone, AuthFailed."""
    own = SectorKeys(keys, card.uid)
    try:
        identity = decode_identity(_read(card, own, IDENTITY_BLOCK), card.uid, own.mac)
        block = pin_block(card.uid, identity.card_no, digits, keys.mac_key, aes)
        _write(card, own, PIN_BLOCK, block)
    except ForeignCard as error:
        raise CardUnfit(f"not a card of ours: {error}") from None
    except CardRefused as refusal:
        raise CardUnfit(f"the card refuses ({refusal})") from None


def reset_tries(card: Port, keys: CardKeys) -> bool:
    """Give the PIN tries back; whether there were any to give. Errors as of `set_pin`."""
    own = SectorKeys(keys, card.uid)
    try:
        view = _view(card, own)
        if not view.pin_tries:
            return False
        plan = Plan(view, own.mac, 0, tries_given_back(view))
        _write(card, own, plan.target_block, encode_value(plan.balance_fen, plan.target_block))
        _write(card, own, plan.record_block, plan.record)
        _write(card, own, plan.state_block, plan.state)
    except ForeignCard as error:
        raise CardUnfit(f"not a card of ours: {error}") from None
    except CardRefused as refusal:
        raise CardUnfit(f"the card refuses ({refusal})") from None
    return True


def _view(card: Port, own: SectorKeys) -> PurseView:
    blocks = {number: _read(card, own, number) for number in READ_ORDER}
    return decode_card(card.uid, blocks, own.mac)


def _enter(card: Port, own: SectorKeys, block: int) -> None:
    sector = block // BLOCKS_PER_SECTOR
    if not opens(card, sector, own.key_b(sector), KEY_B):
        raise CardUnfit(f"sector {sector}: does not open with our key B")


def _read(card: Port, own: SectorKeys, block: int) -> bytes:
    _enter(card, own, block)
    return card.read(block)


def _write(card: Port, own: SectorKeys, block: int, data: bytes) -> None:
    _enter(card, own, block)
    card.write(block, data)
    if card.read(block) != data:
        raise CardUnfit(f"block {block}: does not keep what is written")
