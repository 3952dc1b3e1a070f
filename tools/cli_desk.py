"""`onecard sim desk`: a campus in the browser; `onecard sim board`: a board to plug into it."""

import sys
import tempfile
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
    board: Annotated[
        list[str] | None,
        typer.Option(
            "--board",
            metavar="READER=PORT",
            help="It is a real board: /dev/ttyUSB0, socket://host:port, rfc2217://host:port.",
        ),
    ] = None,
    board_files: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write what boards and cards are set up with."),
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
    boards = dict(_board(one) for one in board or ())
    try:
        if board_files is not None:
            from simulator.desk.board_files import leave

            say(leave(file or CAMPUS, seed, boards, board_files))
        path = file or CAMPUS
        text = path.read_text(encoding="utf-8") if devices is None else campus_of(devices)
        homes = {"in_vm": vm or (), "boards": boards}
        serve(text, path, port=port, seed=seed, **homes, opens=open_browser, say=say)
    except (ScenarioError, VmMissing, ValueError) as error:
        refuse(error)
    except OSError as error:
        refuse(f"port {port}: {error.strerror}")


def sim_board(
    reader: Annotated[str, typer.Argument(help="Which reader of the scenario it is.")],
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="A scenario of your own."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="That of the desk.")] = None,
    link: Annotated[
        Path | None, typer.Option(help="A name for its port that stays, as /dev/ttyUSB0 is.")
    ] = None,
    register: Annotated[
        Path | None,
        typer.Option(help="Write here what a ledger's register says of it and of its cards."),
    ] = None,
) -> None:
    """A board for who has none: real MicroPython behind a serial port. Type help for its hands."""
    from simulator.desk.board_files import write_secret
    from simulator.desk.lone_board import LoneBoard
    from simulator.desk.lone_hands import Hands
    from simulator.desk.server import CAMPUS
    from simulator.homes import Images
    from simulator.scenario import ScenarioError
    from simulator.vm.bridge import VmMissing

    path = file or CAMPUS
    if link is not None and link.exists() and not link.is_symlink():
        refuse(f"{link}: is there already, and no link")
    with tempfile.TemporaryDirectory(prefix="onecard-images-") as folder:
        try:
            text, images = path.read_text(encoding="utf-8"), Images(Path(folder))
            board = LoneBoard(text, path, reader, images, seed=seed, link=link)
            if register is not None:
                write_secret(register, board.register.encode())
        except (ScenarioError, VmMissing) as error:
            refuse(error)
        except OSError as error:
            refuse(f"{error.filename}: {error.strerror}")
        say(f"{reader} is at {board.tap.path}: onecard sim desk --board {reader}={board.tap.path}")
        Hands(board, say).serve(sys.stdin.fileno())


def _board(text: str) -> tuple[str, str]:
    """Of READER=PORT."""
    name, is_one, url = text.partition("=")
    if not (name and is_one and url):
        refuse(f"--board {text}: READER=PORT is needed, as in pos-1=/dev/ttyUSB0")
    return name, url
