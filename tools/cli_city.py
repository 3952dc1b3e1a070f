"""The city on the command line: onecard sim city."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, Json, refuse, say


def city(
    readers: Annotated[int, typer.Option(min=1, help="In districts of 1,000 at most.")] = 10_000,
    cards: Annotated[int, typer.Option(min=1, help="People with a card.")] = 300_000,
    days: Annotated[int, typer.Option(min=1, max=99, help="Virtual ones.")] = 7,
    seed: Annotated[int, typer.Option(min=0, help="Everything is drawn from it.")] = 1,
    district: Annotated[
        int | None, typer.Option(min=0, help="This one alone: what a failure names.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one per core.")] = 0,
    results: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder: what has ended is kept, and played no more."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Days of a city: real readers, agents and books by district, with outages at each lunch."""
    from tools.city import CityError, Options, play

    options = Options(readers, cards, days, seed, district, jobs, results)
    try:
        played = play(options, say)
    except CityError as error:
        refuse(error)
    typer.echo(played.to_json() if as_json else played.text())
    raise typer.Exit(EXIT_FAILED if played.violations else 0)
