"""Merchants and readers that are new: annex 2, and which the register may name (R16, R20, R-B2).

Rules of this file. What the register said before is good for ever. From the first form of annex 2
on it is closed: a merchant is one with the fifth signature, in the transaction of that signature,
and a reader's number is admitted after it, no more of them than were signed for. What the
register names beside that is held back, and keeps nobody else's ledger from starting: records of
such a reader are refused with 440 and stay where they are. They are booked once it is admitted,
the register is read again, and the reader has connected to its agent again. A register that was
written before a reader was moved does not move it back.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from ledger.closing import is_ending
from ledger.dialect import Dialect
from ledger.dossier_signers import proven
from ledger.dossiers import (
    About,
    DossierRefused,
    begin,
    check_signed,
    check_word,
    check_words,
    detail_of,
    find,
    refuse,
)
from ledger.procedures import (
    ANNEX_2,
    APPROVED,
    BEYOND_APPROVAL,
    HAS_ENDED,
    MERCHANT,
    NO_DOSSIER,
    NO_EVIDENCE,
    Act,
)
from ledger.signatures import signed
from ledger.tampers import is_person

QUANTITY_MAX, AMOUNT_FEN_MAX, NAME_CHARS_MAX = 9_999, 99_999_999_999, 64
_NUMBER_MAX = 0xFFFFFFFF
_IS_CLOSED = "SELECT 1 FROM annex_form LIMIT 1"
_CLOSE = (
    "INSERT INTO registered_before SELECT 'merchant', merchant_no FROM merchant",
    "INSERT INTO registered_before SELECT 'device', device FROM device",
)
_IS_MERCHANT = "SELECT 1 FROM merchant WHERE merchant_no = ?"
_IS_BEGUN = "SELECT 1 FROM dossier WHERE kind = ? AND reference = ?"
_SITE = "SELECT site FROM device WHERE device = ?"
_IS_ADMITTED = """
SELECT d.merchant_no FROM admission a JOIN dossier d ON d.number = a.application
WHERE a.device = ?"""
_OF_APPLICATION = "SELECT device FROM admission WHERE application = ? ORDER BY device"
_ADMIT = "INSERT INTO admission VALUES (?, ?, ?, ?)"
_HOLD = "INSERT INTO held_back VALUES (?, ?) ON CONFLICT DO NOTHING"
_HELD = """
SELECT h.device, h.merchant_no FROM held_back h LEFT JOIN device d ON d.device = h.device
WHERE d.device IS NULL ORDER BY h.device"""
_AMONG = """
WITH k (number) AS (VALUES {keys})
SELECT device FROM k CROSS JOIN held_back WHERE device = number"""
_SITES_BEFORE = """
SELECT r.site_before FROM relocation r JOIN dossier d ON d.number = r.dossier
JOIN dossier_step s ON s.dossier = d.number AND s.state_after = 'moved'
WHERE d.device = ?"""
# R20: whoever stands on the form answers for the reader, until the register names another.
_ANSWER_FOR = """
INSERT INTO responsible SELECT a.device, f.department FROM admission a
JOIN annex_form f ON f.dossier = a.application JOIN device d ON d.device = a.device
WHERE a.device = ? ON CONFLICT DO NOTHING"""
_REGISTRY = """
SELECT d.device, d.merchant_no, d.site, COALESCE(r.department, ''), COALESCE(a.application, 0),
    COALESCE(x.dossier, 0)
FROM device d LEFT JOIN responsible r ON r.device = d.device
LEFT JOIN retirement x ON x.device = d.device
LEFT JOIN admission a ON a.device = d.device ORDER BY d.device"""

_log = logging.getLogger(__name__)

# As a register has them: (merchant_no, name), and the facts of a reader, of which here count
# device (0), merchant_no (3) and site (4).
Named = Sequence[tuple[int, str]]
Listed = Sequence[tuple[int, bytes, bytes, int, str, str, bool]]


@dataclass(frozen=True, slots=True)
class Form:
    """The form of annex 2. `name`: the merchant's; `department`: it answers for the readers;
    `project`: the project's department; `quantity` of readers; `amount_fen` for all of them."""

    name: str
    department: str
    project: str
    quantity: int
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A reader of the books. `department` "": nobody answers for it; `application` 0: it was
    registered before there were any; `ended` 0: it is in use, else by that dossier it is not."""

    device: int
    merchant_no: int
    site: str
    department: str
    application: int
    ended: int


class Onboarding:
    """Applications and admissions in `database`. Every method is one transaction, or only reads.

    Raises DossierRefused, and NotAllowed where the books have operators.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def apply(
        self,
        kind: str,
        reference: str,
        merchant_no: int,
        form: Form,
        necessity: str,
        person: str,
        time_s: int,
    ) -> int:
        """Note a form of `kind` MERCHANT or "device"; its dossier. Again: nothing."""
        _check(kind, merchant_no, form)
        about = About(merchant_no, detail=("annex_form", astuple(form)))
        by = Act(MERCHANT, person, said=necessity)
        check_words(reference, by)
        with self._database.transaction():
            by = proven(self._database, (kind, reference, "apply"), by, time_s)
            is_new = not list(self._database.rows(_IS_BEGUN, (kind, reference)))
            is_known = bool(list(self._database.rows(_IS_MERCHANT, (merchant_no,))))
            if is_new and is_known != (kind != MERCHANT):
                text = "is one already" if is_known else "is not known: it applies as a merchant"
                refuse(kind, f"merchant {merchant_no} {text}", NO_DOSSIER)
            if is_new:
                self._check_stays(kind, merchant_no)
            if not list(self._database.rows(_IS_CLOSED)):
                for sql in _CLOSE:
                    self._database.many(sql, [()])
            return begin(self._database, kind, "apply", reference, about, by, time_s)

    def admit(self, application: int, devices: Iterable[int], person: str, time_s: int) -> int:
        """These numbers are readers of an approved application; how many it has now.

        All of them or none. Again, the same ones: nothing. Where the books have operators, a new
        one takes five proven signatures: who is called as a typed one signs it again.
        """
        if not is_person(person):
            text = f"who admits is one word of a-z, 0-9 and - ({NO_EVIDENCE})"
            raise DossierRefused(text, NO_EVIDENCE)
        wanted = set(devices)
        with self._database.transaction():
            about = f"application {application}", " ".join(map(str, sorted(wanted)))
            person = signed(self._database, "device.admit", person, time_s, *about)
            known = find(self._database, application)
            form = self._form(application, known.kind)
            has = {device for (device,) in self._database.rows(_OF_APPLICATION, (application,))}
            news = sorted(wanted - has)
            if news:
                self._check_stays(known.kind, known.merchant_no or 0)
            if known.state != APPROVED:
                text = f"application {application} is {known.state}: five persons have to sign it"
                refuse(known.kind, text, BEYOND_APPROVAL)
            if len(has) + len(news) > form.quantity:
                text = f"application {application} is for {form.quantity} readers"
                refuse(known.kind, f"{text}, and has {len(has)}", BEYOND_APPROVAL)
            if news:
                check_signed(self._database, known, "admit")
            for device in news:
                self._check_free(known.kind, device)
            rows = [(device, application, person, time_s) for device in news]
            self._database.many(_ADMIT, rows)
            return len(has) + len(news)

    def form(self, application: int) -> Form:
        """What an application asks for."""
        return self._form(application, find(self._database, application).kind)

    def admitted(self, application: int) -> list[int]:
        """The readers of an application, by number."""
        return [row[0] for row in self._database.rows(_OF_APPLICATION, (application,))]

    def registry(self) -> list[Registered]:
        """Every reader of the books, by number (R20)."""
        return [Registered(*row) for row in self._database.rows(_REGISTRY)]

    def held_back(self) -> list[tuple[int, int]]:
        """(device, merchant_no) of each reader that the register names and nobody approved."""
        return list(self._database.rows(_HELD))

    def sift(self, merchants: Named, devices: Listed) -> tuple[Named, Listed]:
        """What of a register may be made known now; the rest is held back.

        Readers come back at the site to which they were moved.
        """
        with self._database.transaction():
            is_closed = bool(list(self._database.rows(_IS_CLOSED)))
            good = [each for each in merchants if not is_closed or self._is_merchant(each[0])]
            for merchant_no, name in merchants:
                if (merchant_no, name) not in good:
                    _log.warning("merchant %d is not approved (annex 2): held back", merchant_no)
            passed = []
            for device, previous, key, merchant_no, site, *more in devices:
                at = list(self._database.rows(_SITE, (device,)))
                if not at and (why := self._bar(is_closed, device, merchant_no)):
                    _log.warning("reader %d: %s: held back", device, why)
                    self._database.many(_HOLD, [(device, merchant_no)])
                    continue
                where = self._site(device, site, at[0][0]) if at else site
                passed.append((device, previous, key, merchant_no, where, *more))
            return good, passed

    def _bar(self, is_closed: bool, device: int, merchant_no: int) -> str:
        """Why a reader that is not in the books waits; "": it does not."""
        if is_ending(self._database, merchant_no):
            return f"merchant {merchant_no} winds up, or is closed"
        is_free = not is_closed or self._is_admitted(device, merchant_no)
        return "" if is_free else "not approved (annex 2)"

    def answer_for(self, devices: Iterable[int]) -> None:
        """The department of the form answers for each reader that nobody answers for (R20)."""
        with self._database.transaction():
            self._database.many(_ANSWER_FOR, [(device,) for device in devices])

    def _site(self, device: int, said: str, at: str) -> str:
        before = {site for (site,) in self._database.rows(_SITES_BEFORE, (device,))}
        return at if said in before else said

    def _is_merchant(self, merchant_no: int) -> bool:
        return bool(list(self._database.rows(_IS_MERCHANT, (merchant_no,))))

    def _is_admitted(self, device: int, merchant_no: int) -> bool:
        return (merchant_no,) in list(self._database.rows(_IS_ADMITTED, (device,)))

    def _form(self, application: int, kind: str) -> Form:
        row = detail_of(self._database, application, "annex_form")
        if row is None:
            refuse(kind, f"dossier {application} is no application", NO_DOSSIER)
        return Form(*row)

    def _check_stays(self, kind: str, merchant_no: int) -> None:
        if is_ending(self._database, merchant_no):
            refuse(kind, f"merchant {merchant_no} winds up, or is closed", HAS_ENDED)

    def _check_free(self, kind: str, device: int) -> None:
        if not 1 <= device <= _NUMBER_MAX or list(self._database.rows(_SITE, (device,))):
            refuse(kind, f"{device} is no number, or a reader has it already", BEYOND_APPROVAL)
        if list(self._database.rows(_IS_ADMITTED, (device,))):
            text = f"reader {device} is of another application"
            refuse(kind, text, BEYOND_APPROVAL)


def held_among(database: Dialect, devices: Iterable[int]) -> set[int]:
    """Those of `devices`, which are not in the books, that wait for their approval."""
    return {device for (device,) in database.rows_of(_AMONG, ((each,) for each in devices))}


def _check(kind: str, merchant_no: int, form: Form) -> None:
    check_word("the merchant's name", form.name, NAME_CHARS_MAX)
    check_word("the department", form.department)
    check_word("the project's department", form.project)
    least = 0 if kind == MERCHANT else 1
    is_good = least <= form.quantity <= QUANTITY_MAX and 0 <= form.amount_fen <= AMOUNT_FEN_MAX
    if kind not in ANNEX_2 or not is_good or not 0 <= merchant_no <= _NUMBER_MAX:
        text = f"the form of annex 2 says how many readers ({least} to {QUANTITY_MAX}) and fen"
        raise DossierRefused(f"{text} ({NO_EVIDENCE}, annex 2)", NO_EVIDENCE)
