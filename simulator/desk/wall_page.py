"""What the wall is rendered with: sites, and in each its devices, in the order of the file."""

from __future__ import annotations

import json
from typing import Any

from simulator.desk import board_words, device_words, words
from simulator.desk.page import SPEEDS
from simulator.scenario import Scenario

FEW = 24  # so many have room for their names, to be read from across a room
GLYPHS = ("fine", "limited", "stopped", "dark", "unseen")


def wall_page_of(scenario: Scenario, lang: str) -> dict[str, Any]:
    """The context of wall.html."""
    at = words.LANGUAGES.index(lang)
    tables = (words.TEXTS, device_words.TEXTS)
    texts = {key: text[at] for table in tables for key, text in table.items()}

    def named(word: str) -> str:
        return words.NAMES[word][at] if word in words.NAMES else word

    sites: dict[str, list[dict[str, str]]] = {}
    for one in scenario.readers:
        role = one.get("role", "pos")
        kind = words.ROLES[role][at] if role in words.ROLES else role
        site = sites.setdefault(one.get("site", scenario.site), [])
        site.append({"id": one["name"], "name": named(one["name"]), "role": role, "kind": kind})
    postures = {
        key: text[0] if lang == "zh" else key for key, text in device_words.POSTURES.items()
    }
    postures |= {key: text[at] for key, text in board_words.STATES.items()}
    return {
        "lang": lang,
        "other_lang": words.LANGUAGES[1 - at],
        "t": texts,
        "words": json.dumps(texts | {"postures": postures}, ensure_ascii=False),
        "sites": [{"name": named(site), "readers": found} for site, found in sites.items()],
        "count": len(scenario.readers),
        "is_few": len(scenario.readers) <= FEW,
        "glyphs": GLYPHS,
        "speeds": SPEEDS,
    }
