"""Drills in the books, listed and verified: `onecard drill list`. NotBooks, StoreUnavailable."""

from datetime import UTC, datetime
from pathlib import Path

from tools.ledger_forks import opened


class BadTime(Exception):
    """The text is no time of ours."""


def time_of(text: str, utc_offset_s: int) -> int:
    """UTC seconds of a local time such as 2026-11-27T14:00. BadTime."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTime(f"'{text}' is no time such as 2026-11-27T14:00") from error
    if moment.tzinfo is None:
        return int(moment.replace(tzinfo=UTC).timestamp()) - utc_offset_s
    return int(moment.timestamp())


def listed(path: Path, utc_offset_s: int) -> tuple[bool, str]:
    """(whether the books still prove each, a line for each drill)."""
    with opened(path) as store:
        every = store.merchants.drills.filed()
        proven = {one.number: store.merchants.drills.verify(one.number) for one in every}
    lines = []
    for one in every:
        when = datetime.fromtimestamp(one.from_s + utc_offset_s, UTC).strftime("%Y-%m-%d %H:%M")
        word = "proven" if proven[one.number] else "THE BOOKS DO NOT PROVE IT"
        what = f"drill {one.number}: {one.kind} at {one.site}, {when}, {one.verdict}"
        lines.append(f"{what}, filed by {one.person}, {one.evidence[:16]}: {word}")
    return all(proven.values()), "\n".join(lines or ["no drill is filed"])
