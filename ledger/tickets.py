"""How moves, repairs, captures, damages and questions begin, and what of them is late.

Rules of this file. Each begins as a dossier (ledger/dossiers.py) about a reader or a merchant of
the books, with the booked records that are its evidence; a record that nobody has booked is none.
A captured card is of one dossier, called by its CAPTURE record. A report reads and writes nothing:
what is late by the clock of who asks, what a reader has told and nobody has taken up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger import closing, inspections, people, reasons, retirement
from ledger.dialect import Dialect
from ledger.dossier_signers import over_merchant, proven
from ledger.dossiers import FAULT, About, Dossier, Dossiers, begin, check_words, refuse
from ledger.procedures import (
    CAPTURE,
    CLOSING,
    DAMAGE,
    DEPARTMENT,
    DUE_H,
    HAS_ENDED,
    MERCHANT,
    MOVE_OF,
    NO_DOSSIER,
    NO_EVIDENCE,
    QUESTION,
    REPAIR,
    RETIREMENT,
    Act,
    is_open,
)
from ledger.tampers import Tampers
from protocols.wire import messages, topics

_HOUR_S, _DAY_S = 3_600, 86_400
_LAST_RECORDS = 8  # of a reader that was damaged, beside its TAMPERs
_READER = "SELECT merchant_no, site FROM device WHERE device = ?"
_IS_MERCHANT = "SELECT 1 FROM merchant WHERE merchant_no = ?"
_IS_BEGUN = "SELECT 1 FROM dossier WHERE kind = ? AND reference = ?"
_KIND = "SELECT kind FROM record WHERE device = ? AND seq = ?"
_MERCHANT_OF = "SELECT merchant_no FROM intent WHERE device = ? AND seq = ?"
_KNOWN = """
SELECT r.device, r.seq FROM dossier d JOIN dossier_record r ON r.dossier = d.number
WHERE d.kind = ? AND d.reference = ? ORDER BY r.device, r.seq"""
_LAST = f"""
SELECT device, seq FROM record WHERE device = ? AND seq > (
    SELECT head_seq - {_LAST_RECORDS} FROM device WHERE device = ?)
UNION SELECT device, seq FROM tamper WHERE device = ? ORDER BY 1, 2"""
_UNTAKEN = f"""
SELECT r.device, r.seq FROM suspense_case c JOIN record r ON r.device = c.device AND r.seq = c.seq
WHERE c.reason = {reasons.CARD_CAPTURED} AND r.kind = {messages.CAPTURE} AND NOT EXISTS (
    SELECT 1 FROM dossier_record e JOIN dossier d ON d.number = e.dossier
    WHERE d.kind = '{CAPTURE}' AND e.device = r.device AND e.seq = r.seq)
ORDER BY r.device, r.seq"""
_TAKEN_UP = f"""
SELECT e.device, e.seq FROM dossier_record e JOIN dossier d ON d.number = e.dossier
WHERE d.kind = '{REPAIR}'"""

Record = tuple[int, int]  # device, seq


@dataclass(frozen=True, slots=True)
class Open:
    """A dossier to which something may still follow. `due_s`: until when, or None.

    `is_late`: that is over, or the step that it waits behind is later than now: somebody's clock
    was wrong, and nothing says since when it waits.
    """

    dossier: Dossier
    due_s: int | None
    is_late: bool


class Tickets:
    """What begins about readers, in `database`. Each is one transaction.

    Raises DossierRefused, and NotAllowed where the books have operators.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._dossiers = Dossiers(database)

    def move(
        self, reference: str, device: int, site: str, person: str, because: str, time_s: int
    ) -> int:
        """A merchant asks that a reader be moved to another site (R18.2)."""
        by = Act(MERCHANT, person, said=because)
        check_words(reference, by)
        merchant_no, at = self._reader(MOVE_OF, device)
        self._check_in_use(MOVE_OF, reference, device)
        plan = self._plan(reference) or (at, site)
        if not topics.is_site(site) or plan[0] == site:
            refuse(MOVE_OF, f"reader {device} is moved from {at} to another site", NO_EVIDENCE)
        about = About(merchant_no, device, detail=("relocation", (plan[0], site)))
        return self._dossiers.begin(MOVE_OF, "apply", reference, about, by, time_s)

    def report(
        self, reference: str, device: int, by: Act, time_s: int, records: Sequence[Record] = ()
    ) -> int:
        """A fault of a reader, perhaps with its FAULT records (R17.2)."""
        merchant_no, _site = self._reader(REPAIR, device)
        self._check_kinds(REPAIR, records, messages.FAULT, messages.INSPECTION)
        about = About(merchant_no, device, tuple(sorted(records)))
        whose = self._responsible(device, by)
        return self._dossiers.begin(REPAIR, "report", reference, about, by, time_s, whose)

    def take_up(self, person: str, time_s: int) -> list[int]:
        """A ticket for each fault that was told at a reader and has none (R17.2); the dossiers.

        Each is one transaction: stopped between, whoever calls it again goes on. A reader has told
        it, so it may be taken up by another department than that which answers for the reader.
        """
        numbers = []
        for device, seq in self.faults(time_s):
            merchant_no, _site = self._reader(REPAIR, device)
            about = About(merchant_no, device, ((device, seq),))
            by = Act(DEPARTMENT, person, said="told at the reader")
            reference = f"{FAULT}{device}-{seq}"
            with self._database.transaction():
                by = proven(self._database, (REPAIR, reference, "report"), by, time_s)
                what = reference, about, by, time_s
                numbers.append(begin(self._database, REPAIR, "report", *what))
        return numbers

    def withhold(self, record: Record, person: str, time_s: int) -> int:
        """`person` of the merchant has the card of a CAPTURE record in hand (R19.4)."""
        self._check_kinds(CAPTURE, [record], messages.CAPTURE)
        device, seq = record
        merchant_no, _site = self._reader(CAPTURE, device)
        about = About(merchant_no, device, (record,))
        by = Act(MERCHANT, person)
        return self._dossiers.begin(CAPTURE, "withhold", f"{device}/{seq}", about, by, time_s)

    def damage(self, reference: str, device: int, by: Act, time_s: int) -> int:
        """A reader was damaged on purpose (R22). Its TAMPERs and last records are the evidence."""
        check_words(reference, by)
        merchant_no, _site = self._reader(DAMAGE, device)
        known = tuple(self._database.rows(_KNOWN, (DAMAGE, reference)))
        records = known or tuple(self._database.rows(_LAST, (device, device, device)))
        about = About(merchant_no, device, records)
        whose = self._responsible(device, by)
        return self._dossiers.begin(DAMAGE, "open", reference, about, by, time_s, whose)

    def retire(self, reference: str, device: int, by: Act, time_s: int) -> int:
        """A reader shall be in use no more; what was shown says what became of it (R20)."""
        check_words(reference, by)
        merchant_no, _site = self._reader(RETIREMENT, device)
        self._check_in_use(RETIREMENT, reference, device)
        about, whose = About(merchant_no, device), self._responsible(device, by)
        return self._dossiers.begin(RETIREMENT, "apply", reference, about, by, time_s, whose)

    def leave(self, reference: str, merchant_no: int, by: Act, time_s: int) -> int:
        """A merchant leaves, or is thrown out, which others than itself say (R16, R22). Once."""
        check_words(reference, by)
        self._check_merchant(CLOSING, merchant_no)
        is_known = self._is_begun(CLOSING, reference)
        if not is_known and closing.is_ending(self._database, merchant_no):
            refuse(CLOSING, f"merchant {merchant_no} winds up already, or is closed", HAS_ENDED)
        verb = "apply" if by.role == MERCHANT else "expel"
        whose = over_merchant(self._database, merchant_no) if by.role == DEPARTMENT else ""
        about = About(merchant_no)
        return self._dossiers.begin(CLOSING, verb, reference, about, by, time_s, whose)

    def ask(
        self,
        reference: str,
        merchant_no: int,
        records: Sequence[Record],
        person: str,
        said: str,
        time_s: int,
    ) -> int:
        """Ask a merchant about spends that are booked for him (R19.1)."""
        self._check_merchant(QUESTION, merchant_no)
        if not records:
            refuse(QUESTION, "a question is about records", NO_EVIDENCE)
        for record in records:
            if (merchant_no,) not in list(self._database.rows(_MERCHANT_OF, record)):
                text = f"record {record[0]}/{record[1]} is no spend at merchant {merchant_no}"
                refuse(QUESTION, text, NO_DOSSIER)
        about = About(merchant_no, None, tuple(sorted(set(records))))
        by = Act(DEPARTMENT, person, said=said)
        whose = people.GENERAL
        return self._dossiers.begin(QUESTION, "ask", reference, about, by, time_s, whose)

    # --- reports ---------------------------------------------------------------------------------

    def open(self, now_s: int, due_h: Mapping[tuple[str, str], int] | None = None) -> list[Open]:
        """What is not ended, by number; `due_h` in the place of single values of DUE_H."""
        hours = {**DUE_H, **(due_h or {})}
        found = []
        for dossier in self._dossiers.every():
            if not is_open(dossier.kind, dossier.state):
                continue
            for_h = hours.get((dossier.kind, dossier.state))
            due_s = None if for_h is None else dossier.since_s + for_h * _HOUR_S
            is_over = due_s is not None and due_s < now_s
            found.append(Open(dossier, due_s, is_over or dossier.since_s > now_s))
        return [each for each in found if each.due_s is not None or each.is_late]

    def captures(self) -> list[Record]:
        """CAPTURE records of cards of which nobody has said who has them."""
        return list(self._database.rows(_UNTAKEN))

    def faults(self, now_s: int) -> list[Record]:
        """FAULT records that stand, and that are of no ticket."""
        taken = set(self._database.rows(_TAKEN_UP))
        readers = inspections.of_day(self._database, now_s - _DAY_S, now_s + 1)
        told = (
            (each.device, fault.seq) for each in readers for fault in each.faults if not fault.end
        )
        return sorted(record for record in told if record not in taken)

    def _plan(self, reference: str) -> tuple[str, str] | None:
        """(site before, site after) of a move that was asked for with this reference."""
        sql = (
            "SELECT r.site_before, r.site_after FROM relocation r"
            " JOIN dossier d ON d.number = r.dossier WHERE d.kind = ? AND d.reference = ?"
        )
        return next(iter(list(self._database.rows(sql, (MOVE_OF, reference)))), None)

    def _reader(self, kind: str, device: int) -> tuple[int, str]:
        for row in list(self._database.rows(_READER, (device,))):
            return row[0], row[1]
        return refuse(kind, f"there is no reader {device}", NO_DOSSIER)

    def _responsible(self, device: int, by: Act) -> str:
        """The department that is asked, where one of them speaks: it answers for the reader."""
        return Tampers(self._database).responsible(device) if by.role == DEPARTMENT else ""

    def _check_merchant(self, kind: str, merchant_no: int) -> None:
        if not list(self._database.rows(_IS_MERCHANT, (merchant_no,))):
            refuse(kind, f"there is no merchant {merchant_no}", NO_DOSSIER)

    def _check_in_use(self, kind: str, reference: str, device: int) -> None:
        """It has not ended; by this very dossier it may have, and then is told so again."""
        is_known = self._is_begun(kind, reference)
        if not is_known and retirement.is_retired(self._database, device):
            refuse(kind, f"reader {device} has ended", HAS_ENDED)

    def _is_begun(self, kind: str, reference: str) -> bool:
        return bool(list(self._database.rows(_IS_BEGUN, (kind, reference))))

    def _check_kinds(self, kind: str, records: Sequence[Record], *wanted: int) -> None:
        for device, seq in records:
            found = [row[0] for row in self._database.rows(_KIND, (device, seq))]
            if not found or found[0] not in wanted:
                text = f"{device}/{seq} is no booked record that can be evidence here"
                refuse(kind, text, NO_DOSSIER)
