"""The residence on the command line: onecard sim residence."""

from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, Json, refuse, say


def residence(
    doors: Annotated[
        int, typer.Option(min=1, max=2000, help="In buildings of ten at most.")
    ] = 200,
    locks: Annotated[
        int, typer.Option(min=0, max=5000, help="Of rooms, shared out over the buildings.")
    ] = 0,
    days: Annotated[int, typer.Option(min=1, max=99, help="Virtual ones.")] = 14,
    seed: Annotated[int, typer.Option(min=0, help="Everything is drawn from it.")] = 1,
    building: Annotated[
        int | None, typer.Option(min=0, help="This one alone: what a failure names.")
    ] = None,
    rate: Annotated[
        int, typer.Option(min=0, help="Faults that strike a door in a thousand days.")
    ] = 1500,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one per core.")] = 0,
    as_json: Json = False,
) -> None:
    """Doors of a dormitory for days, with people and random faults; look whether all held."""
    from tools.residence import Options, ResidenceError, play, to_json, to_text

    options = Options(doors, days, seed, building, rate, jobs, locks)
    try:
        total = play(options, None if as_json else say)
    except ResidenceError as error:
        refuse(error)
    typer.echo(to_json(options, total) if as_json else to_text(options, total))
    raise typer.Exit(EXIT_FAILED if total.failed else 0)
