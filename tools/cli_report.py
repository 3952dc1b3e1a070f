"""`onecard report`: what the departments are told of the system."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, refuse, say

report = typer.Typer(help="Reports for the departments.", no_args_is_help=True)


@report.callback()
def reports() -> None:
    """Keeps `compliance` a command of its own name."""


@report.command()
def compliance(
    run: Annotated[bool, typer.Option("--run", help="Run the proofs now, then report.")] = False,
    rule: Annotated[
        list[str] | None, typer.Option(help="Only this rule, such as R19.1; may be repeated.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the results, the workbook and the page.")
    ] = Path("compliance"),
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one per core.")] = 0,
    utc_offset_s: Annotated[
        int, typer.Option("--utc-offset-s", help="Local time: seconds ahead of UTC.")
    ] = 28_800,
) -> None:
    """Each rule of the regulation: what proves it, and what came of that the last time it ran.

    Without --run nothing is run: the results are those of the folder. Exit code 1: a proof failed
    or was not run.
    """
    from tools.compliance import results, rules, running, sheets
    from tools.ledger_batch import write_private
    from tools.ledger_lives import BadInput

    try:
        asked = rules.chosen(rules.load(), rule or [])
        out.mkdir(parents=True, exist_ok=True)
        known = results.read(out)
        if run:
            every = rules.proofs_of(asked)
            known = running.run(out, every, jobs or os.cpu_count() or 1, say)
        sheet = sheets.sheet_of(asked, known, running.commit_now(), int(time.time()), utc_offset_s)
        write_private(out / "compliance.xlsx", sheets.workbook(sheet))
        write_private(out / "compliance.html", sheets.page(sheet))
    except (rules.BadRules, results.BadResults, BadInput, OSError) as error:
        refuse(error)
    counts = dict.fromkeys(sheets.WORDS, 0)
    for section in sheet.sections:
        for entry in section.entries:
            counts[entry.state] += 1
            if entry.state == results.FAILED:
                typer.echo(f"FAILED {entry.id} {entry.words}")
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    typer.echo(f"{sum(counts.values())} rules: {told}; {out / 'compliance.html'}")
    proven = counts[results.PASSED] + counts[results.OLD]
    raise typer.Exit(0 if proven == sum(counts.values()) else EXIT_FAILED)
