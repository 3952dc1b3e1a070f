"""What a card and a day of the city cost, at sizes that are ten times each other.

Every size has thirty cards for each reader, as 10,000 readers and 300,000 cards have, in one
process, and is judged. A city is districts of 1,000 readers, which know nothing of each other: it
costs what its districts do (`onecard sim city` prints it by district and for all).
"""

from simulator.city.play import DistrictUnit, run_unit

SIZES = (10, 100, 1_000)
CARDS_PER_READER, DAYS, SEED = 30, 1, 1


class NotRight(Exception):
    """Something did not hold: what it cost means nothing."""


def rows(sizes: tuple[int, ...] = SIZES, days: int = DAYS) -> list[dict[str, object]]:
    """Each size beside the smallest."""
    found: list[tuple[int, float]] = []
    for readers in sizes:
        cards = readers * CARDS_PER_READER
        result = run_unit(DistrictUnit(SEED, 0, readers, cards, days))
        if result.violations:
            raise NotRight(f"{readers} readers: {result.violations}")
        found.append((readers, result.cpu_s * 1000 / (cards * days)))
    return [
        {
            "name": f"city, {readers:,} readers, {readers * CARDS_PER_READER:,} cards",
            "ours": round(ms, 2),
            "other": round(found[0][1], 2),
            "against": f"{sizes[0]} readers",
            "unit": "CPU ms a card and day",
        }
        for readers, ms in found
    ]
