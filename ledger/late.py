"""What is told of a lost card when another has taken its place, or it has ended: who bears it.

Rules of this file. The report of the loss is the line (R14.2b). A spend that may be of after it is
not its holder's: the card centre bears it, whenever it is told. One of before it is its holder's:
it takes from what is frozen, and once that has been carried over the card centre lays out what is
missing, and a case says that somebody has to collect it. Nothing that was carried over is taken
back.

A card that is closed or terminated while it is lost is no different, but that nothing goes on to
another: of a card that was closed and settled (ledger/settlements.py) a late spend that is its
holder's is a case, and its purse stands below nothing.

All of it hangs on what is in the books, so whoever asks twice finds nothing left to do.
"""

from collections.abc import Iterable

from ledger import chart, reasons
from ledger.cancels import NUMBER_MIN
from ledger.dialect import Dialect
from ledger.entries import post_recorded
from ledger.evidence import State
from ledger.made_good import CORRECTED_FEN
from ledger.promises import WAS_TRIED
from ledger.transfers import (
    BEAR,
    BEAR_LINE,
    CARRY_LINE,
    CARRY_OVER,
    SPEND,
    Transfer,
)
from protocols.card.purse import CARD_CENTRE
from protocols.rules.card_status import LOST

# Cards that have ended e, were lost until then, and the report of that l.
_ENDED = f"""card_change e
JOIN card_change l ON l.card_no = e.card_no AND l.status = {LOST} AND l.epoch = (
    SELECT MAX(p.epoch) FROM card_change p WHERE p.card_no = e.card_no AND p.epoch < e.epoch)
WHERE e.cause IN ('close', 'terminate')"""
_LOST_AND_ENDED = f"SELECT e.card_no, l.time_s FROM {_ENDED} ORDER BY e.card_no"
_OLD = f"""
WITH k (number) AS (VALUES {{keys}})
SELECT old_card, lost_s, 1 FROM k CROSS JOIN reissue WHERE old_card = number
UNION ALL SELECT e.card_no, l.time_s, 0 FROM k CROSS JOIN {_ENDED} AND e.card_no = number"""
# Booked as a case when it came, and of this loss, less what two persons have made good of it. One
# that is cancelled is the merchant's.
_OF_AFTER = f"""
SELECT i.device, i.seq, i.amount_fen - {CORRECTED_FEN} FROM intent i
JOIN suspense_case c
    ON c.reason = {reasons.SPENT_WHILE_LOST} AND c.device = i.device AND c.seq = i.seq
WHERE i.card_no = ? AND i.latest_s >= ? AND i.state = {int(State.COMMITTED)}
AND i.amount_fen > {CORRECTED_FEN} AND i.credit_no = 0
AND NOT EXISTS (SELECT 1 FROM cancel s WHERE s.device = i.device AND s.intent_seq = i.seq)
AND NOT EXISTS (SELECT 1 FROM transfer t
    WHERE t.device = i.device AND t.seq = i.seq AND t.line = {BEAR_LINE})
ORDER BY i.device, i.seq"""
# Something has gone on that had been frozen: of the purse, or a load that was promised to it.
_IS_CARRIED = f"""
SELECT EXISTS (SELECT 1 FROM transfer WHERE device = {CARD_CENTRE} AND line = {CARRY_LINE}
    AND kind = {CARRY_OVER} AND debit_account = ?)
OR EXISTS (SELECT 1 FROM load l JOIN load_end e ON e.number = l.number
    WHERE l.card_no = ? AND (l.number >= {NUMBER_MIN} OR {WAS_TRIED}))"""
_SETTLED = """
WITH k (wanted) AS (VALUES {keys})
SELECT DISTINCT card_no FROM k CROSS JOIN card_settlement WHERE card_no = wanted"""
_BALANCE = "SELECT balance_fen FROM account WHERE id = ?"
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


def settle(database: Dialect, moved: Iterable[Transfer], spoken_of: Iterable[int]) -> None:
    """Find who bears the spends of cards lost for good in `moved`; they are posted already.

    `spoken_of`: those of their cards whose status has ever changed. No other is lost or has ended.
    """
    purses = {*map(chart.purse, spoken_of)}
    spends = [one for one in moved if one.kind == SPEND and one.debit_account in purses]
    cards = {chart.owner(spend.debit_account) for spend in spends}
    all_borne: set[tuple[int, int]] = set()
    old = list(database.rows_of(_OLD, ((card_no,) for card_no in sorted(cards))))
    for card_no, lost_s, is_replaced in sorted(old):
        borne = bear(database, card_no, lost_s)
        all_borne |= borne
        if not is_replaced:
            continue
        purse = chart.purse(card_no)
        own = [spend for spend in spends if spend.debit_account == purse]
        _lay_out(database, purse, [s for s in own if (s.device, s.seq) not in borne])
    keys = ((card_no,) for card_no in sorted(cards))
    settled = {chart.purse(card_no) for (card_no,) in database.rows_of(_SETTLED, keys)}
    behind = [
        spend
        for spend in spends
        if spend.debit_account in settled and (spend.device, spend.seq) not in all_borne
    ]
    cases = [(reasons.SPENT_BEFORE_ITS_END, t.device, t.seq, b"", b"") for t in behind]
    database.many(_CASE, cases)


def bear(database: Dialect, card_no: int, lost_s: int) -> set[tuple[int, int]]:
    """The card centre bears what may be of after the report at `lost_s`, each spend once.

    The records (device, seq) of the spends that it bears from now on.
    """
    loss, purse = chart.loss(reasons.SPENT_WHILE_LOST), chart.purse(card_no)
    spends = list(database.rows(_OF_AFTER, (card_no, lost_s)))
    borne = [
        Transfer(device, seq, BEAR_LINE, BEAR, loss, purse, amount_fen)
        for device, seq, amount_fen in spends
    ]
    post_recorded(database, borne)
    return {(transfer.device, transfer.seq) for transfer in borne}


def bear_ended(database: Dialect, card_no: int) -> None:
    """The same of a card that has ended now, if it was lost until then."""
    for _card_no, lost_s, _is_replaced in list(database.rows_of(_OLD, [(card_no,)])):
        bear(database, card_no, lost_s)


def bear_all_ended(database: Dialect) -> None:
    """The same of all that have: a ledger of before has borne nothing of theirs."""
    for card_no, lost_s in list(database.rows(_LOST_AND_ENDED)):
        bear(database, card_no, lost_s)


def _lay_out(database: Dialect, purse: int, spends: list[Transfer]) -> None:
    """What a purse lacks because it was carried over, spend by spend."""
    ((is_carried,),) = database.rows(_IS_CARRIED, (purse, chart.owner(purse)))
    if not is_carried:
        return
    ((balance_fen,),) = database.rows(_BALANCE, (purse,))
    lacking_fen, laid_out = -balance_fen, []
    for spend in sorted(spends, key=lambda spend: (spend.device, spend.seq)):
        amount_fen = min(spend.amount_fen, lacking_fen)
        if amount_fen <= 0:
            break
        lacking_fen -= amount_fen
        loss = chart.loss(reasons.LATE_SPEND)
        laid_out.append(
            Transfer(spend.device, spend.seq, BEAR_LINE, BEAR, loss, purse, amount_fen)
        )
    post_recorded(database, laid_out)
    database.many(_CASE, [(reasons.LATE_SPEND, t.device, t.seq, b"", b"") for t in laid_out])
