"""The phones on the desk: whose they are, what each showed last, and whether it is used up."""

from __future__ import annotations

from typing import Any

import segno

from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_IDENTITY
from simulator.phones import IDENTITY, PAYMENT
from simulator.run import Run

Seen = dict[str, Any]
# A code that the ledger has answered is used, whatever became of what it was shown for.
_USED = """
SELECT 1 FROM reservation WHERE code = ?
UNION ALL SELECT 1 FROM code_answer WHERE code = ?
UNION ALL SELECT 1 FROM loss_report WHERE code = ?"""


class PhoneLooker:
    """Looks at the phones of one run; what does not change is drawn once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._names = {
            held.name: held.card_no
            for held in run.cards
            if held.issued_fen is not None and run.phones.has(held.card_no)
        }
        self._drawn: dict[str, tuple[bytes, Seen]] = {}

    def phones(self) -> dict[str, Seen]:
        """By the name of its holder's card."""
        return {name: self._phone(name, card_no) for name, card_no in self._names.items()}

    def _phone(self, name: str, card_no: int) -> Seen:
        phones, seen = self._run.phones, self._drawn.get(name)
        code = phones.last(card_no)
        if seen is None or seen[0] != code:
            seen = self._drawn[name] = code, self._code(code) if code else {}
        if code and not seen[1]["used"]:
            seen[1]["used"] = self._is_used(code)
        return {"online": phones.is_online(card_no), **seen[1]}

    def _code(self, code: bytes) -> Seen:
        """A code as it is drawn, when it was made, and until when it is good."""
        parsed = virtual_code.parse(code)
        assert parsed is not None, "the phone has made it"
        made_s = parsed.made_s + self._run.scenario.policy["utc_offset_s"]
        rows = segno.make(code.decode(), micro=False, error="m").matrix
        return {
            "kind": IDENTITY if parsed.kind == CAMPUS_IDENTITY else PAYMENT,
            "made_s": made_s,
            "life_s": virtual_code.LIFE_S,
            "rows": ["".join(str(dot & 1) for dot in row) for row in rows],
            "used": False,
        }

    def _is_used(self, code: bytes) -> bool:
        parsed = virtual_code.parse(code)
        assert parsed is not None
        rows = self._run.services.store.database.rows(_USED, (parsed.number,) * 3)
        return any(True for _ in rows)
