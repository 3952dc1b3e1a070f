"""`onecard ledger device`: readers, from the form of annex 2 to their damage (R17 to R22).

`list` and `approve` are of readers that were opened or moved, and who approves that they go on.
"""

from enum import StrEnum
from typing import Annotated

import typer

from tools.cli_dossier import (
    As,
    By,
    Csv,
    Department,
    Device,
    Ref,
    Said,
    UtcOffset,
    add_steps,
    apply_as,
    now_s,
    tell,
    tell_with_code,
)
from tools.cli_options import LOGGED_IN, InputFile, refuse

device = typer.Typer(
    help="Readers: new, moved, opened, broken, damaged, inspected (R17 to R22).",
    no_args_is_help=True,
)
device.command("apply", help="Note a form of annex 2 for more readers of a merchant.")(
    apply_as("device")
)
add_steps(device, ("device", "relocation", "repair", "damage", "retirement"))
Site = Annotated[str, typer.Option(help="The site.")]


class Step(StrEnum):
    """Who approves: first the department that answers for the reader, then the centre."""

    DEPARTMENT = "department"
    CENTRE = "centre"


@device.command("list")
def device_list(database: InputFile) -> None:
    """List readers in DATABASE (SQLite) that take nothing, why, and who has to approve what."""
    from tools.ledger_device import show
    from tools.ledger_forks import NotBooks

    try:
        code, text = show(database)
    except NotBooks as error:
        refuse(error)
    typer.echo(text)
    raise typer.Exit(code)


@device.command("approve")
def device_approve(
    database: InputFile,
    number: Annotated[int, typer.Option("--device", min=1, help="The reader's number.")],
    record: Annotated[int, typer.Option(min=1, help="As `list` prints it.")],
    step: Annotated[Step, typer.Option("--as", help="Which of the two steps (R18.2).")],
    person: Annotated[
        str, typer.Option("--by", help=f"Who, in a word of a-z, 0-9 and -. {LOGGED_IN}")
    ] = "",
    site: Annotated[str, typer.Option(help="From now on it belongs there; centre only.")] = "",
) -> None:
    """Approve in DATABASE (SQLite) that a reader goes on; two steps by two persons."""
    import time

    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from ledger.tampers import STEPS, ApprovalRefused
    from tools.ledger_device import approve
    from tools.ledger_forks import NotBooks

    try:
        done = approve(database, number, record, step.value, person, site, int(time.time()))
    except (NotBooks, ApprovalRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    typer.echo(f"reader {number}, record {record}: {done} of {len(STEPS)} steps")


@device.command("admit")
def device_admit(
    database: InputFile,
    application: Annotated[int, typer.Option(min=1, help="The approved dossier.")],
    numbers: Annotated[list[int], typer.Option("--device", min=1, help="A reader's number.")],
    by: By = "",
) -> None:
    """Admit numbers of readers for an approved application; then the register may name them."""
    from tools.ledger_dossier import admit

    tell(lambda: admit(database, application, numbers, by, now_s()))


@device.command("move")
def device_move(
    database: InputFile, ref: Ref, number: Device, site: Site, said: Said, by: By = ""
) -> None:
    """Ask that a reader be moved to another site; department, then centre, sign (R18.2)."""
    from tools.ledger_dossier import move

    tell(lambda: move(database, ref, number, site, said, by, now_s()))


@device.command("report")
def device_report(
    database: InputFile,
    ref: Ref,
    number: Device,
    role: As,
    said: Said,
    by: By = "",
    records: Annotated[
        list[str] | None, typer.Option("--record", help="Its FAULT record, such as 1001/17.")
    ] = None,
) -> None:
    """Report a fault of a reader: a ticket, until who told it says that it is mended (R17.2)."""
    from ledger.procedures import Act
    from tools.ledger_dossier import report

    act = Act(role.value, by, said=said)
    tell(lambda: report(database, ref, number, records or [], act, now_s()))


@device.command("take-up")
def device_take_up(database: InputFile, by: By = "") -> None:
    """Make a ticket of each fault that was told at a reader, stands, and is none yet (R17.2)."""
    from tools.ledger_dossier import take_up

    tell(lambda: take_up(database, by, now_s()))


@device.command("damage")
def device_damage(
    database: InputFile, ref: Ref, number: Device, role: As, said: Said, by: By = ""
) -> None:
    """Open the case of a reader that was damaged on purpose, with its last records (R22)."""
    from ledger.procedures import Act
    from tools.ledger_dossier import damage

    act = Act(role.value, by, said=said)
    tell(lambda: damage(database, ref, number, act, now_s()))


class Became(StrEnum):
    """What became of a reader that is in use no more."""

    BROKEN = "broken"
    SOLD = "sold"
    REPLACED = "replaced"
    LOST = "lost"


@device.command("retire")
def device_retire(
    database: InputFile,
    ref: Ref,
    number: Device,
    became: Annotated[Became, typer.Option("--shown", help="What became of it.")],
    role: As,
    by: By,
    said: Said = "",
) -> None:
    """Ask that a reader be in use no more; its department signs, the centre ends it (R20).

    `say --verb end` takes a record of it from after that signature; `show` says what bars it.
    """
    from ledger.procedures import Act
    from tools.ledger_dossier import retire

    act = Act(role.value, by, became.value, said)
    tell(lambda: retire(database, ref, number, act, now_s()))


@device.command("registry")
def device_registry(database: InputFile, as_csv: Csv = False) -> None:
    """List every reader, who answers for it, and by which application (R20).

    Exit code 1: nobody answers for one, or the register names one that is not approved.
    """
    from tools.ledger_duty import registry

    tell_with_code(lambda: registry(database, as_csv))


@device.command("duty")
def device_duty(
    database: InputFile,
    department: Department,
    site: Site,
    person: Annotated[str, typer.Option(help="Who makes the rounds, in a word.")],
    every_days: Annotated[int, typer.Option(min=1, max=366, help="Days between two rounds.")],
    by: By = "",
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Name who inspects readers, network and power lines of a site, and how often (R21)."""
    from tools.ledger_duty import name

    where = department, site
    when = now_s(), utc_offset_s
    tell(lambda: name(database, where, person, every_days, by, when))


class Result(StrEnum):
    """What was found: in order, put right, or told to the library and information centre."""

    OK = "ok"
    MENDED = "mended"
    TOLD = "told"


@device.command("round")
def device_round(
    database: InputFile,
    department: Department,
    site: Site,
    devices: Annotated[Result, typer.Option(help="The readers.")],
    network: Annotated[Result, typer.Option(help="The network lines.")],
    power: Annotated[Result, typer.Option(help="The power lines.")],
    by: By = "",
    said: Said = "",
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Note today's round of a site; what is told becomes a ticket (R21)."""
    from tools.ledger_duty import go_round

    results = [result.value for result in (devices, network, power)]
    when = now_s(), utc_offset_s
    tell(lambda: go_round(database, (department, site), by, results, said, when))


@device.command("rounds")
def device_rounds(
    database: InputFile, as_csv: Csv = False, utc_offset_s: UtcOffset = 28_800
) -> None:
    """List who has to make rounds; exit code 1: one is overdue, or nobody is named."""
    from protocols.rules import clock
    from tools.ledger_duty import rounds

    today = clock.day(now_s(), utc_offset_s)
    tell_with_code(lambda: rounds(database, today, as_csv))
