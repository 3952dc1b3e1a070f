"""Phones at the counter in a scenario: a clerk sees who it is, and binds theirs, or ends it.

Somebody stands there with a document, which shows the number that the books have of whose card
`whose` is. Bound anew, the phone of before still shows codes, of which none is good any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ledger.holders import holder_of
from ledger.phones import Proof
from simulator.refusals import refusing
from simulator.scenario import ScenarioError

if TYPE_CHECKING:
    from simulator.run import Run
    from simulator.scenario import Step


def _bind(run: Run, step: Step) -> None:
    fields, card_no = step.fields, run.card(step.fields["card"]).card_no
    there = [card.card_no for card in run.cards if card.name == fields["whose"]]
    if not there:
        text = f"nobody holds a card '{fields['whose']}'"
        raise ScenarioError(run.scenario.path, step.line, text)
    whose = holder_of(run.services.store.database, there[0])
    proof = Proof(fields["shown"], fields["person"], whose.person_no if whose else "")
    binding, seed = run.services.phones.bind(card_no, proof, run.world.utc_s())
    run.phones.bind(card_no, seed)
    run.tell(f"{fields['person']} binds a phone to {fields['card']}: binding {binding}")


def _unbind(run: Run, step: Step) -> None:
    fields = step.fields
    card_no = run.card(fields["card"]).card_no
    binding = run.services.phones.unbind(card_no, fields["person"], run.world.utc_s())
    run.tell(f"{fields['person']} ends the phone of {fields['card']}: binding {binding}")


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "bind": refusing(_bind),
    "unbind": refusing(_unbind),
}
