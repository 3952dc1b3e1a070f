"""`onecard ledger period`: merchants are settled (R6.5, R7.1).

An account at a bank is read from standard input: neither a shell's history nor `ps` has it.
"""

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, LOGGED_IN, InputFile, refuse

period = typer.Typer(
    help="Settle merchants: close a period, approve its report, pay (R7.1).", no_args_is_help=True
)


class Step(StrEnum):
    """The four approvals, in their order; names as in ledger.periods."""

    AUDIT = "audit"
    HEAD = "head"
    LEADER = "leader"
    CENTRE = "centre"


By = Annotated[
    str, typer.Option("--by", help=f"Who does it, in a word of a-z, 0-9 and -. {LOGGED_IN}")
]
Because = Annotated[str, typer.Option(help="Why, for who approves and for the audit.")]
Merchant = Annotated[int, typer.Option(min=0, help="The merchant's number.")]
Until = Annotated[str, typer.Option(help="Where it ends, not in it: 2026-10-01T00:00:00+08:00.")]
Number = Annotated[int, typer.Option("--period", min=1, help="The period's number.")]
Sha256 = Annotated[str, typer.Option(help="The hash of the report that was seen.")]
StepOption = Annotated[Step, typer.Option(help="Whose approval it is.")]
UtcOffset = Annotated[
    int, typer.Option(min=-86_400, max=86_400, help="Where the school is, in seconds.")
]


@period.command("rate")
def period_rate(
    database: InputFile,
    merchant: Merchant,
    basis_points: Annotated[int, typer.Option(min=0, max=10_000, help="60 is 0.60%.")],
    by: By = "",
) -> None:
    """Set a merchant's commission, from the next period that is closed on."""
    from tools.ledger_period import set_rate

    _say(lambda: set_rate(database, merchant, basis_points, by, _now_s()))


@period.command("account")
def period_account(database: InputFile, merchant: Merchant, by: By = "") -> None:
    """Register a merchant's account; its number and its owner are two lines on standard input."""
    from tools.ledger_period import register

    account = [sys.stdin.readline().strip() for _ in range(2)]
    _say(lambda: register(database, merchant, account, by, _now_s()))


@period.command("quiet")
def period_quiet(database: InputFile, until: Until) -> None:
    """Say which readers may still tell of sales of before; exit code 1: it cannot be closed."""
    from tools.ledger_period import quiet

    _told(lambda: quiet(database, until))


@period.command("decide")
def period_decide(
    database: InputFile,
    until: Until,
    opened: Annotated[
        list[str], typer.Option("--open", help="A reader, or reader/record; as often as needed.")
    ],
    because: Because,
    by: By = "",
) -> None:
    """Decide that a period is closed with these open; what they tell later is in the next one."""
    from tools.ledger_period import decide

    _say(lambda: decide(database, until, opened, by, because, _now_s()))


@period.command("close")
def period_close(
    database: InputFile,
    name: Annotated[str, typer.Option(help="Its name, for ever: 2026-09.")],
    until: Until,
    by: By = "",
) -> None:
    """Close the period that ends then, and print the hash of its report; nothing moves yet."""
    from tools.ledger_period import close

    _say(lambda: close(database, name, until, by, _now_s()))


@period.command("list")
def period_list(database: InputFile) -> None:
    """List the periods, and what waits for whom."""
    from tools.ledger_period import listed

    _say(lambda: listed(database))


@period.command("show")
def period_show(
    database: InputFile,
    number: Number,
    as_json: Annotated[
        bool, typer.Option("--json", help="The report itself, whose hash is approved.")
    ] = False,
) -> None:
    """Show what merchants are due of a period, and who has said what of its report."""
    from tools.ledger_period import report_of, show

    _say(lambda: report_of(database, number) if as_json else show(database, number), not as_json)


@period.command("approve")
def period_approve(
    database: InputFile, number: Number, step: StepOption, sha256: Sha256, by: By = ""
) -> None:
    """Approve a report; with the fourth approval commission and dues are booked."""
    from tools.ledger_period import approve

    _say(lambda: approve(database, number, step.value, sha256, by, _now_s()))


@period.command("refuse")
def period_refuse(
    database: InputFile,
    number: Number,
    step: StepOption,
    sha256: Sha256,
    because: Because,
    by: By = "",
) -> None:
    """Refuse a report: nothing is paid, and all of it goes on to the next period."""
    from tools.ledger_period import refuse as say_no

    _say(lambda: say_no(database, number, step.value, sha256, by, because, _now_s()))


@period.command("verify")
def period_verify(database: InputFile, number: Number) -> None:
    """Compare a report with the books, line by line, and the statements; exit code 1: it fails."""
    from tools.ledger_period import verify

    def told() -> tuple[str, bool]:
        faults, sha256 = verify(database, number)
        lines = [f"not so: {fault}" for fault in faults]
        return "\n".join(lines or [f"the books bear it out: sha256 {sha256}"]), not faults

    _told(told)


@period.command("readers")
def period_readers(database: InputFile, number: Number) -> None:
    """List what each reader has told in a period, to be audited against a merchant's papers."""
    from tools.ledger_period import readers

    _say(lambda: readers(database, number))


@period.command("late")
def period_late(database: InputFile, number: Number) -> None:
    """List what of a period is of before it, record by record."""
    from tools.ledger_period import late

    _say(lambda: late(database, number))


@period.command("days")
def period_days(database: InputFile, number: Number, utc_offset_s: UtcOffset = 28_800) -> None:
    """Print the daily and the monthly statement of a period's time, and where it is settled."""
    from tools.ledger_period import daily

    _say(lambda: daily(database, number, utc_offset_s))


@period.command("balance")
def period_balance(database: InputFile) -> None:
    """Print the trial balance of DATABASE, as of now."""
    from tools.ledger_period import balance

    _say(lambda: balance(database))


@period.command("sheet")
def period_sheet(
    database: InputFile,
    number: Number,
    xlsx: Annotated[Path | None, typer.Option(help="A workbook to write.")] = None,
    html: Annotated[Path | None, typer.Option(help="A page to print and sign.")] = None,
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Write the settlement sheet of a period, amounts in words: to a spreadsheet, and to print."""
    from tools.period_sheet import write

    _say(lambda: write(database, number, xlsx, html, utc_offset_s))


@period.command("pay")
def period_pay(
    database: InputFile,
    file: Annotated[str, typer.Option(help="The name of the file, for ever: 2026-09.")],
    out: Annotated[Path, typer.Option(help="Where it is written, for its owner alone.")],
    by: By = "",
) -> None:
    """Write the file of payments for the bank (CSV); again, it is the same payments."""
    from tools.ledger_period import pay

    _say(lambda: pay(database, file, out, by, _now_s()))


@period.command("results")
def period_results(
    database: InputFile,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    by: By = "",
) -> None:
    """Note what the bank says (CSV: payment,result,because; paid, failed or returned)."""
    from tools.ledger_period import results

    _say(lambda: results(database, file, by, _now_s()))


@period.command("unpaid")
def period_unpaid(database: InputFile) -> None:
    """List what is approved and no bank has; exit code 1 if anything."""
    from tools.ledger_period import unpaid

    _told(lambda: unpaid(database))


def _say(what: Callable[[], str], nl: bool = True) -> None:
    from ledger.dialect import StoreUnavailable
    from ledger.period_reasons import PeriodRefused
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks
    from tools.ledger_lives import BadInput

    try:
        typer.echo(what(), nl=nl)
    except (NotBooks, PeriodRefused, NotAllowed, StoreUnavailable, BadInput) as error:
        refuse(error)


def _told(what: Callable[[], tuple[str, bool]]) -> None:
    """As `_say`; exit code 1 if it is not good."""
    is_good = True

    def text() -> str:
        nonlocal is_good
        said, is_good = what()
        return said

    _say(text)
    raise typer.Exit(0 if is_good else EXIT_FAILED)


def _now_s() -> int:
    return int(time.time())
