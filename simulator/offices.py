"""What the card centre's offices do in a scenario: hand out, graduate, settle, by their rules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ledger import card_status
from ledger.batches import GraduationLine
from ledger.holders import Holder
from ledger.lifecycle import Act
from ledger.temporary import CATEGORIES, STEPS, Application
from protocols.rules import clock
from protocols.wire import messages
from simulator.cardbox import HeldCard
from simulator.cards.desfire import Desfire
from simulator.scenario import ScenarioError

if TYPE_CHECKING:
    from simulator.run import Run
    from simulator.scenario import Step

_CLERK = Act(evidence="application", person="wang")
_ID_SHOWN = Act(evidence="id-card", person="wang")
_SIGNERS = ("li", "sun")
_DEPARTMENT = "Nursing"
_ACCOUNT = "430102199{:06}"  # twelve digits and more, and no bank's


def _held(run: Run, name: str) -> HeldCard:
    (held,) = (card for card in run.cards if card.name == name)
    return held


def _issue(run: Run, step: Step) -> None:
    """The bank has made a card; nobody has it, and no reader takes it yet."""
    held = _held(run, step.fields["card"])
    store = run.services.store
    store.holders.issue(held.card_no, run.world.utc_s(), _ID_SHOWN)
    kind = messages.DESFIRE if isinstance(held.chip, Desfire) else messages.CLASSIC
    store.know_chips([(held.card_no, held.chip.uid)], kind)
    held.issued_fen = 0
    run.tell(f"{held.name} is made")


def _hand_out(run: Run, step: Step) -> None:
    """By the form of annex 1: department and finance sign, 20 yuan are paid, it is opened."""
    held, now_s = _held(run, step.fields["card"]), run.world.utc_s()
    assert held.identity is not None
    days = held.identity.valid_from, held.identity.valid_to
    temporaries = run.services.store.temporaries
    whose = f"T{held.card_no}", f"S{held.card_no}"
    form = Application(*whose, "cook", CATEGORIES["tenant"], _DEPARTMENT, *days)
    number = temporaries.apply(form, now_s)
    for person, signs in zip(("zhao", "qian"), STEPS.values(), strict=True):
        temporaries.approve(number, signs, person, now_s)
    temporaries.hand_out(number, held.card_no, now_s, _CLERK)
    run.tell(f"{held.name} is handed out")


def _expire(run: Run, _step: Step) -> None:
    """Temporary cards whose last day is over are marked."""
    now_s = run.world.utc_s()
    today = clock.day(now_s, run.scenario.policy["utc_offset_s"])
    expired = run.services.store.holders.expire(today, now_s)
    run.tell(f"{len(expired)} temporary cards are over")


def _graduate(run: Run, step: Step) -> None:
    """A college's list: their cards have holders, two persons sign the dry run, and it is done."""
    names = [step.fields["card"], *step.fields.get("with", [])]
    cards, now_s = [_held(run, name) for name in names], run.world.utc_s()
    store, lines = run.services.store, []
    for at, held in enumerate(cards):
        assert held.identity is not None
        who = Holder(f"N{held.card_no}", held.identity.kind, _DEPARTMENT)
        days = held.identity.valid_from, held.identity.valid_to
        store.holders.open(held.card_no, who, days, now_s, _ID_SHOWN)
        account = _ACCOUNT.format(held.card_no)
        lines.append(GraduationLine(2 + at, held.card_no, who.person_no, account, held.name))
    file = hashlib.sha256(" ".join(names).encode()).digest()
    plan = store.batches.dry_run("graduation", lines, file)
    for person in _SIGNERS:
        store.batches.sign("graduation", lines, file, plan.sha256, person, now_s)
    done = store.batches.run("graduation", lines, file, plan.sha256, _SIGNERS[0], now_s)
    run.tell(f"{sum(not one.reason for one in done)} of {len(lines)} have graduated")


def _settle(run: Run, _step: Step) -> None:
    """What is due and proven moves; nobody decides anything."""
    settlements, now_s = run.services.store.settlements, run.world.utc_s()
    after_s = run.scenario.carry_over_us // 1_000_000
    settled = settlements.settle(now_s, after_s)
    waiting = settlements.waiting(now_s, after_s)
    run.tell(f"{len(settled)} cards are settled, {len(waiting)} wait for readers")


def _refusing(do: Callable[[Run, Step], None]) -> Callable[[Run, Step], None]:
    """What the card centre refuses is a mistake of the file."""

    def carefully(run: Run, step: Step) -> None:
        try:
            do(run, step)
        except card_status.CardRefused as refusal:
            raise ScenarioError(run.scenario.path, step.line, str(refusal)) from refusal

    return carefully


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "issue": _refusing(_issue),
    "hand-out": _refusing(_hand_out),
    "expire": _refusing(_expire),
    "graduate": _refusing(_graduate),
    "settle": _refusing(_settle),
}
