"""The chart of accounts: which accounts there are, and the number of each.

An account's number is its kind and its owner in one integer, so posting never looks one up. The
balance of every account is credits minus debits in fen, whatever its kind: all balances together
are zero. What we owe (purses, merchants) is positive, what we hold (the bank) is negative.
"""

HOLDER = 1  # owner: card number. What the card centre owes the holder of a card.
MERCHANT = 2  # owner: merchant number. What it owes a merchant.
CLEARING = 3  # owner: 0. Money that came in when a card was issued or loaded.
SUSPENSE = 4  # owner: a reason. Money whose proper account is not known (ledger/reasons.py).
FEES = 5  # owner: 0, of cards; 1, of merchants (commission). What the card centre itself earns.
PENDING = 6  # owner: card number. Paid in for the holder, and not on the card yet.
RESERVED = 7  # owner: card number. Taken from there by a payment code, and not the merchant's yet.
LOSS = 8  # owner: a reason. What the card centre has borne for it (ledger/late.py).
PAYOUT = 12  # owner: card number. On its way to the holder's bank (ledger/settlements.py).
UNCLAIMED = 13  # owner: 0. What staff who have left did not spend (R15.1).
OWNER = 14  # owner: reader. What its owner owes for what it has cost (ledger/corrections.py).
REMITTANCE = 15  # owner: merchant number. On its way to its bank (ledger/remittances.py).
ACQUIRER = 25  # owner: 0. What it has taken for merchants and not told of in a statement yet.

KIND_NAMES = {
    HOLDER: "holder",
    MERCHANT: "merchant",
    CLEARING: "clearing",
    SUSPENSE: "suspense",
    FEES: "fees",
    PENDING: "pending",
    RESERVED: "reserved",
    LOSS: "loss",
    PAYOUT: "payout",
    UNCLAIMED: "unclaimed",
    OWNER: "device owner",
    REMITTANCE: "remittance",
    ACQUIRER: "acquirer",
}
_OWNER_BITS = 32
# The two that every spend asks for.
_PURSES, _PAYABLES = HOLDER << _OWNER_BITS, MERCHANT << _OWNER_BITS
LEDGER_DEVICE = 0  # the ledger's own transfers are numbered as those of this device


def account(kind: int, owner: int) -> int:
    """The number of the account of a kind and its owner (uint32), below 2**36."""
    return kind << _OWNER_BITS | owner


def kind(number: int) -> int:
    """Of which kind the account with this number is."""
    return number >> _OWNER_BITS


def owner(number: int) -> int:
    """Whose the account with this number is."""
    return number & (1 << _OWNER_BITS) - 1


def purse(card_no: int) -> int:
    return _PURSES | card_no


def payable(merchant_no: int) -> int:
    return _PAYABLES | merchant_no


def pending(card_no: int) -> int:
    return account(PENDING, card_no)


def reserved(card_no: int) -> int:
    return account(RESERVED, card_no)


def payout(card_no: int) -> int:
    return account(PAYOUT, card_no)


def remittance(merchant_no: int) -> int:
    return account(REMITTANCE, merchant_no)


def suspense(reason: int) -> int:
    return account(SUSPENSE, reason)


def loss(reason: int) -> int:
    return account(LOSS, reason)


BANK = account(CLEARING, 0)
EARNED = account(FEES, 0)
COMMISSION = account(FEES, 1)
FORFEITED = account(UNCLAIMED, 0)
ACQUIRED = account(ACQUIRER, 0)
