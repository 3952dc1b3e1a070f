"""The table of policies, a part of schema.py: which limits each reader shall have, by whom."""

POLICIES = """
CREATE TABLE policy_change (
    device INTEGER NOT NULL REFERENCES device (device),
    epoch INTEGER NOT NULL CHECK (epoch BETWEEN 1 AND 4294967295),
    policy BLOB NOT NULL CHECK (length(policy) BETWEEN 1 AND 160),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (device, epoch)
) STRICT;
-- Of BOOTs, which say what a reader has.
CREATE INDEX record_booted ON record ((device + 0), (seq + 0)) WHERE kind = 1;
"""
