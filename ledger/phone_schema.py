"""Tables of phones that an app has bound; in the migration of ledger/ending_schema.py.

Of a phone there is the hash of the name that its app has for it. `reference`: under which the
app's own proof of the holder's name is found there. `phone_refusal`: who was not the holder.
"""

PHONE_APPS = """
CREATE TABLE phone_app (
    card_no INTEGER NOT NULL,
    binding INTEGER NOT NULL,
    client TEXT NOT NULL CHECK (length(client) BETWEEN 1 AND 16),
    request_no TEXT NOT NULL CHECK (length(request_no) BETWEEN 1 AND 64),
    phone_sha256 BLOB NOT NULL CHECK (length(phone_sha256) = 32),
    reference TEXT NOT NULL CHECK (length(reference) BETWEEN 1 AND 64),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (card_no, binding),
    UNIQUE (client, request_no),
    FOREIGN KEY (card_no, binding) REFERENCES phone_proof (card_no, binding)
) STRICT, WITHOUT ROWID;
CREATE INDEX phone_app_of ON phone_app (phone_sha256);
CREATE TABLE phone_refusal (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    client TEXT NOT NULL CHECK (length(client) BETWEEN 1 AND 16),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE INDEX phone_refusal_of ON phone_refusal (card_no, time_s);
"""
PHONE_JOURNALS = ("phone_app", "phone_refusal")
# For LedgerStore.dump.
DUMP = {
    "phone_app": "SELECT card_no, binding, client, request_no, phone_sha256, reference"
    " FROM phone_app ORDER BY card_no, binding",
    "phone_refusal": "SELECT number, card_no, client FROM phone_refusal ORDER BY number",
}
