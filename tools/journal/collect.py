"""`onecard journal collect` (补采): what a dead reader had not uploaded goes into the books.

The ledger believes this no more than it believes an agent: each record proves itself by its seal
and its place in the chain, and one that is booked is compared and booked no second time. So it may
be given again, after it was stopped, and beside an agent that has the records too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger import reasons
from ledger.store import LedgerStore
from ledger.transfers import SPEND
from protocols.rules.money import format_yuan
from protocols.wire import messages, seal
from protocols.wire.error_texts import TEXTS as ERROR_TEXTS
from protocols.wire.errors import WireError
from tools.journal.capture import Capture
from tools.journal.image import RECORD, read_image
from tools.journal.mend import mended

AT_ONCE = 1_000  # records of one transaction
_REFUSED_SHOWN = 5
_SPENDS = f"""
SELECT COUNT(*), COALESCE(SUM(amount_fen), 0) FROM transfer WHERE device = ? AND kind = {SPEND}"""


class NotCollected(Exception):
    """Nothing was handed in; the text says why."""


@dataclass
class Collected:
    """What came of it. `before` and `head`: the newest record in the books, then and now; `last`:
    in the journal, which lacks `missing` sectors. `spends`, `amount_fen`: what was booked of sales
    that had not been.
    """

    device: int
    before: int
    last: int
    missing: int
    head: int = 0
    spends: int = 0
    amount_fen: int = 0
    refused: list[tuple[int, int]] = field(default_factory=list)  # record, reason

    @property
    def is_whole(self) -> bool:
        """Whether the books have all of it now."""
        return self.head >= self.last and not self.refused and not self.missing


def collect(capture: Capture, store: LedgerStore) -> Collected:
    """Hand the journal's records to the books, in the order of their chain.

    NotAJournal, NotCollected; StoreUnavailable: what was booked until then stays, give it again.
    """
    device, records = _of_one_reader(capture)
    before = store.heads().get(device)
    if before is None:
        raise NotCollected(f"reader {device} is not in the register of these books")
    found = Collected(device, before, max(records), len(capture.missing))
    was_count, was_fen = _spends(store, device)
    sealed = [records[seq] for seq in sorted(records)]
    for at in range(0, len(sealed), AT_ONCE):
        (booked,) = store.book([sealed[at : at + AT_ONCE]])
        found.refused += [(seq, reason) for _device, seq, reason in booked.refused]
    count, fen = _spends(store, device)
    found.head = store.heads()[device]
    found.spends, found.amount_fen = count - was_count, fen - was_fen
    return found


def lines_of(found: Collected) -> Iterator[str]:
    """The same for people."""
    yield (
        f"reader {found.device}: the journal has records up to {found.last}, the books had them"
        f" up to {found.before}, and have them up to {found.head} now"
    )
    yield f"{found.spends} sales more are booked, {format_yuan(found.amount_fen)} yuan"
    for seq, reason in found.refused[:_REFUSED_SHOWN]:
        yield f"record {seq} was not booked: {_text(reason)} ({reason})"
    if len(found.refused) > _REFUSED_SHOWN:
        yield f"nor were {len(found.refused) - _REFUSED_SHOWN} others"
    if found.missing:
        yield f"the dump ends in the journal: {found.missing} sectors of it are missing"
    if found.head < found.last and not found.refused:
        yield (
            f"those behind record {found.head} wait: record {found.head + 1} is not here, or is"
            " another one's; onecard journal verify says why"
        )


def _text(reason: int) -> str:
    return reasons.TEXTS.get(reason) or ERROR_TEXTS.get(reason, "refused")


def _of_one_reader(capture: Capture) -> tuple[int, dict[int, bytes]]:
    """Whose these are, and its records by number."""
    found: dict[tuple[int, int], bytes] = {}
    for sector in read_image(mended(capture.data)[0]).sectors:
        for entry in sector.entries:
            if entry.kind == RECORD:
                try:
                    fields = messages.decode_record(seal.payload_of(entry.data))
                except WireError:
                    continue  # no ledger could say whose it is; `verify` names it
                found[fields["device"], fields["seq"]] = entry.data
    devices = sorted({device for device, _seq in found})
    if len(devices) != 1:
        said = ", ".join(map(str, devices)) or "none"
        raise NotCollected(f"records of one reader are needed; here are those of: {said}")
    return devices[0], {seq: sealed for (_device, seq), sealed in found.items()}


def _spends(store: LedgerStore, device: int) -> tuple[int, int]:
    ((count, fen),) = store.database.rows(_SPENDS, (device,))
    return count, int(fen)
