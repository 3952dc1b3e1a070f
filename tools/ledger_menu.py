"""What each merchant sells: `onecard ledger menu VERB DATABASE ...`; the rules are the books'.

May run beside the ledger, which reads the books whenever a POS asks.
"""

from datetime import UTC, datetime
from pathlib import Path

from ledger.menus import MenuChange
from tools.ledger_forks import opened
from tools.reader_menu import told
from tools.session import signing


def set_menu(
    path: Path, data: bytes, merchant_no: int, site: str, person: str, time_s: int
) -> int:
    """The epoch of a menu that is set in the books `path`. NotBooks, MenuRefused."""
    with signing(path, person, time_s) as (store, who):
        return store.menus.set_menu(merchant_no, site, data, who, time_s)


def show(path: Path) -> str:
    """A line for each change; behind those that no POS has any more stands what came instead."""
    with opened(path) as store:
        changes = store.menus.changes()
    return "\n".join([_line(one, changes) for one in changes] or ["no menu was ever set"])


def _line(change: MenuChange, changes: list[MenuChange]) -> str:
    # What is for all POS of a merchant takes the place of what was for those of one site.
    later = [
        one.number
        for one in changes
        if one.number > change.number
        and one.merchant_no == change.merchant_no
        and one.site in (change.site, "")
    ]
    time = datetime.fromtimestamp(change.time_s, UTC).isoformat().replace("+00:00", "Z")
    where = f"merchant {change.merchant_no}, {change.site or 'all sites'}"
    over = f"; replaced by epoch {later[0]}" if later else ""
    return f"epoch {change.number}, {time}, {change.person}: {where}: {told(change.menu)}{over}"
