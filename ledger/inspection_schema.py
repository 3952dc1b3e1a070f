"""A way to the records of inspections and fault reports; a migration of ledger/schema.py.

They are one in a thousand records, and asked for by day (ledger/inspections.py). The numbers are
INSPECTION and FAULT of protocols.wire.messages; the query has to say all of it in the same words.
By the bare columns SQLite would go through a reader's whole journal: it takes the primary key.
"""

INSPECTIONS = """
CREATE INDEX record_inspected ON record ((device + 0), (seq + 0)) WHERE kind IN (12, 13);
"""
