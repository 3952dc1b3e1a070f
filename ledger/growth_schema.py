"""What books need that have grown, a part of schema.py."""

GROWTH = """
-- What merchants took: a day is one stretch of it, and as time goes on it grows at its end. All
-- that ledger/takings.py asks for stands in it, or SQLite would look into the table as well.
CREATE INDEX intent_taken ON intent (earliest_s, merchant_no, amount_fen, state, credit_no)
    WHERE state = 3 AND credit_no = 0;
CREATE TRIGGER account_is_itself BEFORE UPDATE OF id ON account
BEGIN SELECT RAISE(ABORT, 'an account keeps its number'); END;
"""

# Only PostgreSQL's tables change (ledger/postgres_schema.py): a portion costs its server less.
PORTIONS = "-- nothing\n"
