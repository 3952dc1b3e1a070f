"""What a browser looks at: the campus, a device ("device:NAME") or the wall; what it is told.

Whatever is seen has a key, "kind" or "kind:name". A view is told only what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable

CAMPUS, WALL = "campus", "wall"
_DEVICE = "device:"
# Told to whoever looks at that device; the rest of what is told of devices is the campus's too.
DEVICE_KINDS = frozenset({"posture", "journal", "flash", "inside"})
_NOT_CAMPUS = DEVICE_KINDS | {WALL}
_EVERYWHERE = frozenset({"time", "sites"})


def device_view(name: str) -> str:
    """The view of one device."""
    return _DEVICE + name


def devices_of(views: Iterable[str]) -> list[str]:
    """The names of the devices that somebody looks at."""
    return [view.removeprefix(_DEVICE) for view in views if view.startswith(_DEVICE)]


def is_told(view: str, key: str) -> bool:
    """Whether a view shows what has this key."""
    kind, _, name = key.partition(":")
    if key in _EVERYWHERE:
        return True
    if view == WALL:
        return kind == WALL
    if view.startswith(_DEVICE):
        return name == view.removeprefix(_DEVICE) and (kind in DEVICE_KINDS or kind == "reader")
    return kind not in _NOT_CAMPUS


def is_only_of(view: str, key: str) -> bool:
    """Whether nobody but this view shows what has this key."""
    return is_told(view, key) and not is_told(CAMPUS, key)
