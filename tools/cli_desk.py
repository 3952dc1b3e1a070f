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
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8010,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of its own seed.")] = None,
    vm: Annotated[
        list[str] | None,
        typer.Option("--vm", metavar="READER", help="Its firmware runs in a real MicroPython."),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="A browser too.")] = True,
) -> None:
    """A campus on the table, in a browser on this machine: pull its plugs, lose its cards."""
    from simulator.desk.serve import serve
    from simulator.desk.server import CAMPUS
    from simulator.scenario import ScenarioError
    from simulator.vm.bridge import VmMissing

    try:
        serve(file or CAMPUS, port=port, seed=seed, in_vm=vm or (), opens=open_browser, say=say)
    except (ScenarioError, VmMissing) as error:
        refuse(error)
    except OSError as error:
        refuse(f"port {port}: {error.strerror}")
