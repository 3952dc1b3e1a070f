"""A campus of as many devices as one likes: those of campus.toml, and more buildings of them.

Every one is a reader with its own firmware, flash and connection. They are switched on in turn,
for a network that 2,000 dial at one moment is another experiment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CAMPUS = Path(__file__).parent / "campus.toml"
DEVICES_MAX = 2000
_LARGE = 500  # from so many on buildings are large: each has a broker, a process of its own
_SMALL_BUILDING, _LARGE_BUILDING = 25, 100
_FIRST_DEVICE = 10_001
_PER_SECOND = 20  # so many are switched on
# Buildings by turns, and of a hundred devices in each how many of which role.
_BUILDINGS = (
    ("canteen", (("pos", 96), ("kiosk", 4))),
    ("dorm", (("door", 96), ("kiosk", 4))),
    ("canteen", (("pos", 96), ("kiosk", 4))),
    ("teaching", (("attendance", 60), ("door", 40))),
    ("library", (("door", 40), ("attendance", 36), ("identity", 16), ("kiosk", 8))),
)
_OF_ROLE = {
    "pos": 'merchant = "noodles"\nlanguage = "zh"\ncard_map = 1\nload_cards = 1\n',
    "kiosk": 'merchant = "nobody"\nlanguage = "zh"\nload_cards = 1\n',
    "door": 'merchant = "nobody"\nscope = "dorm"\ncard_map = 1\n',
    "attendance": 'merchant = "nobody"\nlanguage = "zh"\n',
    "identity": 'merchant = "nobody"\nlanguage = "zh"\nwifi = 1\nusb = 1\n',
}


def campus_of(devices: int) -> str:
    """The scenario with so many; ValueError unless it is as many as it has, to DEVICES_MAX."""
    text = CAMPUS.read_text(encoding="utf-8")
    own = text.count("[[reader]]")
    if not own <= devices <= DEVICES_MAX:
        raise ValueError(f"{devices} devices: it can be {own} to {DEVICES_MAX}")
    if devices == own:
        return text
    sites: dict[str, None] = {}
    readers = []
    for number, (site, role) in zip(range(devices - own), _places(devices), strict=False):
        sites[site] = None
        device = _FIRST_DEVICE + number
        head = f'[[reader]]\nname = "{role}-{device}"\ndevice = {device}\nsite = "{site}"\n'
        readers.append(f'{head}role = "{role}"\n{_OF_ROLE[role]}')
    over_s = devices // _PER_SECOND
    named = "".join(f', "{site}"' for site in sites)
    start = f'start_over = "00:{over_s // 60:02}:{over_s % 60:02}"\n'
    head, tail = text.split("\n[[merchant]]", 1)
    head = head.replace('"gatehouse"]', f'"gatehouse"{named}]') + "\n" + start
    before, behind = tail.split("\n# Who they are", 1)
    return f"{head}\n[[merchant]]{before}\n{''.join(readers)}\n# Who they are{behind}"


def _places(devices: int) -> Iterator[tuple[str, str]]:
    """Building after building: the site and role of each device, without an end."""
    size = _LARGE_BUILDING if devices >= _LARGE else _SMALL_BUILDING
    number = 10  # those of campus.toml are lower
    while True:
        for kind, roles in _BUILDINGS:
            number += 1
            for role, percent in roles:
                for _ in range(size * percent // 100):
                    yield f"{kind}-{number}", role
