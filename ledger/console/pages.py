"""The table of pages: what each subject has, together. Routes, menu and tests are made from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from ledger.console import (
    account,
    attendance,
    auditing,
    balance,
    batteries,
    block,
    card_acts,
    cases,
    door_acts,
    doors,
    dossier_begin,
    dossiers,
    explain,
    inspections,
    lists,
    loss,
    mains,
    merchant_days,
    merchants,
    opened,
    operators,
    payments,
    period_report,
    periods,
    proposed,
    readers,
    refunds,
    refusals,
    search,
    session,
    statements,
    takings,
    temporary,
    texts,
    today,
    waiting_list,
    wall,
)
from ledger.console.asked import LANGUAGES, Asked, Page, Told, ToSign, Waiting

# In the order of the menu. Whoever adds a subject adds its module here, and nothing else.
SUBJECTS: tuple[ModuleType, ...] = (
    today,
    waiting_list,
    search,
    account,
    card_acts,
    loss,
    temporary,
    explain,
    lists,
    doors,
    door_acts,
    batteries,
    mains,
    block,
    wall,
    balance,
    cases,
    statements,
    periods,
    period_report,
    payments,
    proposed,
    refunds,
    takings,
    merchants,
    merchant_days,
    readers,
    dossiers,
    dossier_begin,
    opened,
    inspections,
    attendance,
    auditing,
    operators,
    session,
)


def _merged(name: str, first: dict) -> dict:
    """The tables of that name of all subjects; a key that two have is somebody's mistake."""
    merged = dict(first)
    for subject in SUBJECTS:
        own = getattr(subject, name, {})
        twice = sorted(set(merged) & set(own))
        if twice:
            raise ValueError(f"{subject.__name__}: {name} has what is there already: {twice}")
        merged |= own
    return merged


PAGES: tuple[Page, ...] = tuple(page for subject in SUBJECTS for page in subject.PAGES)
TEXTS: texts.Texts = _merged("TEXTS", texts.TEXTS)
REASONS: dict[int, refusals.Words] = _merged("REASONS", refusals.REASONS)
# Exceptions with a `reason` that verbs raise; their text names nobody.
REFUSES: tuple[type[Exception], ...] = tuple(
    {each: None for subject in SUBJECTS for each in getattr(subject, "REFUSES", ())}
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu."""

    title: str
    path: str
    access_key: str
    is_here: bool


def menu(roles: tuple[str, ...], language: str, here: str) -> list[tuple[str, list[Entry]]]:
    """(key of the heading, its entries) of what somebody with these roles sees."""
    column = LANGUAGES.index(language)
    groups: dict[str, list[Entry]] = {}
    for page in PAGES:
        if page.menu and page.is_for(roles):
            entry = Entry(page.title[column], page.path, page.access_key, page.path == here)
            groups.setdefault(page.menu, []).append(entry)
    return list(groups.items())


def words(language: str) -> dict[str, str]:
    """Every text in that language."""
    column = LANGUAGES.index(language)
    return {key: both[column] for key, both in TEXTS.items()}


def told(reason: int, language: str, detail: str = "") -> Told:
    """A refusal in words; one without words of ours is told by what it says itself."""
    column = LANGUAGES.index(language)
    found = REASONS.get(reason)
    if found is None:
        other = REASONS[refusals.BAD_FIELDS]
        return Told(reason or refusals.BAD_FIELDS, 409, other.text[column], other.advice[column],
                    detail)  # fmt: skip
    return Told(reason, found.status, found.text[column], found.advice[column], detail)


def waiting(asked: Asked) -> Iterator[Waiting]:
    """What waits for whoever has logged in, of all subjects; nothing of which there is none."""
    for subject in SUBJECTS:
        for find in getattr(subject, "WAITING", ()):
            yield from (one for one in find(asked) if one.count)


def to_sign(asked: Asked) -> list[ToSign]:
    """Whatever waits for the signature of whoever has logged in; who has waited longest first."""
    found = [one for subject in SUBJECTS for find in getattr(subject, "TO_SIGN", ())
             for one in find(asked)]  # fmt: skip
    return sorted(found, key=lambda one: one.time_s)
