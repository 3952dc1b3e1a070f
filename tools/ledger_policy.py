"""Which limits readers have: `onecard ledger policy VERB DATABASE ...`; the rules are the books'.

May run beside the ledger, which reads the books whenever an agent asks.
"""

from datetime import UTC, datetime
from pathlib import Path

from ledger.policies import Policy
from protocols.rules.spending import POLICY_DEFAULTS, POLICY_FIELDS
from tools.ledger_forks import opened
from tools.reader_settings import read_policy
from tools.session import signing


def set_policy(path: Path, file: Path, device: int, site: str, person: str, time_s: int) -> str:
    """A line for each reader it is set for in the books `path`.

    NotBooks, BadSettings, PolicyRefused.
    """
    policy = read_policy(file)
    with signing(path, person, time_s) as (store, who):
        found = store.policies.set_policy(policy, who, time_s, device=device, site=site)
    return "\n".join(f"reader {one}: epoch {epoch}" for one, epoch in found)


def show(path: Path) -> str:
    """A line for each reader that has one, with who has not got it; then how many those are."""
    with opened(path) as store:
        policies, said = store.policies.newest(), store.policies.said()
    lines = [_line(one, said.get(one.device)) for one in policies]
    behind = sum(said.get(one.device, 0) < one.epoch for one in policies)
    if policies:
        lines.append(f"{behind} of {len(policies)} readers have not said that they have theirs")
    return "\n".join(lines or ["no policy was ever set"])


def _line(one: Policy, said: int | None) -> str:
    time = datetime.fromtimestamp(one.time_s, UTC).isoformat().replace("+00:00", "Z")
    fields = ", ".join(
        f"{name} {one.policy[name]}"
        for name in POLICY_FIELDS
        if name != "epoch" and one.policy[name] != POLICY_DEFAULTS.get(name)
    )
    has = f"has {said}" if said else "has not said which it has"
    if said == one.epoch:
        has = "has it"
    elif said and said > one.epoch:
        has = f"has {said}, by cable or of lost books"
    who = f"reader {one.device}, {one.site}: epoch {one.epoch}, {time}, {one.person}"
    return f"{who}: {has}: {fields}"
