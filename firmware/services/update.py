"""A role's part in firmware updates: it hears of one, makes room for it, and proves itself.

Rules of this file. The role fetches nothing: with a warrant in its key-value store it restarts,
when nobody is there, on mains, and its clock surely inside the window; what is restarted is the
updater beside it in its image (roles/updater.py), which comes back on any trouble. An image on
trial is proven by a minute of steps with a front end that holds its settings, a journal that can
be read, and an agent that answers; any other image by the minute alone. See rules/slots.py. What
was come back from is kept until it is on record: whoever runs and has room for it writes it down.
"""

import struct

from firmware.drivers.mfrc522 import BusFault
from firmware.services import built
from protocols.rules import release, slots
from protocols.wire import messages
from protocols.wire.errors import WireError

# The warrant, behind: whether the updater runs next, how often it has run, pages on flash.
STORED_AS = "update"
HEAD = "<BBH"
HEAD_BYTES = 4
GO = b"\x01"
TRIES_MAX = 5
PROOF_MS = 60000
_LONG_MS = 86400000


class Update:
    """For a reader with two slots; without them it says nothing, hears nothing, wants nothing.

    What `uplink` brings of cards goes on to whoever has listened before.
    """

    def __init__(self, board, recorder, clock, uplink):
        self._board = board
        self._recorder = recorder
        self._clock = clock
        self._uplink = uplink
        self._due_ms = board.ticks_ms() + PROOF_MS
        if board.stored(slots.STORED_AS):
            self._cards = uplink.on_cards
            uplink.on_cards = self.hear

    def hear(self, said, now_ms):
        """Take a CARDS of the agent; see CardMap.hear."""
        if said["page"] != release.PAGE:
            return self._cards(said, now_ms) if self._cards else "foreign"
        board, data = self._board, said["data"]
        warrant = self.opened(data)
        if warrant is None:
            return "forged"
        held = self.opened(board.stored(STORED_AS)[HEAD_BYTES:])
        blob = board.stored(slots.STORED_AS)
        failed = int.from_bytes(blob[slots.FAILED : slots.FAILED_END], "little")
        is_for_us = release.is_for(warrant, built.VERSION, built.PROGRAM, failed)
        # What is said again wears no flash.
        if not is_for_us or (held and warrant[release.EXPIRES_S] <= held[release.EXPIRES_S]):
            return "repeated"
        board.store(STORED_AS, bytes(HEAD_BYTES) + data)
        return ""

    def idle(self, pcd, is_free, now_ms):
        """Prove this image, or make room for another if `is_free`: nobody is there, and nothing is
        keyed or owed. When to call again."""
        if now_ms < self._due_ms:
            return self._due_ms
        self._due_ms = now_ms + PROOF_MS
        board = self._board
        blob, stored = board.stored(slots.STORED_AS), board.stored(STORED_AS)
        if not blob:
            self._due_ms = now_ms + _LONG_MS
            return self._due_ms
        if is_free:
            blob = self.tell_failed(blob, now_ms)
        is_online = self._uplink.online
        if blob[slots.BOOTS]:
            is_fit = True
            if blob[slots.IS_TRIAL]:
                try:
                    pcd.chip.ensure()
                    is_fit = is_online and self._recorder.newest() and pcd.chip.is_set_up()
                except (BusFault, WireError):
                    is_fit = False
            if not is_fit:
                return self._due_ms
            try:
                proven = blob[: slots.IS_TRIAL] + bytes(2) + blob[slots.FAILED :]
                board.store(slots.STORED_AS, proven)
            except OSError:
                return self._due_ms  # worn; it is tried again
        is_free = is_free and is_online and board.power.mains()
        if is_free and len(stored) > HEAD_BYTES and stored[1] < TRIES_MAX:
            warrant = self.opened(stored[HEAD_BYTES:])
            if warrant and release.is_time(warrant, self._clock.interval_ms(now_ms)):
                try:
                    board.store(STORED_AS, GO + stored[1:])
                except OSError:
                    return self._due_ms
                board.restart()
        return self._due_ms

    def tell_failed(self, blob, now_ms):
        """Have on record what was come back from, and forget it only then; the value since."""
        reason, rest = blob[slots.FAILED_END : slots.REASON_END], blob[slots.REASON_END :]
        if any(reason):
            recorder = self._recorder
            seq = recorder.head_seq()
            version = int.from_bytes(blob[slots.FAILED : slots.FAILED_END], "little")
            reason = int.from_bytes(reason, "little")
            recorder.note(messages.UPDATE, now_ms, version=version, reason=reason)
            if recorder.head_seq() != seq:
                blob = blob[: slots.FAILED_END] + bytes(2) + rest
                try:
                    self._board.store(slots.STORED_AS, blob)
                except OSError:
                    self._due_ms = now_ms + _LONG_MS  # worn; not a record each minute
        return blob

    def opened(self, sealed):
        """The warrant in `sealed` as a tuple (rules/release.py); None: it is not the ledger's."""
        body = self._recorder.opened(sealed, release.LABEL)
        return body and struct.unpack(release.WARRANT, body)
