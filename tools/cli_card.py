"""The card centre's desk on the command line: onecard card personalise, pin, info, verify, ..."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import CardKeyFileNeeded, Json, refuse

card = typer.Typer(
    help="The card centre's desk: write, read and check cards.", no_args_is_help=True
)


class DeskName(StrEnum):
    """Readers that a card can lie on, beside the simulated tray."""

    PI = "pi"
    PCSC = "pcsc"


Tray = Annotated[Path | None, typer.Option(help="A card in a file, on a simulated reader.")]
CardDesk = Annotated[DeskName | None, typer.Option(help="The reader at this machine.")]
ReaderName = Annotated[str, typer.Option(help="With pcsc: part of the reader's name.")]
Record = Annotated[Path | None, typer.Option(help="Keep what was said, for `trace --file`.")]
CardKeyFile = Annotated[
    Path | None, typer.Option(help="TOML file with the card centre's keys, mode 0600.")
]


@card.command("personalise")
def card_personalise(
    card_no: Annotated[int, typer.Option(min=0, help="The ledger's number of the card.")],
    kind: Annotated[str, typer.Option(help="staff, student or temporary.")],
    valid_from: Annotated[str, typer.Option(help="First day, such as 2026-09-01.")],
    valid_to: Annotated[str, typer.Option(help="Last day.")],
    keys: CardKeyFileNeeded,
    balance_fen: Annotated[int, typer.Option(min=0, help="What stands in the purse.")] = 0,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    again: Annotated[bool, typer.Option(help="Overwrite a card that is ours already.")] = False,
    blank: Annotated[bool, typer.Option(help="First put a factory card on the tray.")] = False,
    uid: Annotated[str, typer.Option(help="With --blank: its uid, 8 or 14 digits.")] = "",
    desfire: Annotated[bool, typer.Option(help="With --blank: a DESFire EV2.")] = False,
    pin: Annotated[bool, typer.Option("--pin", help="Ask for a PIN, as `pin` does.")] = False,
    name: Annotated[str, typer.Option(help="Its holder's, for a merchant who has to look.")] = "",
    record: Record = None,
) -> None:
    """Write a whole card, keys last, and read it back. Torn half way, run it again."""
    from tools.card import at_desk, jobs, keyfile, pin_entry
    from tools.card.errors import BadInput

    place = at_desk.Place(tray, desk or "", reader, record)
    try:
        masters = keyfile.load_keys(keys)
        digits = pin_entry.read_pin() if pin else b""
        order = at_desk.order(card_no, kind, valid_from, valid_to, balance_fen, digits, name)
        if blank:
            at_desk.blank(place, uid, desfire)
    except BadInput as error:
        refuse(error)
    raise typer.Exit(
        at_desk.run(place, lambda found: jobs.personalise(found, order, masters, again))
    )


@card.command("pin")
def card_pin(
    keys: CardKeyFileNeeded,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    unblock: Annotated[
        bool, typer.Option("--unblock", help="Keep the PIN, only give the tries back.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set the spending PIN, asked for or from standard input, and give used tries back."""
    from tools.card import at_desk, jobs, keyfile, pin_entry
    from tools.card.errors import BadInput

    try:
        masters = keyfile.load_keys(keys)
        digits = b"" if unblock else pin_entry.read_pin()
    except BadInput as error:
        refuse(error)
    place = at_desk.Place(tray, desk or "", reader)
    raise typer.Exit(at_desk.run(place, lambda found: jobs.pin(found, masters, digits), as_json))


@card.command("mailbox")
def card_mailbox(
    keys: CardKeyFileNeeded,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    as_json: Json = False,
) -> None:
    """Give a card that was made without one a mailbox, for letters to and from locks."""
    from tools.card import at_desk, jobs, keyfile
    from tools.card.errors import BadInput

    try:
        masters = keyfile.load_keys(keys)
    except BadInput as error:
        refuse(error)
    place = at_desk.Place(tray, desk or "", reader)
    raise typer.Exit(at_desk.run(place, lambda found: jobs.mailbox(found, masters), as_json))


@card.command("info")
def card_info(
    keys: CardKeyFile = None,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    dump: Annotated[Path | None, typer.Option(help="Keep what can be read, without keys.")] = None,
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Say what lies on the desk: kind, uid, identity, balance, last record; a stranger's too."""
    from tools.card import at_desk, jobs, keyfile
    from tools.card.errors import BadInput

    try:
        masters = None if keys is None else keyfile.load_keys(keys)
        at_desk.refuse_overwriting(tray, dump)
    except BadInput as error:
        refuse(error)
    place = at_desk.Place(tray, desk or "", reader, record)
    raise typer.Exit(at_desk.run(place, lambda found: jobs.info(found, masters, dump), as_json))


@card.command("verify")
def card_verify(
    keys: CardKeyFileNeeded,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Check every block, MAC and access bit; a line for each deviation, and exit code 1."""
    from tools.card import at_desk, jobs, keyfile
    from tools.card.errors import BadInput

    try:
        masters = keyfile.load_keys(keys)
    except BadInput as error:
        refuse(error)
    place = at_desk.Place(tray, desk or "", reader, record)
    raise typer.Exit(at_desk.run(place, lambda found: jobs.verify(found, masters), as_json))


@card.command("trace")
def card_trace(
    file: Annotated[Path | None, typer.Option(help="What --record has kept.")] = None,
    keys: CardKeyFile = None,
    tray: Tray = None,
    desk: CardDesk = None,
    reader: ReaderName = "",
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Print each frame of a tap, decoded: a live one, or one from a trace file. Never a key."""
    from tools.card import at_desk, jobs, keyfile
    from tools.card.errors import BadInput

    if file is not None:
        raise typer.Exit(at_desk.replay(file, as_json))
    try:
        masters = None if keys is None else keyfile.load_keys(keys)
    except BadInput as error:
        refuse(error)
    place = at_desk.Place(tray, desk or "", reader, record)
    raise typer.Exit(at_desk.run(place, lambda found: jobs.tap(found, masters), as_json))
