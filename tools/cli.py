"""The onecard command.

Each command imports what it runs only when it runs, so that `onecard --help` answers at once. Exit
codes: 0 passed, 1 something that must hold did not, 2 wrong usage or input, 42 out of time.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_agent import agent
from tools.cli_aggregate import aggregate_code
from tools.cli_board import sim_bare, sim_base, sim_meal
from tools.cli_broker import broker
from tools.cli_ca import ca
from tools.cli_card import card
from tools.cli_city import city
from tools.cli_desk import sim_board, sim_desk
from tools.cli_drill import drill
from tools.cli_firmware import firmware
from tools.cli_journal import journal
from tools.cli_keys import keys
from tools.cli_ledger import ledger
from tools.cli_options import (
    EXIT_FAILED,
    InputFile,
    Json,
    refuse,
    say,
)
from tools.cli_panels import LEDGER, ONECARD, SIM, arrange
from tools.cli_provision import device
from tools.cli_reader import reader
from tools.cli_report import report
from tools.cli_residence import residence
from tools.cli_year import sim_months, sim_year

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


sim = _group("sim", "The simulator: scenarios, the desk, torture, boards that are none.")
app.add_typer(agent, name="agent")
app.add_typer(card, name="card")
app.add_typer(ca, name="ca")
app.add_typer(keys, name="keys")
app.add_typer(journal, name="journal")
app.add_typer(broker, name="broker")
app.add_typer(device, name="device")
app.add_typer(drill, name="drill")
app.add_typer(reader, name="reader")
app.add_typer(firmware, name="firmware")
app.add_typer(report, name="report")
app.add_typer(ledger, name="ledger")
sim.command("residence")(residence)
sim.command("city")(city)
app.command("aggregate-code")(aggregate_code)


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


Seed = Annotated[int | None, typer.Option(min=0, help="Instead of the scenario's own seed.")]
HomeOption = Annotated[Home, typer.Option(help="CPython, or a real MicroPython per reader.")]
DepthOption = Annotated[Depth, typer.Option(help="Register models of the chips, or cards only.")]
BrokerOption = Annotated[
    Broker, typer.Option(help="amqtt, embedded; Debian's mosquitto; auto takes that if installed.")
]


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


@app.command("demo")
def demo(
    seed: Seed = None,
    home: HomeOption = Home.CPYTHON,
    broker: BrokerOption = Broker.AUTO,
    desk: Annotated[
        bool, typer.Option("--desk", help="Then open the desk, a campus in the browser.")
    ] = False,
) -> None:
    """A lunch in a simulated canteen, with the network and then the mains cut in the middle."""
    from simulator.demo import main

    code = main(seed=seed, home=home.value, broker=broker.value)
    if desk and not code:
        sim_desk()
    elif not code:
        say("To see it and touch it: onecard sim desk")
    raise typer.Exit(code)


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

    progress = None if as_json else say
    try:
        report = run_scenario(file, seed, home.value, depth.value, broker.value, progress, keep)
    except ScenarioError as error:
        refuse(error)
    if as_json:
        typer.echo(report.to_json())
    else:
        from rich.console import Console

        Console().print(report)
    raise typer.Exit(report.exit_code)


sim.command("desk")(sim_desk)
sim.command("board")(sim_board)
sim.command("bare")(sim_bare)
sim.command("base")(sim_base)
sim.command("meal")(sim_meal)
sim.command("year")(sim_year)
sim.command("months")(sim_months)


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
        total = torture(options, None if as_json else say)
    except TortureError as error:
        refuse(error)
    typer.echo(to_json(total) if as_json else to_text(total))
    raise typer.Exit(EXIT_FAILED if total.failed else 0)


@app.command("desk")
def desk_numbers(
    url: Annotated[str, typer.Argument(help="The line: /dev/ttyUSB0, socket://host:port.")],
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    personal: Annotated[bool, typer.Option(help="Its format is person.")] = False,
) -> None:
    """Print the number of each card that is held to the library desk's reader at URL."""
    from tools.desk_line import NoLine, numbers

    try:
        for number in numbers(url, count=count, is_personal=personal):
            typer.echo(number)
    except NoLine as error:
        refuse(error)


@app.command("bench")
def bench(
    name: Annotated[str, typer.Argument(help="Only this benchmark.")] = "",
    records: Annotated[int | None, typer.Option(min=10_000, help="For those that grow.")] = None,
    cards: Annotated[int | None, typer.Option(min=1_000, help="For console.")] = None,
    database: Annotated[str | None, typer.Option(help="For console: books made before.")] = None,
    as_json: Json = False,
) -> None:
    """Measure, and print ours beside the best other thing measured in the same run."""
    from tools.bench_report import UnknownBench, names, print_table, rows, to_json

    try:
        chosen = names(name)
        sizes = {"records": records, "cards": cards, "database": database}
        measured = rows(chosen, None if as_json else say, **sizes)
    except UnknownBench as error:
        refuse(error)
    if as_json:
        typer.echo(to_json(measured))
    else:
        print_table(measured)


for group, panels in ((app, ONECARD), (ledger, LEDGER), (sim, SIM)):
    arrange(group, panels)

if __name__ == "__main__":
    app()
