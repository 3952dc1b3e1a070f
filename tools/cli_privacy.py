"""`onecard ledger person` and `retention`: personal data, masked by default, and its end."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, refuse

person = typer.Typer(help="What the books have of persons.", no_args_is_help=True)

By = Annotated[str, typer.Option("--by", help=f"Who asks. {LOGGED_IN}")]


def _say(what: Callable[[], str]) -> None:
    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks
    from tools.ledger_lives import BadInput

    try:
        typer.echo(what())
    except (NotBooks, NotAllowed, StoreUnavailable, BadInput) as error:
        refuse(error)


def _now_s() -> int:
    return int(time.time())


@person.command("show")
def person_show(
    database: InputFile,
    card_no: Annotated[int, typer.Option("--card", min=0, help="The card's number.")],
    because: Annotated[str, typer.Option(help="Why it is needed unmasked; this is kept.")] = "",
    by: By = "",
) -> None:
    """Say whose a card of DATABASE is; the number is masked, unless --because says why not."""
    from tools.ledger_privacy import show

    _say(lambda: show(database, card_no, because, by, _now_s()))


@person.command("export")
def person_export(
    database: InputFile,
    out: Annotated[Path, typer.Option(help="Where it is written, for its owner alone.")],
    because: Annotated[str, typer.Option(help="Why: this is kept.")],
    by: By = "",
) -> None:
    """Write all that DATABASE has of a person as JSON. Their number comes from standard input."""
    from tools.ledger_privacy import export

    person_no = sys.stdin.readline().strip()
    _say(lambda: export(database, person_no, out, because, by, _now_s()))


def retention(
    database: InputFile,
    do: Annotated[
        bool, typer.Option("--do", help="Blank it; without: say what would be.")
    ] = False,
    by: By = "",
) -> None:
    """Say what of persons in DATABASE has been kept long enough; with --do it is blanked."""
    from tools.ledger_privacy import blank

    _say(lambda: blank(database, do, by, _now_s()))
