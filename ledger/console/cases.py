"""Cases: the list, and one of them with both its records side by side, to settle (R6.5).

Beside the record of a case stands the one that it does not fit: that of its finding, the one that
is booked in its place, or the record that its card named as its last.
"""

from typing import Any

from ledger import declines, names, reasons
from ledger.bearers import LOSSES, NO_LOSS, Bearer
from ledger.chart import KIND_NAMES, kind, owner
from ledger.console import typed
from ledger.console.asked import Asked, Page, Refused, Shown, ToSign, Waiting
from ledger.console.case_words import BEARERS, REASONS, REFUSED, TEXTS
from ledger.console.refusals import BAD_FIELDS, NOTHING_HERE
from ledger.corrections import CaseOf, CorrectionRefused
from ledger.dialect import Dialect
from ledger.made_good import IS_DONE
from ledger.quiescence import read
from ledger.reason_words import OF_RECORDS

__all__ = ["PAGES", "REASONS", "TEXTS", "TO_SIGN", "WAITING"]

_SHOWN = 100
_PATH = "/cases/{case_reason}/{reader}/{record}"
_WITH_MONEY = ", ".join(map(str, sorted(LOSSES)))
_PROPOSED = """COALESCE((SELECT p.person FROM correction p WHERE p.reason = c.reason
    AND p.device = c.device AND p.seq = c.seq AND p.sha256 = c.sha256
    ORDER BY p.number DESC LIMIT 1), '')"""
# The record of a case: that which it has kept, or else the one that is booked.
_SEALED = """CASE WHEN length(c.sealed) > 0 THEN c.sealed ELSE (SELECT r.sealed FROM record r
    WHERE r.device = c.device AND r.seq = c.seq) END"""
_OPEN = f"""
SELECT c.reason, c.device, c.seq, c.sha256, {_PROPOSED}, 0, {_SEALED} FROM suspense_case c
WHERE c.reason IN ({_WITH_MONEY}) AND NOT {IS_DONE}"""
_EVERY = f"""
SELECT c.reason, c.device, c.seq, c.sha256, {_PROPOSED},
    CASE WHEN {IS_DONE} THEN 1 ELSE 0 END, {_SEALED}
FROM suspense_case c WHERE 1 = 1"""
_BEHIND = f"""
AND (c.reason, c.device, c.seq, c.sha256) > (?, ?, ?, ?) AND ? IN (0, c.reason)
ORDER BY c.reason, c.device, c.seq, c.sha256 LIMIT {_SHOWN + 1}"""
# The newest proposal of each case that is not booked, of somebody else.
_TO_APPROVE = f"""
SELECT p.number, c.reason, c.device, c.seq, c.sha256, p.person, p.time_s, p.because
FROM correction p JOIN suspense_case c ON p.reason = c.reason AND p.device = c.device
    AND p.seq = c.seq AND p.sha256 = c.sha256
WHERE p.person <> ? AND NOT {IS_DONE} AND NOT EXISTS (SELECT 1 FROM correction n
    WHERE n.reason = p.reason AND n.device = p.device AND n.seq = p.seq
    AND n.sha256 = p.sha256 AND n.number > p.number)
ORDER BY p.number"""
_RECORD = "SELECT sealed FROM record WHERE device = ? AND seq = ?"
_KEPT = """
SELECT sealed FROM suspense_case WHERE reason = ? AND device = ? AND seq = ? AND sha256 = ?"""
_COUNTS = "SELECT reason, COUNT(*) FROM suspense_case GROUP BY reason ORDER BY reason"
_TIMES = ("earliest_s", "latest_s")


def show(asked: Asked) -> Shown:
    """Open cases with money, or with ?all=1 every case; a page behind a key."""
    is_all = asked.query.get("all") == "1"
    only = typed.in_query(asked, "reason")
    behind = *(typed.in_query(asked, name, -1) for name in ("r", "d", "s")), _hash(asked)
    sql = (_EVERY if is_all else _OPEN) + _BEHIND
    with asked.store.database.reading():
        rows = list(asked.store.database.rows(sql, (*behind, only)))
        counts = list(asked.store.database.rows(_COUNTS))
        cards = [_card_of(row[6]) for row in rows[:_SHOWN]]
        found = names.masked_names(asked.store.database, filter(None, cards))
    shown = [
        (*row[:3], bytes(row[3]).hex(), *row[4:6], card_no, found.get(card_no or 0, ""))
        for row, card_no in zip(rows, cards, strict=False)
    ]
    more = shown[-1][:4] if len(rows) > _SHOWN else None
    context = {"cases": shown, "more": more, "is_all": is_all, "counts": counts, "only": only}
    return Shown("cases.html", context | {"what": reasons.TEXTS})


def _hash(asked: Asked) -> bytes:
    """That of the case behind which the page begins: several may be of one record."""
    try:
        return bytes.fromhex(asked.query.get("h", ""))
    except ValueError:
        return b""


def _card_of(sealed: Any) -> int | None:
    """The card that the record of a case names; None: it names none."""
    return ((read(bytes(sealed)) if sealed else None) or {}).get("card_no")


def show_one(asked: Asked) -> Shown:
    """A case, both records, and what is proposed for it."""
    corrections, database = asked.store.corrections, asked.store.database
    with database.reading():
        case = _case(asked)
        proposal = corrections.proposed(case)
        pair = corrections.pair(case)
        own, other, title = _records(database, case, pair)
        context = {
            "case": case,
            "todo": OF_RECORDS.get(case.reason, ("", ""))[1],
            "why_none": NO_LOSS.get(case.reason, ""),
            "proposal": proposal,
            "moves": _moves(proposal) if proposal else (),
            "approved": corrections.approved(case),
            "no": corrections.declined(proposal) if proposal else None,
            "mark": corrections.mark(case, proposal) if proposal else "",
            "held_fen": corrections.held_fen(case),
            "beside": title,
            "rows": _side_by_side(own, other),
            "pair": pair,
            "bearers": BEARERS,
        }
    return Shown("case.html", context)


def settle(asked: Asked) -> str:
    """Propose who bears it, or approve what another person has proposed."""
    case, act = _case(asked), asked.fields.get("act")
    corrections = asked.store.corrections
    path = f"/cases/{case.reason}/{case.device}/{case.seq}?sha={case.sha256.hex()}"
    try:
        if act == "approve":
            what = typed.number(asked, "number"), asked.fields.get("mark", "")
            corrections.approve(*what, asked.person, asked.now_s)
            return f"{path}&done=case_approved"
        if act != "propose" or asked.fields.get("bearer") not in BEARERS:
            raise Refused(BAD_FIELDS, "bearer")
        bearer = Bearer(asked.fields["bearer"])
        amount_fen = typed.fen(asked, "amount") if typed.text(asked, "amount") else None
        whose = typed.number(asked, "whose") if typed.text(asked, "whose") else None
        what = case, bearer, asked.person, typed.text(asked, "because"), asked.now_s
        corrections.propose(*what, amount_fen, whose)
    except CorrectionRefused as error:
        raise Refused(REFUSED, str(error)) from None
    return f"{path}&done=case_proposed"


def _case(asked: Asked) -> CaseOf:
    reason, device, seq = (
        typed.in_path(asked, name) for name in ("case_reason", "reader", "record")
    )
    try:
        return asked.store.corrections.case(reason, device, seq, asked.query.get("sha", ""))
    except CorrectionRefused:
        raise Refused(NOTHING_HERE) from None


def _records(
    database: Dialect, case: CaseOf, pair: tuple | None
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Fields of the record of a case, of the one beside it, and what that is (a key of TEXTS)."""
    kept = [bytes(row[0]) for row in database.rows(_KEPT, case.key)]
    booked = _fields(database, case.device, case.seq)
    own = (read(kept[0]) or {}) if kept and kept[0] else booked
    if pair is not None:
        return own, _fields(database, pair[1], pair[2]), "case_pair"
    if kept and kept[0] and booked:
        return own, booked, "case_booked"
    last = own.get("last_device", 0), own.get("last_seq", 0)
    return own, _fields(database, *last) if all(last) else {}, "case_last"


def _fields(database: Dialect, device: int, seq: int) -> dict[str, Any]:
    for (sealed,) in list(database.rows(_RECORD, (device, seq))):
        return read(bytes(sealed)) or {}
    return {}


def _side_by_side(
    own: dict[str, Any], other: dict[str, Any]
) -> list[tuple[str, str, Any, Any, bool]]:
    """(field, how it is told, own, the other's, whether they differ)."""
    rows = []
    for name in dict.fromkeys([*own, *other]):
        one, two = own.get(name), other.get(name)
        told = "time" if name in _TIMES else "fen" if name.endswith("_fen") else ""
        sides = [side.hex() if isinstance(side, bytes) else side for side in (one, two)]
        rows.append((name, told, *sides, one != two))
    return rows


def _moves(proposal: Any) -> tuple[str, ...]:
    """From which account to which, by their kinds and owners."""
    accounts = proposal.debit_account, proposal.credit_account
    return tuple(f"{KIND_NAMES[kind(one)]} {owner(one)}" for one in accounts)


def to_sign(asked: Asked) -> list[ToSign]:
    """Proposals of others that whoever asks may approve."""
    if not asked.may("case.approve"):
        return []
    database = asked.store.database
    declined = declines.all_declined(database, declines.CASE)
    # Cut behind what was declined, which stands there until somebody proposes anew.
    return [
        ToSign(
            "case",
            f"proposal {number}",
            person,
            time_s,
            because,
            f"/cases/{reason}/{device}/{seq}?sha={bytes(sha256).hex()}",
            declines.CASE,
        )
        for number, reason, device, seq, sha256, person, time_s, because in list(
            database.rows(_TO_APPROVE, (str(asked.person),))
        )
        if f"proposal {number}" not in declined
    ][:_SHOWN]


def waiting(asked: Asked) -> list[Waiting]:
    """How many those are."""
    mine = to_sign(asked)
    path = mine[0].path if len(mine) == 1 else "/waiting"
    return [Waiting("case_waits", len(mine), path)]


WAITING, TO_SIGN = (waiting,), (to_sign,)
_WHO = ("case.propose", "case.approve")
PAGES = (
    Page("/cases", ("差错", "Cases"), show, verbs=_WHO, menu="menu_money"),
    Page(_PATH, ("差错", "Case"), show_one, verbs=_WHO, do=settle),
)
