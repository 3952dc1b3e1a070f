"""`onecard ledger quiescence`: is a spend of this card still missing? And who has which map."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, LOGGED_IN, InputFile, Json, refuse

quiescence = typer.Typer(
    help="Prove that no spend of a card is missing, or name who bars it.", no_args_is_help=True
)


@quiescence.command("prove")
def prove(
    database: InputFile,
    card_no: Annotated[int, typer.Option("--card", min=0, help="The card's number.")],
    before: Annotated[
        str | None,
        typer.Option(
            help="Spends of before then (ISO 8601 with its zone); the report of its loss."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A new file for the certificate, signed with a ledger.toml."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove by DATABASE that no spend of a card of before its loss is missing, or say who bars it.

    Exit code 1: something does.
    """
    import time

    from ledger.quiescence import QuiescenceRefused
    from tools import ledger_quiescence
    from tools.ledger_forks import NotBooks

    try:
        found, text = ledger_quiescence.prove(database, card_no, before, out, int(time.time()))
    except (NotBooks, QuiescenceRefused, OSError) as error:
        refuse(error)
    typer.echo(text.rstrip() if as_json else ledger_quiescence.to_text(found))
    raise typer.Exit(ledger_quiescence.BARRED if found.blocking else ledger_quiescence.PROVEN)


@quiescence.command("verify")
def verify(file: InputFile, database: InputFile) -> None:
    """Check the certificate FILE by itself and by the books in DATABASE; exit code 1: it fails."""
    from ledger.certificates import CertificateError
    from tools import ledger_quiescence
    from tools.ledger_forks import NotBooks

    try:
        faults = ledger_quiescence.check(file, database)
    except (NotBooks, CertificateError, OSError, UnicodeDecodeError) as error:
        refuse(error)
    for fault in faults:
        typer.echo(f"not so: {fault}")
    if faults:
        raise typer.Exit(EXIT_FAILED)
    typer.echo("the books bear it out")


@quiescence.command("release")
def release(
    database: InputFile,
    device: Annotated[int, typer.Option(min=1, help="The reader's number.")],
    because: Annotated[str, typer.Option(help="Why, in such a word: scrapped, never-used.")],
    person: Annotated[
        str, typer.Option("--by", help=f"Who, in a word of a-z, 0-9 and -. {LOGGED_IN}")
    ] = "",
    record: Annotated[
        int, typer.Option(min=0, help="Only this record of it, which hides no spend.")
    ] = 0,
) -> None:
    """Say in DATABASE that nothing comes of a reader any more; it holds until it speaks again."""
    import time

    from ledger.dialect import StoreUnavailable
    from ledger.quiescence import QuiescenceRefused
    from ledger.signatures import NotAllowed
    from tools import ledger_quiescence
    from tools.ledger_forks import NotBooks

    try:
        ledger_quiescence.let_go(database, device, record, person, because, int(time.time()))
    except (NotBooks, QuiescenceRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    what = f"reader {device}{f', record {record}' if record else ''}"
    typer.echo(f"{what}: released{f' by {person}' if person else ''}")


def maps(database: InputFile, as_json: Json = False) -> None:
    """List readers that have not said that they have the newest card map of DATABASE.

    Exit code 1: there are some.
    """
    from tools import ledger_quiescence
    from tools.ledger_forks import NotBooks

    try:
        epoch, found = ledger_quiescence.maps(database)
    except NotBooks as error:
        refuse(error)
    say = ledger_quiescence.maps_json if as_json else ledger_quiescence.maps_text
    typer.echo(say(epoch, found))
    raise typer.Exit(EXIT_FAILED if found else 0)
