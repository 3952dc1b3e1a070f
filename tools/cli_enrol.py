"""`onecard agent enrol`: which readers an agent takes, and on which link."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.cli_options import EXIT_FAILED, InputFile, refuse, say

if TYPE_CHECKING:
    from edge_agent.config import Config

enrol = typer.Typer(help="Which readers an agent takes, on which link.", no_args_is_help=True)

Person = Annotated[str, typer.Option("--by", help="Who, in a word of a-z, 0-9 and -.")]
Device = Annotated[int, typer.Option(min=1, max=0xFFFFFFFF, help="The reader's number.")]
Link = Annotated[str, typer.Option(help="'network' or a line's url; the one it waits on.")]


@enrol.command("list")
def enrol_list(config: InputFile) -> None:
    """List who waits to be admitted by the agent of CONFIG (exit code 1), and who is."""
    from tools.agent_enrol import EnrolRefused, show

    try:
        code, text = show(_loaded(config))
    except EnrolRefused as error:
        refuse(error)
    typer.echo(text)
    raise typer.Exit(code)


@enrol.command("open")
def enrol_open(
    config: InputFile,
    person: Person,
    minutes: Annotated[int, typer.Option(min=1, max=120, help="It closes by itself.")] = 10,
) -> None:
    """Have the agent of CONFIG take readers that it does not know, for some minutes."""
    _set_window(config, minutes, person)
    typer.echo(f"new readers are taken for {minutes} minutes")


@enrol.command("close")
def enrol_close(config: InputFile, person: Person) -> None:
    """End that before its time."""
    _set_window(config, 0, person)
    typer.echo("no new reader is taken")


@enrol.command("approve")
def enrol_approve(config: InputFile, device: Device, person: Person, link: Link = "") -> None:
    """Admit a reader on the link that it waits on, and on no other one any more."""
    from edge_agent.decisions import APPROVED

    _decide(config, APPROVED, device, link, person)


@enrol.command("deny")
def enrol_deny(config: InputFile, device: Device, person: Person, link: Link = "") -> None:
    """Turn a reader away on a link, also one that was admitted there; its records stay on it."""
    from edge_agent.decisions import DENIED

    _decide(config, DENIED, device, link, person)


def _loaded(config: Path) -> "Config":
    from edge_agent.config import ConfigError, load

    try:
        return load(str(config))
    except ConfigError as error:
        refuse(error)


def _set_window(config: Path, minutes: int, person: str) -> None:
    from tools.agent_enrol import EnrolRefused, set_window

    try:
        is_done = set_window(_loaded(config), minutes, person)
    except EnrolRefused as error:
        refuse(error)
    if not is_done:
        say("onecard: no agent has answered; one that starts later will not do it")
        raise typer.Exit(EXIT_FAILED)


def _decide(config: Path, act: str, device: int, link: str, person: str) -> None:
    from tools.agent_enrol import EnrolRefused, decide

    try:
        link = decide(_loaded(config), act, device, link, person)
    except EnrolRefused as error:
        refuse(error)
    typer.echo(f"reader {device} on {link}: {act}")
