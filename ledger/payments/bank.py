"""Payments of one kind: what waits for one, files of them, and what the bank says.

Rules of this file. A payment is with the bank from the file on that names it until the bank has
said what became of it; a trigger lets no second one out meanwhile. Failed, or paid and sent back,
what is due waits for an account that was not tried. A file names its payments for ever. Behind a
restore no file is made, nor an old one written again, until it is known what the bank has
(ledger/payments/after_restore.py). All of it is done in transactions of the caller.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ledger import chart
from ledger.dialect import Dialect
from ledger.entries import next_number, post_authorized
from ledger.map_news import ahead
from ledger.payments import reasons
from ledger.payments.kinds import Kind
from ledger.payments.schema import BARS
from ledger.transfers import Transfer

BECAUSE_CHARS_MAX = 64
# What a bank may say of a payment, and what it has to have said before.
_BEHIND = {"paid": (), "failed": (), "returned": ("paid",)}
RESULTS = tuple(_BEHIND)
_REGISTER = "INSERT INTO {register} VALUES (?, ?, ?, ?, ?, ?)"
_ACCOUNT = """
SELECT number, account_no, person FROM {register} WHERE {owner} = ?
ORDER BY number DESC LIMIT 1"""
# What no bank has, and of what a bank could not pay the account that was tried.
_UNPAID = """
SELECT d.number, d.owner, d.amount_fen, d.purpose, COALESCE((
    SELECT MAX(t.{account}) FROM {tries} t WHERE t.{due} = d.number), 0)
FROM {dues} d WHERE NOT EXISTS (
    SELECT 1 FROM {tries} t LEFT JOIN {results} r ON r.number = t.number
    LEFT JOIN {returns} b ON b.number = t.number
    WHERE t.{due} = d.number AND COALESCE(r.is_paid, 1) = 1 AND b.number IS NULL)
ORDER BY d.number"""
_TRY = "INSERT INTO {tries} VALUES (?, ?, ?, ?, ?, ?)"
_IN_FILE = """
SELECT t.number, d.owner, d.purpose, a.account_no, a.name, d.amount_fen FROM {tries} t
JOIN {dues} d ON d.number = t.{due} JOIN {register} a ON a.number = t.{account}
LEFT JOIN {results} r ON r.number = t.number
WHERE t.file = ? AND r.number IS NULL ORDER BY t.number"""
_IS_FILE = "SELECT MIN(number) FROM {tries} WHERE file = ?"
_TRIED = """
SELECT d.owner, d.amount_fen, t.{account}, r.is_paid, b.number FROM {tries} t
JOIN {dues} d ON d.number = t.{due}
LEFT JOIN {results} r ON r.number = t.number
LEFT JOIN {returns} b ON b.number = t.number WHERE t.number = ?"""
_RESULT = "INSERT INTO {results} VALUES (?, ?, ?, ?, ?)"
_RETURN = "INSERT INTO {returns} VALUES (?, ?, ?, ?)"
_ABOVE = "SELECT COALESCE(MAX(above), 0) FROM books_restore"
_HIGHEST = """
SELECT MAX(number) FROM (SELECT COALESCE(MAX(above), 0) AS number FROM books_restore
    UNION ALL SELECT COALESCE(MAX(number), 0) FROM payout_try
    UNION ALL SELECT COALESCE(MAX(number), 0) FROM remittance_try) n"""
_IS_RESTORED = "SELECT 1 FROM books_restore LIMIT 1"
_BARRED = f"SELECT 1 WHERE {BARS}"


@dataclass(frozen=True, slots=True)
class Due:
    """What no bank has. `account`: the number of the one to pay to, 0 if there is none to try."""

    number: int
    owner: int
    amount_fen: int
    purpose: str
    account: int
    registered_by: str


@dataclass(frozen=True, slots=True)
class Payment:
    """A line of a file for the bank; the account stands in no log."""

    number: int
    owner: int
    purpose: str
    account_no: str = field(repr=False)
    name: str = field(repr=False)
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Answer:
    """`result` of a payment, which was news; `account`: the number of the one that was tried."""

    number: int
    result: str
    account: int


def are_barred(database: Dialect) -> bool:
    """Whether no new file may be made: the bank may have payments that these books lack.

    So it is behind a restore, and where readers know of changes that these books do not, though
    nobody has said that they came back from a backup.
    """
    if list(database.rows(_IS_RESTORED)):
        return bool(list(database.rows(_BARRED)))
    return bool(ahead(database))


def highest(database: Dialect) -> int:
    """The highest number that a payment of any kind has, or had before these books came back.

    All kinds are counted in one row: what a bank says of a payment of one is none of another.
    """
    ((number,),) = database.rows(_HIGHEST)
    return number


class Payments:
    """Those of `kind` in the books. Raises the kind's refusal: nothing is changed."""

    def __init__(self, database: Dialect, kind: Kind) -> None:
        self._database = database
        self._kind = kind
        self._sql = kind.sql

    def register(self, row: tuple[int, str, str], person: str, time_s: int) -> None:
        """`person` has written down (owner, account_no, name); the newest of an owner counts."""
        number = next_number(self._database, self._kind.register)
        self._database.many(self._sql(_REGISTER), [(number, *row, person, time_s)])

    def unpaid(self) -> Iterator[Due]:
        """What no bank has, with the account that the next file would pay it to."""
        rows = list(self._database.rows(self._sql(_UNPAID)))
        for number, owner, amount_fen, purpose, tried in rows:
            yield Due(number, owner, amount_fen, purpose, *self._account(owner, tried))

    def is_file(self, file: str) -> bool:
        """Whether there is a file of this name."""
        ((first,),) = self._database.rows(self._sql(_IS_FILE), (file,))
        return first is not None

    def check_free(self, file: str) -> None:
        """Refused (490) while no new file is made, or this one is from before a restore."""
        ((first,),) = self._database.rows(self._sql(_IS_FILE), (file,))
        if are_barred(self._database):
            text = "these books came back from a backup, and what the bank has is not known again"
            raise self._refused(f"{text}: see onecard ledger payments waiting", reasons.WAITS)
        if first is not None and first <= self._above():
            text = f"{file} was made before these books came back: what the bank has said of it"
            raise self._refused(f"{text} may be lost, so it is not written again", reasons.WAITS)

    def send(self, file: str, dues: Iterable[Due], person: str, time_s: int) -> None:
        """`file` names these from now on; each has an account, which `person` did not register."""
        for number, one in enumerate(dues, highest(self._database) + 1):
            self.check_apart(one, person)
            self.enter(number, one.number, one.account, (file, person, time_s))

    def enter(self, number: int, due: int, account: int, what: tuple[str, str, int]) -> None:
        """Write down payment `number`; `what`: its file, who made that, and when."""
        self._database.many(self._sql(_TRY), [(number, due, account, *what)])

    def check_apart(self, due: Due, person: str) -> None:
        """Refused if `person` has registered the account that it goes to."""
        if due.registered_by == person:
            text = f"{due.purpose}: {person} has registered its account"
            raise self._refused(text, self._kind.one_person)

    def in_file(self, file: str) -> list[Payment]:
        """The payments of a file, less those the bank has answered."""
        return [Payment(*row) for row in self._database.rows(self._sql(_IN_FILE), (file,))]

    def note_results(
        self, results: Iterable[tuple[int, str, str]], person: str, time_s: int
    ) -> list[Answer]:
        """(number of a payment, one of RESULTS, because) as the bank says; those that are news.

        All of them or none. Again the same: nothing. Only what was paid is returned; anything
        else that was not so before is refused.
        """
        news = []
        for number, result, because in results:
            if len(because) > BECAUSE_CHARS_MAX or (because and not because.isprintable()):
                text = f"payment {number}: a reason of {BECAUSE_CHARS_MAX} characters at most"
                raise self._refused(text, self._kind.not_with_bank)
            news += self._note(number, result, (because, person, time_s))
        return news

    # --- how -------------------------------------------------------------------------------------

    def _note(self, number: int, result: str, what: tuple[str, str, int]) -> list[Answer]:
        for owner, fen, account, is_paid, returned in list(
            self._database.rows(self._sql(_TRIED), (number,))
        ):
            known = () if is_paid is None else ("paid",) if is_paid else ("failed",)
            known += () if returned is None else ("returned",)
            if result in known:
                return []
            if known != _BEHIND.get(result):
                text = f"payment {number} is {known[-1] if known else 'with the bank'}"
                raise self._refused(f"{text}, not {result}", self._kind.not_with_bank)
            if result == "returned":
                self._database.many(self._sql(_RETURN), [(number, *what)])
            else:
                row = number, int(result == "paid"), *what
                self._database.many(self._sql(_RESULT), [row])
            self._move(number, result, chart.account(self._kind.way, owner), fen)
            return [Answer(number, result, account)]
        if number <= self._above():
            text = f"payment {number} is of before these books came back: note it by the bank's"
            raise self._refused(f"{text} list first", reasons.NOT_NOTED)
        raise self._refused(f"there is no payment {number}", self._kind.not_with_bank)

    def _move(self, number: int, result: str, account: int, fen: int) -> None:
        ways = {
            "paid": (*self._kind.paid, account, chart.BANK),
            "returned": (*self._kind.returned, chart.BANK, account),
        }
        if result in ways:
            kind, line, *way = ways[result]
            transfer = Transfer(chart.LEDGER_DEVICE, number, line, kind, way[0], way[1], fen)
            post_authorized(self._database, [transfer])

    def _account(self, owner: int, tried: int) -> tuple[int, str]:
        """(number, who has registered it) of an account that was not tried before; (0, "")."""
        whose = self._kind.payee_of(self._database, owner)
        for number, account_no, person in list(self._database.rows(self._sql(_ACCOUNT), (whose,))):
            if account_no and number > tried:
                return number, person
        return 0, ""

    def _above(self) -> int:
        ((above,),) = self._database.rows(_ABOVE)
        return above

    def _refused(self, text: str, reason: int) -> Exception:
        return self._kind.refused(text, reason)
