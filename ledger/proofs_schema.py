"""Tables of what the books can prove; a migration of ledger/schema.py.

`reader_release`: a person has said that nothing more comes of a reader (`seq` 0; its head was
`head_seq` then), or that one of its records hides no spend (ledger/quiescence.py).
`carry_basis`: whether a carry-over, which is load `number`, rested on a proof that no spend of
before the report was missing, and the hash of what was proven, or of why not.
"""

PROOFS = """
CREATE TABLE reader_release (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    device INTEGER NOT NULL REFERENCES device (device),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    head_seq INTEGER NOT NULL CHECK (head_seq >= seq),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 1 AND 32)
) STRICT;

CREATE TABLE carry_basis (
    number INTEGER PRIMARY KEY REFERENCES load (number),
    is_proven INTEGER NOT NULL CHECK (is_proven IN (0, 1)),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32)
) STRICT;
"""
