"""The way out of a case: one person proposes who bears it, another approves that very proposal.

Rules of this file. A case is corrected once, by one transfer between one bearer and whom the case
has cost (ledger/bearers.py), and with it all of its sale or credit (ledger/made_good.py). A
proposal is never changed: a newer one stands in its place, and the older one is approved no more.
Who approves says what they have seen: the mark of the proposal, which is over all of it and over
what the books held for the case. So nothing is approved that has changed since. Approval and
transfer are one transaction; whoever tries again after power was gone hears that it is booked.

A correction moves money in the books and none on cards. It is booked even where the bearer's
account goes below its floor, and flags that.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import chart, declines, reasons
from ledger.bearers import LOSSES, NO_LOSS, Bearer, Loss, Relieved
from ledger.dialect import Dialect
from ledger.entries import post_recorded
from ledger.made_good import GIVEN_BACK, IS_OF_CASE, IS_OF_CREDIT, OF_DEBITS, OF_PURSES, TAKEN
from ledger.people import TYPED_NAME
from ledger.signatures import are_there, signed, was_proven
from ledger.tampers import is_person
from ledger.transfers import CORRECT, CORRECT_LINE, Transfer
from protocols.card.purse import AMOUNT_FEN_MAX, CARD_CENTRE
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

BECAUSE_CHARS_MAX = 200
_LEDGER = 0  # corrections are numbered as the ledger's own
_MARK_CHARS = 12
_CASES = """
SELECT c.reason, c.device, c.seq, c.sha256, c.sealed FROM suspense_case c
ORDER BY c.reason, c.device, c.seq, c.sha256"""
_CASE = """
SELECT reason, device, seq, sha256, sealed FROM suspense_case
WHERE reason = ? AND device = ? AND seq = ? ORDER BY sha256"""
_RECORD = "SELECT sealed FROM record WHERE device = ? AND seq = ?"
_LOAD = "SELECT card_no, amount_fen FROM load WHERE number = ?"
_MERCHANT_OF = "SELECT merchant_no FROM device WHERE device = ?"
_HELD = """
SELECT COALESCE(SUM(CASE WHEN credit_account = ? THEN amount_fen ELSE -amount_fen END), 0)
FROM transfer WHERE device = ? AND seq = ? AND ? IN (debit_account, credit_account)"""
_KEY = "reason = ? AND device = ? AND seq = ? AND sha256 = ?"
_PROPOSAL = "number, bearer, debit_account, credit_account, amount_fen, because, person, time_s"
_PROPOSED = f"SELECT {_PROPOSAL} FROM correction WHERE {_KEY} ORDER BY number DESC LIMIT 1"
_APPROVED = f"""
WITH c (reason, device, seq, sha256) AS (
    SELECT reason, device, seq, sha256 FROM suspense_case WHERE {_KEY})
SELECT number, person, time_s FROM (
    SELECT a.number, a.person, a.time_s, CASE WHEN a.reason = c.reason THEN 0 ELSE 1 END AS place
    FROM c JOIN correction_approval a ON {IS_OF_CASE}
    UNION ALL SELECT a.number, a.person, a.time_s, 2
    FROM c JOIN correction_approval a ON {IS_OF_CREDIT}) d
ORDER BY place, number"""
_OF_NUMBER = """
SELECT c.reason, c.device, c.seq, c.sha256, s.sealed FROM correction c
JOIN suspense_case s ON s.reason = c.reason AND s.device = c.device AND s.seq = c.seq
    AND s.sha256 = c.sha256
WHERE c.number = ?"""
_PAIR = f"SELECT card_no, first_device, first_seq, ground, found_s FROM finding WHERE {_KEY}"
_PROPOSE = "INSERT INTO correction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_APPROVE = "INSERT INTO correction_approval VALUES (?, ?, ?, ?, ?, ?, ?)"
_IS_OPEN = "SELECT 1 FROM account WHERE id = ?"
_OPEN = "INSERT INTO account (id, kind, owner) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_HEIR = "SELECT new_card FROM reissue WHERE old_card = ?"


class CorrectionRefused(Exception):
    """A proposal or an approval that cannot be; nothing was changed, and the text says why."""


@dataclass(frozen=True, slots=True)
class CaseOf:
    """A case, and what its record says: None where it does not say, or nobody can read it."""

    reason: int
    device: int
    seq: int
    sha256: bytes
    card_no: int | None
    merchant_no: int | None
    amount_fen: int | None

    @property
    def key(self) -> tuple[int, int, int, bytes]:
        return self.reason, self.device, self.seq, self.sha256

    @property
    def loss(self) -> Loss | None:
        """None: a kind of case that holds no money."""
        return LOSSES.get(self.reason)


@dataclass(frozen=True, slots=True)
class Proposal:
    """`amount_fen` from one account to another, because `bearer` bears it."""

    number: int
    bearer: str
    debit_account: int
    credit_account: int
    amount_fen: int
    because: str
    person: str
    time_s: int


class Corrections:
    """Cases and what is proposed for them. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def cases(self) -> Iterator[CaseOf]:
        """Every case, by reason and record."""
        for row in list(self._database.rows(_CASES)):
            yield self._read(*row)

    def case(self, reason: int, device: int, seq: int, sha256: str = "") -> CaseOf:
        """One; `sha256` in hexadecimal, its beginning, where a record is of several cases.

        Raises CorrectionRefused.
        """
        rows = list(self._database.rows(_CASE, (reason, device, seq)))
        rows = [row for row in rows if bytes(row[3]).hex().startswith(sha256)]
        if len(rows) != 1:
            text = "no such case" if not rows else f"{len(rows)} cases: say which by its hash"
            raise CorrectionRefused(f"{reason}/{device}/{seq}: {text}")
        return self._read(*rows[0])

    def pair(self, case: CaseOf) -> tuple[int, int, int, str, int] | None:
        """(card_no, device, seq, ground, found_s) of the other record of a finding."""
        return self._first(_PAIR, case.key)

    def held_fen(self, case: CaseOf) -> int | None:
        """What the record has where a correction would take it from; None: in no such account."""
        account = self._lies_in(case)
        if account is None:
            return None
        ((fen,),) = self._database.rows(_HELD, (account, case.device, case.seq, account))
        return int(fen)

    def proposed(self, case: CaseOf) -> Proposal | None:
        """The newest proposal."""
        row = self._first(_PROPOSED, case.key)
        return None if row is None else Proposal(*row)

    def waiting(self, number: int) -> tuple[CaseOf, Proposal] | None:
        """Proposal `number` and its case; None: another stands in its place, or it is booked."""
        row = self._first(_OF_NUMBER, (number,))
        case = None if row is None else self._read(*row)
        newest = None if case is None else self.proposed(case)
        if case is None or newest is None or newest.number != number or self.approved(case):
            return None
        return case, newest

    def approved(self, case: CaseOf) -> tuple[int, str, int] | None:
        """(number of the proposal, person, time_s) of what is booked; None: nothing is.

        It may be that of another case of the same sale or credit.
        """
        return self._first(_APPROVED, case.key)

    def mark(self, case: CaseOf, proposal: Proposal) -> str:
        """What whoever approves has to say back: it is over all that they were shown."""
        said = [*case.key[:3], case.sha256.hex(), self.held_fen(case)]
        said += [getattr(proposal, name) for name in Proposal.__slots__]
        return hashlib.sha256("\n".join(map(str, said)).encode()).hexdigest()[:_MARK_CHARS]

    def propose(
        self,
        case: CaseOf,
        bearer: Bearer,
        person: str,
        because: str,
        time_s: int,
        amount_fen: int | None = None,
        whose: int | None = None,
    ) -> Proposal:
        """`bearer` shall bear `amount_fen` of a case; None: what the record says.

        `whose`: the number of the card or merchant, if it is not the record's. Raises
        CorrectionRefused.
        """
        _check(person, because)
        with self._database.transaction():
            words = _about(case), because
            person = signed(self._database, "case.propose", person, time_s, *words)
            loss = self._check_open(case)
            amount_fen = self._amount_fen(case, loss, amount_fen)
            accounts = self._accounts(case, loss, bearer, whose)
            sql = "SELECT COALESCE(MAX(number), 0) + 1 FROM correction"
            ((number,),) = self._database.rows(sql)
            what = (bearer.value, *accounts, amount_fen, because, person, time_s)
            self._database.many(_PROPOSE, [(number, *case.key, *what)])
        return Proposal(number, *what)

    def approve(self, number: int, mark: str, person: str, time_s: int) -> Proposal:
        """Book proposal `number`, which `person` has seen under `mark`. CorrectionRefused."""
        _check(person, "approved")
        with self._database.transaction():
            row = self._first(_OF_NUMBER, (number,))
            if row is None:
                raise CorrectionRefused(f"proposal {number}: there is none")
            case = self._read(*row)
            words = _about(case), mark
            person = signed(self._database, "case.approve", person, time_s, *words)
            loss = self._check_open(case)
            ((*newest,),) = self._database.rows(_PROPOSED, case.key)
            proposal = Proposal(*newest)
            if proposal.number != number:
                text = f"proposal {proposal.number} stands in its place"
                raise CorrectionRefused(f"proposal {number}: {text}")
            if self.declined(proposal) is not None:
                text = f"{declines.TEXTS[declines.DECLINED]} ({declines.DECLINED})"
                raise CorrectionRefused(f"proposal {number}: {text}")
            if proposal.person == person:
                raise CorrectionRefused(f"proposal {number}: another person has to approve it")
            self._check_proven(case, proposal)
            if mark != self.mark(case, proposal):
                text = f"{mark!r} is not its mark: it is another, or has changed; look again"
                raise CorrectionRefused(f"proposal {number}: {text}")
            self._amount_fen(case, loss, proposal.amount_fen)
            if proposal.bearer == Bearer.HOLDER.value:
                # A card that was replaced since has no money any more: `propose` refuses it too.
                borne = proposal.credit_account if loss.is_owed else proposal.debit_account
                self._purse(chart.owner(borne))
            self._book(case, proposal, person, time_s)
        return proposal

    def decline(self, number: int, because: str, person: str, time_s: int) -> None:
        """Say no to proposal `number`, which nobody approves any more; another may be made."""
        with self._database.transaction():
            no = declines.No(person, because, time_s)
            declines.decline(self._database, declines.CASE, f"proposal {number}", no)
            row = self._first(_OF_NUMBER, (number,))
            if row is None:
                raise CorrectionRefused(f"proposal {number}: there is none")
            case = self._read(*row)
            self._check_open(case)
            newest = self.proposed(case)
            if newest is None or newest.number != number:
                raise CorrectionRefused(f"proposal {number}: another one stands in its place")

    def declined(self, proposal: Proposal) -> declines.No | None:
        """The no to a proposal; None: nobody has said one."""
        return declines.declined(self._database, declines.CASE, f"proposal {proposal.number}")

    def _book(self, case: CaseOf, proposal: Proposal, person: str, time_s: int) -> None:
        accounts = proposal.debit_account, proposal.credit_account
        self._database.many(_APPROVE, [(*case.key, proposal.number, person, time_s)])
        rows = [(account, chart.kind(account), chart.owner(account)) for account in accounts]
        self._database.many(_OPEN, rows)
        what = CORRECT_LINE, CORRECT, *accounts, proposal.amount_fen
        post_recorded(self._database, [Transfer(_LEDGER, proposal.number, *what)])

    def _check_proven(self, case: CaseOf, proposal: Proposal) -> None:
        """CorrectionRefused if it was proposed by a typed name, in books with operators."""
        said = proposal.person, "case.propose", _about(case), proposal.because
        if are_there(self._database) and not was_proven(self._database, *said):
            text = f"{proposal.person} proposed it by a typed name: propose it again"
            raise CorrectionRefused(f"proposal {proposal.number}: {text} ({TYPED_NAME})")

    def _check_open(self, case: CaseOf) -> Loss:
        if case.loss is None:
            why = NO_LOSS.get(case.reason, "a kind of case that is not known here")
            raise CorrectionRefused(f"case {case.reason} has no money: {why}")
        done = self.approved(case)
        if done is not None:
            raise CorrectionRefused(f"it is booked: proposal {done[0]}, approved by {done[1]}")
        return case.loss

    def _amount_fen(self, case: CaseOf, loss: Loss, wanted_fen: int | None) -> int:
        """How much, if it may be so much."""
        held_fen = self.held_fen(case)
        if held_fen is not None:
            if not held_fen or wanted_fen not in (None, abs(held_fen)):
                text = f"{abs(held_fen)} fen lie there: all of it or nothing"
                raise CorrectionRefused(text if held_fen else "nothing lies there any more")
            return abs(held_fen)
        amount_fen = case.amount_fen if wanted_fen is None else wanted_fen
        if amount_fen is None:
            raise CorrectionRefused("its record does not say how much: say so")
        is_known = loss.is_as_recorded and case.amount_fen is not None
        most_fen = (case.amount_fen or 0) if is_known else AMOUNT_FEN_MAX
        if case.reason in OF_PURSES:
            self._check_taken(case)
            ((back_fen,),) = self._database.rows(GIVEN_BACK, (case.device, case.seq))
            most_fen -= int(back_fen)
            if back_fen and most_fen < 1:
                raise CorrectionRefused(f"its {back_fen} fen were given back already")
        if not 1 <= amount_fen <= most_fen:
            raise CorrectionRefused(f"{amount_fen} fen: it is 1 to {most_fen}")
        return amount_fen

    def _check_taken(self, case: CaseOf) -> None:
        """CorrectionRefused if a case is about a debit, and its record has taken nothing."""
        if case.reason in OF_DEBITS and case.card_no is not None:
            place = case.device, case.seq, chart.purse(case.card_no)
            if self._first(TAKEN, place) is None:
                raise CorrectionRefused(f"nothing of it is booked to card {case.card_no}")

    def _accounts(
        self, case: CaseOf, loss: Loss, bearer: Bearer, whose: int | None
    ) -> tuple[int, int]:
        """Debit and credit account."""
        borne = self._borne_by(case, loss, bearer, whose)
        relieved = self._lies_in(case)
        if relieved is None:
            relieved = self._relieved(case, loss)
        if relieved == borne:
            raise CorrectionRefused("the same account would bear it and be relieved")
        return (relieved, borne) if loss.is_owed else (borne, relieved)

    def _borne_by(self, case: CaseOf, loss: Loss, bearer: Bearer, whose: int | None) -> int:
        if bearer is Bearer.CARD_CENTRE:
            return chart.EARNED if loss.is_owed else chart.loss(case.reason)
        if bearer is Bearer.DEVICE_OWNER:
            if case.device == CARD_CENTRE:
                raise CorrectionRefused("a case of the card centre's own: no reader is in it")
            return chart.account(chart.OWNER, case.device)
        if bearer is Bearer.HOLDER:
            return self._purse(case.card_no if whose is None else whose)
        return self._known(chart.payable, case.merchant_no if whose is None else whose, "merchant")

    def _relieved(self, case: CaseOf, loss: Loss) -> int:
        if loss.relieved is Relieved.PURSE:
            return self._known(chart.purse, case.card_no, "card")
        row = self._first(_MERCHANT_OF, (case.device,))
        return self._known(chart.payable, row and row[0], "merchant")

    def _purse(self, card_no: int | None) -> int:
        account = self._known(chart.purse, card_no, "card")
        heir = self._first(_HEIR, (card_no,))
        if heir is not None:
            text = f"card {card_no} was replaced by card {heir[0]}: name that one"
            raise CorrectionRefused(text)
        return account

    def _known(self, account_of: Any, number: int | None, what: str) -> int:
        if number is None:
            raise CorrectionRefused(f"its record does not say which {what}: say so")
        account: int = account_of(number)
        if not list(self._database.rows(_IS_OPEN, (account,))):
            raise CorrectionRefused(f"{what} {number} is not known")
        return account

    def _lies_in(self, case: CaseOf) -> int | None:
        if case.loss is None or case.loss.relieved not in (Relieved.SUSPENSE, Relieved.LOSS):
            return None
        of = chart.suspense if case.loss.relieved is Relieved.SUSPENSE else chart.loss
        return of(case.reason)

    def _first(self, sql: str, parameters: Sequence[Any]) -> Any:
        """The first row, all of them read; None if there is none."""
        rows = list(self._database.rows(sql, parameters))
        return rows[0] if rows else None

    def _read(self, reason: int, device: int, seq: int, sha256: bytes, sealed: bytes) -> CaseOf:
        key = reason, device, seq, bytes(sha256)
        if device == CARD_CENTRE:
            card_no, amount_fen = self._first(_LOAD, (seq,)) or (None, None)
            return CaseOf(*key, card_no, None, amount_fen)
        if reason == reasons.SEEN_ELSEWHERE:
            return CaseOf(*key, None, None, None)  # what it said is no record
        if not sealed:
            (sealed,) = self._first(_RECORD, (device, seq)) or (b"",)
        fields = _fields(bytes(sealed))
        names = ("card_no", "merchant_no", "amount_fen")
        return CaseOf(*key, *(fields.get(name) for name in names))


def _fields(sealed: bytes) -> dict[str, Any]:
    try:
        return messages.decode_record(seal.payload_of(sealed)) if sealed else {}
    except WireError:
        return {}


def _about(case: CaseOf) -> str:
    return f"case {case.reason}/{case.device}/{case.seq}"


def _check(person: str, because: str) -> None:
    if not is_person(person):
        raise CorrectionRefused("a person is one word of a-z, 0-9 and -, at most 32 characters")
    if not 0 < len(because) <= BECAUSE_CHARS_MAX or not because.isprintable():
        raise CorrectionRefused(f"say why in 1 to {BECAUSE_CHARS_MAX} printable characters")
