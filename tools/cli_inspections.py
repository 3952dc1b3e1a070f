"""`onecard ledger inspections`: the merchants' daily inspection (R17, R7.3)."""

from typing import Annotated

import typer

from tools.cli_options import InputFile, refuse


def inspections(
    database: InputFile,
    day: Annotated[str, typer.Option(help="The local day, such as 2026-11-26.")],
    utc_offset_s: Annotated[
        int, typer.Option("--utc-offset-s", help="Local time: seconds ahead of UTC.")
    ] = 28_800,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of text.")] = False,
) -> None:
    """Print which readers of each merchant were inspected on a day, by the records in DATABASE.

    What was wrong, fault reports and their end, whom to remind; exit code 1: some were not, or
    their records do not prove it.
    """
    from tools.ledger_attendance import BadDate
    from tools.ledger_forks import NotBooks
    from tools.ledger_inspections import code_of, find, to_csv, to_text

    try:
        found = find(database, day, utc_offset_s)
    except (NotBooks, BadDate) as error:
        refuse(error)
    typer.echo(to_csv(found, utc_offset_s) if as_csv else to_text(found, day, utc_offset_s))
    raise typer.Exit(code_of(found))
