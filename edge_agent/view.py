"""The agent at one moment, for people and metrics: plain numbers, ready for JSON.

The loop makes a new one every second and never changes it afterwards, so whoever shows it
(page.py, metrics.py, `onecard agent top`) may do that at any time. A device number is the most
personal thing in it.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from edge_agent.space import Space

MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
LEVELS = ("ok", "tight", "urgent", "full")  # by Space.level


class Filling:
    """How fast the store grows, over the last hour, and so for how long it will last."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque()  # ms, bytes

    def hours_left(self, space: Space, now_ms: int) -> int | None:
        """Whole hours until the budget is used at this rate; None if it does not grow."""
        if not self._seen or now_ms - self._seen[-1][0] >= MINUTE_MS:
            self._seen.append((now_ms, space.used_bytes))
        while now_ms - self._seen[0][0] > _HOUR_MS and len(self._seen) > 1:
            self._seen.popleft()
        since_ms, bytes_then = self._seen[0]
        grown_bytes, passed_ms = space.used_bytes - bytes_then, now_ms - since_ms
        if grown_bytes <= 0 or passed_ms < MINUTE_MS:
            return None
        return (space.limit_bytes - space.used_bytes) * passed_ms // grown_bytes // _HOUR_MS


def view(
    *,
    site: str,
    utc_s: int,
    links: Mapping[str, tuple[bool, str]],
    space: Space,
    hours_left: int | None,
    counters: Mapping[str, int],
    readers: list[dict[str, Any]],
    enrolment: dict[str, Any] | None,
    certificates: list[dict[str, Any]],
) -> dict[str, Any]:
    """`links`: name -> (is up, what it last failed with). `certificates`: see Certificates.left.
    The rest is AgentService's.
    """
    return {
        "site": site,
        "utc_s": utc_s,
        "links": {
            name: {"connected": up, "last_error": "" if up else error}
            for name, (up, error) in links.items()
        },
        "store": {
            "used_bytes": space.used_bytes,
            "limit_bytes": space.limit_bytes,
            "level": LEVELS[space.level],
            "hours_left": hours_left,
            "waiting": sum(reader["waiting"] for reader in readers),
        },
        "counters": dict(sorted(counters.items())),
        "readers": readers,
        "enrolment": enrolment,
        "certificates": certificates,
    }
