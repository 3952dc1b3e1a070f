"""Refunds on their way to a bank: files that two persons sign, and what the bank says (R15).

Rules of this file. What a payment and a file are is said in ledger/payments/bank.py; here is who
is paid and why. A dry run names the payments of a file; two persons sign its hash and its sum, and
then it is made, as it was signed (ledger/money_lists.py). Who registers an account neither signs
nor makes a file that pays to it. Paid, a refund leaves the books, and the account is blanked, with
those that were in its place before.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from ledger import chart
from ledger.card_status import CardRefused, check_state
from ledger.declines import No
from ledger.dialect import Dialect
from ledger.holders import check_word
from ledger.money_lists import NAME_USED, REFUND, TEXTS, MoneyList, MoneyLists, Signature
from ledger.payments import accounts
from ledger.payments.bank import Due, Payment, Payments
from ledger.payments.kinds import REFUND as KIND
from ledger.signatures import basis, signed

_MAY_HAVE_A_PAYEE = ("active", "lost", "suspended", "frozen", "expired", "closed")
# Of the account that was paid, and of those in its place before it, on this card and on those it
# is in the place of; not while the bank still has a payment to one.
_BLANK = """
UPDATE payee SET account_no = '', name = ''
WHERE number <= ? AND account_no <> '' AND card_no IN (
    WITH RECURSIVE before (card_no) AS (
        SELECT card_no FROM payee WHERE number = ?
        UNION SELECT r.old_card FROM reissue r JOIN before b ON r.new_card = b.card_no)
    SELECT card_no FROM before)
AND NOT EXISTS (
    SELECT 1 FROM payout_try t LEFT JOIN payout_result r ON r.number = t.number
    WHERE t.payee = payee.number AND r.number IS NULL)"""
_ON_ITS_WAY = f"SELECT COALESCE(SUM(balance_fen), 0) FROM account WHERE kind = {chart.PAYOUT}"


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A dry run of a file: its payments, and where all money is that is on its way to a bank.

    `with_bank_fen` waits for the bank's answer, `no_account_fen` for an account to try; with
    `amount_fen` they are all there is.
    """

    sha256: bytes
    payments: tuple[Due, ...]
    amount_fen: int
    with_bank_fen: int
    no_account_fen: int


class Payouts:
    """The refunds in the books of `database`. Every method is one transaction, or only reads.

    Raises CardRefused: nothing was changed, and the text says why without an account in it; and
    NotAllowed.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._payments = Payments(database, KIND)
        self._lists = MoneyLists(database)

    def register_payee(
        self, card_no: int, account_no: str, name: str, person: str, time_s: int
    ) -> None:
        """`person` has written down the holder's own account at a bank; the newest counts."""
        check_word("who registers it", person)
        check_account(account_no, name)
        with self._database.transaction():
            person = signed(self._database, "card.payee", person, time_s, f"card {card_no}")
            check_state(self._database, card_no, _MAY_HAVE_A_PAYEE)
            enter_payee(self._database, card_no, account_no, name, person, time_s)

    def unpaid(self) -> list[Due]:
        """What no bank has, by settlement."""
        return list(self._payments.unpaid())

    def dry_run(self, file: str) -> FilePlan:
        """What the file of this name would pay; nothing does."""
        check_word("a file", file)
        dues = self.unpaid()
        payments = tuple(one for one in dues if one.account)
        amount_fen = sum(one.amount_fen for one in payments)
        no_account_fen = sum(one.amount_fen for one in dues if not one.account)
        ((all_fen,),) = self._database.rows(_ON_ITS_WAY)
        sums = amount_fen, all_fen - amount_fen - no_account_fen, no_account_fen
        sha256 = _digest(file, payments, basis(self._database))
        return FilePlan(sha256, payments, *sums)

    def made(self, file: str) -> bytes | None:
        """The hash of the dry run of which the file of this name was made; None if none was."""
        return self._lists.done(REFUND, file)

    def signatures(self, sha256: bytes) -> list[str]:
        """Who has signed the dry run with this hash, in order."""
        return self._lists.signatures(sha256)

    def sign(self, file: str, signature: Signature) -> int:
        """Sign the dry run of that file; how many have. Again: nothing."""
        with self._database.transaction():
            self._payments.check_free(file)
            if self._payments.is_file(file) and self.made(file) is None:
                raise _name_used(file)
            plan = self.dry_run(file)
            for one in plan.payments:
                self._payments.check_apart(one, signature.person)
            return self._lists.sign(_list_of(file, plan), signature)

    def decline(self, sha256: bytes, no: No) -> None:
        """Say no to the dry run with this hash, which one person has signed."""
        with self._database.transaction():
            self._lists.decline(REFUND, sha256, no)

    def make_file(self, file: str, sha256: bytes, person: str, time_s: int) -> list[Payment]:
        """The payments of the file of this name, as two have signed, which `person` takes away.

        Made once: again it is the same ones, less those the bank has answered. What has no account
        that was not tried already is left out (see `unpaid`).
        """
        check_word("a file", file)
        with self._database.transaction():
            person = signed(self._database, "refund.file", person, time_s, file, sha256.hex())
            self._payments.check_free(file)
            if self._payments.is_file(file):
                self._check_made(file, sha256)
            else:
                plan = self.dry_run(file)
                if not plan.payments:
                    return []
                for one in plan.payments:
                    self._payments.check_apart(one, person)
                self._lists.start(_list_of(file, plan), sha256, person, time_s)
                self._payments.send(file, plan.payments, person, time_s)
            return self._payments.in_file(file)

    def note_results(
        self, results: Iterable[tuple[int, str, str]], person: str, time_s: int
    ) -> int:
        """(number of a payment, one of RESULTS, because) as the bank says; how many are news.

        All of them or none; again the same: nothing.
        """
        check_word("who notes it", person)
        with self._database.transaction():
            person = signed(self._database, "refund.results", person, time_s)
            news = self._payments.note_results(results, person, time_s)
            for one in news:
                if one.result == "paid":
                    self._database.many(_BLANK, [(one.account, one.account)])
        return len(news)

    # --- how -------------------------------------------------------------------------------------

    def _check_made(self, file: str, sha256: bytes) -> None:
        """CardRefused if a file of this name was made of another list; before, none was signed."""
        if self.made(file) not in (None, sha256):
            raise _name_used(file)


def enter_payee(
    database: Dialect, card_no: int, account_no: str, name: str, person: str, time_s: int
) -> None:
    """As register_payee, in a transaction of the caller, who has checked it."""
    Payments(database, KIND).register((card_no, account_no, name), person, time_s)


def check_account(account_no: str, name: str) -> None:
    """CardRefused if no bank can have this account; the text does not repeat it."""
    accounts.check_account(KIND, account_no, name)


def _name_used(file: str) -> CardRefused:
    return CardRefused(f"{file}: {TEXTS[NAME_USED]} ({NAME_USED})", NAME_USED)


def _list_of(file: str, plan: FilePlan) -> MoneyList:
    lines = tuple((one.number, one.owner, one.amount_fen, 0) for one in plan.payments)
    return MoneyList(REFUND, file, plan.sha256, lines)


def _digest(file: str, payments: Iterable[Due], resting_on: str) -> bytes:
    """Over which account of the register gets what; an account is never changed there."""
    said = "".join(f"{one.number} {one.account} {one.amount_fen}\n" for one in payments)
    return hashlib.sha256(f"{REFUND} {file}\n{said}{resting_on}".encode()).digest()
