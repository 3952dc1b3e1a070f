"""Which program this is: what a result names that outlasts it."""

import subprocess
from pathlib import Path

from tools.rooms import ROOMS, ROOT


def commit_now() -> str:
    """The commit of this program, with "+" behind it if files differ from it; "" if unknown.

    Unknown too where it is installed inside of a repository that is another program's.
    """
    said = [
        _git("rev-parse", "--show-toplevel"),
        _git("rev-parse", "--short=12", "HEAD"),
        _git("status", "--porcelain", "--untracked-files=no"),
        _git("ls-files", "--others", "--exclude-standard", "--", *ROOMS, "tests"),
    ]
    top, commit, *changed = said
    if top is None or commit is None or None in changed or Path(top.rstrip("\n")) != ROOT:
        return ""
    return commit.strip() + ("+" if any(changed) else "")


def _git(*words: str) -> str | None:
    try:
        command = ["git", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
