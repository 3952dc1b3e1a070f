"""Refunds on their way to a bank: files that two persons sign, and what the bank says (R15).

Rules of this file. A refund is with the bank from the file on that names it until the bank has
said what became of it. Failed, or paid and sent back, it waits for another account; paid, it
leaves the books, and the account is blanked, with those that were in its place before. A dry run
names the payments of a file; two persons sign its hash and its sum, and then it is made, as it was
signed (ledger/money_lists.py). Who registers an account neither signs nor makes a file that pays
to it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ledger import chart
from ledger.card_status import CardRefused, check_state
from ledger.dialect import Dialect
from ledger.entries import next_number, post_authorized
from ledger.holders import check_word
from ledger.lifecycle import MONEY_IN_THE_AIR, ONE_PERSON
from ledger.money_lists import NAME_USED, REFUND, TEXTS, MoneyList, MoneyLists, Signature
from ledger.reissues import Reissues
from ledger.signatures import basis, signed
from ledger.transfers import PAID_LINE, PAY_OUT, RETURN, RETURN_LINE, Transfer

ACCOUNT_DIGITS = (12, 19)
NAME_CHARS_MAX, BECAUSE_CHARS_MAX = 64, 64
# What a bank may say of a payment, and what it has to have said before.
_BEHIND = {"paid": (), "failed": (), "returned": ("paid",)}
RESULTS = tuple(_BEHIND)
_FORMULA = "=+-@"  # what a spreadsheet would take for one
_UNIONPAY = "62"  # a card number that begins so has a check digit
_MAY_HAVE_A_PAYEE = ("active", "lost", "suspended", "frozen", "expired", "closed")
_PAYEE = """
SELECT number, account_no, person FROM payee WHERE card_no = ? ORDER BY number DESC LIMIT 1"""
_REGISTER = "INSERT INTO payee VALUES (?, ?, ?, ?, ?, ?)"
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
# What no bank has, and of what a bank could not pay the account that was tried.
_UNPAID = """
SELECT s.number, s.card_no, s.amount_fen, COALESCE((
    SELECT MAX(t.payee) FROM payout_try t WHERE t.settlement = s.number), 0)
FROM card_settlement s
WHERE s.is_forfeit = 0 AND s.amount_fen > 0 AND NOT EXISTS (
    SELECT 1 FROM payout_try t LEFT JOIN payout_result r ON r.number = t.number
    LEFT JOIN payout_return b ON b.number = t.number
    WHERE t.settlement = s.number AND COALESCE(r.is_paid, 1) = 1 AND b.number IS NULL)
ORDER BY s.number"""
_TRY = "INSERT INTO payout_try VALUES (?, ?, ?, ?, ?, ?)"
_IN_FILE = """
SELECT t.number, s.card_no, p.account_no, p.name, s.amount_fen FROM payout_try t
JOIN card_settlement s ON s.number = t.settlement JOIN payee p ON p.number = t.payee
LEFT JOIN payout_result r ON r.number = t.number
WHERE t.file = ? AND r.number IS NULL ORDER BY t.number"""
_IS_FILE = "SELECT 1 FROM payout_try WHERE file = ?"
_TRIED = """
SELECT t.payee, s.card_no, s.amount_fen, r.is_paid, b.number FROM payout_try t
JOIN card_settlement s ON s.number = t.settlement
LEFT JOIN payout_result r ON r.number = t.number
LEFT JOIN payout_return b ON b.number = t.number WHERE t.number = ?"""
_RETURN = "INSERT INTO payout_return VALUES (?, ?, ?, ?)"
_RESULT = "INSERT INTO payout_result VALUES (?, ?, ?, ?, ?)"
_ON_ITS_WAY = f"SELECT COALESCE(SUM(balance_fen), 0) FROM account WHERE kind = {chart.PAYOUT}"


@dataclass(frozen=True, slots=True)
class Payment:
    """A line of a file for the bank; the account is the holder's own and stands in no log."""

    number: int
    card_no: int
    account_no: str = field(repr=False)
    name: str = field(repr=False)
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Due:
    """What a file would pay of settlement `settlement`, to account `payee` of the register."""

    settlement: int
    card_no: int
    amount_fen: int
    payee: int
    registered_by: str


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
        self._reissues = Reissues(database)
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

    def unpaid(self) -> Iterator[tuple[int, int, int, bool]]:
        """(settlement, card_no, amount_fen, has an account to try) of what no bank has."""
        for number, card_no, amount_fen, tried in list(self._database.rows(_UNPAID)):
            yield number, card_no, amount_fen, self._payee(card_no, tried) is not None

    def dry_run(self, file: str) -> FilePlan:
        """What the file of this name would pay; nothing does."""
        check_word("a file", file)
        payments, no_account_fen = [], 0
        for settlement, card_no, amount_fen, tried in list(self._database.rows(_UNPAID)):
            payee = self._payee(card_no, tried)
            if payee is None:
                no_account_fen += amount_fen
            else:
                payments.append(Due(settlement, card_no, amount_fen, *payee))
        amount_fen = sum(one.amount_fen for one in payments)
        ((all_fen,),) = self._database.rows(_ON_ITS_WAY)
        with_bank_fen = all_fen - amount_fen - no_account_fen
        sha256 = _digest(file, payments, basis(self._database))
        return FilePlan(sha256, tuple(payments), amount_fen, with_bank_fen, no_account_fen)

    def made(self, file: str) -> bytes | None:
        """The hash of the dry run of which the file of this name was made; None if none was."""
        return self._lists.done(REFUND, file)

    def signatures(self, sha256: bytes) -> list[str]:
        """Who has signed the dry run with this hash, in order."""
        return self._lists.signatures(sha256)

    def sign(self, file: str, signature: Signature) -> int:
        """Sign the dry run of that file; how many have. Again: nothing."""
        with self._database.transaction():
            plan = self.dry_run(file)
            _check_apart(plan, signature.person)
            return self._lists.sign(_list_of(file, plan), signature)

    def make_file(self, file: str, sha256: bytes, person: str, time_s: int) -> list[Payment]:
        """The payments of the file of this name, as two have signed, which `person` takes away.

        Made once: again it is the same ones, less those the bank has answered. What has no account
        that was not tried already is left out (see `unpaid`).
        """
        check_word("a file", file)
        with self._database.transaction():
            person = signed(self._database, "refund.file", person, time_s, file, sha256.hex())
            if list(self._database.rows(_IS_FILE, (file,))):
                self._check_made(file, sha256)
            else:
                plan = self.dry_run(file)
                if not plan.payments:
                    return []
                _check_apart(plan, person)
                self._lists.start(_list_of(file, plan), sha256, person, time_s)
                for one in plan.payments:
                    number = next_number(self._database, "payout_try")
                    row = number, one.settlement, one.payee, file, person, time_s
                    self._database.many(_TRY, [row])
            return [Payment(*row) for row in self._database.rows(_IN_FILE, (file,))]

    def note_results(
        self, results: Iterable[tuple[int, str, str]], person: str, time_s: int
    ) -> int:
        """(number of a payment, one of RESULTS, because) as the bank says; how many are news.

        All of them or none. Again the same: nothing. Only what was paid is returned; anything
        else that was not so before: CardRefused.
        """
        check_word("who notes it", person)
        news = 0
        with self._database.transaction():
            person = signed(self._database, "refund.results", person, time_s)
            for number, result, because in results:
                if len(because) > BECAUSE_CHARS_MAX or not because.isprintable():
                    raise CardRefused(f"payment {number}: a reason of 64 characters at most")
                news += self._note(number, result, (because, person, time_s))
        return news

    # --- how -------------------------------------------------------------------------------------

    def _check_made(self, file: str, sha256: bytes) -> None:
        """CardRefused if a file of this name was made of another list; before, none was signed."""
        if self.made(file) not in (None, sha256):
            raise CardRefused(f"{file}: {TEXTS[NAME_USED]} ({NAME_USED})", NAME_USED)

    def _note(self, number: int, result: str, what: tuple[str, str, int]) -> int:
        for payee, card_no, amount_fen, is_paid, returned in list(
            self._database.rows(_TRIED, (number,))
        ):
            known = () if is_paid is None else ("paid",) if is_paid else ("failed",)
            known += () if returned is None else ("returned",)
            if result in known:
                return 0
            if known != _BEHIND[result]:
                text = f"payment {number} is {known[-1] if known else 'with the bank'}"
                text += f", not {result} ({MONEY_IN_THE_AIR}, R15.3)"
                raise CardRefused(text, MONEY_IN_THE_AIR)
            if result == "returned":
                self._database.many(_RETURN, [(number, *what)])
                self._move(number, RETURN_LINE, RETURN, chart.payout(card_no), -amount_fen)
                return 1
            self._database.many(_RESULT, [(number, int(result == "paid"), *what)])
            if result == "paid":
                self._move(number, PAID_LINE, PAY_OUT, chart.payout(card_no), amount_fen)
                self._database.many(_BLANK, [(payee, payee)])
            return 1
        raise CardRefused(f"there is no payment {number}")

    def _move(self, number: int, line: int, kind: int, account: int, amount_fen: int) -> None:
        """So much from an account to the bank; below nothing: back."""
        way = (account, chart.BANK) if amount_fen > 0 else (chart.BANK, account)
        transfer = Transfer(chart.LEDGER_DEVICE, number, line, kind, *way, abs(amount_fen))
        post_authorized(self._database, [transfer])

    def _payee(self, card_no: int, tried: int) -> tuple[int, str] | None:
        """(number, who has registered it) of an account for a card's money, not tried before."""
        for number, account_no, person in list(
            self._database.rows(_PAYEE, (self._reissues.heir(card_no),))
        ):
            if account_no and number > tried:
                return number, person
        return None


def enter_payee(
    database: Dialect, card_no: int, account_no: str, name: str, person: str, time_s: int
) -> None:
    """As register_payee, in a transaction of the caller, who has checked it."""
    number = next_number(database, "payee")
    database.many(_REGISTER, [(number, card_no, account_no, name, person, time_s)])


def check_account(account_no: str, name: str) -> None:
    """CardRefused if no bank can have this account; the text does not repeat it."""
    least, most = ACCOUNT_DIGITS
    is_digits = account_no.isascii() and account_no.isdigit()
    if not is_digits or not least <= len(account_no) <= most:
        raise CardRefused(f"an account has {least} to {most} digits")
    if account_no.startswith(_UNIONPAY) and not _has_check_digit(account_no):
        raise CardRefused("an account's check digit is wrong: somebody has mistyped it")
    is_name = 0 < len(name) <= NAME_CHARS_MAX and name.isprintable() and name == name.strip()
    if not is_name or name[0] in _FORMULA:
        raise CardRefused(f"an account's owner has a name of 1 to {NAME_CHARS_MAX} characters")


def _check_apart(plan: FilePlan, person: str) -> None:
    """CardRefused if `person` has registered an account that the file pays to."""
    for one in plan.payments:
        if one.registered_by == person:
            text = f"card {one.card_no}: {person} has registered its account"
            raise CardRefused(f"{text} ({ONE_PERSON}, R15.3)", ONE_PERSON)


def _list_of(file: str, plan: FilePlan) -> MoneyList:
    lines = tuple((one.settlement, one.card_no, one.amount_fen, 0) for one in plan.payments)
    return MoneyList(REFUND, file, plan.sha256, lines)


def _digest(file: str, payments: Iterable[Due], resting_on: str) -> bytes:
    """Over which account of the register gets what; an account is never changed there."""
    said = "".join(f"{one.settlement} {one.payee} {one.amount_fen}\n" for one in payments)
    return hashlib.sha256(f"{REFUND} {file}\n{said}{resting_on}".encode()).digest()


def _has_check_digit(digits: str) -> bool:
    """ISO/IEC 7812-1: doubled from the right, every second digit; the sum ends in 0."""
    doubled = [2 * int(digit) for digit in digits[-2::-2]]
    own = [int(digit) for digit in digits[-1::-2]]
    return (sum(own) + sum(value // 10 + value % 10 for value in doubled)) % 10 == 0
