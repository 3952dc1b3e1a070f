"""DESFire on the desk: torn at every frame of a personalisation, in use, foreign, deviating."""

import dataclasses
import json
import random

import pytest

from adapters.aes import CIPHERS
from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from protocols.card import personalise_desfire
from protocols.card import purse_desfire as layout
from protocols.card.identity import ForeignCard
from simulator.cards.desfire import Desfire
from tests.drivers.desk import UID7
from tests.tools.cards import (
    DESFIRE_KEYS,
    KEYS,
    ORDER,
    ORDER_WORDS,
    desk_with,
    onecard,
    pull_after,
    reader_view,
    spend,
)
from tools.card import desfire, desfire_check, jobs
from tools.card.errors import BadInput, CardUnfit, NoCard
from tools.card.keyfile import DESFIRE_NAMES, KEY_NAMES
from tools.card.order import ALREADY, WRITTEN, Order

OTHER_KEYS = dataclasses.replace(
    DESFIRE_KEYS, purse_key=b"p" * 16, master_key=b"n" * 16, key_version=4
)
NAMED = dict.fromkeys(("desk", "kind", "uid", "sak"), "")
NOT_OURS_TO_A_READER = (AuthFailed, ForeignCard, CardRefused)
FILES = {
    layout.DOOR_IDENTITY_FILE,
    layout.IDENTITY_FILE,
    layout.MAIL_FILE,
    layout.VALUE_FILE,
    layout.STATE_FILE,
    layout.CREDITS_FILE,
    layout.PIN_FILE,
    layout.NAME_FILE,
    layout.TRANSACTION_MAC_FILE,
}


def blank(seed=0, **options):
    return Desfire(UID7, random.Random(seed), **options)


def write(card, order=ORDER, keys=DESFIRE_KEYS, again=False):
    return desfire.write_card(desk_with(card).card(), order, keys, again)


def written(**options):
    card = blank()
    write(card, **options)
    return card


def deviations(card, keys=DESFIRE_KEYS):
    report = desfire_check.check(desk_with(card).card(), keys)
    return [str(deviation) for deviation in report.deviations]


def application(card):
    """The model's application, to spoil it."""
    return card._talk.memory.applications[layout.APPLICATION]


def is_accepted(card):
    try:
        reader_view(card, DESFIRE_KEYS)
    except NOT_OURS_TO_A_READER:
        return False
    return True


def check_finished(card):
    assert deviations(card) == []
    view = reader_view(card, DESFIRE_KEYS)
    assert (view.balance_fen, view.card_no, view.counter) == (2_000, 4711, 0)


def own_keys(keys=DESFIRE_KEYS):
    masters = personalise_desfire.masters_of(CIPHERS, keys.desfire_masters())
    return personalise_desfire.CardKeys(UID7, masters, keys.key_version)


def tear(frame, delay_us, torn, seed=0):
    """A card pulled in its first run after `frame`; (card, whether the run had ended before)."""
    card = blank(seed)
    card.torn = torn
    desk = desk_with(card)
    pull_after(desk.board, card, frame, delay_us)
    try:
        desfire.write_card(desk.card(), ORDER, DESFIRE_KEYS, False)
    except (CardGone, NoCard):
        return card, False
    return card, True


@pytest.fixture(scope="module")
def frames():
    """How many frames a whole run takes."""
    desk = desk_with(blank())
    desfire.write_card(desk.card(), ORDER, DESFIRE_KEYS, False)
    return desk.board.field.frames


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize(
    ("delay_us", "torn"), [(20, "old"), (1_500, "old"), (1_500, "new"), (1_500, "mixed")]
)
def test_torn_after_every_frame_a_second_run_finishes(frames, delay_us, torn, part):
    states = set()
    for frame in range(part, frames, 3):
        card, had_ended = tear(frame, delay_us, torn, frame)
        assert not had_ended or frame >= frames - 1, frame
        image = json.dumps(card.snapshot())
        if image in states:
            continue  # the same card: the second run would be the same run
        states.add(image)
        assert write(card) in (WRITTEN, ALREADY), frame
        check_finished(card)
    assert len(states) > 4


def test_a_card_is_the_readers_only_with_every_file(frames):
    """What a reader takes before the last frame has all its files and keys, if not the card's."""
    for frame in range(0, frames, 2):
        card, _ = tear(frame, 1_500, "new")
        if is_accepted(card):
            assert set(application(card).files) == FILES
            assert all("card: " in line or "application: " in line for line in deviations(card))


def test_a_card_in_use_is_refused_left_alone_and_written_with_again():
    card = written()
    spend(card)
    before = json.dumps(card.snapshot())
    with pytest.raises(CardUnfit, match="ours already"):
        write(card)
    assert json.dumps(card.snapshot()) == before
    assert deviations(card) == []
    assert write(card, Order(4712, 1, 20_700, 22_100, 500), again=True) == WRITTEN
    view = reader_view(card, DESFIRE_KEYS)
    assert (view.card_no, view.counter, view.balance_fen) == (4712, 0, 500)
    assert deviations(card) == []


def test_again_may_be_torn_as_well(frames):
    for frame in range(8, frames, 7):
        card = written()
        spend(card)
        desk = desk_with(card)
        pull_after(desk.board, card, frame, 1_500)
        with pytest.raises(CardGone):
            desfire.write_card(desk.card(), ORDER, DESFIRE_KEYS, True)
        write(card, again=True)
        check_finished(card)


def test_the_same_order_twice_is_already_so():
    card = written()
    assert write(card) == ALREADY
    check_finished(card)


def test_another_key_generation_is_told_and_nothing_written():
    card = written(keys=OTHER_KEYS)
    before = json.dumps(card.snapshot())
    for again in (False, True):
        with pytest.raises(CardUnfit, match="somebody else's"):
            write(card, again=again)
    assert json.dumps(card.snapshot()) == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"card_no": 1 << 32}, "card_no"),
        ({"kind": 256}, "kind"),
        ({"valid_to": ORDER.valid_from - 1}, "valid_to"),
        ({"valid_from": -1}, "valid_from"),
        ({"balance_fen": 1 << 31}, "balance_fen"),
    ],
)
def test_an_impossible_order_does_not_touch_the_card(change, named):
    card = blank()
    with pytest.raises(BadInput, match=named):
        write(card, Order(**{**ORDER.__dict__, **change}))
    assert card.commands == {}


def test_keys_that_are_missing_are_named():
    with pytest.raises(BadInput, match="master_key, read_key and transaction_key"):
        write(blank(), keys=KEYS)


def test_a_random_uid_is_told():
    with pytest.raises(CardUnfit, match="random uid"):
        write(blank(has_random_uid=True))


# ---------------------------------------------------------------- verify


def test_a_blank_card_deviates_in_every_key():
    assert deviations(blank()) == [
        "card: its master key is the factory's",
        *(f"application: its {name} key is not ours" for name in desfire_check._KEY_NAMES),
    ]


@pytest.mark.parametrize("key_no", range(5))
def test_every_key_is_checked(key_no):
    card = written()
    application(card).keys[key_no] = b"x" * 16
    name = desfire_check._KEY_NAMES[key_no]
    assert f"application: its {name} key is not ours" in deviations(card)
    application(card).keys[key_no] = bytes(16)
    assert f"application: its {name} key is the factory's" in deviations(card)


@pytest.mark.parametrize("number", sorted(FILES))
def test_every_file_is_checked(number):
    card = written()
    file = application(card).files[number]
    rights = file.rights
    file.rights ^= 0x0010
    assert any(line.startswith(f"file {number}: settings") for line in deviations(card))
    file.rights = rights
    assert deviations(card) == []
    file.mode = 0
    assert any(line.startswith(f"file {number}: settings") for line in deviations(card))


def test_the_last_ten_spends_are_told_newest_first():
    card = written()
    assert desfire.read_card(desk_with(card).card(), DESFIRE_KEYS)[0]["last_records"] == []
    for amount_fen in range(1, 13):
        spend(card, amount_fen)
    said, _ = desfire.read_card(desk_with(card).card(), DESFIRE_KEYS)
    told = [(record["amount_fen"], record["device"]) for record in said["last_records"]]
    assert told == [(amount_fen, 1001) for amount_fen in range(12, 2, -1)]
    assert [line[:4] for line in jobs._info_lines({**said, **NAMED})].count("last") == 10


def test_missing_and_additional_files_are_named():
    card = written()
    files = application(card).files
    files[9] = files[layout.DOOR_IDENTITY_FILE]
    del files[layout.CREDITS_FILE]
    assert deviations(card) == ["file 5: is missing", "file 9: does not belong there"]


def test_settings_and_generations_are_checked():
    card = written()
    application(card).settings = 0x0F
    application(card).versions[2] = 9
    assert deviations(card) == [
        "application: key settings 0f85 instead of 0b85",
        "application: its spend key is of generation 09, not 03",
    ]


def test_limits_of_the_value_are_checked():
    card = written()
    file = application(card).files[layout.VALUE_FILE]
    file.lower = -500
    assert [line[:16] for line in deviations(card)] == ["file 3: settings"]
    file.lower, file.options = 0, 1  # limited credit, which needs no credit key
    assert [line[:16] for line in deviations(card)] == ["file 3: settings"]


def test_doors_and_readers_must_be_told_the_same():
    card = written()
    application(card).files[layout.DOOR_IDENTITY_FILE].data = bytes(10)
    assert deviations(card) == ["file 1: tells doors another identity than readers are told"]
    application(card).files[layout.STATE_FILE].records[-1] = b"\xff" * layout.STATE_BYTES
    assert "purse: period_use 255, which no reader writes" in deviations(card)


# ---------------------------------------------------------------- the command line


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.toml"
    lines = [f'{n} = "{getattr(DESFIRE_KEYS, n).hex()}"' for n in (*KEY_NAMES, *DESFIRE_NAMES)]
    path.write_text("\n".join([*lines, "key_version = 3\n"]))
    path.chmod(0o600)
    return path


def test_the_commands_on_a_tray_print_no_key(tmp_path, keys):
    image, record, dump = tmp_path / "card.json", tmp_path / "r.json", tmp_path / "dump.json"
    at = ("--tray", image, "--keys", keys)
    blank_card = ("--blank", "--desfire", "--uid", UID7.hex(), "--record", record)
    printed = [onecard("personalise", *at, *blank_card, *ORDER_WORDS)]
    printed += [onecard("verify", *at), onecard("info", *at, "--dump", dump)]
    printed += [onecard("trace", *at), onecard("trace", "--file", record)]
    printed += [onecard(name, *at, "--json") for name in ("info", "verify", "trace")]
    for result in printed:
        assert (result.exit_code, result.stderr) == (0, "")
    assert "balance     20.00 yuan" in printed[2].stdout
    assert "ChangeKey key **" in printed[4].stdout
    assert "CreateTransactionMACFile key **" in printed[4].stdout
    own = own_keys()
    masters = DESFIRE_KEYS.desfire_masters().values()
    everything = "".join(result.output for result in printed)
    everything = "".join((everything + record.read_text() + dump.read_text()).split()).lower()
    for key in (*own.application, own.transaction, own.picc, *masters):
        assert key.hex() not in everything
        assert key.hex() in image.read_text() or key in masters
    # The new keys went over the air under a key that everybody knows: no ciphertext either.
    assert "c404**" in everything
    assert onecard("info", "--tray", dump).exit_code == 2


def test_info_of_other_desfire_cards():
    half, had_ended = tear(28, 1_500, "old")
    assert not had_ended
    said = {
        "foreign": written(keys=OTHER_KEYS),
        "half personalised": half,
    }
    for belongs, card in said.items():
        assert jobs.info(desk_with(card), DESFIRE_KEYS, None).data["belongs"] == belongs
    without = jobs.info(desk_with(blank()), None, None).data
    assert (without["belongs"], without["sak"]) == ("not ours to tell without keys", "20")
    classic_only = jobs.info(desk_with(written()), KEYS, None).data
    assert "master_key" in classic_only["trouble"]


def test_a_tap_of_a_foreign_card_still_shows_its_frames():
    answer = jobs.tap(desk_with(written(keys=OTHER_KEYS)), DESFIRE_KEYS)
    said = [line["meaning"] for line in answer.data["lines"]]
    assert answer.exit_code == 1
    assert said[-1] == "I-block 0: authentication error, 0 bytes"


def test_a_damaged_image_is_told(tmp_path, keys):
    image = tmp_path / "card.json"
    blank_card = ("--blank", "--desfire", "--uid", UID7.hex(), *ORDER_WORDS)
    assert onecard("personalise", "--tray", image, "--keys", keys, *blank_card).exit_code == 0
    data = json.loads(image.read_text())
    for memory in ({}, [], None, {"applications": 7}):
        image.write_text(json.dumps({**data, "memory": memory}))
        result = onecard("info", "--tray", image)
        assert (result.exit_code, "memory is damaged" in result.stderr) == (2, True)
