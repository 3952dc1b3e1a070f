"""What a spend costs in flash, and how many a board can remember without hearing from the ledger.

The firmware's own recorder and journal write INTENT and OUTCOME on modelled flash. Capacity is
counted by filling a small partition to the last spend it takes; the rest of a partition is more of
the same sectors. A ring erases each of its sectors once a turn, so its life is that of any sector.
"""

import random

from firmware.services.journal import RESERVE_SECTORS, Journal
from firmware.services.records import Recorder
from protocols.card.purse_desfire import CARD_PROOF_BYTES
from protocols.wire import messages
from simulator.chips.nor_flash import NorFlash

MIB = 1 << 20
SECTOR_BYTES = 4096
# MiB of a board -> MiB of an update slot. Two of them are not journal, nor is what boot loader,
# partition table and settings take.
BOARDS = {4: 1.5, 8: 2, 16: 2}
SYSTEM_BYTES = 64 * 1024
SPENDS_NEEDED = 16_000  # DESIGN section 11, on the board of 8 MiB
FLASH_PER_SEALED = 1.3
SPENDS_A_DAY, ERASES_MAX = 3_000, 100_000
YEARS_NEEDED = 10
SPENDS, SECTORS = 2_000, 24
_BOOT_MS = 600_000
_HEAD_SEQ = 100_000  # a reader in its second year: its numbers take more bytes than a new one's


class _Clock:
    """A reader's clock that is sure of itself within four seconds."""

    def interval_ms(self, now_ms: int) -> tuple[int, int]:
        start_ms = 1_790_000_000_000 + now_ms
        return start_ms, start_ms + 4000


class Window:
    """One POS with a journal of `sectors`, and what it has sealed so far.

    `card_proof` is what the card adds to each OUTCOME: nothing on a MIFARE Classic.
    """

    def __init__(self, sectors: int, card_proof: bytes = b"") -> None:
        self._card_proof = card_proof
        self.flash = NorFlash(sectors * SECTOR_BYTES, random.Random(0))
        self.journal = Journal(self.flash)
        self.journal.recover()
        self.journal.head_seq = self.journal.receipted = _HEAD_SEQ
        self.recorder = Recorder(self.journal, 1001, bytes(range(32)), _Clock())
        self.sealed_bytes = 0
        self.spends = 0

    def spend(self) -> None:
        """INTENT and OUTCOME of one more purchase."""
        self.spends += 1
        before_fen = 18_000 - self.spends % 17_000
        seq = self._write(
            messages.INTENT,
            card_no=20_000 + self.spends % 4_000,
            counter=self.spends % 60_000,
            amount_fen=1_250,
            before_fen=before_fen,
            after_fen=max(before_fen - 1_250, 0),
            merchant_no=71,
            last_device=1_002,
            last_seq=70_000 + self.spends,
            flags=0,
        )
        self._write(
            messages.OUTCOME,
            intent_device=1001,
            intent_seq=seq,
            result=messages.COMMITTED,
            card_proof=self._card_proof,
        )

    def _write(self, kind: int, **fields: int | bytes) -> int:
        seq = self.recorder.write(kind, _BOOT_MS + 10_000 * self.spends, **fields)
        self.sealed_bytes += len(self.journal.record(seq) or b"")
        return seq


def flash_per_spend(spends: int) -> tuple[float, float]:
    """(bytes programmed, bytes sealed) for each of `spends`, receipts coming in as they do."""
    window = Window(SECTORS)
    for _ in range(spends):
        window.spend()
        if window.spends % 4 == 0:  # a BATCH of eight records is booked
            window.journal.receipt(window.journal.head_seq)
        window.journal.prepare()
    return window.flash.programmed_bytes / spends, window.sealed_bytes / spends


def capacity(sectors: int, card_proof: bytes = b"", filled: int = SECTORS) -> int:
    """Spends that a partition of `sectors` holds until it stops, told from one of `filled`."""
    window = Window(filled, card_proof)
    while window.recorder.has_room():
        window.spend()
    return window.spends * (sectors - RESERVE_SECTORS) // (filled - RESERVE_SECTORS)


def years(spends_a_turn: int) -> float:
    """How long a ring lasts that turns once in so many spends."""
    return ERASES_MAX * spends_a_turn / SPENDS_A_DAY / 365


def rows(spends: int = SPENDS) -> list[dict[str, object]]:
    """Flash for a spend beside its sealed bytes, and spends and years of three boards."""
    programmed, sealed = flash_per_spend(spends)
    table: list[dict[str, object]] = [
        {
            "name": "journal, flash programmed for a spend",
            "ours": round(programmed, 1),
            "other": round(sealed, 1),
            "against": f"its two sealed records (at most {FLASH_PER_SEALED} times)",
            "unit": "bytes",
        }
    ]
    for mib, slot_mib in BOARDS.items():
        sectors = (int((mib - 2 * slot_mib) * MIB) - SYSTEM_BYTES) // SECTOR_BYTES
        name = f"journal of {sectors} sectors, board of {mib} MiB"
        if mib == 8:
            table.append(
                {
                    "name": f"{name}, DESFire cards only",
                    "ours": capacity(sectors, bytes(CARD_PROOF_BYTES)),
                    "other": SPENDS_NEEDED,
                    "against": "needed",
                    "unit": "spends without a receipt",
                }
            )
        spends_held = capacity(sectors)
        table.append(
            {
                "name": name,
                "ours": spends_held,
                "other": SPENDS_NEEDED if mib == 8 else None,
                "against": "needed" if mib == 8 else "-",
                "unit": "spends without a receipt",
            }
        )
        table.append(
            {
                "name": f"{name}, {SPENDS_A_DAY:,} spends a day",
                "ours": round(years(spends_held)),
                "other": YEARS_NEEDED,
                "against": f"needed, at {ERASES_MAX:,} erases a sector",
                "unit": "years",
            }
        )
    return table
