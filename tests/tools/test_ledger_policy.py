"""`onecard ledger policy set` and `list`, beside a ledger that has the books open."""

import pytest
from typer.testing import CliRunner

from protocols.wire import messages
from tests.ledger.readers import Reader, open_ledger
from tests.ledger.test_policies import LIMITS
from tools.cli import app

GOOD = "[policy]\n" + "".join(f"{name} = {value}\n" for name, value in LIMITS.items())


def onecard(*words):
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})


def test_a_policy_is_set_and_who_has_not_got_it_is_listed(tmp_path):
    path, file = tmp_path / "ledger.sqlite", tmp_path / "policy.toml"
    one, other = Reader(1001), Reader(1002)
    store = open_ledger(one, other, path=str(path))
    file.write_text(GOOD)
    assert onecard("ledger", "policy", "list", path).output == "no policy was ever set\n"
    own = (path, file, "--person", "Wang Fang")
    done = onecard("ledger", "policy", "set", *own, "--site", "campus")
    assert (done.exit_code, done.output) == (0, "reader 1001: epoch 1\nreader 1002: epoch 1\n")
    done = onecard("ledger", "policy", "set", *own, "--device", 1002)
    assert done.output == "reader 1002: epoch 1\n"
    store.book([[one.write(messages.BOOT, cause=255, firmware=1, policy_epoch=1)]])
    first, second, sums = onecard("ledger", "policy", "list", path).output.splitlines()
    assert first.startswith("reader 1001, campus: epoch 1, ")
    assert "Wang Fang: has it: utc_offset_s 28800" in first
    assert "Wang Fang: has not said which it has: " in second
    assert sums == "1 of 2 readers have not said that they have theirs"
    store.book([[other.write(messages.BOOT, cause=1, firmware=1, policy_epoch=9)]])
    _, second, sums = onecard("ledger", "policy", "list", path).output.splitlines()
    assert "has 9, by cable or of lost books" in second and sums.startswith("0 of 2")
    store.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("utc_offset_s = 28800", "utc_offset_s = -1", ":2: utc_offset_s: not in its range"),
        ("utc_offset_s = 28800", "utc_offset = 1", ":2: unknown policy field 'utc_offset'"),
        ("utc_offset_s = 28800\n", "", ":1: policy: utc_offset_s is missing"),
        ("[policy]", "[policy]\nepoch = 3", ":2: epoch: the ledger counts it"),
        ("[policy]", "broker_host = 'x'\n[policy]", ":1: broker_host: a policy is [policy] alone"),
        ("[policy]", "device_key = 'ab'\n[policy]", ":1: device_key: a policy is [policy] alone"),
        ("[policy]", "[policy", ":1: not TOML"),
        (GOOD, "", ":1: policy: a table, [policy]"),
    ],
)
def test_what_is_wrong_is_said_with_field_and_line_and_nothing_is_set(tmp_path, old, new, said):
    path, file = tmp_path / "ledger.sqlite", tmp_path / "policy.toml"
    open_ledger(Reader(1001), path=str(path)).close()
    file.write_text(GOOD.replace(old, new))
    done = onecard("ledger", "policy", "set", path, file, "--person", "wang", "--site", "campus")
    assert done.exit_code == 2 and f"{file}{said}" in done.stderr
    assert onecard("ledger", "policy", "list", path).output == "no policy was ever set\n"


def test_who_is_not_there_is_said(tmp_path):
    path, file = tmp_path / "ledger.sqlite", tmp_path / "policy.toml"
    open_ledger(Reader(1001), path=str(path)).close()
    file.write_text(GOOD)
    done = onecard("ledger", "policy", "set", path, file, "--person", "wang", "--device", 9)
    assert done.exit_code == 2 and "reader 9 was never registered" in done.stderr
    done = onecard("ledger", "policy", "set", file, file, "--person", "wang", "--device", 9)
    assert done.exit_code == 2
