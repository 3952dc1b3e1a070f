"""What the books of a scenario know from the start: merchants, readers and cards.

A reader with `unregistered = 1` is nobody's yet, and so is a merchant who has no other: they come
by annex 2 (simulator/settling.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from protocols.rules import door
from protocols.wire import messages
from simulator import machines
from simulator.cards.desfire import Desfire
from simulator.cards.mifare_classic import MifareClassic
from simulator.phones import SHOWN

if TYPE_CHECKING:
    from simulator.run import Run


def register(run: Run) -> None:
    """Everybody but who is new."""
    store, readers = run.services.store, run.scenario.readers
    new = {reader["merchant"] for reader in readers if reader.get("unregistered")}
    new -= {reader["merchant"] for reader in readers if not reader.get("unregistered")}
    for name, number in run.scenario.merchants.items():
        if name not in new:
            store.register_merchant(number, name)
    for reader in readers:
        if not reader.get("unregistered"):
            register_reader(run, reader)
    issued = [card for card in run.cards if card.issued_fen is not None]
    store.issue_cards((card.card_no, card.issued_fen or 0) for card in issued)
    for kind, chip in ((messages.CLASSIC, MifareClassic), (messages.DESFIRE, Desfire)):
        own = [(card.card_no, card.chip.uid) for card in issued if isinstance(card.chip, chip)]
        store.know_chips(own, kind)
    for batch in run.scenario.cards:
        for card_no in range(batch.first_no, batch.first_no + batch.count):
            if batch.has_phone and batch.make == "ours":
                bound = run.services.phones.bind(card_no, SHOWN, run.world.utc_s())
                run.phones.bind(card_no, bound[1])
    machines.register(run)


def register_reader(run: Run, reader: Mapping[str, Any]) -> None:
    """A reader, and the door that it is."""
    store, device = run.services.store, reader["device"]
    merchant_no = run.scenario.merchants[reader["merchant"]]
    site = reader.get("site", run.scenario.site)
    store.register_device(device, run.device_keys[device], merchant_no, site)
    if "scope" in reader:
        is_lock = reader["role"] == "lock"
        store.access.add_door(device, reader["scope"], door.GRANT_MS, 0, is_lock=is_lock)
