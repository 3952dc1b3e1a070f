"""The device's side of delivery: which of our records are where, and what to send next.

    OFFLINE --connected--> HELLO --STORED--> IDLE <--STORED-- WAITING
                            ^  ^              |  ---batch-->     |
                            |  +--quiet-------+                  |
                            +-----------no STORED in time--------+

Rules of this file. One BATCH is outstanding at most. Only a receipt frees a record; STORED moves
the cursor forward, or backward (the agent lost its disk) where it answers a HELLO; it never frees.
Nothing here depends on a message arriving once, or at all. Sequences are uint32 from 1; 0: none.
"""

OFFLINE, HELLO, IDLE, WAITING = 0, 1, 2, 3
NOTHING, SEND_HELLO, SEND_BATCH = 0, 1, 2

STORED_MS = 5000  # how long an answer may take before we ask again
STORED_MS_MAX = 60000
QUIET_MS = 60000  # an idle link is asked this often whether the agent is still there

STORED_BEYOND_HEAD = 161
RECEIPT_BEYOND_HEAD = 162


class DeliveryError(Exception):
    """An answer that cannot be about our journal: `code` is a number of this module.

    In words: delivery_texts.py, which no reader imports.
    """

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Delivery:
    """Cursors and time-outs of one device; the caller moves the bytes.

    head: newest sequence in the journal. receipted: booked up to here. stored: the agent holds up
    to here (at least `receipted`). sent: last sequence of the outstanding BATCH, else `stored`.
    answering: the agent has answered on this connection and owes no answer that is overdue.
    """

    def __init__(self, head, receipted):
        self.state = OFFLINE
        self.head = head
        self.receipted = self.stored = self.sent = receipted
        self.answering = False
        self._due_ms = 0
        self._hello_ms = self._batch_ms = STORED_MS
        self._asked = False  # the HELLO of this state HELLO has been sent

    # -- what happened ----------------------------------------------------------------------

    def connected(self, now_ms):
        """A new connection hears us and we hear it."""
        self._hello_ms = self._batch_ms = STORED_MS
        self._ask(now_ms)

    def disconnected(self):
        """The connection is gone, and with it every answer we waited for."""
        self.state = OFFLINE
        self.answering = False
        self.sent = self.stored

    def advance(self, head):
        """The journal has grown to `head`."""
        self.head = head

    def on_stored(self, upto, now_ms):
        """The agent says that it holds everything up to `upto`; DeliveryError if it cannot."""
        if upto > self.head:
            raise DeliveryError(STORED_BEYOND_HEAD)
        self.answering = True
        upto = max(upto, self.receipted)
        if self.state != HELLO and upto <= self.stored:
            # Says nothing new, so it is an old one. Following it would send a batch again, whose
            # answers would send more again; and if the agent did lose records, the time-out asks.
            return
        if upto > self.stored:
            self._batch_ms = STORED_MS
        self.stored = self.sent = upto
        self._hello_ms = STORED_MS
        self._rest(now_ms)

    def on_receipt(self, upto, now_ms):
        """A verified receipt: True if it frees records, False if it is an old one."""
        if upto > self.head:
            raise DeliveryError(RECEIPT_BEYOND_HEAD)
        if upto <= self.receipted:
            return False
        self.receipted = upto
        self.stored = max(self.stored, upto)
        if self.state == WAITING and upto >= self.sent:
            # Booked is more than stored.
            self._batch_ms = STORED_MS
            self._rest(now_ms)
        self.sent = max(self.sent, self.stored)
        return True

    # -- what to do -------------------------------------------------------------------------

    def wanted(self, now_ms):
        """NOTHING, SEND_HELLO or SEND_BATCH (from `stored` + 1): what to send at `now_ms`.

        The caller confirms with hello_sent or batch_sent; unconfirmed it is wanted again.
        """
        if self.state == WAITING and now_ms >= self._due_ms:
            self._batch_ms = min(2 * self._batch_ms, STORED_MS_MAX)
            self.answering = False
            self.sent = self.stored
            self._ask(now_ms)
        elif self.state == HELLO and self._asked and now_ms >= self._due_ms:
            self._hello_ms = min(2 * self._hello_ms, STORED_MS_MAX)
            self.answering = False
            self._ask(now_ms)
        elif self.state == IDLE and self.stored < self.head:
            return SEND_BATCH
        elif self.state == IDLE and now_ms >= self._due_ms:
            self._ask(now_ms)
        return SEND_HELLO if self.state == HELLO and not self._asked else NOTHING

    def hello_sent(self, now_ms):
        """The HELLO that was wanted is on its way."""
        self._asked = True
        self._due_ms = now_ms + self._hello_ms

    def batch_sent(self, upto, now_ms):
        """The BATCH that was wanted is on its way; its last record is `upto`."""
        self.state = WAITING
        self.sent = upto
        self._due_ms = now_ms + self._batch_ms

    def due_ms(self, now_ms):
        """When `wanted` has to be asked again, unless something happens before."""
        if self.state == OFFLINE:
            return now_ms + QUIET_MS
        if self.state == HELLO and not self._asked:
            return now_ms
        if self.state == IDLE and self.stored < self.head:
            return now_ms
        return self._due_ms

    def _ask(self, now_ms):
        self.state = HELLO
        self._asked = False
        self._due_ms = now_ms

    def _rest(self, now_ms):
        self.state = IDLE
        self._due_ms = now_ms + QUIET_MS
