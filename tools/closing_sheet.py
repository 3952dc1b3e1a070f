"""The statement of a merchant's end, to print and to sign: `onecard ledger merchant statement`.

Rules of this file. What the kept statement says is printed (ledger/closing.py), not worked out
anew. Every text is escaped. The same books make the same page.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.amount_words import in_words
from ledger.closing import Statement, newest
from ledger.dossiers import Dossier, refuse
from ledger.procedures import CLOSING, NOT_SETTLED
from ledger.reasons import DEBT_OF_CENTRE, DEBT_OF_DEPARTMENT
from protocols.rules.money import format_yuan
from tools.annex_form import Signature, day_of, rendered
from tools.ledger_batch import write_private
from tools.ledger_forks import opened

TITLE = "校园一卡通商户退出结清单"
_SUMS = (
    ("消费收入", "sales_fen"),
    ("撤销退还", "cancelled_fen"),
    ("其他调整", "other_fen"),
    ("移机及赔偿费用", "costs_fen"),
    ("商户补缴", "paid_in_fen"),
    ("佣金", "commission_fen"),
    ("已付商户", "remitted_fen"),
    ("核销后收回", "recovered_fen"),
)
_WRITTEN_OFF = {
    DEBT_OF_CENTRE: "欠款核销（一卡通中心承担）",
    DEBT_OF_DEPARTMENT: "欠款核销（归口管理部门承担）",
}
PERIOD_HEADS = ("结算期", "销售额", "撤销额", "其他", "佣金", "应付")
READER_HEADS = ("终端", "最后记录号", "停用依据")
_SETTLED, _CLOSED = "一卡通中心结算", "一卡通中心复核"
# Who says what of it, as it stands on the page.
_SIGNED = {
    ("merchant", "apply"): "商户",
    ("department", "expel"): "管理部门",
    ("security", "expel"): "保卫部",
    ("department", "sign"): "管理部门",
    ("department-leader", "sign"): "管理部门分管校领导",
    ("card-centre", "propose"): "欠款核销提出",
    ("finance", "write-off"): "财务处核销",
    ("card-centre", "settle"): _SETTLED,
    ("card-centre", "close"): _CLOSED,
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands in the statement; amounts in yuan, as texts."""

    title: str
    reference: str
    settled: str
    mark: str
    merchant: str
    merchant_no: int
    sums: tuple[tuple[str, str, str], ...]
    undecided: str
    periods: tuple[tuple[str, ...], ...]
    readers: tuple[tuple[str, ...], ...]
    signatures: tuple[tuple[str, Signature], ...]
    period_heads: tuple[str, ...] = PERIOD_HEADS
    reader_heads: tuple[str, ...] = READER_HEADS


def write(path: Path, number: int, out: Path, school: str, utc_offset_s: int) -> str:
    """Write the page of a closing that was settled. NotBooks, DossierRefused."""
    with opened(path) as store:
        dossier = store.merchants.dossiers.dossier(number)
        statement = newest(store.database, number)
    if dossier.kind != CLOSING or statement is None:
        refuse(dossier.kind, f"dossier {number} is no closing that was settled", NOT_SETTLED)
    write_private(
        out,
        rendered("closing_statement.html", sheet_of(dossier, statement, school, utc_offset_s)),
    )
    return f"{out}: dossier {number}, {dossier.state}, statement {statement.mark}"


def sheet_of(dossier: Dossier, statement: Statement, school: str, utc_offset_s: int) -> Sheet:
    """What the statement says, in the words of the office."""
    said: dict[str, Any] = json.loads(statement.report)
    count, fen = said["undecided"]
    undecided = f"{count} 笔，{format_yuan(fen)} 元，待卡片再次使用时确定" if count else "无"
    return Sheet(
        school + TITLE,
        dossier.reference,
        day_of(statement.time_s, utc_offset_s),
        statement.mark,
        said["name"],
        said["merchant_no"],
        tuple((head, format_yuan(fen), in_words(fen)) for head, fen in _sums(said)),
        undecided,
        tuple(
            (name, *(format_yuan(amount_fen) for amount_fen in amounts))
            for _number, name, *amounts in said["periods"]
        ),
        tuple(_reader(*row) for row in said["readers"]),
        _signatures(dossier, utc_offset_s),
    )


def _sums(said: dict[str, Any]) -> Iterator[tuple[str, int]]:
    yield from ((head, said[key]) for head, key in _SUMS if key in said)
    yield from ((_WRITTEN_OFF[reason], fen) for reason, fen in said.get("written_off", ()))


def _reader(device: int, head_seq: int, mark_seq: int, dossier: int) -> tuple[str, ...]:
    basis = f"记录 {mark_seq} 为证" if mark_seq else "书面决定"
    return str(device), str(head_seq), f"{basis}，第 {dossier} 号"


def _signatures(dossier: Dossier, utc_offset_s: int) -> tuple[tuple[str, Signature], ...]:
    """The newest of each; whoever has not closed it yet is blank, as who has closed another."""
    heads = {head: Signature() for head in (_SETTLED, _CLOSED)}
    signed: dict[str, Signature] = {}
    for step in dossier.steps:
        head = _SIGNED.get((step.by.role, step.verb))
        if head == _SETTLED:
            signed.pop(_CLOSED, None)
        if head is not None:
            signed[head] = Signature(step.by.person, day_of(step.time_s, utc_offset_s))
    return tuple((signed | {key: heads[key] for key in heads if key not in signed}).items())
