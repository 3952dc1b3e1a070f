"""The register of readers, and one of them: where it stands, who answers for it (R20)."""

from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown
from ledger.console.dossiers import WORKS_WITH as IN_DOSSIERS
from ledger.console.dossiers import may_begin
from ledger.console.exports import asked_for
from ledger.console.refusals import NOTHING_HERE
from ledger.console.texts import Texts
from ledger.quiescence import read

_SHOWN = 100
_FACTS = """
SELECT d.device, d.merchant_no, COALESCE(m.name, ''), d.site, COALESCE(r.department, ''),
    d.head_seq, CASE WHEN x.device IS NULL THEN 0 ELSE 1 END, COALESCE(a.application, 0),
    (SELECT COUNT(*) FROM parked p WHERE p.device = d.device), d.is_forked
FROM device d LEFT JOIN merchant m ON m.merchant_no = d.merchant_no
LEFT JOIN responsible r ON r.device = d.device
LEFT JOIN retirement x ON x.device = d.device
LEFT JOIN admission a ON a.device = d.device"""
_LIST = f"{_FACTS} WHERE d.device > ? AND ? IN ('', d.site) ORDER BY d.device LIMIT {_SHOWN + 1}"
_ONE = f"{_FACTS} WHERE d.device = ?"
_ALL = f"{_FACTS} ORDER BY d.device"
_NEWEST = "SELECT sealed FROM record WHERE device = ? AND seq = ?"
_DOSSIERS = """
SELECT d.number, d.kind, d.reference, (SELECT s.state_after FROM dossier_step s
    WHERE s.dossier = d.number ORDER BY s.step DESC LIMIT 1)
FROM dossier d WHERE d.device = ? ORDER BY d.number DESC LIMIT 50"""
_CASES = """
SELECT reason, device, seq FROM suspense_case WHERE device = ? ORDER BY seq DESC LIMIT 20"""
_BEGINS = ("relocation", "repair", "damage", "retirement")


def show(asked: Asked) -> Shown:
    """The readers, by number; of one site where the query says so."""
    behind, site = typed.in_query(asked, "after"), asked.query.get("site", "")
    with asked.store.database.reading():
        rows = list(asked.store.database.rows(_LIST, (behind, site)))
        held = asked.store.merchants.onboarding.held_back()
    more = rows[_SHOWN - 1][0] if len(rows) > _SHOWN else 0
    context = {"readers": rows[:_SHOWN], "more": more, "site": site, "held": held}
    return Shown("readers.html", context)


def show_file(asked: Asked) -> Download:
    """The register as a file, all of it."""
    heads = ("终端", "商户号", "商户", "地点", "责任部门", "已收到记录", "状态", "申请")
    rows = [
        (str(device), str(no), name, site, department, head, "停用" if ended else "在用",
         str(application) if application else "")
        for device, no, name, site, department, head, ended, application, *_ in (
            asked.store.database.rows(_ALL)
        )
    ]  # fmt: skip
    return asked_for(asked.query.get("as", ""), "readers", ("终端", heads, rows), asked.now_s)


def show_one(asked: Asked) -> Shown:
    """A reader, and what may be begun about it."""
    device, database = typed.in_path(asked, "reader"), asked.store.database
    with database.reading():
        facts = next(iter(list(database.rows(_ONE, (device,)))), None)
        if facts is None:
            raise Refused(NOTHING_HERE)
        newest = [read(bytes(sealed)) for (sealed,) in database.rows(_NEWEST, (device, facts[5]))]
        context = {
            "facts": facts,
            "heard_s": newest[0]["earliest_s"] if newest and newest[0] else 0,
            "dossiers": list(database.rows(_DOSSIERS, (device,))),
            "cases": list(database.rows(_CASES, (device,))),
        }
    begins = [] if facts[6] else [kind for kind in _BEGINS if may_begin(asked, kind)]
    return Shown("reader.html", context | {"begins": begins})


PAGES = (
    Page("/readers", ("终端登记簿", "Readers"), show, verbs=IN_DOSSIERS, menu="menu_devices"),
    Page("/lists/readers", ("终端清单", "List of readers"), show_file, verbs=IN_DOSSIERS),
    Page("/readers/{reader}", ("终端", "Reader"), show_one, verbs=IN_DOSSIERS),
)
TEXTS: Texts = {
    "rd_department": ("责任部门", "Department"),
    "rd_nobody": ("没有人负责", "nobody answers for it"),
    "rd_used": ("在用", "in use"),
    "rd_ended": ("停用", "ended"),
    "rd_state": ("状态", "State"),
    "rd_gap": ("缺口后等着的记录", "Records behind a gap"),
    "rd_forked": ("两台用同一密钥", "two readers with one key"),
    "rd_heard": ("最后一条记录的时间", "Its newest record is of"),
    "rd_application": ("按申请", "By application"),
    "rd_cases": ("差错", "Cases"),
    "rd_held": (
        "登记文件里有、但没有批准的终端（记录不收）",
        "In the register and not approved: their records are refused",
    ),
}
