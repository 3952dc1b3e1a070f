"""`onecard ledger menu set` and `list`, beside a ledger that has the books open."""

from typer.testing import CliRunner

from protocols.rules import charging, menu
from tests.ledger.readers import CANTEEN, Reader, open_ledger
from tools.cli import app

GOOD = '[[price]]\nitem = 1\namount = "9.00"\n'


def onecard(*words):
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})


def test_a_menu_is_set_and_listed(tmp_path):
    path, file = tmp_path / "ledger.sqlite", tmp_path / "canteen.toml"
    store = open_ledger(Reader(1001), path=str(path))
    file.write_text(GOOD)
    assert onecard("ledger", "menu", "list", path).output == "no menu was ever set\n"
    own = (path, file, "--merchant", CANTEEN, "--person", "Wang Fang")
    done = onecard("ledger", "menu", "set", *own)
    assert (done.exit_code, done.output) == (0, f"merchant {CANTEEN}: epoch 1\n")
    epoch, data = store.menus.newest(1001)
    assert (epoch, data) == (1, menu.encode(charging.packed([(1, 0, 0, 900)]), ()))
    file.write_text(GOOD.replace("9.00", "8.00"))
    done = onecard("ledger", "menu", "set", *own, "--site", "campus")
    assert done.output == f"merchant {CANTEEN} at campus: epoch 2\n"
    file.write_text(GOOD)
    assert onecard("ledger", "menu", "set", *own).output == f"merchant {CANTEEN}: epoch 3\n"
    lines = onecard("ledger", "menu", "list", path).output.splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]
    assert "Wang Fang" in lines[0] and "all sites: 1 prices, 0 meal periods" in lines[0]
    assert lines[0].endswith("replaced by epoch 3") and lines[1].endswith("replaced by epoch 3")
    assert "campus" in lines[1] and "replaced" not in lines[2]
    store.close()


def test_what_is_wrong_is_said_and_nothing_is_set(tmp_path):
    path, file = tmp_path / "ledger.sqlite", tmp_path / "canteen.toml"
    open_ledger(Reader(1001), path=str(path)).close()
    file.write_text(GOOD.replace("9.00", "9.005"))
    done = onecard("ledger", "menu", "set", path, file, "--merchant", CANTEEN, "--person", "wang")
    assert done.exit_code == 2 and f"{file}:3: " in done.stderr
    file.write_text(GOOD)
    done = onecard("ledger", "menu", "set", path, file, "--merchant", 9, "--person", "wang")
    assert done.exit_code == 2 and "merchant 9 was never registered" in done.stderr
    done = onecard("ledger", "menu", "set", file, file, "--merchant", 9, "--person", "wang")
    assert done.exit_code == 2
    assert onecard("ledger", "menu", "list", path).output == "no menu was ever set\n"
