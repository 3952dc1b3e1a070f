"""What becomes of the money of a card that has ended (R15): paid out to its holder, or forfeited.

Rules of this file. Nothing moves on the day itself: readers without a network may still tell of
spends of before. So many hours later what is on the card, what waits for it, and what is left of
cards that it was in the place of, goes one way: on to the holder's bank (withdrawal, graduation),
or, of staff who have left and were told beforehand, to the unclaimed (R15.1). Of those who were
not told nothing is taken. No timer runs: somebody settles, as often as they like.

A refund is with the bank from the file on that names it until the bank has said what became of it.
Failed, or paid and sent back, it waits for another account; paid, it leaves the books, and the
account is blanked, with those that were in its place before. Who registers an account does not
make the file that pays to it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ledger import chart
from ledger.card_status import CardRefused, states_of
from ledger.carry_over import AFTER_S, CarryOvers
from ledger.dialect import Dialect
from ledger.entries import post_authorized, post_recorded
from ledger.holders import check_word
from ledger.late import bear_all_ended
from ledger.lifecycle import MONEY_IN_THE_AIR, ONE_PERSON, WRONG_STATE
from ledger.reissues import Reissues
from ledger.signatures import signed
from ledger.transfers import (
    FORFEIT,
    OFFSET,
    OFFSET_LINE,
    PAID_LINE,
    PAY_OUT,
    PENDING_LINE,
    PURSE_LINE,
    REFUND,
    RETURN,
    RETURN_LINE,
    Transfer,
)

ACCOUNT_DIGITS = (12, 19)
NAME_CHARS_MAX, BECAUSE_CHARS_MAX = 64, 64
# What a bank may say of a payment, and what it has to have said before.
_BEHIND = {"paid": (), "failed": (), "returned": ("paid",)}
RESULTS = tuple(_BEHIND)
_FORMULA = "=+-@"  # what a spreadsheet would take for one
_UNIONPAY = "62"  # a card number that begins so has a check digit
_MAY_HAVE_A_PAYEE = ("active", "lost", "suspended", "frozen", "expired", "closed")
# Those that may have something left: a card is looked at for good, an empty one is not.
_ENDED = f"""
SELECT c.card_no, c.cause, c.time_s FROM card_change c
WHERE c.cause IN ('close', 'terminate') AND c.time_s <= ? AND (
    EXISTS (SELECT 1 FROM account a WHERE a.balance_fen <> 0 AND a.id IN (
        {chart.account(chart.HOLDER, 0)} + c.card_no,
        {chart.account(chart.PENDING, 0)} + c.card_no))
    OR EXISTS (SELECT 1 FROM reissue r WHERE r.new_card = c.card_no))
ORDER BY c.card_no"""
# A person is told: with any card that this one is in the place of.
_IS_WARNED = """
WITH RECURSIVE before (card_no) AS (
    SELECT ? UNION SELECT r.old_card FROM reissue r JOIN before b ON r.new_card = b.card_no)
SELECT 1 FROM leaving_notice
WHERE card_no IN (SELECT card_no FROM before) AND time_s < ?"""
_ACCOUNT = "SELECT balance_fen - COALESCE(floor_fen, 0) FROM account WHERE id = ?"
_FORFEITED = f"""
SELECT COALESCE(SUM(CASE t.kind WHEN {FORFEIT} THEN t.amount_fen ELSE -t.amount_fen END), 0)
FROM card_settlement s JOIN transfer t ON t.device = {chart.LEDGER_DEVICE} AND t.seq = s.number
    AND t.line BETWEEN {OFFSET_LINE} AND {PENDING_LINE}
WHERE s.card_no = ? AND (t.kind = {FORFEIT} OR t.debit_account = {chart.FORFEITED})"""
_OPEN_ACCOUNT = (
    "INSERT INTO account (id, kind, owner, floor_fen) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING"
)
_INSERT = "INSERT INTO card_settlement VALUES (?, ?, ?, ?, ?)"
_NOTICE = "INSERT INTO leaving_notice VALUES (?, ?, ?, ?)"
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM {}"
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


@dataclass(frozen=True, slots=True)
class Settled:
    """`amount_fen` of card `card_no` (after offsets) is to be paid out, or forfeited."""

    number: int
    card_no: int
    amount_fen: int
    is_forfeit: bool


@dataclass(frozen=True, slots=True)
class Payment:
    """A line of a file for the bank; the account is the holder's own and stands in no log."""

    number: int
    card_no: int
    account_no: str = field(repr=False)
    name: str = field(repr=False)
    amount_fen: int


class Settlements:
    """The money of ended cards in the books. Every method is one transaction, or only reads.

    Raises CardRefused: nothing was changed, and the text says why without an account in it.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._reissues = Reissues(database)

    # --- before the end --------------------------------------------------------------------------

    def warn(self, card_no: int, person: str, time_s: int) -> None:
        """`person` has told a holder who leaves the staff: what is not spent is lost (R15.1)."""
        check_word("who tells it", person)
        with self._database.transaction():
            self._check_state(card_no, ("active", "lost", "suspended", "frozen", "expired"))
            person = signed(self._database, "card.warn", person, time_s, f"card {card_no}")
            number = self._next("leaving_notice")
            self._database.many(_NOTICE, [(number, card_no, person, time_s)])

    def register_payee(
        self, card_no: int, account_no: str, name: str, person: str, time_s: int
    ) -> None:
        """`person` has written down the holder's own account at a bank; the newest counts."""
        check_word("who registers it", person)
        check_account(account_no, name)
        with self._database.transaction():
            person = signed(self._database, "card.payee", person, time_s, f"card {card_no}")
            self._check_state(card_no, _MAY_HAVE_A_PAYEE)
            enter_payee(self._database, card_no, account_no, name, person, time_s)

    # --- the money -------------------------------------------------------------------------------

    def settle(self, now_s: int, after_s: int = AFTER_S) -> list[Settled]:
        """Everything that is due moves; what did. Again: nothing is left to move."""
        settled = []
        with self._database.transaction():
            bear_all_ended(self._database)
        for card_no, cause, ended_s in list(self._database.rows(_ENDED, (now_s - after_s,))):
            is_forfeit = cause == "terminate"
            if is_forfeit and not list(self._database.rows(_IS_WARNED, (card_no, ended_s))):
                continue
            with self._database.transaction():
                before = (old_card for old_card, _lost_s in self._reissues.before(card_no))
                for source in (*before, card_no):
                    settled += self._settle(source, is_forfeit, now_s)
        return settled

    def unwarned(self) -> list[int]:
        """Cards of staff who have left and were not told before: their money stays as it is."""
        rows = self._database.rows(_ENDED, (0xFFFFFFFF,))
        left = [(card_no, ended_s) for card_no, cause, ended_s in rows if cause == "terminate"]
        return [who[0] for who in left if not list(self._database.rows(_IS_WARNED, who))]

    def unpaid(self) -> Iterator[tuple[int, int, int, bool]]:
        """(settlement, card_no, amount_fen, has an account to try) of what no bank has."""
        for number, card_no, amount_fen, tried in list(self._database.rows(_UNPAID)):
            yield number, card_no, amount_fen, self._payee(card_no, tried) is not None

    def make_file(self, file: str, person: str, time_s: int) -> list[Payment]:
        """The payments of the file of this name, which `person` takes to the bank.

        Made once: again it is the same ones, less those the bank has answered. What has no account
        that was not tried already is left out (see `unpaid`).
        """
        check_word("a file", file)
        check_word("who makes it", person)
        with self._database.transaction():
            person = signed(self._database, "refund.file", person, time_s, file)
            if not list(self._database.rows(_IS_FILE, (file,))):
                self._try_all(file, person, time_s)
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

    def _settle(self, card_no: int, is_forfeit: bool, now_s: int) -> list[Settled]:
        """What there is of one card moves, in a transaction of the caller."""
        CarryOvers(self._database).end_loads(card_no, is_due=True)
        purse, pending = chart.purse(card_no), chart.pending(card_no)
        number = self._next("card_settlement")
        offset_fen = self._offset(number, card_no)
        parts = [(PURSE_LINE, purse, self._free_fen(purse))]
        parts.append((PENDING_LINE, pending, self._free_fen(pending)))
        parts = [part for part in parts if part[-1] > 0]
        amount_fen = sum(part[-1] for part in parts)
        if not offset_fen and not amount_fen:
            return []
        row = number, card_no, amount_fen, int(is_forfeit), now_s
        self._database.many(_INSERT, [row])
        kind, to = (FORFEIT, chart.FORFEITED) if is_forfeit else (REFUND, chart.payout(card_no))
        if not is_forfeit:
            self._database.many(_OPEN_ACCOUNT, [(to, chart.PAYOUT, card_no)])
        post_authorized(
            self._database,
            [
                Transfer(chart.LEDGER_DEVICE, number, line, kind, account, to, fen)
                for line, account, fen in parts
            ],
        )
        return [Settled(number, card_no, amount_fen, is_forfeit)]

    def _offset(self, number: int, card_no: int) -> int:
        """What a purse lacks is taken from what waits for it, or else was forfeited of it."""
        lacking_fen = -self._free_fen(chart.purse(card_no))
        ((forfeited_fen,),) = self._database.rows(_FORFEITED, (card_no,))
        pending = chart.pending(card_no)
        for account, there_fen in (
            (pending, self._free_fen(pending)),
            (chart.FORFEITED, forfeited_fen),
        ):
            fen = min(lacking_fen, there_fen)
            if fen > 0:
                what = OFFSET, account, chart.purse(card_no), fen
                transfer = Transfer(chart.LEDGER_DEVICE, number, OFFSET_LINE, *what)
                post_recorded(self._database, [transfer])
                return fen
        return 0

    def _try_all(self, file: str, person: str, time_s: int) -> None:
        for settlement, card_no, _fen, tried in list(self._database.rows(_UNPAID)):
            payee = self._payee(card_no, tried)
            if payee is None:
                continue
            number, who = payee
            if who == person:
                text = f"card {card_no}: {person} has registered its account"
                raise CardRefused(f"{text} ({ONE_PERSON}, R15.3)", ONE_PERSON)
            row = self._next("payout_try"), settlement, number, file, person, time_s
            self._database.many(_TRY, [row])

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

    def _check_state(self, card_no: int, among: tuple[str, ...]) -> None:
        state = states_of(self._database, card_no)[-1]
        if state not in among:
            raise CardRefused(f"card {card_no} is {state} ({WRONG_STATE}, R15)", WRONG_STATE)

    def _free_fen(self, account: int) -> int:
        for (free_fen,) in list(self._database.rows(_ACCOUNT, (account,))):
            return free_fen
        return 0

    def _next(self, table: str) -> int:
        ((number,),) = self._database.rows(_NEXT.format(table))
        return number


def enter_payee(
    database: Dialect, card_no: int, account_no: str, name: str, person: str, time_s: int
) -> None:
    """As register_payee, in a transaction of the caller, who has checked it."""
    ((number,),) = database.rows(_NEXT.format("payee"))
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


def _has_check_digit(digits: str) -> bool:
    """ISO/IEC 7812-1: doubled from the right, every second digit; the sum ends in 0."""
    doubled = [2 * int(digit) for digit in digits[-2::-2]]
    own = [int(digit) for digit in digits[-1::-2]]
    return (sum(own) + sum(value // 10 + value % 10 for value in doubled)) % 10 == 0
