"""What one sale or credit has cost is made good once, by whichever of its cases.

Rules of this file. One record may be of several cases: a copied card's second debit is a fork and
a contradiction as well, and a record that was called lost may be found. Each says the same money.
So a correction of one of them is that of all, but for two genuine records that both came in the
place of a lost one: those are two sales. And what a purse was given back of its record already,
because the sale was cancelled or the card centre has borne it, is not given back by a correction.

So it is with money on a card that nobody has put there: its record shows it, so does the tap
behind it, and each later one behind a gap. Two records that name a credit are of one if they name
the same. A wrong balance is of the counters behind the debit before it, or since the credit; too
much money is of all counters before it; each is of one credit with every such case of its card
there.

Nor the other way round. The act of persons stands, and a CANCEL that comes behind it is money that
its merchant gives back: it goes first to who has borne the sale by that act, all that they bore,
and what is left to the holder. So each has the same in either order, and a case tells of it. What
is cancelled already is not corrected any more.
"""

from ledger import chart, reasons
from ledger.transfers import BEAR, CANCEL, SPEND
from protocols.card.purse import CARD_CENTRE

# What a purse has lost by a record that is a debit; and what it may have lost to a copy, of which
# that record shows that there is one.
OF_DEBITS = (
    reasons.CONTRADICTION,
    reasons.BAD_ARITHMETIC,
    reasons.TRY_OF_MONEY,
    reasons.SPENT_BEFORE_ITS_END,
)
OF_PURSES = (*OF_DEBITS, reasons.CARD_FORKED, reasons.TOO_FAST)
# What a correction has given back of what the sale itself had taken, from a purse or for nobody.
OF_CANCELLED = (*OF_PURSES, reasons.UNKNOWN_CARD)
_KEPT = (reasons.FOUND, reasons.TOLD_AFTER_ITS_END)  # each with the bytes of its own record
OF_ONE_SALE = (
    OF_PURSES,
    (reasons.LOST, reasons.UNREADABLE, *_KEPT),
    (reasons.UNRESERVED_SALE, reasons.SETTLED_OTHERWISE),
)


def _among(what: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, what))})"


# Of an approval a and a case c: it is of the same sale.
_IS_OF_SALE = " OR ".join(
    f"a.reason IN {_among(group)} AND c.reason IN {_among(group)}" for group in OF_ONE_SALE
)
# By the index of approvals, which begins with the reason.
_REASONS = ", ".join(str(reason) for group in OF_ONE_SALE for reason in group)
IS_OF_CASE = f"""(a.reason IN (c.reason, {_REASONS}) AND a.device = c.device AND a.seq = c.seq
    AND (a.reason = c.reason AND a.sha256 = c.sha256 OR ({_IS_OF_SALE}) AND (a.sha256 = c.sha256
        OR NOT (a.reason IN {_among(_KEPT)} AND c.reason IN {_among(_KEPT)}))))"""
# Of an approval a and a case c: it is another of the same credit.
OF_CREDITS = (reasons.UNKNOWN_CREDIT, reasons.ABOVE_LOAD, reasons.IMBALANCE)
_LOW = f"""CASE {{case}}.reason WHEN {reasons.UNKNOWN_CREDIT} THEN {{tap}}.counter
    WHEN {reasons.ABOVE_LOAD} THEN 0 ELSE COALESCE((
    SELECT b.counter + CASE WHEN b.credit_no > 0 THEN 0 ELSE 1 END FROM finding f JOIN intent b
    ON b.device = f.first_device AND b.seq = f.first_seq WHERE f.reason = {{case}}.reason
    AND f.device = {{case}}.device AND f.seq = {{case}}.seq AND f.sha256 = {{case}}.sha256),
    {{tap}}.counter) END"""
_NAMED = f"""CASE WHEN {{tap}}.credit_no > 0 THEN {{tap}}.credit_no
    WHEN {{tap}}.last_device = {CARD_CENTRE} THEN {{tap}}.last_seq ELSE -1 END"""
IS_OF_CREDIT = f"""(
    a.reason IN {_among(OF_CREDITS)} AND c.reason IN {_among(OF_CREDITS)} AND EXISTS (
    SELECT 1 FROM intent i JOIN intent j ON j.card_no = i.card_no
    WHERE i.device = a.device AND i.seq = a.seq AND j.device = c.device AND j.seq = c.seq
    AND CASE WHEN a.reason = {reasons.UNKNOWN_CREDIT} AND c.reason = {reasons.UNKNOWN_CREDIT}
        THEN {_NAMED.format(tap="i")} = {_NAMED.format(tap="j")}
        ELSE {_LOW.format(case="a", tap="i")} <= j.counter
        AND {_LOW.format(case="c", tap="j")} <= i.counter END))"""
# Of a suspense_case c: two persons have made it good, by this case or by another of its sale or
# credit. Nearly no case is of a credit.
IS_DONE = f"""(EXISTS (SELECT 1 FROM correction_approval a WHERE {IS_OF_CASE})
    OR c.reason IN {_among(OF_CREDITS)}
    AND EXISTS (SELECT 1 FROM correction_approval a WHERE {IS_OF_CREDIT}))"""
# Of an intent i: what the purse of its card was given for it by two persons.
CORRECTED_FEN = f"""COALESCE((
    SELECT SUM(p.amount_fen) FROM correction_approval a JOIN correction p ON p.number = a.number
    WHERE a.device = i.device AND a.seq = i.seq AND a.reason IN {_among(OF_PURSES)}
    AND p.credit_account = {chart.account(chart.HOLDER, 0)} + i.card_no), 0)"""
# What record (?, ?) has taken from the account ?.
TAKEN = f"""
SELECT 1 FROM transfer
WHERE device = ? AND seq = ? AND kind = {SPEND} AND debit_account = ?"""
# What it was given for record (?, ?) without them.
GIVEN_BACK = f"""
SELECT COALESCE(SUM(amount_fen), 0) FROM transfer
WHERE device = ? AND seq = ? AND kind IN ({BEAR}, {CANCEL})"""
