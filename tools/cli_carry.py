"""`onecard ledger carry-over`: send on what is left of lost cards, without waiting for a tap."""

import typer

from tools.cli_options import AfterHours, InputFile, refuse


def carry_over(database: InputFile, after_h: AfterHours = None) -> None:
    """Send on in DATABASE (SQLite) what is left of lost cards and due for the ones in their place.

    Their next tap online does it too: this only does it now. Again, it finds nothing.
    """
    import time

    from ledger.dialect import StoreUnavailable
    from tools.ledger_card import sweep
    from tools.ledger_forks import NotBooks

    try:
        typer.echo(sweep(database, after_h, int(time.time())))
    except (NotBooks, StoreUnavailable) as error:
        refuse(error)
