"""`onecard journal replay`: a field journal once more in the simulator; does it decide the same?

The reader of the simulator runs this tree's firmware with the field's settings, and the same cards
come at the same times (staged.py). Its own journal is then read as the field's was, and compared
visit by visit: who was refused why, who paid how much with which proof, what the end was.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.wire import messages, seal
from protocols.wire.errors import WireError
from simulator.run import Run
from simulator.scenario import parse
from tools.journal.capture import Capture
from tools.journal.image import RECORD, read_image
from tools.journal.locate import Place
from tools.journal.mend import mended
from tools.journal.staged import POS, Kind, Staged, staged
from tools.journal.visits import Record, Visit, known_times, visits_of

_BOOKED = "SELECT sealed FROM record WHERE device = ? ORDER BY seq"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Difference:
    """The first decision of a visit that is another one: `field` or `replayed` may lack it."""

    visit: Visit
    seq: int
    field: tuple[int, ...]
    replayed: tuple[int, ...]


@dataclass
class Replayed:
    """What came of it. `firmware`: versions, of the field and of this tree, as each BOOT says."""

    staged: Staged
    same: int = 0
    differences: list[Difference] = field(default_factory=list)
    firmware: tuple[int, int] = (0, 0)
    epochs: tuple[int, int] = (0, 0)  # of the policy: the field's newest, and that of the settings


def records_of(capture: Capture, first: int = 0, last: int = 0) -> list[Record]:
    """The records that can be read, oldest first, from `first` to `last` (0: no bound)."""
    image = read_image(mended(capture.data)[0])
    found = []
    for sector in image.sectors:
        for entry in sector.entries:
            if entry.kind != RECORD or entry.seq < first or (last and entry.seq > last):
                continue
            try:
                found.append(messages.decode_record(seal.payload_of(entry.data)))
            except WireError:
                continue
    return found


def replay(records: list[Record], kind: Kind, home: str = "cpython", say: Say = print) -> Replayed:
    """Play these records (of one POS) again and compare. NotStaged, ScenarioError, VmMissing."""
    made = staged(records, kind)
    say(f"{len(made.visits)} visits are played, {len(made.left_out)} are left out")
    again = _played(made, home)
    found = Replayed(made)
    width_ms = kind.policy["clock_width_max_ms"]
    others = visits_of(again, known_times(again, width_ms))
    by_card: dict[int, list[Visit]] = {}
    for visit in others:
        by_card.setdefault(visit.card_no, []).append(visit)
    for visit in made.visits:
        theirs = by_card.get(made.numbers[visit.card_no], [])
        other = theirs.pop(0) if theirs else Visit(visit.card_no, 0.0)
        different = _compare(visit, other)
        if different is None:
            found.same += 1
        else:
            found.differences.append(different)
    found.firmware = _newest(records, "firmware"), _newest(again, "firmware")
    found.epochs = _newest(records, "policy_epoch"), kind.policy["epoch"]
    return found


def _compare(visit: Visit, other: Visit) -> Difference | None:
    """The first decision in which they differ."""
    ours, theirs = visit.decisions(), [found for _seq, found in other.decisions()]
    for at in range(max(len(ours), len(theirs))):
        seq, mine = ours[at] if at < len(ours) else (ours[-1][0], ())
        again = theirs[at] if at < len(theirs) else ()
        if mine != again:
            return Difference(visit, seq, mine, again)
    return None


def _played(made: Staged, home: str) -> list[Record]:
    """The records of the simulated reader, oldest first."""
    scenario = parse(made.text, Path("field.toml"))
    with tempfile.TemporaryDirectory(prefix="onecard-replay-") as name:
        depth = "register" if home == "vm" else "card"
        run = Run(scenario, scenario.seed, home, depth, Path(name), None)
        try:
            run.build("auto")
            run.play()
            device = dict(run.devices())[POS]
            rows: list[Any] = list(run.services.store.database.rows(_BOOKED, (device,)))
            image = run.readers[POS].hardware.flash.image()
        finally:
            run.close()
    # Its flash has what nobody has booked, the books what it has freed.
    booked = [messages.decode_record(seal.payload_of(bytes(sealed))) for (sealed,) in rows]
    found = {one["seq"]: one for one in booked}
    kept = records_of(Capture(image, Place(None, len(image), "")))
    found |= {one["seq"]: one for one in kept}
    return [found[seq] for seq in sorted(found)]


def _newest(records: list[Record], name: str) -> int:
    boots = [one for one in records if one["kind"] == messages.BOOT]
    return boots[-1].get(name, 0) if boots else 0
