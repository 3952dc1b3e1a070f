"""Whoever has logged in at this terminal: the file of their session, and books that they sign in.

The file has the token and nothing else, and is its owner's alone (mode 0600), or it is not taken.
Whoever has it is that operator until the session ends, so it lies where only they read, and
`onecard ledger operator logout` takes it away.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from adapters import secret_files
from adapters.secret_files import SecretFileError
from ledger import people
from ledger.signatures import NotAllowed, are_there, note_refusal
from ledger.store import LedgerStore
from tools.ledger_forks import NotBooks, books_in, opened

PLACE = "ONECARD_SESSION"


def place() -> Path:
    """Where the session's file lies: as the environment says, or in the user's own folder."""
    said = os.environ.get(PLACE)
    if said:
        return Path(said)
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "onecard" / "session"


def keep(token: str) -> Path:
    """Write the file, whole or not at all; where it is. OSError."""
    path = place()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    return path


def forget() -> None:
    """No session is here any more."""
    place().unlink(missing_ok=True)


def token() -> str:
    """That of the file. NotAllowed if there is none, NotBooks if others may read it."""
    if not place().exists():
        raise NotAllowed(people.NO_SESSION)
    try:
        return secret_files.read(place()).decode("ascii", "replace").strip()
    except SecretFileError as error:
        raise NotBooks(str(error)) from error


def signer(store: LedgerStore, by: str, now_s: int) -> str:
    """Who signs: whoever has logged in here, where the books have operators; else as typed.

    Then `by` may be left out, or has to be their login. NotAllowed, NotBooks.
    """
    if not are_there(store.database):
        return by
    who = store.operators.prove(token(), now_s)
    if by not in ("", who):
        raise NotAllowed(people.TYPED_NAME)
    return who


@contextmanager
def written(path: Path) -> Iterator[LedgerStore]:
    """The books in `path`, to write in them. NotBooks for another file."""
    with opened(path):
        pass  # these are books, and of this program's schema: nothing is migrated by the way
    with closing(books_in(path)) as store:
        yield store


@contextmanager
def signing(path: Path, by: str, now_s: int) -> Iterator[tuple[LedgerStore, str]]:
    """The books in `path`, to write in them, and the name that signs.

    NotBooks for another file; NotAllowed, of which the books keep that it was.
    """
    with written(path) as store:
        try:
            yield store, signer(store, by, now_s)
        except NotAllowed as refused:
            note_refusal(store.database, refused, now_s)
            raise
