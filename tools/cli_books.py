"""The commands of `onecard ledger` about the books as a whole: proofs, audit, backup, doctor."""

import typer

from tools.cli_audit import audit
from tools.cli_backup import backup, replay, restore
from tools.cli_health import doctor, metrics
from tools.cli_quiescence import maps, quiescence


def add_to(ledger: typer.Typer) -> None:
    """Make them commands of `ledger`."""
    ledger.add_typer(quiescence, name="quiescence")
    ledger.add_typer(audit, name="audit")
    for command in (maps, backup, restore, replay, doctor, metrics):
        ledger.command(command.__name__)(command)
