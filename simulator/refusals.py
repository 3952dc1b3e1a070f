"""What the ledger refuses is a mistake of a scenario file, unless the file names that refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ledger.dossiers import DossierRefused
from ledger.period_reasons import PeriodRefused
from ledger.phones import PhoneRefused
from ledger.signatures import NotAllowed, note_refusal
from simulator.scenario import ScenarioError

if TYPE_CHECKING:
    from simulator.run import Run
    from simulator.scenario import Step

Verb = Callable[["Run", "Step"], None]


def refusing(do: Verb) -> Verb:
    """`do`, which the ledger refuses with the number `refused` of its step, and else does."""

    def carefully(run: Run, step: Step) -> None:
        wanted = step.fields.get("refused", 0)
        try:
            do(run, step)
        except (DossierRefused, PeriodRefused, PhoneRefused, NotAllowed) as refusal:
            if refusal.reason != wanted:
                raise ScenarioError(run.scenario.path, step.line, str(refusal)) from refusal
            if isinstance(refusal, NotAllowed):  # as whoever asks the ledger for persons does
                note_refusal(run.services.store.database, refusal, run.world.utc_s())
            run.tell(f"refused: {refusal}")
            return
        if wanted:
            run.not_shown.append(f"line {step.line}: it was not refused with {wanted}")

    return carefully
