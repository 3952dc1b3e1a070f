"""EV2 secure messaging of the DESFire model: published examples, and what must not pass."""

import json
import random
from pathlib import Path

import pytest

from protocols.card import ev2
from simulator.cards.desfire import Desfire
from simulator.cards.desfire_messaging import (
    COMMAND_LABEL,
    Session,
    cmac,
    crc32_key,
    padded,
    protected_bytes,
    session_keys,
    truncated,
    unpadded,
)
from simulator.cards.desfire_status import Refused
from simulator.cards.desfire_tmac import transaction_keys
from tests.drivers.desk import aes
from tests.simulator.cards import desfire_peer as peers
from tests.simulator.cards.desfire_peer import FULL, KEYS, MAC, UID, ZERO_KEY, blank

AE, PD, LE, IE, NK = 0xAE, 0x9D, 0x7E, 0x1E, 0x40


def vectors(group):
    document = json.loads(Path(__file__).with_name("vectors_desfire.json").read_text())
    (found,) = (entry["items"] for entry in document["groups"] if entry["id"] == group)
    return found


def hexed(item, *names):
    return [bytes.fromhex(item[name]) for name in names]


class Drawn(random.Random):
    """Chance that was decided beforehand."""

    def __init__(self, *answers):
        super().__init__(0)
        self.answers = list(answers)

    def randbytes(self, n):
        answer = self.answers.pop(0)
        assert len(answer) == n
        return answer


def card_with_keys(rng, uid, keys):
    """A card whose own level has these keys, past all commands."""
    card = Desfire(uid, rng)
    image = card.snapshot()
    image["memory"]["master"]["keys"] = [key.hex() for key in keys]
    image["memory"]["master"]["versions"] = [0] * len(keys)
    card.restore(image)
    card.power_up()
    card.begin()
    return card


# ---------------------------------------------------------------- published examples


def test_session_keys():
    for item in vectors("ev2_session_keys"):
        key, rnd_a, rnd_b, enc, mac = hexed(
            item, "key", "RndA", "RndB", "SesAuthENCKey", "SesAuthMACKey"
        )
        assert session_keys(key, rnd_a, rnd_b) == (enc, mac), item["name"]


def test_ivs():
    for item in vectors("ev2_iv"):
        enc, ti, iv = hexed(item, "SesAuthENCKey", "TI", "iv")
        session = Session(0, (enc, ZERO_KEY), ti, item["cmdctr"])
        assert session.iv(COMMAND_LABEL) == iv, item["name"]


def test_macs():
    for item in vectors("ev2_mac"):
        key, ti, first, data, mac = hexed(item, "key", "TI", "first", "data", "mac")
        if item["name"] == "resp":
            session = Session(0, (ZERO_KEY, key), ti, item["ctr"])
            assert session.seal(first[0], data, MAC) == data + mac
        else:
            session = Session(0, (ZERO_KEY, key), ti, item["ctr"])
            assert session.open(first[0], data + mac, 7, MAC) == (data[:7], data[7:])
            assert session.counter == item["ctr"] + 1


@pytest.mark.parametrize("item", vectors("an12196_auth"), ids=lambda item: item["name"])
def test_published_logins_byte_for_byte(item):
    key, rnd_b, enc_rnd_b, part2, answer, enc, mac = hexed(
        item, "key", "RndB", "encRndB", "part2_apdu", "resp", "ENC", "MAC"
    )
    is_first = "TI" in item
    ti = bytes.fromhex(item["TI"]) if is_first else b"\x01\x02\x03\x04"
    drawn = [rnd_b, ti] if is_first else [bytes(16), ti, rnd_b]
    card = card_with_keys(Drawn(*drawn), UID, [key] * 4)
    key_no = 3 if "key3" in item["name"] else 0
    if not is_first:
        peers.Peer(card).login(0, key)
        begin = bytes((0x90, 0x77, 0, 0, 1, key_no, 0))
    else:
        begin = bytes((0x90, 0x71, 0, 0, 2, key_no, 0, 0))
    assert card.apply(begin, 0)[0] == enc_rnd_b + b"\x91\xaf"
    assert card.apply(part2, 0)[0] == answer + b"\x91\x00"
    assert (card._talk.session._enc_key, card._talk.session._mac_key) == (enc, mac)
    assert card._talk.session.ti == ti


@pytest.mark.parametrize("item", vectors("an12343_exchanges"), ids=lambda item: item["name"])
def test_published_exchanges_byte_for_byte(item):
    key, uid, rnd_b, ti = hexed(item, "key", "uid", "RndB", "TI")
    card = card_with_keys(Drawn(rnd_b, ti), uid, [key])
    for command, answer in item["exchanges"]:
        assert card.apply(bytes.fromhex(command), 0)[0].hex().upper() == answer


@pytest.mark.parametrize("item", vectors("an12343_sessions"), ids=lambda item: item["name"])
def test_published_commands_within_a_session(item):
    enc, mac, ti, command, answer = hexed(item, "ENC", "MAC", "TI", "command", "answer")
    peer = peers.with_application()
    card = peer.card
    if command[0] == 0x90:
        peer.exchange(b"\x5a\x00\x00\x00")
    else:
        peer.ask(0xCD, b"\x04\x03" + peers.rights(1, 2, 3, 0) + b"\x10\x00\x00")
    card._talk.session = Session(0, (enc, mac), ti)
    assert card.apply(command, 0)[0] == answer
    if command[0] == 0x90:
        card.power_up()
        assert card._terms.ats.hex() == "067777710280"
    else:
        assert card._talk.any_file(4).settings().hex() == "0000eeee100000"


def test_transaction_keys():
    for item in vectors("tmac_session_keys"):
        key, uid, mac, enc = hexed(item, "key", "uid", "SesTMMACKey", "SesTMENCKey")
        assert transaction_keys(key, item["trCntr"] + 1, uid) == (mac, enc), item["name"]
        assert item["tmc_used"] == item["trCntr"] + 1


def test_key_check():
    for item in vectors("key_check"):
        key, crc = hexed(item, "key", "crc")
        assert crc32_key(key) == crc
        assert peers.le(peers.crc32(key), 4) == crc


# ---------------------------------------------------------------- parts


def test_cmac_agrees_with_the_one_built_here():
    rng = random.Random(4493)
    for length in (0, 1, 15, 16, 17, 31, 32, 33, 100):
        key, message = rng.randbytes(16), rng.randbytes(length)
        assert cmac(key, message) == peers.cmac(key, message)
        assert truncated(cmac(key, message)) == peers.short(peers.cmac(key, message))


def test_padding():
    for length in range(40):
        data = bytes(range(length))
        assert unpadded(padded(data)) == data
        assert protected_bytes(length, FULL) == len(padded(data)) + 8
    for broken in (bytes(16), b"\x01" * 16, b"\x80" + bytes(16)):
        with pytest.raises(Refused):
            unpadded(broken)


# ---------------------------------------------------------------- login


def test_login_with_the_readers_own_code():
    """The other end as firmware and ledger have it: neither shares a line with the card."""

    class Ciphers:
        aes = staticmethod(aes)

        @staticmethod
        def aes_cbc(key, iv, data, decrypting):
            return peers.aes_cbc(key, iv, data, decrypting)

    card = peers.with_files().card
    card.begin()

    def send(command):
        return card.apply(bytes(command), 0)[0]

    assert send(b"\x5a" + peers.AID) == b"\x00"
    login = ev2.Login(Ciphers, KEYS[1], 1, bytes(range(16)))
    session = login.session(send(login.prove(send(login.begin()))))
    header = peers.span(1, 0, 10)
    read = send(session.command(0xAD, header))
    assert session.answer(read, ev2.FULL_ANSWER) == bytes(10)
    login = ev2.Login(Ciphers, KEYS[2], 2, bytes(range(16)), after=session)
    session = login.session(send(login.prove(send(login.begin()))))
    header = peers.span(1, 0, 3)
    done = send(session.command(0x8D, header, b"abc", ev2.FULL_COMMAND))
    assert session.answer(done) == b""
    assert card.truth(peers.AID, 1)[:4] == b"abc\x00"


def test_capabilities_come_back():
    peer = blank()
    _, challenge = peer.raw(bytes.fromhex("7100020102"))
    rnd_b = peers.aes_cbc(ZERO_KEY, bytes(16), challenge, True)
    token = peers.aes_cbc(ZERO_KEY, bytes(16), peers.RND_A + rnd_b[1:] + rnd_b[:1])
    status, sealed = peer.raw(b"\xaf" + token)
    opened = peers.aes_cbc(ZERO_KEY, bytes(16), sealed, True)
    assert status == 0
    assert opened[20:26] == bytes(6)
    assert opened[26:] == bytes.fromhex("010200000000")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("71", LE),
        ("7100", LE),
        ("710001", LE),  # one byte announced, none sent
        ("71000000", LE),
        ("710007" + "00" * 7, LE),
        ("710100", NK),  # the card's own level has one key
        ("7700", PD),  # nobody is logged in
        ("77", LE),
    ],
)
def test_login_that_cannot_begin(command, status):
    assert blank().raw(bytes.fromhex(command)) == (status, b"")


def test_login_with_a_wrong_key():
    peer = blank()
    with pytest.raises(peers.Denied, match="ae"):
        peer.login(0, KEYS[1])
    assert not peer.card.is_authenticated
    peer.login(0, ZERO_KEY)
    with pytest.raises(peers.Denied, match="ae"):
        peer.login(0, KEYS[1], again=True)
    assert not peer.card.is_authenticated


def test_second_part_must_come_and_be_whole():
    peer = blank()
    peer.raw(b"\x71\x00\x00")
    assert peer.raw(b"\xaf" + bytes(31)) == (LE, b"")
    peer.raw(b"\x71\x00\x00")
    assert peer.raw(b"\x64\x00") == (0xCA, b"")
    assert peer.raw(b"\xaf" + bytes(32)) == (0x1C, b"")


def test_challenges_differ():
    peer = blank()
    seen = set()
    for _ in range(5):
        peer.select(bytes(3))
        seen.add(peer.exchange(b"\x71\x00\x00"))
        peer.wake()
    assert len(seen) == 5


def test_new_ti_with_first_and_the_old_one_with_next():
    peer = peers.with_files()
    peer.select()
    peer.login(1)
    ti = peer.session[2]
    peer.read(1, 0, 4)
    peer.login(2, again=True)
    assert (peer.session[2], peer.session[3]) == (ti, 1)
    assert peer.card._talk.session.counter == 1
    peer.write(1, b"x")
    peer.login(2)
    assert peer.session[2] != ti
    assert peer.card._talk.session.counter == 0


# ---------------------------------------------------------------- deceit


@pytest.mark.parametrize("bit", range(0, 64, 7))
def test_wrong_mac(bit):
    peer = peers.with_files().open(1)
    command = bytearray(peer.build(0xAD, peers.span(1, 0, 4)))
    command[8 + bit // 8] ^= 1 << bit % 8
    assert peer.raw(bytes(command)) == (IE, b"")
    assert not peer.card.is_authenticated


@pytest.mark.parametrize("at", range(1, 8))
def test_changed_header(at):
    peer = peers.with_files().open(1)
    command = bytearray(peer.build(0xAD, peers.span(2, 4, 4)))
    command[at] ^= 0x01 if at != 1 else 0x03  # file 1 instead of 2
    assert peer.raw(bytes(command)) == (IE, b"")


def test_changed_cryptogram():
    peer = peers.with_files().open(3)
    command = bytearray(peer.build(0x0C, b"\x03", peers.le(100, 4), FULL))
    command[5] ^= 0x10
    assert peer.raw(bytes(command)) == (IE, b"")
    assert peer.card.truth(peers.AID, 3) == 500


def test_replayed_command():
    peer = peers.with_files().open(3)
    command = peer.build(0x0C, b"\x03", peers.le(100, 4), FULL)
    assert peer.raw(command)[0] == 0
    assert peer.raw(command) == (IE, b"")
    peer.open(3)
    assert peer.raw(command) == (IE, b"")
    peer.open(3)
    assert peer.value() == 500


@pytest.mark.parametrize("counter", [-1, 1, 2, 0x100])
def test_wrong_counter(counter):
    peer = peers.with_files().open(1)
    peer.read(1, 0, 4)
    peer.session[3] += counter
    peer.denied(IE, 0xAD, peers.span(1, 0, 4))


def test_plain_commands_are_counted():
    peer = peers.with_files(access=peers.rights(0xE, 2, 3, 0))
    peer.open(1)
    assert peer.read(1, 0, 4, mode=0) == bytes(4)  # free, and key 1 is not named
    peer.session[3] -= 1
    peer.denied(IE, 0x64, b"\x00")


def test_counter_that_is_used_up():
    peer = peers.with_files().open(1)
    peer.session[3] = peer.card._talk.session.counter = 0xFFFE
    peer.read(1, 0, 4)
    peer.denied(PD, 0xAD, peers.span(1, 0, 4))


def test_padding_that_hides_nothing():
    """A right MAC over blocks that are no padded data."""
    peer = peers.with_files().open(3)
    sealed = peers.aes_cbc(peer.session[0], peer.iv(b"\xa5\x5a"), bytes(16))
    command = b"\x0c\x03" + sealed + peer.mac(0x0C, b"\x03" + sealed)
    assert peer.raw(command) == (IE, b"")


@pytest.mark.parametrize("cut", [1, 8, 9, 16, 24])
def test_shortened_command(cut):
    peer = peers.with_files().open(3)
    command = peer.build(0x0C, b"\x03", peers.le(100, 4), FULL)
    status, _ = peer.raw(command[:-cut])
    assert status in (IE, LE)
    assert not peer.card.is_authenticated


def test_mac_without_data_where_data_must_be():
    peer = peers.with_files().open(3)
    peer.denied(LE, 0x0C, b"\x03", b"", FULL)
    peer.open(3)
    peer.denied(LE, 0x0C, b"\x03", bytes(3), FULL)
