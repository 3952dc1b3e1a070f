"""What the page of one device is rendered with: what stands still of it, and all its words."""

from __future__ import annotations

import json
from typing import Any

from simulator.desk import board_words, device_words, words
from simulator.desk.page import AMOUNTS, KEYPAD, SPEEDS, cards_of
from simulator.scenario import Scenario

# What holding a card there is called, by role.
TAPS = {"door": "enter", "lock": "enter", "attendance": "punch", "kiosk": "ask", "identity": "ask"}


def device_page_of(scenario: Scenario, name: str, lang: str) -> dict[str, Any] | None:
    """The context of device.html; None if the scenario has no reader of that name."""
    at = words.LANGUAGES.index(lang)
    found = next((one for one in scenario.readers if one["name"] == name), None)
    if found is None:
        return None

    def said(table: dict[str, tuple[str, str]]) -> dict[str, str]:
        return {key: text[at] for key, text in table.items()}

    def named(word: str) -> str:
        return words.NAMES[word][at] if word in words.NAMES else word

    texts = said(words.TEXTS) | said(device_words.TEXTS) | said(board_words.TEXTS)
    role, site = found.get("role", "pos"), found.get("site", scenario.site)
    told = {
        **texts,
        "boards": said(board_words.STATES),
        "conditions": said(device_words.CONDITIONS),
        "condition_words": said(device_words.WORDS),
        "postures": {key: text[at] for key, text in _postures().items()},
        # In English both are what onecard journal show and the table of postures say.
        "record_kinds": device_words.RECORDS if lang == "zh" else {},
        "meanings": _meanings() if lang == "zh" else {},
    }
    return {
        "lang": lang,
        "other_lang": words.LANGUAGES[1 - at],
        "t": texts,
        "words": json.dumps(told, ensure_ascii=False),
        "reader": {
            "id": name,
            "no": found["device"],
            "name": named(name),
            "role": role,
            "kind": said(words.ROLES).get(role, role),
            "site": site,
            "site_name": named(site),
            "tap": TAPS.get(role, "tap"),
            "is_serial": bool(found.get("serial")),
            "board": found.get("board", ""),
        },
        "cards": cards_of(scenario, at),
        "keypad": KEYPAD,
        "amounts": AMOUNTS,
        "speeds": SPEEDS,
    }


def _meanings() -> dict[str, str]:
    return {key: text[1] for key, text in device_words.POSTURES.items()}


def _postures() -> dict[str, tuple[str, str]]:
    """A posture's name: in English it is the word of the table."""
    return {key: (text[0], key) for key, text in device_words.POSTURES.items()}
