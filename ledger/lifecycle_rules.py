"""What must always hold for the lives of cards: a part of ledger/invariants.py, as independent."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from ledger import chart
from ledger.card_fees import FEE_FEN
from ledger.dialect import Dialect, Row
from ledger.lifecycle import MAP_STATUS, states_after
from ledger.transfers import (
    FEE,
    FEE_LINE,
    FORFEIT,
    OFFSET,
    OFFSET_LINE,
    PENDING_LINE,
    PURSE_LINE,
    REFUND,
)
from protocols.rules.card_status import CLOSED

_KIND = 4294967296  # an account's number is kind * this + owner
_HOLDER, _PENDING = chart.HOLDER * _KIND, chart.PENDING * _KIND
_PAYOUT = chart.PAYOUT * _KIND
_STATUS_OF = """COALESCE((SELECT c.status FROM card_change c WHERE c.card_no = {}
            ORDER BY c.epoch DESC LIMIT 1), 0)"""
RULES = {
    "one person has one card": """
        SELECT holder, COUNT(*) FROM holding WHERE is_current = 1
        GROUP BY holder HAVING COUNT(*) > 1""",
    "a card is somebody's until it ends, and then nobody's": f"""
        SELECT g.card_no, g.is_current FROM holding g
        WHERE (g.is_current = 0) <> ({_STATUS_OF.format("g.card_no")} = {CLOSED})""",
    "who has said a change is on record with it": """
        SELECT a.epoch FROM card_act a LEFT JOIN card_change c ON c.epoch = a.epoch
        WHERE c.epoch IS NULL""",
    "a fee is paid in once for each card": f"""
        SELECT f.card_no, f.amount_fen, t.amount_fen FROM card_fee f
        LEFT JOIN transfer t ON t.device = {chart.LEDGER_DEVICE} AND t.seq = f.card_no
            AND t.line = {FEE_LINE} AND t.kind = {FEE}
            AND t.debit_account = {chart.BANK} AND t.credit_account = {chart.EARNED}
        WHERE f.amount_fen <> {FEE_FEN} OR t.amount_fen IS NULL OR t.amount_fen <> f.amount_fen
        UNION ALL SELECT t.seq, 0, t.amount_fen FROM transfer t
        LEFT JOIN card_fee f ON f.card_no = t.seq
        WHERE t.kind = {FEE} AND f.card_no IS NULL""",
    "a temporary card has its application, two signatures and its fee": """
        SELECT t.application, t.card_no FROM temporary_card t
        LEFT JOIN holding g ON g.card_no = t.card_no
        LEFT JOIN card_fee f ON f.card_no = t.card_no
        WHERE g.card_no IS NULL OR f.card_no IS NULL OR 2 <> (
            SELECT COUNT(DISTINCT a.person) FROM temporary_approval a
            WHERE a.application = t.application)""",
    "what an ended card had has gone one way, all of it, and the card has ended": f"""
        SELECT s.number, s.card_no, s.amount_fen, SUM(t.amount_fen) FROM card_settlement s
        LEFT JOIN transfer t ON t.device = {chart.LEDGER_DEVICE} AND t.seq = s.number
            AND t.line IN ({PURSE_LINE}, {PENDING_LINE})
            AND t.kind = CASE s.is_forfeit WHEN 1 THEN {FORFEIT} ELSE {REFUND} END
            AND t.debit_account = CASE t.line WHEN {PURSE_LINE}
                THEN {_HOLDER} ELSE {_PENDING} END + s.card_no
            AND t.credit_account = CASE s.is_forfeit
                WHEN 1 THEN {chart.FORFEITED} ELSE {_PAYOUT} + s.card_no END
        GROUP BY s.number, s.card_no, s.amount_fen
        HAVING s.amount_fen <> COALESCE(SUM(t.amount_fen), 0)
        OR {_STATUS_OF.format("s.card_no")} <> {CLOSED}""",
    "nothing else moves as if a card had ended": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN card_settlement s ON s.number = t.seq
        WHERE t.kind IN ({OFFSET}, {REFUND}, {FORFEIT}) AND (
            s.number IS NULL OR t.device <> {chart.LEDGER_DEVICE}
            OR (t.kind = {OFFSET}) <> (t.line = {OFFSET_LINE})
            OR t.kind = {OFFSET} AND (t.credit_account <> {_HOLDER} + s.card_no
                OR t.debit_account NOT IN ({_PENDING} + s.card_no, {chart.FORFEITED})))""",
    "nobody forfeits anything who was not told before": f"""
        SELECT s.number, s.card_no FROM card_settlement s
        WHERE s.is_forfeit = 1 AND s.amount_fen > 0 AND NOT EXISTS (
            SELECT 1 FROM transfer t
            JOIN leaving_notice n ON n.card_no IN (
                WITH RECURSIVE of_person (card_no) AS (
                    SELECT s.card_no
                    UNION SELECT CASE r.old_card WHEN o.card_no THEN r.new_card ELSE r.old_card END
                    FROM reissue r JOIN of_person o ON o.card_no IN (r.old_card, r.new_card))
                SELECT card_no FROM of_person)
            WHERE t.device = {chart.LEDGER_DEVICE} AND t.seq = s.number
            AND n.time_s < s.time_s)""",
    "a list is done by two signatures, and only what they have signed": """
        SELECT d.line, l.card_no FROM batch_done d
        LEFT JOIN batch_line l ON l.sha256 = d.sha256 AND l.line = d.line
        WHERE l.line IS NULL OR l.reason <> 0 OR 2 <> (
            SELECT COUNT(DISTINCT a.person) FROM batch_approval a WHERE a.sha256 = d.sha256)""",
}
FOLLOWS = "a card's changes follow the table of its life"
_CHANGES = "SELECT card_no, cause, status FROM card_change ORDER BY card_no, epoch"


def astray(database: Dialect) -> Iterator[Row]:
    """(card_no, what is wrong) of each card whose changes the table does not give."""
    for card_no, changes in groupby(database.rows(_CHANGES), key=itemgetter(0)):
        verbs, told = [], []
        for _card_no, verb, status in changes:
            verbs.append(verb)
            told.append(status)
        try:
            states = states_after(verbs)
        except ValueError as error:
            yield card_no, str(error)
            continue
        if [MAP_STATUS[state] for state in states[1:]] != told:
            yield card_no, f"is {states[-1]} and its map says {told[-1]}"
