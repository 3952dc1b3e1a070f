"""What must always hold for replaced cards: a part of ledger/invariants.py, as independent."""

from ledger import chart, reasons
from ledger.evidence import State
from ledger.made_good import CORRECTED_FEN
from ledger.transfers import (
    BEAR,
    BEAR_LINE,
    CARRY_LINE,
    CARRY_OVER,
    COVER,
    COVER_LINE,
    FORFEIT,
    MADE_GOOD_LINE,
    OFFSET,
    RECOVER,
    RECOVER_LINE,
    REFUND,
    REPAY,
    UNDO,
    UNDO_LINE,
)
from protocols.card.purse import CARD_CENTRE
from protocols.rules.card_status import CLOSED, LOST

_KIND = 4294967296  # an account's number is kind * this + owner
_HOLDER, _PENDING = chart.HOLDER * _KIND, chart.PENDING * _KIND
_WHILE_LOST = chart.loss(reasons.SPENT_WHILE_LOST)
_LATE = chart.loss(reasons.LATE_SPEND)
_GOING = f"{CARRY_OVER}, {RECOVER}, {COVER}, {REPAY}, {OFFSET}, {REFUND}, {FORFEIT}"
# Of accounts: what has left each for the next card, for who has borne it, for the channel that had
# paid it in, or with the card's end, less what came back. What went on at once was no load. All of
# them at once: a look at every transfer for each account would take days where there are many.
GONE_ON = f"""(
            SELECT e.id, SUM(e.amount_fen) AS amount_fen FROM (
                SELECT t.debit_account AS id, t.amount_fen FROM transfer t
                WHERE t.kind IN ({_GOING}) AND t.line <> {MADE_GOOD_LINE}
                UNION ALL SELECT t.credit_account, -t.amount_fen FROM transfer t
                WHERE t.kind = {UNDO}) e
            GROUP BY e.id)"""
# Cards that nobody finds again, each with the report of its loss: another is in its place, or it
# has ended while it was lost.
_LOST_FOR_GOOD = f"""(
            SELECT old_card AS card_no, lost_s FROM reissue
            UNION ALL SELECT e.card_no, l.time_s FROM card_change e
            JOIN card_change l ON l.card_no = e.card_no AND l.status = {LOST} AND l.epoch = (
                SELECT MAX(p.epoch) FROM card_change p
                WHERE p.card_no = e.card_no AND p.epoch < e.epoch)
            WHERE e.status = {CLOSED}
            AND NOT EXISTS (SELECT 1 FROM reissue r WHERE r.old_card = e.card_no))"""
RULES = {
    "a replaced card is closed, and was lost before": f"""
        SELECT r.old_card, r.new_card, r.lost_s FROM reissue r
        WHERE COALESCE((SELECT c.status FROM card_change c WHERE c.card_no = r.old_card
            ORDER BY c.epoch DESC LIMIT 1), 0) <> {CLOSED}
        OR NOT EXISTS (SELECT 1 FROM card_change c
            WHERE c.card_no = r.old_card AND c.time_s = r.lost_s)""",
    "what is carried over goes from a replaced card to one behind it": f"""
        WITH RECURSIVE follows (old_card, new_card) AS (
            SELECT old_card, new_card FROM reissue
            UNION SELECT f.old_card, r.new_card FROM follows f
            JOIN reissue r ON r.old_card = f.new_card)
        SELECT t.device, t.seq, t.debit_account, t.credit_account FROM transfer t
        WHERE t.kind = {CARRY_OVER} AND (t.line <> {CARRY_LINE} OR NOT EXISTS (
            SELECT 1 FROM follows f
            WHERE t.debit_account IN ({_HOLDER} + f.old_card, {_PENDING} + f.old_card)
            AND t.credit_account = {_PENDING} + f.new_card))""",
    "a load that has ended was cancelled, or its card has, and comes on it no more": f"""
        SELECT e.number, l.card_no, l.is_loaded, t.amount_fen FROM load_end e
        JOIN load l ON l.number = e.number
        LEFT JOIN reissue r ON r.old_card = l.card_no
        LEFT JOIN transfer t ON t.device = {CARD_CENTRE} AND t.seq = e.number
            AND t.line = {UNDO_LINE} AND t.kind = {UNDO}
            AND t.debit_account = {_HOLDER} + l.card_no
            AND t.credit_account = {_PENDING} + l.card_no
        LEFT JOIN topup_cancel p ON p.number = e.number
        WHERE (COALESCE(r.old_card, p.number) IS NULL AND NOT EXISTS (
            SELECT 1 FROM card_change c WHERE c.card_no = l.card_no AND c.status = {CLOSED}))
        OR (l.is_loaded = 1) <> (t.seq IS NOT NULL)
        OR t.amount_fen <> l.amount_fen""",
    "nothing is undone but a load that has ended": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN load_end e ON e.number = t.seq AND t.device = {CARD_CENTRE}
        WHERE t.kind = {UNDO} AND (e.number IS NULL OR t.line <> {UNDO_LINE})""",
    "what the card centre bears is a spend of a card lost for good, not more, and has a case": f"""
        SELECT t.device, t.seq, t.debit_account, t.amount_fen FROM transfer t
        LEFT JOIN intent i ON i.device = t.device AND i.seq = t.seq
        LEFT JOIN {_LOST_FOR_GOOD} r ON r.card_no = i.card_no
        LEFT JOIN suspense_case c ON c.device = t.device AND c.seq = t.seq
            AND t.debit_account = {chart.LOSS * _KIND} + c.reason
        WHERE t.kind = {BEAR} AND (
            t.line <> {BEAR_LINE} OR r.card_no IS NULL OR c.reason IS NULL
            OR i.state <> {int(State.COMMITTED)} OR t.credit_account <> {_HOLDER} + i.card_no
            OR t.debit_account NOT IN ({_WHILE_LOST}, {_LATE}) OR t.amount_fen > i.amount_fen
            OR (t.debit_account = {_WHILE_LOST}
                AND (t.amount_fen <> i.amount_fen - {CORRECTED_FEN} OR i.latest_s < r.lost_s)))""",
    "a spend of after the loss of a card lost for good is not its holder's": f"""
        SELECT i.device, i.seq FROM intent i
        JOIN {_LOST_FOR_GOOD} r ON r.card_no = i.card_no AND i.latest_s >= r.lost_s
        JOIN suspense_case c ON c.reason = {reasons.SPENT_WHILE_LOST}
            AND c.device = i.device AND c.seq = i.seq
        WHERE i.state = {int(State.COMMITTED)} AND i.amount_fen > {CORRECTED_FEN}
        AND i.credit_no = 0
        AND NOT EXISTS (SELECT 1 FROM transfer t WHERE t.kind = {BEAR}
            AND t.device = i.device AND t.seq = i.seq)
        AND NOT EXISTS (SELECT 1 FROM cancel s
            WHERE s.device = i.device AND s.intent_seq = i.seq)""",
    "a purse that was carried over lacks nothing": f"""
        SELECT a.id, a.balance_fen FROM account a
        WHERE a.kind = {chart.HOLDER} AND a.balance_fen < 0 AND a.id IN (
            SELECT t.debit_account FROM transfer t WHERE t.kind = {CARRY_OVER})""",
    "who has borne a cancelled sale has it back once its money goes on": f"""
        SELECT c.device, c.intent_seq, b.amount_fen, t.amount_fen FROM cancel c
        JOIN load_end e ON e.number = c.number
        LEFT JOIN transfer b ON b.device = c.device AND b.seq = c.intent_seq AND b.kind = {BEAR}
        LEFT JOIN transfer t ON t.device = c.device AND t.seq = c.intent_seq
            AND t.line = {RECOVER_LINE} AND t.kind = {RECOVER}
            AND t.credit_account = COALESCE((
                SELECT p.debit_account FROM correction p
                JOIN correction_approval a ON a.number = p.number
                WHERE p.device = b.device AND p.seq = b.seq
                AND p.credit_account = b.debit_account LIMIT 1), b.debit_account)
        WHERE COALESCE(b.amount_fen, 0) <> COALESCE(t.amount_fen, 0)""",
    "what covers an overdrawn purse is what a cancelled sale gave back, and not more": f"""
        SELECT t.device, t.seq, t.line, t.amount_fen FROM transfer t
        LEFT JOIN load_end e ON e.number = t.seq
        LEFT JOIN load l ON l.number = e.number
        LEFT JOIN cancel c ON c.number = e.number
        LEFT JOIN transfer b ON b.device = c.device AND b.seq = c.intent_seq
            AND b.line = {RECOVER_LINE} AND b.kind = {RECOVER}
        WHERE t.kind = {COVER} AND (c.number IS NULL OR t.line <> {COVER_LINE}
            OR t.debit_account <> {_PENDING} + l.card_no
            OR t.credit_account <> {_HOLDER} + l.card_no
            OR t.amount_fen + COALESCE(b.amount_fen, 0) > l.amount_fen)""",
    "nothing is recovered but what was borne of a cancelled sale": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN cancel c ON c.device = t.device AND c.intent_seq = t.seq
        LEFT JOIN load_end e ON e.number = c.number
        WHERE t.kind = {RECOVER} AND t.line <> {MADE_GOOD_LINE}
        AND (e.number IS NULL OR t.line <> {RECOVER_LINE})""",
}
