"""`onecard reader settings`: file, line and reason, and never a key."""

import pytest
from typer.testing import CliRunner

from protocols.rules import settings
from protocols.rules.spending import POLICY_DEFAULTS, POLICY_FIELDS
from tools.cli import app
from tools.reader_settings import BadSettings, read

KEY32, KEY16, OTHER16 = "5a" * 32, "6b" * 16, "7c" * 16
GOOD = f"""\
device = 1001
site = "canteen-1"
merchant_no = 71
device_key = "{KEY32}"
purse_key = {{ env = "PURSE" }}
mac_key = "{OTHER16}"
broker_host = "10.0.0.5"
broker_port = 1883
language = "zh"
load_cards = 1

[policy]
epoch = 1
utc_offset_s = 28800
amount_max_fen = 20000
no_pin_max_fen = 5000
since_pin_max_fen = 30000
day_max_fen = 15000
offline_max_fen = 3000
clock_width_max_ms = 300000
blind_max_fen = 2000
offline_count_max = 300
"""
ENVIRONMENT = {"PURSE": KEY16}


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "pos-1.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def test_what_is_in_order_is_what_a_reader_takes(file):
    told = settings.decode(read(file(GOOD), ENVIRONMENT))
    assert (told["device"], told["site"], told["language"]) == (1001, "canteen-1", "zh")
    assert told["purse_key"] == bytes.fromhex(KEY16)
    assert told["policy"]["offline_count_max"] == 300
    assert told["policy"]["pin_tries_max"] == POLICY_DEFAULTS["pin_tries_max"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("device = 1001", "devise = 1001", 1, "unknown setting 'devise'; did you mean 'device'?"),
        ("device = 1001", "journal = 0\ndevice = 1001", 1, "unknown setting 'journal'"),
        ("device = 1001", "seal = false\ndevice = 1001", 1, "unknown setting 'seal'"),
        ("epoch = 1", "epoch = 1\njournal_max = 0", 14, "unknown policy field 'journal_max'"),
        ("device = 1001", "device = 0", 1, "device: a whole number from 1 to 4294967295"),
        ("device = 1001", "device = true", 1, "device: a whole number"),
        ('"canteen-1"', '"Canteen 1"', 2, "site: a-z, 0-9 and '-'"),
        (KEY32, KEY16, 4, "device_key: a key is 64 hexadecimal digits"),
        ('"PURSE"', '"ELSEWHERE"', 5, "purse_key, variable ELSEWHERE: a key is 32 hexadecimal"),
        (OTHER16, "x" * 32, 6, "mac_key: a key is 32 hexadecimal digits"),
        ("broker_port = 1883", "broker_port = 70000", 8, "broker_port: a whole number from 1 to"),
        ('"zh"', '"fr"', 9, "language: one of zh, en"),
        ("epoch = 1", "epok = 1", 13, "unknown policy field 'epok'; did you mean 'epoch'?"),
        ("utc_offset_s = 28800", "utc_offset_s = 99999", 14, "utc_offset_s: not in its range"),
        ("day_max_fen = 15000", "day_max_fen = -1", 18, "day_max_fen: not in its range"),
        ("epoch = 1\n", "", 12, "policy: epoch is missing"),
        ("merchant_no = 71\n", "", 22, "merchant_no is missing"),
        ("[policy]", "[policy", 12, "not TOML"),
        ("device = 1001", "device = 1001\njournal = false", 2, "unknown setting 'journal'"),
    ],
)
def test_what_is_wrong_has_a_line_and_a_reason_and_no_key(file, old, new, line, said):
    path = file(GOOD.replace(old, new, 1))
    with pytest.raises(BadSettings) as caught:
        read(path, ENVIRONMENT)
    assert str(caught.value).startswith(f"{path}:{line}: {said}")
    for key in (KEY32, KEY16, OTHER16):
        assert key not in str(caught.value)


def test_every_needed_field_is_asked_for(file):
    for name in ("device", "site", "device_key", "purse_key", "mac_key", "policy"):
        kept = [row for row in GOOD.splitlines() if not row.startswith((f"{name} =", f"[{name}]"))]
        with pytest.raises(BadSettings):
            read(file("\n".join(kept)), ENVIRONMENT)


def test_a_file_that_others_may_read_is_refused(file):
    path = file(GOOD)
    path.chmod(0o644)
    with pytest.raises(BadSettings, match="others may read it"):
        read(path, ENVIRONMENT)


def test_nothing_switches_off_journal_or_seal():
    """What a setting can name: no field of either list touches journal, seal, flash or receipt.

    What a POS does at both ends of each is in tests/firmware/test_any_settings.py.
    """
    names = [field[1] for field in settings.FIELDS] + list(POLICY_FIELDS)
    assert not [n for n in names for word in ("journal", "seal", "flash", "receipt") if word in n]
    assert "device_key" not in settings.OPTIONAL, "without it nothing would be sealed"


def test_the_command_writes_what_the_reader_takes_once(file, tmp_path, monkeypatch):
    monkeypatch.setenv("PURSE", KEY16)
    path, out = file(GOOD), tmp_path / "settings.bin"
    words = ["reader", "settings", str(path), "--out", str(out)]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert done.exit_code == 0 and "in order" in done.output
    assert settings.decode(out.read_bytes())["device"] == 1001
    assert out.stat().st_mode & 0o077 == 0
    assert CliRunner().invoke(app, words).exit_code == 2, "never over another file"
    path.write_text(GOOD.replace("1883", "0"))
    done = CliRunner().invoke(app, words[:3], env={"COLUMNS": "200"})
    assert done.exit_code == 2 and ":8: broker_port" in done.output
