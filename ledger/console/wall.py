"""The campus on one page, to be read from two metres: who is online, what waits, what is old.

By what readers have sealed (ledger/fleet_state.py), drawn here as SVG. The page looks again by
itself, which is nobody's presence: a session ends all the same. A screen that hangs there has a
role of its own, which shows this and says nothing, and whose session lasts (ADR 78).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from adapters.identity import WARN_DAYS, days_between
from ledger import door_states, fleet_state, map_news, people
from ledger.console.asked import Asked, Page, Shown
from ledger.console.batteries import DOORS_MAX
from ledger.console.texts import Texts
from ledger.door_states import DoorState
from ledger.fleet_state import ReaderState
from ledger.tampers import Tampers
from protocols.rules import cells

AGAIN_S = 60
SHOWN = 40
SITES_SHOWN = 24
_HOUR_S = 3_600
# The upper ends of the bars, in hours.
_AGES_H = (1, 6, 24, 72)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart: `value` of `most`, coloured by `kind` (good, warn, bad)."""

    label: str
    value: int
    most: int
    kind: str = "good"
    text: str = ""

    @property
    def width(self) -> int:
        """Of a hundred; what there is is seen, however little."""
        return max(self.value * 100 // self.most, 1) if self.value else 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """Of one door of the ledger's; `days` left, None: it cannot be read."""

    name: str
    days: int | None

    @property
    def kind(self) -> str:
        if self.days is None or self.days < 0:
            return "bad"
        return "warn" if self.days < WARN_DAYS else "good"


def show(asked: Asked) -> Shown:
    """Everything at one look."""
    database, now_s = asked.store.database, asked.now_s
    states = fleet_state.readers(database)
    newest = newest_firmware(asked)
    wrong = [(one, one.wrong(now_s, newest.get(one.device))) for one in states]
    wrong = [(one, why) for one, why in wrong if why]
    heard = sum(one.is_heard(now_s) for one in states)
    locks = door_states.by_need(door_states.at(database, "", DOORS_MAX))
    context = {
        "share": heard * 100 // len(states) if states else 100,
        "heard": heard,
        "count": len(states),
        "queue_h": max((one.queue_s for one in states), default=0) // _HOUR_S,
        "queued": sum(one.waiting or 0 for one in states),
        "map_h": map_age_h(states, now_s),
        "epoch": map_news.newest(database),
        "counts": {name: sum(name in why for _one, why in wrong) for name in WRONG},
        "barred": len(Tampers(database).waiting()),
        "weak": sum(bool(one.grade) for one in locks),
        "certificates": list(certificates(asked.settings.certificates, now_s)),
        "online_bars": online_bars(states, now_s),
        "queue_bars": queue_bars(states),
        "cell_bars": cell_bars(locks, asked.language),
        "lines": [(one, why, one.queue_s // _HOUR_S) for one, why in _urgent(wrong)[:SHOWN]],
        "wrong": len(wrong),
        "at_s": now_s,
        "again_s": 0 if asked.query.get("still") else AGAIN_S,
    }
    return Shown("wall.html", context)


WRONG = ("never", "silent", "offline", "queue", "map", "clock", "firmware")


def newest_firmware(asked: Asked) -> dict[int, int]:
    """Reader -> the version that a stage has for it."""
    book = asked.store.firmware
    found: dict[int, int] = {}
    for stage in book.current():
        for device, _site, _key in book.chosen(stage):
            found[device] = max(stage.version, found.get(device, 0))
    return found


def map_age_h(states: Iterable[ReaderState], now_s: int) -> int:
    """How old the oldest card map of a reader that was heard is, in hours."""
    ages = [now_s - one.map_made_s for one in states if one.map_made_s and one.is_heard(now_s)]
    return max(ages, default=0) // _HOUR_S


def certificates(files: Iterable[tuple[str, Path]], now_s: int) -> Iterator[Certificate]:
    """How long each still counts; the first of a file is its own."""
    for name, path in files:
        try:
            first = x509.load_pem_x509_certificates(path.read_bytes())[0]
        except (OSError, ValueError):
            yield Certificate(name, None)
            continue
        yield Certificate(name, days_between(now_s, int(first.not_valid_after_utc.timestamp())))


def online_bars(states: list[ReaderState], now_s: int) -> list[Bar]:
    """Of each building how many were heard, the worst first."""
    found = fleet_state.by_site(states, now_s).items()
    worst = sorted(found, key=lambda one: (one[1][0] / one[1][1], one[0]))
    return [
        Bar(site, heard, count, _kind_of_share(heard, count), f"{heard} / {count}")
        for site, (heard, count) in worst[:SITES_SHOWN]
    ]


def queue_bars(states: list[ReaderState]) -> list[Bar]:
    """How many readers have a queue of which age."""
    ages = [one.queue_s for one in states if one.waiting]
    found, from_s = [], 0
    for hours in (*_AGES_H, None):
        to_s = hours * _HOUR_S if hours else None
        count = sum(from_s <= age and (to_s is None or age < to_s) for age in ages)
        label = f"< {hours} h" if hours else f"≥ {_AGES_H[-1]} h"
        kind = "good" if hours == _AGES_H[0] else "warn" if hours in _AGES_H[:3] else "bad"
        found.append(Bar(label, count, max(len(ages), 1), kind, str(count)))
        from_s = to_s or 0
    return found


def cell_bars(locks: list[DoorState], language: str) -> list[Bar]:
    """How many locks have which cells."""
    from ledger.console.asked import LANGUAGES
    from ledger.console.door_words import GRADES

    at = LANGUAGES.index(language)
    kinds = {cells.EMPTY: "bad", cells.LOW: "warn", cells.GOOD: "good"}
    said = [one.grade for one in locks if one.grade is not None]
    return [
        Bar(GRADES[grade][at], said.count(grade), max(len(said), 1), kind, str(said.count(grade)))
        for grade, kind in kinds.items()
    ]


def _urgent(
    wrong: list[tuple[ReaderState, tuple[str, ...]]],
) -> list[tuple[ReaderState, tuple[str, ...]]]:
    """Those with the oldest queue first, then those that are silent longest."""
    return sorted(wrong, key=lambda one: (-one[0].queue_s, one[0].heard_s, one[0].device))


def _kind_of_share(heard: int, count: int) -> str:
    if heard == count:
        return "good"
    return "warn" if heard * 10 >= count * 9 else "bad"


PAGES = (
    Page(
        "/wall",
        ("校园状态", "The campus"),
        show,
        roles=(people.ENGINEER, people.HEAD, people.LEADER, people.STEWARD, people.DISPLAY),
        menu="menu_devices",
        access_key="w",
        keeps_session=False,
    ),
)
TEXTS: Texts = {
    "wall_online": ("在线", "online"),
    "wall_readers": ("台机具一天内有消息", "readers heard within a day"),
    "wall_queue": ("最久的待传（小时）", "oldest queue, hours"),
    "wall_queued": ("条记录待传", "records wait"),
    "wall_map": ("最旧的名单（小时）", "oldest card map, hours"),
    "wall_epoch": ("最新名单编号", "newest map"),
    "wall_cells": ("把锁电量低", "locks with weak cells"),
    "wall_barred": ("台被打开或移动", "opened or moved"),
    "wall_at": ("截至", "As of"),
    "wall_by": ("按机具自己密封的最后一句话", "by what readers have sealed last"),
    "wall_still": ("停止自动刷新", "Do not look again by itself"),
    "wall_again": ("每分钟刷新", "Look again each minute"),
    "wall_by_building": ("各楼在线", "Online by building"),
    "wall_queues": ("待传多久（台）", "Age of queues, readers"),
    "wall_batteries": ("门锁电量（把）", "Cells of locks"),
    "wall_behind": ("要处理的机具：", "Readers that want something:"),
    "wall_all_fine": ("所有机具正常。", "Every reader is in order."),
    "wall_reader": ("机具", "Reader"),
    "wall_wrong": ("问题", "What is wrong"),
    "wall_firmware": ("固件", "Firmware"),
    "wall_certificates": ("证书还有几天", "Certificates, days left"),
    "wall_unread": ("读不了", "cannot be read"),
    "wall_is_never": ("从没有消息", "never heard"),
    "wall_is_silent": ("一天没有消息", "silent for a day"),
    "wall_is_offline": ("断网", "no network"),
    "wall_is_queue": ("待传超过 1 小时", "queue above 1 h"),
    "wall_is_map": ("名单超过 1 天", "map above 1 day"),
    "wall_is_clock": ("时钟不准", "clock is off"),
    "wall_is_firmware": ("固件旧", "old firmware"),
}
