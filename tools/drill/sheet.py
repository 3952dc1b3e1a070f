"""The sheet of a drill, in Chinese, to print and to sign; and what is announced before it.

Rules of this file. What was filed is printed, not judged anew. Every text is escaped. The same
drill makes the same page.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ledger.drill_rules import (
    COUNTER,
    DOOR,
    FAILED,
    LOCK,
    NETWORK,
    NOT_CUT,
    NOT_TRIED,
    PASSED,
    POWER,
    PUNCHES,
    SHORT,
    SILENT,
    UNSEEN,
)
from ledger.drills import Filed
from ledger.people import DEPARTMENTS
from tools.annex_form import Signature, day_of, rendered

TITLES = {POWER: "校园一卡通停电演练记录", NETWORK: "校园一卡通断网演练记录"}
KINDS = {COUNTER: "消费终端", DOOR: "电磁锁门禁", LOCK: "智能门锁", PUNCHES: "考勤机"}
WORDS = {
    PASSED: "符合",
    SHORT: "断电期间持续工作，演练不足两小时",
    NOT_TRIED: "未试用",
    NOT_CUT: "没有断开的记录",
    UNSEEN: "控制器随断电停止，须现场查看",
    SILENT: "尚未上报",
    FAILED: "不符合",
}
VERDICTS = {"passed": "全部符合", "partly": "未全部证明", "failed": "有不符合项"}
RULES = {
    "R23.1a": "停电后电池维持约两小时（第二十三条一）",
    "R23.1b": "停电期间刷实体卡消费（第二十三条一）",
    "R23.2": "停电时电磁锁自行断开，来电后重新上锁（第二十三条二）",
    "R23.3a": "停电不影响门锁刷卡（第二十三条三）",
    "R24.1": "断网时刷实体卡消费（第二十四条一）",
    "R24.2": "断网时刷卡开门（第二十四条二）",
    "R24.3": "断网时门锁刷卡开门（第二十四条三）",
    "R24.x": "断网时考勤机照常打卡（条款未写明）",
}
# Name of a figure: its words, and what it is divided by and called.
_FIGURES = {
    "on_battery_s": ("电池供电至少", 60, "分钟"),
    "battery_mv": ("断电时电池", 1, "mV"),
    "spends": ("成功消费", 1, "笔"),
    "released_s": ("释放至少", 60, "分钟"),
    "held_without_mains": ("无电仍上锁", 1, "次"),
    "opened": ("刷卡开门", 1, "次"),
    "refused_empty": ("因电池不足拒绝", 1, "次"),
    "punches": ("打卡", 1, "次"),
}
NOTICES = {
    POWER: (
        "通知：{site} 即将进行停电演练。",
        "消费终端由电池供电约两小时，期间只刷实体卡，或用微信、支付宝扫聚合码。",
        "电磁锁门禁会自行断开：请派人看守，出口保持畅通。装电池的门锁照常刷卡。",
        "请在每台消费终端至少消费一笔，在每把门锁刷卡一次；来电后再各用一次。",
    ),
    NETWORK: (
        "通知：{site} 即将进行断网演练。",
        "只刷实体卡：虚拟卡、充值、结转在恢复前不能办理。",
        "请在每台消费终端至少消费一笔，在每扇门刷卡一次；恢复后再各用一次。",
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A rule at a reader. `is_bad`: it did not hold."""

    device: int
    kind: str
    rule: str
    words: str
    verdict: str
    figures: str
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands on the page."""

    title: str
    number: int
    site: str
    begun: str
    ended: str
    department: str
    verdict: str
    rows: tuple[Row, ...]
    left_out: str
    evidence: str
    by: Signature
    is_simulated: bool


def notice(kind: str, site: str) -> str:
    """What is put up at the site before."""
    return "\n".join(NOTICES[kind]).format(site=site)


def page(filed: Filed, utc_offset_s: int, is_simulated: bool) -> bytes:
    """The page of a drill that is filed; one of a simulated site says so under its title."""
    return rendered("drill.html", sheet_of(filed, utc_offset_s, is_simulated))


def sheet_of(filed: Filed, utc_offset_s: int, is_simulated: bool) -> Sheet:
    """The same as values."""
    report = json.loads(filed.report)
    left_out = "、".join(map(str, report["left_out"]))
    return Sheet(
        TITLES[filed.kind],
        filed.number,
        filed.site,
        local(filed.from_s, utc_offset_s),
        local(filed.to_s, utc_offset_s),
        DEPARTMENTS.get(filed.department, (filed.department,))[0],
        VERDICTS[filed.verdict],
        tuple(_rows(report["readers"])),
        left_out or "无",
        filed.evidence,
        Signature(filed.person, day_of(filed.time_s, utc_offset_s)),
        is_simulated,
    )


def _rows(readers: list[dict[str, object]]) -> Iterator[Row]:
    for reader in readers:
        device, kind, checks = reader["device"], reader["kind"], reader["checks"]
        assert isinstance(device, int) and isinstance(kind, str) and isinstance(checks, list)
        for check in checks:
            figures = "，".join(_figure(*one) for one in check["figures"].items())
            rule, verdict = check["rule"], check["verdict"]
            bad = verdict == FAILED
            yield Row(device, KINDS[kind], rule, RULES[rule], WORDS[verdict], figures, bad)


def _figure(name: str, value: int) -> str:
    words, unit, called = _FIGURES[name]
    return f"{words} {value // unit} {called}"


def local(time_s: int, utc_offset_s: int) -> str:
    """A time as it is printed."""
    return datetime.fromtimestamp(time_s + utc_offset_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
