"""What `onecard journal` prints in the same words everywhere: times, findings, whose card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ledger.privacy import masked
from protocols.rules.money import format_yuan
from protocols.rules.reason_texts import TEXTS as REASONS
from protocols.wire import messages
from tools.journal import trace_words
from tools.journal.capture import Capture
from tools.journal.findings import Finding
from tools.journal.left_out import LEFT_OUT

if TYPE_CHECKING:
    from tools.journal.replay import Replayed
    from tools.journal.staged import Staged
    from tools.journal.trace import Step
    from tools.journal.verify import Verdict

_RESULTS = {
    messages.COMMITTED: ("debited", "已扣款"),
    messages.NOT_COMMITTED: ("not debited", "未扣款"),
    messages.UNKNOWN: ("not known", "不明"),
}
# Fields of records that say whose card it was.
CARD_FIELDS = frozenset({"card_no"})
_TIME_UNKNOWN_S = 0xFFFFFFFF
_MORE_MAX = 20


def moment(earliest_s: int, latest_s: int) -> str:
    """When a record was written, by its reader's clock: UTC, and how unsure it was."""
    if latest_s == _TIME_UNKNOWN_S:
        return "unknown"
    return f"{at(earliest_s)} +{latest_s - earliest_s} s"


def at(time_s: int) -> str:
    """Seconds since 1970 as UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def card(card_no: int, *, masks: bool) -> str:
    """The number of a card as it is printed."""
    return masked(str(card_no)) if masks else str(card_no)


def lines_of_finding(capture: Capture, finding: Finding) -> list[str]:
    """Where it is, and what, in English and Chinese."""
    where = f"0x{capture.address(finding.offset):06x}"
    of_what = f"record {finding.seq} at {where}" if finding.seq is not None else f"at {where}"
    in_chinese = (
        f"记录 {finding.seq}，地址 {where}" if finding.seq is not None else f"地址 {where}"
    )
    return [f"  {of_what}: {finding.text(0)}", f"  {in_chinese}：{finding.text(1)}"]


def lines_of_verdict(capture: Capture, verdict: Verdict) -> list[str]:
    """What `verify` prints: whose it is, what holds, the first broken link, and the notes."""
    span = f", {verdict.first} to {verdict.last}" if verdict.records else ""
    lines = [
        f"device     {verdict.device or 'nobody has written here'}",
        f"journal    sha256 {capture.sha256}, found by: {_plain(capture.place.how)}",
        *_taken(capture),
        f"records    {verdict.records}{span}; booked up to {verdict.receipted}, as noted here",
    ]
    sealed = f"{verdict.sealed} of {verdict.records} hold"
    lines.append(f"seals      {sealed if verdict.has_key else 'not checked: that takes --key'}")
    breaks = verdict.breaks
    for finding in breaks[:1]:
        lines += [
            "BROKEN     the first broken link, 第一处断点：",
            *lines_of_finding(capture, finding),
        ]
    if breaks[1:]:
        lines.append(f"and {len(breaks) - 1} more behind it, 其后还有 {len(breaks) - 1} 处：")
        for finding in breaks[1:_MORE_MAX]:
            lines += lines_of_finding(capture, finding)
    if not breaks:
        whole = "every link holds, 每一环都对得上"
        unchecked = "its numbers follow each other, 记录号连续"
        lines.append(f"ok         {whole if verdict.has_key else unchecked}")
    for finding in verdict.notes:
        lines += ["note       注：", *lines_of_finding(capture, finding)]
    return lines


def _taken(capture: Capture) -> list[str]:
    source = capture.source
    if not source:
        return []
    whom = f" by {source['by']}" if "by" in source else ""
    what = f": {source['note']}" if "note" in source else ""
    when = f"{at(source['begun_s'])} to {at(source['ended_s'])} UTC"
    return [_plain(f"taken      {when}, {source['how']}, {source['from']}{whom}{what}")]


def _plain(text: str) -> str:
    """What somebody else has written, in one line that hides nothing of what stands behind it."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def lines_of_trace(traces: Mapping[tuple[int, int], Sequence[Step]]) -> list[str]:
    """What `trace` prints: each step in both languages, then where the money is."""
    if not traces:
        return ["nobody has such a tap, 哪里都没有这次刷卡"]
    lines: list[str] = []
    if len(traces) > 1:
        lines.append(f"{len(traces)} taps: the card was copied, or written back; 卡被复制或回写")
    for (device, seq), steps in traces.items():
        lines += ["", f"{device}/{seq}"] if lines else [f"{device}/{seq}"]
        for step in steps:
            english, chinese = trace_words.NAMES[step.number]
            status, in_chinese = trace_words.STATUS[step.status]
            lines.append(f"  {step.number} {english}: {status}; {step.text(0)}")
            lines.append(f"    {chinese}：{in_chinese}；{step.text(1)}")
    return lines


def lines_of_replay(found: Replayed, *, masks: bool) -> list[str]:
    """What `replay` prints: how much was played, the first difference, and what was left out."""
    made = found.staged
    played = len(made.visits)
    lines = [
        f"played     {played} visits; {found.same} decided as in the field,"
        f" {len(found.differences)} otherwise",
        f"重演       {played} 位顾客，{found.same} 位与现场一致，{len(found.differences)} 位不同",
    ]
    if made.assumed:
        lines.append(f"assumed    {made.assumed} times what a card was or did elsewhere, 有假设")
    for name, (theirs, ours) in (("firmware", found.firmware), ("policy", found.epochs)):
        if theirs != ours:
            lines.append(f"{name:10} {theirs} in the field, {ours} here, 版本不同")
    for one in found.differences[:1]:
        whose, when = card(one.visit.card_no, masks=masks), at(int(one.visit.at_s))
        lines.append(f"DIFFERENT  the first: record {one.seq}, card {whose}, {when} UTC")
        for name, decided in (("field, 现场", one.field), ("replayed, 重演", one.replayed)):
            english, chinese = decision(decided)
            lines.append(f"  {name}: {english}; {chinese}")
    for why, count in sorted(_reasons(made).items()):
        lines.append(f"left out   {count} times: {why[0]}; {why[1]}")
    return lines


def _reasons(made: Staged) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for _visit, why, facts in made.left_out:
        english, chinese = (text.format(**facts) for text in LEFT_OUT[why])
        found[english, chinese] = found.get((english, chinese), 0) + 1
    return found


def decision(decided: tuple[int, ...]) -> tuple[str, str]:
    """What a reader decided (visits.Visit.decisions), in both languages."""
    if not decided:
        return "nothing", "什么也没有"
    kind, *rest = decided
    if kind == messages.REFUSAL:
        english, chinese = REASONS.get(rest[1], ("?", "?"))
        return f"refused {format_yuan(rest[0])}: {rest[1]}, {english}", f"拒绝：{chinese}"
    if kind == messages.INTENT:
        amount = format_yuan(rest[0])
        return f"takes {amount}, proofs {rest[1]}", f"扣 {amount}，凭证 {rest[1]}"
    if kind == messages.OUTCOME:
        english, chinese = _RESULTS[rest[0]]
        return english, chinese
    return "keeps the card", "收卡"


def fact(finding: Finding, capture: Capture) -> dict[str, Any]:
    """The same for programs."""
    return {
        "why": finding.why,
        "is_break": finding.is_break,
        "record": finding.seq,
        "address": capture.address(finding.offset),
        "text": finding.text(0),
        "text_zh": finding.text(1),
    }
