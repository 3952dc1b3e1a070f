"""Which doors that a magnet holds are released now, as in a mains failure (R23.2).

A door says so itself, if its building's agent still runs; one that is dead says nothing, and is
open: so who was not heard for SILENT_S is listed apart, and nobody claims that it is locked.
"""

from ledger import door_states
from ledger.console.asked import Asked, Page, Shown
from ledger.console.batteries import DOORS_MAX
from ledger.console.door_words import STATES
from ledger.console.doors import ROLES, VERBS, column
from ledger.console.texts import Texts
from ledger.door_states import DoorState

SILENT_S = 86_400
SHOWN = 300


def show(asked: Asked) -> Shown:
    """By building: released doors, those that were not heard, and how many are locked."""
    database = asked.store.database
    states = door_states.at(database, asked.query.get("site", ""), DOORS_MAX)
    magnets = [one for one in states if not one.is_lock]
    released = [one for one in magnets if one.is_released]
    silent = [one for one in magnets if not one.is_released and is_silent(one, asked.now_s)]
    at = column(asked)
    context = {
        "site": asked.query.get("site", ""),
        "dark": by_building([one for one in released if one.is_dark]),
        "released": by_building([one for one in released if not one.is_dark]),
        "silent": by_building(silent),
        "locked": len(magnets) - len(released) - len(silent),
        "words": {one.device: STATES[one.state][0][at] for one in released},
        "at_s": asked.now_s,
        "is_cut": len(states) == DOORS_MAX,
    }
    return Shown("mains.html", context)


def is_silent(door: DoorState, now_s: int) -> bool:
    """Whether nobody knows how this door stands."""
    return not door.state or now_s - door.heard_s > SILENT_S


def by_building(states: list[DoorState]) -> dict[str, list[DoorState]]:
    """The doors of each building, by number; SHOWN at most."""
    found: dict[str, list[DoorState]] = {}
    for one in sorted(states, key=lambda one: (one.site, one.device))[:SHOWN]:
        found.setdefault(one.site, []).append(one)
    return found


PAGES = (
    Page(
        "/mains",
        ("停电：哪些门开着", "Released doors"),
        show,
        VERBS,
        ROLES,
        menu="menu_doors",
        access_key="m",
    ),
)
TEXTS: Texts = {
    "doors_dark": ("没有电，已释放（R23）", "No supply: released (R23)"),
    "doors_released": ("有电，但现在没锁", "With supply, and not locked now"),
    "doors_silent": (
        "一天以上没有消息：不知道，停电时就是开的",
        "Not heard for a day: nobody knows; without supply they are open",
    ),
    "doors_locked": ("锁着的门：", "Locked doors:"),
    "doors_as_of": ("按各门自己最后说的，截至", "By each door's own last word, as of"),
    "doors_dark_do": (
        "派人看守或用钥匙锁门；来电后自动上锁。装电池的锁不受影响。",
        "Guard them or lock them by key; they lock again by themselves. Locks on cells go on.",
    ),
    "said_at": ("它说于", "said at"),
}
