"""What the order in which one reader wrote says of when it did.

A record was not written before an earlier one could have been, nor after a later one. Where those
bounds contradict what it says itself a clock was wrong, and it has nothing but its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

TIME_UNKNOWN_S = 0xFFFFFFFF
Told = TypeVar("Told", bound=Any)  # a dataclass with earliest_s and latest_s


def narrowed(
    told: Sequence[Told], after_s: int = 0, before_s: int = TIME_UNKNOWN_S
) -> Iterator[Told]:
    """Each of what one reader has told, in its order, between the bounds of all.

    `after_s`, `before_s`: the bounds by what it has told before these, and behind them.
    """
    latest: list[int] = []
    bound_s = before_s
    for each in reversed(told):
        bound_s = min(bound_s, each.latest_s)
        latest.append(bound_s)
    from_s = after_s
    for each, to_s in zip(told, reversed(latest), strict=True):
        from_s = max(from_s, each.earliest_s)
        is_sound = from_s <= to_s
        yield replace(each, earliest_s=from_s, latest_s=to_s) if is_sound else each
