"""`onecard sim year` and `onecard sim months`: their arguments."""

from typing import Annotated

import typer

from tools.cli_options import refuse, say

_NewBooks = Annotated[
    str, typer.Option(help="New books: a file, or postgresql://...; else ones that go away.")
]


def sim_year(
    cards: Annotated[int, typer.Option(min=1, help="Holders of a card.")] = 30_000,
    days: Annotated[int, typer.Option(min=1, help="From 1 September on.")] = 365,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same year.")] = 1,
    database: _NewBooks = "",
) -> None:
    """Book a year of a campus; every account must be what the generator says, to the fen."""
    from ledger.dialect import StoreUnavailable
    from tools.new_books import NotEmpty
    from tools.year import live

    try:
        year = live(cards, days, seed, database or None, say)
    except (NotEmpty, StoreUnavailable) as error:
        refuse(error)
    typer.echo(year.text())
    raise typer.Exit(0 if year.is_right else 1)


def sim_months(
    cards: Annotated[int, typer.Option(min=1, help="Holders of a card.")] = 1_000,
    months: Annotated[int, typer.Option(min=1, max=10, help="Of 30 days.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same months.")] = 1,
    database: _NewBooks = "",
) -> None:
    """Book, close, approve and pay months of a campus; all must be what its generator says."""
    from ledger.dialect import StoreUnavailable
    from tools.months import live
    from tools.new_books import NotEmpty

    try:
        found = live(cards, months, seed, database or None, say)
    except (NotEmpty, StoreUnavailable) as error:
        refuse(error)
    typer.echo(found.text())
    raise typer.Exit(0 if found.is_right else 1)
