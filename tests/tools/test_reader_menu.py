"""`onecard reader menu`: file, line and reason; what it writes is what a POS charges by."""

import pytest
from typer.testing import CliRunner

from protocols.rules import charging, menu
from tests.firmware.counter import Counter, new_card
from tools.cli import app
from tools.reader_menu import BadMenu, read

GOOD = """\
[[price]]
item = 1
kind = "student"
amount = "8.00"
[[price]]
item = 1
amount = "9.50"
[[price]]
item = "fixed"
amount = "3.00"
[[price]]
item = "meal"
period = 1
amount = "6.00"
[[price]]
item = "plain-meal"
amount = "15.00"

[[period]]
from = "10:30"
to = "13:30"
spend_max = "30.00"
meals = { student = 1 }
beyond = { student = "plain" }
[[period]]
from = "16:30"
to = "19:00"
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "menu.toml"
        path.write_text(text)
        return path

    return write


def test_a_pos_charges_by_what_is_written(file, tmp_path):
    out = tmp_path / "menu.bin"
    done = CliRunner().invoke(app, ["reader", "menu", str(file(GOOD)), "--out", str(out)])
    assert done.exit_code == 0 and "5 prices, 2 meal periods" in done.stdout
    prices, periods = menu.decode(out.read_bytes())
    assert charging.cost((charging.ITEM, (1,)), prices, 2, (0,)) == (charging.FINE, 800)
    assert list(periods)[:1] == [[630, 810, 3000, 0, 0, 1, 0, 0, 2, 0]]
    counter = Counter(menu=out.read_bytes())
    shown = []
    for number, keys in enumerate((b"F31\r", b"F2\r", b"F4\r", b"\x1bF112.50\r")):
        counter.key(keys)
        counter.tap(new_card(number + 1))
        shown.append(counter.shown)
        counter.run_ms(3_000)
    assert shown == ["PAID 8.00", "PAID 3.00", "PAID 6.00", "PAID 12.50"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("[[price]]\nitem = 1\nkind", "[[prise]]\nitem = 1\nkind", 1, "did you mean 'price'?"),
        ("[[price]]\nitem = 1\nkind", "[[price]\nitem = 1\nkind", 1, "not TOML"),
        ("item = 1\nkind", "item = 100\nkind", 2, "item 100: 1 to 99, fixed, meal, plain-meal"),
        ("item = 1\nkind", "item = true\nkind", 2, "item True"),
        ("item = 1\nkind", "itme = 1\nkind", 2, "unknown field 'itme'; did you mean 'item'?"),
        ('"student"\namount', '"studnet"\namount', 3, "did you mean 'student'?"),
        ('kind = "student"', "kind = []", 3, "unknown kind '[]'"),
        ('"8.00"', "8.00", 4, '8.0 is not an amount such as "8.00"'),
        ('"8.00"', '"8.005"', 4, "is not an amount"),
        ('"8.00"', '"0.00"', 4, "is not an amount"),
        ('amount = "8.00"\n', "", 1, "[[price]] needs 'amount'"),
        ('kind = "student"\n', "", 4, "this price is never used"),
        ("period = 1", "period = 3", 13, "period 3: this file has 2 of them"),
        ('from = "10:30"\n', "", 19, "[[period]] needs 'from'"),
        ('"10:30"', '"10:60"', 19, "'10:60' is not a time of the day"),
        ('from = "16:30"', 'from = "13:00"', 25, "overlap"),
        ("meals = { student = 1 }", "meals = { student = 5 }", 19, "'5', where one of 0, 1"),
        ("meals = { student = 1 }", "meals = { student = [] }", 19, ""),
        ("meals = { student = 1 }", "mels = 1", 23, "did you mean 'meals'?"),
    ],
)
def test_a_mistake_is_named_with_its_line(file, old, new, line, said):
    path = file(GOOD.replace(old, new, 1))
    with pytest.raises(BadMenu) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:{line}: "), caught.value
    assert said in str(caught.value)


def test_more_than_a_reader_holds_is_refused(file):
    rows = "".join(
        f'[[price]]\nitem = {item}\nkind = "{kind}"\nperiod = {period}\namount = "1.00"\n'
        for item in range(1, 100)
        for kind in ("staff", "student", "temporary")
        for period in (1, 2)
    )
    with pytest.raises(BadMenu, match="price list"):
        read(file(rows + GOOD[GOOD.index("[[period]]") :]))


def test_a_file_that_cannot_be_used_is_no_blob(file, tmp_path):
    out = tmp_path / "menu.bin"
    bad = str(file(GOOD.replace("10:30", "25:30")))
    done = CliRunner().invoke(app, ["reader", "menu", bad, "--out", str(out)])
    assert done.exit_code == 2 and f"{bad}:19: " in done.stderr and not out.exists()
    out.write_bytes(b"mine")
    done = CliRunner().invoke(app, ["reader", "menu", str(file(GOOD)), "--out", str(out)])
    assert done.exit_code == 2 and out.read_bytes() == b"mine"
    with pytest.raises(BadMenu, match="cannot be read"):
        read(tmp_path / "nowhere.toml")
