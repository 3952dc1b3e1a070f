"""A holder without the card reports it lost at a machine, by the identity code of the phone.

Rules of this file. The phone that is bound to a card proves who asks (R14.2a); a payment code does
not, nor one that was shown before. Report, proof and status are one transaction, and the time is
that of the ledger when it heard it first (R14.2b): the same question is answered the same, and
another one about a card that is lost already with the time of its first report. Undoing it takes
evidence in person, as any report.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.card_status import CardRefused, change_status, standing
from ledger.dialect import Dialect
from ledger.lifecycle import HOLDER, KIOSK, Act
from protocols.card import virtual_code
from protocols.rules import reasons
from protocols.rules.card_status import CLOSED, LOST
from protocols.rules.scan_codes import CAMPUS_IDENTITY

_ACT = Act(HOLDER, KIOSK, "identity-code")
_AT = "SELECT code, lost_s FROM loss_report WHERE device = ? AND nonce = ?"
# A code that has told a door whose it is has been used as well.
_USED = """
SELECT 1 FROM loss_report WHERE code = ?
UNION ALL SELECT 1 FROM code_answer WHERE code = ?"""
_INSERT = "INSERT INTO loss_report VALUES (?, ?, ?, ?, ?)"
# For ledger/invariants.py.
RULES = {
    "a loss that was proven at a machine is on record since then": f"""
        SELECT r.device, r.card_no, r.lost_s FROM loss_report r
        WHERE NOT EXISTS (SELECT 1 FROM card_change c WHERE c.card_no = r.card_no
            AND c.time_s = r.lost_s AND c.status = {LOST})""",
}


@dataclass(frozen=True, slots=True)
class LossAsk:
    """What a machine says: who shows `code` (38 bytes) has lost the card that it is of."""

    device: int
    nonce: bytes
    code: bytes


@dataclass(frozen=True, slots=True)
class LossAnswer:
    """`reason` 0: the card is lost since `lost_s` (seconds since 1970)."""

    reason: int
    lost_s: int = 0


class LossReports:
    """The reports in the books of `database`. Raises StoreUnavailable: nothing changed."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def report(
        self,
        ask: LossAsk,
        seed_of: Callable[[int], bytes | None],
        interval_ms: tuple[int, int],
        now_s: int,
    ) -> LossAnswer:
        """Judge a report of a registered reader; if it is proven, the card is lost.

        seed_of(card_no) is the seed of the card's phone, or None; `interval_ms` the ledger's clock
        as (earliest, latest) in ms since 1970, and `now_s` what it reads.
        """
        code = virtual_code.parse(ask.code)
        if code is None:
            return LossAnswer(reasons.CODE_UNKNOWN)
        with self._database.transaction():
            for known, lost_s in self._database.rows(_AT, (ask.device, ask.nonce)):
                is_same = known == code.number
                return LossAnswer(*((0, lost_s) if is_same else (reasons.CODE_USED,)))
            reason = virtual_code.verify(
                code, CAMPUS_IDENTITY, seed_of(code.card), interval_ms, _Burned(self._database)
            )
            if reason != reasons.APPROVED:
                return LossAnswer(reason)
            try:
                change_status(self._database, "lose", code.card, now_s, _ACT)
            except CardRefused:
                is_closed = standing(self._database, code.card)[0] == CLOSED
                return LossAnswer(reasons.CARD_CLOSED if is_closed else reasons.LOSS_UNSURE)
            lost_s = standing(self._database, code.card)[1]
            row = code.number, ask.device, ask.nonce, code.card, lost_s
            self._database.many(_INSERT, [row])
            return LossAnswer(reasons.APPROVED, lost_s)


class _Burned:
    """The codes that have reported a loss, as virtual_code.verify asks for them: for all time."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def __contains__(self, number: bytes) -> bool:
        return bool(list(self._database.rows(_USED, (number, number))))
