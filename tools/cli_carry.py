"""Commands of `onecard ledger` that send money on its way to cards by themselves."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, LOGGED_IN, AfterHours, InputFile, refuse


def carry_over(database: InputFile, after_h: AfterHours = None) -> None:
    """Send on in DATABASE (SQLite) what is left of lost cards and due for the ones in their place.

    Their next tap online does it too: this only does it now. Again, it finds nothing.
    """
    import time

    from ledger.dialect import StoreUnavailable
    from tools.ledger_card import sweep
    from tools.ledger_forks import NotBooks

    try:
        typer.echo(sweep(database, after_h, int(time.time())))
    except (NotBooks, StoreUnavailable) as error:
        refuse(error)


def subsidy(
    database: InputFile,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    batch: Annotated[str, typer.Option(help="The name of the batch, for ever: 2026-11-canteen.")],
    by: Annotated[str, typer.Option("--by", help=f"Who books it. {LOGGED_IN}")] = "",
) -> None:
    """Book a batch of subsidies in DATABASE (SQLite): CSV with the columns card_no and amount.

    Amounts are in yuan (50.00). A line of a batch is booked once, however often this runs; a line
    that cannot be booked is told, and keeps no other from it.
    """
    import time

    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks
    from tools.ledger_subsidy import BadBatch, book

    try:
        said, refused = book(database, file, batch, by, int(time.time()))
    except (NotAllowed, NotBooks, BadBatch, StoreUnavailable) as error:
        refuse(error)
    typer.echo(said)
    raise typer.Exit(EXIT_FAILED if refused else 0)
