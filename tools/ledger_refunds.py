"""What `onecard ledger refunds` does: files to a bank that two persons sign, and its answers.

An error names a line, never a person or an account. NotBooks, CardRefused, NotAllowed,
StoreUnavailable, BadInput.
"""

from pathlib import Path

from ledger.money_lists import Signature
from ledger.payouts import RESULTS
from protocols.rules.money import format_yuan
from tools.ledger_batch import csv_text, hash_of, is_number, list_rows, write_private
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput
from tools.ledger_subsidy import fen_of
from tools.session import signing

_RESULT_COLUMNS = {"payment": "付款号", "result": "结果", "because": "原因"}
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
    signed = hash_of(sha256), fen_of(total)
    with signing(path, by, now_s) as (store, who):
        count = store.payouts.sign(name, Signature(*signed, who, now_s))
    return f"{count} of 2 signatures"


def make(path: Path, name: str, sha256: str, out: Path, by: str, now_s: int) -> str:
    """Write the payments of a file. The books have them first: stopped before, write it again."""
    with signing(path, by, now_s) as (store, who):
        payments = store.payouts.make_file(name, hash_of(sha256), who, now_s)
    rows = [
        (one.number, one.account_no, one.name, format_yuan(one.amount_fen), f"card {one.card_no}")
        for one in payments
    ]
    write_private(out, csv_text([_PAYMENT_COLUMNS, *rows]))
    total_fen = sum(payment.amount_fen for payment in payments)
    return f"{len(payments)} payments, {format_yuan(total_fen)} yuan, are in {out}"


def results(path: Path, file: Path, by: str, now_s: int) -> str:
    """Note what the bank says."""
    found = []
    for number, row in list_rows(file.read_bytes(), file, _RESULT_COLUMNS):
        payment, result, because = row
        if not is_number(payment) or result not in RESULTS:
            raise BadInput(f"{file}: line {number} is not a payment, and {' or '.join(RESULTS)}")
        found.append((int(payment), result, because))
    with signing(path, by, now_s) as (store, who):
        news = store.payouts.note_results(found, who, now_s)
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
