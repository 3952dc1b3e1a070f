"""Dossiers in the books: one application, ticket or case each, and the steps it has taken.

Rules of this file. A dossier begins with its first step and whatever belongs to it, in one
transaction; its reference (the number on the paper form, or the record it is about) is that of no
other of its kind, so whoever begins it again after power was gone, or a lost answer, begins
nothing. A step and what it does in the books are one transaction too. What may follow what stands
in ledger/procedures.py, and in the database beside it; whose word it is, in
ledger/dossier_signers.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ledger import chart, closing, debts, people, retirement
from ledger.dialect import Dialect, Row
from ledger.dossier_signers import department_of, proven, typed_signer
from ledger.issuing import open_accounts
from ledger.posting import post_recorded
from ledger.procedures import (
    APPROVED,
    BEYOND_APPROVAL,
    CLOSING,
    COSTS,
    COSTS_BOOKED,
    COSTS_SAID,
    HAS_ENDED,
    KINDS,
    MERCHANT,
    MOVE_OF,
    NO_DOSSIER,
    NO_EVIDENCE,
    NOT_QUIET,
    NOT_SETTLED,
    OTHER_STATEMENT,
    RETIREMENT,
    SAID_OTHERWISE,
    Act,
    Step,
    answer,
)
from ledger.tampers import is_person
from ledger.transfers import COST, COST_LINES, Transfer
from protocols.wire import topics

SAID_CHARS_MAX, REFERENCE_CHARS_MAX, WORD_CHARS_MAX = 200, 32, 32
COST_FEN_MAX = 99_999_999
# How the references of tickets begin that a round has opened (ledger/duties.py), or a reader.
ROUND, FAULT = "round-", "fault-"
BEARERS = (MERCHANT, "person")
_NUMBER = "SELECT COALESCE(MAX(number), 0) + 1 FROM dossier"
_FACTS = "number, kind, reference, merchant_no, device"
_BY_NUMBER = f"SELECT {_FACTS} FROM dossier WHERE number = ?"
_BY_REFERENCE = f"SELECT {_FACTS} FROM dossier WHERE kind = ? AND reference = ?"
_ALL = f"SELECT {_FACTS} FROM dossier ORDER BY number"
_RECORDS = "SELECT device, seq FROM dossier_record WHERE dossier = ? ORDER BY device, seq"
_STEPS = """
SELECT verb, state_before, state_after, act, role, person, evidence, said, given_by, time_s
FROM dossier_step WHERE dossier = ? ORDER BY step"""
_STEP = "INSERT INTO dossier_step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COSTS = "SELECT item, bearer, amount_fen FROM dossier_cost WHERE dossier = ? ORDER BY item"
# A table of a dossier's own facts: how they are written and read again.
_DETAILS = {
    "annex_form": "name, department, project, quantity, amount_fen",
    "relocation": "site_before, site_after",
}


class DossierRefused(Exception):
    """A step that cannot be; nothing was changed, and the text says why. `reason`: its number."""

    def __init__(self, text: str, reason: int) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class About:
    """What a dossier is about: a merchant, a reader, the records (device, seq) it rests on.

    `detail`: the table of its own facts and their row, or None.
    """

    merchant_no: int | None = None
    device: int | None = None
    records: tuple[tuple[int, int], ...] = ()
    detail: tuple[str, Row] | None = None


@dataclass(frozen=True, slots=True)
class Dossier:
    """One dossier as the books have it, and its steps in order."""

    number: int
    kind: str
    reference: str
    merchant_no: int | None
    device: int | None
    records: tuple[tuple[int, int], ...]
    steps: tuple[Step, ...]

    @property
    def state(self) -> str:
        return self.steps[-1].after

    @property
    def since_s(self) -> int:
        """When it came into that state, by the clock of who entered it."""
        at = len(self.steps) - 1
        while at and self.steps[at].before == self.state:
            at -= 1
        return self.steps[at].time_s

    @property
    def approved_s(self) -> int:
        """When it was approved, by the clock that was most ahead till then; else of its last step.

        A clock that is behind must not make what was before look as if it came behind.
        """
        states = [step.after for step in self.steps]
        upto = states.index(APPROVED) + 1 if APPROVED in states else len(states)
        return max(step.time_s for step in self.steps[:upto])


Cost = tuple[str, int]  # item, amount_fen


class Dossiers:
    """The dossiers of `database`. Every method is one transaction, or only reads.

    Raises DossierRefused, and NotAllowed where the books have operators.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def begin(
        self,
        kind: str,
        verb: str,
        reference: str,
        about: About,
        by: Act,
        time_s: int,
        department: str = "",
    ) -> int:
        """Begin a dossier; its number. Again, with the same reference and facts: nothing.

        `department`: the one that is asked for it; "": any.
        """
        if reference.startswith((ROUND, FAULT)):
            text = f"what begins with {ROUND} or {FAULT} is not for persons to choose"
            refuse(kind, text, NO_EVIDENCE)
        check_words(reference, by)
        with self._database.transaction():
            by = proven(self._database, (kind, reference, verb), by, time_s, department)
            return begin(self._database, kind, verb, reference, about, by, time_s)

    def say(
        self,
        number: int,
        verb: str,
        by: Act,
        time_s: int,
        costs: Sequence[Cost] = (),
        bearer: str = MERCHANT,
    ) -> str:
        """Take a step; the state it leads to. Again, word for word: nothing.

        `costs` belong to the verbs of COSTS_SAID and are borne by one of BEARERS.
        """
        _check_act(by)
        with self._database.transaction():
            known = find(self._database, number)
            asked = department_of(self._database, number, known.kind, by.role)
            what = known.kind, known.reference, verb
            by = proven(self._database, what, by, time_s, asked)
            state = advance(self._database, number, verb, by, time_s, costs, bearer)
            if len(find(self._database, number).steps) > len(known.steps):
                check_signed(self._database, known, verb)
            return state

    def dossier(self, number: int) -> Dossier:
        """The one of this number."""
        return find(self._database, number)

    def every(self) -> list[Dossier]:
        """All of them, by number."""
        return [_whole(self._database, row) for row in list(self._database.rows(_ALL))]

    def costs(self, number: int) -> list[tuple[str, str, int]]:
        """(item, bearer, amount_fen) of what a dossier has cost."""
        return list(self._database.rows(_COSTS, (number,)))

    def detail(self, number: int, table: str) -> Row | None:
        """The row of a dossier's own facts; None if it has none there."""
        return detail_of(self._database, number, table)


def check_signed(database: Dialect, known: Dossier, verb: str) -> None:
    """DossierRefused (TYPED_NAME) where a typed signature keeps it from going on by `verb`."""
    who = typed_signer(database, known.kind, known.reference, known.steps, verb)
    if who:
        text = f"dossier {known.number}: {who} signed it by a typed name, which counts for"
        text += " nothing since these books have operators: sign that again, or apply anew"
        refuse(known.kind, text, people.TYPED_NAME)


def begin(
    database: Dialect, kind: str, verb: str, reference: str, about: About, by: Act, time_s: int
) -> int:
    """As Dossiers.begin, inside the caller's transaction."""
    check_words(reference, by)
    for row in list(database.rows(_BY_REFERENCE, (kind, reference))):
        known = _whole(database, row)
        first = known.steps[0]
        if (first.verb, first.by, _about(database, known, about.detail)) != (verb, by, about):
            text = f"{kind} {reference}: dossier {known.number} says otherwise"
            refuse(kind, text, SAID_OTHERWISE)
        return known.number
    ((number,),) = database.rows(_NUMBER)
    facts = number, kind, reference, about.merchant_no, about.device
    database.many("INSERT INTO dossier VALUES (?, ?, ?, ?, ?)", [facts])
    _take(database, number, kind, (), verb, by, time_s)
    rows = [(number, *record) for record in about.records]
    database.many("INSERT INTO dossier_record VALUES (?, ?, ?)", rows)
    if about.detail is not None:
        table, row = about.detail
        marks = ", ".join("?" * (len(row) + 1))
        database.many(f"INSERT INTO {table} VALUES ({marks})", [(number, *row)])
    return number


def advance(
    database: Dialect,
    number: int,
    verb: str,
    by: Act,
    time_s: int,
    costs: Sequence[Cost] = (),
    bearer: str = MERCHANT,
) -> str:
    """As Dossiers.say, inside the caller's transaction."""
    known = find(database, number)
    is_new = _take(database, number, known.kind, known.steps, verb, by, time_s)
    wanted = COSTS[known.kind] if COSTS_SAID.get(known.kind) == verb else ()
    told = [(number, item, bearer, amount_fen) for item, amount_fen in sorted(costs)]
    if {item for _number, item, *_ in told} != set(wanted) or len(told) != len(wanted):
        text = f"dossier {number}: costs of {verb}: {', '.join(wanted) or 'none'}"
        refuse(known.kind, text, NO_EVIDENCE)
    if not is_new:
        if wanted and list(database.rows(_COSTS, (number,))) != [row[1:] for row in told]:
            refuse(known.kind, f"dossier {number}: other costs were said", SAID_OTHERWISE)
        return known.state
    _check_costs(known, told)
    database.many("INSERT INTO dossier_cost VALUES (?, ?, ?, ?)", told)
    now = find(database, number)
    if now.state == COSTS_BOOKED.get(known.kind):
        _book_costs(database, known)
    if (known.kind, verb) in _EFFECTS:
        _EFFECTS[known.kind, verb](database, now)
    return now.state


def find(database: Dialect, number: int) -> Dossier:
    """The dossier of this number; DossierRefused."""
    for row in list(database.rows(_BY_NUMBER, (number,))):
        return _whole(database, row)
    raise DossierRefused(f"there is no dossier {number} ({NO_DOSSIER})", NO_DOSSIER)


def detail_of(database: Dialect, number: int, table: str) -> Row | None:
    """The row of a dossier's own facts in `table`, without its number."""
    sql = f"SELECT {_DETAILS[table]} FROM {table} WHERE dossier = ?"
    return next(iter(list(database.rows(sql, (number,)))), None)


def refuse(kind: str, text: str, reason: int) -> NoReturn:
    """Raise DossierRefused with the article of the procedure."""
    raise DossierRefused(f"{text} ({reason}, {KINDS[kind][1]})", reason)


def check_word(what: str, word: str, chars_max: int = WORD_CHARS_MAX) -> None:
    """A word is a few printable characters."""
    if not (0 < len(word) <= chars_max and word.isprintable() and word.strip() == word):
        text = f"{what} is said in 1 to {chars_max} printable characters ({NO_EVIDENCE})"
        raise DossierRefused(text, NO_EVIDENCE)


def check_words(reference: str, by: Act) -> None:
    """Whether this can be written down, in a dossier and before that in an act of `by.person`."""
    check_word("a reference", reference, REFERENCE_CHARS_MAX)
    _check_act(by)


def _take(
    database: Dialect,
    number: int,
    kind: str,
    steps: Sequence[Step],
    verb: str,
    by: Act,
    time_s: int,
) -> bool:
    """Write the step; whether it is a new one."""
    _check_act(by)
    said = answer(kind, steps, verb, by)
    if said.reason:
        raise DossierRefused(f"{kind}, dossier {number}: {said.because}", said.reason)
    if said.row is None:
        return False
    row = said.row
    way = row.verb, row.before, row.after, row.role, row.act
    words = by.person, by.evidence, by.said, by.given_by
    database.many(_STEP, [(number, len(steps) + 1, kind, *way, *words, time_s)])
    return True


def _check_act(by: Act) -> None:
    for person in (by.person, by.given_by) if by.given_by else (by.person,):
        if not is_person(person):
            text = f"a person is one word of a-z, 0-9 and -, at most 32 ({NO_EVIDENCE})"
            raise DossierRefused(text, NO_EVIDENCE)
    for what, word, chars_max in (
        ("what was shown", by.evidence, WORD_CHARS_MAX),
        ("what is said", by.said, SAID_CHARS_MAX),
    ):
        if word:
            check_word(what, word, chars_max)


def _whole(database: Dialect, row: Row) -> Dossier:
    number = row[0]
    steps = []
    for verb, before, after, act, *words in list(database.rows(_STEPS, (number,))):
        role, person, evidence, said, given_by, time_s = words
        by = Act(role, person, evidence, said, given_by)
        steps.append(Step(verb, before, after, act, by, time_s))
    records = tuple((device, seq) for device, seq in database.rows(_RECORDS, (number,)))
    number, kind, reference, merchant_no, device = row
    return Dossier(number, kind, reference, merchant_no, device, records, tuple(steps))


def _about(database: Dialect, known: Dossier, detail: tuple[str, Row] | None) -> About:
    """What the books say of it, in the words of who asks again."""
    if detail is not None:
        table = detail[0]
        detail = table, detail_of(database, known.number, table) or ()
    return About(known.merchant_no, known.device, known.records, detail)


# --- what a step does in the books ---------------------------------------------------------------


def _check_costs(known: Dossier, told: list[tuple[int, str, str, int]]) -> None:
    for _number, item, bearer, amount_fen in told:
        if not 0 <= amount_fen <= COST_FEN_MAX or bearer not in BEARERS:
            text = f"{item}: 0 to {COST_FEN_MAX} fen, borne by {' or '.join(BEARERS)}"
            refuse(known.kind, text, NO_EVIDENCE)
        if item != "compensation" and bearer != MERCHANT:
            refuse(known.kind, f"{item}: a move is its merchant's to pay", NO_EVIDENCE)
        if bearer == MERCHANT and known.merchant_no is None:
            refuse(known.kind, f"dossier {known.number} names no merchant", NO_DOSSIER)


def _book_costs(database: Dialect, known: Dossier) -> None:
    """From what the merchant is owed, or from what was paid in, to what the centre earns."""
    transfers = []
    for item, bearer, amount_fen in list(database.rows(_COSTS, (known.number,))):
        payer = chart.BANK
        if bearer == MERCHANT:
            assert known.merchant_no is not None
            payer = chart.payable(known.merchant_no)
        if amount_fen:
            what = COST_LINES[item], COST, payer, chart.EARNED, amount_fen
            transfers.append(Transfer(chart.LEDGER_DEVICE, known.number, *what))
    post_recorded(database, transfers)


def _move(database: Dialect, known: Dossier) -> None:
    plan = detail_of(database, known.number, "relocation")
    assert plan is not None
    before, after = plan
    sql = "SELECT site FROM device WHERE device = ?"
    ((site,),) = database.rows(sql, (known.device,))
    if site != before or not topics.is_site(after):
        refuse(known.kind, f"reader {known.device} is at {site}, not at {before}", SAID_OTHERWISE)
    move = "UPDATE device SET site = ? WHERE device = ? AND site = ?"
    database.update(move, [(after, known.device, before)])


def _become_merchant(database: Dialect, known: Dossier) -> None:
    if known.state != APPROVED:
        return
    form = detail_of(database, known.number, "annex_form")
    assert form is not None and known.merchant_no is not None
    sql = "SELECT 1 FROM merchant WHERE merchant_no = ?"
    if list(database.rows(sql, (known.merchant_no,))):
        text = f"merchant {known.merchant_no} is one already"
        refuse(known.kind, text, BEYOND_APPROVAL)
    database.many("INSERT INTO merchant VALUES (?, ?)", [(known.merchant_no, form[0])])
    open_accounts(database, [(chart.MERCHANT, known.merchant_no, None)])


def _retire(database: Dialect, known: Dossier) -> None:
    """By its mark (`end`), or past what bars (`pass-over`)."""
    device, last = known.device, known.steps[-1]
    assert device is not None
    if retirement.is_retired(database, device):
        refuse(RETIREMENT, f"reader {device} has ended", HAS_ENDED)
    since_s = known.approved_s
    found = retirement.bars(database, device, since_s)
    is_proven = last.verb == "end"
    if is_proven and found:
        refuse(RETIREMENT, f"reader {device}: {'; '.join(found)}", NOT_QUIET)
    if not is_proven and not found:
        refuse(RETIREMENT, f"nothing bars that reader {device} ends: say end", NOT_QUIET)
    head_seq = retirement.head_of(database, device)
    if not is_proven and last.by.evidence != str(head_seq):
        text = f"reader {device}: its newest booked record is {head_seq}: who passes over shows it"
        refuse(RETIREMENT, text, NO_EVIDENCE)
    by = last.by.person, last.time_s
    retirement.end(database, known.number, device, since_s, by, is_proven)


def _wind_up(database: Dialect, known: Dossier) -> None:
    merchant_no = _merchant_of(known)
    if closing.is_ending(database, merchant_no):
        refuse(CLOSING, f"merchant {merchant_no} winds up already", HAS_ENDED)
    closing.begin(database, merchant_no, known.number)


def _pay_in(database: Dialect, known: Dossier) -> None:
    """As much as the receipt says, perhaps less than it owes by now, and each receipt once."""
    merchant_no, last = _merchant_of(known), known.steps[-1]
    if any((one.verb, one.by.said) == (last.verb, last.by.said) for one in known.steps[:-1]):
        refuse(CLOSING, f"{last.by.said} is entered already", SAID_OTHERWISE)
    owed_fen = closing.owed_fen(database, merchant_no)
    reason, lost_fen = (0, 0) if owed_fen else debts.lost(database, merchant_no)
    if not owed_fen and not lost_fen:
        refuse(CLOSING, f"merchant {merchant_no} owes nothing", NOT_SETTLED)
    shown, most_fen = last.by.evidence, owed_fen or lost_fen
    if not (shown.isascii() and shown.isdecimal()) or not 0 < int(shown) <= most_fen:
        text = f"merchant {merchant_no} owes {most_fen} fen: who enters what it has paid in shows"
        refuse(CLOSING, f"{text} how many fen came, and not more than that", NO_EVIDENCE)
    number = closing.pay_in(database, known.number, merchant_no, int(shown), last.time_s)
    if reason:
        debts.recover(database, number, merchant_no, reason, int(shown))


def _propose_debt(database: Dialect, known: Dossier) -> None:
    merchant_no, bearer = _merchant_of(known), known.steps[-1].by.evidence
    if no := debts.why_not_proposed(database, merchant_no, known.number):
        refuse(CLOSING, *no)
    debts.propose(database, known.number, len(known.steps), merchant_no, bearer)


def _write_off(database: Dialect, known: Dossier) -> None:
    step, last = len(known.steps), known.steps[-1]
    if no := debts.why_not_signed(database, known.number, step, last.by.evidence):
        refuse(CLOSING, *no)
    debts.write_off(database, known.number, step, last.time_s)


def _settle(database: Dialect, known: Dossier) -> None:
    merchant_no = _merchant_of(known)
    found = closing.open_things(database, merchant_no, known.number)
    if found:
        refuse(CLOSING, f"merchant {merchant_no}: {'; '.join(found)}", NOT_SETTLED)
    closing.settle(database, known.number, merchant_no, known.steps[-1].time_s)


def _close(database: Dialect, known: Dossier) -> None:
    merchant_no, statement = _merchant_of(known), closing.newest(database, known.number)
    assert statement is not None  # no step leads to `settled` without
    if known.steps[-1].by.evidence != statement.mark:
        refuse(CLOSING, "who closes shows the mark of the statement", OTHER_STATEMENT)
    if not closing.is_so(database, merchant_no, known.number, statement):
        text = f"merchant {merchant_no}: the books say something else since: reopen it"
        refuse(CLOSING, text, OTHER_STATEMENT)


def _merchant_of(known: Dossier) -> int:
    assert known.merchant_no is not None  # Tickets.leave begins none without
    return known.merchant_no


# What is done with a step, in its transaction.
_EFFECTS: dict[tuple[str, str], Callable[[Dialect, Dossier], None]] = {
    (MOVE_OF, "move"): _move,
    (MERCHANT, "sign"): _become_merchant,
    (RETIREMENT, "end"): _retire,
    (RETIREMENT, "pass-over"): _retire,
    (CLOSING, "sign"): _wind_up,
    (CLOSING, "pay-in"): _pay_in,
    (CLOSING, "propose"): _propose_debt,
    (CLOSING, "write-off"): _write_off,
    (CLOSING, "settle"): _settle,
    (CLOSING, "close"): _close,
}
