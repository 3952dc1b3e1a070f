"""What must always hold for codes: a part of ledger/invariants.py, as independent."""

from collections.abc import Iterator

from ledger import chart, reasons
from ledger.dialect import Dialect, Row
from ledger.reservations import Settled
from ledger.transfers import ACQUIRE, CODE_SALE, RESERVE, RESERVE_LINE, SETTLE_LINE, VOID
from protocols.rules.card_status import CLOSED
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

_KIND = 4294967296  # an account's number is kind * this + owner
RULES = {
    "what is reserved for a card is what nothing has settled yet": f"""
        SELECT a.id, a.balance_fen, COALESCE(SUM(r.amount_fen), 0) FROM account a
        LEFT JOIN reservation r ON r.card_no = a.owner AND r.state = {int(Settled.OPEN)}
        WHERE a.kind = {chart.RESERVED}
        GROUP BY a.id, a.balance_fen
        HAVING a.balance_fen <> COALESCE(SUM(r.amount_fen), 0) OR a.balance_fen < 0""",
    "a reservation has left the pending account once, with its amount": f"""
        SELECT r.number, r.amount_fen, t.amount_fen FROM reservation r
        LEFT JOIN transfer t ON t.device = r.device AND t.seq = r.seq
            AND t.line = {RESERVE_LINE} AND t.kind = {RESERVE}
            AND t.debit_account = {chart.PENDING * _KIND} + r.card_no
            AND t.credit_account = {chart.RESERVED * _KIND} + r.card_no
        WHERE t.amount_fen IS NULL OR t.amount_fen <> r.amount_fen""",
    "a reservation that is settled has gone to its merchant or back, once, all of it": f"""
        SELECT r.number, r.state, t.kind, t.amount_fen FROM reservation r
        JOIN device d ON d.device = r.device
        LEFT JOIN transfer t ON t.device = r.device AND t.seq = r.seq AND t.line = {SETTLE_LINE}
        WHERE (t.kind IS NOT NULL) <> (r.state <> {int(Settled.OPEN)})
        OR t.amount_fen <> r.amount_fen
        OR t.debit_account <> {chart.RESERVED * _KIND} + r.card_no
        OR t.kind <> CASE r.state WHEN {int(Settled.SOLD)} THEN {CODE_SALE} ELSE {VOID} END
        OR (t.kind = {VOID} AND t.credit_account <> {chart.PENDING * _KIND} + r.card_no)
        OR (t.kind = {CODE_SALE} AND t.credit_account <> {chart.MERCHANT * _KIND} + d.merchant_no
            AND t.credit_account NOT BETWEEN
                {chart.SUSPENSE * _KIND} AND {chart.FEES * _KIND - 1})""",
    "every transfer of a payment by code belongs to a reservation": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN reservation r ON r.device = t.device AND r.seq = t.seq
        WHERE t.kind IN ({RESERVE}, {CODE_SALE}, {VOID}) AND r.number IS NULL
        OR (t.kind = {RESERVE}) <> (t.line = {RESERVE_LINE})
        OR (t.kind IN ({CODE_SALE}, {VOID}, {ACQUIRE})) <> (t.line = {SETTLE_LINE})""",
    "an entry by identity code is a record of the door that was answered": f"""
        SELECT e.number, e.device, e.seq FROM code_entry e
        LEFT JOIN code_answer a ON a.number = e.number AND a.device = e.device
        LEFT JOIN record r ON r.device = e.device AND r.seq = e.seq AND r.kind = {messages.ENTRY}
        WHERE a.number IS NULL OR r.seq IS NULL""",
    "a card that has ended has no phone": f"""
        SELECT p.card_no FROM phone p WHERE length(p.sealed_seed) > 0 AND {CLOSED} = (
            SELECT c.status FROM card_change c WHERE c.card_no = p.card_no
            ORDER BY c.epoch DESC LIMIT 1)""",
    "a phone that was bound was bound to somebody who had proven who they are": """
        SELECT f.card_no, f.binding FROM phone_proof f
        LEFT JOIN phone p ON p.card_no = f.card_no
        WHERE p.card_no IS NULL OR p.binding < f.binding""",
    "what was promised to a card is kept from codes": f"""
        SELECT a.id, a.floor_fen FROM account a WHERE a.kind = {chart.PENDING}
        AND a.floor_fen <> (
            SELECT COALESCE(SUM(l.amount_fen), 0) FROM load l
            WHERE l.card_no = a.owner AND l.is_loaded = 0
            AND NOT EXISTS (SELECT 1 FROM load_end e WHERE e.number = l.number)
            AND (EXISTS (SELECT 1 FROM load_try t WHERE t.number = l.number)
                OR EXISTS (SELECT 1 FROM cancel c WHERE c.number = l.number)))""",
}
IS_AS_TOLD = "a payment by code is what its record tells, unless a person had to say"
_DECIDED = """
SELECT r.number, r.amount_fen, r.state, c.kind, c.sealed FROM reservation r
LEFT JOIN record c ON c.device = r.device AND c.seq = r.seq
WHERE r.by_person = 0"""
# So too what an acquirer takes; where nobody knows of its money, it waits for a person.
_DECIDED_THERE = f"""
SELECT o.number, o.amount_fen, o.state, c.kind, c.sealed, EXISTS (
    SELECT 1 FROM suspense_case s WHERE s.reason = {reasons.UNHEARD_SALE}
    AND s.device = o.device AND s.seq = o.seq)
FROM acquirer_order o
LEFT JOIN record c ON c.device = o.device AND c.seq = o.seq
WHERE o.by_person = 0"""


def wrongly_settled(database: Dialect) -> Iterator[Row]:
    """(number, state) of each reservation whose record says otherwise, worked out afresh."""
    for number, amount_fen, state, kind, sealed in database.rows(_DECIDED):
        if Settled(state) is not _told(number, amount_fen, kind, sealed):
            yield number, state
    for number, amount_fen, state, kind, sealed, is_unheard in database.rows(_DECIDED_THERE):
        told = _told(number, amount_fen, kind, sealed)
        if Settled(state) is not (Settled.OPEN if is_unheard else told):
            yield number, state


def _told(number: int, amount_fen: int, kind: int | None, sealed: bytes) -> Settled:
    if kind is None or kind == messages.LOST:
        return Settled.OPEN
    try:
        said = messages.decode_record(seal.payload_of(sealed))
    except WireError:
        return Settled.OPEN
    if kind != messages.CODE_SALE or said["kind"] != kind or said["result"] != messages.COMMITTED:
        return Settled.VOID
    fits = (said["number"], said["amount_fen"]) == (number, amount_fen)
    return Settled.SOLD if fits else Settled.VOID
