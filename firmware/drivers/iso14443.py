"""ISO/IEC 14443-3 type A: which card is in the field, and is it still the same one.

Rules of this file:

- `poll` is called for ever. With an empty field it is one WUPA. A card that rests in the field is
  woken and selected again by its UID, so it stays present and never alternates.
- Anticollision never asks the chip where a collision was: drivers disagree on how it counts
  behind a partial byte. Received bits are true up to the last 1 before the collision (the chip
  clears what follows); without any 1, the next bit is 0 for at least one card. So every step is
  answered, and each takes at least one bit further.
- A collision may be noise. Two cards are reported only after both have told their UID.
- A board may let an empty field go dark between two looks (chip.pause_us). Each look then costs
  two transactions more and the cards' 5 ms of waking up; polls in between cost nothing. A field in
  which something was heard stays on.
- A card in ISO-DEP hears no WUPA, nor 106 kbit/s if it was told 212. So it is deselected before
  the next call; if it does not confirm that, the field goes off for as long as cards remember.
"""

from firmware.drivers.mfrc522 import ERROR_COLLISION, SILENCE, BusFault

_WUPA = 0x52
_SHORT_FRAME_BITS = 7
_SELECT = (0x93, 0x95, 0x97)
_ALL_KNOWN = 0x70
_CASCADE_TAG = 0x88
_SAK_UID_INCOMPLETE = 0x04
_HLTA = 0x50
_DESELECT = 0xC2

_UID_BITS = 32
_NO_LEVEL = b"\x00\x00\x00\x00\x00"
_LEVEL_BYTES = 5  # four of the UID (or cascade tag and three) and their check byte
_ATQA_BYTES = 2

# Cards answer these commands after exactly 91 us; HLTA is done when 1 ms has been silent.
_ACTIVATION_US = 1000
# Frame waiting time of RATS, PPS and DESELECT: 65536 / 13.56 MHz is 4833 us. The last SELECT of a
# new card has it as well, so that the timer stands right for what comes next.
PROTOCOL_US = 5000
_FIELD_OFF_US = 5000

_SESSION_MASK = 0x3FFFFFFF  # a small integer on every port

_TRIES = 2
_SELECT_TRIES = 3
# A card that took noise for our answer may still be writing; its limit is 10 ms.
_BUSY_US = 5000


class CardGone(Exception):
    """The card does not answer, or not understandably, any more."""


class CardCollision(Exception):
    """One card please: at least two are in the field. `uids` names two of them."""

    def __init__(self, uids):
        super().__init__("one card please")
        self.uids = uids


class Card:
    """A card as its activation showed it: `uid` (4, 7 or 10 bytes) and `sak` (the last one)."""

    def __init__(self, uid, sak):
        self.uid = uid
        self.sak = sak


class Pcd:
    """The reader's side (proximity coupling device) over `chip` (Mfrc522).

    `card` is the Card known to be in the field, or None. `session` changes with every call to
    wake up, which ends any conversation: while it stands still, what was authenticated still is.
    `garbled` counts answers that came damaged. `is_encrypted` and `is_in_protocol` are set by
    whoever leads a card there; both end with the next call. The methods raise BusFault when the
    chip fails.
    """

    def __init__(self, chip):
        self.chip = chip
        self.card = None
        self.session = 0
        self.garbled = 0
        self.is_encrypted = False
        self.is_in_protocol = False
        self._is_awake = False  # somebody may be in READY or ACTIVE and deaf to the first WUPA
        self._level = bytearray(_LEVEL_BYTES)
        self._sak = 0
        self._collided = False
        self._dark_until_us = None  # when an empty field is to be looked at again

    def poll(self):
        """The card in the field, activated (Card; the same object while it rests), or None.

        CardCollision when there are two or more. BusFault when the chip is dead: a fault that ends
        with setting the chip up anew is only counted there.
        """
        if self._dark_until_us is not None and self.chip.ticks_us() < self._dark_until_us:
            return None
        try:
            return self._look()
        except BusFault:
            return self._look()

    def select(self, card):
        """Activate `card` again, from whatever state it is in; CardGone when it is not there."""
        self._prepare()
        for attempt in range(_SELECT_TRIES):
            if attempt:
                self.chip.sleep_us(_BUSY_US)
            if self._rejoin(card):
                self.card = card
                return
        raise CardGone("no answer to its UID")

    def halt(self):
        """Send the activated card to sleep; `poll` and `select` wake it again."""
        if self.is_in_protocol:
            self.leave_protocol()
            return
        tx = self.chip.tx
        tx[0] = _HLTA
        tx[1] = 0
        self.chip.set_crc(True, True)
        self._is_awake = self.chip.transceive(2, 1, _ACTIVATION_US) != SILENCE

    def stop_crypto(self):
        """Leave an encrypted session on our side; the card only follows when woken again."""
        if self.is_encrypted:
            self.chip.stop_crypto()
            self.is_encrypted = False

    def leave_protocol(self):
        """End ISO-DEP, if a card may be in it: the card sleeps afterwards, or has lost power."""
        if not self.is_in_protocol:
            return
        self.session = self.session + 1 & _SESSION_MASK
        chip = self.chip
        chip.set_crc(True, True)
        for _ in range(_TRIES):
            chip.tx[0] = _DESELECT
            heard = chip.transceive(1, 1, PROTOCOL_US)
            if heard == 8 and not chip.errors and chip.rx[0] == _DESELECT:
                break
            self._note_damage(heard)
        else:
            chip.set_field(False)
            chip.sleep_us(_FIELD_OFF_US)
        chip.set_rate(0)
        self.is_in_protocol = False

    # -- one step each ----------------------------------------------------------------------

    def _prepare(self):
        """Chip set up and field on; what was said to a card before the chip failed is over."""
        if self.chip.ensure():
            self.is_in_protocol = False
        self._dark_until_us = None

    def _look(self):
        self._prepare()
        if self.card is not None:
            for _ in range(_TRIES):
                if self._rejoin(self.card):
                    return self.card
            self.card = None
        for _ in range(_TRIES):
            if not self._wake():
                self._rest()
                return None
            card = self._resolve()
            if card is not None and self._collided:
                card = self._prove(card)
            if card is not None:
                self.card = card
                return card
        return None

    def _rest(self):
        """Nobody is there: the field may go dark until the next look is due."""
        chip = self.chip
        if chip.pause_us:
            chip.set_field(False)
            self._dark_until_us = chip.ticks_us() + chip.pause_us

    def _wake(self):
        """WUPA; True when somebody answered, if only with a collision."""
        self.stop_crypto()
        self.leave_protocol()
        self.session = self.session + 1 & _SESSION_MASK
        self._collided = False
        chip = self.chip
        chip.set_field(True)
        chip.set_crc(False, False)
        chip.tx[0] = _WUPA
        heard = chip.transceive(1, _ATQA_BYTES, _ACTIVATION_US, _SHORT_FRAME_BITS, True)
        if heard == SILENCE and self._is_awake:
            # What was READY or ACTIVE has fallen asleep at the first and hears the second.
            heard = chip.transceive(1, _ATQA_BYTES, _ACTIVATION_US, _SHORT_FRAME_BITS, True)
        self._is_awake = heard != SILENCE
        return self._is_awake

    def _rejoin(self, card):
        """Wake and activate `card`, whatever state it may be in; True when it is there."""
        self._is_awake = True
        return self._wake() and self._activate(card)

    def _activate(self, card):
        """Select a woken card by its whole UID; True when it is there."""
        uid = card.uid
        at = 0
        for level in range(len(_SELECT)):
            last = len(uid) - at == 4
            self._fill_level(uid, at, last)
            if not self._select_level(level, _ACTIVATION_US):
                return False
            if last:
                return not self._sak & _SAK_UID_INCOMPLETE
            at += 3
        return False

    def _resolve(self):
        """Anticollision and selection of one of the woken cards; Card, or None if it failed."""
        uid = b""
        for level in range(len(_SELECT)):
            if not self._anticollide(level):
                return None
            is_last = self._level[0] != _CASCADE_TAG
            if not self._select_level(level, PROTOCOL_US if is_last else _ACTIVATION_US):
                return None
            if not self._sak & _SAK_UID_INCOMPLETE:
                return Card(uid + bytes(self._level[:4]), self._sak)
            if self._level[0] != _CASCADE_TAG:
                return None
            uid += bytes(self._level[1:4])
        return None

    def _prove(self, first):
        """`first`, activated again, if it is alone after all; CardCollision if it is not."""
        # The call sends the activated card to sleep and wakes the ones that lost against it.
        if self._wake():
            second = self._resolve()
            if second is not None and second.uid != first.uid:
                self.halt()  # all asleep now: the next call wakes them together again
                raise CardCollision((first.uid, second.uid))
        return first if self._rejoin(first) else None

    def _fill_level(self, uid, at, last):
        level = self._level
        if last:
            level[0] = uid[at]
            at += 1
        else:
            level[0] = _CASCADE_TAG
        check = level[0]
        for i in range(1, 4):
            level[i] = uid[at]
            check ^= uid[at]
            at += 1
        level[4] = check

    def _select_level(self, level, timeout_us):
        """SELECT the UID part in `_level`; True, and `_sak` set, when a card has it."""
        chip = self.chip
        tx = chip.tx
        tx[0] = _SELECT[level]
        tx[1] = _ALL_KNOWN
        tx[2 : 2 + _LEVEL_BYTES] = self._level
        chip.set_crc(True, True)
        heard = chip.transceive(2 + _LEVEL_BYTES, 1, timeout_us)
        if heard != 8 or chip.errors:
            self._note_damage(heard)
            return False
        self._sak = chip.rx[0]
        return True

    def _anticollide(self, level):
        """Find the UID part of one card into `_level`, check byte included; True on success."""
        self.chip.set_crc(False, False)
        part = self._level
        part[:] = _NO_LEVEL
        known = 0
        while known <= _UID_BITS:
            heard = self._ask(level, known)
            errors = self.chip.errors
            if heard == SILENCE or errors & ~ERROR_COLLISION:
                break
            if not errors:
                good = part[0] ^ part[1] ^ part[2] ^ part[3] == part[4]
                if good and heard == _LEVEL_BYTES * 8 - known // 8 * 8:
                    return True
                break
            self._collided = True
            known = self._after_last_one(known)
        self._note_damage(heard)
        return False

    def _ask(self, level, known):
        """One anticollision frame with the first `known` bits of `_level`; merges the answer."""
        chip = self.chip
        tx = chip.tx
        whole, odd = known >> 3, known & 7
        tx[0] = _SELECT[level]
        tx[1] = 0x20 + (whole << 4 | odd)
        tx[2 : 2 + _LEVEL_BYTES] = self._level
        length = 2 + whole + (1 if odd else 0)
        heard = chip.transceive(length, _LEVEL_BYTES - whole, _ACTIVATION_US, odd << 4 | odd)
        mask = (1 << odd) - 1
        part, rx = self._level, chip.rx
        part[whole] = part[whole] & mask | rx[0] & ~mask & 0xFF
        for i in range(whole + 1, _LEVEL_BYTES):
            part[i] = rx[i - whole]
        return heard

    def _after_last_one(self, known):
        """How many bits of `_level` are known now; clears the rest."""
        part = self._level
        last = known  # no 1 in sight: the next bit is 0 for all, or for one side of the collision
        for bit in range(known, _UID_BITS):
            if part[bit >> 3] >> (bit & 7) & 1:
                last = bit
        for bit in range(last + 1, _LEVEL_BYTES * 8):
            part[bit >> 3] &= ~(1 << (bit & 7)) & 0xFF
        return last + 1

    def _note_damage(self, heard):
        if heard != SILENCE:
            self.garbled += 1
