"""Phones before a scanner: with their holder's codes, a picture of one, or anything else."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from ledger.phones import Proof
from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_IDENTITY, CAMPUS_PAYMENT
from simulator.world.clock import World

_DIGITS = "0123456789"
_TRANSIT_BYTES = 112
# What a screen may show: payment and identity codes of ours; the picture that somebody took of the
# last code of this card; and what other people's services issue.
_FOREIGN: dict[str, Callable[[random.Random], bytes]] = {
    "wechat": lambda draw: _digits(draw, "13", 18),
    "alipay": lambda draw: _digits(draw, "28", 18),
    "unionpay": lambda draw: _digits(draw, "62", 19),
    "wallet": lambda draw: _digits(draw, "01", 19),
    "transit": lambda draw: b"\x80\x00\x70" + _unended(draw.randbytes(_TRANSIT_BYTES)),
    "anything": lambda draw: b"https://example.org/" + draw.randbytes(4).hex().encode(),
}
SHOWN = Proof("id-card", "wang")  # to a clerk, by everybody whose phone is bound
PAYMENT, IDENTITY, PICTURE = "payment", "identity", "picture"
PLATFORMS = ("wechat", "alipay", "unionpay")  # what an acquirer takes
SHOWS = (PAYMENT, IDENTITY, PICTURE, *_FOREIGN)
VERBS = ("phone", "scan", "code")
_VERB_AT = {"pos": "phone", "door": "scan", "kiosk": "report"}


class Phones:
    """Everybody's phones; they know the time."""

    def __init__(self, world: World, draw: random.Random) -> None:
        self._world = world
        self._draw = draw
        self._seeds: dict[int, bytes] = {}
        self._last: dict[int, bytes] = {}
        self._offline: set[int] = set()

    def bind(self, card_no: int, seed: bytes) -> None:
        """This card's phone has a seed from now on."""
        self._seeds[card_no] = seed

    def has(self, card_no: int) -> bool:
        """Whether the card's holder can pay by phone."""
        return card_no in self._seeds

    def set_online(self, card_no: int, on: bool) -> None:
        """It has a network, or none: it goes on showing codes, which it makes by itself."""
        (self._offline.discard if on else self._offline.add)(card_no)

    def is_online(self, card_no: int) -> bool:
        """Whether its holder can do by phone what needs a network: pay in."""
        return card_no not in self._offline

    def last(self, card_no: int) -> bytes:
        """The last code of ours on its screen, as a picture has it; empty if there was none."""
        return self._last.get(card_no, b"")

    def show(self, card_no: int, what: str) -> bytes:
        """What the screen shows now: one of SHOWS, of the holder of a card."""
        if what in _FOREIGN:
            return _FOREIGN[what](self._draw)
        if what == PICTURE:
            return self._last.get(card_no, b"nothing")
        kind = CAMPUS_IDENTITY if what == IDENTITY else CAMPUS_PAYMENT
        nonce = self._draw.randbytes(virtual_code.NONCE_BYTES)
        seed = self._seeds[card_no]
        code = virtual_code.make(seed, kind, card_no, self._world.utc_s(), nonce)
        self._last[card_no] = code
        return code


def scanner_fault(reader: Mapping[str, Any]) -> str:
    """Why a [[reader]] of a scenario cannot have the scanner that it asks for; "" if it can."""
    name = reader["name"]
    if not reader.get("scanner"):
        return ""
    if reader.get("role", "pos") not in ("pos", "door", "kiosk"):
        return f"'{name}' cannot have a scanner: only a POS, a door or a kiosk has one"
    if not reader.get("wifi"):
        return (
            f"'{name}' cannot have a scanner: with a cable no pin is left for one;"
            " give the reader wifi = 1"
        )
    return ""


def step_fault(step: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a step of a phone, or "report", of a scenario, after its key."""
    with_phone = {cards["name"] for cards in data.get("cards", []) if cards.get("phone")}
    if not with_phone & {step["card"], re.sub(r"-\d+$", "", step["card"])}:
        return "card", f"the holder of '{step['card']}' has no phone: give the cards phone = 1"
    if step["do"] == "code":
        own = step.get("shows", PAYMENT) in (PAYMENT, IDENTITY)
        return None if own else ("shows", f"the app makes a {PAYMENT} code or an {IDENTITY} code")
    (reader,) = (one for one in data["reader"] if one["name"] == step["reader"])
    if not reader.get("scanner"):
        return "reader", f"'{step['reader']}' has no scanner = 1"
    role = reader.get("role", "pos")
    if step["do"] != _VERB_AT[role]:
        return "reader", f"before the scanner of a {role} the verb is {_VERB_AT[role]}"
    if step.get("code", IDENTITY) not in SHOWS:
        return "code", f"'{step['code']}' is none of {', '.join(SHOWS)}"
    return None


def _digits(draw: random.Random, start: str, count: int) -> bytes:
    return (start + "".join(draw.choices(_DIGITS, k=count - len(start)))).encode()


def _unended(data: bytes) -> bytes:
    """Without the byte that ends a code for a scanner: with one it would come as two."""
    return data.replace(b"\r", b"\x0e")
