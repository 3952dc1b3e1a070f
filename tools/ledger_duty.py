"""Rounds of inspection (R21) and the registry of readers (R20): `onecard ledger device`.

NotBooks, DossierRefused, NotAllowed, StoreUnavailable. Reports read only.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from protocols.rules import clock
from tools.ledger_forks import opened
from tools.ledger_lives import date_of
from tools.session import signing

IN_ORDER, NOT_IN_ORDER = 0, 1


def name(
    path: Path,
    where: tuple[str, str],
    person: str,
    every_days: int,
    by: str,
    when: tuple[int, int],
) -> str:
    """Name who makes the rounds at (department, site); `when`: as of `go_round`."""
    department, site = where
    now_s, utc_offset_s = when
    today = clock.day(now_s, utc_offset_s)
    with signing(path, by, now_s) as (store, who):
        store.merchants.duties.name(department, site, person, every_days, today, who, now_s)
    return f"{department}, {site}: {person} makes a round every {every_days} days"


def go_round(
    path: Path,
    where: tuple[str, str],
    person: str,
    results: Sequence[str],
    said: str,
    when: tuple[int, int],
) -> str:
    """Note a round of today; `when`: (time_s, offset of the school's time)."""
    department, site = where
    now_s, utc_offset_s = when
    day = clock.day(now_s, utc_offset_s)
    with signing(path, person, now_s) as (store, who):
        make = store.merchants.duties.go_round
        tickets = make(department, site, day, who, results, said, now_s)
    told = f"; tickets: {', '.join(map(str, tickets))}" if tickets else ""
    return f"{department}, {site}: the round of {date_of(day)} is noted{told}"


def rounds(path: Path, today: int, as_csv: bool) -> tuple[int, str]:
    """(exit code, who has to make rounds): NOT_IN_ORDER if one is overdue, or nobody is named."""
    with opened(path) as store:
        duties = store.merchants.duties.every(today)
        unnamed = store.merchants.duties.unnamed()
    late = any(duty.due < today for duty in duties)
    rows: list[tuple[Any, ...]] = []
    for duty in duties:
        last = "" if duty.last is None else date_of(duty.last)
        state = "OVERDUE" if duty.due < today else "in time"
        where = duty.department, duty.site
        rows.append((*where, duty.person, duty.every_days, last, date_of(duty.due), state))
    rows += [(department, site, "", "", "", "", "NOBODY IS NAMED") for department, site in unnamed]
    heads = "department", "site", "person", "every days", "last", "due", "state"
    code = NOT_IN_ORDER if late or unnamed else IN_ORDER
    return code, _table(heads, rows, as_csv, "no duty and no reader")


def registry(path: Path, as_csv: bool) -> tuple[int, str]:
    """(exit code, every reader): NOT_IN_ORDER if one has no department, or is held back."""
    with opened(path) as store:
        every = store.merchants.onboarding.registry()
        held = store.merchants.onboarding.held_back()
    rows: list[tuple[Any, ...]] = []
    for one in every:
        basis = one.application or "before"
        state = "in use" if one.department else "NOBODY ANSWERS FOR IT"
        state = f"ended by dossier {one.ended}" if one.ended else state
        rows.append((one.device, one.merchant_no, one.site, one.department, basis, state))
    rows += [(device, merchant_no, "", "", "", "HELD BACK") for device, merchant_no in held]
    is_good = not held and all(one.department or one.ended for one in every)
    heads = "device", "merchant", "site", "department", "application", "state"
    return (IN_ORDER if is_good else NOT_IN_ORDER), _table(heads, rows, as_csv, "no reader")


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]], as_csv: bool, nothing: str) -> str:
    rows = list(rows)
    if as_csv:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([heads, *rows])
        return out.getvalue().rstrip("\n")
    lines = []
    for row in rows:
        named = [
            f"{head} {cell}" for head, cell in zip(heads[:-1], row, strict=False) if cell != ""
        ]
        lines.append(f"{', '.join(named)}: {row[-1]}")
    return "\n".join(lines or [nothing])
