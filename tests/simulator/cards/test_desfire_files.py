"""Contents of the DESFire model's files: rights, modes, limits, frames, transactions."""

import itertools

import pytest

from simulator.cards.desfire_files import LINEAR, RecordFile
from tests.simulator.cards.desfire_peer import (
    AID,
    FULL,
    MAC,
    PLAIN,
    Denied,
    le,
    rights,
    span,
    with_files,
)

NC, IE, LE, PD, PE, AE, BE, CA, FN = 0x0C, 0x1E, 0x7E, 0x9D, 0x9E, 0xAE, 0xBE, 0xCA, 0xF0
STANDARD, BACKUP, VALUE, LINEAR_FILE, CYCLIC = 1, 2, 3, 4, 5
READ, WRITE, READ_WRITE = 0, 1, 2
FREE, NEVER = 0xE, 0xF

# command, header behind the file number, data, file, which rights allow it
ACTS = {
    "read": (0xAD, span(0, 0, 4)[1:], b"", STANDARD, (READ, READ_WRITE)),
    "read in frames": (0xBD, span(0, 0, 4)[1:], b"", BACKUP, (READ, READ_WRITE)),
    "write": (0x8D, span(0, 0, 4)[1:], b"abcd", STANDARD, (WRITE, READ_WRITE)),
    "write in frames": (0x3D, span(0, 0, 4)[1:], b"abcd", BACKUP, (WRITE, READ_WRITE)),
    "value": (0x6C, b"", b"", VALUE, (READ, WRITE, READ_WRITE)),
    "debit": (0xDC, b"", le(1, 4), VALUE, (READ, WRITE, READ_WRITE)),
    "credit": (0x0C, b"", le(1, 4), VALUE, (READ_WRITE,)),
    "limited credit": (0x1C, b"", le(0, 4), VALUE, (WRITE, READ_WRITE)),
    "read records": (0xAB, span(0, 0, 1)[1:], b"", CYCLIC, (READ, READ_WRITE)),
    "read records in frames": (0xBB, span(0, 0, 1)[1:], b"", LINEAR_FILE, (READ, READ_WRITE)),
    "write record": (0x8B, span(0, 0, 4)[1:], b"abcd", CYCLIC, (WRITE, READ_WRITE)),
    "write record in frames": (0x3B, span(0, 0, 4)[1:], b"abcd", LINEAR_FILE, (WRITE, READ_WRITE)),
    "clear records": (0xEB, b"", b"", CYCLIC, (READ_WRITE,)),
}


def with_records(mode=FULL, access=(1, 2, 3, 0)):
    peer = with_files(mode=mode, access=rights(1, 2, 3, 0)).open(2)
    for file_no in (LINEAR_FILE, CYCLIC):
        peer.write(file_no, b"recorded", mode=mode, code=0x8B)
    peer.ask(0xC7)
    peer.open(0)
    for file_no in range(1, 6):
        peer.ask(0x5F, bytes((file_no,)), bytes((mode,)) + rights(*access), FULL)
    return peer


# ---------------------------------------------------------------- rights and modes


@pytest.mark.parametrize("act", ACTS)
def test_rights(act):
    """Every act under every key, with rights 1, 2, 3: allowed exactly where its nibbles say so."""
    code, header, data, file_no, nibbles = ACTS[act]
    for key_no in range(5):
        peer = with_records().open(key_no)
        header_whole = bytes((file_no,)) + header
        if key_no - 1 in nibbles:
            peer.ask(code, header_whole, data, FULL)
        else:
            peer.denied(AE, code, header_whole, data, FULL)
    peer = with_records()
    peer.select()
    peer.denied(AE, code, bytes((file_no,)) + header, data)


@pytest.mark.parametrize("act", ACTS)
def test_never_and_free(act):
    code, header, data, file_no, nibbles = ACTS[act]
    header = bytes((file_no,)) + header
    for free in range(3):
        access = [NEVER] * 3
        access[free] = FREE
        for is_logged_in in (False, True):
            peer = with_records(access=(*access, 0))
            peer.select()
            if is_logged_in:
                peer.login(4)
            if free in nibbles:
                peer.ask(code, header, data, PLAIN)
            else:
                peer.denied(PD, code, header, data)


@pytest.mark.parametrize(("act", "mode"), [*itertools.product(ACTS, (PLAIN, MAC, FULL))])
def test_the_files_mode_and_no_other(act, mode):
    code, header, data, file_no, nibbles = ACTS[act]
    key_no = nibbles[0] + 1
    header = bytes((file_no,)) + header
    peer = with_records(mode).open(key_no)
    peer.ask(code, header, data, mode)
    if mode == PLAIN:
        return
    peer.open(key_no)
    assert refusal(peer, peer.build(code, header, data, PLAIN)) in (LE, IE)
    if data:
        peer = with_records(mode).open(key_no)
        other = peer.build(code, header, data, MAC if mode == FULL else FULL)
        assert refusal(peer, other) in (LE, IE)
    assert peer.card.truth(AID, STANDARD) in (bytes(64), b"abcd" + bytes(60))
    assert not peer.card.is_authenticated


def refusal(peer, command):
    """The status that ends the command; the card may first wait for more of it."""
    status, _ = peer.raw(command)
    while status == 0xAF:
        status, _ = peer.raw(b"\xaf" + bytes(8))
    return status


def test_a_proved_key_that_is_named_beats_free_access():
    peer = with_records(access=(FREE, 2, 3, 0)).open(3)
    assert peer.read(STANDARD, 0, 4) == bytes(4)
    peer.open(3)
    assert peer.raw(b"\xad" + span(STANDARD, 0, 4)) == (LE, b"")
    peer.open(2)
    assert peer.read(STANDARD, 0, 4, mode=PLAIN) == bytes(4)


def test_free_reading_of_a_value():
    peer = with_files()
    head = b"\x06\x03" + rights(1, 2, 3, 0) + le(-5, 4, signed=True)
    peer.ask(0xCC, head + le(5, 4) + le(-3, 4, signed=True) + b"\x02")
    peer.select()
    assert peer.value(6, PLAIN) == -3
    peer.denied(AE, 0xDC, b"\x06", le(1, 4))
    peer.open(1)
    assert peer.value(6) == -3
    assert peer.card.truth(AID, 6) == -3


# ---------------------------------------------------------------- data files


def test_standard_file_changes_at_once():
    peer = with_files().open(3)
    peer.write(STANDARD, b"hello", 7)
    assert peer.card.truth(AID, STANDARD)[7:12] == b"hello"
    assert peer.read(STANDARD, 5, 9) == b"\0\0hello\0\0"
    assert peer.read(STANDARD) == bytes(7) + b"hello" + bytes(52)
    assert peer.read(STANDARD, 60) == bytes(4)
    peer.denied(NC, 0xC7)


def test_backup_file_waits():
    peer = with_files().open(3)
    peer.write(BACKUP, b"one", 0)
    peer.write(BACKUP, b"two", 2)
    assert peer.read(BACKUP, 0, 5) == bytes(5)
    peer.ask(0xC7)
    assert peer.read(BACKUP, 0, 5) == b"ontwo"
    assert peer.card.truth(AID, BACKUP)[:5] == b"ontwo"


@pytest.mark.parametrize(
    ("offset", "length", "status"), [(0, 65, BE), (64, 1, BE), (64, 0, BE), (60, 5, BE)]
)
def test_reading_beyond(offset, length, status):
    with_files().open(1).denied(status, 0xAD, span(STANDARD, offset, length), mode=FULL)


@pytest.mark.parametrize(("offset", "length"), [(0, 65), (64, 1), (60, 5)])
def test_writing_beyond(offset, length):
    for file_no in (STANDARD, BACKUP):
        peer = with_files().open(2)
        peer.denied(BE, 0x8D, span(file_no, offset, length), bytes(length), FULL)
        assert peer.card.truth(AID, file_no) == bytes(64)


@pytest.mark.parametrize(("announced", "sent", "status"), [(4, 3, LE), (4, 25, LE), (0, 0, PE)])
def test_length_that_is_not_what_comes(announced, sent, status):
    peer = with_files(mode=MAC).open(2)
    peer.denied(status, 0x8D, span(STANDARD, 0, announced), bytes(sent))
    peer = with_files(mode=FULL).open(2)
    peer.denied(status, 0x8D, span(STANDARD, 0, announced), bytes(sent * 8), FULL)


def test_hidden_length_is_not_what_was_announced():
    """Same number of blocks, so only the data themselves give it away."""
    peer = with_files().open(2)
    peer.denied(LE, 0x8D, span(STANDARD, 0, 4), b"abc", FULL)
    assert peer.card.truth(AID, STANDARD) == bytes(64)


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize("mode", [PLAIN, MAC, FULL])
def test_reading_in_frames(mode):
    peer = with_files(mode=mode).open(3)
    peer.write(STANDARD, bytes(range(64)), mode=mode)
    status, first = peer.raw(peer.build(0xBD, span(STANDARD, 0, 0), mode=mode))
    assert (status, len(first)) == (0xAF, 59)
    status, rest = peer.raw(b"\xaf")
    assert status == 0
    assert len(first + rest) == {PLAIN: 64, MAC: 72, FULL: 88}[mode]
    peer.session[3] += 1
    assert peer.read(STANDARD, mode=mode, code=0xBD) == bytes(range(64))
    assert peer.read(STANDARD, mode=mode, code=0xAD) == bytes(range(64))


@pytest.mark.parametrize("mode", [PLAIN, MAC, FULL])
@pytest.mark.parametrize("piece", [1, 20, 52, 59])
def test_writing_in_frames(mode, piece):
    peer = with_files(mode=mode).open(2)
    whole = peer.build(0x3D, span(STANDARD, 0, 64), bytes(range(64)), mode)
    status, _ = peer.raw(whole[: 8 + piece])
    at = 8 + piece
    while status == 0xAF:
        assert peer.card.truth(AID, STANDARD) == bytes(64)
        status, answer = peer.raw(b"\xaf" + whole[at : at + piece])
        at += piece
    assert status == 0
    peer.session[3] += 1
    assert answer == (b"" if mode == PLAIN else peer.mac(0, b""))
    assert peer.card.truth(AID, STANDARD) == bytes(range(64))


def test_frames_that_are_broken_off():
    peer = with_files(mode=MAC).open(2)
    whole = peer.build(0x3D, span(BACKUP, 0, 64), bytes(64))
    assert peer.raw(whole[:40]) == (0xAF, b"")
    assert peer.raw(b"\x64\x00") == (CA, b"")
    assert not peer.card.is_authenticated
    peer.open(2)
    whole = peer.build(0x3D, span(BACKUP, 0, 64), bytes(64))
    assert peer.raw(whole[:40]) == (0xAF, b"")
    assert peer.raw(b"\xaf" + whole[40:] + b"\x00") == (LE, b"")


def test_unframed_commands_take_no_frames():
    peer = with_files(mode=PLAIN).open(2)
    assert peer.raw(b"\x8d" + span(STANDARD, 0, 64) + bytes(50)) == (LE, b"")


# ---------------------------------------------------------------- value


def test_value_moves_at_the_commit():
    peer = with_files().open(3)
    peer.move(0xDC, 200)
    peer.move(0x0C, 50)
    assert peer.value() == 500
    peer.ask(0xC7)
    assert peer.value() == 350
    assert peer.card.truth(AID, VALUE) == 350


@pytest.mark.parametrize(
    ("code", "amount", "status"),
    [
        (0xDC, 501, BE),
        (0xDC, 0x7FFFFFFF, BE),
        (0x0C, 9_501, BE),
        (0xDC, -1, PE),
        (0x0C, -1, PE),
        (0x1C, -1, PE),
        (0x1C, 1, BE),
    ],
)
def test_values_that_cannot_be(code, amount, status):
    peer = with_files().open(3)
    peer.denied(status, code, b"\x03", le(amount, 4, signed=True), FULL)
    assert peer.card.truth(AID, VALUE) == 500


def test_limits_hold_for_the_sum():
    peer = with_files().open(3)
    peer.move(0xDC, 300)
    peer.denied(BE, 0xDC, b"\x03", le(201, 4), FULL)
    peer.open(3)
    peer.move(0xDC, 500)
    peer.move(0x0C, 10_000)
    peer.denied(BE, 0x0C, b"\x03", le(1, 4), FULL)
    peer.open(3)
    assert peer.value() == 500


def test_limited_credit_gives_back_what_was_taken_last():
    peer = with_files().open(2)
    peer.move(0xDC, 100)
    peer.move(0xDC, 20)
    peer.denied(BE, 0x1C, b"\x03", le(1, 4), FULL)  # not yet committed
    peer.open(2)
    peer.move(0xDC, 100)
    peer.move(0xDC, 20)
    peer.ask(0xC7)
    peer.open(0)
    assert peer.ask(0xF5, b"\x03").hex()[-10:] == "7800000001"
    peer.open(2)
    peer.denied(BE, 0x1C, b"\x03", le(121, 4), FULL)
    peer.open(2)
    peer.move(0x1C, 70)
    peer.denied(BE, 0x1C, b"\x03", le(1, 4), FULL)  # once in a transaction
    peer.open(2)
    peer.move(0x1C, 70)
    peer.ask(0xC7)
    assert peer.card.truth(AID, VALUE) == 450
    peer.denied(BE, 0x1C, b"\x03", le(1, 4), FULL)  # and once after a debit


def test_limited_credit_where_it_is_off():
    peer = with_files()
    head = b"\x06\x03" + rights(1, 2, 3, 0)
    peer.ask(0xCC, head + le(0, 4) + le(5, 4) + le(5, 4) + b"\x00")
    peer.open(2)
    peer.move(0xDC, 5, 6)
    peer.ask(0xC7)
    peer.denied(PD, 0x1C, b"\x06", le(1, 4), FULL)


# ---------------------------------------------------------------- records


def records(peer, file_no):
    return [bytes(entry) for entry in peer.card.truth(AID, file_no)]


def test_a_record_is_written_in_parts_and_added_at_the_commit():
    peer = with_files().open(3)
    peer.write(CYCLIC, b"ab", 0, code=0x8B)
    peer.write(CYCLIC, b"yz", 6, code=0x8B)
    peer.denied(BE, 0xAB, span(CYCLIC, 0, 0), mode=FULL)
    peer.open(3)
    peer.write(CYCLIC, b"ab", 0, code=0x8B)
    peer.write(CYCLIC, b"yz", 6, code=0x8B)
    peer.ask(0xC7)
    assert peer.ask(0xAB, span(CYCLIC, 0, 0), mode=FULL) == b"ab\0\0\0\0yz"


def test_cyclic_file_forgets_the_oldest():
    peer = with_files().open(3)
    for number in range(6):
        peer.write(CYCLIC, bytes((number,)) * 8, code=0x8B)
        peer.ask(0xC7)
    assert records(peer, CYCLIC) == [bytes((n,)) * 8 for n in (3, 4, 5)]  # one is kept free
    assert peer.ask(0xAB, span(CYCLIC, 0, 1), mode=FULL) == b"\5" * 8
    assert peer.ask(0xBB, span(CYCLIC, 1, 2), mode=FULL) == b"\3" * 8 + b"\4" * 8
    assert peer.ask(0xAB, span(CYCLIC, 1, 0), mode=FULL) == b"\3" * 8 + b"\4" * 8
    peer.denied(BE, 0xAB, span(CYCLIC, 1, 3), mode=FULL)
    peer.open(3)
    peer.denied(BE, 0xAB, span(CYCLIC, 3, 0), mode=FULL)


def test_linear_file_gets_full():
    peer = with_files().open(3)
    for number in range(3):
        peer.write(LINEAR_FILE, bytes((number,)) * 8, code=0x8B)
        peer.ask(0xC7)
    peer.denied(BE, 0x8B, span(LINEAR_FILE, 0, 1), b"x", FULL)
    peer.open(3)
    peer.ask(0xEB, bytes((LINEAR_FILE,)))
    assert len(records(peer, LINEAR_FILE)) == 3
    peer.ask(0xC7)
    assert records(peer, LINEAR_FILE) == []
    peer.write(LINEAR_FILE, b"again", code=0x8B)
    peer.ask(0xC7)
    assert records(peer, LINEAR_FILE) == [b"again\0\0\0"]


def test_nothing_is_written_behind_a_clearing():
    peer = with_records().open(3)
    peer.write(CYCLIC, b"x", code=0x8B)
    peer.ask(0xEB, bytes((CYCLIC,)))
    assert peer.ask(0xAB, span(CYCLIC, 0, 0), mode=FULL) == b"recorded"
    peer.denied(PD, 0x8B, span(CYCLIC, 0, 1), b"x", FULL)
    assert records(peer, CYCLIC) == [b"recorded"]


def test_records_longer_than_a_record():
    peer = with_files().open(2)
    peer.denied(BE, 0x8B, span(CYCLIC, 0, 9), bytes(9), FULL)
    peer.open(2)
    peer.denied(BE, 0x8B, span(CYCLIC, 8, 1), bytes(1), FULL)


def test_record_file_alone():
    """Against a list: the last three of what was committed, or the first three."""
    file = RecordFile(LINEAR, FULL, 0, 2, 3)
    for entry in (b"aa", b"bb", b"cc"):
        file.write(0, entry)
        file.abort()
        file.write(0, entry)
        file.commit()
    assert file.records == [b"aa", b"bb", b"cc"]


# ---------------------------------------------------------------- transaction


def change_all(peer):
    """One change to every file that waits for the commit, under key 3."""
    peer.write(BACKUP, b"new")
    peer.move(0xDC, 100)
    peer.write(LINEAR_FILE, b"linear", code=0x8B)
    peer.write(CYCLIC, b"cyclic", code=0x8B)


OLD = (bytes(3), 500, [], [])
NEW = (b"new", 400, [b"linear\0\0"], [b"cyclic\0\0"])


def contents(card):
    truth = [card.truth(AID, file_no) for file_no in (BACKUP, VALUE, LINEAR_FILE, CYCLIC)]
    return (truth[0][:3], *truth[1:])


def test_all_files_change_together():
    peer = with_files().open(3)
    change_all(peer)
    assert contents(peer.card) == OLD
    assert peer.ask(0xC7) == b""
    assert contents(peer.card) == NEW
    peer.denied(NC, 0xC7)


def abort(peer):
    peer.ask(0xA7)


def select_again(peer):
    peer.open(3)


def log_in_first(peer):
    peer.login(3)


def lose_power(peer):
    peer.card.power_down(peer.now * 1356 + 10**9)
    peer.wake()
    peer.open(3)


def fail(peer):
    peer.denied(FN, 0xF5, b"\x09")
    peer.login(3)


def fail_mac(peer):
    peer.raw(peer.build(0x6C, b"\x03", mode=PLAIN) + bytes(8))
    peer.login(3)


def fail_login(peer):
    with pytest.raises(Denied):
        peer.login(1, bytes(range(16)), again=True)
    peer.login(3)


def ask_unknown(peer):
    peer.denied(0x1C, 0xEE)
    peer.login(3)


ENDS = (abort, select_again, log_in_first, lose_power, fail, fail_mac, fail_login, ask_unknown)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_what_drops_a_transaction(end):
    peer = with_files().open(3)
    change_all(peer)
    end(peer)
    assert contents(peer.card) == OLD
    peer.denied(NC, 0xC7)
    assert contents(peer.card) == OLD


def test_another_key_of_the_same_transaction_keeps_it():
    peer = with_files().open(2)
    peer.write(BACKUP, b"new")
    peer.login(3, again=True)
    peer.move(0xDC, 100)
    peer.ask(0xC7)
    assert contents(peer.card)[:2] == NEW[:2]


def test_nothing_to_commit_or_abort():
    peer = with_files().open(3)
    peer.read(STANDARD, 0, 4)
    peer.denied(NC, 0xA7)
    peer.open(3)
    peer.denied(NC, 0xC7, b"", b"\x00")


@pytest.mark.parametrize(("option", "status"), [(b"\x01", PE), (b"\x02", PE), (b"\0\0", LE)])
def test_commit_options(option, status):
    peer = with_files().open(3)
    change_all(peer)
    peer.denied(status, 0xC7, b"", option)
    assert contents(peer.card) == OLD


def test_no_transaction_at_the_cards_level():
    peer = with_files()
    for code in (0xC7, 0xA7, 0xC8):
        peer.select(b"\0\0\0")
        peer.denied(PD, code, b"", bytes(16) if code == 0xC8 else b"")


def test_transaction_without_any_key():
    peer = with_records(mode=PLAIN, access=(FREE, FREE, FREE, 0))
    peer.select()
    peer.write(BACKUP, b"new", mode=PLAIN)
    peer.move(0x0C, 7, mode=PLAIN)
    assert peer.ask(0xC7) == b""
    assert peer.card.truth(AID, VALUE) == 507
    assert peer.card.truth(AID, BACKUP)[:3] == b"new"
