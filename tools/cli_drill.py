"""`onecard drill`: what a site does without mains or network, tried and filed (R21, R23, R24)."""

import select
import sys
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, LOGGED_IN, InputFile, refuse, say
from tools.drill.order import Readers, Times

drill = typer.Typer(help="Drills of an outage at a site.", no_args_is_help=True)
UtcOffset = Annotated[
    int, typer.Option("--utc-offset-s", help="Local time: seconds ahead of UTC.")
]
Site = Annotated[str, typer.Argument(help="Its name in the register, such as canteen-1.")]
Books = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="The ledger's database. Without: simulated."),
]
From = Annotated[str, typer.Option("--from", help="When it was cut: 2026-11-27T14:00.")]
To = Annotated[str, typer.Option("--to", help="When it was back.")]
Agent = Annotated[
    str, typer.Option(help="Watch this agent's view: http://127.0.0.1:9466. It is only read.")
]
Person = Annotated[str, typer.Option(help=f"Who makes the drill. {LOGGED_IN}")]
Department = Annotated[str, typer.Option(help="Whose readers these are.")]
Without = Annotated[
    list[int] | None, typer.Option(help="Leave this reader out, for good; may be repeated.")
]
Out = Annotated[Path, typer.Option(help="Folder of the sheet, and of what was noted.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Of a simulated site.")]


@drill.command()
def power(
    site: Site,
    books: Books = None,
    begun: From = "",
    ended: To = "",
    agent: Agent = "",
    person: Person = "",
    department: Department = "General Affairs",
    without: Without = None,
    out: Out = Path("drill"),
    seed: Seed = None,
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """The mains of SITE are off: who goes on, for how long, which magnets let go.

    Judged by the records that the readers have written, filed once. Exit code 1: not all of it
    was proven.
    """
    where = Readers(books, department, person, tuple(without or ()))
    _make("power", site, where, Times(begun, ended, agent, utc_offset_s), out, seed)


@drill.command()
def network(
    site: Site,
    books: Books = None,
    begun: From = "",
    ended: To = "",
    agent: Agent = "",
    person: Person = "",
    department: Department = "General Affairs",
    without: Without = None,
    out: Out = Path("drill"),
    seed: Seed = None,
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """The readers of SITE have no network: cards go on.

    Judged by the records that the readers have written, filed once. Exit code 1: not all of it
    was proven.
    """
    where = Readers(books, department, person, tuple(without or ()))
    _make("network", site, where, Times(begun, ended, agent, utc_offset_s), out, seed)


@drill.command("list")
def list_drills(database: InputFile, utc_offset_s: UtcOffset = 28_800) -> None:
    """Print the drills filed in DATABASE; exit code 1: the books do not prove one of them."""
    from tools.ledger_drill import listed
    from tools.ledger_forks import NotBooks

    try:
        proven, text = listed(database, utc_offset_s)
    except NotBooks as error:
        refuse(error)
    typer.echo(text)
    raise typer.Exit(0 if proven else EXIT_FAILED)


def _make(kind: str, site: str, where: Readers, times: Times, out: Path, seed: int | None) -> None:
    from ledger.dossiers import DossierRefused
    from ledger.signatures import NotAllowed
    from simulator.scenario import ScenarioError
    from tools.drill import making, sheet
    from tools.drill.simulated import NotPlayed
    from tools.drill.watch import NoWindow
    from tools.ledger_batch import write_private
    from tools.ledger_drill import BadTime
    from tools.ledger_forks import NotBooks
    from tools.ledger_lives import BadInput

    said = BadTime, NoWindow, NotPlayed, NotBooks, DossierRefused, NotAllowed, ScenarioError
    try:
        out.mkdir(parents=True, exist_ok=True)
        typer.echo(sheet.notice(kind, site))
        judged, file = (
            making.simulated(kind, site, where, out, seed)
            if where.books is None
            else making.real(kind, site, where, times, out, say, _enter)
        )
        typer.echo(making.to_text(judged, where.books is None))
        filed = file()
        page = out / f"drill-{kind}-{filed.number}.html"
        write_private(page, sheet.page(filed, times.utc_offset_s, where.books is None))
    except (*said, BadInput, OSError) as error:
        refuse(error)
    typer.echo(f"drill {filed.number} is filed: {filed.verdict}, {filed.evidence}; {page}")
    raise typer.Exit(0 if filed.verdict == "passed" else EXIT_FAILED)


def _enter(wait_s: float) -> bool:
    """Whether Enter was pressed within so many seconds."""
    ready, _, _ = select.select([sys.stdin], [], [], wait_s)
    return bool(ready) and sys.stdin.readline() != ""
