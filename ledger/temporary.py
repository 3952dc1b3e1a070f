"""Temporary cards (annex 1): applied for, approved by two persons, handed out, extended.

Rules of this file. The head of the applicant's department comes first, then that of the finance
office, and they are two persons. What is handed out is an issued card, for its fee, in one
transaction, and no later than the last day of its term. Who comes from outside states a term; only
families of staff may leave it open. A term is extended in its last ten days, by a proof of the
department that had applied, and by no other; later it takes a new application and a new card.
"""

from dataclasses import dataclass

from ledger import card_validity, declines
from ledger.card_fees import charge
from ledger.card_status import CardRefused, entered, judged
from ledger.card_validity import Validity
from ledger.dialect import Dialect
from ledger.holders import DAY_MAX, Holder, check, check_word, is_person_no, open_for
from ledger.lifecycle import (
    CENTRE,
    HAS_A_CARD,
    NO_EVIDENCE,
    NOT_NOW,
    ONE_PERSON,
    Act,
)
from ledger.people import HEAD, TREASURER, TYPED_NAME
from ledger.signatures import are_there, signed, was_proven
from protocols.rules.spending import TEMPORARY

LAST_DAYS = 10
DAY_S = 86_400
CATEGORIES = {
    "casual-worker": 1,  # 临时用工人员
    "family": 2,  # 职工家属
    "property": 3,  # 物业公司
    "tenant": 4,  # 校内经营业主
    "trainee": 5,  # 培训学员
    "other": 6,  # 其他人员
}
LONG_TERM = (CATEGORIES["family"],)  # the others come from outside (note 1)
STEPS = {"department": 1, "finance": 2}
STEP_NAMES = {step: name for name, step in STEPS.items()}
_COLUMNS = "number, person_no, applicant_no, relation, category, department, valid_from, valid_to"
_FIND = f"SELECT {_COLUMNS} FROM temporary_application WHERE number = ?"
_NUMBER = "SELECT COALESCE(MAX(number), 0) + 1 FROM temporary_application"
_INSERT = "INSERT INTO temporary_application VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_APPROVALS = "SELECT step, person FROM temporary_approval WHERE application = ? ORDER BY step"
_APPROVE = "INSERT INTO temporary_approval VALUES (?, ?, ?, ?)"
_HANDED = "SELECT card_no FROM temporary_card WHERE application = ?"
_HAND_OUT = "INSERT INTO temporary_card VALUES (?, ?)"
# The application behind a card, also behind one that was lost on the way.
_BEHIND = """
WITH RECURSIVE before (card_no) AS (
    SELECT ? UNION ALL SELECT r.old_card FROM reissue r JOIN before b ON r.new_card = b.card_no)
SELECT a.department FROM before b JOIN temporary_card t ON t.card_no = b.card_no
JOIN temporary_application a ON a.number = t.application"""
_FORM = "SELECT time_s FROM temporary_application WHERE number = ?"
_SIGNED = "SELECT step, person, time_s FROM temporary_approval WHERE application = ? ORDER BY step"
# Of the card that was handed out, and of those in its place.
_EXTENSIONS = """
WITH RECURSIVE after (card_no) AS (
    SELECT card_no FROM temporary_card WHERE application = ?
    UNION ALL SELECT r.new_card FROM reissue r JOIN after a ON r.old_card = a.card_no)
SELECT e.was_to, e.valid_to, e.department, e.person, e.time_s
FROM temporary_extension e JOIN after a ON a.card_no = e.card_no ORDER BY e.number"""
_EXTENSION = "SELECT COALESCE(MAX(number), 0) + 1 FROM temporary_extension"
_EXTEND = "INSERT INTO temporary_extension VALUES (?, ?, ?, ?, ?, ?, ?)"
_ENDING = """
SELECT g.card_no, v.valid_to, h.department FROM card_validity v
JOIN holding g ON g.card_no = v.card_no JOIN holder h ON h.number = g.holder
WHERE g.is_current = 1 AND v.kind = ? AND v.valid_to BETWEEN ? AND ?
ORDER BY v.valid_to, g.card_no"""


@dataclass(frozen=True, slots=True)
class Application:
    """The form of annex 1 as far as the books need it; names and ID numbers stay on paper.

    `person_no`: who is to use the card; `applicant_no`: who applies; `category` of CATEGORIES;
    days since 1970, `valid_to` DAY_MAX: without a term.
    """

    person_no: str
    applicant_no: str
    relation: str
    category: int
    department: str
    valid_from: int
    valid_to: int

    def __repr__(self) -> str:
        return f"Application(category={self.category}, department={self.department!r})"


@dataclass(frozen=True, slots=True)
class Extension:
    """A later last day for a card, by a proof of `department`; days since 1970."""

    was_to: int
    valid_to: int
    department: str
    person: str
    time_s: int


@dataclass(frozen=True, slots=True)
class Form:
    """Annex 1 as far as the books have it. `signed`: step of STEPS -> (who, when)."""

    application: Application
    applied_s: int
    signed: dict[int, tuple[str, int]]
    card_no: int | None
    extensions: tuple[Extension, ...]


class Temporaries:
    """The temporary cards in the books. Every method is one transaction, or only reads.

    Raises CardRefused: nothing was changed, and the text says why without saying who.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def apply(self, application: Application, time_s: int, by: str = "") -> int:
        """Note an application that `by` has in hand; its number. Each call is one."""
        _check(application)
        a = application
        facts = a.person_no, a.applicant_no, a.relation, a.category, a.department
        with self._database.transaction():
            ((number,),) = self._database.rows(_NUMBER)
            about = f"application {number}"
            signed(self._database, "temporary.apply", by, time_s, about, "application")
            self._database.many(_INSERT, [(number, *facts, a.valid_from, a.valid_to, time_s)])
        return number

    def application(self, number: int) -> Application:
        """The one of this number."""
        for _number, *facts in list(self._database.rows(_FIND, (number,))):
            return Application(*facts)
        raise CardRefused(f"there is no application {number}")

    def form(self, number: int) -> Form:
        """What became of an application so far."""
        application = self.application(number)
        ((applied_s,),) = self._database.rows(_FORM, (number,))
        signed = {step: (who, s) for step, who, s in self._database.rows(_SIGNED, (number,))}
        later = tuple(Extension(*row) for row in self._database.rows(_EXTENSIONS, (number,)))
        return Form(application, applied_s, signed, self.card(number), later)

    def approvals(self, number: int) -> dict[int, str]:
        """Step of STEPS -> who has approved it."""
        return dict(self._database.rows(_APPROVALS, (number,)))

    def card(self, number: int) -> int | None:
        """The card that was handed out for an application; None if none was."""
        for (card_no,) in list(self._database.rows(_HANDED, (number,))):
            return card_no
        return None

    def approve(self, number: int, step: int, person: str, time_s: int) -> int:
        """Note a step of STEPS; how many there are now. Again by the same person: nothing."""
        check_word("who approves", person)
        with self._database.transaction():
            department = self.application(number).department
            first = step == STEPS["department"]
            verb, about = f"temporary.{STEP_NAMES[step]}", _about(number)
            asked = {"department": department} if first else {}
            person = signed(self._database, verb, person, time_s, about, **asked)
            done = self.approvals(number)
            if done.get(step) == person:
                return len(done)
            if step in done or person in done.values():
                text = f"application {number}: another person has done this step"
                if step not in done:
                    text = f"application {number}: the second step takes another person"
                raise CardRefused(f"{text} ({ONE_PERSON}, annex 1)", ONE_PERSON)
            if not first and not done:
                text = f"application {number}: the applicant's department comes first"
                raise CardRefused(f"{text} ({NO_EVIDENCE}, annex 1)", NO_EVIDENCE)
            self._check_not_declined(number)
            if not first:
                self._check_proven(number, done)
            self._database.many(_APPROVE, [(number, step, person, time_s)])
            return len(done) + 1

    def decline(self, number: int, because: str, person: str, time_s: int) -> None:
        """Say no to an application in the place of one's signature; it comes to no card.

        The head of its department, or finance, as long as not both have signed.
        """
        with self._database.transaction():
            done, department = self.approvals(number), self.application(number).department
            no = declines.No(person, because, time_s)
            among, whose = (TREASURER,), ""
            if STEPS["department"] not in done:
                among, whose = (HEAD,), department
            what = self._database, declines.TEMPORARY, _about(number), no
            login = declines.decline(*what, among=among, department=whose)
            if len(done) == len(STEPS) or login in done.values():
                text = f"application {number} does not wait for this person's signature"
                raise CardRefused(f"{text} ({ONE_PERSON}, annex 1)", ONE_PERSON)

    def declined(self, number: int) -> declines.No | None:
        """The no to an application; None: nobody has said one."""
        return declines.declined(self._database, declines.TEMPORARY, _about(number))

    def _check_not_declined(self, number: int) -> None:
        if self.declined(number) is not None:
            text = f"application {number}: {declines.TEXTS[declines.DECLINED]}"
            raise CardRefused(f"{text} ({declines.DECLINED}, annex 1)", declines.DECLINED)

    def _check_proven(self, number: int, done: dict[int, str]) -> None:
        """CardRefused if a step was signed by a typed name, in books with operators."""
        if not are_there(self._database):
            return
        for step, who in done.items():
            said = who, f"temporary.{STEP_NAMES[step]}", f"application {number}"
            if not was_proven(self._database, *said):
                text = f"application {number}: {who} signed it by a typed name, which counts for"
                text += f" nothing: sign it again, or apply anew ({TYPED_NAME}, annex 1)"
                raise CardRefused(text, TYPED_NAME)

    def hand_out(
        self,
        number: int,
        card_no: int,
        time_s: int,
        by: Act = CENTRE,
        today: int | None = None,
    ) -> None:
        """Open an issued card for an approved application; `by.person` has taken the fee.

        Again, with the same card: nothing, and no second fee. `today`: the day at the school, in
        days since 1970; None: that of `time_s` by UTC. None is handed out behind its term (R13).
        """
        with self._database.transaction():
            application = self.application(number)
            handed = self.card(number)
            if handed == card_no:
                return
            if handed is not None:
                text = f"application {number}: card {handed} was handed out for it"
                raise CardRefused(f"{text} ({HAS_A_CARD}, R12.3)", HAS_A_CARD)
            if (time_s // DAY_S if today is None else today) > application.valid_to:
                raise _not_now(f"application {number}: its term is over, apply anew")
            done = self.approvals(number)
            if len(done) < len(STEPS):
                text = f"application {number} is not approved by two persons"
                raise CardRefused(f"{text} ({ONE_PERSON}, annex 1)", ONE_PERSON)
            self._check_proven(number, done)
            if not judged(self._database, "open", card_no, by).is_new:
                text = f"card {card_no} is in use already: it takes one that is new"
                raise CardRefused(f"{text} ({HAS_A_CARD}, R10.1)", HAS_A_CARD)
            holder = Holder(application.person_no, TEMPORARY, application.department)
            valid_days = application.valid_from, application.valid_to
            open_for(self._database, card_no, holder, valid_days, time_s, by)
            self._database.many(_HAND_OUT, [(number, card_no)])
            charge(self._database, card_no, time_s, by.person)

    def extend(
        self,
        card_no: int,
        department: str,
        valid_to: int,
        today: int,
        time_s: int,
        by: Act = CENTRE,
    ) -> None:
        """A later last day for a card, by its department's proof. Again, the same day: nothing."""
        check_word("who extends it", by.person)
        with self._database.transaction():
            by = entered(self._database, "extend", card_no, time_s, by)
            judged(self._database, "extend", card_no, by)
            valid = card_validity.of(self._database, card_no)
            departments = [row[0] for row in self._database.rows(_BEHIND, (card_no,))]
            if valid is None or not departments:
                raise _not_now(f"card {card_no} is no temporary card")
            if valid.valid_to == valid_to:
                return
            if department != departments[0]:
                raise _not_now(f"card {card_no}: another department has applied for it")
            first = valid.valid_to - LAST_DAYS
            if not first <= today <= valid.valid_to:
                raise _not_now(f"card {card_no} is extended in its last {LAST_DAYS} days only")
            if not valid.valid_to < valid_to < DAY_MAX:
                raise _not_now(f"card {card_no}: that is no later day")
            ((number,),) = self._database.rows(_EXTENSION)
            row = number, card_no, valid_to, valid.valid_to, department, by.person, time_s
            self._database.many(_EXTEND, [row])
            later = Validity(card_no, valid.kind, valid.valid_from, valid_to)
            card_validity.write(self._database, later)

    def ending(self, today: int) -> list[tuple[int, int, str]]:
        """(card_no, last day, department) of each card that can be extended now."""
        days = TEMPORARY, today, today + LAST_DAYS
        return list(self._database.rows(_ENDING, days))


def _about(number: int) -> str:
    """An application, as acts name it."""
    return f"application {number}"


def _check(application: Application) -> None:
    holder = Holder(application.person_no, TEMPORARY, application.department)
    check(holder, (application.valid_from, application.valid_to))
    if not is_person_no(application.applicant_no):
        raise CardRefused("who applies has a number as who is to use the card")
    check_word("the relation", application.relation)
    if application.category not in CATEGORIES.values():
        raise CardRefused(f"category {application.category}: annex 1 has 1 to {len(CATEGORIES)}")
    if application.valid_to == DAY_MAX and application.category not in LONG_TERM:
        raise _not_now("who comes from outside states a term")


def _not_now(text: str) -> CardRefused:
    return CardRefused(f"{text} ({NOT_NOW}, annex 1)", NOT_NOW)
