"""`onecard ledger doctor` and `metrics`."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, InputFile, refuse

Audit = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="The folder of its audit.")
]


def doctor(database: InputFile, audit: Audit = None) -> None:
    """Look what is wrong with the ledger of DATABASE, or of a ledger.toml; exit code 1: something.

    Reads all of the books: every seal, every rule, every balance.
    """
    import time

    from ledger.doctor import WRONG
    from tools.ledger_forks import NotBooks
    from tools.ledger_health import findings

    is_wrong = False
    try:
        for finding in findings(database, audit, int(time.time())):
            is_wrong |= finding.level == WRONG
            typer.echo(f"{finding.level:5}  {finding.about}: {finding.text}")
            if finding.action:
                typer.echo(f"       -> {finding.action}")
    except NotBooks as error:
        refuse(error)
    raise typer.Exit(EXIT_FAILED if is_wrong else 0)


def metrics(
    database: InputFile,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file for node_exporter, not the screen.")
    ] = None,
    audit: Audit = None,
) -> None:
    """Print the books of DATABASE as Prometheus metrics, or put them into a file, whole."""
    import time

    from ledger.metrics import write
    from tools import ledger_health
    from tools.ledger_forks import NotBooks

    try:
        data = ledger_health.metrics(database, audit, int(time.time()))
        if out is not None:
            write(out, data)
    except (NotBooks, OSError) as error:
        refuse(error)
    if out is None:
        typer.echo(data.decode(), nl=False)
