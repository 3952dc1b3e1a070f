"""A MIFARE Classic on a desk: which keys open it, and how a factory card becomes ours.

Rules of this file:

- Blocks first, trailers last, and of the trailers last those of the sectors that a reader opens:
  a reader takes the card only when everything stands, so a card torn half way is never in use.
- A sector answers to the factory key until its trailer is written and to ours from then on. That
  is all the state there is; a second run reads it off the card and goes on.
- Every write is read back. A trailer is one write and takes 4.5 ms: torn inside, its keys may be a
  mix that nobody knows. Such a card is told apart, not repaired.
"""

from collections.abc import Iterable

from adapters.aes import aes
from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import KEY_A, KEY_B, AuthFailed, CardRefused
from protocols.card.diversify import Cmac
from protocols.card.personalise import SECTORS, personalise, trailer
from protocols.card.purse_classic import (
    BLOCK_BYTES,
    BLOCKS_PER_SECTOR,
    MAIL_SECTOR,
    READER_KEYS,
    card_mac,
)
from tools.card.desk import Port
from tools.card.errors import BadInput, CardUnfit
from tools.card.keyfile import CardKeys
from tools.card.order import ALREADY, WRITTEN, Order

SAK_CLASSIC_1K = 0x08
FACTORY_KEY = b"\xff" * 6
KEY_BYTES = 6
ACCESS = slice(KEY_BYTES, BLOCK_BYTES - KEY_BYTES)
# Noise on the air looks like a card that left or refuses; the desk has time to begin again.
_TRIES = 3

FACTORY, OURS, OTHER = "factory", "ours", "other"


class SectorKeys:
    """The trailers of the card `uid` as they shall be, and what opens its sectors."""

    def __init__(self, keys: CardKeys, uid: bytes, has_mailbox: bool = False) -> None:
        purse, credit = Cmac(aes(keys.purse_key)), Cmac(aes(keys.credit_key))
        read = Cmac(aes(keys.read_key)) if has_mailbox else None
        self.has_mailbox = has_mailbox
        self.trailers = [trailer(sector, purse, credit, uid, read) for sector in range(SECTORS)]
        self.mac = card_mac(Cmac(aes(keys.mac_key)), uid, aes)

    def key_a(self, sector: int) -> bytes:
        """Reads everything in the sector."""
        return self.trailers[sector][:KEY_BYTES]

    def key_b(self, sector: int) -> bytes:
        """Writes everything in the sector but a frozen trailer."""
        return self.trailers[sector][-KEY_BYTES:]


def trailer_of(sector: int) -> int:
    """The block number of a sector's trailer."""
    return sector * BLOCKS_PER_SECTOR + BLOCKS_PER_SECTOR - 1


def data_blocks(sector: int) -> Iterable[int]:
    """The blocks of a sector that can be written: not the manufacturer's, not the trailer."""
    first = sector * BLOCKS_PER_SECTOR
    return range(max(first, 1), first + BLOCKS_PER_SECTOR - 1)


def opens(card: Port, sector: int, key: bytes, key_type: int) -> bool:
    """Whether a key opens a sector, which is open then; CardGone when the card has left."""
    try:
        card.authenticate(trailer_of(sector), key, key_type)
    except AuthFailed:
        card.reselect()  # silent at the right key would look the same: make sure who is there
        return False
    return True


def keys_of(card: Port, keys: CardKeys) -> SectorKeys:
    """The keys of `card` as it is: with a mailbox, unless the file has no read key for one, or
    the card was made without.
    """
    before = SectorKeys(keys, card.uid)
    if not keys.read_key or opens(card, MAIL_SECTOR, before.key_b(MAIL_SECTOR), KEY_B):
        return before
    return SectorKeys(keys, card.uid, has_mailbox=True)


def add_mailbox(card: Port, keys: CardKeys) -> bool:
    """Give a card of ours a mailbox; whether it had none. Torn: run it again.

    AuthFailed for a card that is not ours. The first sector goes last: by it a reader sees that
    there is one.
    """
    before, after = SectorKeys(keys, card.uid), SectorKeys(keys, card.uid, has_mailbox=True)
    if not opens(card, MAIL_SECTOR, before.key_b(MAIL_SECTOR), KEY_B):
        card.authenticate(trailer_of(MAIL_SECTOR), after.key_b(MAIL_SECTOR), KEY_B)
        return False
    for sector in range(SECTORS - 1, MAIL_SECTOR - 1, -1):
        if opens(card, sector, after.key_b(sector), KEY_B):
            continue
        card.authenticate(trailer_of(sector), before.key_b(sector), KEY_B)
        for block in data_blocks(sector):
            card.write(block, bytes(BLOCK_BYTES))
        card.write(trailer_of(sector), after.trailers[sector])
        card.reselect()
        if not opens(card, sector, after.key_b(sector), KEY_B):
            raise CardUnfit(f"sector {sector}: does not open with its new key")
    return True


def survey(card: Port, keys: SectorKeys) -> list[str]:
    """FACTORY, OURS or OTHER for each sector: by which key it can be written."""
    found: list[str] = []
    likely = FACTORY
    for sector in range(SECTORS):
        by_key = {FACTORY: (FACTORY_KEY, KEY_A), OURS: (keys.key_b(sector), KEY_B)}
        order = sorted(by_key, key=lambda state: state != likely)
        found.append(next((s for s in order if opens(card, sector, *by_key[s])), OTHER))
        likely = found[-1] if found[-1] != OTHER else likely
    return found


def write_card(card: Port, order: Order, keys: CardKeys, again: bool) -> str:
    """Make `card` what `order` says: WRITTEN, or ALREADY when it was so before.

    BadInput for an order that no card can hold. CardUnfit for a card that is not ours to write, or
    in use and not `again`, or whose sector does not keep what is written. CardGone when it leaves:
    the same call finishes the work when it is back.
    """
    if not card.sak & SAK_CLASSIC_1K:
        raise CardUnfit(f"not a MIFARE Classic: SAK {card.sak:#04x}")
    own = keys_of(card, keys)
    blocks = _blocks(card.uid, order, keys, own.has_mailbox)
    for _ in range(_TRIES - 1):
        try:
            return _Writing(card, own, blocks).run(again)
        except (CardGone, CardRefused):
            card.reselect()  # raises CardGone when it is true
    writing = _Writing(card, own, blocks)
    try:
        return writing.run(again)
    except CardRefused as refusal:
        raise CardUnfit(f"sector {writing.sector}: the card refuses ({refusal})") from None


def _blocks(uid: bytes, order: Order, keys: CardKeys, has_mailbox: bool) -> list[bytes]:
    identity = order.identity(keys.key_version)
    masters = (keys.purse_key, keys.credit_key, keys.mac_key)
    try:
        return personalise(
            *(uid, identity, order.balance_fen, *masters, aes, order.digits, order.name),
            read_key=keys.read_key if has_mailbox else b"",
        )
    except ValueError as error:
        raise BadInput(error) from None


class _Writing:
    """One run over one card; `sector` is the one it has come to."""

    def __init__(self, card: Port, keys: SectorKeys, blocks: list[bytes]) -> None:
        self._card = card
        self._keys = keys
        self._blocks = blocks
        self._states: list[str] = []
        self.sector = 0

    def run(self, again: bool) -> str:
        self._states = survey(self._card, self._keys)
        strange = [sector for sector in range(SECTORS) if self._states[sector] == OTHER]
        if strange:
            numbers = ", ".join(map(str, strange))
            raise CardUnfit(
                f"sector {numbers}: opens neither with the factory's key nor with ours"
                " (somebody else's card, another key generation, or torn while a trailer was"
                " written)"
            )
        if all(self._states[sector] == OURS for sector in READER_KEYS):
            if self._holds_all():
                self._prove_trailers()
                return ALREADY
            if not again:
                raise CardUnfit("the card is ours already and may be in use")
        for sector in range(SECTORS):
            self._fill(sector)
        for sector in sorted(range(SECTORS), key=lambda number: (number in READER_KEYS, number)):
            if self._states[sector] == FACTORY:
                self._seal(sector)
        self._prove_trailers()
        return WRITTEN

    def _enter(self, sector: int) -> None:
        self.sector = sector
        is_ours = self._states[sector] == OURS
        key = (self._keys.key_b(sector), KEY_B) if is_ours else (FACTORY_KEY, KEY_A)
        if not opens(self._card, sector, *key):
            raise CardGone(f"sector {sector} opened a moment ago")

    def _holds_all(self) -> bool:
        """Whether every block is as it shall be, trailers aside."""
        for sector in range(SECTORS):
            self._enter(sector)
            if any(self._card.read(b) != self._blocks[b] for b in data_blocks(sector)):
                return False
        return True

    def _fill(self, sector: int) -> None:
        self._enter(sector)
        for block in data_blocks(sector):
            wanted = self._blocks[block]
            if self._card.read(block) == wanted:
                continue
            self._card.write(block, wanted)
            if self._card.read(block) != wanted:
                raise CardUnfit(f"block {block}: does not keep what is written")

    def _seal(self, sector: int) -> None:
        self._enter(sector)
        self._card.write(trailer_of(sector), self._keys.trailers[sector])
        self._states[sector] = OURS
        self._card.reselect()

    def _prove_trailers(self) -> None:
        """Both keys of every sector open it, and the access bits are those of the layout."""
        for sector, wanted in enumerate(self._keys.trailers):
            self.sector = sector
            for key, key_type in ((wanted[:KEY_BYTES], KEY_A), (wanted[-KEY_BYTES:], KEY_B)):
                if not opens(self._card, sector, key, key_type):
                    name = "A" if key_type == KEY_A else "B"
                    raise CardUnfit(f"sector {sector}: does not open with its key {name}")
            if self._card.read(trailer_of(sector))[ACCESS] != wanted[ACCESS]:
                raise CardUnfit(f"sector {sector}: its access bits are not what was written")
