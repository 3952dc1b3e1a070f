"""Puts loads on cards through readers: answers what they ask, one message at a time.

Rules of this file. Nothing is kept here that a restart may not forget: what decides whether a card
is credited once stands in the books (ledger/topups.py, a try is noted there before anything leaves
that could do it) and on the card. A message that is late, twice, or for nobody does nothing. The
card decides what a reader is told.
"""

import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger.card_credit import Credited, CreditRefused, Dialogue, Sold, credit
from ledger.carry_over import AFTER_S
from ledger.dialect import StoreUnavailable
from ledger.loads import Load
from ledger.store import LedgerStore
from ledger.topups import NotCovered, Pending
from protocols.card import ev2, purse_classic, purse_desfire
from protocols.card.credit_order import seal_order
from protocols.card.diversify import Cmac
from protocols.card.personalise import CREDIT_KEY
from protocols.card.purse import CARD_CENTRE, COUNTER_MAX
from protocols.rules.card_status import ACTIVE
from protocols.wire import messages

ASK_MS_MIN = 300  # between two asks of one reader
SESSION_MS = 8_000
STEPS_MAX = 40
ORDER_S = 60  # how long a reader may carry out an order, by its own clock

_SPOILT = (ev2.CardStatus, ev2.NotGenuine, ValueError, IndexError, struct.error)
_log = logging.getLogger(__name__)

Fields = dict[str, Any]


@dataclass(slots=True)
class Session:
    """A load that is offered to a DESFire at one reader; `dialogue` once the card lies there."""

    device: int
    nonce: bytes
    card_no: int
    counter: int  # as the reader says
    load: Load
    sold: Sold | None
    attempted_at: int | None
    credit_key: bytes
    until_ms: int
    dialogue: Dialogue | None = None
    step: int = 0


class CreditDesk:
    """Answers LOAD_ASKs. `credit_key` is the master (16 bytes) of the keys that credit cards.

    `ciphers` has aes and aes_cbc; random(n) gives n bytes; `utc_s` the time that stands on cards
    and in orders. What is left of a lost card goes to the next one `carry_over_after_s` behind the
    report of its loss, by `steady_s` (ledger/steady_clock.py; None: by `utc_s`). `counters`
    (name -> int) only grow.
    """

    hears = (messages.LOAD_ASK, messages.CARD_ANSWER)

    def __init__(
        self,
        store: LedgerStore,
        ciphers: Any,
        credit_key: bytes,
        random: Callable[[int], bytes],
        utc_s: Callable[[], int],
        carry_over_after_s: int = AFTER_S,
        steady_s: Callable[[], int] | None = None,
    ) -> None:
        self._store = store
        self._ciphers = ciphers
        self._master = Cmac(ciphers.aes(credit_key))
        self._random = random
        self._utc_s = utc_s
        self._carry_over_after_s = carry_over_after_s
        self._steady_s = steady_s or utc_s
        self._sessions: dict[int, Session] = {}  # by device
        self._asked_ms: dict[int, int] = {}
        names = (
            "asks",
            "too_often",
            "busy",
            "barred",
            "carried_over",
            "not_due",
            "orders",
            "offers",
            "commands",
            "loaded",
            "spoilt",
        )
        self.counters = dict.fromkeys((*names, "late", "store_unavailable"), 0)

    def answer(
        self, device: int, key: bytes, said: Fields, now_ms: int
    ) -> tuple[int, Fields] | None:
        """The kind and fields, but for the nonce, of the answer to `device`, or None.

        `key` is the one under which it has said `said`.
        """
        try:
            if said["kind"] == messages.LOAD_ASK:
                return self._asked(device, key, said, now_ms)
            return self._answered(device, said, now_ms)
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            self._sessions.pop(device, None)
            _log.error("no credit now: %s", error)
            return None

    # --- a reader asks -------------------------------------------------------------------------

    def _asked(
        self, device: int, key: bytes, ask: Fields, now_ms: int
    ) -> tuple[int, Fields] | None:
        self.counters["asks"] += 1
        if now_ms - self._asked_ms.get(device, -ASK_MS_MIN) < ASK_MS_MIN:
            self.counters["too_often"] += 1
            return None
        self._asked_ms[device] = now_ms
        card_no = ask["card_no"]
        if self._is_busy(device, card_no, ask["nonce"], now_ms):
            self.counters["busy"] += 1
            return None
        self._sessions.pop(device, None)
        if self._store.cards.status(card_no) != ACTIVE:
            self.counters["barred"] += 1  # it waits for the next card of its holder
            return None
        chip = self._store.chip(card_no)
        if chip is None or chip[0] != ask["chip"]:
            return None
        when = self._steady_s(), self._carry_over_after_s
        claimed = self._store.carry_overs.claim(card_no, *when)
        self.counters["carried_over"] += len(claimed)
        pending = self._store.top_ups.next_of(card_no, ask["counter"])
        if pending is None:
            return self._later(card_no)
        if ask["counter"] >= COUNTER_MAX:
            return None  # a card that is worn, or a reader that makes it up
        if (ask["last_device"], ask["last_seq"]) == (CARD_CENTRE, pending.load.number):
            return None  # it is there: the records that say so are under way
        if chip[0] == messages.CLASSIC:
            return self._order(device, key, ask, pending, chip[1])
        return self._offer(device, ask, pending, chip[1], now_ms)

    def _later(self, card_no: int) -> tuple[int, Fields] | None:
        """What a holder hears for whom something is frozen whose time has not come."""
        frozen = self._store.carry_overs.frozen(card_no, self._carry_over_after_s)
        if not any(one.amount_fen for one in frozen):
            return None
        self.counters["not_due"] += 1
        return messages.LOAD_END, {"result": messages.NOT_COMMITTED}

    def _is_busy(self, device: int, card_no: int, nonce: bytes, now_ms: int) -> bool:
        """Whether this ask is an old one, or another reader is at work on the same card."""
        own = self._sessions.get(device)
        if own is not None and own.nonce == nonce:
            return True
        return any(
            session.card_no == card_no
            and session.device != device
            and session.dialogue is not None
            and now_ms < session.until_ms
            for session in self._sessions.values()
        )

    def _order(
        self, device: int, key: bytes, ask: Fields, pending: Pending, uid: bytes
    ) -> tuple[int, Fields] | None:
        """All that a Classic needs, if no earlier order can have been carried out."""
        counter, load = ask["counter"], pending.load
        # An order fits one counter. The card has not gone on from here; one step behind its try
        # it names something else; of any other step the books have to tell first.
        if any(tried not in (counter, counter - 1) for tried in pending.tries):
            return None
        try:
            self._store.top_ups.note_try(load.number, counter, device)
        except NotCovered as error:
            _log.info("no order now: %s", error)
            return None
        order = {
            "device": device,
            "card_no": load.card_no,
            "counter": counter,
            "number": load.number,
            "amount_fen": load.amount_fen,
            "expires_s": self._utc_s() + ORDER_S,
        }
        sector = purse_classic.VALUE_BLOCKS[0] // purse_classic.BLOCKS_PER_SECTOR
        credit_key = purse_classic.sector_key(self._master, uid, CREDIT_KEY, sector)
        self.counters["orders"] += 1
        return messages.LOAD_ORDER, {"order": seal_order(self._ciphers, key, order, credit_key)}

    def _offer(
        self, device: int, ask: Fields, pending: Pending, uid: bytes, now_ms: int
    ) -> tuple[int, Fields]:
        """What a DESFire is going to get: its ring tells which of the earlier tries was one."""
        load = pending.load
        credit_key = purse_desfire.application_key(self._master, uid, purse_desfire.CREDIT_KEY)
        self._sessions[device] = Session(
            device,
            ask["nonce"],
            load.card_no,
            ask["counter"],
            load,
            pending.sold,
            max(pending.tries, default=None),
            credit_key,
            now_ms + SESSION_MS,
        )
        self.counters["offers"] += 1
        return messages.LOAD_OFFER, {"number": load.number, "amount_fen": load.amount_fen}

    # --- a card answers ------------------------------------------------------------------------

    def _answered(self, device: int, said: Fields, now_ms: int) -> tuple[int, Fields] | None:
        session = self._sessions.get(device)
        if session is None or session.nonce != said["nonce"] or now_ms >= session.until_ms:
            self.counters["late"] += 1
            return None
        if said["step"] != session.step:
            return None  # twice, or out of order
        is_first = session.dialogue is None
        if is_first == bool(said["answer"]) or session.step >= STEPS_MAX:
            return self._end(session, messages.UNKNOWN)  # the card has left
        if is_first:
            # Another may have been faster since the offer, or a record has told of it.
            if self._is_busy_elsewhere(session, now_ms) or not self._still_waits(session):
                return self._end(session, messages.NOT_COMMITTED)
            session.until_ms = now_ms + SESSION_MS
            session.dialogue = self._dialogue(session)
        return self._next(session, said["answer"])

    def _next(self, session: Session, answer: bytes) -> tuple[int, Fields]:
        dialogue = session.dialogue
        assert dialogue is not None
        try:
            command = dialogue.send(answer) if answer else next(dialogue)
        except StopIteration as end:
            return self._carried(session, end.value)
        except CreditRefused as refusal:
            _log.warning("card %d gets no credit now: %s", session.card_no, refusal)
            return self._end(session, messages.NOT_COMMITTED)
        except _SPOILT as error:
            self.counters["spoilt"] += 1
            _log.info("a credit was broken off: %r", error)
            return self._end(session, messages.UNKNOWN)
        session.step += 1
        self.counters["commands"] += 1
        return messages.CARD_COMMAND, {"step": session.step, "command": command}

    def _carried(self, session: Session, told: Credited) -> tuple[int, Fields]:
        """The card has said under its own key that it carries the load."""
        self._store.top_ups.note_carried(
            session.load.number, told.counter, told.balance_fen, told.transaction_mac
        )
        self.counters["loaded"] += 1
        # Without a MAC it had come before: the reader's try has not changed the card.
        is_new = bool(told.transaction_mac)
        return self._end(session, messages.COMMITTED if is_new else messages.NOT_COMMITTED)

    def _end(self, session: Session, result: int) -> tuple[int, Fields]:
        del self._sessions[session.device]
        return messages.LOAD_END, {"result": result}

    def _is_busy_elsewhere(self, session: Session, now_ms: int) -> bool:
        return self._is_busy(session.device, session.card_no, b"", now_ms)

    def _still_waits(self, session: Session) -> bool:
        """Whether the load is still the next one, and the card in use; takes up what was tried."""
        if self._store.cards.status(session.card_no) != ACTIVE:
            return False
        pending = self._store.top_ups.next_of(session.card_no, session.counter)
        if pending is None or pending.load.number != session.load.number:
            return False
        session.attempted_at = max(pending.tries, default=None)
        return True

    def _dialogue(self, session: Session) -> Dialogue:
        number, device = session.load.number, session.device

        def note_try(counter: int) -> None:
            try:
                self._store.top_ups.note_try(number, counter, device)
            except NotCovered as error:
                raise CreditRefused(str(error)) from error

        return credit(
            self._ciphers,
            session.credit_key,
            session.load.amount_fen,
            number,
            self._utc_s(),
            self._random,
            note_try,
            session.attempted_at,
            session.sold,
        )
