"""Who may use a card: `onecard ledger card VERB DATABASE --card`; verbs are those of the books.

May run beside the ledger, which looks once a second whether a card has changed, and says so.
"""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ledger.card_status import NAMES
from ledger.store import LedgerStore
from tools.ledger_forks import opened


def set_status(path: Path, verb: str, card_no: int, evidence: str, now_s: int) -> str:
    """What the card is now. NotBooks for another file, CardRefused, StoreUnavailable."""
    with opened(path):
        pass  # these are books, and of this program's schema: nothing is migrated by the way
    with closing(LedgerStore.open(str(path))) as store:
        return NAMES[store.cards.set(verb, card_no, now_s, evidence)]


def show(path: Path, card_no: int) -> str:
    """What the card is, and a line for each change. NotBooks for another file."""
    with opened(path) as store:
        lines = [f"card {card_no}: {NAMES[store.cards.status(card_no)]}"]
        for epoch, status, time_s, cause, evidence in store.cards.history(card_no):
            time = datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
            shown = f" ({evidence})" if evidence else ""
            lines.append(f"  epoch {epoch}, {time}: {cause}{shown}, {NAMES[status]}")
    return "\n".join(lines)
