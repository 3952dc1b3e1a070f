"""What a merchant that leaves owes and never pays: written off, by two persons, to one bearer.

Rules of this file. Nothing is written off that takings may still cover: every reader of the
merchant has ended, and each entry of it is in a period. A clerk of the card centre proposes all
that is owed then, says who bears it and why; the finance department signs that very proposal, and
shows the amount. If the books say another one by then, nothing is signed: it is declined, and
proposed anew. The transfer is the merchant's next entry, so a period closes behind it, and the
statement of the end names it (ledger/closing.py). It stands on the loss account of its reason for
good: health and metrics tell it, no report leaves it out. If the merchant pays even so while it
winds up, that is taken back from the account which has borne it, never more than it has.
"""

from ledger import chart
from ledger.closing import open_things, owed_fen
from ledger.dialect import Dialect
from ledger.entries import post_recorded
from ledger.procedures import NOT_SETTLED, OTHER_DEBT
from ledger.reasons import DEBT_OF_CENTRE, DEBT_OF_DEPARTMENT
from ledger.transfers import (
    PAID_AFTER_ALL,
    PAID_AFTER_ALL_LINE,
    WRITE_OFF,
    WRITE_OFF_LINE,
    Transfer,
)

# Whom a proposal may name, and the reason of what they bear. Which department that is stands in
# the merchant's form (ledger/dossier_signers.py).
BEARERS = {"card-centre": DEBT_OF_CENTRE, "department": DEBT_OF_DEPARTMENT}
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM debt_proposal"
_PROPOSE = "INSERT INTO debt_proposal VALUES (?, ?, ?, ?, ?, ?)"
_PROPOSED = """
SELECT number, merchant_no, reason, amount_fen FROM debt_proposal WHERE dossier = ? AND step = ?"""
_LOST = f"""
SELECT a.owner, SUM(CASE WHEN t.kind = {WRITE_OFF} THEN t.amount_fen ELSE -t.amount_fen END)
FROM transfer t
JOIN account a ON a.kind = {chart.LOSS} AND a.id IN (t.debit_account, t.credit_account)
WHERE t.device = {chart.LEDGER_DEVICE} AND t.kind IN ({WRITE_OFF}, {PAID_AFTER_ALL})
AND ? IN (t.debit_account, t.credit_account) GROUP BY a.owner ORDER BY a.owner"""
_WRITE_OFF = "INSERT INTO write_off VALUES (?, ?, ?, ?)"


def bars(database: Dialect, merchant_no: int, dossier: int) -> list[str]:
    """What is open beside the debt, in sentences; []: nothing is."""
    owed = f"it owes {owed_fen(database, merchant_no)} fen"
    return [each for each in open_things(database, merchant_no, dossier) if each != owed]


def why_not_proposed(database: Dialect, merchant_no: int, dossier: int) -> tuple[str, int] | None:
    """(why, its number) where nothing can be proposed now."""
    if not owed_fen(database, merchant_no):
        return f"merchant {merchant_no} owes nothing", NOT_SETTLED
    if found := bars(database, merchant_no, dossier):
        return f"merchant {merchant_no} may cover it yet: {'; '.join(found)}", NOT_SETTLED
    return None


def why_not_signed(
    database: Dialect, dossier: int, step: int, shown: str
) -> tuple[str, int] | None:
    """(why, its number) where the proposal of the step before is not to be signed.

    All of what was proposed is written off: it is owed still, and is what the signer shows.
    """
    ((_number, merchant_no, _reason, fen),) = list(database.rows(_PROPOSED, (dossier, step - 1)))
    owed = owed_fen(database, merchant_no)
    if shown != str(fen):
        return f"{fen} fen were proposed: who signs shows as much", OTHER_DEBT
    if owed != fen:
        return f"{fen} fen were proposed, and {owed} are owed: decline it", OTHER_DEBT
    return why_not_proposed(database, merchant_no, dossier)


def propose(database: Dialect, dossier: int, step: int, merchant_no: int, bearer: str) -> None:
    """Keep what is owed now and who shall bear it, in the transaction of the step."""
    ((number,),) = database.rows(_NEXT)
    amount_fen = owed_fen(database, merchant_no)
    row = number, dossier, step, merchant_no, BEARERS[bearer], amount_fen
    database.many(_PROPOSE, [row])


def proposed_fen(database: Dialect, dossier: int, step: int) -> int:
    """The amount of the proposal of that step."""
    ((_number, _merchant_no, _reason, amount_fen),) = database.rows(_PROPOSED, (dossier, step))
    return int(amount_fen)


def write_off(database: Dialect, dossier: int, step: int, time_s: int) -> None:
    """Book the proposal of the step before this one, in the transaction of the signature."""
    ((number, merchant_no, reason, fen),) = list(database.rows(_PROPOSED, (dossier, step - 1)))
    database.many(_WRITE_OFF, [(number, dossier, step, time_s)])
    way = chart.loss(reason), chart.payable(merchant_no), fen
    what = number, WRITE_OFF_LINE, WRITE_OFF, *way
    post_recorded(database, [Transfer(chart.LEDGER_DEVICE, *what)])


def lost(database: Dialect, merchant_no: int) -> tuple[int, int]:
    """(reason, fen) of what was written off for it and has not come since; (0, 0): nothing.

    Of two reasons the lower number first.
    """
    rows = list(database.rows(_LOST, (chart.payable(merchant_no),)))
    return next(((reason, int(fen)) for reason, fen in rows if fen > 0), (0, 0))


def recover(database: Dialect, number: int, merchant_no: int, reason: int, fen: int) -> None:
    """Give payment `number`, booked to the merchant, to the account that bore the loss."""
    way = chart.payable(merchant_no), chart.loss(reason), fen
    post_recorded(
        database,
        [Transfer(chart.LEDGER_DEVICE, number, PAID_AFTER_ALL_LINE, PAID_AFTER_ALL, *way)],
    )
