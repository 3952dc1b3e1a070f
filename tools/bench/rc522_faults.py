"""Our RC522 driver beside those of PyPI when something is wrong, on the same chip and card.

A card is found, its sector opened and a block read, as at each tap, and one frame of it is
spoiled: each frame, in each way of SPOILS. What counts is what the driver says then: the truth,
nothing, or something false that it takes for true. What was not right is tried twice more.

Beside that, a chip that has lost its registers in a brown-out, and one whose data line is stuck:
does the driver find a card again, and does it see one that is not there?
"""

import json
import sys
from collections import Counter
from collections.abc import Callable

from firmware.drivers.mfrc522 import BusFault
from tools.bench import driver_folder, fake_pi
from tools.bench.rc522 import OLD, UID, Desk, run_peer
from tools.bench.rc522_peers import PEERS, Driver, Ours

# Effects of simulator/cards/field.py, and the bits that are flipped or made up.
SPOILS = (
    *(("flip_answer", bit) for bit in (0, 3, 9, 17, 30, 70)),
    *(("flip_command", bit) for bit in (0, 5)),
    ("parity", 0),
    ("lose_answer", 0),
    ("lose_command", 0),
    *(("noise", bits) for bits in (2, 5, 12)),
)
RIGHT, NOTHING, FALSE, RAISED, NAMED = "right", "nothing", "false", "raised", "named"
TRIES, LOOKS = 3, 20
_AWAKE_US, _PAUSE_US = 10_000, 50_000
STUCK = (0x00, 0xFF)
Make = Callable[[Desk], Driver]


def attempt(driver: Driver) -> str:
    """Find the card and read its block once; which of the five came of it."""
    try:
        uid = driver.find()
        if uid is None:
            return NOTHING
        if uid != UID:
            return FALSE
        data = driver.read(uid)
    except BusFault:
        return NAMED
    except (OSError, TypeError, IndexError, ValueError, AttributeError):
        return RAISED  # from the inside of a driver: no answer was foreseen
    finally:
        driver.leave()
    if data is None:
        return NOTHING
    return RIGHT if data == OLD else FALSE


def frames_of(make: Make) -> int:
    """How many command frames an undisturbed attempt takes."""
    desk, driver = _prepared(make)
    before = desk.field.frames
    if attempt(driver) != RIGHT:
        raise AssertionError("the driver fails though nothing is wrong")
    return desk.field.frames - before


def _prepared(make: Make) -> tuple[Desk, Driver]:
    desk = Desk()
    driver = make(desk)
    driver.find()
    desk.place(desk.card)
    return desk, driver


def spoiled(make: Make) -> dict[str, int]:
    """How often each of RIGHT .. NAMED was said first; `recovered`: right within TRIES."""
    found: Counter[str] = Counter({"cases": 0, "recovered": 0})
    for at in range(frames_of(make)):
        for effect, value in SPOILS:
            desk, driver = _prepared(make)
            desk.field.disturb(effect, value, after=at)
            said = [attempt(driver)]
            while said[-1] != RIGHT and len(said) < TRIES:
                desk.field.remove(desk.card)  # it is taken away and held there again
                desk.clock.advance_us(_PAUSE_US)
                desk.place(desk.card)
                said.append(attempt(driver))
            found["cases"] += 1
            found[said[0]] += 1
            found["recovered"] += said[-1] == RIGHT
    return dict(found)


def after_brown_out(make: Make) -> int:
    """Looks until the card is found again after the chip has lost its registers; LOOKS: never."""
    desk, driver = _prepared(make)
    attempt(driver)
    desk.chip.brown_out()
    return _looks(desk, driver)


def _looks(desk: Desk, driver: Driver) -> int:
    for look in range(1, LOOKS):
        desk.clock.advance_us(_PAUSE_US)
        if attempt(driver) == RIGHT:
            return look
    return LOOKS


def while_stuck(make: Make) -> Counter[str]:
    """What 2 x LOOKS looks at a data line that is stuck came to."""
    said: Counter[str] = Counter()
    for level in STUCK:
        desk = Desk()
        driver = make(desk)
        desk.chip.miso = level
        for _ in range(LOOKS):
            desk.clock.advance_us(_PAUSE_US)
            said[attempt(driver)] += 1
    return said


def measure(make: Make) -> dict[str, int]:
    """All of it for one driver."""
    stuck = while_stuck(make)
    return {
        **spoiled(make),
        "looks": after_brown_out(make),
        "seen": stuck[RIGHT] + stuck[FALSE],
        "told": stuck[NAMED],
    }


PERCENT = "% of its cases"
TITLES = (
    (RIGHT, "a frame is spoiled: the block is read all the same", PERCENT),
    (FALSE, "a frame is spoiled: false data are taken for true", PERCENT),
    (RAISED, "a frame is spoiled: it breaks inside", PERCENT),
    ("recovered", f"a frame is spoiled: read within {TRIES} tries", PERCENT),
    ("looks", f"found again after a brown-out of the chip ({LOOKS}: never)", "looks"),
    ("seen", f"cards seen on a stuck line, in {2 * LOOKS} looks", "looks"),
    ("told", f"a stuck line is told as a fault, in {2 * LOOKS} looks", "looks"),
)


def rows() -> list[dict[str, object]]:
    """Each of TITLES: ours beside each rival that is installed."""
    ours, table = measure(Ours), []
    for distribution, (version, _driver) in PEERS.items():
        folder = driver_folder(distribution)
        if folder is None:
            print(f"rc522_faults: {distribution} is not installed, no row for it", file=sys.stderr)
            continue
        theirs = json.loads(run_peer(__name__, distribution, folder))
        for key, title, unit in TITLES:
            mine, other = (
                side.get(key, 0) * (100 / side["cases"] if unit == PERCENT else 1)
                for side in (ours, theirs)
            )
            table.append(_row(title, mine, other, f"{distribution} {version}", unit))
    return table


def _row(title: str, ours: float, other: float, against: str, unit: str) -> dict[str, object]:
    return {
        "name": f"RC522, {title}",
        "ours": round(ours, 1),
        "other": round(other, 1),
        "against": against,
        "unit": unit,
    }


def _peer_process(distribution: str) -> None:
    def make(desk: Desk) -> Driver:
        fake_pi.install(desk.chip)
        return PEERS[distribution][1]()

    print(json.dumps(measure(make)))


if __name__ == "__main__":
    _peer_process(sys.argv[1])
