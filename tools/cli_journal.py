"""`onecard journal`: a reader's journal as evidence: take it, look at it, judge it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, InputFile, Json, refuse, say
from tools.cli_provision import BoardName

journal = typer.Typer(
    help="Journals of readers: taken, shown, verified, followed, replayed.", no_args_is_help=True
)
KeyFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--key",
        exists=True,
        dir_okay=False,
        readable=True,
        help="The device's key, 64 hexadecimal digits: verifies the seals. The oldest first.",
    ),
]
Kit = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="In its place: the kit of the reader's site."),
]
Device = Annotated[int | None, typer.Option("--device", min=1, help="Whose journal it should be.")]
Cards = Annotated[
    bool, typer.Option("--card-numbers", help="Show numbers of cards; otherwise masked.")
]


@journal.command("pull")
def journal_pull(
    out: Annotated[Path, typer.Argument(help="The new file: the journal and where it is from.")],
    port: Annotated[
        str, typer.Option(help="/dev/ttyUSB0, rfc2217://HOST:PORT, sim://FOLDER.")
    ] = "",
    rom: Annotated[
        bool, typer.Option("--rom", help="By the chip's ROM: no program of it answers.")
    ] = False,
    board: Annotated[BoardName, typer.Option(help="With --rom: which board it is.")] = (
        BoardName.ESP32_8MB
    ),
    dump: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="In its place: what was read off a chip."),
    ] = None,
    at: Annotated[
        str, typer.Option(help="With --dump: where the journal begins, 0x300000, if known.")
    ] = "",
    size: Annotated[str, typer.Option(help="With --at: its bytes, 0x4e0000.")] = "",
    by: Annotated[str, typer.Option(help="Who takes it.")] = "",
    note: Annotated[str, typer.Option(help="What for: a case, a place.")] = "",
) -> None:
    """Take a reader's journal into the file OUT; nothing is ever written to the reader.

    Broken off in the middle, the same command goes on from OUT.part. Exit code 1: sectors are
    missing, because the dump is cut short; what is there is in OUT.
    """
    from tools.journal import capture as captures
    from tools.journal import pull

    if bool(port) == bool(dump):
        refuse("either --port or --dump")
    if out.exists():
        refuse(f"{out}: is there already")
    who, part = {"by": by, "note": note}, out.with_name(out.name + ".part")
    with _refusing():
        if dump is not None:
            taken = pull.from_dump(dump, _number(at, "--at"), _number(size, "--size") or 0, who)
        elif rom:
            taken = pull.from_rom(port, board.value, who)
        else:
            taken = pull.from_console(port, part, who, say)
        digest = captures.write(out, taken)
        part.unlink(missing_ok=True)
    place = taken.place
    where = "" if place.start is None else f" at 0x{place.start:x}"
    typer.echo(f"{out}: {place.size} bytes{where} ({place.how}), sha256 of the file {digest}")
    if taken.source.get("read_again"):
        typer.echo(f"it was written to meanwhile: {taken.source['read_again']} sectors read again")
    if taken.missing:
        typer.echo(f"cut short: {len(taken.missing)} of its sectors are missing")
        raise typer.Exit(EXIT_FAILED)


@journal.command("show")
def journal_show(
    file: InputFile,
    key: KeyFiles = None,
    kit: Kit = None,
    device: Device = None,
    cards: Cards = False,
) -> None:
    """Print the records of a journal FILE: what `pull` has taken, an image, a flash dump."""
    from tools.journal.show import show

    with _refusing():
        keys = _keys(file, key, kit, device)
    raise typer.Exit(show(file, keys, masks=not cards))


@journal.command("verify")
def journal_verify(
    file: InputFile,
    key: KeyFiles = None,
    kit: Kit = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Judge a journal FILE and name its first broken link; exit code 1 if there is one."""
    from tools.journal.capture import load
    from tools.journal.verify import verify
    from tools.journal.words import fact
    from tools.journal.words import lines_of_verdict as lines

    with _refusing():
        capture = load(file)
        verdict = verify(capture, _keys(file, key, kit, device), device)
    if as_json:
        facts = {"device": verdict.device, "records": verdict.records, "sealed": verdict.sealed}
        facts |= {"sha256": capture.sha256, "has_key": verdict.has_key}
        facts |= {"findings": [fact(one, capture) for one in verdict.findings]}
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        typer.echo("\n".join(lines(capture, verdict)))
    raise typer.Exit(EXIT_FAILED if verdict.breaks else 0)


def _keys(
    file: Path, files: list[Path] | None, kit: Path | None, device: int | None
) -> list[bytes]:
    from tools.journal.capture import load
    from tools.journal.keys import keys_of
    from tools.journal.verify import device_of

    if kit is not None and device is None:
        device = device_of(load(file))
    return keys_of(files or [], kit, device)


def _number(text: str, option: str) -> int | None:
    try:
        return int(text, 0) if text else None
    except ValueError:
        refuse(f"{option} {text}: a number is needed, as 0x300000")


@contextmanager
def _refusing() -> Iterator[None]:
    from tools.device.errors import DeviceError
    from tools.journal.image import NotAJournal
    from tools.journal.keys import BadKey
    from tools.journal.part import OtherReader
    from tools.journal.pull import NeverStill
    from tools.keys.vault import KeysError

    try:
        yield
    except (
        DeviceError,
        NotAJournal,
        BadKey,
        OtherReader,
        NeverStill,
        KeysError,
        OSError,
    ) as error:
        refuse(error)
