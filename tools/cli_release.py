"""Releases of firmware on the command line: onecard release build, key, sign, verify, first."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import refuse

release = typer.Typer(help="Firmware that is delivered over the air.", no_args_is_help=True)

ReleaseFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
KeyFile = Annotated[Path, typer.Option(exists=True, dir_okay=False, readable=True)]


@release.command("build")
def release_build(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    version: Annotated[int, typer.Option(min=2, max=0xFFFFFFFF)],
    program: Annotated[str, typer.Option(help="A main program of firmware/.")] = "main",
    after: Annotated[int, typer.Option(min=1, help="The lowest version that takes it.")] = 1,
) -> None:
    """Build this source as a release that nobody has signed."""
    from ledger.release_file import BadRelease
    from simulator.vm.image import CompileFailed
    from tools.release import told, write
    from tools.release_build import build

    try:
        made = build(program, version, after)
        write(file, made)
    except (BadRelease, CompileFailed, OSError) as error:
        refuse(error)
    typer.echo(told(made))


@release.command("key")
def release_key(file: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Make a key to sign releases with. It belongs on a machine without a network."""
    from tools.release import make_key

    try:
        public = make_key(file)
    except OSError as error:
        refuse(error)
    typer.echo(f"{file} is to be kept; {public} is for the ledger")


@release.command("sign")
def release_sign(file: ReleaseFile, key: KeyFile) -> None:
    """Add a signature to the release FILE."""
    from ledger.release_file import BadRelease
    from tools.release import sign, told

    try:
        typer.echo(told(sign(file, key)))
    except (BadRelease, OSError) as error:
        refuse(error)


@release.command("verify")
def release_verify(
    file: ReleaseFile,
    key: Annotated[list[Path], typer.Option(help="A public key that counts; more than once.")],
    needed: Annotated[int, typer.Option(min=1, help="So many have to have signed.")] = 1,
) -> None:
    """Say what the release FILE is; status 1 unless enough of the keys have signed it."""
    from ledger.release_file import BadRelease
    from tools.release import public_keys, read, told

    try:
        found = read(file)
        signers = found.signers(public_keys(key))
    except (BadRelease, OSError) as error:
        refuse(error)
    typer.echo(f"{told(found)}; {signers} of them by these keys")
    if signers < needed:
        raise typer.Exit(1)


@release.command("first")
def release_first(
    file: ReleaseFile,
    folder: Annotated[Path, typer.Argument(help="The folder to write to.")],
) -> None:
    """Write what a reader with two slots gets by cable: its first image, and its blob "slots"."""
    from ledger.release_file import BadRelease
    from tools.release import IMAGE, SLOTS, first, read, told

    try:
        found = read(file)
        first(found, folder)
    except (BadRelease, OSError) as error:
        refuse(error)
    typer.echo(f"{told(found)}: {folder / IMAGE}, {folder / SLOTS}")
