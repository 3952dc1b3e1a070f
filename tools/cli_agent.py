"""`onecard agent`: the edge agent of a building."""

import logging
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, LOG_FORMAT, InputFile, refuse

agent = typer.Typer(help="The edge agent of a building.", no_args_is_help=True)


@agent.command("run")
def agent_run(config: InputFile) -> None:
    """Run the edge agent that CONFIG (TOML) describes until it is told to stop."""
    from edge_agent.daemon import REFUSALS, run

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        run(str(config))
    except REFUSALS as error:
        refuse(error)


@agent.command("top")
def agent_top(
    config: InputFile,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
) -> None:
    """Show what the agent of CONFIG sees, every second: links, disk, readers."""
    from edge_agent.config import ConfigError, load
    from tools.agent_top import NothingToSee, top

    try:
        top(load(str(config)), once=once)
    except (ConfigError, NothingToSee) as error:
        refuse(error)


@agent.command("doctor")
def agent_doctor(config: InputFile) -> None:
    """Look what is wrong with the box of CONFIG's agent; exit code 1 if anything is."""
    from edge_agent.config import ConfigError, load
    from edge_agent.doctor import WRONG, examine

    try:
        loaded = load(str(config))
    except ConfigError as error:
        refuse(error)
    is_wrong = False
    for finding in examine(loaded):
        is_wrong |= finding.level == WRONG
        typer.echo(f"{finding.level:5}  {finding.about}: {finding.text}")
        if finding.action:
            typer.echo(f"       -> {finding.action}")
    raise typer.Exit(EXIT_FAILED if is_wrong else 0)
