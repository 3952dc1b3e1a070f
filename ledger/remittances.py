"""What merchants are due is paid: files for the bank, and what the bank says of them.

Rules of this file, as in ledger/settlements.py for cards. Only what four persons have approved is
paid (ledger/periods.py). A payment is with the bank from the file on that names it until the bank
has said what became of it; a trigger lets no second one out meanwhile. Failed, or paid and sent
back, it waits for another account. Who registers an account makes no file that pays to it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ledger import chart
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.period_reasons import (
    NO_ACCOUNT,
    NOT_WITH_BANK,
    SAME_PERSON,
    PeriodRefused,
    check_person,
)
from ledger.signatures import signed
from ledger.transfers import (
    REMITTED,
    REMITTED_LINE,
    SENT_BACK,
    SENT_BACK_LINE,
    Transfer,
)

ACCOUNT_DIGITS = (8, 32)
NAME_CHARS_MAX, BECAUSE_CHARS_MAX, FILE_CHARS_MAX = 64, 64, 32
# What a bank may say of a payment, and what it has to have said before.
_BEHIND = {"paid": (), "failed": (), "returned": ("paid",)}
RESULTS = tuple(_BEHIND)
_FORMULA = "=+-@"  # what a spreadsheet would take for one
_IS_MERCHANT = "SELECT 1 FROM merchant WHERE merchant_no = ?"
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM {}"
_REGISTER = "INSERT INTO merchant_account VALUES (?, ?, ?, ?, ?, ?)"
_ACCOUNT = """
SELECT number, person FROM merchant_account WHERE merchant_no = ? ORDER BY number DESC LIMIT 1"""
# What no bank has, and of what a bank could not pay the account that was tried.
_UNPAID = """
SELECT m.number, m.period, m.merchant_no, m.due_fen, COALESCE((
    SELECT MAX(t.account) FROM remittance_try t WHERE t.due = m.number), 0)
FROM period_merchant m JOIN period_approval a ON a.period = m.period AND a.step = 4
WHERE m.due_fen > 0 AND NOT EXISTS (
    SELECT 1 FROM remittance_try t LEFT JOIN remittance_result r ON r.number = t.number
    LEFT JOIN remittance_return b ON b.number = t.number
    WHERE t.due = m.number AND COALESCE(r.is_paid, 1) = 1 AND b.number IS NULL)
ORDER BY m.number"""
_TRY = "INSERT INTO remittance_try VALUES (?, ?, ?, ?, ?, ?)"
_IS_FILE = "SELECT person FROM remittance_try WHERE file = ? LIMIT 1"
_IN_FILE = """
SELECT t.number, m.period, m.merchant_no, a.account_no, a.name, m.due_fen FROM remittance_try t
JOIN period_merchant m ON m.number = t.due JOIN merchant_account a ON a.number = t.account
LEFT JOIN remittance_result r ON r.number = t.number
WHERE t.file = ? AND r.number IS NULL ORDER BY t.number"""
_TRIED = """
SELECT m.merchant_no, m.due_fen, r.is_paid, b.number FROM remittance_try t
JOIN period_merchant m ON m.number = t.due
LEFT JOIN remittance_result r ON r.number = t.number
LEFT JOIN remittance_return b ON b.number = t.number WHERE t.number = ?"""
_RESULT = "INSERT INTO remittance_result VALUES (?, ?, ?, ?, ?)"
_RETURN = "INSERT INTO remittance_return VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Remittance:
    """A line of a file for the bank; the account stands in no log."""

    number: int
    period: int
    merchant_no: int
    account_no: str = field(repr=False)
    name: str = field(repr=False)
    amount_fen: int


class Remittances:
    """Payments to merchants in the books. Every method is one transaction, or only reads.

    Raises PeriodRefused, and NotAllowed where the books have operators: nothing was changed, and
    the text says why without an account in it.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def register(
        self, merchant_no: int, account_no: str, name: str, person: str, time_s: int
    ) -> None:
        """`person` has written down a merchant's account at a bank; the newest counts."""
        check_person(person)
        check_account(account_no, name)
        with self._database.transaction():
            about = f"merchant {merchant_no}"
            person = signed(self._database, "period.account", person, time_s, about)
            if not list(self._database.rows(_IS_MERCHANT, (merchant_no,))):
                raise PeriodRefused(f"merchant {merchant_no} is not registered", NO_ACCOUNT)
            row = self._next("merchant_account"), merchant_no, account_no, name, person, time_s
            self._database.many(_REGISTER, [row])

    def unpaid(self) -> Iterator[tuple[int, int, int, bool]]:
        """(period, merchant_no, amount_fen, has an account to try) of what no bank has."""
        for _number, period, merchant_no, fen, tried in list(self._database.rows(_UNPAID)):
            yield period, merchant_no, fen, self._account(merchant_no, tried) is not None

    def make_file(self, file: str, person: str, time_s: int) -> list[Remittance]:
        """The payments of the file of this name, which `person` takes to the bank.

        Made once: again it is the same ones, less those the bank has answered. What has no account
        that was not tried already is left out (see `unpaid`).
        """
        check_person(person)
        if not 0 < len(file) <= FILE_CHARS_MAX or not file.isprintable():
            raise PeriodRefused(f"a file has a name of 1 to {FILE_CHARS_MAX}", NOT_WITH_BANK)
        with self._database.transaction():
            person = signed(self._database, "period.file", person, time_s, file)
            if not list(self._database.rows(_IS_FILE, (file,))):
                self._try_all(file, person, time_s)
            return [Remittance(*row) for row in self._database.rows(_IN_FILE, (file,))]

    def note_results(
        self, results: Iterable[tuple[int, str, str]], person: str, time_s: int
    ) -> int:
        """(number of a payment, one of RESULTS, because) as the bank says; how many are news.

        All of them or none. Again the same: nothing. Anything else that was not so before:
        PeriodRefused.
        """
        check_person(person)
        news = 0
        with self._database.transaction():
            person = signed(self._database, "period.results", person, time_s)
            for number, result, because in results:
                if len(because) > BECAUSE_CHARS_MAX or (because and not because.isprintable()):
                    text = f"payment {number}: a reason of {BECAUSE_CHARS_MAX} characters at most"
                    raise PeriodRefused(text, NOT_WITH_BANK)
                news += self._note(number, result, (because, person, time_s))
        return news

    def _try_all(self, file: str, person: str, time_s: int) -> None:
        for due, _period, merchant_no, _fen, tried in list(self._database.rows(_UNPAID)):
            account = self._account(merchant_no, tried)
            if account is None:
                continue
            number, who = account
            if who == person:
                text = f"merchant {merchant_no}: {person} has registered its account"
                raise PeriodRefused(text, SAME_PERSON)
            row = self._next("remittance_try"), due, number, file, person, time_s
            self._database.many(_TRY, [row])

    def _note(self, number: int, result: str, what: tuple[str, str, int]) -> int:
        for merchant_no, fen, is_paid, returned in list(self._database.rows(_TRIED, (number,))):
            known = () if is_paid is None else ("paid",) if is_paid else ("failed",)
            known += () if returned is None else ("returned",)
            if result in known:
                return 0
            if known != _BEHIND.get(result):
                text = f"payment {number} is {known[-1] if known else 'with the bank'}"
                raise PeriodRefused(f"{text}, not {result}", NOT_WITH_BANK)
            account = chart.remittance(merchant_no)
            if result == "returned":
                self._database.many(_RETURN, [(number, *what)])
                self._move(number, SENT_BACK_LINE, SENT_BACK, (chart.BANK, account), fen)
                return 1
            self._database.many(_RESULT, [(number, int(result == "paid"), *what)])
            if result == "paid":
                self._move(number, REMITTED_LINE, REMITTED, (account, chart.BANK), fen)
            return 1
        raise PeriodRefused(f"there is no payment {number}", NOT_WITH_BANK)

    def _move(self, number: int, line: int, kind: int, way: tuple[int, int], fen: int) -> None:
        transfer = Transfer(chart.LEDGER_DEVICE, number, line, kind, *way, fen)
        post_authorized(self._database, [transfer])

    def _account(self, merchant_no: int, tried: int) -> tuple[int, str] | None:
        """(number, who has registered it) of a merchant's account that was not tried before."""
        for number, person in list(self._database.rows(_ACCOUNT, (merchant_no,))):
            if number > tried:
                return number, person
        return None

    def _next(self, table: str) -> int:
        ((number,),) = self._database.rows(_NEXT.format(table))
        return number


def check_account(account_no: str, name: str) -> None:
    """PeriodRefused if no bank can have this account; the text does not repeat it."""
    least, most = ACCOUNT_DIGITS
    is_digits = account_no.isascii() and account_no.isdigit()
    if not is_digits or not least <= len(account_no) <= most:
        raise PeriodRefused(f"a merchant's account has {least} to {most} digits", NO_ACCOUNT)
    is_name = 0 < len(name) <= NAME_CHARS_MAX and name.isprintable() and name == name.strip()
    if not is_name or name[0] in _FORMULA:
        text = f"an account's owner has a name of 1 to {NAME_CHARS_MAX} characters"
        raise PeriodRefused(text, NO_ACCOUNT)
