"""`onecard sim desk`: a campus in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import refuse, say


def sim_desk(
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="A scenario of your own."),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(metavar="COUNT", help="The campus with so many, 2,000 at most."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8010,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of its own seed.")] = None,
    vm: Annotated[
        list[str] | None,
        typer.Option("--vm", metavar="READER", help="Its firmware runs in a real MicroPython."),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="A browser too.")] = True,
) -> None:
    """A campus on the table, in a browser on this machine: pull its plugs, lose its cards."""
    from simulator.desk.many import CAMPUS, campus_of
    from simulator.desk.serve import serve
    from simulator.scenario import ScenarioError
    from simulator.vm.bridge import VmMissing

    if file is not None and devices is not None:
        refuse("--devices makes a campus, FILE is one")
    try:
        path = file or CAMPUS
        text = path.read_text(encoding="utf-8") if devices is None else campus_of(devices)
        options = {"port": port, "seed": seed, "in_vm": vm or (), "opens": open_browser}
        serve(text, path, say=say, **options)
    except (ScenarioError, VmMissing, ValueError) as error:
        refuse(error)
    except OSError as error:
        refuse(f"port {port}: {error.strerror}")
