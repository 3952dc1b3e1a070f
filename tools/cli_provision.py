"""`onecard device`: a board on a cable becomes a reader; who it is, and what ails it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tools.cli_options import EXIT_FAILED, Json, refuse, say

if TYPE_CHECKING:
    from ledger.release_file import Release as FirmwareRelease

device = typer.Typer(
    help="Boards on a cable: flash, provision, show, apply settings, find what is wrong.",
    no_args_is_help=True,
)

Port = Annotated[str, typer.Option(help="/dev/ttyUSB0, rfc2217://HOST:PORT, sim://FOLDER.")]
Kit = Annotated[Path, typer.Option(help="The kit of its site: onecard keys export site.")]
Settings = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="TOML: what its kit does not say.")
]
Tls = Annotated[
    Path | None, typer.Option(help="The folder that `onecard ca issue` has made for it.")
]
Store = Annotated[
    list[str] | None, typer.Option(help="NAME=FILE: a further blob, as wifi_ssid; repeatable.")
]
LoseJournal = Annotated[
    bool, typer.Option("--lose-journal", help="Records of another reader on it may go.")
]
Base = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="MicroPython for this board.")
]


Release = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="A signed release, its program.")
]
LogFile = Annotated[
    Path, typer.Option(help="Which board has which number; a batch goes on by it.")
]
Register = Annotated[
    list[Path] | None,
    typer.Option(help="The ledger's register, or a part of it; repeatable: no number is another."),
]
Elsewhere = Annotated[
    list[Path] | None,
    typer.Option(help="A copy of another station's log; repeatable: its numbers are given."),
]


PROVISIONED = Path("provisioned.jsonl")


class BoardName(StrEnum):
    """Boards whose flash we know how to divide."""

    ESP32_8MB = "esp32-8mb"
    ESP32_4MB = "esp32-4mb"
    ESP32S3_8MB = "esp32s3-8mb"


class Role(StrEnum):
    """What a reader does."""

    POS = "pos"
    DOOR = "door"
    LOCK = "lock"
    ATTENDANCE = "attendance"
    KIOSK = "kiosk"
    IDENTITY = "identity"


class Link(StrEnum):
    """What it hangs on."""

    NETWORK = "network"
    TLS = "tls"
    SERIAL = "serial"
    USB = "usb"


Board = Annotated[BoardName, typer.Option(help="Which board it is.")]
RoleOption = Annotated[Role, typer.Option(help="What the reader does.")]


@device.command("ports")
def device_ports() -> None:
    """List the serial ports of this machine."""
    from tools.device.ports import listed

    for name, about in listed():
        typer.echo(f"{name}  {about}")


@device.command("flash")
def device_flash(
    port: Port,
    base: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="MicroPython for it.")],
    board: Board = BoardName.ESP32_8MB,
    lose_journal: LoseJournal = False,
) -> None:
    """Write MicroPython and our partition table; a journal that is there stays."""
    from tools.device import work

    with _refusing():
        work.flash(port, board.value, base, lose_journal=lose_journal)
    typer.echo(f"{port}: flashed and compared; now: onecard device provision")


@device.command("provision")
def device_provision(
    role: RoleOption,
    kit: Kit,
    settings: Settings,
    port: Annotated[str, typer.Option(help="One board, with --device.")] = "",
    number: Annotated[int, typer.Option("--device", min=0, help="Its number.")] = 0,
    batch: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="CSV: port,device.")
    ] = None,
    release: Release = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="A public key that counts for it; more than once.")
    ] = None,
    needed: Annotated[int, typer.Option(min=1, help="So many keys have to have signed it.")] = 1,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="In its place this source, as it stands here.")
    ] = False,
    link: Annotated[Link | None, typer.Option(help="With --unsigned: what it hangs on.")] = None,
    codes: Annotated[
        bool, typer.Option("--codes", help="With --unsigned: it has a scanner for codes.")
    ] = False,
    log: LogFile = PROVISIONED,
    elsewhere: Elsewhere = None,
    register: Register = None,
    tls: Tls = None,
    store: Store = None,
    base: Base = None,
    board: Board = BoardName.ESP32_8MB,
    replace: Annotated[
        bool, typer.Option("--replace", help="Another board takes over a number never in use.")
    ] = False,
    lose_journal: LoseJournal = False,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Boards at a time.")] = 1,
) -> None:
    """Make a reader of a board, or of many: program, number, keys, settings; all read back.

    The program is a release that enough of the keys have signed, and never older than the board's.
    With --base the board is flashed first if there is no MicroPython with our partitions on it.
    Exit code 1: boards of the batch are left; run it again.
    """
    from tools.device import work

    with _refusing():
        program = (link.value if link else "", codes) if unsigned else None
        puts = _puts(role, release, key or [], needed, program)
        stored = work.stored(tls, store or [])
        order = work.Order(role.value, kit, settings, stored, puts, register or ())
        chosen = work.chosen(batch, port, number)
        flashing = (board.value, base) if base else None
        flags = {"replace": replace, "lose_journal": lose_journal}
        started_s = time.monotonic()
        logs = log, elsewhere or ()
        result = work.provision(order, chosen, logs, flashing, flags, say, jobs)
    took_s = time.monotonic() - started_s
    failed = f", {len(result.failed)} failed" if result.failed else ""
    typer.echo(f"{result.done} done, {result.before} before{failed}; {took_s:.1f} s")
    raise typer.Exit(EXIT_FAILED if result.failed else 0)


@device.command("show")
def device_show(
    port: Port,
    kit: Annotated[
        Path | None, typer.Option(help="To say whether its key is of this kit.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print who a reader is, without its keys."""
    import json

    from tools.device import work

    with _refusing():
        facts = work.shown(port, kit)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name:24} {value}")


@device.command("apply")
def device_apply(
    port: Port,
    role: RoleOption,
    kit: Kit,
    settings: Settings,
    tls: Tls = None,
    store: Store = None,
    log: LogFile = PROVISIONED,
    register: Register = None,
) -> None:
    """Give a reader that is provisioned other settings, or its next keys; read back."""
    from tools.device import work

    with _refusing():
        stored = work.stored(tls, store or [])
        order = work.Order(role.value, kit, settings, stored, register=register or ())
        whose = work.apply(order, port, log)
    typer.echo(f"{port}: {whose} has them")


@device.command("doctor")
def device_doctor(
    port: Port,
    kit: Annotated[
        Path | None, typer.Option(help="To say whether its key is of this kit.")
    ] = None,
) -> None:
    """Look for what is wrong with a board; exit code 1 if something is."""
    from tools.device import work

    with _refusing():
        found = work.examined(port, kit)
    for is_good, text in found:
        typer.echo(f"{'ok   ' if is_good else 'WRONG'} {text}")
    raise typer.Exit(0 if all(is_good for is_good, _ in found) else EXIT_FAILED)


def _puts(
    role: Role, file: Path | None, keys: list[Path], needed: int, source: tuple[str, bool] | None
) -> "FirmwareRelease":
    """What is put: the release in `file`, or of this source the program on a link, with codes."""
    from tools.device import work
    from tools.firmware.build import as_it_stands

    if (file is None) == (source is None) or (file and not keys):
        raise work.BadOrder("what it is to run: --release FILE --key PUBLIC, or --unsigned")
    if file is not None:
        return work.signed(file, keys, needed, role.value)
    link, codes = source or ("", False)
    return as_it_stands(work.program_of(role.value, link or Link.NETWORK.value, codes))


@contextmanager
def _refusing() -> Iterator[None]:
    from ledger.release_file import BadRelease
    from simulator.vm.image import CompileFailed
    from tools.device import batch, flash, log, provision, registered, work
    from tools.device.errors import DeviceError
    from tools.keys.vault import KeysError
    from tools.reader_settings import BadSettings

    known: tuple[Any, ...] = (DeviceError, KeysError, BadSettings, CompileFailed, OSError)
    known += (
        BadRelease,
        log.BadLog,
        batch.BadBatch,
        flash.BadImage,
        provision.NoReadKey,
        registered.BadRegister,
        work.BadOrder,
    )
    try:
        yield
    except known as error:
        refuse(error)
