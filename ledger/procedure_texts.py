"""The procedures of merchants and devices in words and diagrams, for docs/procedures.md."""

from ledger.procedures import (
    ABSENT,
    ACTS,
    COSTS,
    COSTS_SAID,
    DUE_H,
    EVIDENCE,
    WITH_TEXT,
    is_open,
    of,
    states,
)


def steps(kind: str) -> list[tuple[str, ...]]:
    """Lines of cells: verb, from where to where, who, what saying it is, and what goes with it."""
    befores: dict[tuple[str, str, str, str], list[str]] = {}
    for row in of(kind):
        after = "the same" if row.after == row.before else row.after
        befores.setdefault((row.verb, after, row.act, row.role), []).append(row.before)
    merged: dict[tuple[str, str, str, str], list[str]] = {}
    for (verb, after, act, role), states_before in befores.items():
        merged.setdefault((verb, ", ".join(states_before), after, act), []).append(role)
    return [
        (verb, before, after, ", ".join(roles), ACTS[act], _with(kind, verb))
        for (verb, before, after, act), roles in merged.items()
    ]


def hours(kind: str) -> list[tuple[str, str]]:
    """Lines of cells: each state, and the hours it may last."""
    return [(state, _hours(kind, state)) for state in states(kind) if state != ABSENT]


def diagram(kind: str) -> list[str]:
    """A Mermaid state diagram: every way that leads to another state."""
    lines = ["stateDiagram-v2", f"    [*] --> {ABSENT}"]
    ways: dict[tuple[str, str], list[str]] = {}
    for row in of(kind):
        if row.before != row.after:
            verbs = ways.setdefault((row.before, row.after), [])
            verbs += [row.verb] if row.verb not in verbs else []
    for way, verbs in ways.items():
        # An id has no hyphen there.
        before, after = (state.replace("-", "_") for state in way)
        lines.append(f"    {before} --> {after}: {', '.join(verbs)}")
    return lines


def _with(kind: str, verb: str) -> str:
    words = [" or ".join(EVIDENCE.get((kind, verb), ()))]
    words += ["a text" if (kind, verb) in WITH_TEXT else ""]
    words += [", ".join(COSTS[kind]) if COSTS_SAID.get(kind) == verb else ""]
    return "; ".join(word for word in words if word)


def _hours(kind: str, state: str) -> str:
    return str(DUE_H[kind, state]) if is_open(kind, state) else "the end"
