"""`onecard sim bare`, `sim base` and `sim meal`: a bare simulated board, to its first meal."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import refuse, say


def sim_bare(
    folder: Annotated[Path, typer.Argument(help="A new folder for its flash chip.")],
    count: Annotated[int, typer.Option(min=1, help="So many, in FOLDER/1, FOLDER/2, ..")] = 1,
    first: Annotated[
        int, typer.Option(min=0, help="With several: the number of the first reader.")
    ] = 0,
) -> None:
    """Make bare simulated boards; onecard device speaks to sim://FOLDER.

    With --first a list for `onecard device provision --batch` is printed.
    """
    from secrets import token_bytes

    from simulator.board.served import make

    folders = [folder] if count == 1 and not first else [folder / str(n + 1) for n in range(count)]
    try:
        for each in folders:
            # A number that its maker could have given: one of its own, not of a group.
            make(each, bytes([0x02]) + token_bytes(5))
    except OSError as error:
        refuse(error)
    if not first:
        typer.echo("\n".join(f"sim://{each}" for each in folders))
        return
    rows = [f"sim://{each},{first + number}" for number, each in enumerate(folders)]
    typer.echo("\n".join(["port,device", *rows]))


def sim_base(file: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Write a base image for simulated boards, in the place of MicroPython for a chip."""
    from simulator.board.base_image import base_image

    try:
        file.write_bytes(base_image())
    except OSError as error:
        refuse(error)
    typer.echo(f"{file}: for simulated boards only")


def sim_meal(
    folder: Annotated[Path, typer.Argument(help="The folder of a board that is provisioned.")],
    cards: Annotated[Path, typer.Option(help="The card centre's key file, mode 0600.")],
    register: Annotated[Path, typer.Option(help="What onecard keys register has written.")],
) -> None:
    """Let a customer pay at a provisioned simulated board, with ledger, agent and brokers."""
    import tempfile

    from simulator.board.meal import NotAMeal, meal
    from simulator.cardbox import CardKeys
    from tools.card.errors import BadInput
    from tools.card.keyfile import load_keys
    from tools.device import ports, processes
    from tools.device.errors import DeviceError

    try:
        masters = load_keys(cards)
        with tempfile.TemporaryDirectory(prefix="onecard-files-") as name:
            with ports.opened(f"sim://{folder}") as port:
                processes.probe(port)
                processes.fetch(port, Path(name))
            keys = CardKeys(masters.purse_key, masters.credit_key, masters.mac_key)
            report = meal(folder, Path(name), keys, register, say)
    except (NotAMeal, BadInput, DeviceError, OSError) as error:
        refuse(error)
    from rich.console import Console

    Console().print(report)
    raise typer.Exit(report.exit_code)
