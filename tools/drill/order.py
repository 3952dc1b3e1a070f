"""What is asked of a drill."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Readers:
    """`books`: the ledger's database, None for a simulated site. `left_out`: readers by number."""

    books: Path | None
    department: str
    person: str
    left_out: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """When it was, as local times, or which agent to watch; "" where that is not said."""

    begun: str
    ended: str
    agent: str
    utc_offset_s: int
