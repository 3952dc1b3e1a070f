"""Whether every intent is what all evidence says, found anew: a part of ledger/invariants.py.

Rules of this file. COMMITTED is the highest that anything can state: an intent that is that and
whose own OUTCOME, the record behind it, says so needs no other witness: nearly all are like that,
and one join finds them. For the others their OUTCOMEs are read, and the intents of their card next
to them; from those the states are found anew, from nothing up.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from ledger.dialect import Dialect, Row
from ledger.evidence import Intent, State, stated_by, stated_by_outcome, verdict
from ledger.loading import INTENT_COLUMNS, intent_of
from protocols.wire import cbor, messages, seal
from protocols.wire.errors import WireError

IS_THE_EVIDENCE = "an intent is what all evidence says"
_TAG_BYTES = 2 + seal.TAG_BYTES  # with its head: what stands behind a record's payload
_REACH = 2  # counters behind its own at which other intents of the card may speak of one
# The last fields of an OUTCOME: intent_device, intent_seq, result.
_PAID = b"\x0a" + cbor.encode(messages.COMMITTED)
# Each intent, and the record behind it if that is an OUTCOME.
_WITH_NEXT = f"""
SELECT i.device, i.seq, i.state, o.sealed FROM intent i
LEFT JOIN record o ON o.device = i.device AND o.seq = i.seq + 1 AND o.kind = {messages.OUTCOME}"""
_OTHER_OUTCOMES = f"""
SELECT o.device, o.seq, o.sealed FROM record o
LEFT JOIN intent i ON i.device = o.device AND i.seq = o.seq - 1
WHERE o.kind = {messages.OUTCOME} AND (i.seq IS NULL OR i.state <> {int(State.COMMITTED)})"""
_THESE = f"""
WITH k (reader, place) AS (VALUES {{keys}})
SELECT {INTENT_COLUMNS} FROM k CROSS JOIN intent WHERE device = reader AND seq = place"""
_NEAR = f"""
WITH k (number, step) AS (VALUES {{keys}})
SELECT {INTENT_COLUMNS} FROM k CROSS JOIN intent
WHERE card_no = number AND counter BETWEEN step AND step + {_REACH}"""


def wrong_verdicts(database: Dialect) -> Iterator[Row]:
    """(device, seq, what is stored, what it should be) of each intent that is not as it should."""
    doubtful, said = [], []
    for device, seq, state, sealed in database.rows(_WITH_NEXT):
        if state == State.COMMITTED and sealed is not None and _says_paid(device, seq, sealed):
            continue
        doubtful.append((device, seq))
        if state == State.COMMITTED and sealed is not None:
            said.append((device, seq + 1, sealed))
    if not doubtful:
        return
    stored = [intent_of(row) for row in database.rows_of(_THESE, doubtful)]
    afresh = {intent.record_id: replace(intent, state=State.PENDING) for intent in stored}
    for target, result in _told([*said, *database.rows(_OTHER_OUTCOMES)]):
        if target in afresh:
            intent = afresh[target]
            intent.state = verdict((intent.state, stated_by_outcome(intent, result)))
    of_card: dict[int, dict[tuple[int, int], Intent]] = defaultdict(dict)
    for intent in afresh.values():
        of_card[intent.card_no][intent.record_id] = intent
    places = {(intent.card_no, intent.counter) for intent in stored}
    for row in database.rows_of(_NEAR, sorted(places)):
        near = intent_of(row)
        # Whoever is not in doubt is COMMITTED.
        of_card[near.card_no].setdefault(near.record_id, near)
    for intents in of_card.values():
        _settle(list(intents.values()), afresh)
    for intent in stored:
        should_be = afresh[intent.record_id].state
        if intent.state is not should_be:
            yield *intent.record_id, intent.state.name, should_be.name


def _says_paid(device: int, seq: int, sealed: bytes) -> bool:
    """Whether an OUTCOME, which is canonical, ends in: of this intent, committed."""
    tail = b"\x08" + cbor.encode(device) + b"\x09" + cbor.encode(seq) + _PAID
    return bytes(sealed[:-_TAG_BYTES]).endswith(tail)


def _told(rows: list[Row]) -> Iterator[tuple[tuple[int, int], int]]:
    """(intent, result) of every OUTCOME that may speak of it.

    What is kept as one and is none says nothing; that its reader's chain is broken there is told
    by ledger/chain_check.py.
    """
    for device, seq, sealed in rows:
        try:
            fields = messages.decode_record(seal.payload_of(sealed))
        except WireError:
            continue
        if fields["kind"] != messages.OUTCOME:
            continue
        target = fields["intent_device"], fields["intent_seq"]
        # Nobody knows the outcome of what it has still to begin.
        if target[0] != device or target[1] < seq:
            yield target, fields["result"]


def _settle(intents: list[Intent], afresh: dict[tuple[int, int], Intent]) -> None:
    """All that the intents of one card say about those of `afresh`, until nothing new is said."""
    at: dict[int, list[Intent]] = defaultdict(list)
    for intent in intents:
        at[intent.counter].append(intent)
    is_new = True
    while is_new:
        is_new = False
        for intent in intents:
            if intent.record_id not in afresh:
                continue
            near = [one for step in range(_REACH + 1) for one in at.get(intent.counter + step, ())]
            said = [stated_by(other, intent) for other in near if other is not intent]
            state = verdict([intent.state, *said])
            is_new = is_new or state is not intent.state
            intent.state = state
