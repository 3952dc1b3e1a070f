"""Readers that were opened or stand elsewhere, and who approves that they go on (R18.1, R18.2).

Rules of this file. What is approved is one record of one reader, the newest that bars it, in two
steps: the department that answers for the reader, then the information centre, by two persons.
Whatever is newer makes older approvals worthless, here and in the reader. None is ever taken back.
That a reader was heard elsewhere is kept with its own question, which nobody else can have sealed.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass

from ledger import reasons
from ledger.claims import Claim
from ledger.dialect import Dialect
from ledger.signatures import signed
from protocols.wire import messages, topics

PERSON_CHARS_MAX = 32
DEPARTMENT, CENTRE = 1, 2
STEPS = {"department": DEPARTMENT, "centre": CENTRE}
STATES = {messages.CASE_OPENED: "case opened", messages.MOVED: "moved"}
CASES = {messages.CASE_OPENED: reasons.CASE_OPENED, messages.MOVED: reasons.MOVED}
_WAITING = f"""
SELECT t.device, t.seq, t.state, t.number, t.earliest_s, t.latest_s
FROM tamper t WHERE t.state <> {messages.APPROVED} AND t.seq = (
    SELECT MAX(seq) FROM tamper WHERE device = t.device AND state <> {messages.APPROVED})
AND NOT EXISTS (SELECT 1 FROM tamper o WHERE o.device = t.device
    AND o.state = {messages.APPROVED} AND o.number = t.seq)
AND NOT EXISTS (SELECT 1 FROM retirement x WHERE x.device = t.device)
ORDER BY t.device"""
_APPROVED = """
WITH k (wanted, place) AS (VALUES {keys})
SELECT device, seq FROM k CROSS JOIN approval WHERE device = wanted AND seq = place
GROUP BY device, seq HAVING COUNT(*) = 2"""


class ApprovalRefused(Exception):
    """An approval that cannot be; nothing was changed, and the text says why."""


@dataclass(frozen=True, slots=True)
class Tamper:
    """A TAMPER record: `state` as in messages; `number` of the record that was approved, or 0."""

    device: int
    seq: int
    state: int
    number: int
    earliest_s: int
    latest_s: int


class Tampers:
    """What the books know of it. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def waiting(self) -> list[Tamper]:
        """The newest record that bars each reader, as long as the reader has not told its end."""
        return [Tamper(*row) for row in self._database.rows(_WAITING)]

    def steps(self, device: int, seq: int) -> dict[int, tuple[str, int]]:
        """Step -> (person, time_s) of the approvals of a record."""
        sql = "SELECT step, person, time_s FROM approval WHERE device = ? AND seq = ?"
        return {row[0]: (row[1], row[2]) for row in self._database.rows(sql, (device, seq))}

    def is_approved(self, device: int, seq: int) -> bool:
        """Whether the reader may go on behind its record `seq`, which nothing newer bars."""
        return self._newest(device) == seq and len(self.steps(device, seq)) == len(STEPS)

    def approve(
        self, device: int, seq: int, step: int, person: str, time_s: int, site: str = ""
    ) -> int:
        """Note a step for record `seq`; how many it has now. Again by the same person: nothing.

        Raises ApprovalRefused. `person`: a word of a-z, 0-9 and -, as staff are called here.
        `site`: from the centre's step on the reader belongs there; it needs settings that say so.
        """
        _check(person, step, site)
        with self._database.transaction():
            newest = self._newest(device)
            if newest != seq:
                hint = f"; that is record {newest}" if newest else ""
                raise ApprovalRefused(f"reader {device}: record {seq} is not what bars it{hint}")
            person = self._signed(device, seq, step, person, time_s)
            done = self.steps(device, seq)
            if step in done:
                if done[step][0] != person or site:
                    raise ApprovalRefused(f"this step is done, by {done[step][0]}")
                return len(done)
            if step == CENTRE and DEPARTMENT not in done:
                raise ApprovalRefused("the responsible department comes first (R18.2)")
            if person in (known for known, _time_s in done.values()):
                raise ApprovalRefused("the second step takes another person")
            row = device, seq, step, person, time_s
            self._database.many("INSERT INTO approval VALUES (?, ?, ?, ?, ?)", [row])
            if site:
                move = "UPDATE device SET site = ? WHERE device = ?"
                self._database.many(move, [(site, device)])
            return len(done) + 1

    def _signed(self, device: int, seq: int, step: int, person: str, time_s: int) -> str:
        """Who does this step; the first one is of the department that answers for the reader."""
        about = f"reader {device}, record {seq}"
        if step == CENTRE:
            return signed(self._database, "device.centre", person, time_s, about)
        whose = self.responsible(device)
        return signed(self._database, "device.department", person, time_s, about, department=whose)

    def sight(self, device: int, head_seq: int, site: str, time_s: int, sealed: bytes) -> bool:
        """A reader has said at another `site` than its own that its newest record is `head_seq`.

        A case with what it said, once for that record; whether it is a new one.
        """
        where = "SELECT 1 FROM sighting WHERE device = ? AND head_seq = ? AND site = ?"
        with self._database.transaction():
            if list(self._database.rows(where, (device, head_seq, site))):
                return False
            row = device, head_seq, site, time_s, sealed
            self._database.many("INSERT INTO sighting VALUES (?, ?, ?, ?, ?)", [row])
            case = reasons.SEEN_ELSEWHERE, device, head_seq, b"", sealed
            sql = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            self._database.many(sql, [case])
            return True

    def sightings(self) -> list[tuple[int, int, str, int]]:
        """(device, head_seq, site, time_s) of each, in order of time."""
        sql = "SELECT device, head_seq, site, time_s FROM sighting ORDER BY time_s, device"
        return list(self._database.rows(sql))

    def answer_for(self, devices: Iterable[tuple[int, str]]) -> None:
        """Note which department answers for each reader (R20). Again, with the same: nothing."""
        sql = (
            "INSERT INTO responsible VALUES (?, ?) ON CONFLICT (device)"
            " DO UPDATE SET department = excluded.department"
        )
        with self._database.transaction():
            self._database.many(sql, list(devices))

    def responsible(self, device: int) -> str:
        """The department that answers for a reader; "" if none is known."""
        sql = "SELECT department FROM responsible WHERE device = ?"
        return next((name for (name,) in self._database.rows(sql, (device,))), "")

    def where(self, device: int) -> tuple[int, str]:
        """(merchant_no, site) of a reader of the register."""
        sql = "SELECT merchant_no, site FROM device WHERE device = ?"
        return next(iter(self._database.rows(sql, (device,))))

    def _newest(self, device: int) -> int:
        sql = "SELECT COALESCE(MAX(seq), 0) FROM tamper WHERE device = ? AND state <> ?"
        ((seq,),) = self._database.rows(sql, (device, messages.APPROVED))
        return seq


def told_by(claim: Claim, approved: Container[tuple[int, int]]) -> tuple[Tamper, int]:
    """What a TAMPER record tells, and the reason of the case that it is; 0: it is none.

    `approved`: the records that have both approvals.
    """
    fields = claim.fields or {}
    what = fields["state"], fields["number"]
    tamper = Tamper(claim.device, claim.seq, *what, fields["earliest_s"], fields["latest_s"])
    if tamper.state in CASES:
        return tamper, CASES[tamper.state]
    is_approved = (claim.device, tamper.number) in approved
    return tamper, 0 if is_approved else reasons.APPROVED_BY_NOBODY


def approved_among(database: Dialect, keys: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of the records (device, seq) that have both approvals."""
    return {(device, seq) for device, seq in database.rows_of(_APPROVED, keys)}


def is_person(name: str) -> bool:
    """Whether staff may be called so here: one word of a-z, 0-9 and -."""
    is_word = all(char == "-" or char in "0123456789" or "a" <= char <= "z" for char in name)
    return 0 < len(name) <= PERSON_CHARS_MAX and is_word


def _check(person: str, step: int, site: str) -> None:
    if not is_person(person):
        text = f"a person is one word of a-z, 0-9 and -, at most {PERSON_CHARS_MAX} characters"
        raise ApprovalRefused(text)
    if site and (step != CENTRE or not topics.is_site(site)):
        raise ApprovalRefused("where a reader stands is said by the centre, by the name of a site")
