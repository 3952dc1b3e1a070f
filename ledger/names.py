"""Names of holders, and how they are looked for: as written, by pinyin, or by its initials.

Rules of this file. A name is there for whoever has to find a card at the counter; it is entered
by a clerk, or comes with a list, and goes with the personal number (ledger/retention.py). Every
reading of every character is a key, so that a surname is found as its bearer reads it (单 Shan,
曾 Zeng, 仇 Qiu, 解 Xie, 区 Ou, 查 Zha) and as others misread it. A search reads one stretch of an
index of keys.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, product

from pypinyin import Style, pinyin

from ledger.dialect import Dialect
from ledger.signatures import signed

NAME_CHARS_MAX = 32
KEYS_MAX = 64  # of each kind: five characters of three readings are more, and nobody's name
# Readings as a surname that the dictionary has not.
_SURNAMES = {"黑": "he"}
_LAST = "\U0010ffff"
_HOLDER = "SELECT holder FROM holding WHERE card_no = ?"
_NAME = """
SELECT n.name FROM holding g JOIN holder_name n ON n.holder = g.holder WHERE g.card_no = ?"""
_FORGET = ("DELETE FROM name_key WHERE holder = ?", "DELETE FROM holder_name WHERE holder = ?")
_WRITE = "INSERT INTO holder_name VALUES (?, ?)"
_KEY = "INSERT INTO name_key VALUES (?, ?)"
_SEARCH = """
SELECT k.key, k.holder, n.name, h.person_no, h.kind, h.department,
    (SELECT g.card_no FROM holding g WHERE g.holder = k.holder AND g.is_current = 1),
    (SELECT MAX(g.card_no) FROM holding g WHERE g.holder = k.holder)
FROM name_key k JOIN holder_name n ON n.holder = k.holder JOIN holder h ON h.number = k.holder
WHERE k.key >= ? AND k.key < ? AND (k.key, k.holder) > (?, ?)
AND NOT EXISTS (SELECT 1 FROM name_key e
    WHERE e.holder = k.holder AND e.key >= ? AND e.key < k.key)
ORDER BY k.key, k.holder LIMIT ?"""
_NAMES = """
WITH k (number) AS (VALUES {keys})
SELECT g.card_no, n.name FROM k CROSS JOIN holding g JOIN holder_name n ON n.holder = g.holder
WHERE g.card_no = k.number"""


class BadName(Exception):
    """It is no name; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody of that name: the card in use, or the last one; `place` is where to go on."""

    place: tuple[str, int]
    name: str = field(repr=False)
    person_no: str = field(repr=False)
    kind: int
    department: str
    card_no: int


def enter(database: Dialect, card_no: int, name: str, person: str, time_s: int) -> None:
    """The name of whose card this is, by `person`; another one replaces it, "" takes it out.

    Raises NotAllowed and BadName.
    """
    with database.transaction():
        signed(database, "personal.name", person, time_s, f"card {card_no}")
        write(database, card_no, name)


def write(database: Dialect, card_no: int, name: str) -> None:
    """The same in a transaction of the caller, who has said whose word it is."""
    name = check(name) if name else ""
    holders = [row[0] for row in database.rows(_HOLDER, (card_no,))]
    if not holders:
        raise BadName("whose this card is, nobody has said")
    forget(database, holders)
    if name:
        database.many(_WRITE, [(holders[0], name)])
        database.many(_KEY, [(key, holders[0]) for key in keys_of(name)])


def forget(database: Dialect, holders: list[int]) -> None:
    """The names of these holders are gone, in a transaction of the caller."""
    for sql in _FORGET:
        database.many(sql, [(holder,) for holder in holders])


def name_of(database: Dialect, card_no: int) -> str:
    """The name of whose card this is; "" if nobody has entered it."""
    return next((row[0] for row in list(database.rows(_NAME, (card_no,)))), "")


def masked_names(database: Dialect, cards: Iterable[int]) -> dict[int, str]:
    """card -> the masked name of whose it is, of those of whom somebody has entered one."""
    rows = database.rows_of(_NAMES, ((card_no,) for card_no in sorted(set(cards))))
    return {card_no: masked_name(name) for card_no, name in rows}


def masked_name(name: str) -> str:
    """张三 as 张*, 欧阳小明 as 欧**明: who stands at the counter knows the rest."""
    if len(name) < 3:
        return name[:1] + "*" * (len(name) - 1)
    return name[0] + "*" * (len(name) - 2) + name[-1]


def search(
    database: Dialect, text: str, count: int, behind: tuple[str, int] = ("", -1)
) -> list[Found]:
    """Up to `count` holders of whom a key begins with `text`, by their first such key.

    `behind`: the place of the last one of the page before.
    """
    key = _folded(text)
    if not key:
        return []
    # The place from which on bounds the stretch on both databases, each by its own condition.
    place = max((key, -1), behind)
    said = place[0], key + _LAST, *place, key, count
    return [
        Found((at, holder), name, person_no, kind, department, last if in_use is None else in_use)
        for at, holder, name, person_no, kind, department, in_use, last in list(
            database.rows(_SEARCH, said)
        )
    ]


def keys_of(name: str) -> list[str]:
    """All by which a name is found: itself, each pinyin of it, the initials of each."""
    whole = _folded(name)
    readings = [_readings(character) for character in whole]
    if whole[0] in _SURNAMES:
        readings[0] = [_SURNAMES[whole[0]], *readings[0]]
    spelled = islice(("".join(one) for one in product(*readings)), KEYS_MAX)
    initials = [list(dict.fromkeys(each[0] for each in one)) for one in readings]
    short = islice(("".join(one) for one in product(*initials)), KEYS_MAX)
    return list(dict.fromkeys([whole, *spelled, *short]))


def check(name: str) -> str:
    """The name as it is kept. Raises BadName."""
    kept = unicodedata.normalize("NFC", name.strip())
    if not 0 < len(kept) <= NAME_CHARS_MAX or not kept.isprintable() or not _folded(kept):
        raise BadName(f"a name has 1 to {NAME_CHARS_MAX} characters")
    return kept


def _readings(character: str) -> list[str]:
    """How a character is read, without tones; ü is v, as on keyboards."""
    found = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore")
    return [_plain(one) for one in found[0]] if found else [character]


def _folded(text: str) -> str:
    return "".join(_letters(text))


def _letters(text: str) -> Iterator[str]:
    """Letters and digits in lower case, ü as v; no blank, dot or apostrophe between them."""
    for one in unicodedata.normalize("NFKC", text).casefold().replace("ü", "v"):
        if one.isalnum():
            yield one


def _plain(reading: str) -> str:
    """Without marks that a few readings keep (ê)."""
    parts = unicodedata.normalize("NFKD", reading)
    return "".join(one for one in parts if not unicodedata.combining(one))
