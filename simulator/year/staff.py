"""Who works at the campus's card centre and over it: let in by two administrators, logged in."""

from ledger import people
from ledger.store import LedgerStore
from simulator.operators import log_in, log_in_again

CLERK, TREASURER, STEWARD, HEAD, LEADER = "chen", "sun", "wang", "li", "zhao"
_WORK = {
    CLERK: (people.FINANCE, people.CLERK),
    TREASURER: (people.FINANCE, people.TREASURER),
    STEWARD: (people.GENERAL, people.STEWARD),
    HEAD: (people.GENERAL, people.HEAD),
    LEADER: (people.GENERAL, people.LEADER),
}
_FRESH_S = 1_200  # less than a session may be idle


class Staff:
    """The operators of `store`, which has none yet: from now on no typed name signs (ADR 51)."""

    def __init__(self, store: LedgerStore, now_s: int) -> None:
        self._store = store
        rows = [
            {"name": login, "department": department, "roles": [role]}
            for login, (department, role) in _WORK.items()
        ]
        proven = log_in(store, rows, now_s)
        self._sessions = {login: (proven[login], now_s) for login in _WORK}

    def named(self, login: str, now_s: int) -> str:
        """The proven name of one of them; logged in anew if it was not used for a while."""
        name, seen_s = self._sessions[login]
        if not seen_s <= now_s < seen_s + _FRESH_S:
            self._store.operators.end(name)
            name = log_in_again(self._store, login, now_s)
        self._sessions[login] = name, now_s
        return name

    def clerk(self, now_s: int) -> str:
        return self.named(CLERK, now_s)
