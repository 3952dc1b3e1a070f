"""`onecard ledger audit`: the journals in files that hang together by their hashes."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, InputFile, refuse

audit = typer.Typer(help="The journals in files, day by day, hash by hash.", no_args_is_help=True)


@audit.command("export")
def export(
    database: InputFile,
    out: Annotated[Path, typer.Option(file_okay=False, help="The folder of the audit's files.")],
    day: Annotated[str, typer.Option(help="Which day's file (2026-11-26); today's, in UTC.")] = "",
) -> None:
    """Write every journal row of DATABASE that no file in OUT has to the file of a day.

    With a ledger.toml in the place of DATABASE it is signed.
    """
    from ledger.audit import AuditError
    from tools import ledger_audit
    from tools.ledger_forks import NotBooks

    try:
        whose = date.fromisoformat(day) if day else datetime.now(UTC).date()
        made = ledger_audit.write(database, whose, out)
    except (NotBooks, AuditError, OSError, ValueError) as error:
        refuse(error)
    typer.echo(f"{made.path}: {made.rows} rows\n{made.sha256}")


@audit.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, readable=True)],
    database: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, readable=True)
    ] = None,
) -> None:
    """Check the audit in FOLDER by itself, and by the books in DATABASE; exit code 1: it fails."""
    from tools import ledger_audit
    from tools.ledger_forks import NotBooks

    try:
        faults, about = ledger_audit.check(folder, database)
    except (NotBooks, OSError) as error:
        refuse(error)
    for fault in faults:
        typer.echo(f"not so: {fault}")
    typer.echo(about)
    if faults:
        raise typer.Exit(EXIT_FAILED)
