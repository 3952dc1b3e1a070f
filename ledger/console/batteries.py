"""Cells of locks by building, the worst first, with the numbers of their doors (R23.3b).

For a warden with a phone in the hand and cells in the bag; on a batch of doors, not all at once.
"""

from ledger import door_states
from ledger.console.asked import Asked, Page, Shown, Waiting
from ledger.console.door_words import CELLS_ADVICE, GRADES, STATES
from ledger.console.doors import ROLES, VERBS, column, percent
from ledger.console.texts import Texts
from ledger.door_states import DoorState
from protocols.rules import cells, lock

DOORS_MAX = 4_000  # of one building, or of all: what one look may cost
SHOWN = 200


def show(asked: Asked) -> Shown:
    """Locks of a building (or of all) that want cells or a look, and how many do not."""
    site = asked.query.get("site", "")
    states = door_states.at(asked.store.database, site, DOORS_MAX)
    locks = door_states.by_need(states)
    wanting = [one for one in locks if wants(one)]
    context = {
        "site": site,
        "sites": door_states.sites(asked.store.database),
        "lines": [_line(one, column(asked)) for one in wanting[:SHOWN]],
        "wanting": len(wanting),
        "good": len(locks) - len(wanting),
        "is_cut": len(states) == DOORS_MAX,
    }
    return Shown("batteries.html", context)


def wants(door: DoorState) -> bool:
    """Whether somebody has to go to this lock."""
    return bool(door.grade) or door.state == lock.JAMMED


def _line(door: DoorState, at: int) -> dict[str, object]:
    is_jammed = door.state == lock.JAMMED
    grade = door.grade or cells.GOOD
    said = STATES[lock.JAMMED] if is_jammed else (GRADES[grade], CELLS_ADVICE[grade])
    return {
        "door": door,
        "percent": percent(door),
        "text": said[0][at],
        "advice": said[1][at],
        "is_bad": is_jammed or grade == cells.EMPTY,
    }


def waiting(asked: Asked) -> list[Waiting]:
    """For the first page of whoever keeps a building: how many of its locks want cells."""
    mine = [
        (site, scope)
        for site in door_states.sites(asked.store.database)
        for scope in ("dorm", "public")
        if asked.may(f"access.{scope}")
        and asked.store.access.is_in_office(site, scope, str(asked.person))
    ]
    found = []
    for site, scope in mine:
        states = door_states.at(asked.store.database, site, DOORS_MAX)
        count = sum(wants(one) for one in states if one.scope == scope)
        found.append(Waiting("waits_cells", count, f"/batteries?site={site}"))
    return found


PAGES = (
    Page(
        "/batteries",
        ("换电池", "Cells of locks"),
        show,
        VERBS,
        ROLES,
        menu="menu_doors",
        access_key="v",
    ),
)
WAITING = (waiting,)
TEXTS: Texts = {
    "waits_cells": ("把锁要换电池或查看", "locks that want cells or a look"),
    "cells_good": ("其余的锁电量良好：", "All other locks are good:"),
    "cells_wanting": ("要换电池或查看的锁：", "Locks that want cells or a look:"),
    "cells_none": ("没有要换电池的锁。", "No lock wants cells."),
    "cells_more": ("只列出最急的，请选楼栋。", "The most urgent ones only: choose a building."),
    "all_buildings": ("全部楼栋", "All buildings"),
}
