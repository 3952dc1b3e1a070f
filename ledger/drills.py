"""Outage drills of a site: judged by the records that its readers have written, and filed.

Rules of this file (R21 to R24). A drill is judged from the books alone, so that an auditor who
judges it again comes to the same report and the same SHA-256 of it. A drill is filed once: whoever
files it again, as it was filed, is told its number; otherwise is refused. While a reader has not
told what it saw, nothing is filed, unless its number is named as one that is left out, and then
the report says so for good.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from ledger.dialect import Dialect
from ledger.dossiers import DossierRefused, check_word
from ledger.drill_rules import (
    COUNTER,
    DOOR,
    LOCK,
    NETWORK,
    POWER,
    PUNCHES,
    SILENT,
    Check,
    Record,
    Window,
    as_values,
    checks,
    is_behind,
    verdict_of,
)
from ledger.intervals import TIME_UNKNOWN_S
from ledger.procedures import NO_DOSSIER, NO_EVIDENCE, SAID_OTHERWISE
from ledger.quiescence import read
from ledger.retirement import IN_USE
from ledger.signatures import signed
from ledger.tampers import is_person
from protocols.wire import topics

KINDS = (POWER, NETWORK)
LONGEST_S = 12 * 3600
_CHUNK = 256
_READERS = f"""
SELECT d.device, CASE
    WHEN EXISTS (SELECT 1 FROM lock k WHERE k.device = d.device) THEN '{LOCK}'
    WHEN EXISTS (SELECT 1 FROM door o WHERE o.device = d.device) THEN '{DOOR}'
    WHEN EXISTS (SELECT 1 FROM punch p WHERE p.device = d.device) THEN '{PUNCHES}'
    ELSE '{COUNTER}' END
FROM device d WHERE d.site = ? AND {IN_USE} ORDER BY d.device"""
_BACKWARDS = f"""
SELECT seq, sha256, sealed FROM record WHERE device = ? AND seq < ?
ORDER BY seq DESC LIMIT {_CHUNK}"""
_KNOWN = "SELECT number, person, evidence FROM drill WHERE kind = ? AND site = ? AND from_s = ?"
_FILED = "SELECT number, kind, site, department, person, from_s, to_s, verdict, evidence, report,"
_FILED += " time_s FROM drill"
_NUMBER = "SELECT COALESCE(MAX(number), 0) + 1 FROM drill"
_FILE = "INSERT INTO drill VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class ReaderChecks:
    """A reader in a drill. `records`: first, last, and SHA-256 of all it was judged by."""

    device: int
    kind: str
    checks: tuple[Check, ...]
    first_seq: int
    last_seq: int
    records: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A drill as the books prove it. `left_out`: readers by somebody's decision."""

    kind: str
    site: str
    window: Window
    readers: tuple[ReaderChecks, ...]
    left_out: tuple[int, ...]

    @property
    def silent(self) -> list[int]:
        """Readers that have not told yet."""
        return [
            one.device
            for one in self.readers
            if any(check.verdict == SILENT for check in one.checks)
        ]

    @property
    def verdict(self) -> str:
        """passed, partly or failed."""
        return verdict_of([check for one in self.readers for check in one.checks])

    def report(self) -> str:
        """The same for the same records: canonical JSON."""
        readers = [
            {
                "device": one.device,
                "kind": one.kind,
                "checks": [as_values(check) for check in one.checks],
                "first_seq": one.first_seq,
                "last_seq": one.last_seq,
                "records": one.records,
            }
            for one in self.readers
        ]
        told = {
            "format": 1,
            "kind": self.kind,
            "site": self.site,
            "from_s": self.window.from_s,
            "to_s": self.window.to_s,
            "left_out": list(self.left_out),
            "readers": readers,
        }
        return json.dumps(told, sort_keys=True, separators=(",", ":"))

    @property
    def evidence(self) -> str:
        """SHA-256 of the report, in hexadecimal digits."""
        return hashlib.sha256(self.report().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Filed:
    """A drill in the books."""

    number: int
    kind: str
    site: str
    department: str
    person: str
    from_s: int
    to_s: int
    verdict: str
    evidence: str
    report: str
    time_s: int


class Drills:
    """The drills in `database`. DossierRefused and, where there are operators, NotAllowed.

    A record is never changed, so what judges reads without a transaction of its own.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def judge(
        self, kind: str, site: str, from_s: int, to_s: int, left_out: Collection[int] = ()
    ) -> Judged:
        """What the readers of `site` have told of an outage from `from_s` to `to_s` (UTC)."""
        if kind not in KINDS or not topics.is_site(site):
            raise _refused(f"a drill is {' or '.join(KINDS)}, at a site")
        if not 0 <= from_s < to_s <= min(from_s + LONGEST_S, TIME_UNKNOWN_S - 1):
            raise _refused(
                f"it has begun before it has ended, at most {LONGEST_S // 3600} h later"
            )
        window = Window(from_s, to_s)
        known = list(self._database.rows(_READERS, (site,)))
        unknown = set(left_out) - {device for device, _kind in known}
        if unknown:
            raise _refused(f"no reader {min(unknown)} at {site}", NO_DOSSIER)
        those = [(device, of) for device, of in known if device not in left_out]
        readers = self._checked(kind, those, window)
        if not readers:
            raise _refused(f"no reader of a {kind} drill at {site}", NO_DOSSIER)
        return Judged(kind, site, window, readers, tuple(sorted(left_out)))

    def file(self, judged: Judged, department: str, person: str, time_s: int) -> int:
        """File a drill; its number, the same when it was filed before. One transaction."""
        check_word("the department", department)
        if not is_person(person):
            raise _refused("staff are a word of a-z, 0-9 and -")
        if judged.window.to_s > time_s:
            raise _refused("an outage that has not ended is no drill yet")
        if judged.silent:
            names = ", ".join(map(str, judged.silent))
            raise _refused(f"these have not told yet: {names}; wait, or leave them out by name")
        about = f"drill {judged.kind} at {judged.site}, {judged.window.from_s}", judged.evidence
        with self._database.transaction():
            words = "duty.drill", person, time_s, *about
            person = signed(self._database, *words, department=department)
            where = judged.kind, judged.site, judged.window.from_s
            for number, who, evidence in list(self._database.rows(_KNOWN, where)):
                if (who, evidence) != (person, judged.evidence):
                    text = f"drill {number} is filed otherwise"
                    raise _refused(text, SAID_OTHERWISE)
                return number
            self._check_left_out(judged)
            ((number,),) = self._database.rows(_NUMBER)
            head = number, judged.kind, judged.site, department, person
            span = judged.window.from_s, judged.window.to_s
            told = judged.verdict, judged.evidence, judged.report()
            self._database.many(_FILE, [(*head, *span, *told, time_s)])
            return number

    def _check_left_out(self, judged: Judged) -> None:
        """DossierRefused if one of them has told: then it is judged, whatever it told."""
        of = dict(self._database.rows(_READERS, (judged.site,)))
        for device in judged.left_out:
            those = [(device, of.get(device, COUNTER))]
            for one in self._checked(judged.kind, those, judged.window):
                if not any(check.verdict == SILENT for check in one.checks):
                    raise _refused(f"reader {device} has told: it is not left out")

    def filed(self) -> list[Filed]:
        """All of them, in their order."""
        return [Filed(*row) for row in list(self._database.rows(f"{_FILED} ORDER BY number"))]

    def one(self, number: int) -> Filed:
        """DossierRefused if there is none of that number."""
        for row in list(self._database.rows(f"{_FILED} WHERE number = ?", (number,))):
            return Filed(*row)
        raise _refused(f"no drill {number}", NO_DOSSIER)

    def verify(self, number: int) -> bool:
        """Whether the books prove today what was filed: judged again, it is the same report."""
        one = self.one(number)
        report, window = json.loads(one.report), Window(one.from_s, one.to_s)
        # Those of then: the register has changed since.
        those = [(reader["device"], reader["kind"]) for reader in report["readers"]]
        readers = self._checked(one.kind, those, window)
        again = Judged(one.kind, one.site, window, readers, tuple(report["left_out"]))
        sha256 = hashlib.sha256(one.report.encode()).hexdigest()
        return again.evidence == one.evidence == sha256

    def _checked(
        self, kind: str, readers: list[tuple[int, str]], window: Window
    ) -> tuple[ReaderChecks, ...]:
        """Of readers that a drill of this kind is about."""
        found = (self._of_reader(kind, *reader, window) for reader in readers)
        return tuple(one for one in found if one.checks)

    def _of_reader(self, kind: str, device: int, device_kind: str, window: Window) -> ReaderChecks:
        told = list(self._told(device, window))
        records = [record for _seq, _sha256, record in told]
        digest = hashlib.sha256(b"".join(sha256 for _seq, sha256, _record in told)).hexdigest()
        ends = (told[0][0], told[-1][0]) if told else (0, 0)
        found = tuple(checks(kind, device_kind, records, window))
        return ReaderChecks(device, device_kind, found, *ends, digest)

    def _told(self, device: int, window: Window) -> Iterator[tuple[int, bytes, Record]]:
        """What a reader wrote from just before the outage up to what first is surely behind it."""
        newest_first: list[tuple[int, bytes, Record]] = []
        for row in self._backwards(device):
            newest_first.append(row)
            if row[2]["latest_s"] < window.from_s:
                break
        for row in reversed(newest_first):
            yield row
            if is_behind(row[2], window):
                return

    def _backwards(self, device: int) -> Iterator[tuple[int, bytes, Record]]:
        below = TIME_UNKNOWN_S + 1
        while True:
            rows = list(self._database.rows(_BACKWARDS, (device, below)))
            for seq, sha256, sealed in rows:
                below = seq
                record: dict[str, Any] | None = read(bytes(sealed))
                if record is not None:
                    yield seq, bytes(sha256), record
            if len(rows) < _CHUNK:
                return


def _refused(text: str, reason: int = NO_EVIDENCE) -> DossierRefused:
    return DossierRefused(f"{text} ({reason}, R21)", reason)
