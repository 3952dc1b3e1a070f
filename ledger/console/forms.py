"""Forms: whose they are, and that each is done once.

Rules of this file. A form is opened with a number that is drawn for it and a seal over number and
path by the session's token, which no other page has: so it cannot be forged (CSRF), and whoever
logs in anew opens it anew. The number is written down in the very transaction that does what the
form asks; sent again (a double click, a lost answer, the way back), it leads where it led before.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ledger.console.asked import Refused
from ledger.console.refusals import FORM_DIFFERS, FORM_FORGED
from ledger.dialect import Dialect, Row
from ledger.store import LedgerStore

NUMBER, SEAL = "form_no", "form_seal"
NUMBER_BYTES = 16
KEPT_S = 2 * 86_400  # longer than a session lasts
_FIND = "SELECT sha256, went_to FROM console_form WHERE number = ?"
_INSERT = "INSERT INTO console_form VALUES (?, ?, ?, ?, ?)"
_OLD = "DELETE FROM console_form WHERE time_s < ?"


def opened(token: str, path: str) -> tuple[str, str]:
    """(number, seal) of a new form that is posted to `path` in the session of `token`."""
    number = secrets.token_hex(NUMBER_BYTES)
    return number, _seal(token, path, number)


def check(token: str, path: str, fields: Mapping[str, str]) -> bytes:
    """The number of a form that was opened in this session. Raises Refused."""
    number, seal = fields.get(NUMBER, ""), fields.get(SEAL, "")
    is_ours = hmac.compare_digest(seal.encode(), _seal(token, path, number).encode())
    try:
        drawn = bytes.fromhex(number)
    except ValueError:
        drawn = b""
    if not is_ours or len(drawn) != NUMBER_BYTES:
        raise Refused(FORM_FORGED)
    return drawn


def digest(path: str, fields: Mapping[str, str], files: Mapping[str, bytes]) -> bytes:
    """Of all that a form says."""
    said = [(name, text.encode()) for name, text in fields.items() if name not in (NUMBER, SEAL)]
    said += [(f"file {name}", data) for name, data in files.items()]
    made = hashlib.sha256(path.encode())
    for name, data in sorted(said):
        made.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(data).digest())
    return made.digest()


def once(
    store: LedgerStore,
    form: tuple[bytes, str, bytes],
    now_s: int,
    do: Callable[[LedgerStore], str],
) -> str:
    """Where `do` leads; done once for a form: its number, whose it is, its digest.

    `do` gets the books inside of the one transaction. Raises Refused, and what `do` raises:
    then nothing was changed.
    """
    number, login, sha256 = form
    with store.database.transaction():
        for said, went_to in list(store.database.rows(_FIND, (number,))):
            if bytes(said) != sha256:
                raise Refused(FORM_DIFFERS)
            return went_to
        joined = _Joined(store.database)
        went_to = do(LedgerStore(joined))
        joined.check()
        store.database.many(_INSERT, [(number, login, sha256, went_to, now_s)])
        store.database.many(_OLD, [(max(now_s - KEPT_S, 0),)])
    return went_to


def _seal(token: str, path: str, number: str) -> str:
    return hmac.new(token.encode(), f"{number}\n{path}".encode(), hashlib.sha256).hexdigest()


class _Joined:
    """The database in a transaction that has begun: what would be one of its own is part of it.

    Half of what failed inside must not be committed because somebody has caught it.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._has_failed = False

    def check(self) -> None:
        if self._has_failed:
            raise RuntimeError("a part of this form failed and was caught: nothing is committed")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._has_failed = True
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        yield

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        return self._database.rows(sql, parameters)

    def rows_of(self, sql: str, keys: Iterable[Row]) -> Iterator[Row]:
        return self._database.rows_of(sql, keys)

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        self._database.many(sql, rows)

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        self._database.insert(table, rows)

    def update(self, sql: str, rows: Sequence[Row]) -> None:
        self._database.update(sql, rows)

    def close(self) -> None:
        """It is the caller's."""
