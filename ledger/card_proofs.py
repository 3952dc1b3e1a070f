"""Did the card really take part? What DESFire cards have signed, checked against what was booked.

A spend at a DESFire brings the MAC that the card has put on its transaction (OUTCOME, card_proof).
No reader can make it, so a reader that lies about amount, card or record is found here. Reading
only; a proof that does not fit opens a question about the reader or the card, it unbooks nothing.

| finding    | what it says                                                                  |
|------------|-------------------------------------------------------------------------------|
| NOT_SIGNED | the MAC is not what this card makes of this record                            |
| NOT_ALONE  | the card has been in a transaction that did not move its counter              |
| TWICE      | two records with the same transaction of one card, both with the right MAC    |
| NO_PROOF   | debited without a word from the card, which had signed others of this reader  |

TWICE is two cards with one set of keys, a clone of silicon that nobody should be able to make.
NO_PROOF happens to honest readers: the card left before its answer, and was settled elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ledger.evidence import State
from ledger.store import LedgerStore
from protocols.card import purse_desfire as layout
from protocols.card import transaction_mac
from protocols.card.diversify import Cmac
from protocols.card.purse import COUNTER_MAX, PurseState, decode_state, encode_record
from protocols.wire import messages, seal

_DEBITS = f"""
SELECT i.card_no, i.counter, i.device, i.seq, r.sealed
FROM intent i JOIN record r ON r.device = i.device AND r.seq = i.seq
WHERE i.state = {int(State.COMMITTED)} AND i.credit_no = 0
ORDER BY i.card_no, i.counter, i.device, i.seq"""
_OUTCOMES = f"""
SELECT sealed FROM record WHERE kind = {messages.OUTCOME} ORDER BY device, seq"""

RecordId = tuple[int, int]


class Doubt(StrEnum):
    """What does not fit."""

    NOT_SIGNED = "the card did not sign this"
    NOT_ALONE = "a transaction beside the purse"
    TWICE = "one transaction, two records"
    NO_PROOF = "no proof"


@dataclass(frozen=True, slots=True)
class Finding:
    """A debit, by its INTENT's record id, that its card does not vouch for."""

    doubt: Doubt
    card_no: int
    counter: int
    device: int
    seq: int
    tmc: int | None  # the card's own count of its transactions, as the record says it


@dataclass(frozen=True, slots=True)
class Checked:
    """How many debits of known DESFire cards their cards vouch for, and the rest."""

    proven: int
    findings: tuple[Finding, ...]


def check(store: LedgerStore, ciphers: Any, uids: Mapping[int, bytes], master: bytes) -> Checked:
    """Check every debit of the cards in `uids` (card_no -> UID), which are DESFires.

    `master` is the master key (16 bytes) of transaction MACs; `ciphers` has aes and aes_cbc.
    """
    proofs = _proofs(store)
    cmac = Cmac(ciphers.aes(master))
    findings, proven = [], 0
    seen: dict[tuple[int, int], RecordId] = {}
    keys: dict[int, bytes] = {}
    for card_no, counter, device, seq, sealed in store.database.rows(_DEBITS):
        if card_no not in uids:
            continue
        proof = proofs.get((device, seq))
        tmc = None if proof is None else transaction_mac.parts_of(proof)[0]
        key = keys.get(card_no)
        if key is None:
            key = keys[card_no] = transaction_mac.card_key(cmac, uids[card_no])
        intent = messages.decode_record(seal.payload_of(sealed))
        doubt = _doubt(ciphers, key, uids[card_no], intent, proof)
        if doubt in (None, Doubt.NOT_ALONE) and tmc is not None:
            first = seen.setdefault((card_no, tmc), (device, seq))
            doubt = doubt if first == (device, seq) else Doubt.TWICE
        if doubt is None:
            proven += 1
        else:
            findings.append(Finding(doubt, card_no, counter, device, seq, tmc))
    return Checked(proven, tuple(findings))


def _proofs(store: LedgerStore) -> dict[RecordId, bytes]:
    proofs: dict[RecordId, bytes] = {}
    for (sealed,) in store.database.rows(_OUTCOMES):
        fields = messages.decode_record(seal.payload_of(sealed))
        if "card_proof" in fields:
            proofs[fields["intent_device"], fields["intent_seq"]] = fields["card_proof"]
    return proofs


def _doubt(
    ciphers: Any, key: bytes, uid: bytes, intent: Mapping[str, Any], proof: bytes | None
) -> Doubt | None:
    if proof is None:
        return Doubt.NO_PROOF
    tmc, period_use, signed, usage = transaction_mac.parts_of(proof)
    state = _state_after(intent, usage, period_use)
    if state is None:
        return Doubt.NOT_SIGNED
    previous = intent["last_device"], intent["last_seq"]
    made = transaction_mac.debit_mac(ciphers, key, uid, tmc, state, intent["amount_fen"], previous)
    if made != signed:
        return Doubt.NOT_SIGNED
    return None if tmc == state.counter else Doubt.NOT_ALONE


def _state_after(intent: Mapping[str, Any], usage: bytes, period_use: int) -> PurseState | None:
    """What a debit left: `usage` and `period_use` from the card's proof, the rest from its INTENT.

    None for a counter that no card has.
    """
    counter = intent["counter"] + 1
    if counter > COUNTER_MAX:
        return None
    record = PurseState(0, 0)
    record.last_device, record.last_seq = intent["device"], intent["seq"]
    record.last_time_s, record.last_amount_fen = intent["earliest_s"], intent["amount_fen"]
    record.period_use = period_use
    whole = counter.to_bytes(layout.COUNTER_BYTES, "big") + usage
    return decode_state(whole, encode_record(record), intent["after_fen"])
