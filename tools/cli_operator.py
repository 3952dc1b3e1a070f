"""`onecard ledger operator`: who works with the books, what they may, and what they have done.

A password is asked for, or read from standard input: no history of a shell and no `ps` has it.
"""

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from getpass import getpass
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, refuse

operator = typer.Typer(help="Who works with the books, and may what (R4).", no_args_is_help=True)

_LINE_CHARS_MAX = 300


class Verb(StrEnum):
    """What two administrators may do together."""

    ENROL = "enrol"
    CHANGE = "change"
    RESET = "reset"


Login = Annotated[str, typer.Argument(help="The login: a word of a-z, 0-9 and -.")]
By = Annotated[str, typer.Option("--by", help=f"Who does it. {LOGGED_IN}")]


def _say(what: Callable[[], str]) -> None:
    from ledger.dialect import StoreUnavailable
    from ledger.marks import OtherMark
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks

    try:
        typer.echo(what())
    except (NotBooks, NotAllowed, OtherMark, StoreUnavailable, OSError) as error:
        refuse(error)


def _secret(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass(f"{prompt}: ")
    return sys.stdin.readline(_LINE_CHARS_MAX).rstrip("\r\n")


def _now_s() -> int:
    return int(time.time())


@operator.command("found")
def operator_found(database: InputFile, first: Login, second: Login) -> None:
    """Make the first two administrators of DATABASE, once; from then on no name is typed.

    Prints a first password for each, which serves to choose another within three days.
    """
    from tools.ledger_operator import found

    _say(lambda: found(database, (first, second), _now_s()))


@operator.command("propose")
def operator_propose(
    database: InputFile,
    verb: Annotated[Verb, typer.Argument(help="enrol, change (roles), reset (the password).")],
    login: Login,
    department: Annotated[str, typer.Option(help="Where they work; reset: none.")] = "",
    role: Annotated[list[str] | None, typer.Option(help="What they may; may be repeated.")] = None,
    by: By = "",
) -> None:
    """Propose who may work with the books; another administrator has to approve it."""
    from ledger.operators import Wanted
    from tools.ledger_operator import propose

    wanted = Wanted(verb.value, login, department, tuple(role or ()))
    _say(lambda: propose(database, wanted, by, _now_s()))


@operator.command("approve")
def operator_approve(
    database: InputFile,
    number: Annotated[int, typer.Option("--proposal", min=1, help="As `list` prints it.")],
    mark: Annotated[str, typer.Option(help="Of the proposal, as `list` prints it.")] = "",
    by: By = "",
) -> None:
    """Do what another administrator has proposed; prints a first password, once."""
    from tools.ledger_operator import approve

    _say(lambda: approve(database, number, mark, by, _now_s()))


@operator.command("disable")
def operator_disable(database: InputFile, login: Login, by: By = "") -> None:
    """Let somebody in no more, at once; a reset by two lets them in again."""
    from tools.ledger_operator import alone

    _say(lambda: alone(database, "disable", login, by, _now_s()))


@operator.command("unlock")
def operator_unlock(database: InputFile, login: Login, by: By = "") -> None:
    """End a lock-out before its time."""
    from tools.ledger_operator import alone

    _say(lambda: alone(database, "unlock", login, by, _now_s()))


@operator.command("password")
def operator_password(database: InputFile, login: Login) -> None:
    """Choose another password. From standard input: the one before, then the new one."""
    from tools.ledger_operator import set_password

    old, new = _secret("password"), _secret("new password, of 12 characters at least")
    if sys.stdin.isatty() and getpass("once more: ") != new:
        refuse("not the same password twice")
    _say(lambda: set_password(database, login, old, new, _now_s()))


@operator.command("login")
def operator_login(database: InputFile, login: Login) -> None:
    """Log in here: what is signed from now on, for eight hours at most, is signed by LOGIN.

    The password comes from standard input. The session is in a file that only you read:
    $ONECARD_SESSION, or ~/.config/onecard/session.
    """
    from tools.ledger_operator import log_in

    password = _secret("password")
    _say(lambda: log_in(database, login, password, _now_s()))


@operator.command("logout")
def operator_logout(database: InputFile) -> None:
    """End the session of this terminal."""
    from tools.ledger_operator import log_out

    _say(lambda: log_out(database))


@operator.command("list")
def operator_list(database: InputFile) -> None:
    """List everybody with department and roles, and what waits for another administrator."""
    from tools.ledger_operator import listed

    _say(lambda: listed(database, _now_s()))


@operator.command("acts")
def operator_acts(
    database: InputFile,
    behind: Annotated[int, typer.Option("--after", min=0, help="Behind the act so numbered.")] = 0,
) -> None:
    """Print who has said what, on what, with what shown; and what was refused."""
    from tools.ledger_operator import told

    _say(lambda: told(database, behind))


@operator.command("matrix")
def operator_matrix() -> None:
    """Print which roles may say what; docs/people.md has it as a table."""
    from tools.ledger_operator import matrix

    typer.echo("\n".join(matrix()))
