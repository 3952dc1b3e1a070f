"""What the ledger says of a spend above the floor limit, before anything is written (ADR 65).

Rules of this file. It is asked with a card lying there and everything else in order, and said
again until it answers or its time is over. Its word is for this card and this amount, for a
minute and for one spend; tries of the PIN may move the card's counter on meanwhile. Silence is a
word too: then the spend is one without network. Nothing is kept over a boot: it is asked anew.
"""

from protocols.rules import reasons, screens
from protocols.rules.spending import PIN_TRIES_MAX
from protocols.wire import messages

ANSWER_MS = 3000  # for the ledger's word
GOOD_MS = 60000  # for so long that holds: whoever is asked for a PIN has 30 s
_AGAIN_MS = 1000
_NONCE_BYTES = 8


class Floor:
    """One question at a time; `load` speaks and listens for it."""

    def __init__(self, board, load):
        self._urandom = board.urandom
        self._load = load
        self._nonce = self._end = b""
        self._about = None  # (card_no, amount_fen, counter) of the question
        self._word = None  # what was said of it; None: nothing yet
        self._said_ms = self._until_ms = 0

    def word(self, card, amount_fen, now_ms):
        """APPROVED, why not, OFFLINE after silence, ONE_MOMENT before; None: it was not asked.

        `card` is a purse view.
        """
        about = self._about
        if about is None or about[:2] != (card.card_no, amount_fen) or now_ms >= self._until_ms:
            return None
        # A no is for what was shown: another card of that number may be the one in order.
        may_move = PIN_TRIES_MAX if self._word in (reasons.APPROVED, reasons.OFFLINE) else 0
        if not 0 <= card.counter - about[2] <= may_move:
            return None
        if self._word is None:
            self._listen(now_ms)
        return screens.ONE_MOMENT if self._word is None else self._word

    def ask(self, card, amount_fen, now_ms):
        """Begin to ask; ONE_MOMENT."""
        self._about, self._word = (card.card_no, amount_fen, card.counter), None
        self._nonce, self._end = self._urandom(_NONCE_BYTES), b""
        self._until_ms = now_ms + GOOD_MS
        self._say(now_ms)
        return screens.ONE_MOMENT

    def end(self):
        """The spend was made, or may have been: the next one is asked about anew."""
        self._about = None

    def _listen(self, now_ms):
        load = self._load
        if now_ms >= self._until_ms - GOOD_MS + ANSWER_MS or load.unheard == self._end != b"":
            self._word = reasons.OFFLINE
            return
        said = load.told.pop(messages.SPEND_ANSWER, None)
        if said and said["nonce"] == self._nonce:
            reason = said["reason"]
            is_status = reasons.CARD_LOST <= reason <= reasons.CARD_CLOSED
            is_known = is_status or reason == reasons.APPROVED
            self._word = reason if is_known else reasons.CARD_BEHIND
        elif not self._end or now_ms - self._said_ms >= _AGAIN_MS:
            self._say(now_ms)

    def _say(self, now_ms):
        fields = {"card_no": self._about[0], "amount_fen": self._about[1]}
        fields["counter"] = self._about[2]
        self._end = self._load.relay(messages.SPEND_ASK, fields, self._nonce) or b""
        self._said_ms = now_ms
