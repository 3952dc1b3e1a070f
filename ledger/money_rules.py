"""What must always hold where money leaves a card: a part of ledger/invariants.py."""

RULES = {
    # Settlements of before there was a basis have smaller numbers than the first that has one.
    "a settlement rests on a proof, or on a person who has named what is not proven": """
        SELECT s.number, s.card_no FROM card_settlement s
        LEFT JOIN settlement_basis b ON b.number = s.number
        WHERE b.number IS NULL AND s.number > (SELECT MIN(number) FROM settlement_basis)
        OR b.number IS NOT NULL AND (b.person <> '') <> EXISTS (
            SELECT 1 FROM settlement_despite d WHERE d.number = s.number)""",
    "a list that was done has two signatures, and its sum is that of its lines": """
        SELECT r.kind, r.name, l.amount_fen FROM money_run r
        LEFT JOIN money_list l ON l.sha256 = r.sha256
        WHERE l.sha256 IS NULL OR l.kind <> r.kind OR l.name <> r.name
        OR 2 <> (SELECT COUNT(DISTINCT a.person) FROM money_approval a WHERE a.sha256 = r.sha256)
        OR l.lines <> (SELECT COUNT(*) FROM money_line m WHERE m.sha256 = r.sha256)
        OR l.amount_fen <> (SELECT COALESCE(SUM(m.amount_fen), 0) FROM money_line m
            WHERE m.sha256 = r.sha256 AND m.reason = 0)""",
    "a subsidy that is done is one load of its card, with its amount and its name": """
        SELECT r.name, d.line, o.number FROM subsidy_done d
        JOIN money_run r ON r.sha256 = d.sha256
        LEFT JOIN money_line m ON m.sha256 = d.sha256 AND m.line = d.line
        LEFT JOIN load o ON o.number = d.number
        WHERE m.line IS NULL OR r.kind <> 'subsidy' OR m.reason <> 0
        OR (d.reason = 0) <> (o.number IS NOT NULL)
        OR o.card_no <> m.card_no OR o.amount_fen <> m.amount_fen
        OR o.order_id <> 'subsidy/' || r.name || '/' || d.line""",
    # Files of before they were signed have no run.
    "a file of refunds has what two persons have signed, each payment once": """
        SELECT r.name, m.line, COUNT(t.number) FROM money_run r
        JOIN money_line m ON m.sha256 = r.sha256
        LEFT JOIN payout_try t ON t.file = r.name AND t.settlement = m.line
        LEFT JOIN card_settlement s ON s.number = t.settlement
            AND s.card_no = m.card_no AND s.amount_fen = m.amount_fen
        WHERE r.kind = 'refund'
        GROUP BY r.name, m.line HAVING COUNT(s.number) <> 1 OR COUNT(t.number) <> 1
        UNION ALL SELECT t.file, t.settlement, 0 FROM payout_try t
        JOIN money_run r ON r.kind = 'refund' AND r.name = t.file
        LEFT JOIN money_line m ON m.sha256 = r.sha256 AND m.line = t.settlement
        WHERE m.line IS NULL""",
}
