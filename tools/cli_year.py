"""`onecard sim year`: its arguments."""

from typing import Annotated

import typer

from tools.cli_options import refuse, say


def sim_year(
    cards: Annotated[int, typer.Option(min=1, help="Holders of a card.")] = 30_000,
    days: Annotated[int, typer.Option(min=1, help="From 1 September on.")] = 365,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same year.")] = 1,
    database: Annotated[
        str, typer.Option(help="New books: a file, or postgresql://...; else ones that go away.")
    ] = "",
) -> None:
    """Book a year of a campus; every account must be what the generator says, to the fen."""
    from ledger.dialect import StoreUnavailable
    from tools.year import NotEmpty, live

    try:
        year = live(cards, days, seed, database or None, say)
    except (NotEmpty, StoreUnavailable) as error:
        refuse(error)
    typer.echo(year.text())
    raise typer.Exit(0 if year.is_right else 1)
