"""Lists that move money: onecard ledger subsidy and refunds, behind two signatures."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_lives import By, ListFile, Sha256, now_s, say, told
from tools.cli_options import InputFile

subsidy = typer.Typer(help="Subsidies: amounts for many cards at once.", no_args_is_help=True)
refunds = typer.Typer(help="Refunds of ended cards, to and from a bank.", no_args_is_help=True)

Batch = Annotated[str, typer.Option(help="The name of the list, for ever: 2026-11-canteen.")]
File = Annotated[str, typer.Option(help="The name of the file, for ever: 2026-06-30.")]
Total = Annotated[str, typer.Option(help="The sum on your own paper, in yuan: 20600.00.")]


@subsidy.command("dry-run")
def subsidy_dry_run(database: InputFile, file: ListFile, batch: Batch) -> None:
    """Say what a list (CSV: card_no,person_no,amount) would do in DATABASE; nothing is done.

    Amounts are in yuan (50.00); person_no may be empty. Exit code 1 if a line contradicts.
    """
    from tools.ledger_subsidy import dry_run

    told(lambda: dry_run(database, file, batch))


@subsidy.command("sign")
def subsidy_sign(
    database: InputFile, file: ListFile, batch: Batch, sha256: Sha256, total: Total, by: By = ""
) -> None:
    """Sign a dry run by its hash and the sum that is paid in; two persons have to."""
    from tools.ledger_subsidy import sign

    say(lambda: sign(database, file, batch, (sha256, total), by, now_s()))


@subsidy.command("run")
def subsidy_run(
    database: InputFile, file: ListFile, batch: Batch, sha256: Sha256, by: By = ""
) -> None:
    """Pay in what two persons have signed, each line once; stopped, it goes on when run again."""
    from tools.ledger_subsidy import run

    told(lambda: run(database, file, batch, sha256, by, now_s()))


@subsidy.command("show")
def subsidy_show(database: InputFile, batch: Batch) -> None:
    """Say where the money of a list is; exit code 1 if some of it was not paid in."""
    from tools.ledger_subsidy import show

    told(lambda: show(database, batch))


@refunds.command("dry-run")
def refunds_dry_run(database: InputFile, file: File) -> None:
    """Say what the next file would pay, and where all money on its way to a bank is."""
    from tools.ledger_refunds import dry_run

    say(lambda: dry_run(database, file))


@refunds.command("sign")
def refunds_sign(
    database: InputFile, file: File, sha256: Sha256, total: Total, by: By = ""
) -> None:
    """Sign that by its hash and its sum; two have to, who registered none of its accounts."""
    from tools.ledger_refunds import sign

    say(lambda: sign(database, file, (sha256, total), by, now_s()))


@refunds.command("make")
def refunds_make(
    database: InputFile,
    file: File,
    sha256: Sha256,
    out: Annotated[Path, typer.Option(help="Where it is written, for its owner alone.")],
    by: By = "",
) -> None:
    """Write the file that two persons have signed (CSV); again, it is the same payments."""
    from tools.ledger_refunds import make

    say(lambda: make(database, file, sha256, out, by, now_s()))


@refunds.command("results")
def refunds_results(database: InputFile, file: ListFile, by: By = "") -> None:
    """Note what the bank says (CSV: payment,result,because; paid, failed or returned)."""
    from tools.ledger_refunds import results

    say(lambda: results(database, file, by, now_s()))


@refunds.command("unpaid")
def refunds_unpaid(database: InputFile) -> None:
    """List the refunds that no bank has, and staff who were not warned; exit code 1 if any."""
    from tools.ledger_refunds import unpaid

    told(lambda: unpaid(database))
