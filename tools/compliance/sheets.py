"""The report for the departments: a workbook, and a page to print, in Chinese.

Rules of this file. One section for each department. What was not run is said to be not run. A text
is a text in the workbook, never a formula or a link, and a page escapes it. The same results make
the same bytes.
"""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import xlsxwriter

from ledger.people import DEPARTMENTS
from ledger.period_sheet import TEXTS_ONLY
from tools.annex_form import rendered
from tools.compliance.results import (
    CHANGED,
    FAILED,
    NOT_RUN,
    OLD,
    PASSED,
    SKIPPED,
    Outcome,
    Results,
    state_of,
    state_of_rule,
)
from tools.compliance.rules import Proof, Rule

TITLE = "校园一卡通运行管理办法符合性报告"
WORDS = {
    PASSED: "通过",
    OLD: "通过（其他版本）",
    SKIPPED: "此处无法运行",
    CHANGED: "已修改，未重新运行",
    NOT_RUN: "未运行",
    FAILED: "未通过",
}
_COLOURS = {FAILED: "#C00000", NOT_RUN: "#7F7F7F", CHANGED: "#9C5700", SKIPPED: "#7F7F7F"}
HEADS = ("规则", "条款", "要求", "结论", "证明", "结果", "种子", "版本", "时间", "预期", "实际")
_WIDTHS = (9, 18, 44, 14, 46, 16, 8, 15, 17, 40, 40)
_SUM_HEADS = ("部门", *WORDS.values(), "合计")


@dataclass(frozen=True, slots=True)
class Line:
    """A proof as it stands in the report; `state` as of results.state_of."""

    command: str
    state: str
    word: str
    seed: str
    commit: str
    at: str
    expected: str
    happened: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule as it stands in the report; `why`: why no scenario plays it."""

    id: str
    article: str
    words: str
    state: str
    word: str
    why: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A department with its rules."""

    department: str
    entries: tuple[Entry, ...]

    def counts(self) -> tuple[int, ...]:
        """How many rules stand how, in the order of WORDS, and all of them."""
        states = Counter(entry.state for entry in self.entries)
        return *(states[state] for state in WORDS), len(self.entries)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole report."""

    title: str
    commit: str
    made: str
    sections: tuple[Section, ...]
    heads: tuple[str, ...] = _SUM_HEADS


def sheet_of(
    rules: list[Rule], results: Results, commit: str, now_s: int, utc_offset_s: int
) -> Sheet:
    """The report of these rules by what is known of their proofs."""
    sections = []
    for name, (chinese, _article) in DEPARTMENTS.items():
        own = [rule for rule in rules if rule.department == name]
        entries = tuple(_entry(rule, results, commit, utc_offset_s) for rule in own)
        if entries:
            sections.append(Section(chinese, entries))
    return Sheet(TITLE, commit or "未知", _moment(now_s, utc_offset_s), tuple(sections))


def page(sheet: Sheet) -> bytes:
    """An HTML page to print."""
    return rendered("compliance.html", sheet)


def workbook(sheet: Sheet) -> bytes:
    """An xlsx: a summary, and a sheet for each department."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, dict(TEXTS_ONLY))
    book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})
    bold = book.add_format({"bold": True, "border": 1, "text_wrap": True, "valign": "top"})
    cell = {"border": 1, "text_wrap": True, "valign": "top"}
    plain = book.add_format(cell)
    marked = {state: book.add_format(cell | {"font_color": to}) for state, to in _COLOURS.items()}
    first = book.add_worksheet("汇总")
    first.set_column(0, len(_SUM_HEADS), 18)
    first.write_row(0, 0, (sheet.title, f"版本 {sheet.commit}", f"制表 {sheet.made}"))
    first.write_row(2, 0, _SUM_HEADS, bold)
    for at, section in enumerate(sheet.sections, 3):
        first.write_row(at, 0, (section.department, *section.counts()), plain)
        own = book.add_worksheet(section.department)
        own.freeze_panes(1, 1)
        own.set_landscape()
        own.fit_to_pages(1, 0)
        for column, width in enumerate(_WIDTHS):
            own.set_column(column, column, width)
        own.write_row(0, 0, HEADS, bold)
        for row, (state, cells) in enumerate(_rows(section), 1):
            own.write_row(row, 0, cells, marked.get(state, plain))
    book.close()
    return out.getvalue()


def _rows(section: Section) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(state, the cells) of each proof, and of why there is no scenario."""
    for entry in section.entries:
        of_rule = entry.id, entry.article, entry.words, entry.word
        for line in entry.lines:
            ran = line.command, line.word, line.seed, line.commit, line.at
            yield line.state, (*of_rule, *ran, line.expected, line.happened)
        if entry.why:
            yield entry.state, (*of_rule, f"没有场景：{entry.why}", *("",) * 6)


def _entry(rule: Rule, results: Results, commit: str, utc_offset_s: int) -> Entry:
    state = state_of_rule(rule, results, commit)
    lines = tuple(
        _line(proof, state_of(proof, results, commit), results.get(proof), utc_offset_s)
        for proof in rule.proofs
    )
    return Entry(rule.id, rule.article, rule.words, state, WORDS[state], rule.why, lines)


def _line(proof: Proof, state: str, outcome: Outcome | None, utc_offset_s: int) -> Line:
    if outcome is None:
        return Line(proof.command, state, WORDS[state], "", "", "", "", "")
    command = proof.command
    if outcome.seed is not None:
        command += f" --seed {outcome.seed}"
    return Line(
        command,
        state,
        WORDS[state],
        "" if outcome.seed is None else str(outcome.seed),
        outcome.commit or "未知",
        _moment(outcome.at_s, utc_offset_s),
        outcome.expected,
        outcome.happened,
    )


def _moment(time_s: int, utc_offset_s: int) -> str:
    return datetime.fromtimestamp(time_s + utc_offset_s, UTC).strftime("%Y-%m-%d %H:%M")
