"""What a scenario can make happen: one function per verb of simulator/scenario.py."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ledger import card_status
from ledger.lifecycle import RULES
from ledger.statements import read
from protocols.rules import charging, menu
from simulator import (
    acquiring,
    bindings,
    cables,
    doors,
    dossiers,
    hands,
    locks,
    machines,
    offices,
    settling,
    sites,
)
from simulator.payers import Payer
from simulator.people import Clerk, Customer
from simulator.phones import PAYMENT, PLATFORMS
from simulator.rest import rest
from simulator.scenario import ScenarioError, Step
from simulator.scenario_words import ANSWERS

if TYPE_CHECKING:
    from simulator.run import Run

_HOLD_MS = (500, 900)
_TORN_MS = (15, 160)
_AGAIN_MS = 700
_WAIT_US = 1_000_000
_EVIDENCE = "id-card"


def happen(run: Run, step: Step) -> None:
    """Do what a step says, now; if somebody has done something, rest is over."""
    names = {key: run.named(step.fields[key]) for key in ("person", "by") if key in step.fields}
    _VERBS[step.do](run, replace(step, fields={**step.fields, **names}))
    if step.do not in ("wait", "rest"):
        run.rest.end()  # not before it: who was refused has done nothing


def announce(run: Run, step: Step) -> None:
    """Before the start: power that is going to fail fails in the middle of a reader's step."""
    if step.do == "kill":
        run.readers[step.fields["reader"]].cut_power_at(step.at_us)


# -- people ---------------------------------------------------------------------------------


def _lunch(run: Run, step: Step) -> None:
    """Customers come one after the other, at random moments, with random wishes."""
    draw = run.seeds.stream("lunch", step.line)
    amounts = step.fields.get("amounts", [1250])
    moments = sorted(draw.randrange(step.fields["over"]) for _ in range(step.fields["customers"]))
    for moment_us in moments:
        is_torn = draw.randrange(100) < step.fields.get("torn_percent", 0)
        hold_ms = (
            [draw.randrange(*_TORN_MS), _AGAIN_MS] if is_torn else [draw.randrange(*_HOLD_MS)]
        )
        amount_fen = draw.choice(amounts)
        own = random.Random(draw.randbytes(8))  # who comes must not depend on who is still eating
        cancels = "cancel_percent" in step.fields and (
            draw.randrange(100) < step.fields["cancel_percent"]
        )
        phones = "phone_percent" in step.fields and (
            draw.randrange(100) < step.fields["phone_percent"]
        )
        arrival = partial(_arrive, run, amount_fen, hold_ms, own, cancels, phones)
        percent = step.fields.get("without_card_percent")
        if percent and draw.randrange(100) < percent:
            cheats = draw.randrange(100) < step.fields.get("screenshot_percent", 0)
            arrival = partial(_come, run, Payer(amount_fen, run.pay, cheats), own)
        run.world.at(step.at_us + moment_us, arrival)
    run.tell(f"{len(moments)} customers are on their way")


def _arrive(
    run: Run,
    amount_fen: int,
    hold_ms: list[int],
    draw: random.Random,
    cancels: bool,
    phones: bool,
) -> None:
    """Who wants to pay by phone, and has none or finds no scanner, pays by card."""
    free = [card for card in run.cards if not card.is_busy]
    if not free:
        return
    held = draw.choice(free)
    held.is_busy = True
    customer = Customer(held, amount_fen, hold_ms, pin=held.pin, changes_mind=cancels)
    clerk = _shortest(run, draw)
    if phones and run.phones.has(held.card_no) and clerk.reader.hardware.scanner:
        customer.code = partial(run.phones.show, held.card_no, PAYMENT)
        customer.changes_mind = False
    clerk.join(customer)


def _come(run: Run, payer: Payer, draw: random.Random) -> None:
    _shortest(run, draw).join(payer)


def _shortest(run: Run, draw: random.Random) -> Clerk:
    """Somebody chooses the shortest queue."""
    shortest = min(len(clerk.queue) for clerk in run.clerks.values())
    return draw.choice([one for one in run.clerks.values() if len(one.queue) == shortest])


def _wait(_run: Run, _step: Step) -> None:
    """Nothing happens; but the scenario lasts until here."""


def _statement(run: Run, _step: Step) -> None:
    """The accountant imports what the channel has so far."""
    imported = run.services.store.aggregate.enter(read(run.channel.statement()))
    run.tell(f"statement: {imported.new} lines are new")


def _phone(run: Run, step: Step) -> None:
    """One named person holds a phone before the scanner."""
    (held,) = (card for card in run.cards if card.name == step.fields["card"])
    if held.is_busy:
        run.world.at(run.world.now_us + _WAIT_US, partial(_phone, run, step))
        return
    held.is_busy = True
    what = step.fields.get("shows", PAYMENT)
    shown = partial(run.phones.show, held.card_no, what)
    read = partial(_read_by, run, step)
    customer = Customer(held, step.fields["amount"], [], code=shown, on_read=read)
    customer.is_platform = what in PLATFORMS
    run.clerks[step.fields["reader"]].join(customer)


def _code(run: Run, step: Step) -> None:
    """The holder opens the app, which makes a code; whoever takes a picture has that."""
    what = step.fields.get("shows", PAYMENT)
    run.phones.show(run.card(step.fields["card"]).card_no, what)
    run.tell(f"the phone of {step.fields['card']} shows its {what} code")


def _topup(run: Run, step: Step) -> None:
    """One named person pays in with a telephone; the card learns of it at a reader."""
    held = run.card(step.fields["card"])
    if not run.phones.is_online(held.card_no):
        fault = f"the phone of {held.name} has no network"
        raise ScenarioError(run.scenario.path, step.line, fault)
    run.top_up(held, step.fields["amount"], f"{step.line}")


def _reprice(run: Run, step: Step) -> None:
    """The merchant of a reader has another price for some items, at all of its POS."""
    (reader,) = (one for one in run.scenario.readers if one["name"] == step.fields["reader"])
    items, amount_fen = step.fields["items"], step.fields["amount"]
    prices = [
        (item, kind, period, amount_fen if item in items else fen)
        for item, kind, period, fen in run.scenario.prices
    ]
    data = menu.encode(charging.packed(prices), run.scenario.periods)
    merchant_no = run.scenario.merchants[reader["merchant"]]
    run.services.store.menus.set_menu(merchant_no, "", data, "price office", run.world.utc_s())


def _limit(run: Run, step: Step) -> None:
    """The card centre sets what one spend at a reader may be at most."""
    (reader,) = (one for one in run.scenario.readers if one["name"] == step.fields["reader"])
    policy = {**run.scenario.policy, "amount_max_fen": step.fields["amount"]}
    del policy["epoch"]
    policies, utc_s = run.services.store.policies, run.world.utc_s()
    policies.set_policy(policy, "card centre", utc_s, device=reader["device"])


def _topups(run: Run, step: Step) -> None:
    """So many holders pay in at random moments."""
    draw = run.seeds.stream("topups", step.line)
    ours = [card for card in run.cards if card.issued_fen is not None]
    amounts = step.fields.get("amounts", [5000])
    for number in range(step.fields["holders"]):
        moment_us = step.at_us + draw.randrange(step.fields["over"])
        held, amount_fen = draw.choice(ours), draw.choice(amounts)
        order_id = f"{step.line}-{number}"
        run.world.at(moment_us, partial(run.top_up, held, amount_fen, order_id))
    run.tell(f"{step.fields['holders']} holders pay in")


def _set_status(run: Run, step: Step) -> None:
    """The card centre does it, or a holder with a telephone."""
    (held,) = (card for card in run.cards if card.name == step.fields["card"])
    cards = run.services.store.cards
    try:
        shown = RULES[step.do].evidence
        cards.set(step.do, held.card_no, run.world.utc_s(), shown[0] if shown else "")
    except card_status.CardRefused as refusal:
        raise ScenarioError(run.scenario.path, step.line, str(refusal)) from refusal
    run.tell(f"{step.do}: {held.name}")


def _reissue(run: Run, step: Step) -> None:
    """At the card centre, with ID: another card in the place of a lost one."""
    by_name = {card.name: card for card in run.cards}
    old, new = by_name[step.fields["card"]], by_name[step.fields["new"]]
    reissues = run.services.store.reissues
    try:
        reissues.reissue(old.card_no, new.card_no, run.world.utc_s(), _EVIDENCE)
    except card_status.CardRefused as refusal:
        raise ScenarioError(run.scenario.path, step.line, str(refusal)) from refusal
    run.tell(f"{new.name} is in the place of {old.name}")


def _tap(run: Run, step: Step) -> None:
    """One named person pays, once the cards are free: a card is in one place at a time."""
    by_name = {card.name: card for card in run.cards}
    held = by_name[step.fields["card"]]
    others = [by_name[name] for name in step.fields.get("with", [])]
    if any(card.is_busy for card in (held, *others)):
        run.world.at(run.world.now_us + _WAIT_US, partial(_tap, run, step))
        return
    for card in (held, *others):
        card.is_busy = True
    hold_ms = step.fields.get("hold_ms", _AGAIN_MS)
    hold = hold_ms if isinstance(hold_ms, list) else [hold_ms]
    fields = step.fields
    customer = Customer(
        held,
        fields["amount"],
        hold,
        others,
        pins=list(fields.get("pins", [])),
        pin=b"" if "pins" in fields else held.pin,
        is_holder=fields.get("identity", ANSWERS[0]) == ANSWERS[0],
        items=fields.get("items", []),
        is_meal=bool(fields.get("meal")),
        changes_mind=bool(fields.get("cancel")),
        on_read=partial(_read_by, run, step),
    )
    run.clerks[fields["reader"]].join(customer)


def _read_by(run: Run, step: Step, text: str) -> None:
    """What the display has said to one named person in the end."""
    run.tell(f"{step.fields['card']} at {step.fields['reader']}: {text}")
    run.read(step, text)


def _press(run: Run, step: Step) -> None:
    """The merchant presses keys, once nobody is served, one after the other, and looks."""
    clerk = run.clerks[step.fields["reader"]]
    if step not in clerk.presses:
        clerk.presses.append(step)
    if not clerk.is_idle or clerk.presses[0] is not step:
        run.world.at(run.world.now_us + _WAIT_US, partial(_press, run, step))
        return
    clerk.presses.popleft()
    clerk.press(step.fields["keys"])
    run.world.at(run.world.now_us + _WAIT_US, partial(_look, run, step))


def _look(run: Run, step: Step) -> None:
    reader = run.readers[step.fields["reader"]]
    shown = reader.hardware.panel.lines[0]
    run.tell(f"{reader.name} says {shown}")
    run.read(step, shown)


# -- power ---------------------------------------------------------------------------------


def _kill(run: Run, step: Step) -> None:
    run.tell(f"{step.fields['reader']} loses its battery")


def _revive(run: Run, step: Step) -> None:
    reader = run.readers[step.fields["reader"]]
    run.tell(f"{reader.name} is switched on again")
    reader.switch_on()


def _provision(run: Run, step: Step) -> None:
    """What a reader keeps beside its journal is lost, and it is set up anew with a cable."""
    reader = run.readers[step.fields["reader"]]
    run.tell(f"{reader.name} is set up anew")
    reader.hardware.nvs.clear()
    reader.hardware.nvs.update(run.provisioned[reader.name])


_VERBS: dict[str, Callable[[Run, Step], None]] = {
    "lunch": _lunch,
    "tap": _tap,
    "code": _code,
    "phone": _phone,
    "press": _press,
    "wait": _wait,
    "rest": rest,
    "statement": _statement,
    "topup": _topup,
    "reprice": _reprice,
    "limit": _limit,
    "topups": _topups,
    "kill": _kill,
    "revive": _revive,
    "provision": _provision,
    **dict.fromkeys(card_status.VERBS, _set_status),
    "reissue": _reissue,
    **acquiring.VERBS,
    **bindings.VERBS,
    **cables.VERBS,
    **dossiers.VERBS,
    **hands.VERBS,
    **doors.VERBS,
    **locks.VERBS,
    **machines.VERBS,
    **offices.VERBS,
    **settling.VERBS,
    **sites.VERBS,
}
