"""`onecard ledger aggregate`, `onecard aggregate-code`: the merchant's code that phones pay by."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, Json, refuse, say

aggregate = typer.Typer(help="Payments by aggregate code.", no_args_is_help=True)


def aggregate_code(
    text: Annotated[
        str, typer.Argument(help="What the merchant's code says, as the channel has it.")
    ],
    file: Annotated[Path, typer.Argument(help="Where to write the picture: 128 bytes.")],
) -> None:
    """Draw a merchant's aggregate code for the display of a POS: key "aggregate" of its NVS."""
    from ledger.aggregate_picture import NoPicture, draw

    try:
        picture = draw(text)
        file.write_bytes(picture.data)
    except (NoPicture, OSError) as error:
        refuse(error)
    typer.echo(f"{file}: version {picture.version}, error correction {picture.level}")


@aggregate.command("import")
def ledger_aggregate_import(
    database: InputFile,
    statement: InputFile,
    by: Annotated[str, typer.Option(help=f"Who imports it, by name. {LOGGED_IN}")] = "",
) -> None:
    """Import a channel's STATEMENT (CSV) into DATABASE (SQLite): all its lines, or none.

    Columns: channel, order_no, merchant_no, amount, time. The same order again changes nothing.
    """
    from ledger.aggregate import StatementRefused
    from ledger.dialect import StoreUnavailable
    from ledger.signatures import NotAllowed
    from tools.ledger_aggregate import enter
    from tools.ledger_forks import NotBooks

    try:
        imported = enter(database, statement, by, int(time.time()))
    except StatementRefused as refused:
        for fault in refused.faults:
            say(f"{statement}: {fault}")
        refuse(f"{statement}: {len(refused.faults)} bad lines, nothing is imported")
    except (NotBooks, NotAllowed, StoreUnavailable, OSError) as error:
        refuse(error)
    typer.echo(f"{imported.new} lines are new, {imported.known} were known")


@aggregate.command("list")
def ledger_aggregate_list(
    database: InputFile,
    before_s: Annotated[
        int, typer.Option(min=0, help="A payment may be so long before its record.")
    ] = 300,
    after_s: Annotated[int, typer.Option(min=0, help="Or so long behind it.")] = 120,
    every: Annotated[bool, typer.Option("--all", help="The verified ones too.")] = False,
    as_json: Json = False,
) -> None:
    """Say which payments by aggregate code in DATABASE (SQLite) the statements verify."""
    from ledger.aggregate_match import Slack
    from tools.ledger_aggregate import ALL_VERIFIED, OPEN, find, is_open, to_json, to_text
    from tools.ledger_forks import NotBooks

    try:
        matched = find(database, Slack(before_s, after_s))
    except NotBooks as error:
        refuse(error)
    typer.echo(to_json(matched) if as_json else to_text(matched, every))
    raise typer.Exit(OPEN if is_open(matched) else ALL_VERIFIED)
