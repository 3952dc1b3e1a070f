"""The life of a card in words and as a diagram, for docs/card-states.md."""

from ledger.lifecycle import RULES, STATES, Act, Answer, answer


def rows() -> list[tuple[str, ...]]:
    """Lines of cells: each verb, and what each state answers to who may say it."""
    return [(verb, *(_told(verb, state) for state in STATES)) for verb in RULES]


def rights() -> list[tuple[str, ...]]:
    """Lines of cells: each verb, what it is, who says it where, what is shown, and the article."""
    return [
        (
            verb,
            rule.text,
            ", ".join(
                f"{role} ({channel}{', two persons' if channel in rule.two else ''})"
                for role, channel in rule.who
            ),
            " or ".join(rule.evidence),
            rule.article,
        )
        for verb, rule in RULES.items()
    ]


def diagram() -> list[str]:
    """A Mermaid state diagram: every way that leads to another state."""
    lines = ["stateDiagram-v2", "    [*] --> absent"]
    for state in STATES:
        ways: dict[str, list[str]] = {}
        for verb in RULES:
            said = _allowed(verb, state)
            if said.is_new and said.state != state:
                ways.setdefault(said.state, []).append(verb)
        lines += [f"    {state} --> {after}: {', '.join(verbs)}" for after, verbs in ways.items()]
    return lines


def _told(verb: str, state: str) -> str:
    said = _allowed(verb, state)
    if said.reason:
        return str(said.reason)
    return f"→ {said.state}" if said.is_new else ""


def _allowed(verb: str, state: str) -> Answer:
    """The answer to who may say it, with what has to be shown; found again it is active."""
    rule = RULES[verb]
    role, channel = rule.who[0]
    act = Act(role, channel, rule.evidence[0] if rule.evidence else "", persons=2)
    return answer(["active", state], verb, act)
