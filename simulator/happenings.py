"""What a scenario can make happen: one function per verb of simulator/scenario.py."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ledger import card_status
from ledger.lifecycle import RULES
from ledger.statements import read
from protocols.rules import charging, menu
from simulator import doors, hands, locks, machines, offices, settling, sites
from simulator.payers import Payer
from simulator.people import Clerk, Customer
from simulator.phones import PAYMENT
from simulator.reader import Reader
from simulator.rest import rest
from simulator.scenario import ScenarioError, Step
from simulator.scenario_words import ANSWERS

if TYPE_CHECKING:
    from simulator.building import Building
    from simulator.run import Run

_HOLD_MS = (500, 900)
_TORN_MS = (15, 160)
_AGAIN_MS = 700
_WAIT_US = 1_000_000
_EVIDENCE = "id-card"


def happen(run: Run, step: Step) -> None:
    """Do what a step says, now; if somebody has done something, rest is over."""
    _VERBS[step.do](run, step)
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
    shown = partial(run.phones.show, held.card_no, step.fields.get("shows", PAYMENT))
    run.clerks[step.fields["reader"]].join(Customer(held, step.fields["amount"], [], code=shown))


def _topup(run: Run, step: Step) -> None:
    """One named person pays in with a telephone; the card learns of it at a reader."""
    (held,) = (card for card in run.cards if card.name == step.fields["card"])
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
    )
    run.clerks[fields["reader"]].join(customer)


def _press(run: Run, step: Step) -> None:
    """The merchant presses keys, once nobody is served, and looks at the display."""
    clerk = run.clerks[step.fields["reader"]]
    if not clerk.is_idle:
        run.world.at(run.world.now_us + _WAIT_US, partial(_press, run, step))
        return
    clerk.press(step.fields["keys"])
    run.world.at(run.world.now_us + _WAIT_US, partial(_look, run, step))


def _look(run: Run, step: Step) -> None:
    reader, wanted = run.readers[step.fields["reader"]], step.fields.get("shows")
    shown = reader.hardware.panel.lines[0]
    run.tell(f"{reader.name} says {shown}")
    if wanted not in (None, shown):
        run.not_shown.append(f"line {step.line}: {reader.name} says '{shown}', not '{wanted}'")


# -- cables and power -----------------------------------------------------------------------


def _cut(run: Run, step: Step) -> None:
    _switch(run, step, on=False)


def _plug(run: Run, step: Step) -> None:
    _switch(run, step, on=True)


def _switch(run: Run, step: Step, *, on: bool) -> None:
    what, site = step.fields["what"], step.fields.get("site")
    where = f" of {site}" if site else ""
    run.tell(f"{'back' if on else 'cut'}: {_CABLES[what][0]}{where}")
    _CABLES[what][1](run, on, step.fields)
    run.services.settle(run.world.now_us)


def _readers_of(run: Run, fields: Mapping[str, Any]) -> list[Reader]:
    """The reader that a step names, those of the site that it names, or all."""
    name, site = fields.get("reader"), fields.get("site")
    return [
        reader
        for reader in run.readers.values()
        if name in (None, reader.name) and site in (None, run.site_of(reader.name))
    ]


def _buildings_of(run: Run, fields: Mapping[str, Any]) -> list[Building]:
    site = fields.get("site")
    return [one for one in run.services.buildings.values() if site in (None, one.site)]


def _reader_network(run: Run, on: bool, fields: Mapping[str, Any]) -> None:
    for reader in _readers_of(run, fields):
        _set_cable(run, reader, plugged=on, dark=False)


def _upstream(run: Run, on: bool, fields: Mapping[str, Any]) -> None:
    for building in _buildings_of(run, fields):
        if on:
            building.upstream.plug()
        else:
            building.upstream.cut()


def _mains(run: Run, on: bool, fields: Mapping[str, Any]) -> None:
    """A building's mains: switch, broker and agent die; readers go on on their batteries."""
    buildings = [one for one in _buildings_of(run, fields) if one.has_mains != on]
    for building in buildings if on else ():
        building.restart()
    for reader in _readers_of(run, fields):
        if locks.hardware_of(reader):
            continue  # it has its cells, and no cable
        reader.rouse()
        is_run_down = reader.hardware.battery.is_cut
        reader.hardware.set_mains(on)
        if on and is_run_down:
            reader.switch_on()
        _set_cable(run, reader, plugged=on, dark=False)
    for building in () if on else buildings:
        building.kill()


def _dark(run: Run, step: Step) -> None:
    reader = run.readers[step.fields["reader"]]
    run.tell(f"{reader.name} hangs on a dead switch port")
    _set_cable(run, reader, plugged=True, dark=True)


def _set_cable(run: Run, reader: Reader, *, plugged: bool, dark: bool) -> None:
    if locks.hardware_of(reader):
        locks.plug(reader, plugged, run.world.now_us)
        return
    cable, line = reader.hardware.cable, reader.hardware.line
    if line is not None:
        line.is_cut = dark or not plugged
        return
    assert cable is not None
    reader.rouse()
    cable.set(plugged=plugged, dark=dark, now_us=run.world.now_us)
    reader.wake(run.world.now_us)


def _desk(run: Run, on: bool, fields: Mapping[str, Any]) -> None:
    """The cable between a reader that types and its PC."""
    for reader in _readers_of(run, fields):
        if reader.hardware.usb:
            reader.at(run.world.now_us, partial(reader.hardware.usb.plug, on))


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
    "phone": _phone,
    "press": _press,
    "wait": _wait,
    "rest": rest,
    "statement": _statement,
    "topup": _topup,
    "reprice": _reprice,
    "limit": _limit,
    "topups": _topups,
    "cut": _cut,
    "plug": _plug,
    "dark": _dark,
    "kill": _kill,
    "revive": _revive,
    "provision": _provision,
    **dict.fromkeys(card_status.VERBS, _set_status),
    "reissue": _reissue,
    **hands.VERBS,
    **doors.VERBS,
    **locks.VERBS,
    **machines.VERBS,
    **offices.VERBS,
    **settling.VERBS,
    **sites.VERBS,
}
_CABLES: dict[str, tuple[str, Callable[[Run, bool, Mapping[str, Any]], None]]] = {
    "reader-network": ("the readers' network", _reader_network),
    "upstream": ("the line to the card centre", _upstream),
    "mains": ("the building's mains", _mains),
    "desk": ("the USB cable of the desk", _desk),
}
