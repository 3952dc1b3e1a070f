"""`onecard journal trace`: one yuan from the tap to the merchant's bank, step by step, in words.

Each step is looked up where it stands: the reader's journal, the agent of its building, the books.
The first step that is missing says where the money is and what it waits for; whatever two places
say of one record differently is wrong. Only looked at, never worked out anew: ledger/one_yuan.py.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ledger import one_yuan, reasons
from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.one_yuan import Path, Settled, Transfer
from ledger.periods import STEPS
from ledger.privacy import masked
from ledger.transfers import CANCEL
from protocols.rules.money import format_yuan
from protocols.wire import messages, seal
from tools.journal import trace_words as words
from tools.journal.sought import Held, Journals
from tools.journal.trace_words import DONE, ENDS, LACKS, UNSEEN, WRONG
from tools.journal.words import at, card, moment

_HEAD = "SELECT head_seq FROM device WHERE device = ?"
_PARKED = "SELECT seq FROM parked WHERE device = ? AND seq = ?"
_REJECTED = "SELECT reason FROM rejected WHERE device = ? AND seq = ? ORDER BY reason"
_CASES = "SELECT DISTINCT reason FROM suspense_case WHERE device = ? AND seq = ? ORDER BY reason"
_REFUSED = "SELECT step, because FROM period_refusal WHERE period = ?"
_SENT_BACK = "SELECT time_s FROM remittance_return WHERE number = ?"
_OUTCOMES = {
    messages.COMMITTED: "committed",
    messages.NOT_COMMITTED: "not-committed",
    messages.UNKNOWN: "unknown",
}


@dataclass(frozen=True)
class Step:
    """One step: which (trace_words.NAMES), its status, and what is said of it."""

    number: int
    status: str
    word: str
    facts: dict[str, Any] = field(default_factory=dict)

    def text(self, language: int) -> str:
        """In words; `language` 0 English, 1 Chinese."""
        return words.WORDS[self.word][language].format(**self.facts)


@dataclass
class Places:
    """Where to look. What is None is not looked at; `masks`: cards and persons are masked."""

    held: Journals
    agent: sqlite3.Connection | None = None
    books: Dialect | None = None
    masks: bool = True


def trace(record: tuple[int, int], places: Places) -> list[Step]:
    """The steps of a spend from its tap on, up to the first that is missing, wrong or the end."""
    steps: list[Step] = []
    for step in _steps(record, places):
        steps.append(step)
        if step.status in (LACKS, WRONG, ENDS) and step.number not in (words.OUTCOME, words.AGENT):
            break
    return steps


def is_wrong(steps: list[Step]) -> bool:
    return any(step.status == WRONG for step in steps)


def _steps(record: tuple[int, int], places: Places) -> Iterator[Step]:
    held = places.held.get(record)
    path = None if places.books is None else one_yuan.follow(places.books, *record)
    yield _tap(record, held, path, places)
    yield _outcome(record, held, places)
    yield _agent(record, held, places)
    if places.books is None:
        yield Step(words.BOOKED, LACKS, "not-come", {"device": record[0], "head": "?"})
        return
    if path is None:
        yield _not_booked(places.books, record)
        return
    yield _booked(path, held)
    yield from _cases(places.books, record)
    yield from _in_books(path, places.books, places)


def _tap(record: tuple[int, int], held: Held | None, path: Path | None, places: Places) -> Step:
    fields = held.fields if held else path.fields if path else _of_agent(record, places)
    facts: dict[str, Any] = {"device": record[0], "seq": record[1]}
    if held and held.other:
        return Step(words.TAP, WRONG, "two-journals", {"one": held.other, "other": held.file})
    if fields is None:
        return Step(words.TAP, LACKS, "tap-nowhere", facts)
    if fields["kind"] != messages.INTENT:
        return Step(words.TAP, ENDS, "no-spend", {"kind": fields["kind"]})
    facts["when"] = moment(fields["earliest_s"], fields["latest_s"])
    facts["card"] = card(fields["card_no"], masks=places.masks)
    facts["amount"] = format_yuan(fields["amount_fen"])
    return Step(words.TAP, DONE, "tap", facts)


def _of_agent(record: tuple[int, int], places: Places) -> dict[str, Any] | None:
    rows = [] if places.agent is None else _rows(places.agent, "record", "sealed", record)
    return messages.decode_record(seal.payload_of(bytes(rows[0][0]))) if rows else None


def _outcome(record: tuple[int, int], held: Held | None, places: Places) -> Step:
    if held is None:
        return Step(words.OUTCOME, UNSEEN, "journal")
    device, seq = record
    for (whose, number), one in sorted(places.held.items()):
        fields = one.fields
        if whose == device and number > seq and fields["kind"] == messages.OUTCOME:
            if (fields["intent_device"], fields["intent_seq"]) == record:
                return Step(words.OUTCOME, DONE, _OUTCOMES[fields["result"]], {"seq": number})
    return Step(words.OUTCOME, LACKS, "no-outcome")


def _agent(record: tuple[int, int], held: Held | None, places: Places) -> Step:
    agent = places.agent
    if agent is None:
        return Step(words.AGENT, UNSEEN, "agent")
    refused = _rows(agent, "refused", "code", record)
    if refused:
        return Step(words.AGENT, WRONG, "agent-refused", {"code": refused[0][0]})
    stored = _rows(agent, "record", "sealed", record)
    if stored and held and bytes(stored[0][0]) != held.sealed:
        return Step(words.AGENT, WRONG, "agent-other")
    if stored:
        return Step(words.AGENT, DONE, "agent-has")
    marks = agent.execute("SELECT receipted, stored FROM device WHERE device = ?", record[:1])
    receipted, upto = marks.fetchone() or (0, 0)
    if record[1] <= receipted:
        return Step(words.AGENT, DONE, "agent-freed", {"upto": receipted})
    return Step(words.AGENT, LACKS, "agent-lacks", {"upto": upto})


def _rows(
    agent: sqlite3.Connection, table: str, column: str, record: tuple[int, int]
) -> list[tuple[Any, ...]]:
    sql = f"SELECT {column} FROM {table} WHERE device = ? AND seq = ?"
    return agent.execute(sql, record).fetchall()


# -- the books ------------------------------------------------------------------------------


def _not_booked(books: Dialect, record: tuple[int, int]) -> Step:
    device, seq = record
    rejected = [reason for (reason,) in books.rows(_REJECTED, record)]
    if rejected:
        return Step(words.BOOKED, WRONG, "rejected", {"reason": rejected[0]})
    heads = [head for (head,) in books.rows(_HEAD, (device,))]
    if not heads:
        return Step(words.BOOKED, LACKS, "no-device", {"device": device})
    if list(books.rows(_PARKED, record)):
        facts = {"first": heads[0] + 1, "last": seq - 1}
        return Step(words.BOOKED, LACKS, "parked", facts)
    return Step(words.BOOKED, LACKS, "not-come", {"device": device, "head": heads[0]})


def _booked(path: Path, held: Held | None) -> Step:
    facts = {"seq": path.seq, "sha256": path.sha256}
    if held is not None and hashlib.sha256(held.sealed).hexdigest() != path.sha256:
        return Step(words.BOOKED, WRONG, "other-record")
    return Step(words.BOOKED, DONE, "booked", facts)


def _cases(books: Dialect, record: tuple[int, int]) -> Iterator[Step]:
    for (reason,) in list(books.rows(_CASES, record)):
        facts = {"reason": reason, "text": reasons.TEXTS[reason]}
        yield Step(words.FATE, DONE, "case", facts)


def _in_books(path: Path, books: Dialect, places: Places) -> Iterator[Step]:
    if path.state is None or path.state < State.NOT_COMMITTED:
        yield Step(words.FATE, LACKS, "open")
        return
    if path.state == State.NOT_COMMITTED:
        yield Step(words.FATE, ENDS, "not-debited")
        return
    yield Step(words.FATE, DONE, "debited")
    if not path.transfers:
        yield Step(words.MOVED, WRONG, "no-moves")
        return
    pairs = [_move(one, places.masks) for one in path.transfers]
    facts = {"moves": "; ".join(one for one, _ in pairs)}
    facts["moves_zh"] = "；".join(other for _, other in pairs)
    is_cancelled = any(one.kind == CANCEL for one in path.transfers)
    yield Step(words.MOVED, DONE, "cancelled" if is_cancelled else "moves", facts)
    if not path.settled:
        yield Step(words.PERIOD, LACKS, "no-period")
    for settled in path.settled[:1]:
        yield from _settled(settled, books, places.masks)


def _move(transfer: Transfer, masks: bool) -> tuple[str, str]:
    """An amount from one account to another, in both languages."""
    amount = format_yuan(transfer.amount_fen)
    names = [_account(transfer.debit, masks), _account(transfer.credit, masks)]
    english, chinese = (f"{amount} {names[0][n]} -> {names[1][n]}" for n in (0, 1))
    return english, chinese


def _account(account: tuple[str, int], masks: bool) -> tuple[str, str]:
    name, owner = account
    kind = next((kind for kind, (text, _) in words.ACCOUNTS.items() if text == name), 0)
    shown = card(owner, masks=masks) if kind in words.OF_CARDS else str(owner)
    english, chinese = words.ACCOUNTS.get(kind, (name, name))
    return f"{english} {shown}", f"{chinese} {shown}"


def _named(step: int) -> dict[str, Any]:
    """The step of the approvals with that number (1 to 4)."""
    english, chinese = list(STEPS.items())[step - 1]
    return {"step": english, "step_zh": chinese}


def _settled(settled: Settled, books: Dialect, masks: bool) -> Iterator[Step]:
    facts = {"name": settled.name, "when": at(settled.closed_s), "sha256": settled.sha256}
    yield Step(words.PERIOD, DONE, "period", facts)
    count, needed = len(settled.approvals), len(STEPS)
    who = ", ".join(masked(who) if masks else who for _step, who, _time_s in settled.approvals)
    for step, because in list(books.rows(_REFUSED, (settled.number,))):
        facts = _named(step) | {"because": because}
        yield Step(words.APPROVED, LACKS, "refused", facts)
        return
    if count < needed:
        facts = {"count": count, "needed": needed, **_named(count + 1)}
        yield Step(words.APPROVED, LACKS, "next-approval", facts)
        return
    facts = {"count": count, "needed": needed, "who": who}
    yield Step(words.APPROVED, DONE, "approvals", facts)
    if settled.due_fen <= 0:
        yield Step(words.PAID, ENDS, "no-due")
    elif not settled.payments:
        yield Step(words.PAID, LACKS, "no-payment")
    else:
        number, file, time_s, is_paid, _paid_s = settled.payments[-1]
        if list(books.rows(_SENT_BACK, (number,))):
            is_paid = words.SENT_BACK
        english, chinese = words.RESULTS[is_paid]
        facts = {"file": file, "when": at(time_s), "result": english, "result_zh": chinese}
        yield Step(words.PAID, ENDS if is_paid == 1 else LACKS, "payment", facts)
