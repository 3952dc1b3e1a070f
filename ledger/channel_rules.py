"""What must always hold for channels' top-ups: a part of ledger/invariants.py, as independent."""

from ledger import chart
from ledger.transfers import REPAY, REPAY_LINE, TOP_UP, TOP_UP_LINE
from protocols.card.purse import CARD_CENTRE

_KIND = 4294967296  # an account's number is kind * this + owner
RULES = {
    "a channel's top-up is a load that its bank has paid for": f"""
        SELECT c.channel, c.order_no, c.number, t.amount_fen FROM channel_topup c
        JOIN load l ON l.number = c.number
        LEFT JOIN transfer t ON t.device = {CARD_CENTRE} AND t.seq = c.number
            AND t.line = {TOP_UP_LINE} AND t.kind = {TOP_UP} AND t.debit_account = {chart.BANK}
        WHERE t.amount_fen IS NULL OR t.amount_fen <> l.amount_fen
        OR l.order_id <> 'topup\t' || c.channel || '\t' || c.order_no""",
    "a load that names a channel's order is that of this order": """
        SELECT l.number, l.order_id FROM load l
        LEFT JOIN channel_topup c ON c.number = l.number
        WHERE l.order_id LIKE 'topup\t%' AND c.number IS NULL""",
    "a cancelled top-up went back to the bank, all of it, and was never offered": f"""
        SELECT c.number, l.amount_fen, t.amount_fen, e.number FROM topup_cancel c
        JOIN load l ON l.number = c.number
        LEFT JOIN load_end e ON e.number = c.number
        LEFT JOIN transfer t ON t.device = {CARD_CENTRE} AND t.seq = c.number
            AND t.line = {REPAY_LINE} AND t.kind = {REPAY}
            AND t.debit_account = {chart.PENDING * _KIND} + l.card_no
            AND t.credit_account = {chart.BANK}
        WHERE e.number IS NULL OR t.amount_fen IS NULL OR t.amount_fen <> l.amount_fen
        OR EXISTS (SELECT 1 FROM load_try y WHERE y.number = c.number)""",
    "an order that is void was never booked": """
        SELECT v.channel, v.order_no FROM topup_void v
        JOIN channel_topup c ON c.channel = v.channel AND c.order_no = v.order_no""",
    "nothing is repaid but a cancelled top-up": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN topup_cancel c ON c.number = t.seq AND t.device = {CARD_CENTRE}
        WHERE t.kind = {REPAY} AND (c.number IS NULL OR t.line <> {REPAY_LINE})""",
}
