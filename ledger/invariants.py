"""What must always hold in the books, checked from outside the code that keeps them.

Rules of this file. Nothing here is shared with booking but the tables, the seals and the table of
evidence. Each query returns the rows that break its rule; no rows is the only good answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger import (
    acquirer_rules,
    aggregate,
    channel_rules,
    chart,
    code_rules,
    debt_rules,
    dossier_rules,
    ending_rules,
    fraud_rules,
    lifecycle_rules,
    loss_reports,
    money_rules,
    people_rules,
    period_rules,
    reissue_rules,
    verdict_rules,
)
from ledger.chain_check import first_break
from ledger.evidence import State
from ledger.loading import keys_of
from ledger.payments import rules as payment_rules
from ledger.reservations import Settled
from ledger.store import LedgerStore
from ledger.transfers import (
    CANCEL,
    CANCEL_LINE,
    CARRY_OVER,
    COVER,
    LOAD,
    LOAD_LINE,
    MADE_GOOD_LINE,
    OPENING,
    REPAY,
    SPEND,
    TOP_UP,
    TOP_UP_LINE,
    UNDO,
)
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages, seal

_KIND = 4294967296  # an account's number is kind * this + owner
_RULES = {
    "a balance is the sum of its entries": """
        SELECT a.id, a.balance_fen, COALESCE(SUM(e.fen), 0) FROM account a
        LEFT JOIN (
            SELECT debit_account AS id, -amount_fen AS fen FROM transfer
            UNION ALL SELECT credit_account, amount_fen FROM transfer
        ) e ON e.id = a.id
        GROUP BY a.id, a.balance_fen HAVING a.balance_fen <> COALESCE(SUM(e.fen), 0)""",
    "all balances together are zero": """
        SELECT SUM(balance_fen) FROM account HAVING SUM(balance_fen) <> 0""",
    "an account below its floor is flagged": """
        SELECT id, balance_fen, floor_fen FROM account
        WHERE balance_fen < floor_fen AND overdrawn = 0""",
    "a transfer has two accounts": """
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN account d ON d.id = t.debit_account
        LEFT JOIN account c ON c.id = t.credit_account
        WHERE d.id IS NULL OR c.id IS NULL OR d.id = c.id OR t.amount_fen <= 0""",
    "a committed intent is booked once, with its amount": f"""
        SELECT i.device, i.seq, COUNT(t.seq), SUM(t.amount_fen) FROM intent i
        LEFT JOIN transfer t ON t.device = i.device AND t.seq = i.seq AND t.kind = {SPEND}
        WHERE i.state = {int(State.COMMITTED)} AND i.amount_fen > 0 AND i.credit_no = 0
        GROUP BY i.device, i.seq, i.amount_fen
        HAVING COUNT(t.seq) <> 1 OR SUM(t.amount_fen) <> i.amount_fen""",
    "a spend is booked for a committed intent only": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN intent i ON i.device = t.device AND i.seq = t.seq
        WHERE t.kind = {SPEND}
        AND (i.state IS NULL OR i.state <> {int(State.COMMITTED)} OR t.device = 0
            OR i.credit_no > 0)""",
    "a spend goes from the holder to the merchant, or over suspense": f"""
        SELECT t.device, t.seq FROM transfer t
        JOIN intent i ON i.device = t.device AND i.seq = t.seq
        WHERE t.kind = {SPEND} AND (
            t.debit_account NOT BETWEEN {chart.SUSPENSE * _KIND} AND {chart.FEES * _KIND - 1}
            AND t.debit_account <> {chart.HOLDER * _KIND} + i.card_no
            OR t.credit_account NOT BETWEEN {chart.SUSPENSE * _KIND} AND {chart.FEES * _KIND - 1}
            AND t.credit_account <> {chart.MERCHANT * _KIND} + i.merchant_no)""",
    "a cancelled sale is given back once, all of it, if it was committed": f"""
        SELECT c.device, c.intent_seq, i.state, COUNT(t.seq), SUM(t.amount_fen) FROM cancel c
        LEFT JOIN intent i ON i.device = c.device AND i.seq = c.intent_seq
        LEFT JOIN transfer t ON t.device = c.device AND t.seq = c.intent_seq
            AND t.line = {CANCEL_LINE} AND t.kind = {CANCEL}
        GROUP BY c.device, c.intent_seq, i.state, i.credit_no, i.amount_fen
        HAVING i.state IS NULL OR i.credit_no > 0
        OR (COUNT(t.seq) = 1) <> (i.state = {int(State.COMMITTED)}) OR COUNT(t.seq) > 1
        OR COALESCE(SUM(t.amount_fen), i.amount_fen) <> i.amount_fen""",
    "nothing is given back but what a reader has cancelled": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN cancel c ON c.device = t.device AND c.intent_seq = t.seq
        WHERE t.kind = {CANCEL} AND (c.seq IS NULL OR t.line <> {CANCEL_LINE})""",
    "a cancellation goes from the merchant to what waits for the card, or over suspense": f"""
        SELECT t.device, t.seq FROM transfer t
        JOIN intent i ON i.device = t.device AND i.seq = t.seq
        WHERE t.kind = {CANCEL} AND (
            t.debit_account NOT BETWEEN {chart.SUSPENSE * _KIND} AND {chart.FEES * _KIND - 1}
            AND t.debit_account <> {chart.MERCHANT * _KIND} + i.merchant_no
            OR t.credit_account NOT BETWEEN {chart.SUSPENSE * _KIND} AND {chart.FEES * _KIND - 1}
            AND t.credit_account <> {chart.PENDING * _KIND} + i.card_no)""",
    "a cancellation stands in a CANCEL record of its reader": f"""
        SELECT c.device, c.seq FROM cancel c
        LEFT JOIN record r ON r.device = c.device AND r.seq = c.seq
        WHERE r.kind IS NULL OR r.kind <> {messages.CANCEL} OR c.seq <= c.intent_seq""",
    "what was given back to a card's holder is a load of that card": f"""
        SELECT c.device, c.intent_seq, t.amount_fen, l.amount_fen FROM cancel c
        LEFT JOIN transfer t ON t.device = c.device AND t.seq = c.intent_seq
            AND t.kind = {CANCEL} AND t.credit_account >= {chart.PENDING * _KIND}
        LEFT JOIN transfer m ON m.device = t.device AND m.seq = t.seq
            AND m.line = {MADE_GOOD_LINE} AND m.debit_account = t.credit_account
        LEFT JOIN load l ON l.number = c.number
            AND {chart.PENDING * _KIND} + l.card_no = t.credit_account
        WHERE COALESCE(t.amount_fen, 0)
            <> COALESCE(l.amount_fen, 0) + COALESCE(m.amount_fen, 0)
        OR (t.seq IS NULL AND EXISTS (SELECT 1 FROM load o WHERE o.number = c.number))""",
    "a card's opening balance is booked once": f"""
        SELECT c.card_no, c.opening_fen, t.amount_fen FROM card c
        LEFT JOIN transfer t ON t.device = 0 AND t.seq = c.opening_seq AND t.kind = {OPENING}
        WHERE c.opening_fen <> COALESCE(t.amount_fen, 0)
        OR t.credit_account <> {chart.HOLDER * _KIND} + c.card_no""",
    "an opening belongs to a card": f"""
        SELECT t.device, t.seq FROM transfer t
        LEFT JOIN card c ON c.opening_seq = t.seq AND c.opening_fen > 0
        WHERE t.kind = {OPENING} AND (t.device <> 0 OR c.card_no IS NULL)""",
    "a device's records are there from 1 to its head": """
        SELECT d.device, d.head_seq, COUNT(r.seq), MAX(r.seq) FROM device d
        LEFT JOIN record r ON r.device = d.device
        GROUP BY d.device, d.head_seq
        HAVING COUNT(r.seq) <> d.head_seq OR COALESCE(MAX(r.seq), 0) <> d.head_seq""",
    "a chain's keys only get newer": """
        SELECT r.device, r.seq FROM record r
        JOIN record p ON p.device = r.device AND p.seq = r.seq - 1
        WHERE r.key_no < p.key_no""",
    "a head's key is that of its record": """
        SELECT d.device, d.head_key_no FROM device d
        JOIN record r ON r.device = d.device AND r.seq = d.head_seq
        WHERE r.key_no <> d.head_key_no""",
    "a device has a key for each number up to its newest": """
        SELECT d.device, COUNT(k.key_no) FROM device d
        LEFT JOIN device_key k ON k.device = d.device
        GROUP BY d.device HAVING COUNT(k.key_no) = 0 OR COUNT(k.key_no) <> MAX(k.key_no) + 1""",
    "intents are the INTENT and CREDIT records": f"""
        SELECT r.device, r.seq FROM record r
        LEFT JOIN intent i ON i.device = r.device AND i.seq = r.seq
        WHERE (r.kind IN ({messages.INTENT}, {messages.CREDIT})) <> (i.seq IS NOT NULL)
        OR (r.kind = {messages.CREDIT}) <> (COALESCE(i.credit_no, 0) > 0)""",
    "a top-up is booked once, with its amount, and so is a balance that was carried over": f"""
        SELECT l.number, l.amount_fen, t.amount_fen FROM load l
        LEFT JOIN transfer t ON t.device = {CARD_CENTRE} AND t.seq = l.number
            AND t.line = {TOP_UP_LINE}
            AND (t.kind = {CARRY_OVER} OR t.kind = {TOP_UP} AND t.debit_account = {chart.BANK})
            AND t.credit_account = {chart.PENDING * _KIND} + l.card_no
        LEFT JOIN cancel c ON c.number = l.number
        WHERE (t.amount_fen IS NULL) <> (c.number IS NOT NULL)
        OR t.amount_fen <> l.amount_fen""",
    "what is on its card has left the pending account, once, and nothing else has": f"""
        SELECT l.number, l.is_loaded, t.amount_fen FROM load l
        LEFT JOIN transfer t ON t.device = {CARD_CENTRE} AND t.seq = l.number
            AND t.line = {LOAD_LINE} AND t.kind = {LOAD}
            AND t.debit_account = {chart.PENDING * _KIND} + l.card_no
            AND t.credit_account = {chart.HOLDER * _KIND} + l.card_no
        WHERE (l.is_loaded = 1) <> (t.amount_fen IS NOT NULL)
        OR (t.amount_fen IS NOT NULL AND t.amount_fen <> l.amount_fen)""",
    "every transfer of the card centre belongs to a load": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN load l ON l.number = t.seq
        WHERE (t.kind IN ({TOP_UP}, {LOAD}, {CARRY_OVER}, {UNDO}, {COVER}, {REPAY}))
            <> (t.device = {CARD_CENTRE})
        OR (t.device = {CARD_CENTRE} AND l.number IS NULL)""",
    "what is pending for a card was paid in, is not on it, not spent by code and not gone on": f"""
        SELECT a.id, a.balance_fen FROM account a
        LEFT JOIN {reissue_rules.GONE_ON} g ON g.id = a.id
        WHERE a.kind = {chart.PENDING} AND a.balance_fen <> (
            SELECT COALESCE(SUM(l.amount_fen), 0) FROM load l
            WHERE l.card_no = a.owner AND l.is_loaded = 0) - (
            SELECT COALESCE(SUM(r.amount_fen), 0) FROM reservation r
            WHERE r.card_no = a.owner AND r.state <> {int(Settled.VOID)}
            ) - COALESCE(g.amount_fen, 0)""",
    "a load is on its card if, and only if, somebody has said so": f"""
        SELECT l.number, l.is_loaded FROM load l
        WHERE (l.is_loaded = 1) <> (
            EXISTS (SELECT 1 FROM load_proof p WHERE p.number = l.number)
            OR EXISTS (SELECT 1 FROM intent i WHERE i.card_no = l.card_no
                AND i.last_device = {CARD_CENTRE} AND i.last_seq = l.number)
            OR EXISTS (SELECT 1 FROM intent i WHERE i.card_no = l.card_no
                AND i.credit_no = l.number AND i.state = {int(State.COMMITTED)}))""",
    "what is parked lies ahead of a gap": """
        SELECT p.device, p.seq FROM parked p JOIN device d ON d.device = p.device
        WHERE p.seq <= d.head_seq + 1""",
    **code_rules.RULES,
    **acquirer_rules.RULES,
    **reissue_rules.RULES,
    **lifecycle_rules.RULES,
    **loss_reports.RULES,
    **channel_rules.RULES,
    **fraud_rules.RULES,
    **dossier_rules.RULES,
    **debt_rules.RULES,
    **ending_rules.RULES,
    **money_rules.RULES,
    **payment_rules.RULES,
    **people_rules.RULES,
    **period_rules.RULES,
    "an early outcome's intent is not there yet": """
        SELECT e.device, e.seq FROM early_outcome e
        JOIN record r ON r.device = e.intent_device AND r.seq = e.intent_seq""",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and the first rows that show it."""

    rule: str
    rows: list[tuple]

    def __str__(self) -> str:
        return f"not so: {self.rule}: {', '.join(map(str, self.rows))}"


def check(store: LedgerStore) -> list[Violation]:
    """Every rule that does not hold; [] when the books are right. Reads everything."""
    found = []
    for rule, sql in _RULES.items():
        _note(found, rule, store.database.rows(sql))
    _note(found, "a chain's seals hold from its start to its head", _broken_chains(store))
    _note(found, verdict_rules.IS_THE_EVIDENCE, verdict_rules.wrong_verdicts(store.database))
    _note(found, lifecycle_rules.FOLLOWS, lifecycle_rules.astray(store.database))
    _note(found, dossier_rules.IS_THE_TABLE, dossier_rules.foreign_rows(store.database))
    _note(found, ending_rules.IS_AS_KEPT, ending_rules.changed_statements(store.database))
    _note(found, code_rules.IS_AS_TOLD, code_rules.wrongly_settled(store.database))
    _note(found, period_rules.AS_REPORTED, period_rules.not_as_reported(store.database))
    _note(found, aggregate.IS_AS_SEALED, aggregate.not_as_sealed(store.database))
    return found


def _note(found: list[Violation], rule: str, rows: Iterator[tuple]) -> None:
    first = [row for row, _ in zip(rows, range(10), strict=False)]
    if first:
        found.append(Violation(rule, first))


def _broken_chains(store: LedgerStore) -> Iterator[tuple]:
    """Each reader's first record that does not follow the one before (ledger/chain_check.py)."""
    heads = list(store.database.rows("SELECT device, head_tag FROM device"))
    keys = keys_of(store.database, [device for device, _ in heads])
    sql = "SELECT seq, kind, sha256, sealed, key_no FROM record WHERE device = ? ORDER BY seq"
    for device, head_tag in heads:
        rows = store.database.rows(sql, (device,))
        seq, link, _last = first_break(keys.get(device, []), rows, seal.CHAIN_START)
        if seq is not None:
            yield device, seq
        elif link != head_tag:
            yield device, "head"
