"""Card, applications, keys and files of the DESFire model: each command, and each refusal."""

import pytest

from simulator.cards.desfire import COMMANDS
from tests.simulator.cards.desfire_peer import (
    AID,
    FULL,
    KEYS,
    PLAIN,
    UID,
    ZERO_KEY,
    Denied,
    blank,
    le,
    pad,
    rights,
    span,
    with_application,
    with_files,
)

NC, OE, IC, IE, NK = 0x0C, 0x0E, 0x1C, 0x1E, 0x40
LE, PD, PE, AN, AE = 0x7E, 0x9D, 0x9E, 0xA0, 0xAE
BE, CA, DE, FN = 0xBE, 0xCA, 0xDE, 0xF0
OTHER = bytes.fromhex("02caf0")
NONE = b"\x00\x00\x00"


def master(seed=1):
    peer = blank(seed)
    peer.login(0, ZERO_KEY)
    return peer


# ---------------------------------------------------------------- the card


def test_version():
    peer = blank()
    assert peer.raw(b"\x60") == (0xAF, bytes.fromhex("04010112001a05"))
    assert peer.raw(b"\xaf") == (0xAF, bytes.fromhex("04010102011a05"))
    status, last = peer.raw(b"\xaf")
    assert (status, last[:7], len(last)) == (0, UID, 14)
    peer.login(0, ZERO_KEY)
    assert peer.ask(0x60)[14:21] == UID  # with one MAC over all three


def test_version_does_not_tell_a_random_uid():
    peer = blank(has_random_uid=True)
    assert peer.exchange(b"\x60")[14:21] == bytes(7)
    peer.login(0, ZERO_KEY)
    assert peer.ask(0x51, mode=FULL) == UID
    assert peer.ask(0x60)[14:21] == UID


def test_uid_only_for_who_proved_a_key():
    blank().denied(AE, 0x51)
    assert with_files().open(1).ask(0x51, mode=FULL) == UID


def test_free_memory():
    peer = blank()
    before = int.from_bytes(peer.ask(0x6E), "little")
    peer.ask(0xCA, AID + b"\x0f\x83")
    peer.select()
    peer.login(0, ZERO_KEY)
    after_application = int.from_bytes(peer.ask(0x6E), "little")
    peer.ask(0xCD, b"\x01\x00" + rights(1, 2, 1, 0) + le(100, 3))
    after_file = int.from_bytes(peer.ask(0x6E), "little")
    assert before == 8192
    assert before > after_application > after_file + 100


def test_random_uid_and_format_settings():
    peer = master()
    peer.ask(0x5C, b"\x00", b"\x02", FULL)
    assert peer.card.shown_uid == UID  # until the power goes
    peer.card.power_down(0)
    peer.wake()
    assert (peer.card.shown_uid[0], len(peer.card.shown_uid)) == (0x08, 4)
    peer.login(0, ZERO_KEY)
    peer.ask(0x5C, b"\x00", b"\x01", FULL)
    peer.denied(PD, 0xFC)
    peer.wake()
    assert len(peer.card.shown_uid) == 4  # no way back


@pytest.mark.parametrize(
    ("option", "data", "status"),
    [
        (0x00, b"", LE),
        (0x00, b"\x00\x00", LE),
        (0x00, b"\x04", PE),
        (0x02, b"\x05\x77", PE),
        (0x02, b"", PE),
        (0x09, b"\x00", PE),
    ],
)
def test_configuration_it_does_not_have(option, data, status):
    master().denied(status, 0x5C, bytes((option,)), data, FULL)


def test_configuration_by_others():
    blank().denied(AE, 0x5C, b"\x00", b"\x02")
    with_application().denied(PD, 0x5C, b"\x00", b"\x02", FULL)


def test_format():
    peer = with_files()
    peer.denied(PD, 0xFC)  # in an application
    peer.exchange(b"\x5a" + NONE)
    peer.denied(AE, 0xFC)
    peer.login(0, ZERO_KEY)
    peer.ask(0xFC)
    assert peer.ask(0x6A) == b""
    assert int.from_bytes(peer.ask(0x6E), "little") == 8192


# ---------------------------------------------------------------- applications


def test_select():
    peer = with_application()
    peer.select()
    peer.select(NONE)
    with pytest.raises(Denied, match="a0"):
        peer.select(OTHER)
    assert peer.raw(b"\x5a" + AID[:2]) == (LE, b"")
    assert peer.raw(b"\x5a" + AID + AID) == (LE, b"")


def test_selecting_ends_the_session():
    peer = with_files().open(1)
    peer.exchange(b"\x5a" + AID)
    assert not peer.card.is_authenticated


def test_list_of_applications_in_frames():
    peer = blank()
    aids = [bytes((number, 0xCA, 0xF0)) for number in range(25)]
    for aid in aids:
        peer.ask(0xCA, aid + b"\x0f\x81")
    status, first = peer.raw(b"\x6a")
    assert (status, len(first)) == (0xAF, 57)
    status, rest = peer.raw(b"\xaf")
    assert status == 0
    assert first + rest == b"".join(aids)
    peer.raw(b"\x6a")
    assert peer.raw(b"\xaf\x00") == (LE, b"")
    peer.select(aids[3])
    peer.denied(PD, 0x6A)


@pytest.mark.parametrize(
    ("aid", "settings", "status"),
    [
        (AID, b"\x0f\x83", DE),
        (NONE, b"\x0f\x83", PE),
        (OTHER, b"\x0f\x80", PE),
        (OTHER, b"\x0f\x8f", PE),
        (OTHER, b"\x0f\x03", PE),  # DES keys
        (OTHER, b"\x0f\x43", PE),
        (OTHER, b"\x0f\xa3", PE),  # file identifiers of ISO/IEC 7816-4
        (OTHER, b"\x0f", LE),
        (OTHER, b"\x0f\x83\x01\x02", LE),
    ],
)
def test_applications_that_cannot_be(aid, settings, status):
    peer = with_application()
    peer.select(NONE)
    peer.denied(status, 0xCA, aid + settings)


def test_as_many_keys_as_there_may_be():
    peer = blank()
    peer.ask(0xCA, AID + b"\x0f\x8e")
    peer.select()
    assert peer.ask(0x64, b"\x0d") == b"\x00"
    peer.denied(NK, 0x64, b"\x0e")


def test_memory_that_is_full():
    peer = blank(eeprom_bytes=1024)
    peer.ask(0xCA, AID + b"\x0f\x81")
    peer.select()
    peer.denied(OE, 0xCD, b"\x01\x00" + rights(0, 0, 0, 0) + le(1024, 3))
    peer.denied(OE, 0xCD, b"\x01\x00" + rights(0, 0, 0, 0) + le(0xFFFFFF, 3))
    peer.ask(0xCD, b"\x01\x00" + rights(0, 0, 0, 0) + le(832, 3))
    peer.select(NONE)
    peer.denied(OE, 0xCA, OTHER + b"\x0f\x81")


def test_creation_that_takes_the_master_key():
    peer = master()
    peer.ask(0x54, b"", b"\x09", FULL)
    peer.ask(0xCA, AID + b"\x0f\x81")
    assert peer.ask(0x6A) == AID
    peer.wake()
    peer.denied(AE, 0xCA, OTHER + b"\x0f\x81")
    peer.denied(AE, 0x6A)
    peer.denied(AE, 0x45)
    assert peer.ask(0x64, b"\x00") == b"\x00"
    peer.select()
    peer.denied(PD, 0xCA, OTHER + b"\x0f\x81")


def test_delete_application():
    peer = with_files()
    peer.select(NONE)
    peer.denied(AE, 0xDA, AID)
    peer.login(0, ZERO_KEY)
    peer.denied(AN, 0xDA, OTHER)
    peer.login(0, ZERO_KEY)
    peer.ask(0xDA, AID)
    assert peer.ask(0x6A) == b""


def test_delete_from_within():
    peer = with_files()
    peer.open(1)
    peer.denied(AE, 0xDA, AID)
    peer.open(0)
    peer.denied(PD, 0xDA, OTHER)
    peer.open(0)
    assert peer.exchange(peer.build(0xDA, AID)) == b""
    assert not peer.card.is_authenticated
    peer.session = None
    assert peer.ask(0x6A) == b""


def test_delete_from_within_where_creation_is_not_free():
    peer = with_files()
    peer.select(NONE)
    peer.login(0, ZERO_KEY)
    peer.ask(0x54, b"", b"\x0b", FULL)
    peer.open(0)
    peer.denied(PD, 0xDA, AID)


# ---------------------------------------------------------------- keys


def test_key_settings():
    peer = with_application(settings=0x0B, keys=5)
    assert peer.ask(0x45) == b"\x0b\x85"
    peer.ask(0x54, b"", b"\x01", FULL)
    peer.open(1)
    peer.denied(AE, 0x45)
    peer.open(0)
    assert peer.ask(0x45) == b"\x01\x85"
    peer.denied(PD, 0x54, b"", b"\x0f", FULL)  # frozen
    peer.open(1)
    peer.denied(AE, 0x54, b"", b"\x0f", FULL)
    peer.denied(AE, 0x54, b"", b"\x0f")
    peer = with_application()
    peer.denied(LE, 0x54, b"", b"\x0f\x0f", FULL)


def test_key_versions():
    peer = with_application()
    assert [peer.ask(0x64, bytes((n,))) for n in range(5)] == [b"\7", b"\1", b"\2", b"\3", b"\4"]
    peer.denied(NK, 0x64, b"\x05")
    peer.denied(LE, 0x64, b"")


def test_change_key_of_ones_own_ends_the_session():
    peer = with_application()
    peer.exchange(peer.build(0xC4, b"\x00", bytes(range(16)) + b"\x55", FULL))
    assert not peer.card.is_authenticated
    with pytest.raises(Denied, match="ae"):
        peer.login(0)
    peer.login(0, bytes(range(16)))
    assert peer.ask(0x64, b"\x00") == b"\x55"


def test_change_another_key():
    peer = with_application()
    peer.change_key(4, KEYS[4], bytes(range(16)), version=9)
    assert peer.ask(0x64, b"\x04") == b"\x09"
    peer.login(4, bytes(range(16)))


def test_change_key_at_the_cards_level_may_name_the_kind():
    peer = master()
    peer.exchange(peer.build(0xC4, b"\x80", KEYS[0] + b"\x01", FULL))
    peer.login(0)


def test_change_key_with_a_wrong_check_or_old_key():
    peer = with_application()
    data = bytes(16) + b"\x01" + bytes(4)
    peer.denied(IE, 0xC4, b"\x01", data, FULL)
    peer.open(0)
    with pytest.raises(Denied, match="1e"):
        peer.change_key(1, KEYS[2], ZERO_KEY)
    peer.login(1, KEYS[1])


@pytest.mark.parametrize("length", [0, 16, 17, 20, 22])
def test_change_key_of_wrong_length(length):
    with_application().denied(LE, 0xC4, b"\x01", bytes(length), FULL)


def test_change_key_that_is_not_there():
    with_application().denied(NK, 0xC4, b"\x05", bytes(21), FULL)


# settings -> key numbers that may change key 2, whether the master key may be changed
CHANGERS = [
    (0x0F, {0}, True),
    (0x0E, {0}, False),
    (0x3F, {3}, True),
    (0x2F, {0}, True),  # the changing key itself takes the master key
    (0xEF, {2}, True),
    (0xFF, set(), True),
]


@pytest.mark.parametrize(("settings", "may", "master_may"), CHANGERS)
def test_who_changes_keys(settings, may, master_may):
    for key_no in range(5):
        peer = with_application(settings=0x0F)
        peer.ask(0x54, b"", bytes((settings,)), FULL)
        peer.open(key_no)
        if key_no in may and key_no != 2:
            peer.change_key(2, KEYS[2], ZERO_KEY)
            continue
        if key_no in may:
            peer.exchange(peer.build(0xC4, b"\x02", ZERO_KEY + b"\x00", FULL))
            continue
        status = PD if settings >> 4 == 0xF else AE
        data = bytes(17 if key_no == 2 else 21)
        peer.denied(status, 0xC4, b"\x02", data, FULL)
    peer = with_application(settings=0x0F)
    peer.ask(0x54, b"", bytes((settings,)), FULL)
    command = peer.build(0xC4, b"\x00", ZERO_KEY + b"\x00", FULL)
    assert peer.raw(command)[0] == (0 if master_may else PD)


# ---------------------------------------------------------------- files


def test_settings_of_every_kind():
    peer = with_files()
    assert peer.ask(0x6F) == bytes((1, 2, 3, 4, 5))
    shown = [peer.ask(0xF5, bytes((n,))).hex() for n in range(1, 6)]
    assert shown == [
        "00033012400000",
        "01033012400000",
        "0203301200000000102700000000000001",
        "03033012080000030000000000",
        "04033012080000040000000000",
    ]
    peer.denied(FN, 0xF5, b"\x09")
    peer.denied(LE, 0xF5)
    peer.select(NONE)
    peer.denied(PD, 0x6F)
    peer.denied(PD, 0xF5, b"\x01")


def test_settings_that_only_the_master_sees():
    peer = with_files(settings=0x09)
    assert peer.ask(0x6F) == bytes((1, 2, 3, 4, 5))
    peer.open(1)
    peer.denied(AE, 0x6F)
    peer.denied(AE, 0xF5, b"\x01")
    peer.denied(AE, 0xCD, b"\x09\x00" + rights(0, 0, 0, 0) + le(8, 3))


HEAD = b"\x09\x00" + rights(1, 2, 3, 0)
LIMITS = le(0, 4) + le(100, 4)


@pytest.mark.parametrize(
    ("code", "header", "status"),
    [
        (0xCD, b"\x01" + HEAD[1:] + le(8, 3), DE),
        (0xCD, b"\x20" + HEAD[1:] + le(8, 3), PE),
        (0xCD, HEAD + le(0, 3), PE),
        (0xCD, HEAD + le(8, 2), LE),
        (0xCD, HEAD + le(8, 3) + b"\x00\x00", LE),
        (0xCD, b"\x09\x04" + HEAD[2:] + le(8, 3), PE),
        (0xCD, b"\x09\x00" + rights(5, 2, 3, 0) + le(8, 3), NK),
        (0xCD, b"\x09\x00" + rights(1, 2, 3, 0xD) + le(8, 3), NK),
        (0xCB, HEAD + le(0, 3), PE),
        (0xCB, HEAD + le(5_000, 3), OE),
        (0xCC, HEAD + LIMITS + le(101, 4) + b"\x00", BE),
        (0xCC, HEAD + le(5, 4) + le(4, 4) + le(5, 4) + b"\x00", BE),
        (0xCC, HEAD + LIMITS + le(5, 4) + b"\x04", PE),
        (0xC1, HEAD + le(0, 3) + le(1, 3), PE),
        (0xC1, HEAD + le(1, 3) + le(0, 3), PE),
        (0xC0, HEAD + le(8, 3) + le(1, 3), PE),
        (0xC0, HEAD + le(8, 3) + le(5_000, 3), OE),
    ],
)
def test_files_that_cannot_be(code, header, status):
    peer = with_files()
    before = peer.card.snapshot()
    peer.denied(status, code, header)
    assert peer.card.snapshot() == before


def test_no_files_at_the_cards_level():
    master().denied(PD, 0xCD, HEAD + le(8, 3))


def test_plain_has_two_spellings():
    peer = with_files()
    peer.ask(0xCD, b"\x09\x02" + rights(1, 2, 3, 0) + le(8, 3))
    assert peer.ask(0xF5, b"\x09")[1] == 0


def test_delete_file():
    peer = with_files(settings=0x0B)
    peer.ask(0xDF, b"\x01")
    assert peer.ask(0x6F) == bytes((2, 3, 4, 5))
    peer.denied(FN, 0xDF, b"\x01")
    peer.open(1)
    peer.denied(AE, 0xDF, b"\x02")
    peer = with_files(settings=0x0F)
    peer.open(1)
    peer.ask(0xDF, b"\x02")


def test_change_file_settings():
    peer = with_files()
    peer.ask(0x5F, b"\x01", b"\x01" + rights(0xE, 0xF, 2, 4), FULL)
    assert peer.ask(0xF5, b"\x01")[:4] == bytes.fromhex("000124ef")
    peer.denied(AE, 0x5F, b"\x01", b"\x00" + rights(1, 1, 1, 1), FULL)
    peer.open(4)
    peer.ask(0x5F, b"\x01", b"\x00" + rights(1, 1, 1, 0xF), FULL)
    peer.denied(PD, 0x5F, b"\x01", b"\x00" + rights(1, 1, 1, 1), FULL)


def test_change_file_settings_for_all():
    peer = with_files(access=rights(1, 2, 3, 0xE))
    peer.select()
    peer.ask(0x5F, b"\x01", b"\x03" + rights(1, 1, 1, 0))
    peer.denied(AE, 0x5F, b"\x01", b"\x03" + rights(1, 1, 1, 0))
    peer.open(4)
    peer.ask(0x5F, b"\x02", b"\x03" + rights(1, 1, 1, 0), PLAIN)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", LE),
        (b"\x03\x12", LE),
        (b"\x03\x12\x30\x00", LE),
        (b"\x03" + rights(5, 2, 3, 0), NK),
        (b"\x23" + rights(1, 2, 3, 0), PE),
    ],
)
def test_file_settings_that_cannot_be(data, status):
    with_files().denied(status, 0x5F, b"\x01", data, FULL)


def test_change_settings_of_no_file():
    with_files().denied(FN, 0x5F, b"\x09", b"\x03" + rights(1, 1, 1, 0), FULL)


# ---------------------------------------------------------------- all of them


UNKNOWN = sorted(set(range(256)) - set(COMMANDS) - {0x90, 0xAF})


def test_unknown_commands():
    peer = with_files()
    for code in UNKNOWN:
        peer.open(1)
        peer.denied(IC, code, bytes(5))
    assert peer.raw(b"\xaf") == (IC, b"")


def test_every_command_has_a_cost_and_minds_its_length():
    peer = with_files()
    for code, command in COMMANDS.items():
        assert command.busy_us >= 300
        if command.header:
            peer.wake()
            assert peer.raw(bytes((code,)) + bytes(command.header - 1)) == (LE, b""), hex(code)


@pytest.mark.parametrize(
    "code", [0xAD, 0xBD, 0x8D, 0x3D, 0xAB, 0x8B, 0x6C, 0x0C, 0xDC, 0x1C, 0xEB]
)
def test_commands_on_files_need_a_file_of_their_kind(code):
    wrong = {0x6C: 1, 0x0C: 1, 0xDC: 1, 0x1C: 1, 0xAB: 1, 0x8B: 1, 0xEB: 1}.get(code, 3)
    header = COMMANDS[code].header
    tail = span(0, 0, 4)[1:header]
    peer = with_files().open(3)
    peer.denied(FN, code, b"\x09" + tail, bytes(4), FULL)
    peer.open(3)
    peer.denied(PD, code, bytes((wrong,)) + tail, bytes(4), FULL)
    peer.select(NONE)
    peer.denied(PD, code, b"\x01" + tail, bytes(4))


def test_nonsense_without_a_key_changes_nothing():
    peer = with_files()
    before = peer.card.snapshot()
    for code in range(256):
        peer.wake()
        peer.raw(b"\x5a" + AID)
        peer.raw(bytes((code,)) + pad(bytes((1,))) if code != 0x5A else b"\x60")
    assert peer.card.snapshot() == before
