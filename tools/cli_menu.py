"""Menus in the books on the command line: onecard ledger menu set, onecard ledger menu list."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, refuse

menu = typer.Typer(help="What each merchant sells at its POS.", no_args_is_help=True)

MenuFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


@menu.command("set")
def menu_set(
    database: InputFile,
    file: MenuFile,
    merchant: Annotated[int, typer.Option(min=1, help="The merchant's number.")],
    person: Annotated[str, typer.Option(help=f"Who sets it, by name. {LOGGED_IN}")] = "",
    site: Annotated[str, typer.Option(help="Its POS in this building; without: all.")] = "",
) -> None:
    """Set the menu FILE (TOML, as onecard reader menu takes it) for a merchant's POS.

    Those whose settings say `ledger_menu` have it within ten minutes.
    """
    from ledger.dialect import StoreUnavailable
    from ledger.menus import MenuRefused
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks
    from tools.ledger_menu import set_menu
    from tools.reader_menu import BadMenu, read

    try:
        epoch = set_menu(database, read(file), merchant, site, person, int(time.time()))
    except (BadMenu, NotBooks, MenuRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    typer.echo(f"merchant {merchant}{' at ' + site if site else ''}: epoch {epoch}")


@menu.command("list")
def menu_list(database: InputFile) -> None:
    """Print every menu that was ever set, where, by whom, and which ones count."""
    from tools.ledger_forks import NotBooks
    from tools.ledger_menu import show

    try:
        typer.echo(show(database))
    except NotBooks as error:
        refuse(error)
