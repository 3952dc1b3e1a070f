"""`onecard card` from the command line: what it refuses, what it prints, what it keeps."""

import json
import stat

import pytest

from simulator.cards.mifare_classic import MifareClassic, factory_blocks
from tests.drivers.desk import UID4, UID7
from tests.tools.cards import (
    KEYS,
    MASTERS,
    ORDER_WORDS,
    OTHER_KEYS,
    assert_no_key,
    onecard,
    secrets,
    spend,
    tray_blocks,
    write_keys,
)
from tools.card import at_desk, tray
from tools.card.dump import write_image
from tools.card.keyfile import load_keys


@pytest.fixture
def keys(tmp_path):
    return write_keys(tmp_path / "keys.toml")


@pytest.fixture
def image(tmp_path, keys):
    """A card of ours on the tray."""
    path = tmp_path / "card.json"
    words = ("--tray", path, "--blank", "--uid", UID7.hex(), "--keys", keys)
    result = onecard("personalise", *words, *ORDER_WORDS)
    assert result.exit_code == 0, result.stderr
    return path


def put(path, blocks, uid=UID7):
    """Lay a card with these blocks on the tray."""
    rows = [bytes(block).hex() for block in blocks]
    write_image(path, tray.CLASSIC_1K, uid, {"blocks": rows})
    return path


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_keys_that_others_may_touch_are_refused(tmp_path, mode):
    path = write_keys(tmp_path / "keys.toml", mode=mode)
    result = onecard("verify", "--tray", tmp_path / "none.json", "--keys", path)
    assert result.exit_code == 2
    assert f"mode {mode:04o}" in result.stderr
    assert_no_key(result.output, UID7)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("purse_key = ", "not TOML"),
        ('purse_key = "{0}"\n', "credit_key: a key is 32"),
        ('purse_key = "{0}"\ncredit_key = "{0}"\nmac_key = "{1}"\n', "must be different keys"),
        ('purse_key = "{0}"\ncredit_key = "{1}"\nmac_key = "{2}"\n', "key_version"),
        ('purse_key = "{0}0"\ncredit_key = "{1}"\nmac_key = "{2}"\n', "purse_key: a key is 32"),
        ('purse_key = 5\ncredit_key = "{1}"\nmac_key = "{2}"\n', "purse_key: a key is 32"),
        ('purse_key = "{0}"\npin = "1"\n', "unknown entry pin"),
        ('purse_key = "{0}"\ncredit_key = "{1}"\nmac_key = {{ env = "NO_SUCH" }}\n', "NO_SUCH"),
    ],
)
def test_what_is_wrong_with_a_key_file_is_said_without_the_key(tmp_path, text, named):
    path = tmp_path / "keys.toml"
    path.write_text(text.format(*(key.hex() for key in MASTERS)))
    path.chmod(0o600)
    result = onecard("info", "--tray", tmp_path / "none.json", "--keys", path)
    assert result.exit_code == 2
    assert named in result.stderr
    assert_no_key(result.output, UID7)


def test_keys_from_the_environment_are_the_same(tmp_path, keys):
    path = tmp_path / "env.toml"
    lines = [f'{name} = {{ env = "{name.upper()}" }}' for name in ("purse_key", "credit_key")]
    path.write_text("\n".join([*lines, f'mac_key = "{KEYS.mac_key.hex()}"', "key_version = 3"]))
    path.chmod(0o600)
    environment = {"PURSE_KEY": KEYS.purse_key.hex(), "CREDIT_KEY": KEYS.credit_key.hex()}
    assert load_keys(path, environment) == load_keys(keys) == KEYS
    assert KEYS.purse_key.hex() not in repr(KEYS)
    assert str(KEYS.purse_key) not in repr(KEYS)


# ---------------------------------------------------------------- the tray


def test_personalise_info_and_verify(image, keys):
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    result = onecard("info", "--tray", image, "--keys", keys)
    assert result.exit_code == 0
    for row in ("uid         04a1b2c3d4e5f6", "balance     20.00 yuan", "holder      student"):
        assert row in result.stdout
    assert "valid       2026-09-04 to 2030-07-05" in result.stdout
    result = onecard("verify", "--tray", image, "--keys", keys)
    assert (result.exit_code, result.stdout) == (0, "04a1b2c3d4e5f6: as the layout demands\n")


def test_info_of_a_spent_card_as_json(image, keys):
    card = MifareClassic(UID7, tray_blocks(image))
    spend(card, 350)
    put(image, card.blocks)
    said = json.loads(onecard("info", "--tray", image, "--keys", keys, "--json").stdout)
    assert (said["belongs"], said["purse"]["balance_fen"], said["purse"]["counter"]) == (
        "ours",
        1_650,
        1,
    )
    assert said["last_records"] == [
        {
            "device": 1001,
            "seq": 7,
            "amount_fen": 350,
            "time": "2026-09-21T14:13:20+00:00",
        }
    ]
    assert said["identity"]["key_version"] == 3


@pytest.mark.parametrize(
    ("change", "with_keys", "belongs"),
    [
        (lambda _blocks: None, True, "blank"),
        (lambda _blocks: None, False, "blank"),
        (lambda blocks: blocks.__setitem__(21, b"somebody's text!"), False, "open to everybody"),
        (
            lambda blocks: blocks.__setitem__(23, bytes(range(6)) + blocks[23][6:]),
            True,
            "foreign",
        ),
        (
            lambda blocks: blocks.__setitem__(23, bytes(range(6)) + blocks[23][6:]),
            False,
            "not ours to tell without keys",
        ),
    ],
)
def test_info_of_cards_that_are_not_ours(tmp_path, keys, change, with_keys, belongs):
    blocks = factory_blocks(UID4)
    change(blocks)
    path = put(tmp_path / "card.json", blocks, UID4)
    words = ("--keys", keys) if with_keys else ()
    result = onecard("info", "--tray", path, "--json", *words)
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert (said["belongs"], said["uid"], said["purse"]) == (belongs, UID4.hex(), None)


def test_info_of_a_half_made_and_of_a_damaged_card(image, keys):
    blocks = tray_blocks(image)
    put(image, [*blocks[:19], factory_blocks(UID7)[19], *blocks[20:]])
    said = json.loads(onecard("info", "--tray", image, "--keys", keys, "--json").stdout)
    assert said["belongs"] == "half personalised"
    put(image, [*blocks[:4], bytes(16), *blocks[5:]])
    said = json.loads(onecard("info", "--tray", image, "--keys", keys, "--json").stdout)
    assert (said["belongs"], said["trouble"]) == ("ours, damaged", "identity MAC")


def test_verify_says_a_line_for_each_deviation(image, keys):
    blocks = tray_blocks(image)
    blocks[4] = blocks[4][:15] + bytes((blocks[4][15] ^ 1,))
    blocks[30] = b"something here.."
    put(image, blocks)
    result = onecard("verify", "--tray", image, "--keys", keys)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "block 30: holds something, and nothing belongs there",
        "block 4: the MAC of the identity is wrong",
    ]
    result = onecard("verify", "--tray", image, "--keys", keys, "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["passed"], len(said["deviations"])) == (1, False, 2)


def test_the_tray_keeps_what_a_failed_run_has_written(image, keys, tmp_path):
    """The card is spoilt before the last trailer: 15 of 16 are on the file all the same."""
    blocks = factory_blocks(UID7)
    blocks[19] = bytes(6) + blocks[19][6:]
    path = put(tmp_path / "strange.json", blocks)
    result = onecard("personalise", "--tray", path, "--keys", keys, *ORDER_WORDS)
    assert result.exit_code == 1
    assert "sector 4: opens neither" in result.stderr
    assert tray_blocks(path) == blocks


def test_a_card_in_use_takes_again(image, keys):
    card = MifareClassic(UID7, tray_blocks(image))
    spend(card)
    put(image, card.blocks)
    words = ("personalise", "--tray", image, "--keys", keys, *ORDER_WORDS)
    result = onecard(*words)
    assert result.exit_code == 1
    assert "ours already" in result.stderr
    assert tray_blocks(image) == card.blocks
    assert onecard(*words, "--again").exit_code == 0
    assert onecard("verify", "--tray", image, "--keys", keys).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tray", "{image}", "--blank", "--uid", "04a1b2c3"), "exists"),
        (("--tray", "{new}", "--blank", "--uid", "04a1"), "8 or 14 hexadecimal"),
        (("--tray", "{new}", "--blank"), "8 or 14 hexadecimal"),
        (("--blank", "--uid", "04a1b2c3", "--desk", "pi"), "--tray"),
        (("--tray", "{new}"), "No such file"),
        (("--tray", "{keys}"), "not JSON"),
        ((), "where the card lies"),
        (("--tray", "{image}", "--desk", "pi"), "where the card lies"),
        (("--tray", "{image}", "--valid-to", "tomorrow"), "--valid-to: a date"),
        (("--tray", "{image}", "--kind", "cat"), "staff, student, temporary"),
        (("--tray", "{image}", "--record", "{image}"), "is the card on the tray"),
    ],
)
def test_wrong_words_change_nothing(image, keys, tmp_path, words, said):
    names = {"image": image, "new": tmp_path / "new.json", "keys": keys}
    before = image.read_bytes()
    filled = [word.format(**names) for word in words]
    result = onecard("personalise", *ORDER_WORDS, "--keys", keys, *filled)
    assert result.exit_code == 2
    assert said in result.stderr
    assert image.read_bytes() == before
    assert not names["new"].exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data.update(format="something"), "not a card image"),
        (lambda data: data.update(version=2), "another version"),
        (lambda data: data.update(kind="FeliCa"), "no model for"),
        (lambda data: data.update(uid="xyz"), "uid: must be 8 or 14"),
        (lambda data: data["blocks"].pop(), "64 blocks"),
        (lambda data: data["blocks"].__setitem__(9, "00"), "block 9: must be 32"),
        (lambda data: data.pop("blocks"), "64 blocks"),
    ],
)
def test_a_damaged_image_is_told(image, spoil, said):
    data = json.loads(image.read_text())
    spoil(data)
    image.write_text(json.dumps(data))
    result = onecard("info", "--tray", image)
    assert (result.exit_code, said in result.stderr) == (2, True)
    assert json.loads(image.read_text()) == data


# ---------------------------------------------------------------- dumps


def test_a_dump_has_no_keys_and_never_lies_on_the_tray(image, keys, tmp_path):
    dump = tmp_path / "dump.json"
    assert onecard("info", "--tray", image, "--keys", keys, "--dump", dump).exit_code == 0
    data = json.loads(dump.read_text())
    assert data["blocks"][4] == tray_blocks(image)[4].hex()
    assert data["blocks"][3] == "**" * 6 + "78778800" + "**" * 6
    assert_no_key(dump.read_text(), UID7)
    result = onecard("info", "--tray", dump)
    assert (result.exit_code, "a dump has no keys" in result.stderr) == (2, True)


def test_a_dump_of_a_strangers_card_stars_the_keys_it_could_read(tmp_path):
    """In transport configuration key B can be read; somebody may have put a real one there."""
    blocks = factory_blocks(UID4)
    blocks[7] = blocks[7][:10] + bytes.fromhex("c0ffee00beef")
    path, dump = put(tmp_path / "card.json", blocks, UID4), tmp_path / "dump.json"
    result = onecard("info", "--tray", path, "--dump", dump, "--json")
    assert result.exit_code == 0
    assert "c0ffee" not in (dump.read_text() + result.output).lower()
    assert json.loads(dump.read_text())["blocks"][7] == "**" * 6 + "ff078069" + "**" * 6


def test_a_dump_does_not_fall_onto_the_card(image, keys):
    before = image.read_bytes()
    result = onecard("info", "--tray", image, "--keys", keys, "--dump", image)
    assert (result.exit_code, image.read_bytes() == before) == (2, True)


# ---------------------------------------------------------------- keys, once more


def test_no_command_ever_prints_a_key(image, keys, tmp_path):
    """Every command, in text and JSON, on our card, on one of another generation, on a new one."""
    other = tmp_path / "other.json"
    other_keys = write_keys(tmp_path / "other.toml", OTHER_KEYS)
    words = ("--tray", other, "--blank", "--uid", UID7.hex(), "--keys", other_keys)
    record, again = tmp_path / "record.json", tmp_path / "again.json"
    made = onecard("personalise", *words, "--record", record, *ORDER_WORDS)
    assert made.exit_code == 0
    printed = [made.output, record.read_text()]
    for on in (image, other):
        for command in (("info",), ("verify",), ("trace", "--record", again)):
            for style in ((), ("--json",)):
                result = onecard(*command, "--tray", on, "--keys", keys, *style)
                assert result.exit_code in (0, 1)
                assert result.exception is None or isinstance(result.exception, SystemExit)
                printed.append(result.output)
    printed += [again.read_text(), onecard("trace", "--file", record).output]
    for generation in (KEYS, OTHER_KEYS):
        assert len(set(secrets(UID7, generation))) == 35
        for text in printed:
            assert_no_key(text, UID7, generation)
    assert "key **" in printed[-1]


def test_the_test_of_keys_would_see_one(image):
    with pytest.raises(AssertionError):
        assert_no_key(image.read_text(), UID7)


def test_desks_are_the_ones_the_command_line_offers():
    from tools.cli_card import DeskName

    assert {name.value for name in DeskName} == {at_desk.PI, at_desk.PCSC}
