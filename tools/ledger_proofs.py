"""Checks what DESFire cards have signed: `onecard ledger proofs DATABASE --keys FILE [--json]`.

The books are opened for reading only. The key file is that of `onecard card` (tools/card/keyfile);
of it only `transaction_key` is used.
"""

import json
from dataclasses import asdict
from pathlib import Path

from adapters.aes import CIPHERS
from ledger.card_proofs import Checked, Doubt, check
from tools.card.errors import BadInput
from tools.card.keyfile import load_keys
from tools.ledger_forks import opened

ALL_PROVEN, DOUBTS = 0, 1
_MEANS = {
    Doubt.NOT_SIGNED: "amount, card, time or record are not what the card has signed",
    Doubt.NOT_ALONE: "something else than our purse has used the card's transactions",
    Doubt.TWICE: "two chips with one set of keys",
    Doubt.NO_PROOF: "debited, and the reader brings no word of the card",
}


def find(path: Path, key_file: Path) -> Checked:
    """Check the database `path`; NotBooks if it is none, BadInput for the key file."""
    keys = load_keys(key_file)
    if not keys.transaction_key:
        raise BadInput(f"{key_file}: transaction_key is missing")
    with opened(path) as store:
        return check(store, CIPHERS, store.chips(), keys.transaction_key)


def to_json(checked: Checked) -> str:
    """What was checked, as one JSON object."""
    findings = [asdict(finding) | {"doubt": finding.doubt.value} for finding in checked.findings]
    return json.dumps({"proven": checked.proven, "findings": findings}, indent=2)


def to_text(checked: Checked) -> str:
    """What was checked, for people."""
    lines = [f"debits that their cards vouch for: {checked.proven}"]
    for finding in checked.findings:
        said = "-" if finding.tmc is None else finding.tmc
        lines.append(
            f"  record {finding.device}/{finding.seq}: card {finding.card_no} at counter "
            f"{finding.counter}, transaction {said}: {finding.doubt}"
        )
    for doubt in Doubt:
        count = sum(finding.doubt is doubt for finding in checked.findings)
        if count:
            lines.append(f"  {count:>4} {doubt}: {_MEANS[doubt]}")
    return "\n".join(lines)
