"""The configuration and the register: what is wrong is named with file and place."""

import json
import tomllib

import pytest

from ledger.card_validity import Validity, of
from ledger.code_sales import CodePolicy
from ledger.config import (
    ConfigError,
    import_register,
    load_acquirer_key,
    load_code_key,
    load_config,
    load_signing_key,
)
from ledger.store import LedgerStore

CONFIG = """
data_dir = "books"
signing_key_file = "signing.key"
register_file = "register.toml"
[broker]
host = "10.0.0.1"
port = 1884
"""
WALK = '[[travel]]\nfrom = "north"\nto = "south"\nseconds = 240\n'
KEY = "07" * 32
REGISTER = f"""
[[merchant]]
merchant_no = 12
name = "Canteen 1"
[[device]]
device = 1001
key = "{KEY}"
merchant_no = 12
site = "canteen-1"
[[card]]
card_no = 7
balance_fen = 5000
"""

ACQUIRER = (
    CONFIG
    + """
[codes]
key_file = "codes.key"
[acquirer]
url = "https://pay.example.org/onecard"
key_file = "acquirer.key"
"""
)


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("data_dir = 5\n", "data_dir: not text"),
        ('data_dir = "x"\n', "signing_key_file: missing"),
        (CONFIG.replace("1884", '"1884"'), "broker.port: not a whole number from 0 to 65535"),
        (CONFIG.replace("1884", "true"), "broker.port: not a whole number"),
        (CONFIG.replace("1884", "70000"), "broker.port: not a whole number"),
        (CONFIG + "colour = 1\n", "broker.colour: nothing of this name belongs here"),
        ("broker = 1\n" + CONFIG.split("[")[0], "broker: not a table"),
        ("data_dir", "config.toml: "),
        ('database = "mysql://x"\n' + CONFIG, "database: does not begin with postgresql://"),
        ('database = "postgresql://a:b@c/d"\n' + CONFIG, "database: a password is never in it"),
        ('database = "postgresql:///d?password=b"\n' + CONFIG, "a password is never in it"),
        ('database_password_file = "x"\n' + CONFIG, "database_password_file: there is no"),
        (CONFIG + "[codes]\nsale_max_fen = 1\n", "codes.sale_max_fen: nothing of this name"),
        (CONFIG + '[codes]\nkey_file = "k"\nday_max_fen = 0.5\n', "codes.day_max_fen: not a"),
        (CONFIG + '[codes]\nkey_file = "k"\nclock_error_ms = 60001\n', "codes.clock_error_ms"),
        (ACQUIRER.replace("https", "http"), "acquirer.url: begins with https://"),
        (ACQUIRER.replace("https", "ftp"), "acquirer.url: begins with https://"),
        (ACQUIRER.replace('key_file = "a', 'file = "a'), "acquirer.key_file: missing"),
        (ACQUIRER + "timeout_ms = 0\n", "acquirer.timeout_ms: 1 at least"),
        (ACQUIRER + "timeout_ms = 30001\n", "acquirer.timeout_ms: not a whole number"),
        (ACQUIRER.replace("[codes]", "[travels]"), "acquirer.url: needs [codes]"),
        (CONFIG + WALK.replace("south", "north"), "travel[0].to: takes the names of two sites"),
        (CONFIG + WALK.replace("south", "#"), "travel[0].to: takes the names of two sites"),
        (CONFIG + WALK + WALK, "travel[1].to: takes the names of two sites, each pair once"),
        (CONFIG + WALK.replace("240", "86401"), "travel[0].seconds: not a whole number"),
    ],
)
def test_wrong_configuration_is_named(tmp_path, text, complaint):
    path = write(tmp_path, "config.toml", text)
    with pytest.raises(ConfigError, match=r"config\.toml") as error:
        load_config(path)
    assert complaint in str(error.value)


def test_missing_files_are_named(tmp_path):
    for load in (load_config, load_signing_key):
        with pytest.raises(ConfigError, match="nowhere"):
            load(tmp_path / "nowhere")


def test_who_has_no_signing_key_is_told_what_makes_one(tmp_path):
    with pytest.raises(ConfigError, match="openssl rand -hex 32"):
        load_signing_key(tmp_path / "nowhere")


def test_configuration_is_relative_to_its_file(tmp_path):
    config = load_config(write(tmp_path, "config.toml", CONFIG))
    assert config.database == tmp_path / "books" / "ledger.sqlite"
    assert config.register_file == tmp_path / "register.toml"
    assert (config.broker_host, config.broker_port) == ("10.0.0.1", 1884)
    assert config.broker_fallbacks == ()


def test_further_nodes_of_a_cluster_of_brokers(tmp_path):
    text = CONFIG + 'fallbacks = ["10.0.0.2:1884", "[fd00::3]:8883"]\n'
    config = load_config(write(tmp_path, "config.toml", text))
    assert config.broker_fallbacks == (("10.0.0.2", 1884), ("fd00::3", 8883))
    for wrong in ('"10.0.0.2:1884"', "[1884]", '["10.0.0.2"]', '["10.0.0.1:1884"]'):
        path = write(tmp_path, "config.toml", f"{CONFIG}fallbacks = {wrong}\n")
        with pytest.raises(ConfigError, match=r"config\.toml: broker\.fallbacks: "):
            load_config(path)


def test_how_long_people_walk_is_the_same_both_ways(tmp_path):
    config = load_config(write(tmp_path, "config.toml", CONFIG + WALK))
    assert config.walks == {frozenset(("south", "north")): 240}
    assert load_config(write(tmp_path, "config.toml", CONFIG)).walks == {}


def test_a_balance_is_carried_over_after_72_hours_if_nobody_says_otherwise(tmp_path):
    assert load_config(write(tmp_path, "config.toml", CONFIG)).carry_over_after_s == 259_200
    for text, after_s in (("0", 0), ("96", 345_600)):
        text = f"carry_over_after_h = {text}\n{CONFIG}"
        config = load_config(write(tmp_path, "config.toml", text))
        assert config.carry_over_after_s == after_s
    for text in ("-1", "72.5", "8785", '"72"'):
        path = write(tmp_path, "config.toml", f"carry_over_after_h = {text}\n{CONFIG}")
        with pytest.raises(ConfigError, match="carry_over_after_h"):
            load_config(path)


def test_an_acquirer_is_reached_where_its_url_says(tmp_path):
    assert load_config(write(tmp_path, "config.toml", CONFIG)).acquirer is None
    line = load_config(write(tmp_path, "config.toml", ACQUIRER)).acquirer
    assert (line.url, line.timeout_ms) == ("https://pay.example.org/onecard", 2_000)
    key = write(tmp_path, "acquirer.key", bytes(range(32)).hex())
    assert line.key_file == key
    assert load_acquirer_key(key) == bytes(range(32))
    here = ACQUIRER.replace("https://pay.example.org", "http://127.0.0.1:9")
    assert load_config(write(tmp_path, "config.toml", here)).acquirer is not None


def test_codes_are_paid_when_there_is_a_key_for_their_seeds(tmp_path):
    assert load_config(write(tmp_path, "config.toml", CONFIG)).codes is None
    text = CONFIG + '[codes]\nkey_file = "codes.key"\nsale_max_fen = 100\n'
    codes = load_config(write(tmp_path, "config.toml", text)).codes
    assert codes.key_file == tmp_path / "codes.key"
    assert codes.policy == CodePolicy(100, 15_000, 28_800)
    assert codes.clock_error_ms == 1_000
    write(tmp_path, "codes.key", "07" * 31)
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        load_code_key(codes.key_file)
    write(tmp_path, "codes.key", "07" * 32 + "\n")
    assert load_code_key(codes.key_file) == bytes([7]) * 32


def test_a_register_with_keys_that_others_can_read_is_refused(tmp_path):
    store, path = LedgerStore.open(":memory:"), write(tmp_path, "register.toml", REGISTER)
    for mode in (0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(ConfigError, match="others may read it"):
            import_register(store, path)
    assert store.heads() == {}
    path.write_text("[[merchant]]\nmerchant_no = 71\n")
    import_register(store, path)  # no reader, no key


VALID = """
kind = "student"
valid_from = "2026-09-01"
valid_to = "2030-08-31"
"""


def test_the_days_of_a_card_may_be_told_and_told_anew(tmp_path):
    store = LedgerStore.open(":memory:")
    import_register(store, write(tmp_path, "register.toml", REGISTER))
    assert of(store.database, 7) is None
    for last, text in ((22_157, VALID), (22_522, VALID.replace("2030", "2031"))):
        import_register(store, write(tmp_path, "register.toml", REGISTER + text))
        assert of(store.database, 7) == Validity(7, 2, 20_697, last)
    import_register(store, write(tmp_path, "register.toml", REGISTER))
    assert of(store.database, 7).valid_to == 22_522
    store.close()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("student", "visitor", "card[0].kind: none of staff, student, temporary"),
        ('kind = "student"', "", "card[0].kind"),
        ("2026-09-01", "2026-09-31", "card[0].valid_from: valid_from and valid_to are days"),
        ("2030-08-31", "2026-08-31", "in their order"),
        ('valid_to = "2030-08-31"', "", "card[0].valid_from"),
        ('"2026-09-01"', "20697", "card[0].valid_from: not text"),
    ],
)
def test_wrong_days_of_a_card_are_named(tmp_path, old, new, complaint):
    text = REGISTER + VALID.replace(old, new)
    store = LedgerStore.open(":memory:")
    with pytest.raises(ConfigError) as error:
        import_register(store, write(tmp_path, "register.toml", text))
    assert complaint in str(error.value)
    store.close()


@pytest.mark.parametrize("text", ["", "07" * 31, "zz" * 32, "07" * 33])
def test_wrong_signing_key_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        load_signing_key(write(tmp_path, "signing.key", text))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (KEY, "07", "device[0].key"),
        ("merchant_no = 12\nsite", 'merchant_no = 12\nprevious_key = "07"\nsite', "previous_key"),
        ("card_no = 7", "card_no = -7", "card[0].card_no"),
        ("balance_fen = 5000", "balance_fen = 50.5", "card[0].balance_fen"),
        ("balance_fen", "balance_yuan", "card[0].balance_fen: missing"),
        ("[[merchant]]", "[merchant]", "merchant: not a list of tables"),
        ('site = "canteen-1"', 'site = "Canteen"', "device 1001"),
        ("[[card]]", "[[cards]]", "cards: nothing of this name"),
    ],
)
def test_wrong_register_is_named(tmp_path, old, new, complaint):
    path = write(tmp_path, "register.toml", REGISTER.replace(old, new, 1))
    with pytest.raises(ConfigError, match=r"register\.toml") as error:
        import_register(LedgerStore.open(":memory:"), path)
    assert complaint in str(error.value)


def test_a_key_in_the_register_follows_its_previous_one(tmp_path):
    store = LedgerStore.open(":memory:")
    rotated = REGISTER.replace(f'key = "{KEY}"', f'key = "{"08" * 32}"\nprevious_key = "{KEY}"')
    for text in (REGISTER, rotated, rotated, REGISTER):  # the last one is out of date: no news
        import_register(store, write(tmp_path, "register.toml", text))
    keys = store.database.rows("SELECT key_no, device_key FROM device_key ORDER BY key_no")
    assert list(keys) == [(0, bytes.fromhex(KEY)), (1, bytes.fromhex("08" * 32))]
    backwards = REGISTER.replace(f'key = "{KEY}"', f'key = "{KEY}"\nprevious_key = "{"08" * 32}"')
    with pytest.raises(ConfigError, match="device 1001"):
        import_register(store, write(tmp_path, "register.toml", backwards))


def test_register_in_toml_and_json_twice(tmp_path):
    store = LedgerStore.open(":memory:")
    as_json = json.dumps(tomllib.loads(REGISTER))
    for name, text in (("register.toml", REGISTER), ("register.json", as_json)):
        import_register(store, write(tmp_path, name, text))
    assert store.holder_balance(7) == 5000
    assert store.takings(12) == 0
