"""What the books say of how things are: one look at them, for the doctor and for metrics.

Reading only. Nothing of a person is in it: reasons, kinds and numbers of readers.
"""

from dataclasses import dataclass

from ledger import chart
from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.map_news import ahead, behind, newest
from ledger.promises import HAS_ENDED
from ledger.reservations import Settled
from ledger.retirement import IN_USE
from ledger.tampers import Tampers

_CASES = "SELECT reason, COUNT(*) FROM suspense_case GROUP BY reason ORDER BY reason"
_BALANCES = """
SELECT owner, balance_fen FROM account WHERE kind = ? AND balance_fen <> 0 ORDER BY owner"""
_COUNTS = {
    "readers": f"SELECT COUNT(*) FROM device d WHERE {IN_USE}",
    "forked_readers": f"SELECT COUNT(*) FROM device d WHERE d.is_forked = 1 AND {IN_USE}",
    "records": "SELECT COALESCE(SUM(head_seq), 0) FROM device",
    "parked_records": f"SELECT COUNT(*) FROM parked d WHERE {IN_USE}",
    "open_intents": f"SELECT COUNT(*) FROM intent WHERE state < {int(State.NOT_COMMITTED)}"
    " AND credit_no = 0 AND amount_fen > 0",
    "early_outcomes": "SELECT COUNT(*) FROM early_outcome",
    "waiting_loads": f"SELECT COUNT(*) FROM load l WHERE l.is_loaded = 0 AND NOT {HAS_ENDED}",
    "open_reservations": "SELECT"
    f" (SELECT COUNT(*) FROM reservation WHERE state = {int(Settled.OPEN)})"
    f" + (SELECT COUNT(*) FROM acquirer_order WHERE state = {int(Settled.OPEN)})",
    "overdrawn_accounts": "SELECT COUNT(*) FROM account WHERE overdrawn = 1",
    "unproven_carry_overs": "SELECT COUNT(*) FROM carry_basis WHERE is_proven = 0",
}


@dataclass(frozen=True, slots=True)
class Health:
    """`cases` (reason -> how many, ever), `suspense_fen` and `loss_fen` (reason -> fen, what is
    held there and what the card centre has borne), `counts` (name -> number; of readers that have
    ended no twin and no gap), the newest card map's epoch, the readers that have not said they
    have it, those that have said they have more (`ahead`), and those that are barred."""

    cases: dict[int, int]
    suspense_fen: dict[int, int]
    loss_fen: dict[int, int]
    counts: dict[str, int]
    map_epoch: int
    without_map: tuple[int, ...]
    ahead: tuple[int, ...]
    barred: tuple[int, ...]


def look(database: Dialect) -> Health:
    """How the books are; `database` has to be one state of them."""
    return Health(
        dict(database.rows(_CASES)),
        dict(database.rows(_BALANCES, (chart.SUSPENSE,))),
        {owner: -fen for owner, fen in database.rows(_BALANCES, (chart.LOSS,))},
        {name: next(iter(database.rows(sql)))[0] for name, sql in _COUNTS.items()},
        newest(database),
        tuple(one.device for one in behind(database)),
        tuple(ahead(database)),
        tuple(one.device for one in Tampers(database).waiting()),
    )
