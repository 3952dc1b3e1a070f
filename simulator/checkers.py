"""What must always hold, checked from outside: cards against ledger, person against machine.

The cards are read past their access rights, the ledger's tables directly, the journals from the
flash; what a customer saw was written down by the people of the scenario. Nothing here believes
what a reader, an agent or the ledger says of itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from firmware.services.journal import Journal
from ledger import transfers
from ledger.evidence import State
from ledger.invariants import check
from ledger.loads import Load
from ledger.store import LedgerStore
from protocols.card.purse import CARD_CENTRE, PurseView
from protocols.wire import messages, seal
from simulator.cardbox import CardKeys, HeldCard, as_one
from simulator.chips.nor_flash import NorFlash

_BATCH_BYTES = 4096
_GIVEN_BACK = "SELECT device, seq, amount_fen FROM transfer WHERE kind = ?"
RecordId = tuple[int, int]  # device and sequence


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
    """Money in fen. `violations` are sentences; empty means that everything holds.

    `paid_in_fen` was paid in for cards; `loaded` and `loaded_fen` of it are on them.
    `cancelled`: sales whose money was given back, or will be when their CANCEL is delivered.
    `rotten`: debits of which nothing is left but that the card names a record that rot has taken.
    """

    issued_fen: int = 0
    on_cards_fen: int = 0
    booked_fen: int = 0
    in_flight_fen: int = 0
    paid_in_fen: int = 0
    loaded: int = 0
    loaded_fen: int = 0
    cancelled: int = 0
    cancelled_fen: int = 0
    sold_by_code: int = 0
    sold_by_code_fen: int = 0
    rotten: int = 0
    rotten_fen: int = 0
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
    rotten: Collection[RecordId] = (),
    paid_in: Counter[tuple[int, int]] | None = None,
    cancelled: Counter[tuple[int, int]] | None = None,
    elsewhere: Collection[int] = (),
) -> Verdict:
    """Compare every card with the ledger, but those `elsewhere` (card numbers).

    `flashes`: each device's journal partition; `paid`: (card_no, amount_fen) people saw paid;
    `rotten`: (device, seq) of the records in which more bits were flipped than can be put right;
    `paid_in`: (card_no, amount_fen) paid in for cards; `cancelled`: that people saw cancelled.
    """
    verdict = Verdict()
    sold = Counter((card_no, fen) for _, _, fen, card_no in ledger.booked_ids())
    booked = Counter({key: count for key, count in sold.items() if key[0] not in elsewhere})
    booked_of: dict[int, list[int]] = defaultdict(list)
    for card_no, fen in booked.elements():
        booked_of[card_no].append(fen)
    for card_no in _counted_tries(ledger):
        booked_of[card_no].append(0)
    open_of: dict[int, list[OpenIntent]] = defaultdict(list)
    named: dict[int, set[RecordId]] = defaultdict(set)
    for card_no, *last in ledger.database.rows(
        "SELECT card_no, last_device, last_seq FROM intent"
    ):
        named[card_no].add((last[0], last[1]))
    for intent in [*_open_in(ledger), *_undelivered(ledger, flashes, rotten)]:
        open_of[intent.card_no].append(intent)
        named[intent.card_no].add(intent.last)
    opened = Counter((i.card_no, i.amount_fen) for found in open_of.values() for i in found)
    loads_of = _loads(ledger, paid_in or Counter(), verdict)
    _judge_cancelled(ledger, flashes, cancelled or Counter(), sold + opened, rotten, verdict)
    for card_no, last in _undelivered_names(ledger, flashes):
        named[card_no].add(last)
    unbooked = paid - booked - opened
    gone = _gone(ledger, flashes, rotten, verdict)
    for card in cards:
        if card.issued_fen is not None:
            number = card.card_no
            view, names = as_one(card, keys)
            names |= named[number]
            on_card = _loaded(loads_of[number], names, verdict)
            # Whether a credit has come that only a record which is gone tells, nobody knows.
            hidden = len(loads_of[number]) - len(on_card)
            rotten_fen = _judge_card(
                card,
                view,
                booked_of[number],
                open_of[number],
                on_card,
                names,
                gone,
                hidden,
                verdict,
            )
            shown = Counter({key: n for key, n in unbooked.items() if key[0] == number})
            if sum(fen for _, fen in shown.elements()) <= rotten_fen:
                unbooked -= shown
    for (card_no, fen), count in unbooked.items():
        verdict.violations.append(f"card {card_no}: {count} x {fen} fen shown as paid, not booked")
    verdict.unseen = sum((booked - paid).values())
    verdict.booked_fen = sum(fen for _, fen in booked.elements())
    _weigh(verdict)
    verdict.violations += [str(violation) for violation in check(ledger)]
    return verdict


def _weigh(verdict: Verdict) -> None:
    """Whether all the money that was issued, or loaded since, is somewhere."""
    total_fen = (
        verdict.on_cards_fen + verdict.booked_fen + verdict.in_flight_fen + verdict.rotten_fen
    )
    verdict.conserved = total_fen == verdict.issued_fen + verdict.loaded_fen
    if not verdict.conserved:
        verdict.violations.append(
            f"cards {verdict.on_cards_fen} + booked {verdict.booked_fen} + in flight "
            f"{verdict.in_flight_fen} + rotten {verdict.rotten_fen} = {total_fen}, "
            f"issued {verdict.issued_fen} + loaded {verdict.loaded_fen} fen"
        )


def _loads(
    ledger: LedgerStore, paid_in: Counter[tuple[int, int]], verdict: Verdict
) -> dict[int, list[Load]]:
    """The ledger's loads, by card; but for cancelled sales they are what people have paid in."""
    loads_of: dict[int, list[Load]] = defaultdict(list)
    known: Counter[tuple[int, int]] = Counter()
    sql = "SELECT number, card_no, amount_fen, is_loaded, order_id FROM load"
    for *row, order_id in ledger.database.rows(sql):
        loads_of[row[1]].append(Load(*row))
        known[row[1], row[2]] += order_id.isprintable()
    for (card_no, fen), count in ((paid_in - known) + (known - paid_in)).items():
        verdict.violations.append(f"card {card_no}: {count} x {fen} fen not paid in as booked")
    verdict.paid_in_fen = sum(fen for _, fen in paid_in.elements())
    return loads_of


def _judge_cancelled(
    ledger: LedgerStore,
    flashes: dict[int, NorFlash],
    seen: Counter[tuple[int, int]],
    sold: Counter[tuple[int, int]],
    rotten: Collection[RecordId],
    verdict: Verdict,
) -> None:
    """What people saw cancelled is given back or on its way; nothing is that was not sold.

    But where a record of the sale, or the CANCEL, has rotted away: a person has to settle that.
    """
    sql = "SELECT sealed FROM record WHERE kind = ?"
    records = [sealed for (sealed,) in ledger.database.rows(sql, (messages.CANCEL,))]
    heads = Counter(ledger.heads())
    for device, flash in flashes.items():
        journal = journal_of(flash)
        after = range(heads[device] + 1, journal.head_seq + 1)
        records += [record for record in map(journal.record, after) if record]
    said = [messages.decode_record(seal.payload_of(record)) for record in records]
    cancels = [fields for fields in said if fields["kind"] == messages.CANCEL]
    of_sale = {
        (fields["intent_device"], fields["intent_seq"]): fields
        for fields in cancels
        if not _is_between(rotten, fields)
    }
    known = Counter((fields["card_no"], fields["amount_fen"]) for fields in of_sale.values())
    lost = seen - known
    if lost.total() > len(rotten):
        for (card_no, fen), count in lost.items():
            text = f"card {card_no}: {count} x {fen} fen shown as cancelled, lost"
            verdict.violations.append(text)
    for (card_no, fen), count in (known - sold).items():
        verdict.violations.append(f"card {card_no}: {count} x {fen} fen cancelled, never sold")
    verdict.cancelled = known.total()
    verdict.cancelled_fen = sum(fen for _, fen in known.elements())
    booked_fen = sum(
        fen
        for device, seq, fen in ledger.database.rows(_GIVEN_BACK, (transfers.CANCEL,))
        if (device, seq) in of_sale or not rotten
    )
    booked = [sale for sale, fields in of_sale.items() if fields["seq"] <= heads[fields["device"]]]
    owed_fen = sum(of_sale[sale]["amount_fen"] for sale in booked)
    if booked_fen != owed_fen:
        verdict.violations.append(f"given back {booked_fen} fen, cancelled {owed_fen} fen")


def _is_between(rotten: Collection[RecordId], cancel: dict[str, int]) -> bool:
    """Whether rot has taken a record from the sale that a CANCEL names to the CANCEL."""
    sale, end = cancel["intent_seq"], cancel["seq"]
    return any(one == cancel["device"] and sale <= seq <= end for one, seq in rotten)


def _loaded(loads: list[Load], names: set[RecordId], verdict: Verdict) -> list[int]:
    """The amounts (fen) of the loads that are on their card: booked, or named by it."""
    on_card = [
        load.amount_fen for load in loads if load.is_loaded or (CARD_CENTRE, load.number) in names
    ]
    verdict.loaded += len(on_card)
    verdict.loaded_fen += sum(on_card)
    return on_card


def _undelivered_names(
    ledger: LedgerStore, flashes: dict[int, NorFlash]
) -> Iterator[tuple[int, RecordId]]:
    """What cards named to readers whose CREDITs are not in the ledger yet."""
    heads = Counter(ledger.heads())
    for device, flash in flashes.items():
        journal = journal_of(flash)
        for seq in range(heads[device] + 1, journal.head_seq + 1):
            record = journal.record(seq)
            fields = messages.decode_record(seal.payload_of(record)) if record else {}
            if fields.get("kind") == messages.CREDIT:
                yield fields["card_no"], (fields["last_device"], fields["last_seq"])


def _gone(
    ledger: LedgerStore,
    flashes: dict[int, NorFlash],
    rotten: Collection[RecordId],
    verdict: Verdict,
) -> set[RecordId]:
    """The records that rot has taken for good; one that is called lost and is not is a bug."""
    sql = "SELECT device, seq FROM record WHERE kind = ?"
    booked = set(ledger.database.rows(sql, (messages.LOST,)))
    for device, seq in sorted(booked - set(rotten)):
        verdict.violations.append(f"device {device}: record {seq} is called lost and never rotted")
    heads = Counter(ledger.heads())
    journals = {device: journal_of(flashes[device]) for device, _ in rotten if device in flashes}
    return booked | {
        (device, seq)
        for device, seq in rotten
        if device in journals and seq > heads[device] and journals[device].record(seq) is None
    }


def _judge_card(
    card: HeldCard,
    view: PurseView,
    booked: list[int],
    opened: list[OpenIntent],
    loaded: list[int],
    names: set[RecordId],
    gone: set[RecordId],
    hidden: int,
    verdict: Verdict,
) -> int:
    """One card: its counter tells how often it was debited or credited, its balance how much.

    A counted PIN try is a debit of nothing.

    A card names the last spend that debited it, now and at every tap before: so an open intent
    has debited it if, and only if, the card names it or has named it. So has a record that is
    gone; what the card lacks beyond all that is known is what it paid then, and is returned (fen).
    Behind a name that is gone may be debits, lost or open, whose names have gone with it, and so
    many credits as are `hidden`.
    """
    verdict.issued_fen += card.issued_fen or 0
    verdict.on_cards_fen += view.balance_fen
    on_card = [intent for intent in opened if (intent.device, intent.seq) in names]
    in_flight_fen = sum(intent.amount_fen for intent in on_card)
    missing = view.counter - len(booked) - len(on_card) - len(loaded)
    rotten = len(names & gone)
    if rotten:
        rotten = max(rotten, min(missing, len(gone) + len(opened) - len(on_card) + hidden))
        missing -= rotten
    if missing < 0:
        verdict.duplicated -= missing
        verdict.violations.append(f"card {card.card_no}: {-missing} booked that it never paid")
    elif missing > 0:
        verdict.lost += missing
        verdict.violations.append(f"card {card.card_no}: {missing} debits not booked, {on_card}")
    verdict.in_flight_fen += in_flight_fen
    if not rotten:
        return 0
    had_fen = (card.issued_fen or 0) + sum(loaded)
    rotten_fen = had_fen - view.balance_fen - sum(booked) - in_flight_fen
    verdict.rotten += rotten
    verdict.rotten_fen += rotten_fen
    return rotten_fen


def _counted_tries(ledger: LedgerStore) -> Iterator[int]:
    """The card of each PIN try that is known to be counted: a step of its counter for nothing."""
    sql = "SELECT card_no FROM intent WHERE amount_fen = 0 AND credit_no = 0 AND state = ?"
    for (card_no,) in ledger.database.rows(sql, (int(State.COMMITTED),)):
        yield card_no


def _open_in(ledger: LedgerStore) -> Iterator[OpenIntent]:
    sql = "SELECT device, seq, card_no, amount_fen, last_device, last_seq FROM intent"
    for row in ledger.database.rows(f"{sql} WHERE state < 2 AND credit_no = 0"):
        device, seq, card_no, amount_fen, *last = row
        yield OpenIntent(device, seq, card_no, amount_fen, (last[0], last[1]))


def _undelivered(
    ledger: LedgerStore, flashes: dict[int, NorFlash], rotten: Collection[RecordId]
) -> Iterator[OpenIntent]:
    """The intents that stand in a reader's journal and not yet in the ledger."""
    heads = Counter(ledger.heads())
    for device, flash in flashes.items():
        journal = journal_of(flash)
        for seq in range(heads[device] + 1, journal.head_seq + 1):
            record = journal.record(seq)
            if record is None and seq == journal.head_seq:
                continue  # torn: a moment ago its unstable cells read like a record
            if record is None and (device, seq) in rotten:
                continue
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
