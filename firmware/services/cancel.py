"""The last sale is cancelled while its card lies here (FN 7): decide, CANCEL on flash, then tell.

Rules of this file:
- only the newest sale of this reader, only a committed one, with the card that paid it, within
  `cancel_window_s` by every clock, online, and once. The journal is the memory of all that, so a
  boot forgets nothing of it, and allows nothing;
- a record that cannot be read may have been a CANCEL: what stands before it is not cancelled here;
- a payment by code is not cancelled: no card lies here, and its money was never on one;
- no card is written. The ledger gives the money back to what waits for the card, and load.py
  brings it, now or at a later tap (docs/adr/0016-cancel.md);
- what the card counts, the sum of its day and that since its last PIN, stays as it is.

Functions and no class: one takes 400 bytes more of a heap that is nearly full.
"""

from protocols.rules import reasons, screens
from protocols.wire import messages

_LOOK_BACK = 40  # records; a boot and a refusal are one each


def find(recorder, till, power, network, now_ms, card_no=0, amount_fen=0):
    """(APPROVED, the INTENT) of the sale that may be cancelled now, or (why none may, None).

    `power` and `network` in the words of rules/posture.py. Why none may is a record, with the card
    that was there for it, if one was.
    """
    reason, sale = _newest(recorder, till, power, network, now_ms)
    if reason != reasons.APPROVED:
        till.refuse(reason, card_no, amount_fen, now_ms)
    return reason, sale


def _newest(recorder, till, power, network, now_ms):
    reason = till.bars(power, network, now_ms)
    if reason == reasons.APPROVED and network != "online":
        reason = reasons.OFFLINE
    if reason != reasons.APPROVED:
        return reason, None
    results = {}
    head_seq = recorder.head_seq()
    for seq in range(head_seq, max(head_seq - _LOOK_BACK, 0), -1):
        record = recorder.fields(seq)
        if record is None:
            break
        kind = record["kind"]
        if kind == messages.CANCEL:
            return reasons.CANCELLED_ALREADY, None
        if kind == messages.CODE_SALE and record["result"] == messages.COMMITTED:
            return reasons.CODE_NO_CANCEL, None
        if kind == messages.OUTCOME:
            results.setdefault(record["intent_seq"], record["result"])
        elif kind == messages.INTENT and not record["flags"] & messages.FLAG_TRY:
            result = results.get(seq, messages.UNKNOWN)
            if result == messages.UNKNOWN:
                return reasons.ASK_LEDGER, None
            if result == messages.COMMITTED:
                reason = till.is_recent(record, now_ms)
                return reason, None if reason else record
    return reasons.NOTHING_TO_CANCEL, None


def take(recorder, till, sale, purse, power, network, now_ms):
    """(number, amount_fen, balance_fen): screens.CANCELLED, or the reason why not.

    Of a `sale` that `find` has found; all is looked at once more, for time has gone by. `purse` is
    a Purse not yet read; it may raise what the card front end raises. JournalFull: nothing was
    written.
    """
    view = purse.read()
    amount_fen = sale["amount_fen"]
    # One that shows to be where it was before the sale is not the card that paid it.
    if view.card_no != sale["card_no"] or view.counter <= sale["counter"]:
        return reasons.SAME_CARD_PLEASE, amount_fen, view.balance_fen
    reason, _ = find(recorder, till, power, network, now_ms, view.card_no, amount_fen)
    if reason != reasons.APPROVED:
        return reason, amount_fen, view.balance_fen
    recorder.write(
        messages.CANCEL,
        now_ms,
        intent_device=sale["device"],
        intent_seq=sale["seq"],
        card_no=view.card_no,
        amount_fen=amount_fen,
    )
    till.cancelled(sale["seq"])
    return screens.CANCELLED, amount_fen, view.balance_fen
