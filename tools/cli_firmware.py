"""Releases of firmware on the command line: onecard firmware build, key, sign, verify, package."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import refuse

firmware = typer.Typer(
    help="Releases of firmware: build, sign and verify them.", no_args_is_help=True
)

ReleaseFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
KeyFile = Annotated[Path, typer.Option(exists=True, dir_okay=False, readable=True)]


@firmware.command("build")
def firmware_build(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    version: Annotated[int, typer.Option(min=2, max=0xFFFFFFFF)],
    program: Annotated[str, typer.Option(help="A main program of firmware/.")] = "main",
    after: Annotated[int, typer.Option(min=1, help="The lowest version that takes it.")] = 1,
) -> None:
    """Build this source as a release that nobody has signed."""
    from ledger.release_file import BadRelease
    from simulator.vm.image import CompileFailed
    from tools.firmware.build import build
    from tools.firmware.release import told, write

    try:
        made = build(program, version, after)
        write(file, made)
    except (BadRelease, CompileFailed, OSError) as error:
        refuse(error)
    typer.echo(told(made))


@firmware.command("key")
def firmware_key(file: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Make a key to sign releases with. It belongs on a machine without a network."""
    from tools.firmware.release import make_key

    try:
        public = make_key(file)
    except OSError as error:
        refuse(error)
    typer.echo(f"{file} is to be kept; {public} is for the ledger")


@firmware.command("sign")
def firmware_sign(file: ReleaseFile, key: KeyFile) -> None:
    """Add a signature to the release FILE."""
    from ledger.release_file import BadRelease
    from tools.firmware.release import sign, told

    try:
        typer.echo(told(sign(file, key)))
    except (BadRelease, OSError) as error:
        refuse(error)


@firmware.command("verify")
def firmware_verify(
    file: ReleaseFile,
    key: Annotated[list[Path], typer.Option(help="A public key that counts; more than once.")],
    needed: Annotated[int, typer.Option(min=1, help="So many have to have signed.")] = 1,
) -> None:
    """Say what the release FILE is; status 1 unless enough of the keys have signed it."""
    from ledger.release_file import BadRelease
    from tools.firmware.release import public_keys, read, told

    try:
        found = read(file)
        signers = found.signers(public_keys(key))
    except (BadRelease, OSError) as error:
        refuse(error)
    typer.echo(f"{told(found)}; {signers} of them by these keys")
    if signers < needed:
        raise typer.Exit(1)


@firmware.command("package")
def firmware_package(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    program: Annotated[str, typer.Option(help="A main program of firmware/.")] = "main",
    version: Annotated[int, typer.Option(min=1, max=0xFFFFFFFF)] = 1,
) -> None:
    """Build this source for those who make their own firmware: package.json and manifest.py."""
    from ledger.release_file import BadRelease
    from simulator.vm.image import CompileFailed
    from tools.firmware.packages import write

    try:
        count = write(folder, program, version)
    except (BadRelease, CompileFailed, OSError) as error:
        refuse(error)
    typer.echo(f"{folder}: {program} {version}, {count} files, package.json and manifest.py")
