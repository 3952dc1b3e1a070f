"""Behind a restore: which payments the bank has that these books have lost.

Rules of this file. Books that came back from a backup cannot know of files that were made since,
and would pay the same dues again. So from then on all files wait, of every kind. What the bank's
list has is noted payment by payment, under the number it had in the lost file: it is with the
bank again, and its result finds it. What fits nothing that is due is kept as it is, and waits
until what led to it is entered again. Then two persons say, a clerk first, that the bank has no
other: the newest file it has of ours, and the sum of what is noted, from its statement. They may
let go what is not known again, and say why. New payments get numbers above all that any life of
these books has given.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.dialect import Dialect
from ledger.entries import next_number
from ledger.holders import check_word
from ledger.lifecycle import ONE_PERSON
from ledger.money_lists import OTHER_SUM, SIGNATURES, TEXTS
from ledger.payments.bank import Due, Payments, are_barred, highest
from ledger.payments.kinds import KINDS, Kind
from ledger.payments.reasons import NOT_NOTED, NOT_RESTORED, OTHER_FACTS, PaymentRefused
from ledger.payments.schema import IS_OPEN
from ledger.signatures import signed

NUMBERS_APART, PER_S = 1_000_000, 1_000
BECAUSE_CHARS_MAX, PURPOSE_CHARS_MAX = 64, 64
_NEWEST = "SELECT number, time_s, above FROM books_restore ORDER BY number DESC LIMIT 1"
_RESTORE = "INSERT INTO books_restore VALUES (?, ?, ?, ?)"
_OPEN = f"""
SELECT n.kind, n.payment, n.purpose, n.amount_fen, n.file FROM bank_payment n
WHERE {IS_OPEN} ORDER BY n.number"""
_NOTED_FILE = "SELECT 1 FROM bank_payment WHERE restore = ? AND file = ? LIMIT 1"
_NOTED = "SELECT COUNT(*), COALESCE(SUM(amount_fen), 0) FROM bank_payment WHERE restore = ?"
_FACTS = """
SELECT purpose, amount_fen, file FROM bank_payment
WHERE restore = ? AND kind = ? AND payment = ?"""
_NOTE = "INSERT INTO bank_payment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NOTERS = "SELECT DISTINCT person FROM bank_payment WHERE restore = ?"
_SIGNED = "SELECT person FROM payment_release WHERE restore = ? AND notes = ? ORDER BY step"
_RELEASE = "INSERT INTO payment_release VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TRY = """
SELECT d.purpose, d.amount_fen, t.file, a.account_no FROM {tries} t
JOIN {dues} d ON d.number = t.{due} JOIN {register} a ON a.number = t.{account}
WHERE t.number = ?"""
# One that these books have made themselves, whole: its payments came with no note.
_OWN_FILE = """
SELECT 1 FROM {tries} t WHERE t.file = ? AND NOT EXISTS (
    SELECT 1 FROM bank_payment n WHERE n.kind = ? AND n.payment = t.number
    AND n.person = t.person AND n.time_s = t.time_s)"""
_ACCOUNTS = """
SELECT number, account_no FROM {register} WHERE {owner} = ? ORDER BY number DESC"""
_NEWEST_FILE = "SELECT file FROM {tries} ORDER BY time_s DESC, number DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Listed:
    """A payment as the bank's list has it: `number` and `purpose` are those of our file."""

    number: int
    account_no: str = field(repr=False)
    amount_fen: int
    purpose: str


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of a payment of the list; `why` is empty if it is known again."""

    kind: str
    number: int
    purpose: str
    amount_fen: int
    file: str
    why: str


@dataclass(frozen=True, slots=True)
class _Noting:
    """A list that is noted, behind `restore`: `by` its file, a person, and when.

    `is_own`: these books have made that file. `dues`, by purpose: what no bank has as yet; read
    once, for a list may have as many lines as a college has leavers.
    """

    kind: Kind
    restore: int
    above: int
    by: tuple[str, str, int]
    is_own: bool
    dues: defaultdict[str, list[Due]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What files wait for. `restored_s`: when the books came back; None: nobody has said so.

    `open`: noted, and not known again; `count` and `amount_fen` of all that is noted; `signed` by
    whom; `newest`: the newest file of each kind that these books know.
    """

    restored_s: int | None
    open: tuple[Noted, ...]
    count: int
    amount_fen: int
    signed: tuple[str, ...]
    newest: dict[str, str]


def note_restore(database: Dialect, time_s: int, person: str = "") -> None:
    """These books came back from a backup; in a transaction of the caller.

    Numbers go on above the thousandfold of `time_s`, which no life before this one has reached.
    """
    above = max(highest(database) + NUMBERS_APART, time_s * PER_S)
    number = next_number(database, "books_restore")
    database.many(_RESTORE, [(number, time_s, above, person)])


class AfterRestore:
    """In the books of `database`. Raises PaymentRefused, CardRefused, NotAllowed."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def restored(self, person: str, time_s: int) -> None:
        """`person` says that these books came back from a backup: where no restore could.

        Said once more, what was noted counts no more: so a list that was mistyped is noted anew.
        """
        check_word("who says it", person)
        with self._database.transaction():
            person = signed(self._database, "payment.restored", person, time_s)
            note_restore(self._database, time_s, person)

    def waiting(self) -> Waiting | None:
        """What files wait for; None: for nothing."""
        if not are_barred(self._database):
            return None
        restore = self._newest()
        if restore is None:
            return Waiting(None, (), 0, 0, (), self._newest_files())
        number, time_s, _above = restore
        ((count, noted_fen),) = self._database.rows(_NOTED, (number,))
        rows = list(self._database.rows(_OPEN))
        found = tuple(
            Noted(kind, payment, purpose, amount_fen, file, "not known again")
            for kind, payment, purpose, amount_fen, file in rows
        )
        signers = tuple(self._signers(number))
        return Waiting(time_s, found, count, noted_fen, signers, self._newest_files())

    def note(
        self, kind: str, file: str, listed: Iterable[Listed], person: str, time_s: int
    ) -> list[Noted]:
        """Note what the bank has of the file of this name; what became of each payment.

        All of them or none. Again: what is there by now of what led to them is looked at anew.
        """
        check_word("who notes it", person)
        check_word("a file", file)
        what = KINDS[kind]
        with self._database.transaction():
            number, _time_s, above = self._restore()
            person = signed(self._database, "payment.note", person, time_s, f"{kind} {file}")
            is_own = bool(list(self._database.rows(what.sql(_OWN_FILE), (file, kind))))
            dues = defaultdict[str, list[Due]](list)
            for due in Payments(self._database, what).unpaid():
                dues[due.purpose].append(due)
            noting = _Noting(what, number, above, (file, person, time_s), is_own, dues)
            return [self._note(noting, one) for one in listed]

    def release(self, newest: str, amount_fen: int, because: str, person: str, time_s: int) -> int:
        """`person` says that the bank has no other payment of ours; how many have. Again: nothing.

        `newest`: the newest file of ours that the bank has, "" for none; `amount_fen`: the sum of
        what it has behind the backup, which has to be that of what is noted; `because`: why what
        is not known again is let go.
        """
        check_word("who signs", person)
        with self._database.transaction():
            restore, _time_s, _above = self._restore()
            before = self._signers(restore)
            is_first = not before or before[0] == person
            verb = f"payment.{'release' if is_first else 'approve'}"
            words = f"newest {newest or 'none'}", f"{amount_fen} fen"
            person = signed(self._database, verb, person, time_s, *words)
            if person in before:
                return len(before)
            if self.waiting() is None:
                return SIGNATURES
            self._check_word_of(restore, newest, amount_fen, because)
            if before and (person,) in self._database.rows(_NOTERS, (restore,)):
                text = f"{person} has noted payments: another one is the second to say so"
                raise PaymentRefused(text, ONE_PERSON)
            notes = next_number(self._database, "bank_payment") - 1
            step = len(before) + 1
            row = restore, notes, step, newest, amount_fen, because, person, time_s
            self._database.many(_RELEASE, [row])
            return step

    # --- how -------------------------------------------------------------------------------------

    def _note(self, noting: _Noting, one: Listed) -> Noted:
        kind, (file, person, time_s) = noting.kind, noting.by
        facts = one.purpose, one.amount_fen, file
        if not 0 < one.number <= noting.above or not one.amount_fen > 0:
            raise _other(one, "no payment of before has such a number or amount")
        if not 0 < len(one.purpose) <= PURPOSE_CHARS_MAX or not one.purpose.isprintable():
            raise _other(one, f"its purpose has 1 to {PURPOSE_CHARS_MAX} characters")
        place = noting.restore, kind.name, one.number
        noted = list(self._database.rows(_FACTS, place))
        if noted and noted[0] != facts:
            raise _other(one, "it is noted already, with another amount, purpose or file")
        if not noted:
            next_note = next_number(self._database, "bank_payment")
            self._database.many(_NOTE, [(next_note, *place, *facts, person, time_s)])
        known = list(self._database.rows(kind.sql(_TRY), (one.number,)))
        if known:
            *told, account_no = known[0]
            if tuple(told) != facts or account_no not in ("", one.account_no):
                raise _other(one, "these books have it with another amount, account or file")
            return Noted(kind.name, one.number, *facts, "")
        if not noted and noting.is_own:
            raise _other(one, f"{file} was made by these books, and it is not in it")
        return Noted(kind.name, one.number, *facts, self._enter(noting, one))

    def _enter(self, noting: _Noting, one: Listed) -> str:
        """Make it the payment of what is due and fits; why not, "" if it is done."""
        dues = noting.dues[one.purpose]
        if not dues:
            return "nothing is due of it, or another payment of it is with the bank"
        fitting = [due for due in dues if due.amount_fen == one.amount_fen]
        if not fitting:
            return f"{sum(due.amount_fen for due in dues)} fen are due of it"
        account = self._account(noting.kind, fitting[0], one.account_no)
        if not account:
            return "its account is not registered"
        payments = Payments(self._database, noting.kind)
        payments.enter(one.number, fitting[0].number, account, noting.by)
        dues.remove(fitting[0])
        return ""

    def _account(self, kind: Kind, due: Due, account_no: str) -> int:
        whose = kind.payee_of(self._database, due.owner)
        rows = list(self._database.rows(kind.sql(_ACCOUNTS), (whose,)))
        return next((number for number, known in rows if account_no and known == account_no), 0)

    def _check_word_of(self, restore: int, newest: str, amount_fen: int, because: str) -> None:
        if len(because) > BECAUSE_CHARS_MAX or (because and not because.isprintable()):
            raise PaymentRefused(f"say why in {BECAUSE_CHARS_MAX} characters at most", NOT_NOTED)
        ((count, noted_fen),) = self._database.rows(_NOTED, (restore,))
        files = [Payments(self._database, kind).is_file(newest) for kind in KINDS.values()]
        is_known = any(files) or bool(list(self._database.rows(_NOTED_FILE, (restore, newest))))
        if not is_known if newest else (count or self._newest_files()):
            text = f"these books know no file {newest}" if newest else "the bank had files of ours"
            raise PaymentRefused(f"{text}: note what is in it, or name the newest", NOT_NOTED)
        if noted_fen != amount_fen:
            text = f"{noted_fen} fen are noted, {amount_fen} stand on the paper"
            raise PaymentRefused(f"{TEXTS[OTHER_SUM]}: {text}", OTHER_SUM)
        found = list(self._database.rows(_OPEN))
        if found and not because:
            text = f"{len(found)} payments that the bank has are not known again, and are let go"
            raise PaymentRefused(f"{text} only with a reason", NOT_NOTED)

    def _newest(self) -> tuple[int, int, int] | None:
        """(number, time_s, above) of the newest restore."""
        for number, time_s, above in list(self._database.rows(_NEWEST)):
            return number, time_s, above
        return None

    def _restore(self) -> tuple[int, int, int]:
        found = self._newest()
        if found is None:
            text = "nobody has said that these books came back: onecard ledger payments restored"
            raise PaymentRefused(text, NOT_RESTORED)
        return found

    def _signers(self, restore: int) -> list[str]:
        notes = next_number(self._database, "bank_payment") - 1
        return [person for (person,) in self._database.rows(_SIGNED, (restore, notes))]

    def _newest_files(self) -> dict[str, str]:
        found = {}
        for name, kind in KINDS.items():
            for (file,) in list(self._database.rows(kind.sql(_NEWEST_FILE))):
                found[name] = file
        return found


def _other(one: Listed, text: str) -> PaymentRefused:
    return PaymentRefused(f"payment {one.number}: {text}", OTHER_FACTS)
