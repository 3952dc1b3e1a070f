"""Daily inspections by merchants and rounds by departments: which are due, which are missing.

R17 and R7.3: whether each merchant has inspected its readers on a day, what was wrong, and what a
reader has told that nobody has taken up. R21: whose round is due, and the form that notes one.
"""

from ledger import inspections, names
from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown
from ledger.console.exports import asked_for
from ledger.console.refusals import BAD_FIELDS
from ledger.console.texts import Texts
from ledger.duties import ITEMS, RESULTS
from ledger.inspections import INSPECTED, MISSING, PERHAPS, ReaderDay
from ledger.quiescence import fields_of

_ZH = {INSPECTED: "已巡检", PERHAPS: "可能已巡检", MISSING: "未巡检"}
_WHO = ("repair.department", "repair.merchant", "repair.centre")
_HEADS = ("商户号", "商户", "终端", "地点", "责任部门", "状态", "巡检时间", "异常", "报修未结")


def _of_day(asked: Asked) -> tuple[int, list[ReaderDay]]:
    day = typed.day(asked.fields.get("day", "")) or typed.day_in_query(asked)
    from_s = typed.begins_s(asked, day)
    with asked.store.database.reading():
        return day, inspections.of_day(asked.store.database, from_s, from_s + typed.DAY_S)


def show(asked: Asked) -> Shown:
    """Each reader on a day, what is missing first; faults and cards nobody has taken up."""
    day, found = _of_day(asked)
    order = {MISSING: 0, PERHAPS: 1, INSPECTED: 2}
    found.sort(key=lambda one: (order[one.state], one.merchant_no, one.device))
    tickets, database = asked.store.merchants.tickets, asked.store.database
    captures = [(*one, _card_of(asked, one)) for one in tickets.captures()]
    context = {
        "found": found,
        "day": day,
        "missing": sum(one.state == MISSING for one in found),
        "faults": tickets.faults(asked.now_s),
        "captures": captures,
        "names": names.masked_names(database, (one[2] for one in captures if one[2] is not None)),
    }
    return Shown("inspections.html", context)


def _card_of(asked: Asked, record: tuple[int, int]) -> int | None:
    """The card that a reader says it has withheld."""
    return (fields_of(asked.store.database, *record) or {}).get("card_no")


def take_up(asked: Asked) -> str:
    """A ticket for each fault that a reader has told and nobody has taken up."""
    made = asked.store.merchants.tickets.take_up(asked.person, asked.now_s)
    return "/dossiers?kind=repair&done=taken_up" if made else "/inspections"


def show_file(asked: Asked) -> Download:
    """The day as a file."""
    day, found = _of_day(asked)
    rows = [
        (str(one.merchant_no), one.merchant, str(one.device), one.site, one.department,
         _ZH[one.state], typed.clock(asked, one.look.latest_s) if one.look else "",
         " ".join(map(str, one.look.wrong)) if one.look else "",
         len([fault for fault in one.faults if fault.end is None]))
        for one in found
    ]  # fmt: skip
    name = f"inspections-{typed.date_of(day)}"
    return asked_for(asked.query.get("as", ""), name, ("巡检", _HEADS, rows), asked.now_s)


def show_rounds(asked: Asked) -> Shown:
    """Each round, when it is due and who makes it; where nobody is named."""
    with asked.store.database.reading():
        duties = asked.store.merchants.duties.every(asked.today())
        unnamed = asked.store.merchants.duties.unnamed()
    context = {"duties": duties, "unnamed": unnamed, "today": asked.today(), "items": ITEMS}
    return Shown("rounds.html", context | {"words": list(RESULTS)})


def note_round(asked: Asked) -> str:
    """Note a round of today, or name who makes them."""
    duties, site = asked.store.merchants.duties, typed.text(asked, "site")
    if asked.fields.get("act") == "name":
        what = asked.department, site, typed.text(asked, "person"), typed.number(asked, "every")
        duties.name(*what, asked.today(), asked.person, asked.now_s)
        return "/rounds?done=named"
    results = [asked.fields.get(item, "") for item in ITEMS]
    if not all(word in RESULTS for word in results):
        raise Refused(BAD_FIELDS, "results")
    where = asked.department, site, asked.today(), asked.person
    duties.go_round(*where, results, typed.text(asked, "said"), asked.now_s)
    return "/rounds?done=round"


PAGES = (
    Page(
        "/inspections",
        ("每日巡检", "Daily inspections"),
        show,
        verbs=_WHO,
        do=take_up,
        menu="menu_devices",
        access_key="y",
    ),
    Page("/inspections/list", ("巡检清单", "Inspections as a list"), show_file, verbs=_WHO),
    Page(
        "/rounds",
        ("定期检查", "Rounds"),
        show_rounds,
        verbs=("duty.round", "duty.name"),
        do=note_round,
        menu="menu_devices",
    ),
)
TEXTS: Texts = {
    "ins_missing": ("台未巡检", "not inspected"),
    "ins_none_missing": ("全部已巡检", "All are inspected"),
    "ins_inspected": ("已巡检", "inspected"),
    "ins_perhaps": ("可能已巡检", "perhaps"),
    "ins_not": ("未巡检", "missing"),
    "ins_when": ("最近一次", "Newest one"),
    "ins_wrong": ("异常编号", "What was wrong (reasons)"),
    "ins_standing": ("报修未结", "Faults that stand"),
    "ins_faults": ("终端上报、还没有工单的故障", "Faults told at readers that have no ticket"),
    "ins_take_up": ("全部受理成工单", "Make tickets of them"),
    "ins_captures": (
        "终端扣留、还没有登记去向的卡",
        "Withheld cards that nobody has",
    ),
    "ins_withhold": ("登记", "Say who has it"),
    "rnd_due": ("到期", "Due"),
    "rnd_site": ("站点", "Site"),
    "rnd_person": ("检查人", "Who"),
    "rnd_every": ("每几天", "Every (days)"),
    "rnd_last": ("上次", "Last"),
    "rnd_over": ("已过期", "over"),
    "rnd_none": ("还没有安排任何定期检查", "No round has been arranged yet"),
    "rnd_unnamed": ("还没有指定检查人的站点", "Sites for which nobody is named"),
    "rnd_note": ("登记今天的检查", "Note today's round"),
    "rnd_name": ("指定检查人", "Name who makes the rounds"),
    "rnd_devices": ("设备", "Devices"),
    "rnd_network": ("网络线路", "Network lines"),
    "rnd_power": ("电源线路", "Power lines"),
    "rnd_ok": ("正常", "in order"),
    "rnd_mended": ("已处理", "put right"),
    "rnd_told": ("处理不了，报图书信息中心", "told to the information centre"),
    "rnd_said": ("哪里处理不了（有上报时必填）", "What could not be put right"),
    "done_round": ("检查已登记", "The round is noted"),
    "done_named": ("已指定", "Named"),
    "done_taken_up": ("已受理成工单", "Tickets were made"),
}
