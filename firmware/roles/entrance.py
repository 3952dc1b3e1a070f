"""What a door and a lock have in common: a card is held to them, judged, and written down.

Who may enter is rules/access.py, by a map on flash; what opens is the role's.
"""

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.services.access_map import AccessMap, CardsPart
from firmware.services.books import open_books
from firmware.services.card_map import CardMap
from firmware.services.credential import Credentials
from firmware.services.front_end_watch import FrontEndWatch
from firmware.services.journal import JournalFull
from protocols.rules import access, reasons
from protocols.wire import messages
from protocols.wire.errors import WireError

OLD_READ_KEY = "old_read_key"  # in the board's key-value store, while cards get new keys
# Wrong tries: whose card this is, nobody here knows or wants to know.
WRONG = (
    reasons.WRONG_KEY,
    reasons.FOREIGN_CARD,
    access.NO_ACCESS,
    reasons.CARD_LOST,
    reasons.PIN_WRONG,
)
# Nobody was refused.
UNRECORDED = (reasons.CARD_GONE, reasons.JOURNAL_FULL)
_VIEWS_MAX = 12  # lengths of frames, see mfrc522_bus.py: a Classic has 11
# An input that chatters is told once in so long, where it changes nothing, and then in so many
# times as long, until it has been quiet for as long or the state has changed.
NOTE_MS, NOTE_MS_MAX, NOTE_TIMES = 1000, 600000, 10


class Entrance:
    """The books, maps and card front end of a board, and what is made of a card."""

    def __init__(self, board, front_end, journal, now_ms):
        self._board = board
        self._front_end = front_end or Pcd(Mfrc522(board))
        self._front_end.chip.views_max = _VIEWS_MAX
        self._recorder, self._clock, self._uplink = open_books(board, now_ms, journal)
        self._card_map = CardMap(CardsPart(board), self._recorder, self._uplink)
        self._access_map = AccessMap(board, self._recorder, self._uplink)
        self._policy = board.settings["policy"]
        self._credentials = Credentials(board, self._front_end, board.stored(OLD_READ_KEY))
        self._watch = FrontEndWatch(self._front_end, self._recorder)
        self._tries = access.Tries()
        self._noted_ms = {}  # event -> (until when it is no news, for how long that was)
        self._is_resting = False  # the card in the field has been answered
        self._has_gap = False  # something has happened that could not be written

    def _read_rights(self, now_ms):
        """Who may enter from now on; where that cannot be read nobody may, and it is told."""
        self._access = access.whole(b"")
        try:
            self._access = self._access_map.rights()
        except WireError as error:
            self._recorder.note(messages.FAULT, now_ms, network=0, last_reason=error.code)

    def _decide(self, identity, now_ms):
        """reasons.APPROVED, or why this card does not open now."""
        interval_ms = self._clock.interval_ms(now_ms)
        known = self._card_map.known(identity.card_no)
        return self._access.decide(identity, interval_ms, self._policy, now_ms, *known)

    def _record(self, kind, now_ms, **fields):
        """Write a record; where that cannot be, the next one that can has one before it saying so.

        A door without a journal goes on: nobody is kept out, or in, for want of paper.
        """
        try:
            if self._has_gap:
                self._recorder.write(
                    messages.FAULT,
                    now_ms,
                    network=1 if self._uplink.online else 0,
                    last_reason=reasons.JOURNAL_FULL,
                )
                self._has_gap = False
            self._recorder.write(kind, now_ms, **fields)
        except JournalFull:
            self._has_gap = True

    def _is_news(self, event, now_ms, has_changed=False, times=NOTE_TIMES):
        """Whether an event is worth a record now; `has_changed`: the state, which always is.

        While it goes on it is told again in so many `times` as long, each time.
        """
        if has_changed:
            self._noted_ms.clear()
            return True
        until_ms, pause_ms = self._noted_ms.get(event, (0, 0))
        if now_ms < until_ms:
            return False
        goes_on = now_ms - until_ms < pause_ms
        pause_ms = min(pause_ms * times, NOTE_MS_MAX) if goes_on else NOTE_MS
        self._noted_ms[event] = now_ms + pause_ms, pause_ms
        return True
