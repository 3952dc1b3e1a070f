"""`onecard journal`: a reader's journal as evidence: take it, look at it, judge it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.cli_options import EXIT_FAILED, InputFile, Json, refuse, say
from tools.cli_provision import BoardName

if TYPE_CHECKING:
    from tools.journal.trace import Step

journal = typer.Typer(
    help="Journals of readers: taken, shown, judged, handed in, followed, replayed.",
    no_args_is_help=True,
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
NUMBER_MAX = 0xFFFFFFFF
Unmasked = Annotated[
    bool, typer.Option("--unmasked", help="Show numbers of cards, and who signed.")
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
        if port and not rom:
            part.unlink(missing_ok=True)  # all of it is in OUT; of another way this is not said
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
    unmasked: Unmasked = False,
) -> None:
    """Print the records of a journal FILE: what `pull` has taken, an image, a flash dump."""
    from tools.journal.show import show

    with _refusing():
        keys = _keys(file, key, kit, device)
    raise typer.Exit(show(file, keys, masks=not unmasked))


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


@journal.command("collect")
def journal_collect(
    file: InputFile,
    books: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="The ledger's database, or ledger.toml."),
    ],
) -> None:
    """Bring into the books what a dead reader had not uploaded: its journal FILE, as pulled.

    May run beside the ledger, and be given again. Exit code 1: the books do not have all of it.
    """
    from ledger.dialect import StoreUnavailable
    from tools.journal.capture import load
    from tools.journal.collect import NotCollected, collect, lines_of
    from tools.session import written

    with _refusing():
        try:
            with written(books) as store:
                found = collect(load(file), store)
        except (NotCollected, StoreUnavailable) as error:
            refuse(error)
    typer.echo("\n".join(lines_of(found)))
    raise typer.Exit(0 if found.is_whole else EXIT_FAILED)


@journal.command("trace")
def journal_trace(
    record: Annotated[str, typer.Argument(help="READER/RECORD of the tap, as 1001/17.")] = "",
    card: Annotated[
        int | None,
        typer.Option(min=0, max=NUMBER_MAX, help="In its place: a card, and --counter."),
    ] = None,
    counter: Annotated[
        int | None, typer.Option(min=0, max=NUMBER_MAX, help="The card's counter at the tap.")
    ] = None,
    transfer: Annotated[
        str, typer.Option(help="In its place: a transfer of the books, as 1001/17/0.")
    ] = "",
    books: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The ledger's database or ledger.toml."),
    ] = None,
    agent: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The agent's: agent.sqlite."),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--journal", exists=True, dir_okay=False, help="A journal that was taken."),
    ] = None,
    unmasked: Unmasked = False,
    as_json: Json = False,
) -> None:
    """Follow one yuan from the tap to the merchant's bank: how far it is, and what is missing.

    Exit code 1: two places contradict each other, or nobody has such a record.
    """
    from contextlib import ExitStack

    from tools.journal import sought
    from tools.journal.trace import Places, is_wrong, trace
    from tools.journal.words import lines_of_trace
    from tools.ledger_forks import opened

    with _refusing(), ExitStack() as stack:
        held = sought.journals(files or [])
        database = stack.enter_context(opened(books)).database if books else None
        store = stack.enter_context(sought.agent_opened(agent)) if agent else None
        places = Places(held, store, database, not unmasked)
        ways = [bool(record), card is not None, bool(transfer)]
        if sum(ways) != 1 or (card is None) != (counter is None):
            refuse("one of: a record, --card with --counter, --transfer")
        found = (
            [sought.record_of(record or transfer, 3 if transfer else 2)] if card is None else []
        )
        if card is not None and counter is not None:
            found = sought.of_card(card, counter, database, held)
        traces = {one: trace(one, places) for one in found}
    if as_json:
        typer.echo(json.dumps(_told(traces), ensure_ascii=False))
    else:
        typer.echo("\n".join(lines_of_trace(traces)))
    is_failed = not traces or any(map(is_wrong, traces.values()))
    nowhere = any(steps[0].word == "tap-nowhere" for steps in traces.values())
    raise typer.Exit(EXIT_FAILED if is_failed or nowhere else 0)


@journal.command("replay")
def journal_replay(
    file: InputFile,
    settings: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="reader.toml, if FILE has no settings."),
    ] = None,
    device: Device = None,
    first: Annotated[int, typer.Option(min=0, help="From this record on.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Up to this record.")] = 0,
    vm: Annotated[bool, typer.Option("--vm", help="The firmware in a real MicroPython.")] = False,
    scenario: Annotated[
        Path | None, typer.Option(help="Only write the scenario, for onecard sim run and desk.")
    ] = None,
    unmasked: Unmasked = False,
) -> None:
    """Play a POS's journal FILE again in the simulator, and name the first other decision.

    Same settings, same customers, same times. Exit code 1: something was decided otherwise.
    """
    from simulator.scenario import ScenarioError
    from simulator.vm.bridge import VmMissing
    from tools.journal import replay
    from tools.journal.capture import load
    from tools.journal.settings import kind_given
    from tools.journal.staged import NotStaged, staged
    from tools.journal.verify import device_of
    from tools.journal.words import lines_of_replay

    with _refusing():
        capture = load(file)
        try:
            kind = kind_given(capture, settings, device or device_of(capture))
            records = replay.records_of(capture, first, last)
            if scenario is not None:
                text = staged(records, kind).text
                with scenario.open("x", encoding="utf-8") as out:
                    out.write(text)
                typer.echo(f"{scenario}: onecard sim run, or onecard sim desk")
                return
            found = replay.replay(records, kind, "vm" if vm else "cpython", say)
        except (NotStaged, ScenarioError, VmMissing) as error:
            refuse(error)
    typer.echo("\n".join(lines_of_replay(found, masks=not unmasked)))
    raise typer.Exit(EXIT_FAILED if found.differences else 0)


def _told(traces: dict[tuple[int, int], "list[Step]"]) -> list[dict[str, object]]:
    return [
        {
            "record": f"{device}/{seq}",
            "steps": [
                {
                    "step": step.number,
                    "status": step.status,
                    "text": step.text(0),
                    "text_zh": step.text(1),
                }
                for step in steps
            ],
        }
        for (device, seq), steps in traces.items()
    ]


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
    from tools.journal.sought import BadSearch
    from tools.keys.vault import KeysError
    from tools.ledger_forks import NotBooks

    ours = (NotAJournal, BadKey, OtherReader, NeverStill, BadSearch, NotBooks)
    try:
        yield
    except (*ours, DeviceError, KeysError, OSError) as error:
        refuse(error)
