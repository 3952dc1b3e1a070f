"""Says no, as whoever would sign second: `onecard ledger decline`, the same as the console's (R4).

May run beside the ledger. NotBooks, NotAllowed, NoSubject, OtherMark, CardRefused,
CorrectionRefused, StoreUnavailable.
"""

from pathlib import Path

from ledger.declines import No
from ledger.declining import decline as say_no
from tools.session import signing


def decline(
    path: Path, what: tuple[str, str], mark: str, because: str, by: str, now_s: int
) -> str:
    """`what`: (kind, subject) of ledger/declining.py, and its mark; what is said of it."""
    with signing(path, by, now_s) as (store, who):
        say_no(store, *what, No(who, because, now_s), mark)
    return f"{' '.join(what)} is declined: whoever has made it sees why, and makes it anew"
