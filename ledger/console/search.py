"""Search: a card by its number, its chip, its holder's number or name, by pinyin or its initials.

What a reader at the counter types like a keyboard is looked for as typed by hand: the number of
the card, of its holder, or of its chip in any of its formats (protocols/rules/card_number.py). A
name stands in no path and no query: the question is posted, and its answer is a page.
"""

import re
from dataclasses import dataclass

from ledger import names, people
from ledger.console.asked import Asked, Moved, Page, Refused, Shown
from ledger.console.card_words import COLOURS
from ledger.console.refusals import Words
from ledger.console.texts import Texts
from ledger.holders import KIND_NAMES, card_of, holder_of, is_person_no
from ledger.names import masked_name
from ledger.privacy import masked
from protocols.rules.card_status import CARD_NO_MAX

PATH = "/search"
PAGE = 20
TEXT_CHARS_MAX = 64
TOO_SHORT = 781
# Who is told whose a card is, masked (as over HTTP); whoever enters names looks for them too.
ROLES = (people.CLERK, people.TREASURER, people.WARDEN, people.GUARD, people.HEAD, people.STEWARD)
_BY_NAME = "personal.name"
_IS_CARD = "SELECT 1 FROM card WHERE card_no = ?"
# By its last three bytes, which are an index; by its first ones, a stretch of another.
_CHIP = "SELECT card_no, uid FROM chip WHERE substr(uid, length(uid) - 2) = ? ORDER BY card_no"
_CHIP_REVERSED = "SELECT card_no, uid FROM chip WHERE uid >= ? AND uid <= ? ORDER BY card_no"
_LONGER = b"\xff" * 10  # no UID has more bytes
_CHIP_BYTES = {10: ((5, 16), (4, 10)), 8: ((3, 10),)}  # digits -> (bytes of the number, base)


@dataclass(frozen=True, slots=True)
class Row:
    """A card that was found."""

    card_no: int
    state: str
    colour: str
    name: str
    person_no: str
    kind: str
    department: str


def show(asked: Asked) -> Shown:
    """The page without a question."""
    return Shown("search.html", {"q": asked.fields.get("q", ""), "rows": None, "behind": None})


def find(asked: Asked) -> Shown | Moved:
    """What fits; what fits alone is gone to at once."""
    text = asked.fields.get("q", "").strip()
    if not 0 < len(text) <= TEXT_CHARS_MAX or not text.isprintable():
        raise Refused(TOO_SHORT)
    behind = _behind(asked.fields)
    cards = [] if behind[1] else numbered(asked, text)
    following = None
    if not cards and asked.may(_BY_NAME):
        found = names.search(asked.store.database, text, PAGE + 1, behind)
        following = found[PAGE - 1].place if len(found) > PAGE else None
        cards = [one.card_no for one in found[:PAGE]]
    if len(cards) == 1 and not behind[1]:
        return Moved(f"/cards/{cards[0]}")
    rows = [_row(asked, card_no) for card_no in cards]
    return Shown("search.html", {"q": text, "rows": rows, "behind": following})


def numbered(asked: Asked, text: str) -> list[int]:
    """The cards that a number means: of a card, a person, or a chip."""
    database = asked.store.database
    word = text.upper()
    found: dict[int, None] = {}
    held = card_of(database, text) if is_person_no(text) else None
    if held is not None:
        found[held] = None
    if text.isascii() and text.isdigit() and int(text) <= CARD_NO_MAX:
        if list(database.rows(_IS_CARD, (int(text),))):
            found[int(text)] = None
    if not found and re.fullmatch("[0-9A-F]+", word):
        for size, base in _CHIP_BYTES.get(len(word), ()):
            for card_no in _of_chip(asked, word, size, base):
                found[card_no] = None
    return list(found)


def _of_chip(asked: Asked, word: str, size: int, base: int) -> list[int]:
    """The cards whose chip's number ends so, or begins so, read from behind."""
    if (base == 10 and not word.isdigit()) or int(word, base) >> (8 * size):
        return []
    tail = int(word, base).to_bytes(size, "big")
    head, rows = tail[::-1], asked.store.database.rows
    ending = [no for no, uid in rows(_CHIP, (tail[-3:],)) if bytes(uid).endswith(tail)]
    return (ending + [no for no, _uid in rows(_CHIP_REVERSED, (head, head + _LONGER))])[:PAGE]


def _row(asked: Asked, card_no: int) -> Row:
    state = asked.store.cards.state(card_no)
    holder = holder_of(asked.store.database, card_no)
    name = masked_name(names.name_of(asked.store.database, card_no))
    facts = (
        (masked(holder.person_no), KIND_NAMES[holder.kind], holder.department)
        if holder
        else ("", "", "")
    )
    return Row(card_no, state, COLOURS.get(state, ""), name, *facts)


def _behind(fields) -> tuple[str, int]:  # noqa: ANN001 - a mapping of texts
    key, number = fields.get("behind_key", ""), fields.get("behind_no", "")
    is_place = len(key) <= 192 and number.isascii() and number.isdigit() and len(number) < 12
    return (key, int(number)) if key and is_place else ("", 0)


PAGES = (
    Page(
        PATH,
        ("查卡", "Find a card"),
        show,
        roles=ROLES,
        do=find,
        menu="menu_cards",
        access_key="s",
        is_once=False,
    ),
)
REASONS = {
    TOO_SHORT: Words(
        ("没有写要查什么", "there is nothing to look for"),
        (
            "请输入卡号、学工号、姓名或拼音首字母，或在读卡器上刷卡。",
            "A number, a name, initials; or tap.",
        ),
        422,
    ),
}
TEXTS: Texts = {
    "search_for": (
        "卡号、学工号、姓名、拼音首字母（zs），或刷卡",
        "Card, person, name, initials (zs), or tap",
    ),
    "search_none": ("没有找到。", "Nothing was found."),
    "search_found": ("找到的卡", "Cards found"),
    "card_no": ("卡号", "Card"),
    "state": ("状态", "State"),
    "name": ("姓名", "Name"),
    "person_no": ("学工号", "Person"),
    "kind": ("类别", "Kind"),
    "department": ("部门", "Department"),
}
