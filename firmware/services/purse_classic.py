"""The purse on a MIFARE Classic: the write of the new slot's state is what makes a debit final.

While the card is still there, an unacknowledged commit is finished instead: the same bytes are
written again, after the ruling slot has been seen unchanged.
"""

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import KEY_A, KEY_B, AuthFailed, CardRefused, Classic
from firmware.services.purse import COMMITTED, UNKNOWN, Mismatch, Purse
from protocols.card import pin
from protocols.card.diversify import Cmac
from protocols.card.holder import open_name
from protocols.card.purse_classic import (
    BLOCKS_PER_SECTOR,
    NAME_BLOCK,
    PIN_BLOCK,
    READ_KEY,
    READ_ORDER,
    READER_KEYS,
    STATE_BLOCKS,
    WRITE_KEY,
    card_mac,
    decode_card,
    decode_value,
    plan_credit,
    plan_debit,
    plan_tries,
    sector_key,
)
from protocols.wire.messages import CLASSIC

_KEY_TYPES = {READ_KEY: KEY_A, WRITE_KEY: KEY_B}


class PurseKeys:
    """What a reader needs to derive a card's keys: `aes` key16 -> encrypt, and two master keys.

    The keys of the card seen last are kept, so that a resting card is not derived again. `purse`
    is the Cmac of the purse key, which DESFire cards have theirs from too.
    """

    def __init__(self, aes, purse_key, mac_key):
        self._aes = aes
        self.purse = Cmac(aes(purse_key))
        self._mac = Cmac(aes(mac_key))
        self._uid = None
        self._sectors = {}
        self._card_mac = None

    def sector(self, uid, sector):
        """What opens a sector of the card `uid`: (key of 6 bytes, KEY_A or KEY_B)."""
        self._turn_to(uid)
        if sector not in self._sectors:
            purpose = READER_KEYS[sector]
            key = sector_key(self.purse, uid, purpose, sector)
            self._sectors[sector] = (key, _KEY_TYPES[purpose])
        return self._sectors[sector]

    def mac(self, uid):
        """The Cmac of the card `uid`."""
        self._turn_to(uid)
        if self._card_mac is None:
            self._card_mac = card_mac(self._mac, uid, self._aes)
        return self._card_mac

    def verifier(self, view, digits):
        """What stands on the card of `view`, Classic or not, if `digits` are its PIN."""
        return pin.verifier(self._mac, view.uid, view.card_no, digits, self._aes)

    def _turn_to(self, uid):
        if uid != self._uid:
            self._uid = uid
            self._sectors = {}
            self._card_mac = None


class ClassicPurse(Purse):
    """The purse on `card` (Card), selected by `pcd` (Pcd).

    `generations` is a list of PurseKeys, the newest first; a card has those of one of them.
    """

    chip = CLASSIC

    def __init__(self, pcd, card, generations):
        Purse.__init__(self, pcd, card)
        self._generations = self._pin_keys = generations
        self._keys = generations[0]
        self._classic = Classic(pcd, card)
        self._open = None  # (sector, session) that is authenticated
        self._credit_key = None  # of this card, while a credit is under way

    def credit(self, view, order, time_s, credit_key):
        """Carry out `order` (protocols.card.credit_order) on the card that `view` was read from.

        `credit_key` (6 bytes) is key B of this one card's values; it comes with the order for this
        one time and is not kept. Results and errors as of `debit`; ValueError also when the order
        is for another card, or for a state this one has left: so it can be carried out once.
        """
        if (order["card_no"], order["counter"]) != (view.card_no, view.counter):
            raise ValueError("order for another card or counter")
        mac, number = self._keys.mac(view.uid), order["number"]
        plan = plan_credit(view, mac, order["amount_fen"], number, time_s)
        self._credit_key = credit_key
        try:
            return self._carry_out(view, plan)
        finally:
            self._credit_key = None

    def _look(self):
        *newer, oldest = self._generations
        for self._keys in newer:
            try:
                return self._read_view()
            except AuthFailed:
                pass  # a card of the generation before
        self._keys = oldest
        return self._read_view()

    def _read_view(self):
        blocks = {}
        for number in READ_ORDER:
            self._enter(number)
            blocks[number] = self._classic.read(number)
        uid = self._card.uid
        return decode_card(uid, blocks, self._keys.mac(uid))

    def _plan(self, view, amount_fen, device, seq, time_s, usage):
        mac = self._keys.mac(view.uid)
        return plan_debit(view, mac, amount_fen, device, seq, time_s, usage)

    def _plan_tries(self, view, pin_tries, device, seq, time_s):
        return plan_tries(view, self._keys.mac(view.uid), pin_tries, device, seq, time_s)

    def pin_verifier(self):
        self._enter(PIN_BLOCK)
        return self._classic.read(PIN_BLOCK)[: pin.VERIFIER_BYTES]

    def holder_name(self):
        try:
            self._enter(NAME_BLOCK)
            block = self._classic.read(NAME_BLOCK)
        except (AuthFailed, CardGone, CardRefused):
            return b""
        uid = self._card.uid
        return open_name(block, uid, self._keys.mac(uid))

    def _enter(self, block):
        """Open the sector of `block`, unless it is open."""
        sector = block // BLOCKS_PER_SECTOR
        if self._open != (sector, self._pcd.session):
            self._open = None
            self._classic.authenticate(block, *self._keys.sector(self._card.uid, sector))
            self._open = (sector, self._pcd.session)

    def _rejoin(self, view):
        """Select the card again and make sure that it still is as `view` says."""
        self._classic.reselect()
        for slot, number in enumerate(STATE_BLOCKS):
            self._enter(number)
            self._expect(number, view.proof.states[slot])

    def _prepare(self, plan):
        if self._credit_key is None:
            self._enter(plan.source_block)
            self._classic.decrement(plan.source_block, plan.amount_fen)
        else:
            self._open = None
            self._classic.authenticate(plan.source_block, self._credit_key, KEY_B)
            self._classic.increment(plan.source_block, plan.amount_fen)
        self._classic.transfer(plan.target_block)
        if decode_value(self._classic.read(plan.target_block)) != plan.balance_fen:
            raise Mismatch("block {}".format(plan.target_block))
        self._enter(plan.record_block)
        self._classic.write(plan.record_block, plan.record)
        self._expect(plan.record_block, plan.record)

    def _commit(self, plan):
        self._enter(plan.state_block)
        self._classic.begin_write(plan.state_block)
        self._result = UNKNOWN
        self._classic.finish_write(plan.state)
        self._result = COMMITTED
        try:
            self._expect(plan.state_block, plan.state)
        # Only a card that has left is taken at its word. One that refuses to be read is there and
        # has fallen out of the session: what looked like its acknowledge was none.
        except (Mismatch, CardRefused, AuthFailed):
            self._result = UNKNOWN
            raise

    def _expect(self, block, data):
        """Mismatch when `block` does not hold `data`, whatever the card has acknowledged.

        An acknowledge is four bits without a check, which noise can look like, and a worn block
        does not hold what it took.
        """
        if self._classic.read(block) != data:
            raise Mismatch("block {}".format(block))

    def _finish(self, view, plan):
        """Write the commit again if the card is still there; leaves UNKNOWN otherwise."""
        ruling = STATE_BLOCKS.index(plan.state_block) ^ 1
        self._classic.reselect()
        self._enter(plan.state_block)
        self._expect(STATE_BLOCKS[ruling], view.proof.states[ruling])
        self._commit(plan)
