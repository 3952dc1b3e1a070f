"""What the page is rendered with: what stands still of a scenario, with its names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from simulator.desk import board_words, device_words, table_words, words
from simulator.scenario import CardBatch, Scenario

SPEEDS = (1, 10, 60)
# What the keys of a POS say, and what they send.
KEYPAD = (
    *(("7", "7"), ("8", "8"), ("9", "9"), ("ESC", "\x1b")),
    *(("4", "4"), ("5", "5"), ("6", "6"), ("FN", "F")),
    *(("1", "1"), ("2", "2"), ("3", "3"), ("+", "+")),
    *((".", "."), ("0", "0"), ("TTL", "T"), ("OK", "\r")),
)
AMOUNTS = ("6.00", "8.50", "12.50", "58.00")
CODES = ("wechat", "alipay", "unionpay", "wallet", "transit", "anything")
DELAYS_MS, LOSSES_PERCENT = (0, 300, 2000, 8000), (0, 20, 50)
_CARD_VERBS = ("lose", "unlose", "suspend", "resume", "reissue", "topup")


def page_of(scenario: Scenario, lang: str, files: list[str]) -> dict[str, Any]:
    """The context of desk.html; `files` are the names of the scenarios that can be loaded."""
    at = words.LANGUAGES.index(lang)

    def say(table: Mapping[Any, tuple[str, str]], key: Any) -> str:
        return table[key][at] if key in table else str(key)

    def named(name: str) -> str:
        return say(words.NAMES, name)

    sites: dict[str, list[dict[str, Any]]] = {}
    for one in scenario.readers:
        role = one.get("role", "pos")
        sites.setdefault(one.get("site", scenario.site), []).append(
            {"id": one["name"], "name": named(one["name"]), "role": role}
            | {"kind": say(words.ROLES, role), "scans": bool(one.get("scanner"))}
            | {"board": one.get("board", "")}
        )
    tables = {**words.TEXTS, **table_words.TEXTS, **board_words.TEXTS}
    texts = {key: text[at] for key, text in tables.items()}
    boards = [one for one in scenario.readers if one.get("board")]
    told = texts | {
        "accounts": {key: text[at] for key, text in words.ACCOUNTS.items()},
        "states": {key: text[at] for key, text in words.STATES.items()},
        "boards": {key: text[at] for key, text in board_words.STATES.items()},
        "record_kinds": device_words.RECORDS if lang == "zh" else {},
        "names": {key: text[at] for key, text in words.NAMES.items()},
    }
    return {
        "lang": lang,
        "other_lang": words.LANGUAGES[1 - at],
        "t": texts,
        "words": json.dumps(told, ensure_ascii=False),
        "title": scenario.title or scenario.name,
        "files": files,
        "loaded": scenario.name if scenario.path.stem in files else "",
        "has_steps": scenario.path.stem != "campus",
        "codes": [(key, texts[f"code_{key}"]) for key in CODES],
        "delays_ms": DELAYS_MS,
        "losses_percent": LOSSES_PERCENT,
        "sites": [
            {"id": site, "name": named(site), "readers": readers}
            for site, readers in sites.items()
        ],
        "cards": cards_of(scenario, at),
        "card_verbs": _CARD_VERBS,
        "keypad": KEYPAD,
        "amounts": AMOUNTS,
        # A real board lives in real time.
        "speeds": SPEEDS[:1] if boards else SPEEDS,
        "jumps": not boards,
    }


def cards_of(scenario: Scenario, at: int) -> list[dict[str, Any]]:
    """Every card of the wallet, in language `at` of words.LANGUAGES."""

    def say(table: Mapping[Any, tuple[str, str]], key: Any) -> str:
        return table[key][at] if key in table else str(key)

    return [card for batch in scenario.cards for card in _cards(batch, say)]


def _cards(batch: CardBatch, say: Any) -> list[dict[str, Any]]:
    names = [batch.name]
    if batch.count > 1:
        names = [f"{batch.name}-{number + 1}" for number in range(batch.count)]
    return [
        {
            "id": name,
            "name": say(words.NAMES, name),
            "kind": say(words.KINDS, batch.kind),
            "look": {1: "staff", 2: "student", 3: "temporary"}.get(batch.kind, "other"),
            "make": say(words.MAKES, batch.make) if batch.make != "ours" else "",
            "chip": {"classic": "M1", "desfire": "EV2"}[batch.chip],
            "phone": batch.has_phone and batch.make == "ours",
        }
        for name in names
    ]
