"""What a check of a card comes to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as the layout demands; `where` is a block, a sector, a file, a key."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """Deviations, in the order of the card, and remarks: what is worth knowing and no fault."""

    deviations: list[Deviation]
    remarks: list[str]
