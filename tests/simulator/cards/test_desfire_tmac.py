"""The transaction MAC of the DESFire model, made anew here from the rules of the data sheet."""

import pytest

from tests.simulator.cards.desfire_peer import (
    AID,
    FULL,
    PLAIN,
    UID,
    aes_cbc,
    cmac,
    le,
    rights,
    short,
    span,
    with_files,
)

LE, PD, PE, AE, DE, NC, BE, NK = 0x7E, 0x9D, 0x9E, 0xAE, 0xDE, 0x0C, 0xBE, 0x40
MAC_FILE = 15
TM_KEY = bytes(range(0x70, 0x80))
READER_A, READER_B = b"A" * 16, b"B" * 16
NEVER, FREE = 0xF, 0xE


def zeros(data):
    return data + bytes(-len(data) % 16)


def tm_keys(tmc):
    tail = b"\x00\x01\x00\x80" + le(tmc, 4) + UID
    return cmac(TM_KEY, b"\x5a" + tail), cmac(TM_KEY, b"\xa5" + tail)


def tmv(tmc, message):
    return short(cmac(tm_keys(tmc)[0], message))


def hidden_reader(tmc, before):
    return aes_cbc(tm_keys(tmc)[1], bytes(16), before)


def committed_reader(tmc, now, before):
    return zeros(b"\xc8" + now + hidden_reader(tmc, before))


def with_mac(reader_key=3, mode=1, read=3, **options):
    """`with_files` and a transaction MAC file; `reader_key` is what CommitReaderID needs."""
    peer = with_files(**options)
    header = bytes((MAC_FILE, mode)) + rights(read, NEVER, reader_key, 0) + b"\x02"
    peer.ask(0xCE, header, TM_KEY + b"\x05", FULL)
    return peer


def commit(peer):
    answer = peer.ask(0xC7, b"", b"\x01")
    return int.from_bytes(answer[:4], "little"), answer[4:]


# ---------------------------------------------------------------- the file


def test_settings_and_contents():
    peer = with_mac()
    assert peer.ask(0xF5, bytes((MAC_FILE,))).hex() == "0501303f" + "0205"
    peer.open(3)
    assert peer.read(MAC_FILE, mode=1) == bytes(12)
    assert peer.read(MAC_FILE, 0, 4, mode=1) == bytes(4)
    assert peer.read(MAC_FILE, 4, mode=1) == bytes(8)
    peer.denied(BE, 0xAD, span(MAC_FILE, 4, 9))
    peer.open(1)
    peer.denied(AE, 0xAD, span(MAC_FILE, 0, 0))
    assert peer.card.truth(AID, MAC_FILE) == (0, bytes(8))


def test_one_to_an_application_and_only_so():
    peer = with_mac()
    good = b"\x01" + rights(3, NEVER, 3, 0) + b"\x02"
    peer.denied(DE, 0xCE, b"\x10" + good, TM_KEY + b"\x01", FULL)
    for header, data, status in (
        (b"\x01" + good, TM_KEY + b"\x01", DE),
        (b"\x10\x01" + rights(3, 2, 3, 0) + b"\x02", TM_KEY + b"\x01", PE),
        (b"\x10\x01" + rights(3, NEVER, 3, 0) + b"\x00", TM_KEY + b"\x01", PE),
        (b"\x10\x01" + rights(3, NEVER, 7, 0) + b"\x02", TM_KEY + b"\x01", NK),
        (b"\x20" + good, TM_KEY + b"\x01", PE),
        (b"\x10" + good, TM_KEY, LE),
    ):
        peer = with_files()
        peer.denied(status, 0xCE, header, data, FULL)
    peer = with_files().open(1)
    peer.denied(AE, 0xCE, b"\x10" + good, TM_KEY + b"\x01", FULL)
    peer.denied(AE, 0xCE, b"\x10" + good, TM_KEY + b"\x01")


def test_only_the_master_deletes_it():
    peer = with_mac().open(3)
    peer.denied(AE, 0xDF, bytes((MAC_FILE,)))
    peer.open(0)
    peer.ask(0xDF, bytes((MAC_FILE,)))
    peer.open(3)
    peer.move(0xDC, 1)
    peer.ask(0xC7)


def test_nothing_writes_to_it():
    peer = with_mac().open(3)
    peer.denied(PD, 0x8D, span(MAC_FILE, 0, 4), bytes(4))
    peer.open(3)
    peer.denied(PD, 0xDC, bytes((MAC_FILE,)), le(1, 4))


# ---------------------------------------------------------------- what is signed


def test_a_debit_with_everything():
    peer = with_mac().open(3)
    message = b""
    for tmc, (reader, before) in enumerate(
        ((READER_A, bytes(16)), (READER_B, READER_A), (READER_A, READER_B)), 1
    ):
        peer.write(2, b"state of " + bytes((tmc,)) * 12)
        peer.write(5, b"record" + bytes((tmc, 0)), code=0x8B)
        peer.move(0xDC, 100 + tmc)
        hidden = peer.ask(0xC8, b"", reader)
        assert hidden == hidden_reader(tmc, before)
        message = (
            zeros(b"\x8d" + span(2, 0, 21))
            + zeros(b"state of " + bytes((tmc,)) * 12)
            + zeros(b"\x8b" + span(5, 0, 8))
            + zeros(b"record" + bytes((tmc, 0)))
            + zeros(b"\xdc\x03" + le(100 + tmc, 4))
            + committed_reader(tmc, reader, before)
        )
        assert commit(peer) == (tmc, tmv(tmc, message))
        assert peer.card.truth(AID, MAC_FILE) == (tmc, tmv(tmc, message))
    assert peer.read(MAC_FILE, mode=1) == le(3, 4) + tmv(3, message)
    assert peer.card.truth(AID, 3) == 500 - 101 - 102 - 103


# what is done, and what of it goes into the MAC
ACTS = {
    "read": (
        lambda peer: peer.read(1, 2, 5),
        zeros(b"\xad" + span(1, 2, 5)) + zeros(bytes(5)),
    ),
    "read all": (lambda peer: peer.read(1), zeros(b"\xad" + span(1, 0, 64)) + bytes(64)),
    "read in frames": (
        lambda peer: peer.read(2, 1, code=0xBD),
        zeros(b"\xbd" + span(2, 1, 63)) + zeros(bytes(63)),
    ),
    "write standard": (
        lambda peer: peer.write(1, b"abc", 3),
        zeros(b"\x8d" + span(1, 3, 3)) + zeros(b"abc"),
    ),
    "write in frames": (
        lambda peer: peer.write(2, b"abc" * 6, 3, code=0x3D),
        zeros(b"\x3d" + span(2, 3, 18)) + zeros(b"abc" * 6),
    ),
    "value": (lambda peer: peer.value(), zeros(b"\x6c\x03" + le(500, 4))),
    "credit": (lambda peer: peer.move(0x0C, 9), zeros(b"\x0c\x03" + le(9, 4))),
    "debit": (lambda peer: peer.move(0xDC, 9), zeros(b"\xdc\x03" + le(9, 4))),
    "limited credit": (lambda peer: peer.move(0x1C, 0), zeros(b"\x1c\x03" + le(0, 4))),
    "write record": (
        lambda peer: peer.write(4, b"ab", 1, code=0x8B),
        zeros(b"\x8b" + span(4, 1, 2)) + zeros(b"ab"),
    ),
    "clear": (lambda peer: peer.ask(0xEB, b"\x05"), zeros(b"\xeb\x05")),
}


@pytest.mark.parametrize("act", ACTS)
def test_each_command_is_signed_as_it_was_meant(act):
    do, message = ACTS[act]
    peer = with_mac(reader_key=NEVER).open(3)
    do(peer)
    assert commit(peer) == (1, tmv(1, message))


@pytest.mark.parametrize("mode", [0, 1, 3])
def test_protection_of_the_radio_is_not_signed(mode):
    peer = with_mac(reader_key=NEVER)
    peer.ask(0x5F, b"\x03", bytes((mode,)) + rights(1, 2, 3, 0), FULL)
    peer.open(3)
    peer.move(0xDC, 9, mode=mode)
    assert commit(peer) == (1, tmv(1, zeros(b"\xdc\x03" + le(9, 4))))


def test_reading_records_is_signed_with_the_real_count():
    peer = with_mac(reader_key=NEVER).open(3)
    for entry in (b"one.....", b"two....."):
        peer.write(5, entry, code=0x8B)
        peer.ask(0xC7)
    peer.ask(0xAB, span(5, 0, 0), mode=FULL)
    message = zeros(b"\xab" + span(5, 0, 2)) + b"one.....two....."
    assert commit(peer) == (3, tmv(3, message))


def test_aborting_drops_what_was_gathered():
    peer = with_mac().open(3)
    peer.value()
    peer.ask(0xC8, b"", READER_A)
    peer.ask(0xA7)
    peer.move(0xDC, 5)
    peer.ask(0xC8, b"", READER_B)
    message = zeros(b"\xdc\x03" + le(5, 4)) + committed_reader(1, READER_B, bytes(16))
    assert commit(peer) == (1, tmv(1, message))


def test_a_transaction_that_only_reads_counts():
    peer = with_mac().open(3)
    peer.value()
    peer.ask(0xC8, b"", READER_A)
    message = zeros(b"\x6c\x03" + le(500, 4)) + committed_reader(1, READER_A, bytes(16))
    assert commit(peer) == (1, tmv(1, message))


def test_looking_at_the_mac_is_not_signed():
    peer = with_mac().open(3)
    peer.read(MAC_FILE, mode=1)
    peer.ask(0xF5, b"\x01")
    peer.denied(NC, 0xC7)


def test_commit_without_asking_for_the_mac():
    peer = with_mac(reader_key=NEVER).open(3)
    peer.move(0xDC, 5)
    assert peer.ask(0xC7) == b""
    peer.move(0xDC, 5)
    assert peer.ask(0xC7, b"", b"\x00") == b""
    assert peer.card.truth(AID, MAC_FILE)[0] == 2


# ---------------------------------------------------------------- readers


def test_no_commit_without_a_reader():
    peer = with_mac().open(3)
    peer.move(0xDC, 5)
    peer.denied(PD, 0xC7, b"", b"\x01")
    assert peer.card.truth(AID, 3) == 500
    assert peer.card.truth(AID, MAC_FILE)[0] == 0


def test_one_reader_to_a_transaction():
    peer = with_mac().open(3)
    peer.ask(0xC8, b"", READER_A)
    peer.denied(PD, 0xC8, b"", READER_B)


def test_an_aborted_reader_is_not_remembered():
    peer = with_mac().open(3)
    peer.move(0xDC, 5)
    peer.ask(0xC8, b"", READER_A)
    peer.open(3)
    assert peer.ask(0xC8, b"", READER_B) == hidden_reader(1, bytes(16))


def test_the_right_key_commits_a_reader():
    for key_no in (0, 1, 2, 4):
        peer = with_mac().open(key_no)
        peer.denied(AE, 0xC8, b"", READER_A)
    peer = with_mac()
    peer.select()
    peer.denied(AE, 0xC8, b"", READER_A)
    peer = with_mac(reader_key=NEVER).open(3)
    peer.denied(PD, 0xC8, b"", READER_A)
    with_files().open(3).denied(PD, 0xC8, b"", READER_A)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_reader_id_of_wrong_length(length):
    with_mac().open(3).denied(LE, 0xC8, b"", bytes(length))


def test_any_reader_may_commit_itself_where_that_is_free():
    peer = with_mac(reader_key=FREE)
    peer.ask(0x5F, b"\x02", b"\x00" + rights(FREE, FREE, FREE, 0), FULL)
    peer.select()
    peer.write(2, b"x", mode=PLAIN)
    peer.denied(PD, 0xC7)  # free is not: unnecessary
    peer.write(2, b"x", mode=PLAIN)
    assert peer.ask(0xC8, b"", READER_A) == b""  # who was here before is told to keys only
    message = zeros(b"\x8d" + span(2, 0, 1)) + zeros(b"x") + zeros(b"\xc8" + READER_A)
    assert commit(peer) == (1, tmv(1, message))
    peer.open(3)
    peer.move(0xDC, 1)
    assert peer.ask(0xC8, b"", READER_B) == hidden_reader(2, READER_A)


# ---------------------------------------------------------------- the limit


def test_limit_of_the_counter():
    peer = with_mac(reader_key=NEVER)
    data = b"\x21" + rights(3, NEVER, NEVER, 0) + le(2, 4)
    peer.ask(0x5F, bytes((MAC_FILE,)), data, FULL)
    assert peer.ask(0xF5, bytes((MAC_FILE,))).hex() == "0501f03f" + "0205" + "02000000"
    for _ in range(2):
        peer.open(3)
        peer.move(0xDC, 5)
        peer.ask(0xC7)
    for act in ("debit", "value", "write standard"):
        peer.open(3)
        with pytest.raises(Exception, match="9d"):
            ACTS[act][0](peer)
    assert peer.card.truth(AID, 1) == bytes(64)
    assert peer.card.truth(AID, 3) == 490
    peer.open(0)
    peer.ask(0x5F, bytes((MAC_FILE,)), b"\x01" + rights(3, NEVER, NEVER, 0), FULL)
    peer.open(3)
    peer.move(0xDC, 5)
    assert commit(peer)[0] == 3


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x21" + rights(3, NEVER, NEVER, 0), LE),
        (b"\x01" + rights(3, NEVER, NEVER, 0) + le(2, 4), LE),
        (b"\x01" + rights(3, 1, NEVER, 0), PE),
    ],
)
def test_settings_that_cannot_be(data, status):
    with_mac().denied(status, 0x5F, bytes((MAC_FILE,)), data, FULL)
