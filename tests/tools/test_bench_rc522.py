"""The RC522 benchmark: honest counting, rivals that are not there, rivals that fail."""

import sys
import tempfile
import time
from pathlib import Path

import pytest

from tools.bench import driver_folder, fake_pi, rc522, rc522_faults
from tools.bench_report import COLUMNS, complete

# Transactions of each operation in a fixed sequence, polls aside; see the design's budgets.
BUDGET = {"empty poll": 6, "select, 4-byte UID": 23, "authenticate and read": 12, "write": 18}

# A rival whose every register access is one transaction, that does nothing at all.
IDLE_RIVAL = """
import time, spidev
import RPi.GPIO as GPIO
class MFRC522:
    def __init__(self):
        GPIO.setmode(GPIO.BOARD)
        self.spi = spidev.SpiDev()
    def MFRC522_Request(self, mode):
        time.sleep(0.001)
        self.spi.xfer2([0x82, 0])
        return ({status}, 0)
    def MFRC522_Anticoll(self):
        return (0, [1, 2, 3, 4, 4])
    def MFRC522_SelectTag(self, uid):
        return 8
"""


@pytest.fixture
def rival(tmp_path):
    def make(source):
        # A folder each: two of one size in one second would share their bytecode.
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (folder / "mfrc522.py").write_text(source)
        return folder

    return make


def test_our_driver_stays_inside_the_budget_on_the_bench_too():
    ours = rc522.measure_ours()
    assert list(ours) == list(rc522.OPERATIONS)
    for operation, most in BUDGET.items():
        transactions, moved, took_us = ours[operation]
        assert 0 < transactions <= most
        assert moved >= 2 * transactions
        assert took_us >= rc522.CALL_US * transactions


def test_what_only_we_do_stays_inside_the_budget_too():
    alone = rc522.measure_alone()
    assert list(alone) == list(rc522.DESIGN_MAX)
    for operation, most in rc522.DESIGN_MAX.items():
        transactions, moved, took_us = alone[operation]
        assert 0 < transactions <= most
        assert moved >= 2 * transactions
        assert took_us >= rc522.CALL_US * transactions


def test_a_card_that_does_not_do_its_part_is_no_result(monkeypatch):
    monkeypatch.setattr(rc522, "GO_ON", b"\x91")
    with pytest.raises(rc522.WrongResult, match="ISO-DEP exchange"):
        rc522.measure_alone()


def test_a_rival_that_does_nothing_is_found_out(rival):
    with pytest.raises(rc522.WrongResult, match="empty poll"):
        rc522.measure_peer("mfrc522", rival(IDLE_RIVAL.format(status=0)))
    with pytest.raises(rc522.WrongResult, match="select, 4-byte"):
        rc522.measure_peer("mfrc522", rival(IDLE_RIVAL.format(status=2)))


def test_a_step_that_writes_nothing_is_no_result():
    desk = rc522.Desk()
    with pytest.raises(rc522.WrongResult, match="not written"):
        desk.measure((lambda: True,) * 4)


def test_what_is_not_installed_has_no_row_but_a_line(monkeypatch, capsys):
    monkeypatch.setattr(rc522, "driver_folder", lambda _distribution: None)
    rows = rc522.rows()
    assert [row["against"] for row in rows] == ["the design's budget"] * len(rc522.DESIGN_MAX)
    complaint = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in complaint] == list(rc522.PEERS)
    assert all("not installed" in line for line in complaint)


def test_every_row_has_the_columns_of_the_report(monkeypatch, tmp_path):
    counts = dict.fromkeys(rc522.OPERATIONS, (100, 200, 300))
    monkeypatch.setattr(rc522, "driver_folder", lambda _distribution: tmp_path)
    monkeypatch.setattr(rc522, "measure_peer", lambda _distribution, _folder: counts)
    rows = [row for row in rc522.rows() if row["against"] != "the design's budget"]
    assert len(rows) == len(rc522.PEERS) * len(rc522.OPERATIONS) * 3
    assert {(row["other"], row["unit"]) for row in rows} == {
        (100, "SPI transactions"),
        (200, "SPI bytes"),
        (300, "us, modelled"),
    }
    assert tuple(complete("rc522", rows[0])) == COLUMNS


def test_the_fakes_count_bus_traffic_and_virtual_sleep(monkeypatch):
    desk = rc522.Desk()
    monkeypatch.setattr(time, "sleep", time.sleep)
    for name in ("spidev", "RPi", "RPi.GPIO"):
        monkeypatch.setitem(sys.modules, name, None)
    fake_pi.install(desk.chip)
    import spidev
    from RPi import GPIO

    start_us = desk.clock.now_us
    time.sleep(0.025)
    assert desk.clock.now_us - start_us == 25_000
    assert spidev.SpiDev().xfer2([0xEE, 0]) == [0, 0x92]
    spidev.SpiDev().xfer2([0x0A, 0x04 & ~0x04 | -256])  # the C module masks what is negative
    assert desk.chip.transactions == 2
    assert GPIO.getmode() is None


@pytest.mark.parametrize("distribution", list(rc522.PEERS))
def test_a_real_rival_does_the_four_things(distribution):
    folder = driver_folder(distribution)
    if folder is None:
        pytest.skip("needs the rival drivers: make .bench/.ready")
    theirs = rc522.measure_peer(distribution, folder)
    ours = rc522.measure_ours()
    for figure in range(len(rc522.UNITS)):
        assert all(theirs[name][figure] > ours[name][figure] for name in rc522.OPERATIONS)


# ---------------------------------------------------------------- faults


class Gullible:
    """A driver that believes whatever the card is said to be."""

    def __init__(self, uid=rc522.UID, data=rc522.OLD):
        self.uid, self.data = uid, data

    def find(self):
        return self.uid

    def read(self, uid):
        return self.data

    def leave(self):
        """Nothing is held."""


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (Gullible(), rc522_faults.RIGHT),
        (Gullible(uid=None), rc522_faults.NOTHING),
        (Gullible(data=None), rc522_faults.NOTHING),
        (Gullible(uid=b"1234"), rc522_faults.FALSE),
        (Gullible(data=rc522.NEW), rc522_faults.FALSE),
    ],
)
def test_what_a_driver_says_is_judged(driver, said):
    assert rc522_faults.attempt(driver) == said


def test_what_breaks_inside_a_driver_is_no_answer(monkeypatch):
    driver = Gullible()
    monkeypatch.setattr(driver, "read", lambda _uid: [][0])
    assert rc522_faults.attempt(driver) == rc522_faults.RAISED


def test_our_driver_takes_nothing_false_for_true(monkeypatch):
    monkeypatch.setattr(rc522_faults, "SPOILS", rc522_faults.SPOILS[::3])
    found = rc522_faults.measure(rc522_faults.Ours)
    assert found["cases"] == found["recovered"] > 20
    assert found.get(rc522_faults.FALSE, 0) == found.get(rc522_faults.RAISED, 0) == 0
    assert found[rc522_faults.RIGHT] < found["cases"]  # or else nothing was spoiled
    assert (found["seen"], found["told"]) == (0, 2 * rc522_faults.LOOKS)
    assert found["looks"] < rc522_faults.LOOKS


def test_a_driver_that_never_finds_its_card_again():
    made = [Gullible(), Gullible(uid=None)]
    desk = rc522.Desk()
    assert [rc522_faults._looks(desk, driver) for driver in made] == [1, rc522_faults.LOOKS]


def test_fault_rows_have_the_columns_of_the_report(monkeypatch, tmp_path):
    told = '{"cases": 50, "right": 5, "false": 1, "recovered": 49, "looks": 20, "seen": 0}'
    monkeypatch.setattr(rc522_faults, "driver_folder", lambda _distribution: tmp_path)
    monkeypatch.setattr(rc522_faults, "run_peer", lambda *_arguments: told)
    monkeypatch.setattr(rc522_faults, "measure", lambda _make: {"cases": 10, "right": 9})
    rows = rc522_faults.rows()
    assert len(rows) == len(rc522.PEERS) * len(rc522_faults.TITLES)
    assert (rows[0]["ours"], rows[0]["other"]) == (90.0, 10.0)
    assert tuple(complete("rc522_faults", rows[0])) == COLUMNS
