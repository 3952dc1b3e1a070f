"""What a step of simulator/dossiers.py may say in a scenario file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.duties import ITEMS, RESULTS
from ledger.procedures import ANNEX_2, KINDS, ROLES

BEGUN = tuple(kind for kind in KINDS if kind not in ANNEX_2)  # those begin with `apply`


def step_fault(step: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a step of this file in a scenario, after its key."""
    known = {"kind": BEGUN, "role": tuple(ROLES)} if step["do"] in ("begin", "say") else {}
    for key, words in known.items():
        if key in step and step[key] not in words:
            return key, f"'{step[key]}' is none of {', '.join(words)}"
    finds = step.get("finds", ["ok"] * len(ITEMS))
    if not isinstance(finds, list) or len(finds) != len(ITEMS) or not set(finds) <= set(RESULTS):
        return "finds", f"finds = {finds!r}: {', '.join(ITEMS)}, each {', '.join(RESULTS)}"
    return None
