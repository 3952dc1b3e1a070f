"""In which posture a reader is and why, by what is to be seen of it from outside.

A second opinion beside the firmware's own, with the words of protocols/rules/posture.py: mains and
cells from the models, the network from its connection, room from the journal on its flash. That
its clock is known is proven by the newest record, or by the ledger's receipt for one of this life.
"""

from __future__ import annotations

from typing import Any

from firmware.services.journal import Journal
from protocols.rules import cells, posture
from protocols.rules.posture_texts import CONDITIONS, DEVICES, rows
from protocols.wire import messages, seal
from simulator import locks
from simulator.reader import Reader


def posture_of(
    role: str,
    reader: Reader,
    journal: Journal,
    *,
    burns: bool,
    booked_seq: int,
    clock_width_max_ms: int,
) -> dict[str, Any] | None:
    """`conditions`, all `rows` of its kind, which of them `fits`, and the `posture`.

    None for a role that has no row. `burns`: the fire input of a door says so;
    `booked_seq`: the ledger has its records up to there.
    """
    if role not in DEVICES:
        return None
    conditions = {
        "power": _power(reader),
        "network": "online" if _is_online(reader) else "offline",
        "journal": "room" if journal.has_room() else "full",
        "clock": "known" if _knows_time(journal, booked_seq, clock_width_max_ms) else "unknown",
        "fire": "alarm" if burns else "quiet",
    }
    assert list(conditions) == list(CONDITIONS)
    table = rows(role)
    asked = list(conditions.values())
    fits = next(at for at, row in enumerate(table) if _fits(row, asked))
    found = posture.of(role, *asked)
    assert found == table[fits][-1], "the table says one thing"
    return {"conditions": conditions, "rows": table, "fits": fits, "posture": found}


def _fits(row: list[str], asked: list[str]) -> bool:
    return all(word in ("*", now) for word, now in zip(row, asked, strict=False))


def _power(reader: Reader) -> str:
    if not reader.is_on:
        return "none"
    own_lock = locks.hardware_of(reader)
    if own_lock is not None:
        pack = own_lock.pack
        is_empty = cells.grade(pack.terminal_mv(), 0, pack.celsius) == cells.EMPTY
        return "empty" if is_empty else "battery"
    hardware = reader.hardware
    return "mains" if hardware.mains_on else posture.battery(hardware.battery_mv())


def _is_online(reader: Reader) -> bool:
    """Whether its connection stands; who holds a dark cable in his hand does not know yet."""
    hardware = reader.hardware
    if hardware.cable is None:
        return reader.is_on and hardware.line is not None and not hardware.line.is_cut
    return any(stream.is_open for stream in hardware.streams.values())


def _knows_time(journal: Journal, booked_seq: int, width_max_ms: int) -> bool:
    """A boot whose record is booked has had a receipt, which carries the ledger's time."""
    for seq in range(journal.head_seq, 0, -1):
        record = journal.record(seq)
        if record is None:
            return False
        fields = messages.decode_record(seal.payload_of(record))
        if (fields["latest_s"] - fields["earliest_s"]) * 1000 <= width_max_ms:
            return True
        if booked_seq >= seq:
            return True
        if fields["kind"] == messages.BOOT:
            return False
    return False
