"""What the ledger of a tortured campus answers readers with, by the business that there is."""

from __future__ import annotations

from functools import partial

from adapters.aes import CIPHERS
from ledger.code_desk import CodeDesk
from ledger.code_sales import CodePolicy
from ledger.credit_desk import CreditDesk
from ledger.phones import CODE_KEY_BYTES, Phones
from ledger.relay_desk import Desk, RelayDesk
from ledger.store import LedgerStore
from simulator.torture.business import Business
from simulator.world.clock import World
from simulator.world.randomness import Seeds

_CODE_POLICY = CodePolicy(sale_max_fen=5_000, day_max_fen=50_000)


def desk(
    business: Business, seeds: Seeds, world: World, credit_key: bytes, store: LedgerStore
) -> RelayDesk | None:
    """For a ledger that starts now; None if there is nothing to ask it."""
    found: list[Desk] = []
    if business.loads:
        random = seeds.stream("desk", world.now_us).randbytes
        found.append(CreditDesk(store, CIPHERS, credit_key, random, world.utc_s))
    if business.codes:
        bindings = phones(seeds, world, store)
        found.append(CodeDesk(store, bindings, _CODE_POLICY, partial(_interval_ms, world)))
    return RelayDesk(store, *found) if found else None


def phones(seeds: Seeds, world: World, store: LedgerStore) -> Phones:
    """Which phone each card is bound to."""
    code_key = seeds.stream("code-key").randbytes(CODE_KEY_BYTES)
    return Phones(store.database, code_key, seeds.stream("bindings", world.now_us).randbytes)


def _interval_ms(world: World) -> tuple[int, int]:
    """The centre's clock goes right, and knows that to a second."""
    utc_ms = world.utc_s() * 1000
    return utc_ms, utc_ms + 1000
