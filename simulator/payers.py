"""People without a card, who pay by the merchant's aggregate code with a telephone (R23.1b).

The channel is elsewhere and always there: what it was paid stands in its statement, whatever the
canteen's reader went through. Some show a picture of a payment that they never made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger.statements import COLUMNS
from protocols.rules import money, screen_texts, screens

if TYPE_CHECKING:
    from simulator.people import Clerk

CODE = b"F8"
_CONFIRM = b"\r"
_SCAN = screen_texts.TEXTS[screens.SCAN_CODE][0]
_BY_SCAN = screen_texts.TEXTS[screens.BY_SCAN][0]
_KEYING_US, _LOOK_US, _NEXT_US = 1_500_000, 900_000, 2_500_000
_PHONE_US = 6_000_000  # a telephone is taken out, the code read, a finger put on it
_ROUNDS_MAX = 6


@dataclass
class Payer:
    """Somebody with a telephone. `pay` tells the channel of this one's payment."""

    amount_fen: int
    pay: Callable[[str, int], None]
    cheats: bool = False
    has_paid: bool = False
    has_confirmed: bool = False  # the clerk has, in this round
    rounds: int = 0


@dataclass
class Channel:
    """What was paid by telephone: the channel's statement, as a file."""

    rows: list[tuple[str, str, int, str, str]] = field(default_factory=list)

    def pay(self, merchant_no: int, amount_fen: int, time: str) -> None:
        order_no = f"P{len(self.rows) + 1:08d}"
        self.rows.append(("wechat", order_no, merchant_no, money.format_yuan(amount_fen), time))

    def statement(self) -> bytes:
        lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in self.rows)]
        return "\n".join([*lines, ""]).encode()


@dataclass
class Scans:
    """What a person at the readers saw of it: (reader, fen), and how often."""

    confirmed: Counter[tuple[str, int]] = field(default_factory=Counter)
    recorded: Counter[tuple[str, int]] = field(default_factory=Counter)


class ScanClerk:
    """How the clerk of one reader serves payers; `clerk` goes on with the queue."""

    def __init__(self, clerk: Clerk, scans: Scans) -> None:
        self._clerk = clerk
        self._scans = scans
        self._last = ""  # what the reader said of the last one, with its number

    def serve(self, payer: Payer) -> None:
        """The reader is on: key the amount, or see that it is recorded after all."""
        if payer.has_confirmed and self._is_recorded(payer):
            self._recorded(payer)
            return
        payer.rounds += 1
        payer.has_confirmed = False
        if payer.rounds > _ROUNDS_MAX:
            self._clerk.next_one()
            return
        self._clerk.press(b"\x1b" + money.format_yuan(payer.amount_fen).encode() + _CONFIRM)
        self._clerk.later(_KEYING_US, lambda: self._choose(payer))

    def _choose(self, payer: Payer) -> None:
        self._clerk.press(CODE)
        self._clerk.later(_LOOK_US, lambda: self._show(payer))

    def _show(self, payer: Payer) -> None:
        """The payer looks at the code, and pays once, however often it is shown."""
        if not self._is_shown(payer):
            self._clerk.again()
            return
        if not payer.has_paid and not payer.cheats:
            payer.has_paid = True
            payer.pay(self._clerk.reader.name, payer.amount_fen)
        self._clerk.later(_PHONE_US, lambda: self._confirm(payer))

    def _confirm(self, payer: Payer) -> None:
        if not self._is_shown(payer):
            self._clerk.again()
            return
        payer.has_confirmed = True
        self._scans.confirmed[self._clerk.reader.name, payer.amount_fen] += 1
        self._clerk.press(_CONFIRM)
        self._clerk.later(_LOOK_US, lambda: self._look(payer))

    def _look(self, payer: Payer) -> None:
        if self._is_recorded(payer):
            self._recorded(payer)
        else:
            self._clerk.again()

    def _recorded(self, payer: Payer) -> None:
        self._last = self._clerk.reader.hardware.panel.lines[1]
        self._scans.recorded[self._clerk.reader.name, payer.amount_fen] += 1
        self._clerk.next_one()

    def _is_shown(self, payer: Payer) -> bool:
        hardware = self._clerk.reader.hardware
        lines = [_SCAN, money.format_yuan(payer.amount_fen)]
        is_drawn = hardware.lcd.has_graphics or not hardware.nvs.get("aggregate")
        return self._clerk.reader.is_on and hardware.panel.lines == lines and is_drawn

    def _is_recorded(self, payer: Payer) -> bool:
        upper, lower = self._clerk.reader.hardware.panel.lines
        own = lower.startswith(f"{money.format_yuan(payer.amount_fen)} #")
        return self._clerk.reader.is_on and upper == _BY_SCAN and own and lower != self._last
