"""What merchants are due is paid: files for the bank, and what the bank says of them.

Rules of this file. What a payment and a file are is said in ledger/payments/bank.py; here is who
is paid and why. Only what four persons have approved is paid (ledger/periods.py). Who registers an
account makes no file that pays to it.
"""

from collections.abc import Iterable

from ledger.dialect import Dialect
from ledger.payments.accounts import check_account
from ledger.payments.bank import Due, Payment, Payments
from ledger.payments.kinds import REMITTANCE
from ledger.period_reasons import NO_ACCOUNT, NOT_WITH_BANK, PeriodRefused, check_person
from ledger.signatures import signed

FILE_CHARS_MAX = 32
_IS_MERCHANT = "SELECT 1 FROM merchant WHERE merchant_no = ?"


class Remittances:
    """Payments to merchants in the books. Every method is one transaction, or only reads.

    Raises PeriodRefused, and NotAllowed where the books have operators: nothing was changed, and
    the text says why without an account in it.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._payments = Payments(database, REMITTANCE)

    def register(
        self, merchant_no: int, account_no: str, name: str, person: str, time_s: int
    ) -> None:
        """`person` has written down a merchant's account at a bank; the newest counts."""
        check_person(person)
        check_account(REMITTANCE, account_no, name)
        with self._database.transaction():
            about = f"merchant {merchant_no}"
            person = signed(self._database, "period.account", person, time_s, about)
            if not list(self._database.rows(_IS_MERCHANT, (merchant_no,))):
                raise PeriodRefused(f"merchant {merchant_no} is not registered", NO_ACCOUNT)
            self._payments.register((merchant_no, account_no, name), person, time_s)

    def unpaid(self) -> list[Due]:
        """What is approved and no bank has, by period."""
        return list(self._payments.unpaid())

    def make_file(self, file: str, person: str, time_s: int) -> list[Payment]:
        """The payments of the file of this name, which `person` takes to the bank.

        Made once: again it is the same ones, less those the bank has answered. What has no account
        that was not tried already is left out (see `unpaid`).
        """
        check_person(person)
        if not 0 < len(file) <= FILE_CHARS_MAX or not file.isprintable():
            raise PeriodRefused(f"a file has a name of 1 to {FILE_CHARS_MAX}", NOT_WITH_BANK)
        with self._database.transaction():
            person = signed(self._database, "period.file", person, time_s, file)
            self._payments.check_free(file)
            if not self._payments.is_file(file):
                dues = [one for one in self.unpaid() if one.account]
                self._payments.send(file, dues, person, time_s)
            return self._payments.in_file(file)

    def note_results(
        self, results: Iterable[tuple[int, str, str]], person: str, time_s: int
    ) -> int:
        """(number of a payment, one of RESULTS, because) as the bank says; how many are news.

        All of them or none; again the same: nothing.
        """
        check_person(person)
        with self._database.transaction():
            person = signed(self._database, "period.results", person, time_s)
            return len(self._payments.note_results(results, person, time_s))
