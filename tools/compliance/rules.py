"""Every rule of the regulation with what proves it, from rules.toml beside this file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from ledger.people import DEPARTMENTS
from tools.rooms import ROOT

FILE = Path(__file__).with_name("rules.toml")
SCENARIOS, TESTS = ROOT / "simulator" / "scenarios", ROOT / "tests"
SCENARIO, TEST = "scenario", "test"
_KEYS = {"article", "words", "department", "scenarios", "tests"}


class BadRules(Exception):
    """The table cannot be used, or has no such rule; the text says why."""


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """A file that proves something when it runs. `kind`: SCENARIO or TEST."""

    kind: str
    name: str

    @property
    def path(self) -> Path:
        """Where the file is, if this installation has it."""
        return SCENARIOS / f"{self.name}.toml" if self.kind == SCENARIO else TESTS / self.name

    @property
    def command(self) -> str:
        """What a person types to see it again."""
        if self.kind == SCENARIO:
            return f"onecard sim run simulator/scenarios/{self.name}.toml"
        return f"pytest tests/{self.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    """`words`: what the article asks, short, in Chinese. `why`: why no scenario plays it."""

    id: str
    article: str
    words: str
    department: str
    proofs: tuple[Proof, ...]
    why: str


def load(path: Path = FILE) -> list[Rule]:
    """All rules, in the order of the regulation. BadRules."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadRules(f"{path}: {error}") from error
    return [_rule(rule_id, fields) for rule_id, fields in data.items()]


def chosen(rules: list[Rule], ids: list[str]) -> list[Rule]:
    """Those named, or all if none is. BadRules names one that there is not."""
    known = {rule.id: rule for rule in rules}
    for each in ids:
        if each not in known:
            raise BadRules(f"no rule {each}: they are {', '.join(known)}")
    return [known[each] for each in ids] or rules


def proofs_of(rules: list[Rule]) -> list[Proof]:
    """Each proof once, scenarios first."""
    return sorted({proof for rule in rules for proof in rule.proofs})


def _rule(rule_id: str, fields: dict[str, object]) -> Rule:
    wrong = _KEYS - set(fields) or set(fields) - _KEYS - {"why"}
    if wrong:
        raise BadRules(f"{rule_id}: {', '.join(sorted(wrong))} is missing or unknown")
    scenarios, tests = fields["scenarios"], fields["tests"]
    if not isinstance(scenarios, list) or not isinstance(tests, list):
        raise BadRules(f"{rule_id}: scenarios and tests are lists")
    if bool(scenarios) == ("why" in fields):
        raise BadRules(f"{rule_id}: scenarios, or why there is none, and not both")
    if fields["department"] not in DEPARTMENTS:
        raise BadRules(f"{rule_id}: no department {fields['department']}")
    proofs = [Proof(SCENARIO, name) for name in scenarios] + [Proof(TEST, name) for name in tests]
    article, words, department = (str(fields[key]) for key in ("article", "words", "department"))
    return Rule(rule_id, article, words, department, tuple(proofs), str(fields.get("why", "")))
