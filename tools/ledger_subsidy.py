"""What `onecard ledger subsidy` does: a list of amounts that two persons sign, booked once.

The whole file is read before anything is done. NotBooks, CardRefused, NotAllowed,
StoreUnavailable, BadInput.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ledger.holders import is_person_no
from ledger.list_files import is_number
from ledger.money_lists import Signature
from ledger.subsidies import LineFinding, SubsidyLine
from protocols.card.purse import AMOUNT_FEN_MAX
from protocols.rules.money import format_yuan, parse_yuan
from tools.ledger_batch import hash_of, list_rows, sum_of
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput
from tools.session import signing

COLUMNS = {"card_no": "卡号", "person_no": "学工号", "amount": "金额"}


def dry_run(path: Path, file: Path, name: str) -> tuple[str, bool]:
    """What a list would do, and whether no line contradicts."""
    lines, sha256 = _read(file, name)
    with opened(path) as store:
        plan = store.subsidies.dry_run(name, lines, sha256)
        signed = store.subsidies.signatures(plan.sha256)
    bad = [one for one in plan.findings if one.reason]
    said = [_told(one) for one in bad]
    said += [
        f"{len(lines) - len(bad)} of {len(lines)} lines would be paid in,"
        f" {format_yuan(plan.amount_fen)} of {format_yuan(sum(x.amount_fen for x in lines))} yuan",
        f"signed by: {', '.join(signed) or 'nobody'}",
        f"sha256 {plan.sha256.hex()}",
    ]
    return "\n".join(said), not bad


def sign(path: Path, file: Path, name: str, what: tuple[str, str], by: str, now_s: int) -> str:
    """Put a name under a dry run; `what`: its hash, and the sum that is paid in, in yuan."""
    sha256, total = what
    lines, file_sha256 = _read(file, name)
    signed = hash_of(sha256), fen_of(total)
    with signing(path, by, now_s) as (store, who):
        count = store.subsidies.sign(name, lines, file_sha256, Signature(*signed, who, now_s))
    return f"{count} of 2 signatures"


def run(path: Path, file: Path, name: str, sha256: str, by: str, now_s: int) -> tuple[str, bool]:
    """Do what was signed, and whether no line was left."""
    lines, file_sha256 = _read(file, name)
    with signing(path, by, now_s) as (store, who):
        findings = store.subsidies.run(name, lines, file_sha256, hash_of(sha256), who, now_s)
    left = [one for one in findings if one.reason]
    paid_fen = sum(one.amount_fen for one in findings if not one.reason)
    said = [_told(one) for one in left]
    said.append(
        f"{len(findings) - len(left)} lines, {format_yuan(paid_fen)} yuan, are paid in;"
        f" {len(left)} are left"
    )
    return "\n".join(said), not left


def show(path: Path, name: str) -> tuple[str, bool]:
    """Where the money of a list is, and whether all of it was paid in."""
    with opened(path) as store:
        found = store.subsidies.became(name)
    if found is None:
        raise BadInput(f"no list of the name {name} was begun")
    places = (
        ("on cards, or gone on to the next", found.on_cards),
        ("waiting for their cards", found.waiting),
        ("not begun", found.to_do),
        ("left", found.left),
    )
    said = [f"{what}: {count} lines, {format_yuan(fen)} yuan" for what, (count, fen) in places]
    return "\n".join(said), not (found.to_do[0] or found.left[0])


def fen_of(total: str) -> int:
    """A sum that somebody has typed, in fen. BadInput."""
    amount_fen = sum_of(total)
    if not amount_fen:
        raise BadInput(f"--total {total}: a sum in yuan, such as 20600.00")
    return amount_fen


def _read(file: Path, name: str) -> tuple[Sequence[SubsidyLine], bytes]:
    """Every line of a list, and the hash of its bytes; BadInput names the first wrong line."""
    if "/" in name:
        raise BadInput("a list has a name without a /")
    data = file.read_bytes()
    lines = []
    for number, (card, person_no, amount) in list_rows(data, file, COLUMNS):
        amount_fen = parse_yuan(amount)
        if not is_number(card) or not amount_fen:
            raise BadInput(f"{file}: line {number} is not a card number and an amount in yuan")
        if amount_fen > AMOUNT_FEN_MAX:
            raise BadInput(f"{file}: line {number}: no card takes that much at once")
        if person_no and not is_person_no(person_no):
            raise BadInput(f"{file}: line {number} has no number of a person")
        lines.append(SubsidyLine(number, int(card), person_no, amount_fen))
    if not lines:
        raise BadInput(f"{file}: no lines")
    return lines, hashlib.sha256(data).digest()


def _told(one: LineFinding) -> str:
    number = f" ({one.reason})" if one.reason else ""
    return (
        f"line {one.line}, card {one.card_no}, {format_yuan(one.amount_fen)}: {one.text}{number}"
    )
