"""What is to be seen of one device that was opened: posture, journal, memory, flash, console.

Looking changes nothing in it. No key is shown: of what provisioning has stored only names and
sizes, of records what the ledger books too.
"""

from __future__ import annotations

from typing import Any

from protocols.rules.posture_texts import TEXTS as POSTURE_TEXTS
from simulator.desk.board_look import BoardLooker
from simulator.desk.boards import RealReader
from simulator.desk.homes import DeskHomes
from simulator.desk.look import Looker, door_of
from simulator.desk.postures import posture_of
from simulator.run import Run
from tools.journal.image import RECEIPTED, RECORD, Image, NotAJournal, Sector, read_image
from tools.journal.show import IS_BROKEN, Line, lines_of

_SECTOR_BYTES = 4096
_RECORDS = 40  # the newest ones
_BLANK = b"\xff"
Parts = dict[str, Any]


class DeviceLooker:
    """Looks at the readers of one run, one at a time."""

    def __init__(self, run: Run, homes: DeskHomes, looker: Looker) -> None:
        self._run, self._homes, self._looker = run, homes, looker
        self._of = {one["name"]: one for one in run.scenario.readers}
        self._known: dict[str, tuple[Any, Parts]] = {}
        self._boards = BoardLooker(run)

    def parts(self, name: str) -> Parts:
        """By part: "posture:name", "journal:name", "flash:name", "inside:name"."""
        reader, device = self._run.readers[name], self._of[name]["device"]
        if isinstance(reader, RealReader):
            lines, booked = self._boards.records(reader.board)
            return {f"journal:{name}": _journal_seen(lines, booked)}
        booked_seq = self._run.services.store.heads().get(device, 0)
        stamp = reader.hardware.flash_operations, booked_seq
        known = self._known.get(name)
        if known is None or known[0] != stamp:
            image = reader.hardware.flash.image()
            known = self._known[name] = stamp, self._on_flash(name, image, booked_seq)
        found = {
            **known[1],
            "posture": self._posture(name, booked_seq),
            "inside": self._inside(name),
        }
        return {f"{part}:{name}": value for part, value in found.items()}

    def _posture(self, name: str, booked_seq: int) -> Parts | None:
        reader, role = self._run.readers[name], self._of[name].get("role", "pos")
        found = posture_of(
            role,
            reader,
            self._looker.journal(name),
            burns=role == "door" and door_of(reader)["fire"],
            booked_seq=booked_seq,
            clock_width_max_ms=self._run.scenario.policy["clock_width_max_ms"],
        )
        if found is not None:
            found["that_is"] = POSTURE_TEXTS[found["posture"]]
        return found

    # -- flash ------------------------------------------------------------------------------

    def _on_flash(self, name: str, data: bytes, booked_seq: int) -> Parts:
        try:
            image = read_image(data)
        except NotAJournal as error:
            image, trouble = Image(len(data) // _SECTOR_BYTES), str(error)
        else:
            trouble = ""
        hardware = self._run.readers[name].hardware
        cards = hardware.card_flash
        return {
            "journal": self._journal(name, image, booked_seq) | {"trouble": trouble},
            "flash": {
                "journal": _sectors(data, image, hardware.flash.erases, booked_seq),
                "cards": _plain(cards.image(), cards.erases) if cards else [],
            },
        }

    def _journal(self, name: str, image: Image, booked_seq: int) -> Parts:
        lines = lines_of(image, self._run.device_keys[self._of[name]["device"]])
        entries = [entry for sector in image.sectors for entry in sector.entries]
        receipted = [entry.seq for entry in entries if entry.kind == RECEIPTED]
        return _journal_seen(lines, booked_seq) | {
            "receipted": max([*receipted, *(one.receipted for one in image.sectors)], default=0),
            "torn": [
                [torn.what, torn.sector, torn.offset, torn.size_bytes, torn.is_healed]
                for torn in image.torn
            ],
        }

    # -- memory -----------------------------------------------------------------------------

    def _inside(self, name: str) -> Parts:
        """Where it runs; the heap and the console of a MicroPython are its own."""
        reader = self._run.readers[name]
        vm = self._homes.vm_of(reader)
        hardware = reader.hardware
        return {
            "home": "cpython" if vm is None else "vm",
            "heap": None if vm is None else vm.memory(),
            "calls": 0 if vm is None else vm.calls,
            "console": "" if vm is None else vm.stderr_tail(),
            "boots": reader.boots,
            "case_open": hardware.case_is_open,
            "mains": hardware.mains_on,
            "stored": [[key, len(value)] for key, value in sorted(hardware.nvs.items())],
        }


def _journal_seen(lines: list[Line], booked_seq: int) -> Parts:
    """The records of a journal, the newest first; how many, from where to where, and how whole."""
    records = [line for line in lines if line.record is not None or line.kind == "?"]
    return {
        "records": len(records),
        "first": records[0].seq if records else 0,
        "last": records[-1].seq if records else 0,
        "booked": booked_seq,
        "receipted": booked_seq,
        "broken": sum(IS_BROKEN in (line.chain, line.seal) for line in records),
        "torn": [],
        "trouble": "",
        "lines": [
            {
                "seq": line.seq,
                "kind": line.kind,
                "time": line.time,
                "chain": line.chain,
                "seal": line.seal,
                "fields": line.fields,
                "booked": line.seq <= booked_seq,
            }
            for line in reversed(records[-_RECORDS:])
        ],
    }


def _sectors(data: bytes, image: Image, erases: list[int], booked_seq: int) -> list[list[Any]]:
    """By sector: what it is, how full in percent, and how often it was erased."""
    current = image.sectors[-1].number if image.sectors else -1
    states = {one.number: _state(one, booked_seq) for one in image.sectors}
    found = _plain(data, erases)
    for number, state in states.items():
        found[number][0] = "current" if number == current else state
    return found


def _state(sector: Sector, booked_seq: int) -> str:
    seqs = [entry.seq for entry in sector.entries if entry.kind == RECORD]
    return "booked" if max(seqs, default=0) <= booked_seq else "waiting"


def _plain(data: bytes, erases: list[int]) -> list[list[Any]]:
    found = []
    for number, count in enumerate(erases):
        used = len(data[number * _SECTOR_BYTES : (number + 1) * _SECTOR_BYTES].rstrip(_BLANK))
        found.append(["other" if used else "erased", -(-used * 100 // _SECTOR_BYTES), count])
    return found
