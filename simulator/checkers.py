"""What must always hold, checked from outside: cards against ledger, person against machine.

The cards are read past their access rights, the ledger's tables directly, the journals from the
flash; what a customer saw was written down by the people of the scenario. Nothing here believes
what a reader, an agent or the ledger says of itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from firmware.services.journal import Journal
from ledger.invariants import check
from ledger.store import LedgerStore
from protocols.wire import messages, seal
from simulator.cardbox import CardKeys, HeldCard, truth
from simulator.chips.nor_flash import NorFlash

_BATCH_BYTES = 4096


@dataclass(frozen=True)
class OpenIntent:
    """A spend whose end the ledger does not know yet; `last`: the spend the card named then."""

    device: int
    seq: int
    card_no: int
    amount_fen: int
    last: tuple[int, int]


@dataclass
class Verdict:
    """Money in fen. `violations` are sentences; empty means that everything holds."""

    issued_fen: int = 0
    on_cards_fen: int = 0
    booked_fen: int = 0
    in_flight_fen: int = 0
    lost: int = 0
    duplicated: int = 0
    unseen: int = 0
    conserved: bool = True
    violations: list[str] = field(default_factory=list)


def judge(
    cards: list[HeldCard],
    keys: CardKeys,
    ledger: LedgerStore,
    flashes: dict[int, NorFlash],
    paid: Counter[tuple[int, int]],
) -> Verdict:
    """Compare every card with the ledger.

    `flashes`: each device's journal partition; `paid`: (card_no, amount_fen) people saw paid.
    """
    verdict = Verdict()
    booked = Counter((card_no, fen) for _, _, fen, card_no in ledger.booked_ids())
    booked_of = Counter(card_no for card_no, _ in booked.elements())
    open_of: dict[int, list[OpenIntent]] = {}
    named = set(ledger.database.rows("SELECT last_device, last_seq FROM intent"))
    for intent in [*_open_in(ledger), *_undelivered(ledger, flashes)]:
        open_of.setdefault(intent.card_no, []).append(intent)
        named.add(intent.last)
    for card in cards:
        if card.issued_fen is not None:
            opened = open_of.get(card.card_no, [])
            _judge_card(card, keys, booked_of[card.card_no], opened, named, verdict)
    opened = Counter((i.card_no, i.amount_fen) for found in open_of.values() for i in found)
    for (card_no, fen), count in (paid - booked - opened).items():
        verdict.violations.append(f"card {card_no}: {count} x {fen} fen shown as paid, not booked")
    verdict.unseen = sum((booked - paid).values())
    verdict.booked_fen = sum(fen for _, fen in booked.elements())
    total_fen = verdict.on_cards_fen + verdict.booked_fen + verdict.in_flight_fen
    verdict.conserved = total_fen == verdict.issued_fen
    if not verdict.conserved:
        verdict.violations.append(
            f"cards {verdict.on_cards_fen} + booked {verdict.booked_fen} + in flight "
            f"{verdict.in_flight_fen} = {total_fen}, issued {verdict.issued_fen} fen"
        )
    verdict.violations += [str(violation) for violation in check(ledger)]
    return verdict


def _judge_card(
    card: HeldCard,
    keys: CardKeys,
    booked: int,
    opened: list[OpenIntent],
    named: set[tuple[int, int]],
    verdict: Verdict,
) -> None:
    """One card: its counter tells how often it was debited, its balance how much.

    A card names the last spend that debited it, now and at every tap before: so an open intent
    has debited it if, and only if, the card names it or has named it.
    """
    view = truth(card.chip, keys)
    verdict.issued_fen += card.issued_fen or 0
    verdict.on_cards_fen += view.balance_fen
    named = named | {(view.last_device, view.last_seq)}
    on_card = [intent for intent in opened if (intent.device, intent.seq) in named]
    missing = view.counter - booked
    if missing < len(on_card):
        verdict.duplicated += len(on_card) - missing
        verdict.violations.append(
            f"card {card.card_no}: {len(on_card) - missing} booked that it never paid"
        )
    elif missing > len(on_card):
        verdict.lost += missing - len(on_card)
        verdict.violations.append(f"card {card.card_no}: {missing} debits not booked, {on_card}")
    verdict.in_flight_fen += sum(intent.amount_fen for intent in on_card)


def _open_in(ledger: LedgerStore) -> Iterator[OpenIntent]:
    sql = "SELECT device, seq, card_no, amount_fen, last_device, last_seq FROM intent"
    for row in ledger.database.rows(f"{sql} WHERE state < 2"):
        device, seq, card_no, amount_fen, *last = row
        yield OpenIntent(device, seq, card_no, amount_fen, (last[0], last[1]))


def _undelivered(ledger: LedgerStore, flashes: dict[int, NorFlash]) -> Iterator[OpenIntent]:
    """The intents that stand in a reader's journal and not yet in the ledger."""
    heads = dict(ledger.database.rows("SELECT device, head_seq FROM device"))
    for device, flash in flashes.items():
        journal = journal_of(flash)
        for seq in range(heads[device] + 1, journal.head_seq + 1):
            record = journal.record(seq)
            if record is None and seq == journal.head_seq:
                continue  # torn: a moment ago its unstable cells read like a record
            if record is None:
                raise AssertionError(f"device {device}: record {seq} is neither booked nor kept")
            fields = messages.decode_record(seal.payload_of(record))
            if fields["kind"] == messages.INTENT:
                last = fields["last_device"], fields["last_seq"]
                yield OpenIntent(device, seq, fields["card_no"], fields["amount_fen"], last)


def journal_of(flash: NorFlash) -> Journal:
    """The journal on a flash partition, looked at without touching it."""
    journal = Journal(_ReadOnly(flash))
    journal.recover()
    return journal


class _ReadOnly:
    """A flash to look at: recovery heals nothing in it."""

    def __init__(self, flash: NorFlash) -> None:
        self.size_bytes = flash.size_bytes
        self.sector_bytes = flash.sector_bytes
        self.read = flash.read

    def program(self, address: int, data: bytes) -> None:
        """Looking changes nothing."""

    def erase(self, sector: int) -> None:
        """Looking changes nothing."""
