"""What `onecard ledger person` and `retention` do: personal data, masked, told, and blanked.

NotBooks, NotAllowed, StoreUnavailable.
"""

import json
from pathlib import Path

from ledger.privacy import Shown, everything_of, reveal_holder, show_holder
from ledger.retention import Due, due, run
from tools.ledger_batch import write_private
from tools.ledger_forks import opened
from tools.session import signing


def show(path: Path, card_no: int, because: str, by: str, now_s: int) -> str:
    """Whose a card is: masked, or with a reason as it stands."""
    if not because:
        with opened(path) as store:
            return _line(show_holder(store.database, card_no))
    with signing(path, by, now_s) as (store, who):
        return _line(reveal_holder(store.database, card_no, who, because, now_s))


def _line(shown: Shown) -> str:
    return f"card {shown.card_no}: {shown.kind}, {shown.department}, {shown.person_no}"


def export(path: Path, person_no: str, out: Path, because: str, by: str, now_s: int) -> str:
    """All that the books have of a person, in a file for its owner alone. BadInput."""
    with signing(path, by, now_s) as (store, who):
        found = everything_of(store.database, person_no, who, because, now_s)
    write_private(out, json.dumps(found, ensure_ascii=False, indent=2).encode() + b"\n")
    counts = ", ".join(f"{name} {len(rows)}" for name, rows in found.items())
    return f"{out}: {counts}"


def blank(path: Path, is_done: bool, by: str, now_s: int) -> str:
    """What is over, and whether it is blanked or would be."""
    if not is_done:
        with opened(path) as store:
            return _told(due(store.database, now_s), "would be")
    with signing(path, by, now_s) as (store, who):
        return _told(run(store.database, who, now_s), "is")


def _told(found: list[Due], what: str) -> str:
    return "\n".join(
        f"{one.name}: {len(one.keys)} {what} blanked ({one.rule.what}, {one.rule.days} days after"
        f" {one.rule.since})"
        for one in found
    )
