"""From a card in the field that answers to a green light, and what takes that long: a model.

Low, middle and high: what differs is how bytecode is priced, and at high also the chip: a dearer
bus call, and fewer pystones a second. A board will be found between low and high.

Exact, in virtual time, to the tick (tap_desk.py), and the same in every run:

    RF       frames on the air, and the delay that ISO/IEC 14443-3 asks of a card before it answers
    card     what the modelled card takes beyond that: EEPROM, cryptography (busy times: its model)
    bus      SPI transactions at 8 MHz and `call_us` each, while nothing is on the air
    waiting  the driver's sleeps that outlast frames and card, or that wait for a card's silence
    flash    programming INTENT and OUTCOME

Counted exactly, at an assumed price each:

    crypto       AES calls and blocks of cryptolib, blocks of SHA-256
    interpreter  low: opcodes of the tap, as CPython has them, at the price of those of a
                 pystone, for an ESP32 has been measured in pystones. That is too little for
                 opcodes behind which C works long: bytes, tuples, large integers, struct
    interpreter  middle: the same opcodes at what those of a spend have been found to be in
                 instructions, counted under valgrind in the real MicroPython of a PC. Bytecode
                 and the C behind it count alike there, as on a chip that executes one by one.
                 `python -m tools.bench.tap_instructions` counts again, tap by tap, and gives
                 the two constants below; run it when the firmware has changed much
    collection   garbage: what the tap allocates (in a 64-bit VM, see HEAP_RATIO), a collection
                 for each quarter of what a POS has free in a heap of 128 KiB (firmware/main.py)

Measured, and the one figure that differs between two runs:

    interpreter  high: the same tap played from a tape in the real MicroPython of this machine
                 (tap_replay.py), in units of a yardstick that runs beside it and is YARD_PYSTONES
                 there. That is too much: code that runs once is slow on a PC, which guesses
                 branches, and what C does is not slowed down by an ESP32 as bytecode is

Not in it: the wait until the reader's next look (every 50 ms), and what bytecode could do while a
card is busy; the parts are added up as if nothing ran at the same time. The floor is the same
frames with a reader and a card that need no time: both frames, both frame delays. No board has
been measured. `python -m tools.bench.tap_time` prints one table instead of rows.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec

from simulator.cards.field import US
from tools.bench.tap_desk import CARD, PARTS, RF, Account
from tools.bench.tap_tape import Bytecode, Crypto, Tap, in_vm, opcodes

CRYPTO, INTERPRETER, COLLECTION = "crypto", "interpreter", "collection"
OPCODES, INSTRUCTIONS, TIME = "opcodes", "instructions", "time"
ALL_PARTS = (*PARTS, CRYPTO, INTERPRETER, COLLECTION)
TAPS = {
    "spend, Classic": Tap("pos", "classic"),
    "spend, DESFire": Tap("pos", "desfire"),
    "spend, DESFire at 212 kbit/s": Tap("pos", "desfire", rate=212),
    "door, Classic": Tap("door", "classic"),
    "door, DESFire": Tap("door", "desfire"),
}
BARS_MS = {"pos": 150, "door": 100}  # DESIGN section 11
HARD_LIMIT_MS = 300
# One round of tap_replay.Yard beside misc_pystone.py of MicroPython's tests/perf_bench in the same
# VM: 13.1 us and 3.35 us, x86-64, 2026-11-25.
YARD_PYSTONES = 3.9
# Opcodes of CPython 3.11 in one round of the same program, counted as tap_tape.opcodes does.
PYSTONE_OPCODES = 497
# Instructions of one pystone there, and pystones of a thousand opcodes of a tap: the mean of the
# three spends, 2026-11-26. tap_instructions prints both.
PYSTONE_INSTRUCTIONS = 41_900
PYSTONES_PER_1000 = 4.23
# Of a 64-bit MicroPython's heap to a 32-bit one's, for the same objects: measured on a prototype.
HEAP_RATIO = 1.64
# The budget of a POS, and what is alive in it between two taps, in a 64-bit VM
# (`onecard bench firmware_heap`, 2026-11-25).
HEAP_BYTES, LIVE_BYTES = 131_072, 110_000
COLLECT_SHARE = 4  # as firmware/main.py has it


@dataclass(frozen=True)
class Esp32:
    """What things cost on the chip.

    `call_us`: a transaction beside its bits. ESP-IDF's own table says 25 us, users have measured
    30 to 46 (espressif/esp-idf#3594). `pystones`: a second. 1661 at 240 MHz (micropython#5673),
    a tenth less in a build for PSRAM (PR 4440); 1166 with some master (#6565). `collection_us`:
    one collection of a heap in internal RAM (#8428; in PSRAM it has been fifty times that). The
    rest is assumed: the AES and SHA units are fast, to get hold of one is not. `priced_by`: how
    bytecode becomes time, OPCODES, INSTRUCTIONS or TIME.
    """

    call_us: int
    pystones: int
    priced_by: str
    collection_us: int = 1_800
    aes_call_us: int = 20
    aes_block_us: int = 2
    sha_block_us: int = 10

    def crypto_ms(self, crypto: Crypto) -> float:
        """All cryptography of a tap."""
        aes_us = crypto.aes_calls * self.aes_call_us + crypto.aes_blocks * self.aes_block_us
        return (aes_us + crypto.sha_blocks * self.sha_block_us) / 1000

    def counted_ms(self, opcodes: int) -> float:
        """The bytecode of a tap, by its number."""
        per_1000 = PYSTONES_PER_1000 if self.priced_by == INSTRUCTIONS else 1000 / PYSTONE_OPCODES
        return opcodes * per_1000 / self.pystones

    def measured_ms(self, bytecode: Bytecode) -> float:
        """The bytecode of a tap, by what it takes here."""
        return bytecode.tap_us / bytecode.yard_us * YARD_PYSTONES / self.pystones * 1000

    def collection_ms(self, bytecode: Bytecode) -> float:
        """Collections during a tap, in fractions: where the first one falls is chance."""
        share_bytes = (HEAP_BYTES - LIVE_BYTES / HEAP_RATIO) / COLLECT_SHARE
        collections = bytecode.allocated_bytes / HEAP_RATIO / share_bytes
        return collections * self.collection_us / 1000


LOW = Esp32(call_us=30, pystones=1500, priced_by=OPCODES)
MIDDLE = replace(LOW, priced_by=INSTRUCTIONS)
HIGH = Esp32(call_us=46, pystones=1166, priced_by=TIME)


@dataclass(frozen=True)
class Measured:
    """One tap: its account, cryptography and opcodes; `bytecode` is None without a MicroPython."""

    account: Account
    crypto: Crypto
    opcodes: int
    bytecode: Bytecode | None = None

    def parts_ms(self, chip: Esp32) -> dict[str, float]:
        """Milliseconds by part, in the order of ALL_PARTS; without a MicroPython no collection."""
        found = {part: self.account.ms(part) for part in PARTS}
        found[CRYPTO] = chip.crypto_ms(self.crypto)
        found[INTERPRETER] = chip.counted_ms(self.opcodes)
        if self.bytecode is not None:
            if chip.priced_by == TIME:
                found[INTERPRETER] = chip.measured_ms(self.bytecode)
            found[COLLECTION] = chip.collection_ms(self.bytecode)
        return found

    @property
    def floor_ms(self) -> float:
        """The same frames, and nothing else."""
        return self.account.floor / US / 1000


def measure(
    chip: Esp32, taps: Mapping[str, Tap], bytecodes: Mapping[str, Bytecode]
) -> dict[str, Measured]:
    """Play every tap on a reader whose bus is that of `chip`."""
    found = {}
    for name, tap in taps.items():
        played, tape, crypto = tap.play(chip.call_us)
        found[name] = Measured(played, crypto, opcodes(tap.device, tape), bytecodes.get(name))
    return found


def bytecode_of(taps: Mapping[str, Tap], rounds: int) -> dict[str, Bytecode]:
    """What each tap is in MicroPython; nothing, and a word of it, when there is none."""
    if find_spec("micropython_unix") is None:
        print("tap_time: MicroPython is not installed, garbage is left out", file=sys.stderr)
        return {}
    tapes = {name: (tap.device, tap.play(LOW.call_us)[1]) for name, tap in taps.items()}
    return in_vm(tapes, rounds)


def both(taps: Mapping[str, Tap], rounds: int) -> tuple[dict[str, Measured], dict[str, Measured]]:
    """(low, high)."""
    bytecodes = bytecode_of(taps, rounds)
    return measure(LOW, taps, bytecodes), measure(HIGH, taps, bytecodes)


def rows(taps: Mapping[str, Tap] = TAPS, rounds: int = 30) -> list[dict[str, object]]:
    """Each tap's parts, low beside high; its totals beside bar, hard limit and floor.

    Middle is the tap of low, its bytecode at another price.
    """
    low, high = both(taps, rounds)
    against = f"high: bus call {HIGH.call_us} us, {HIGH.pystones:,} pystones/s"
    table = []
    for name, tap in taps.items():
        ours, theirs = low[name].parts_ms(LOW), high[name].parts_ms(HIGH)
        for part, part_ms in ours.items():
            if part_ms:
                table.append(_row(f"{name}: {part}", part_ms, theirs[part], against))
        whole = "all" if low[name].bytecode else "all but garbage"
        low_ms, high_ms = sum(ours.values()), sum(theirs.values())
        middle_ms = sum(low[name].parts_ms(MIDDLE).values())
        bar = f"bar of a {'spend' if tap.device == 'pos' else 'door'}"
        table += [
            _row(f"{name}: {whole}, low", low_ms, BARS_MS[tap.device], bar),
            _row(f"{name}: {whole}, middle", middle_ms, BARS_MS[tap.device], bar),
            _row(f"{name}: {whole}, high", high_ms, BARS_MS[tap.device], bar),
            _row(f"{name}: {whole}, high", high_ms, HARD_LIMIT_MS, "hard limit"),
            _row(f"{name}: {whole}, low", low_ms, low[name].floor_ms, "floor: these frames alone"),
        ]
    return table


def _row(name: str, ours_ms: float, other_ms: float, against: str) -> dict[str, object]:
    return {
        "name": f"tap, {name}",
        "ours": round(ours_ms, 2),
        "other": round(other_ms, 2),
        "against": against,
        "unit": "ms, modelled",
    }


def commands(found: Account) -> list[tuple[str, int, float]]:
    """(first bytes of a command, times, ms of RF and card) of a tap, the dearest first."""
    costs: dict[str, tuple[int, int]] = {}
    for exchange in found.exchanges:
        data = exchange.command.data
        name = data[1:2].hex() if data[0] & 0xE2 == 0x02 and len(data) > 3 else data[:1].hex()
        times, ticks = costs.get(name, (0, 0))
        spent = sum(end - start for start, end, part in exchange.on_air if part in (RF, CARD))
        costs[name] = times + 1, ticks + spent
    by_cost = sorted(costs.items(), key=lambda item: -item[1][1])
    return [(name, times, ticks / US / 1000) for name, (times, ticks) in by_cost]


def main() -> None:
    """One table for people: parts by tap, low, middle and high."""
    low, high = both(TAPS, 30)
    print(" " * 30 + "".join(f"{part:>15}" for part in (*ALL_PARTS, "total", "floor")))
    for name in TAPS:
        ours, theirs = low[name], high[name]
        for label, measured, chip in (
            (name, ours, LOW),
            ("  middle", ours, MIDDLE),
            ("  high", theirs, HIGH),
        ):
            parts_ms = measured.parts_ms(chip)
            cells = [parts_ms.get(part, 0.0) for part in ALL_PARTS]
            cells += [sum(parts_ms.values()), measured.floor_ms]
            print(f"{label:30}" + "".join(f"{cell:15.2f}" for cell in cells))
        told = [f"{code} {times}x {ms:.1f}" for code, times, ms in commands(ours.account)]
        print("  on air and card, ms: " + ", ".join(told[:8]))


if __name__ == "__main__":
    main()
