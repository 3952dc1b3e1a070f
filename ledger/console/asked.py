"""What a page of the console is, what it is asked and what it gives; for the modules beside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger import people
from ledger.signatures import Proven
from ledger.store import LedgerStore

NOBODY = Proven("", b"")
ZH, EN = "zh", "en"
LANGUAGES = (ZH, EN)


class Refused(Exception):
    """`reason` of a number with words; nothing was changed. `detail` is said beside it."""

    def __init__(self, reason: int, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the console as its configuration says; `school_offset_s`: the school's time zone.

    `certificates`: (what it is for, its file) of each that this ledger shows to somebody.
    """

    carry_over_after_s: int
    school_offset_s: int
    code_key: bytes | None = field(default=None, repr=False)
    certificates: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """A refusal in words, for the page that is shown again."""

    number: int
    status: int
    text: str
    advice: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file that came with a form."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of somebody who has logged in (on open pages perhaps of NOBODY).

    `path`, `query`: texts; `fields` and `files` are those of a form that was posted, else {}.
    `refusal`: why that form was not done; the page is then shown with what had been typed.
    """

    store: LedgerStore
    settings: Settings
    person: Proven
    department: str
    roles: tuple[str, ...]
    now_s: int
    language: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    refusal: Told | None = None
    token: str = field(default="", repr=False)  # of the session

    def may(self, verb: str) -> bool:
        """Whether whoever asks says this verb of ledger/people.py."""
        return people.may(self.roles, verb)

    def today(self) -> int:
        """The day at the school, in days since 1970."""
        return (self.now_s + self.settings.school_offset_s) // 86_400


@dataclass(frozen=True, slots=True)
class Shown:
    """A template of web/ and what it is filled with."""

    template: str
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Download:
    """A file for whoever asked, such as a workbook; `kind` is its media type."""

    name: str
    kind: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Moved:
    """Go to `path`; `token` is that of a session that has begun, "" one that has ended."""

    path: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for whoever has logged in: `text` is a key, `count` how many, `path` where."""

    text: str
    count: int
    path: str


@dataclass(frozen=True, slots=True)
class ToSign:
    """What waits for the signature of whoever has logged in.

    `kind`: a key of TEXTS with "sign_" before it; `subject`: what it is called. `person`,
    `time_s`: who has said or signed it last ("": nobody yet), and when; `said`: for what reason.
    `path`: where it is looked at and signed, "": by the command line. `declined_as`: what
    ledger/declines.py calls its kind, "" where its own page has the no.
    """

    kind: str
    subject: str
    person: str
    time_s: int
    said: str
    path: str
    declined_as: str = ""


Show = Callable[[Asked], Shown | Download]
Do = Callable[[Asked], "str | Moved | Shown | Download"]


@dataclass(frozen=True, slots=True)
class Page:
    """A row of the table of pages.

    `path` as Starlette has it ("/cards/{card_no}"); `title` (Chinese, English). Who says one of
    `verbs`, or has one of `roles`, sees it; with neither, everybody who has logged in. `show`
    answers GET; `do` a form that was posted there. `menu`: the key of the heading in the menu
    under which it stands, with `access_key`; "" not in the menu.
    """

    path: str
    title: tuple[str, str]
    show: Show
    verbs: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    do: Do | None = None
    menu: str = ""
    access_key: str = ""
    is_open: bool = False  # for whoever asks, logged in or not
    is_once: bool = True  # its form has a number, and is done once in one transaction
    takes_files: bool = False
    is_long: bool = False  # may take longer than an answer may: whoever asks again hears it
    keeps_session: bool = True  # False: it asks by itself, which is nobody's presence

    def is_for(self, roles: tuple[str, ...]) -> bool:
        """Whether the page exists for somebody with these roles."""
        if not self.verbs and not self.roles:
            return True
        return bool(set(roles) & set(self.roles)) or any(
            people.may(roles, verb) for verb in self.verbs
        )
