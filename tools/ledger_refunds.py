"""What `onecard ledger refunds` does: files to a bank that two persons sign, and its answers.

An error names a line, never a person or an account. NotBooks, CardRefused, NotAllowed,
StoreUnavailable, BadInput.
"""

from pathlib import Path

from ledger.money_lists import Signature
from protocols.rules.money import format_yuan
from tools.ledger_batch import hash_of
from tools.ledger_forks import opened
from tools.ledger_payments import goes, read_results, write_file
from tools.ledger_subsidy import fen_of
from tools.session import signing


def dry_run(path: Path, name: str) -> str:
    """What a file would pay, and where the rest of the money is that is on its way."""
    with opened(path) as store:
        plan = store.payouts.dry_run(name)
        signed = store.payouts.signatures(plan.sha256)
        made = store.payouts.made(name)
    if made is not None:
        return f"file {name} is made\nsha256 {made.hex()}"
    said = [f"{one.purpose}: {format_yuan(one.amount_fen)} yuan" for one in plan.payments]
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
    return write_file(out, payments)


def results(path: Path, file: Path, by: str, now_s: int) -> str:
    """Note what the bank says."""
    found = read_results(file)
    with signing(path, by, now_s) as (store, who):
        news = store.payouts.note_results(found, who, now_s)
    return f"{len(found)} payments, {news} of them news"


def unpaid(path: Path) -> tuple[str, bool]:
    """Refunds that no bank has, cards of staff nobody has warned; whether there is none."""
    with opened(path) as store:
        lines = [
            f"{one.purpose}: {format_yuan(one.amount_fen)} yuan, {goes(one)}"
            for one in store.payouts.unpaid()
        ]
        lines += [
            f"card {card_no}: its holder left and was not told before; nothing is forfeited"
            for card_no in store.settlements.unwarned()
        ]
    return "\n".join(lines or ["everything is paid"]), not lines
