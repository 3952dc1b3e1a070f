"""Which cards are lost, suspended or closed, as the ledger says it: a map on flash.

Rules of this file:
- nothing counts that a warrant under our own key does not bear out (protocols/rules/
  card_status.py); who brings it, in which order and how often does not matter;
- an older epoch is refused, and of one epoch an older time;
- there are two banks. A whole map goes into the one that is not in use; changes go behind those
  in use. What is in use is said by one value kept in the journal, which a cut leaves old or new;
- flash that was not erased in this boot is not written to: behind a boot, the first change is a
  whole map.

Bank: the map, and in its last sector the changes since. A board without such flash has no map.
"""

import hashlib
import struct
from binascii import crc32

from firmware.services.journal import JournalFull
from protocols.rules import card_status
from protocols.rules.card_status import CHANGE_BYTES, PAGE_BYTES, WARRANT_BYTES
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

_KEPT_KEY = 3  # of Recorder.keep
# What is in use: bank, bytes of the changes, their CRC, and the warrant.
_KEPT = "<BHIIII16s16s"
_EPOCH, _MADE_S, _SIZE, _CHAIN, _DIGEST = 3, 4, 5, 6, 7
_ANSWER_MS = 5000  # for a page, or news
_GAP_MS = 1000  # before news are asked for that got lost
_REST_MS = 60000  # after something was not as the warrant says
_TRIES_MAX = 12  # asked so often for a page, nobody has that map any more
_KEEP_MS = 3600000  # how often it is noted that the map is still the newest
_LONG_MS = 86400000


class CardMap:
    """`recorder` keeps; `uplink` has online, counters and say(type, fields), and calls `hear`."""

    def __init__(self, board, recorder, uplink):
        self._flash = board.card_flash
        self._recorder = recorder
        self._uplink = uplink
        self._held = None  # as in _KEPT
        if not self._flash:
            return
        self._may_grow = False  # its changes were begun in this boot
        self._wanted = None  # of the map that is under way, as in _KEPT
        self._page = self._tries = self._session = self._due_ms = self._keep_ms = 0
        self._asks = False
        self._settings = board.settings
        # Whole sectors: one that belonged to both would be erased under the map in use.
        self._bank_bytes = self._flash.size_bytes // 2 // self._flash.sector_bytes
        self._bank_bytes *= self._flash.sector_bytes
        self._changes_at = self._bank_bytes - self._flash.sector_bytes
        uplink.on_cards = self.hear
        kept = recorder.kept(_KEPT_KEY)
        if kept:
            self._use(struct.unpack(_KEPT, kept), 0)

    def known(self, card_no):
        """(status of a card, when the ledger called the map the newest); 0, 0 without a map."""
        held = self._held
        if held is None:
            return card_status.ACTIVE, 0
        start, behind = held[0] * self._bank_bytes, held[1]
        while behind:
            # The newest first, in pieces that cost a tap no heap to speak of.
            count = behind % PAGE_BYTES or PAGE_BYTES
            behind -= count
            changes = self._read(start + self._changes_at + behind, count)
            found = card_status.newest(changes, card_no)
            if found is not None:
                return found, held[_MADE_S]
        at = card_no // card_status.CARDS_PER_BYTE
        if at >= held[_SIZE]:
            return card_status.ACTIVE, held[_MADE_S]
        return card_status.status_in(self._read(start + at, 1)[0], card_no), held[_MADE_S]

    def made_s(self):
        """When the ledger called the map the newest; 0 without a map."""
        return self._held[_MADE_S] if self._held else 0

    def map_in_use(self):
        """(where the map in use begins on flash, its bytes, its epoch); None without a map."""
        held = self._held
        return (held[0] * self._bank_bytes, held[_SIZE], held[_EPOCH]) if held else None

    def drop_wanted(self):
        """Give up the map that is under way."""
        self._wanted = None

    def step(self, now_ms):
        """Ask for what is missing; returns when to call again. When idle only: it may erase."""
        if not self._flash or not self._uplink.online:
            return now_ms + _LONG_MS
        if self._session != self._uplink.counters["sessions"]:
            self._session = self._uplink.counters["sessions"]
            self._asks = True
            self._due_ms = now_ms
        if self._wanted is None and not self._asks:
            return now_ms + _LONG_MS
        if now_ms < self._due_ms:
            return self._due_ms
        self._due_ms = now_ms + _ANSWER_MS
        epoch, page = self._held[_EPOCH] if self._held else 0, 0
        if self._wanted is not None and self._tries == _TRIES_MAX:
            self._wanted, self._asks = None, True
        if self._wanted is not None:
            self._tries += 1
            epoch, page = self._wanted[_EPOCH], self._page + 1
            if not self._is_ready(self._page * PAGE_BYTES, now_ms):
                return self._due_ms
        self._uplink.say(messages.CARDS, {"epoch": epoch, "page": page, "data": b""})
        return now_ms  # what was said is not on its way yet

    def hear(self, said, now_ms):
        """Take a CARDS of the agent; the uplink's counter that says why not, or "".

        Raises OSError where flash does not take it: that ends the connection, the next one asks.
        """
        data, held, wanted = said["data"], self._held, self._wanted
        if said["page"]:
            if wanted is None or (said["epoch"], said["page"]) != (wanted[_EPOCH], self._page + 1):
                return "repeated"
            at = self._page * PAGE_BYTES
            if len(data) != min(PAGE_BYTES, wanted[_SIZE] - at):
                return "malformed"
            self._page += 1
            self._tries = 0
            self._due_ms = now_ms
            self._flash.program(wanted[0] * self._bank_bytes + at, data)
            return ""
        key, before = self._settings["device_key"], self._settings.get("previous_device_key")
        # The ledger vouches under the key of our newest record: that may be the one before ours.
        if before and self._recorder.is_sealed_with(before, self._recorder.head_seq()):
            key = before
        key = seal.derive(key, card_status.LABEL)
        try:
            warrant = seal.unseal(key, data[:WARRANT_BYTES], card_status.LABEL)
        except WireError:
            return "forged"
        warrant = struct.unpack(card_status.WARRANT, warrant)
        self._asks = False
        if held is not None and warrant[:2] <= held[_EPOCH:_SIZE]:
            return "repeated"
        if wanted is not None:
            return ""  # one thing after the other: what comes meanwhile is asked for behind it
        self._due_ms = now_ms
        if held is not None and (warrant[0], warrant[3]) == (held[_EPOCH], held[_CHAIN]):
            # Nothing has changed: the map is as young as that.
            self._held = held = held[:3] + warrant[:2] + held[_SIZE:]
            if now_ms >= self._keep_ms:
                self._use(held, now_ms)
        elif held is not None and said["epoch"] > held[_EPOCH]:
            self._asks = True  # something between the two got lost
            self._due_ms = now_ms + _GAP_MS
        elif not self._grow(said["epoch"], data[WARRANT_BYTES:], warrant, now_ms):
            self._wanted = (1 - held[0] if held else 0, 0, 0) + warrant
            self._page = self._tries = 0
        return ""

    def _grow(self, epoch, changes, warrant, now_ms):
        """Write what is new of `changes` behind ours; False if it has to be the whole map.

        `changes` begin behind `epoch`; none, and epoch 0: they are too many for a message.
        """
        if self._held is None or not self._may_grow:
            return False
        bank, behind, crc, ours, _, size, chain, digest = self._held
        changes = changes[(ours - epoch) * CHANGE_BYTES :]
        end = behind + len(changes)
        if ours + len(changes) // CHANGE_BYTES != warrant[0] or len(changes) % CHANGE_BYTES:
            return False
        if end > self._flash.sector_bytes:
            return False
        if card_status.chained(chain, changes) != warrant[3]:
            return False
        self._may_grow = False  # until it is known what stands there
        self._flash.program(bank * self._bank_bytes + self._changes_at + behind, changes)
        grown = (bank, end, crc32(changes, crc)) + warrant[:2] + (size, warrant[3], digest)
        self._may_grow = self._use(grown, now_ms)
        self._asks = self._may_grow  # so that the agent hears that we have it
        return self._may_grow

    def _is_ready(self, at, now_ms):
        """Whether the page at `at` can be asked for; behind the last one the map is put to use."""
        wanted, sector_bytes = self._wanted, self._flash.sector_bytes
        has_room = wanted[_SIZE] <= self._changes_at
        blank = [self._changes_at] if at == 0 else []
        if has_room and at < wanted[_SIZE] and at % sector_bytes == 0:
            blank.append(at)
        for place in blank:
            try:
                self._flash.erase((wanted[0] * self._bank_bytes + place) // sector_bytes)
            except OSError:
                pass  # what has not taken, the digest tells
        if has_room and at < wanted[_SIZE]:
            return True
        self._wanted = None
        self._asks = True  # what has come since
        self._may_grow = has_room and self._use(wanted, now_ms)
        self._due_ms = now_ms if self._may_grow else now_ms + _REST_MS
        return False

    def _use(self, held, now_ms):
        """From now on this is what holds, if it stands on flash; False if not, or it has no room.

        The whole is read once more: rot in a map that has not changed is found here too.
        """
        start, behind = held[0] * self._bank_bytes, held[1]
        found, whole = 0, hashlib.sha256()
        for at in range(0, behind, PAGE_BYTES):
            count = min(PAGE_BYTES, behind - at)
            found = crc32(self._read(start + self._changes_at + at, count), found)
        for at in range(0, held[_SIZE], PAGE_BYTES):
            whole.update(self._read(start + at, min(PAGE_BYTES, held[_SIZE] - at)))
        if (found, whole.digest()[:16]) != (held[2], held[_DIGEST]):
            return False
        try:
            self._recorder.keep(_KEPT_KEY, struct.pack(_KEPT, *held))
        except JournalFull:
            return False
        self._keep_ms = now_ms + _KEEP_MS
        self._held = held
        return True

    def _read(self, address, count):
        buffer = bytearray(count)
        self._flash.read(address, buffer)
        return bytes(buffer)
