"""Files that hold secrets: where they are, and that nobody else may read them.

A name in a configuration is relative to it, or begins with $CREDENTIALS_DIRECTORY/: what systemd
hands to a service (LoadCredential=, SetCredential=) and shows to nobody else.
"""

import os
import stat
from pathlib import Path

CREDENTIALS = "CREDENTIALS_DIRECTORY"


class SecretFileError(Exception):
    """The file cannot be used; the text names it and says why, never what is in it."""


def locate(folder: Path, name: str) -> Path:
    """The file that a configuration in `folder` calls `name`. SecretFileError."""
    first, _, rest = name.partition("/")
    if first != f"${CREDENTIALS}":
        return folder / name
    credentials = os.environ.get(CREDENTIALS)
    if not credentials:
        raise SecretFileError(
            f"{name}: systemd has handed over no credentials "
            "(by hand: those of a running service lie in /run/credentials/NAME.service)"
        )
    return Path(credentials) / rest


def read(path: Path) -> bytes:
    """What is in the file. SecretFileError if it cannot be read, or others could read it too."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            # systemd opens its folder by an access list, which shows as a mode of the group.
            if mode & (stat.S_IRWXG | stat.S_IRWXO) and not _is_credential(path):
                raise SecretFileError(f"{path}: others may read it (mode {mode:04o}): chmod 600")
            return file.read()
    except OSError as error:
        raise SecretFileError(f"{path}: {error.strerror}") from None


def _is_credential(path: Path) -> bool:
    credentials = os.environ.get(CREDENTIALS)
    return bool(credentials) and path.parent == Path(str(credentials))
