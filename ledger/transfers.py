"""Transfers: what moves money in the books, and of which kinds there are."""

from typing import NamedTuple

# Kinds of transfer. Those of a load are numbered by its credit, as of the device CARD_CENTRE.
# A CANCEL is numbered as the sale it cancels.
SPEND, OPENING, TOP_UP, LOAD, CANCEL = 1, 2, 3, 4, 5
TOP_UP_LINE, LOAD_LINE = 0, 1
SPEND_LINE, CANCEL_LINE = 0, 1
# Those of a payment by code are numbered as the record that decides it. One line settles it either
# way, so nothing can be both sold and given back.
RESERVE, CODE_SALE, VOID = 6, 7, 8
RESERVE_LINE, SETTLE_LINE = 2, 3
# Of lost cards that were replaced. A balance that is carried over is a load's, in the place of a
# top-up; what is borne, and what comes back of that, is numbered as the spend.
CARRY_OVER, UNDO, BEAR, RECOVER, COVER = 9, 10, 11, 12, 13
CARRY_LINE, UNDO_LINE, COVER_LINE = TOP_UP_LINE, 6, 7
BEAR_LINE, RECOVER_LINE = 4, 5
# A RECOVER too: of who had made good a sale before it was cancelled (ledger/made_good.py).
MADE_GOOD_LINE = 14
# Of a top-up that its channel has cancelled: back to the bank.
REPAY, REPAY_LINE = 20, 8
# Of cards that are closed, and fees: of the device LEDGER_DEVICE. They are numbered as the
# settlement they belong to, what a bank does as its payment, a fee as its card.
OFFSET, REFUND, FORFEIT, PAY_OUT, FEE, RETURN = 31, 32, 33, 34, 35, 36
OFFSET_LINE, PURSE_LINE, PENDING_LINE, PAID_LINE, FEE_LINE, RETURN_LINE = 8, 9, 10, 11, 12, 13
# What two persons have put right (ledger/corrections.py), numbered as the ledger's own.
CORRECT, CORRECT_LINE = 40, 20
# What a move or a damage has cost (ledger/dossiers.py), numbered as its dossier, of LEDGER_DEVICE.
COST = 41
COST_LINES = {"labour": 21, "material": 22, "compensation": 23}
# What a merchant that leaves owed and has paid in (ledger/closing.py), of LEDGER_DEVICE, numbered.
PAY_IN, PAY_IN_LINE = 42, 24
# What a merchant that leaves never pays (ledger/debts.py), of LEDGER_DEVICE, as its proposal.
WRITE_OFF, WRITE_OFF_LINE = 43, 25
# It has paid even so: taken back from that loss account, numbered as what it has paid in.
PAID_AFTER_ALL, PAID_AFTER_ALL_LINE = 44, 26
# Of merchants' periods: of the device LEDGER_DEVICE, numbered as the merchant's row of the period;
# what a bank does, as its payment (ledger/remittances.py).
CHARGE, REMIT, REMITTED, SENT_BACK = 50, 51, 52, 53
CHARGE_LINE, REMIT_LINE, REMITTED_LINE, SENT_BACK_LINE = 31, 32, 33, 34
# Of a payment that an acquirer takes: to the merchant, on the line that settles a payment by code,
# and from the acquirer once its statement has it.
ACQUIRE, CLEAR, CLEAR_LINE = 60, 61, 30


class Transfer(NamedTuple):
    """`amount_fen` from one account to another; unique by (device, seq, line) for all time.

    Its fields are the columns of the table, in their order.
    """

    device: int
    seq: int
    line: int
    kind: int
    debit_account: int
    credit_account: int
    amount_fen: int
