"""Speaks for an acquirer over HTTP: ledger/acquirer.py says what both sides have to keep.

    PUT  /orders/{order_no}          {"code": text, "amount_fen": n}    reserve
    GET  /orders/{order_no}                                             query
    POST /orders/{order_no}/confirm
    POST /orders/{order_no}/void
    GET  /statements/{yyyy-mm-dd}

An order is answered as {"order_no", "amount_fen", "state", "why"}, where state is one of _WORDS,
"pending" (its payer is being asked) or "unknown". A statement is {"day", "lines": [[order_no,
amount_fen], ...]}, and 404 as long as its day is not over. Sealed both ways: adapters/
signed_http.py. Whoever takes the place of this class for a real acquirer keeps the same.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from adapters import signed_http
from adapters.signed_http import SignedHttp
from ledger.acquirer import NoAnswer, Said, StatementLine, Verb, Word

_EPOCH = date(1970, 1, 1)
_OK = 200
_LINES_MAX, _FEN_MAX, _ORDER_CHARS_MAX = 1_000_000, 0xFFFFFF, 64
_WORDS = {
    "reserved": Word.RESERVED,
    "refused": Word.REFUSED,
    "confirmed": Word.CONFIRMED,
    "void": Word.VOIDED,
    "pending": Word.SILENT,
    "unknown": Word.SILENT,
}


class HttpAcquirer:
    """The acquirer behind `http`. Every method raises NoAnswer of ledger.acquirer."""

    def __init__(self, http: SignedHttp) -> None:
        self._http = http

    def say(self, verb: Verb, order_no: str, code: bytes, amount_fen: int) -> Said:
        """As Acquirer.say."""
        path = f"/orders/{order_no}"
        if verb is Verb.RESERVE:
            said = {"code": code.decode("ascii"), "amount_fen": amount_fen}
            answer = self._call("PUT", path, said)
        elif verb is Verb.QUERY:
            answer = self._call("GET", path)
        else:
            answer = self._call("POST", f"{path}/{verb.value}")
        state = answer.get("state")
        word = _WORDS.get(state) if isinstance(state, str) else None
        if answer.get("order_no") != order_no or word is None:
            raise NoAnswer("an answer about something else")
        if word in (Word.RESERVED, Word.CONFIRMED) and answer.get("amount_fen") != amount_fen:
            raise NoAnswer("another amount is reserved there")
        return Said(word, str(answer.get("why", "")), is_known=state != "unknown")

    def statement(self, day: int) -> Sequence[StatementLine]:
        """As Acquirer.statement."""
        name = (_EPOCH + timedelta(days=day)).isoformat()
        answer = self._call("GET", f"/statements/{name}")
        lines = answer.get("lines")
        if answer.get("day") != name or not isinstance(lines, list) or len(lines) > _LINES_MAX:
            raise NoAnswer("not the statement of that day")
        return [_line(line) for line in lines]

    def _call(self, method: str, path: str, said: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            status, answer = self._http.call(method, path, said)
        except signed_http.NoAnswer as error:
            raise NoAnswer(str(error)) from error
        if status != _OK or not isinstance(answer, dict):
            raise NoAnswer(f"status {status}")
        return answer


def _line(line: Any) -> StatementLine:
    if not isinstance(line, list) or len(line) != len(StatementLine._fields):
        raise NoAnswer("a line that is none")
    order_no, amount_fen = line
    is_amount = isinstance(amount_fen, int) and not isinstance(amount_fen, bool)
    if not isinstance(order_no, str) or not 0 < len(order_no) <= _ORDER_CHARS_MAX:
        raise NoAnswer("a line without an order number")
    if not order_no.isprintable():  # half a character, or a NUL: no database takes it
        raise NoAnswer("a line with an order number of what is no text")
    if not is_amount or not 0 < amount_fen <= _FEN_MAX:
        raise NoAnswer("a line without an amount")
    return StatementLine(order_no, amount_fen)
