"""What must always hold where money leaves a card: a part of ledger/invariants.py."""

RULES = {
    # Settlements of before there was a basis have smaller numbers than the first that has one.
    "a settlement rests on a proof, or on a person who has named what is not proven": """
        SELECT s.number, s.card_no FROM card_settlement s
        LEFT JOIN settlement_basis b ON b.number = s.number
        WHERE b.number IS NULL AND s.number > (SELECT MIN(number) FROM settlement_basis)
        OR b.number IS NOT NULL AND (b.person <> '') <> EXISTS (
            SELECT 1 FROM settlement_despite d WHERE d.number = s.number)""",
}
