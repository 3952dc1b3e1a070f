"""Doors that somebody has opened with a key, as that person says (R23.3b, R24.3).

A lock on batteries tells itself that a key was turned; who that was and why, only a person can
say. It is an act and nothing else: it stands among the acts, which nobody changes (ADR 51).
"""

from dataclasses import dataclass

from ledger.access import AccessBook, AccessRefused
from ledger.dialect import Dialect
from ledger.people import NO_REASON_GIVEN, NOT_FOUNDED
from ledger.signatures import NotAllowed, are_there, signed

VERB = "door.key"
BECAUSE_CHARS_MAX = 64
_DOOR = (
    "SELECT o.scope, v.site FROM door o JOIN device v ON v.device = o.device WHERE o.device = ?"
)
_OF = """
SELECT a.login, a.evidence, a.time_s FROM operator_act a
WHERE a.verb = ? AND a.subject = ? AND a.reason = 0 ORDER BY a.number DESC LIMIT ?"""


@dataclass(frozen=True, slots=True)
class KeyOpening:
    """Somebody has opened a door with a key, and says why; entered at `time_s` (UTC)."""

    person: str
    because: str
    time_s: int


def enter(database: Dialect, device: int, because: str, person: str, time_s: int) -> None:
    """Note that `person` has opened a door with a key. AccessRefused, NotAllowed: not noted.

    Only who is appointed for that door says so.
    """
    is_line = because.isprintable() and because == because.strip()
    if not is_line or not 0 < len(because) <= BECAUSE_CHARS_MAX:
        raise NotAllowed(NO_REASON_GIVEN)
    if not are_there(database):
        raise NotAllowed(NOT_FOUNDED)  # a typed name leaves no act
    with database.transaction():
        for scope, site in list(database.rows(_DOOR, (device,))):
            person = signed(database, VERB, person, time_s, _subject(device), because)
            AccessBook(database).check_office(site, scope, person)
            return
        raise AccessRefused(f"device {device} is no door")


def of(database: Dialect, device: int, count: int) -> list[KeyOpening]:
    """The last openings of a door with a key, the newest first."""
    return [KeyOpening(*row) for row in database.rows(_OF, (VERB, _subject(device), count))]


def _subject(device: int) -> str:
    return f"door {device}: key"
