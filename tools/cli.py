"""The onecard command.

Each command imports what it runs only when it runs, so that `onecard --help` answers at once. Exit
codes: 0 passed, 1 something that must hold did not, 2 wrong usage or input, 42 out of time.
"""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

EXIT_FAILED = 1
EXIT_USAGE = 2
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

app = typer.Typer(
    name="onecard",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _group(name: str, about: str) -> typer.Typer:
    group = typer.Typer(help=about, no_args_is_help=True)
    app.add_typer(group, name=name)
    return group


sim = _group("sim", "Run a scenario in the simulator.")
agent = _group("agent", "The edge agent of a building.")
ledger = _group("ledger", "The central ledger.")
journal = _group("journal", "Journals of readers.")
card = _group("card", "The card centre's desk: write, read and check cards.")


class Home(StrEnum):
    """Where the firmware of the simulated readers runs."""

    CPYTHON = "cpython"
    VM = "vm"


class Depth(StrEnum):
    """How deep cards and readers are modelled."""

    REGISTER = "register"
    CARD = "card"


class Broker(StrEnum):
    """Which MQTT broker stands between the tiers."""

    AUTO = "auto"
    AMQTT = "amqtt"
    MOSQUITTO = "mosquitto"


class Exhaustive(StrEnum):
    """What can be cut at every single point."""

    JOURNAL = "journal"
    TAP = "tap"


class DeskName(StrEnum):
    """Readers that a card can lie on, beside the simulated tray."""

    PI = "pi"
    PCSC = "pcsc"


InputFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        readable=True,
        help="The device's key, 64 hexadecimal digits: verifies the seals.",
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Instead of the scenario's own seed.")]
HomeOption = Annotated[Home, typer.Option(help="CPython, or a real MicroPython per reader.")]
DepthOption = Annotated[Depth, typer.Option(help="Register models of the chips, or cards only.")]
BrokerOption = Annotated[
    Broker, typer.Option(help="amqtt, embedded; Debian's mosquitto; auto takes that if installed.")
]
Tray = Annotated[Path | None, typer.Option(help="A card in a file, on a simulated reader.")]
CardDesk = Annotated[DeskName | None, typer.Option(help="The reader at this machine.")]
ReaderName = Annotated[str, typer.Option(help="With pcsc: part of the reader's name.")]
Record = Annotated[Path | None, typer.Option(help="Keep what was said, for `trace --file`.")]
CardKeyFile = Annotated[
    Path | None, typer.Option(help="TOML file with the card centre's keys, mode 0600.")
]
CardKeyFileNeeded = Annotated[
    Path, typer.Option(help="TOML file with the card centre's keys, mode 0600.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _refuse(error: object) -> NoReturn:
    """Say what is wrong with the input and leave."""
    typer.echo(f"onecard: {error}", err=True)
    raise typer.Exit(EXIT_USAGE)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"onecard {version('onecard')}")
        raise typer.Exit


@app.callback()
def onecard(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Campus one-card: readers that work without network or mains, a ledger that balances."""


@app.command()
def demo(
    seed: Seed = None,
    home: HomeOption = Home.CPYTHON,
    broker: BrokerOption = Broker.AUTO,
) -> None:
    """A lunch in a simulated canteen, with the network and then the mains cut in the middle."""
    from simulator.demo import main

    raise typer.Exit(main(seed=seed, home=home.value, broker=broker.value))


@sim.command("run")
def sim_run(
    file: InputFile,
    seed: Seed = None,
    home: HomeOption = Home.CPYTHON,
    depth: DepthOption = Depth.REGISTER,
    broker: BrokerOption = Broker.AUTO,
    keep: Annotated[
        Path | None, typer.Option(help="A new folder for journals, books and event log.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a scenario FILE (TOML). The same seed gives the same event log."""
    from simulator.run import ScenarioError, run_scenario

    progress = None if as_json else _say
    try:
        report = run_scenario(file, seed, home.value, depth.value, broker.value, progress, keep)
    except ScenarioError as error:
        _refuse(error)
    if as_json:
        typer.echo(report.to_json())
    else:
        from rich.console import Console

        Console().print(report)
    raise typer.Exit(report.exit_code)


@sim.command("torture")
def sim_torture(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of the whole system.")] = 100,
    first: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    seed: Annotated[str | None, typer.Option(help="Play one again: what a failure names.")] = None,
    minutes: Annotated[
        float, typer.Option(min=0, help="Stop after that long, instead of after so many seeds.")
    ] = 0,
    intensity: Annotated[
        str, typer.Option(help="high, low (a twentieth), both, or in thousandths.")
    ] = "high",
    events: Annotated[int, typer.Option(min=1, help="Events of one seed.")] = 400,
    home: HomeOption = Home.CPYTHON,
    fault: Annotated[
        list[str] | None, typer.Option(help="Only this kind of fault; may be repeated.")
    ] = None,
    exhaustive: Annotated[
        Exhaustive | None, typer.Option(help="Instead: every cut point of one of these.")
    ] = None,
    bit_runs: Annotated[
        int, typer.Option(min=0, help="With journal: runs with unstable bits per operation.")
    ] = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one per core.")] = 0,
    as_json: Json = False,
) -> None:
    """Break everything that can break, seed by seed, and look whether a fen is missing."""
    from tools.torture import Options, TortureError, to_json, to_text, torture

    chosen = exhaustive.value if exhaustive else None
    options = Options(
        seeds=seeds,
        first=first,
        seed=seed,
        minutes=minutes,
        intensity=intensity,
        events=events,
        home=home.value,
        faults=tuple(fault or ()),
        exhaustive=chosen,
        bit_runs=bit_runs,
        jobs=jobs,
    )
    try:
        total = torture(options, None if as_json else _say)
    except TortureError as error:
        _refuse(error)
    typer.echo(to_json(total) if as_json else to_text(total))
    raise typer.Exit(EXIT_FAILED if total.failed else 0)


@agent.command("run")
def agent_run(config: InputFile) -> None:
    """Run the edge agent that CONFIG (TOML) describes until it is told to stop."""
    from edge_agent.daemon import REFUSALS, run

    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
    try:
        run(str(config))
    except REFUSALS as error:
        _refuse(error)


@ledger.command("run")
def ledger_run(config: InputFile) -> None:
    """Run the ledger that CONFIG (TOML) describes until it is told to stop."""
    from ledger.daemon import REFUSALS, run

    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
    try:
        run(config)
    except REFUSALS as error:
        _refuse(error)


@ledger.command("forks")
def ledger_forks(database: InputFile, as_json: Json = False) -> None:
    """Name the cards that were copied or written back, with the evidence in DATABASE (SQLite)."""
    from tools.ledger_forks import FOUND, NONE_FOUND, NotBooks, find, to_json, to_text

    try:
        found = find(database)
    except NotBooks as error:
        _refuse(error)
    typer.echo(to_json(found) if as_json else to_text(found))
    raise typer.Exit(FOUND if found else NONE_FOUND)


@ledger.command("proofs")
def ledger_proofs(database: InputFile, keys: CardKeyFileNeeded, as_json: Json = False) -> None:
    """Check every debit of a DESFire card in DATABASE against what the card has signed."""
    from tools.card.errors import BadInput
    from tools.ledger_forks import NotBooks
    from tools.ledger_proofs import ALL_PROVEN, DOUBTS, find, to_json, to_text

    try:
        checked = find(database, keys)
    except (NotBooks, BadInput) as error:
        _refuse(error)
    typer.echo(to_json(checked) if as_json else to_text(checked))
    raise typer.Exit(DOUBTS if checked.findings else ALL_PROVEN)


@journal.command("show")
def journal_show(file: InputFile, key: KeyFile = None) -> None:
    """Print the records of a reader's journal FILE (an image of its flash)."""
    from tools.journal_show import show

    raise typer.Exit(show(file, key))


@card.command("personalise")
def card_personalise(
    card_no: Annotated[int, typer.Option(min=0, help="The ledger's number of the card.")],
    kind: Annotated[str, typer.Option(help="staff, student or temporary.")],
    valid_from: Annotated[str, typer.Option(help="First day, such as 2026-09-01.")],
    valid_to: Annotated[str, typer.Option(help="Last day.")],
    keys: CardKeyFileNeeded,
    balance_fen: Annotated[int, typer.Option(min=0, help="What stands in the purse.")] = 0,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    again: Annotated[bool, typer.Option(help="Overwrite a card that is ours already.")] = False,
    blank: Annotated[bool, typer.Option(help="First put a factory card on the tray.")] = False,
    uid: Annotated[str, typer.Option(help="With --blank: its uid, 8 or 14 digits.")] = "",
    desfire: Annotated[bool, typer.Option(help="With --blank: a DESFire EV2.")] = False,
    record: Record = None,
) -> None:
    """Write a whole card, keys last, and read it back. Torn half way, run it again."""
    from tools.card import at_desk, jobs, keyfile
    from tools.card.errors import BadInput

    place = at_desk.Place(tray, desk or "", reader, record)
    try:
        order = at_desk.order(card_no, kind, valid_from, valid_to, balance_fen)
        masters = keyfile.load_keys(keys)
        if blank:
            at_desk.blank(place, uid, desfire)
    except BadInput as error:
        _refuse(error)
    raise typer.Exit(
        at_desk.run(place, lambda found: jobs.personalise(found, order, masters, again))
    )


@card.command("info")
def card_info(
    keys: CardKeyFile = None,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    dump: Annotated[Path | None, typer.Option(help="Keep what can be read, without keys.")] = None,
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Say what lies on the desk: kind, uid, identity, balance, last record; a stranger's too."""
    from tools.card import at_desk, jobs, keyfile
    from tools.card.errors import BadInput

    try:
        masters = None if keys is None else keyfile.load_keys(keys)
        at_desk.refuse_overwriting(tray, dump)
    except BadInput as error:
        _refuse(error)
    place = at_desk.Place(tray, desk or "", reader, record)
    raise typer.Exit(at_desk.run(place, lambda found: jobs.info(found, masters, dump), as_json))


@card.command("verify")
def card_verify(
    keys: CardKeyFileNeeded,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Check every block, MAC and access bit; a line for each deviation, and exit code 1."""
    from tools.card import at_desk, jobs, keyfile
    from tools.card.errors import BadInput

    try:
        masters = keyfile.load_keys(keys)
    except BadInput as error:
        _refuse(error)
    place = at_desk.Place(tray, desk or "", reader, record)
    raise typer.Exit(at_desk.run(place, lambda found: jobs.verify(found, masters), as_json))


@card.command("trace")
def card_trace(
    file: Annotated[Path | None, typer.Option(help="What --record has kept.")] = None,
    keys: CardKeyFile = None,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Print each frame of a tap, decoded: a live one, or one from a trace file. Never a key."""
    from tools.card import at_desk, jobs, keyfile
    from tools.card.errors import BadInput

    if file is not None:
        raise typer.Exit(at_desk.replay(file, as_json))
    try:
        masters = None if keys is None else keyfile.load_keys(keys)
    except BadInput as error:
        _refuse(error)
    place = at_desk.Place(tray, desk or "", reader, record)
    raise typer.Exit(at_desk.run(place, lambda found: jobs.tap(found, masters), as_json))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Only this benchmark.")] = "",
    as_json: Json = False,
) -> None:
    """Measure, and print ours beside the best other thing measured in the same run."""
    from tools.bench_report import UnknownBench, names, print_table, rows, to_json

    try:
        chosen = names(name)
    except UnknownBench as error:
        _refuse(error)
    measured = rows(chosen, progress=None if as_json else _say)
    if as_json:
        typer.echo(to_json(measured))
    else:
        print_table(measured)


if __name__ == "__main__":
    app()
