"""The books as text, to be compared.

Everything but what depends on how often and in which order records came (the tally): what the same
records came to is the same text, in whichever order and on whichever database.
"""

from ledger.acquirer_schema import DUMP as ACQUIRERS
from ledger.console.schema import DUMP as CONSOLE
from ledger.debt_schema import DUMP as DEBTS
from ledger.department_schema import DUMP as DEPARTMENTS
from ledger.dialect import Dialect, Row
from ledger.drill_schema import DUMP as DRILLS
from ledger.ending_schema import DUMP as ENDINGS
from ledger.growth_schema import ENTRY_DUMP as ENTRIES
from ledger.lifecycle_schema import DUMP as LIVES
from ledger.money_schema import MONEY_DUMP as MONEY
from ledger.payments.schema import PAYMENT_DUMP as PAYMENTS
from ledger.people_schema import PEOPLE_DUMP as PEOPLE
from ledger.period_schema import DUMP as PERIODS
from ledger.phone_schema import DUMP as PHONES
from ledger.procedure_schema import DUMP as DOSSIERS
from ledger.shift_schema import DUMP as SHIFT_PARTS

_TABLES = {
    "account": "SELECT id, balance_fen, floor_fen, overdrawn FROM account ORDER BY id",
    "merchant": "SELECT merchant_no, name FROM merchant ORDER BY merchant_no",
    "card": "SELECT card_no, opening_fen, opening_seq FROM card ORDER BY card_no",
    "device": "SELECT device, merchant_no, site, head_seq, head_tag, head_key_no, is_forked"
    " FROM device ORDER BY device",
    "record": "SELECT device, seq, kind, sha256, sealed, key_no FROM record ORDER BY device, seq",
    "parked": "SELECT device, seq, sha256 FROM parked ORDER BY device, seq, sha256",
    "rejected": "SELECT sha256, reason, device, seq FROM rejected ORDER BY sha256, reason",
    "case": "SELECT reason, device, seq, sha256 FROM suspense_case"
    " ORDER BY reason, device, seq, sha256",
    "load": "SELECT number, card_no, amount_fen, order_id, is_loaded FROM load ORDER BY number",
    "channel_topup": "SELECT channel, order_no, number, bank_reference, paid_s, heard_s"
    " FROM channel_topup ORDER BY channel, order_no",
    "topup_cancel": "SELECT number, cancelled_s FROM topup_cancel ORDER BY number",
    "topup_void": "SELECT channel, order_no, voided_s FROM topup_void ORDER BY channel, order_no",
    "cancel": "SELECT device, seq, intent_seq, number FROM cancel ORDER BY device, intent_seq",
    "load_try": "SELECT number, counter, device FROM load_try ORDER BY number, counter, device",
    "load_proof": "SELECT number, counter, balance_fen FROM load_proof ORDER BY number",
    "load_end": "SELECT number FROM load_end ORDER BY number",
    "reissue": "SELECT old_card, new_card, lost_s FROM reissue ORDER BY old_card",
    "intent": "SELECT device, seq, card_no, counter, amount_fen, merchant_no, state, credit_no"
    " FROM intent ORDER BY device, seq",
    "phone": "SELECT card_no, binding FROM phone ORDER BY card_no",
    "reservation": "SELECT number, device, seq, nonce, code, card_no, amount_fen, balance_fen,"
    " asked_s, state, by_person FROM reservation ORDER BY number",
    "code_answer": "SELECT number, device, nonce, code, card_no, asked_s"
    " FROM code_answer ORDER BY number",
    "code_entry": "SELECT number, device, seq FROM code_entry ORDER BY number",
    "validity": "SELECT card_no, kind, valid_from, valid_to FROM card_validity ORDER BY card_no",
    "loss_report": "SELECT code, device, nonce, card_no, lost_s FROM loss_report ORDER BY code",
    "tamper": "SELECT device, seq, state, number FROM tamper ORDER BY device, seq",
    "approval": "SELECT device, seq, step, person FROM approval ORDER BY device, seq, step",
    "aggregate_sale": "SELECT device, seq, merchant_no, amount_fen, earliest_s, latest_s"
    " FROM aggregate_sale ORDER BY device, seq",
    "statement_line": "SELECT channel, order_no, merchant_no, amount_fen, time_s"
    " FROM statement_line ORDER BY channel, order_no",
    "correction": "SELECT number, reason, device, seq, bearer, debit_account, credit_account,"
    " amount_fen, because, person FROM correction ORDER BY number",
    "correction_approval": "SELECT number, person FROM correction_approval ORDER BY number",
    "early_outcome": "SELECT device, seq, intent_device, intent_seq, result"
    " FROM early_outcome ORDER BY device, seq",
    # What it came to: in which order captures of different cards came is no matter of the books.
    "card_status": "SELECT card_no, status FROM card_change c WHERE epoch ="
    " (SELECT MAX(epoch) FROM card_change WHERE card_no = c.card_no) ORDER BY card_no",
    "punch": "SELECT device, seq, card_no, earliest_s, latest_s FROM punch ORDER BY device, seq",
    "access": "SELECT number, device, verb, first_no, count, group_no, periods, person"
    " FROM access_change ORDER BY number",
    "menu": "SELECT number, merchant_no, site, menu, person FROM menu_change ORDER BY number",
    "reader_release": "SELECT device, seq, head_seq, person, because FROM reader_release"
    " ORDER BY number",
    "firmware": "SELECT number, digest, percent, site, person FROM firmware_stage ORDER BY number",
    "policy": "SELECT device, epoch, policy, person FROM policy_change ORDER BY device, epoch",
    "lock_word": "SELECT device, seq, epoch, made_s, battery_mv, heard_s FROM lock_word"
    " ORDER BY device",
    **LIVES,
    **DOSSIERS,
    **PERIODS,
    **PEOPLE,
    **ACQUIRERS,
    **DEPARTMENTS,
    **MONEY,
    **PAYMENTS,
    **DRILLS,
    **ENDINGS,
    **DEBTS,
    **PHONES,
    **SHIFT_PARTS,
    **CONSOLE,
    **ENTRIES,
    "transfer": "SELECT device, seq, line, kind, debit_account, credit_account, amount_fen"
    " FROM transfer ORDER BY device, seq, line",
}


def dump(database: Dialect) -> bytes:
    """Canonical text: equal books have equal bytes."""
    lines = []
    for table, sql in _TABLES.items():
        lines += [f"{table} {_text(row)}" for row in database.rows(sql)]
    return "\n".join([*lines, ""]).encode()


def _text(row: Row) -> str:
    return " ".join(value.hex() if isinstance(value, bytes) else repr(value) for value in row)
