"""`onecard agent`: the edge agent of a building."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_enrol import enrol
from tools.cli_options import EXIT_FAILED, LOG_FORMAT, InputFile, refuse

agent = typer.Typer(help="The edge agent of a building.", no_args_is_help=True)
agent.add_typer(enrol, name="enrol")


@agent.command("run")
def agent_run(
    config: InputFile,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Do as `check` does, and end."),
    ] = False,
) -> None:
    """Run the edge agent that CONFIG (TOML) describes until it is told to stop."""
    from edge_agent.daemon import REFUSALS, run

    if print_config:
        agent_check(config)
        return
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


@agent.command("status")
def agent_status(
    config: InputFile,
    device: Annotated[int | None, typer.Option(min=1, help="Of this reader only.")] = None,
) -> None:
    """Print what the agent of CONFIG sees as JSON: links, disk, readers."""
    from edge_agent.config import ConfigError, load
    from tools.agent_top import NothingToSee, status

    try:
        typer.echo(status(load(str(config)), device))
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


@agent.command("check")
def agent_check(config: InputFile) -> None:
    """Check CONFIG as `run` would, and print all that holds, with who has said it."""
    from edge_agent.config import ConfigError, load_from, read, spelled_out

    try:
        source = read(str(config))
        typer.echo(spelled_out(source, load_from(source, str(config))), nl=False)
    except ConfigError as error:
        refuse(error)


@agent.command("backup")
def agent_backup(config: InputFile, out: Path) -> None:
    """Write CONFIG, what it names and the agent's data to OUT, beside a running agent too."""
    from edge_agent.backup import BackupError, back_up
    from edge_agent.config import ConfigError, load_from, read

    try:
        source = read(str(config))
        names = back_up(config, load_from(source, str(config)), source.table, out)
    except (ConfigError, BackupError, OSError) as error:
        refuse(error)
    typer.echo(f"{out}: {', '.join(names)}. It holds secrets: keep it as you keep keys.")


@agent.command("restore")
def agent_restore(backup: InputFile, into: Path) -> None:
    """Unpack BACKUP into the empty folder INTO: a box that readers take for the one before.

    It admits whom the old one did then: who was denied or moved since has to be said again.
    """
    from edge_agent.backup import BackupError, admitted, restore

    try:
        names = restore(backup, into)
        count = admitted(into)
    except (BackupError, OSError) as error:
        refuse(error)
    typer.echo(f"{into}: {', '.join(names)}")
    if count is not None:
        typer.echo(
            f"It admits {count} readers, as of the backup: before it runs, say again who was"
            " denied or moved since (onecard agent enrol list, deny, approve)."
        )
