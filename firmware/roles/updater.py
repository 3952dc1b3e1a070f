"""The updater: in place of the role it fetches the other image, and puts that to use if whole.

Rules of this file. It runs once for each time that the role has made room for it: whatever ends
it, the next boot runs the role. Pages may come from anybody; what counts is the digest in the
warrant, over all that was read back from flash. How far it has come is kept, so that the next run
goes on there. It ends as soon as somebody presses a key, the mains go, or the window is over.
Records go on being sent meanwhile: journal, clock and uplink are the role's own. Where an image
was come back from it runs too, and writes that down; what it cannot, the role does.
"""

import hashlib
import struct

from firmware.drivers.pole_display import PoleDisplay
from firmware.services import built
from firmware.services.books import open_books
from firmware.services.journal import Journal
from firmware.services.update import HEAD, HEAD_BYTES, STORED_AS, TRIES_MAX, Update
from protocols.rules import release, slots
from protocols.rules.release import PAGE_BYTES
from protocols.wire import messages

_ANSWER_MS = 3000  # for a page
_SILENCE_MS = 120000  # without any: the agent does not have it
_KEEP_PAGES = 64  # between two notes of how far it has come
_LOOK_MS = 50
_NONE = b"\x00"  # in the warrant's place


def build(board):
    """The updater on a board with `image_flash`: an object with step(now_ms) -> due_ms."""
    recorder, clock, uplink = open_books(board, board.ticks_ms(), Journal(board.flash))
    return Updater(board, recorder, clock, uplink)


class Updater(Update):
    """One run; it ends with board.restart()."""

    def __init__(self, board, recorder, clock, uplink):
        super().__init__(board, recorder, clock, uplink)
        self._flash = board.image_flash
        self._display = PoleDisplay(board.display)
        uplink.on_cards = self.hear
        blob = board.stored(slots.STORED_AS)
        self._state = slots.decode(blob)
        stored = board.stored(STORED_AS)
        self._sealed = stored[HEAD_BYTES:]
        self._warrant = self.opened(self._sealed)
        self._tries, self._page = 0, 0
        self._due_ms = self._heard_ms = board.ticks_ms()
        self._is_ours = False
        if self._state is None:
            return
        self._state = slots.decode(self.tell_failed(blob, board.ticks_ms()))
        if self._warrant is None:
            return
        failed = self._state[slots.FAILED]
        self._is_ours = release.is_for(self._warrant, built.VERSION, built.PROGRAM, failed)
        if not self._is_ours:
            board.store(STORED_AS, _NONE)
            return
        _, self._tries, self._page = struct.unpack(HEAD, stored[:HEAD_BYTES])
        self._tries += 1
        slot_bytes = self._flash.size_bytes // 2
        self._slot_bytes, self._start = slot_bytes, (1 - self._state[slots.IN_USE]) * slot_bytes
        if slots.image(self._state, 1 - self._state[slots.IN_USE])[1]:
            self._page = 0
            self._state = slots.emptied(self._state)
            board.store(slots.STORED_AS, slots.encode(self._state))
        self._keep()

    def step(self, now_ms):
        """Ask for the next page, or end; when to call again."""
        warrant = self._warrant
        if not self._is_ours or not self._board.power.mains():
            return self._end()
        if not release.is_time(warrant, self._clock.interval_ms(now_ms)):
            return self._end()
        if self._board.keypad.read():
            return self._end()  # somebody needs this reader now
        if warrant[release.SIZE] > self._slot_bytes:
            return self._give_up(release.IMAGE_TOO_LONG, now_ms)
        if self._page * PAGE_BYTES >= warrant[release.SIZE]:
            return self._finish(now_ms)
        if now_ms - self._heard_ms >= _SILENCE_MS:
            return self._fail(release.NOT_ANSWERED, now_ms)
        percent = 100 * self._page * PAGE_BYTES // warrant[release.SIZE]
        self._display.show("FIRMWARE UPDATE", "%d%%" % percent)
        due_ms = self._uplink.step(now_ms)
        if now_ms >= self._due_ms and self._uplink.online:
            name = warrant[release.DIGEST][: release.NAME_BYTES]
            asked = {"epoch": warrant[release.VERSION], "page": self._asked(), "data": name}
            if self._uplink.say(messages.CARDS, asked):
                self._due_ms = now_ms + _ANSWER_MS
                return now_ms  # what was said is not on its way yet
        return min(due_ms, max(self._due_ms, now_ms + _LOOK_MS))

    def hear(self, said, now_ms):
        """Take a CARDS of the agent: the page that was asked for, and nothing else."""
        warrant = self._warrant
        if not self._is_ours or said["page"] == release.PAGE:
            return "repeated"
        if (said["epoch"], said["page"]) != (warrant[release.VERSION], self._asked()):
            return "repeated"
        at = self._page * PAGE_BYTES
        if at >= warrant[release.SIZE] or len(said["data"]) != min(
            PAGE_BYTES, warrant[release.SIZE] - at
        ):
            return "malformed"
        self._heard_ms = self._due_ms = now_ms
        if not self._write(self._start + at, said["data"]):
            self._fail(release.FLASH_FAILED, now_ms)
            return "refused"
        self._page += 1
        if self._page % _KEEP_PAGES == 0:
            self._keep()
        return ""

    def _asked(self):
        return release.PAGE + 1 + self._page

    def _write(self, at, data):
        """Whether a page stands on flash; the first one of a sector erases that."""
        flash, found = self._flash, bytearray(len(data))
        try:
            if at % flash.sector_bytes == 0:
                flash.erase(at // flash.sector_bytes)
            flash.program(at, data)
            flash.read(at, found)
        except OSError:
            return False
        return found == data

    def _finish(self, now_ms):
        """All pages are here: use the image from the next boot on, if it is the ledger's."""
        warrant, whole = self._warrant, hashlib.sha256()
        size_bytes, page = warrant[release.SIZE], bytearray(PAGE_BYTES)
        for at in range(0, size_bytes, PAGE_BYTES):
            part = memoryview(page)[: min(PAGE_BYTES, size_bytes - at)]
            self._flash.read(self._start + at, part)
            whole.update(part)
        if whole.digest() != warrant[release.DIGEST]:
            self._page = 0
            return self._fail(release.IMAGE_WRONG, now_ms)
        told = warrant[release.VERSION], size_bytes, warrant[release.DIGEST]
        self._board.store(slots.STORED_AS, slots.encode(slots.switched(self._state, *told)))
        self._board.store(STORED_AS, _NONE)
        return self._end()

    def _give_up(self, reason, now_ms):
        """Not before the ledger has another word for it."""
        self._tries = TRIES_MAX
        return self._fail(reason, now_ms)

    def _fail(self, reason, now_ms):
        version = self._warrant[release.VERSION]
        self._recorder.note(messages.UPDATE, now_ms, version=version, reason=reason)
        self._keep()
        return self._end()

    def _keep(self):
        head = struct.pack(HEAD, 0, self._tries, self._page)
        self._board.store(STORED_AS, head + self._sealed)

    def _end(self):
        """The next boot runs the role."""
        self._board.restart()
        return self._board.ticks_ms()
