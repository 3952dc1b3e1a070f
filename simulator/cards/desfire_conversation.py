"""One conversation with a DESFire card: what is selected, who has proved which key."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from simulator.cards.desfire_files import FREE, NEVER, File
from simulator.cards.desfire_memory import PICC, Application, Memory
from simulator.cards.desfire_messaging import FULL, MAC, PLAIN, Session
from simulator.cards.desfire_status import (
    AUTHENTICATION_ERROR,
    FILE_NOT_FOUND,
    NO_SUCH_KEY,
    PARAMETER_ERROR,
    PERMISSION_DENIED,
    Refused,
)

F = TypeVar("F", bound=File)

RAW = -1  # a mode beside PLAIN, MAC and FULL: outside any session, and not counted by it
MASTER_KEY = 0


class Call(NamedTuple):
    """A command as it was meant: its `code`, `header`, and the `data` that came behind."""

    code: int
    header: bytes
    data: bytes


class More(NamedTuple):
    """An answer that is not the last: `data` now, then `then` with what the next frame brings."""

    data: bytes
    then: Callable[[bytes], "Reply"]
    busy_us: int = 0


Reply = bytes | More


@dataclass(frozen=True)
class Command:
    """How one command is taken apart, what it does, and what it costs.

    `header` bytes stay readable; behind them come as many bytes as `lengths` allows (None: any).
    `mode` says how it is protected. With `counts_data` the header ends with the length of the
    data, `in_frames` lets them come in frames of their own. `answer_frames` are the sizes of the
    frames of the answer, the last one for all that follow; empty for a single one. `writes`
    marks what changes the EEPROM.
    """

    run: Callable[["Conversation", Call], Reply]
    busy_us: int
    header: int = 0
    lengths: tuple[int, ...] | None = (0,)
    mode: Callable[["Conversation", bytes], int] | None = None
    counts_data: bool = False
    in_frames: bool = False
    answer_frames: tuple[int, ...] = ()
    writes: bool = False


class Conversation:
    """The card's RAM between RATS and the loss of power, over its `memory`."""

    def __init__(self, memory: Memory, uid: bytes, rng: random.Random) -> None:
        self.memory = memory
        self.uid = uid
        self.rng = rng
        self.selected = PICC
        self.session: Session | None = None

    def start_over(self) -> None:
        """As after RATS: the card's own level, nobody authenticated, nothing pending."""
        self.abort()
        self.session = None
        self.selected = PICC

    def abort(self) -> None:
        """Drop the transaction of the selected application."""
        level = self.memory.at(self.selected)
        if level is not None:
            level.abort()

    def fail(self) -> None:
        """After any error: the session is over and the transaction dropped."""
        self.abort()
        self.session = None

    # ---------------------------------------------------------------- levels

    @property
    def level(self) -> Application:
        """What is selected: an application, or the card's own level."""
        level = self.memory.at(self.selected)
        if level is None:
            raise Refused(PERMISSION_DENIED)
        return level

    @property
    def application(self) -> Application:
        """The selected application; Refused at the card's own level."""
        if self.selected == PICC:
            raise Refused(PERMISSION_DENIED)
        return self.level

    def need_picc(self) -> None:
        """Refused unless the card's own level is selected."""
        if self.selected != PICC:
            raise Refused(PERMISSION_DENIED)

    # ---------------------------------------------------------------- rights

    @property
    def is_master(self) -> bool:
        """True when the selected level's master key was proved."""
        return self.session is not None and self.session.key_no == MASTER_KEY

    def need_master(self, unless: bool = False) -> None:
        """Refused unless the level's master key was proved, or is not needed."""
        if not (self.is_master or unless):
            raise Refused(AUTHENTICATION_ERROR)

    def key_at(self, key_no: int) -> bytes:
        """Key `key_no` of the selected level."""
        keys = self.level.keys
        if key_no >= len(keys):
            raise Refused(NO_SUCH_KEY)
        return keys[key_no]

    def granted(self, file: File, rights: tuple[int, ...]) -> int:
        """The mode in which one of the nibbles `rights` lets us at `file`; else Refused."""
        nibbles = {file.right(which) for which in rights}
        if self.session is not None and self.session.key_no in nibbles:
            return file.mode
        if FREE in nibbles:
            return PLAIN
        raise Refused(PERMISSION_DENIED if nibbles == {NEVER} else AUTHENTICATION_ERROR)

    # ---------------------------------------------------------------- files

    def any_file(self, number: int) -> File:
        """File `number` of the selected application."""
        file = self.application.files.get(number)
        if file is None:
            raise Refused(FILE_NOT_FOUND)
        return file

    def file(self, number: int, kind: type[F]) -> F:
        """File `number`, which must be of class `kind`."""
        file = self.any_file(number)
        if not isinstance(file, kind):
            raise Refused(PERMISSION_DENIED)
        return file

    def note(self, call: Call, data: bytes = b"") -> None:
        """Take `call` into the transaction MAC, if the application makes one."""
        signer = self.application.transaction_mac
        if signer is not None:
            signer.note(bytes((call.code,)) + call.header, data)


def number(data: bytes, signed: bool = False) -> int:
    """The number in `data`; everything on this card has its low byte first."""
    return int.from_bytes(data, "little", signed=signed)


def checked_mode(option: int) -> int:
    """The communication mode in a file option; both ways to say plain are one."""
    mode = option & 3
    if option & ~3:
        raise Refused(PARAMETER_ERROR)
    return PLAIN if mode == 2 else mode


def raw(_: Conversation, _header: bytes) -> int:
    """Neither protected nor counted."""
    return RAW


def with_mac(talk: Conversation, _header: bytes) -> int:
    """A MAC within a session, nothing without one."""
    return PLAIN if talk.session is None else MAC


def hidden(talk: Conversation, _header: bytes) -> int:
    """Only within a session."""
    if talk.session is None:
        raise Refused(AUTHENTICATION_ERROR)
    return FULL
