"""`onecard ledger backup`, `restore` and `replay`."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, InputFile, refuse


def backup(database: InputFile, out: Path) -> None:
    """Copy the books of DATABASE (or of a ledger.toml) to OUT, beside a running ledger too.

    The copy is checked, seal by seal and rule by rule, before it gets its name.
    """
    from ledger.backup import BackupError
    from tools.ledger_backup import take
    from tools.ledger_forks import NotBooks

    try:
        typer.echo(take(database, out))
    except (NotBooks, BackupError, OSError) as error:
        refuse(error)


def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="BACKUP")],
    into: Path,
    audit: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Its folder: gives credits back."),
    ] = None,
) -> None:
    """Make the new books INTO (SQLite) of BACKUP, checked. Exit code 1: the audit has more."""
    from ledger.audit import AuditError
    from ledger.backup import BackupError
    from tools.ledger_backup import make

    try:
        code, said = make(file, into, audit)
    except (AuditError, BackupError, OSError) as error:
        refuse(error)
    typer.echo(said)
    raise typer.Exit(code)


def replay(
    database: InputFile,
    seed: Annotated[int, typer.Option(min=0, help="In which order the records are booked.")] = 1,
) -> None:
    """Book every sealed record of DATABASE anew, elsewhere; exit code 1: other books come."""
    from ledger.dialect import StoreUnavailable
    from tools.ledger_forks import NotBooks
    from tools.ledger_replay import run, to_text

    try:
        found, records = run(database, seed)
    except (NotBooks, StoreUnavailable) as error:
        refuse(error)
    typer.echo(to_text(found, records, seed))
    raise typer.Exit(EXIT_FAILED if found else 0)
