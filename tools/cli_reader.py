"""What belongs to one reader on the command line: onecard reader settings, onecard reader menu."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import InputFile, refuse

reader = typer.Typer(help="Settings and menu of a reader.", no_args_is_help=True)


@reader.command("settings")
def reader_settings(
    file: InputFile,
    out: Annotated[
        Path | None, typer.Option(help="Write what the reader takes, mode 0600.")
    ] = None,
) -> None:
    """Check a reader's settings FILE (TOML): file, line and reason of what is wrong."""
    from tools.reader_settings import BadSettings, read

    try:
        blob = read(file)
        _write(out, blob)
    except (BadSettings, OSError) as error:
        refuse(error)
    typer.echo(f"{file}: in order, {len(blob)} bytes")


@reader.command("menu")
def reader_menu(
    file: InputFile,
    out: Annotated[Path | None, typer.Option(help="Write what the reader takes.")] = None,
) -> None:
    """Check a price list with its meal periods (TOML): file, line and reason of what is wrong."""
    from tools.reader_menu import BadMenu, read, told

    try:
        blob = read(file)
        _write(out, blob)
    except (BadMenu, OSError) as error:
        refuse(error)
    typer.echo(f"{file}: in order, {told(blob)}, {len(blob)} bytes")


def _write(out: Path | None, blob: bytes) -> None:
    """A new file that nobody else may read; OSError if there is one."""
    if out is not None:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as target:
            target.write(blob)
