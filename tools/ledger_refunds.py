"""What `onecard ledger refunds` does: files to a bank that two persons sign, and its answers.

An error names a line, never a person or an account. NotBooks, CardRefused, StoreUnavailable,
BadInput.
"""

import csv
import io
import os
from pathlib import Path

from ledger.money_lists import Signature
from ledger.payouts import RESULTS
from protocols.rules.money import format_yuan
from tools.ledger_batch import hash_of, is_number, rows_of
from tools.ledger_card import written
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput
from tools.ledger_subsidy import fen_of

_RESULT_COLUMNS = ["payment", "result", "because"]
_PAYMENT_COLUMNS = ["payment", "account_no", "name", "amount", "purpose"]


def dry_run(path: Path, name: str) -> str:
    """What a file would pay, and where the rest of the money is that is on its way."""
    with opened(path) as store:
        plan = store.payouts.dry_run(name)
        signed = store.payouts.signatures(plan.sha256)
        made = store.payouts.made(name)
    if made is not None:
        return f"file {name} is made\nsha256 {made.hex()}"
    said = [f"card {one.card_no}: {format_yuan(one.amount_fen)} yuan" for one in plan.payments]
    said += [
        f"{len(plan.payments)} payments, {format_yuan(plan.amount_fen)} yuan; with the bank"
        f" {format_yuan(plan.with_bank_fen)}, without an account"
        f" {format_yuan(plan.no_account_fen)}",
        f"signed by: {', '.join(signed) or 'nobody'}",
        f"sha256 {plan.sha256.hex()}",
    ]
    return "\n".join(said)


def sign(path: Path, name: str, what: tuple[str, str], by: str, now_s: int) -> str:
    """Put a name under a dry run; `what`: its hash, and its sum in yuan."""
    sha256, total = what
    signature = Signature(hash_of(sha256), fen_of(total), by, now_s)
    with written(path) as store:
        count = store.payouts.sign(name, signature)
    return f"{count} of 2 signatures"


def make(path: Path, name: str, sha256: str, out: Path, by: str, now_s: int) -> str:
    """Write the payments of a file. The books have them first: stopped before, write it again."""
    with written(path) as store:
        payments = store.payouts.make_file(name, hash_of(sha256), by, now_s)
    rows = [
        (one.number, one.account_no, one.name, format_yuan(one.amount_fen), f"card {one.card_no}")
        for one in payments
    ]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_PAYMENT_COLUMNS, *rows])
    _write_private(out, text.getvalue().encode("utf-8-sig"))
    total_fen = sum(payment.amount_fen for payment in payments)
    return f"{len(payments)} payments, {format_yuan(total_fen)} yuan, are in {out}"


def results(path: Path, file: Path, by: str, now_s: int) -> str:
    """Note what the bank says."""
    found = []
    for number, row in rows_of(file.read_bytes(), file, _RESULT_COLUMNS):
        payment, result, because = row
        if not is_number(payment) or result not in RESULTS:
            raise BadInput(f"{file}: line {number} is not a payment, and {' or '.join(RESULTS)}")
        found.append((int(payment), result, because))
    with written(path) as store:
        news = store.payouts.note_results(found, by, now_s)
    return f"{len(found)} payments, {news} of them news"


def unpaid(path: Path) -> tuple[str, bool]:
    """Refunds that no bank has, cards of staff nobody has warned; whether there is none."""
    with opened(path) as store:
        lines = [
            f"card {card_no}: {format_yuan(fen)} yuan, {'goes' if known else 'no account'}"
            f"{' with the next file' if known else ' that was not tried'}"
            for _number, card_no, fen, known in store.payouts.unpaid()
        ]
        lines += [
            f"card {card_no}: its holder left and was not told before; nothing is forfeited"
            for card_no in store.settlements.unwarned()
        ]
    return "\n".join(lines or ["everything is paid"]), not lines


def _write_private(out: Path, data: bytes) -> None:
    """All of a file that only its owner reads, or the one that was there."""
    beside = out.with_name(f".{out.name}.new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        beside.replace(out)
    except OSError as error:
        raise BadInput(f"{out}: {error.strerror}; the books have the payments: again") from error
