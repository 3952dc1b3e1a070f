"""Files to and from a bank, of every kind, and `onecard ledger payments` behind a restore.

The commands of refunds and of periods write and read their files here too. An error names a line,
never an account. NotBooks, PaymentRefused, CardRefused, NotAllowed, StoreUnavailable, BadInput.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ledger.payments.after_restore import Listed, Noted
from ledger.payments.bank import RESULTS, Due, Payment
from protocols.rules.money import format_yuan
from tools.ledger_batch import csv_text, list_rows, sum_of, write_private
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput
from tools.session import signing

# What a file for the bank has; one like it is how a lost one is noted again.
_FILE_COLUMNS = {
    "payment": "付款号",
    "account_no": "账号",
    "name": "户名",
    "amount": "金额",
    "purpose": "用途",
}
_RESULT_COLUMNS = {"payment": "付款号", "result": "结果", "because": "原因"}
_DIGITS_MAX = 13  # of a payment's number


def write_file(out: Path, payments: Sequence[Payment]) -> str:
    """Write the payments of a file for the bank. The books have them first."""
    rows = [
        (one.number, one.account_no, one.name, format_yuan(one.amount_fen), one.purpose)
        for one in payments
    ]
    write_private(out, csv_text([list(_FILE_COLUMNS), *rows]))
    total_fen = sum(one.amount_fen for one in payments)
    return f"{len(payments)} payments, {format_yuan(total_fen)} yuan, are in {out}"


def read_results(file: Path) -> list[tuple[int, str, str]]:
    """(payment, result, because) of each line of what the bank has answered."""
    found = []
    for number, row in list_rows(file.read_bytes(), file, _RESULT_COLUMNS):
        payment, result, because = row
        if not _is_payment(payment) or result not in RESULTS:
            raise BadInput(f"{file}: line {number} is not a payment, and {' or '.join(RESULTS)}")
        found.append((int(payment), result, because))
    return found


def goes(due: Due) -> str:
    """What becomes of it next."""
    return "goes with the next file" if due.account else "no account that was not tried"


# --- behind a restore ----------------------------------------------------------------------------


def restored(path: Path, by: str, now_s: int) -> str:
    """Note that the books came back from a backup."""
    with signing(path, by, now_s) as (store, who):
        store.after_restore.restored(who, now_s)
    return "no file is made until it is known what the bank has: onecard ledger payments waiting"


def waiting(path: Path) -> tuple[str, bool]:
    """What files wait for, and whether for nothing."""
    with opened(path) as store:
        found = store.after_restore.waiting()
    if found is None:
        return "no file waits", True
    known = [f"{kind} {file}" for kind, file in found.newest.items()]
    if found.restored_s is None:
        text = "readers know changes that these books do not: if they came back from a backup, say"
        return f"{text} so (onecard ledger payments restored)", False
    when = datetime.fromtimestamp(found.restored_s, UTC).isoformat(timespec="seconds")
    lines = [
        f"these books came back from a backup at {when}",
        f"newest files that they know: {', '.join(known) or 'none'}",
        f"{found.count} payments noted that the bank has, {format_yuan(found.amount_fen)} yuan",
        *map(_told, found.open),
        f"that it has no other is said by: {', '.join(found.signed) or 'nobody'}",
    ]
    return "\n".join(lines), False


def note(path: Path, kind: str, name: str, file: Path, by: str, now_s: int) -> tuple[str, bool]:
    """Note the payments of a list, and whether all of them are known again."""
    listed = _read_listed(file)
    with signing(path, by, now_s) as (store, who):
        found = store.after_restore.note(kind, name, listed, who, now_s)
    left = [one for one in found if one.why]
    lines = [*map(_told, left), f"{len(found) - len(left)} of {len(found)} payments are known"]
    return "\n".join(lines), not left


def release(path: Path, newest: str, total: str, because: str, by: str, now_s: int) -> str:
    """Put a name under that the bank has no other."""
    amount_fen = sum_of(total)
    if amount_fen is None:
        raise BadInput(f"--total {total}: a sum in yuan, such as 20600.00, or 0.00")
    with signing(path, by, now_s) as (store, who):
        count = store.after_restore.release(newest, amount_fen, because, who, now_s)
        is_free = store.after_restore.waiting() is None
    return f"{count} of 2 have said so; {'files go again' if is_free else 'files wait'}"


def _read_listed(file: Path) -> list[Listed]:
    found = []
    for number, row in list_rows(file.read_bytes(), file, _FILE_COLUMNS):
        payment, account_no, _name, amount, purpose = row
        amount_fen = sum_of(amount)
        if not _is_payment(payment) or not amount_fen:
            raise BadInput(f"{file}: line {number} has no payment's number and amount in yuan")
        found.append(Listed(int(payment), account_no, amount_fen, purpose))
    return found


def _told(one: Noted) -> str:
    what = f"{one.kind} {one.number} of {one.file}, {one.purpose}, {format_yuan(one.amount_fen)}"
    return f"{what} yuan: {one.why}"


def _is_payment(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
