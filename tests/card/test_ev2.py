"""EV2 secure messaging against published examples, and against answers nobody should believe."""

import random

import pytest

from protocols.card import ev2
from tests.card.desfire_vectors import vectors
from tests.drivers.desk import CIPHERS


def test_published_session_keys(repo_root):
    items = vectors(repo_root, "ev2_session_keys")
    for item in items:
        keys = ev2.session_keys(CIPHERS, item["key"], item["RndA"], item["RndB"])
        assert keys == (item["SesAuthENCKey"], item["SesAuthMACKey"]), item["id"]


def test_published_ivs(repo_root):
    for item in vectors(repo_root, "ev2_iv"):
        session = ev2.Session(
            CIPHERS, item["SesAuthENCKey"], bytes(16), item["TI"], item["cmdctr"]
        )
        hidden = session.command(0x8D, data=b"five!", mode=ev2.FULL_COMMAND)[1:-8]
        plain = CIPHERS.aes_cbc(item["SesAuthENCKey"], item["iv"], hidden, True)
        assert plain == ev2.pad(b"five!"), item["id"]


def test_published_macs(repo_root):
    for item in vectors(repo_root, "ev2_mac"):
        session = ev2.Session(CIPHERS, bytes(16), item["key"], item["TI"], item["ctr"])
        if item["first"] == b"\0":
            answer = b"\0" + item["data"] + item["mac"]
            assert session.answer(answer) == item["data"], item["id"]
        else:
            command = session.command(item["first"][0], item["data"])
            assert command == item["first"] + item["data"] + item["mac"], item["id"]


def test_published_commands(repo_root):
    for item in vectors(repo_root, "an12343_commands"):
        session = ev2.Session(
            CIPHERS, item["enc_key"], item["mac_key"], item["ti"], item["counter"]
        )
        command = session.command(item["code"][0], item["header"], item["data"], ev2.FULL_COMMAND)
        assert command == item["command"], item["id"]
        assert session.answer(item["answer"], ev2.FULL_ANSWER) == item["plain"], item["id"]


def test_published_login(repo_root):
    (item,) = vectors(repo_root, "an12343_login")
    login = ev2.Login(CIPHERS, item["key"], item["key_no"], item["rnd_a"])
    assert login.begin() == b"\x71\0\0"
    assert login.prove(item["challenge"]) == item["proof"]
    session = login.session(item["answer"])
    assert (session.ti, session.counter) == (item["ti"], 0)


def test_published_logins_of_a_sister_chip(repo_root):
    """NTAG 424 DNA speaks the same protocol; two of these were taken from silicon."""
    kinds = []
    for item in vectors(repo_root, "an12196_auth"):
        after = ev2.Session(CIPHERS, bytes(16), bytes(16), b"\1\2\3\4", 7)
        is_first = "NonFirst" not in item["id"]
        login = ev2.Login(CIPHERS, item["key"], 0, item["RndA"], None if is_first else after)
        assert login.begin() == (b"\x71\0\0" if is_first else b"\x77\0")
        assert (
            login.prove(b"\xaf" + item["encRndB"])
            == item["part2_apdu"][1:2] + item["part2_apdu"][5:-1]
        )
        session = login.session(b"\0" + item["resp"])
        if is_first:
            assert (session.ti, session.counter) == (item["TI"], 0), item["id"]
        else:
            assert (session.ti, session.counter) == (after.ti, 7), item["id"]
        kinds.append(is_first)
    assert True in kinds and False in kinds


@pytest.mark.parametrize("first", [True, False])
def test_a_card_that_does_not_know_the_key_proves_nothing(first):
    draw = random.Random(5)
    after = None if first else ev2.Session(CIPHERS, bytes(16), bytes(16), b"\1\2\3\4")
    login = ev2.Login(CIPHERS, draw.randbytes(16), 2, draw.randbytes(16), after)
    login.prove(b"\xaf" + draw.randbytes(16))
    with pytest.raises(ev2.NotGenuine):
        login.session(b"\0" + draw.randbytes(32 if first else 16))


@pytest.mark.parametrize(
    "answer", [b"", b"\0", b"\xaf", b"\xaf" + bytes(15), b"\xaf" + bytes(17), b"\0" + bytes(16)]
)
def test_a_challenge_of_the_wrong_form(answer):
    with pytest.raises(ev2.NotGenuine):
        ev2.Login(CIPHERS, bytes(16), 0, bytes(16)).prove(answer)


@pytest.mark.parametrize("answer", [b"", b"\0", b"\xaf" + bytes(32), b"\0" + bytes(31)])
def test_a_proof_of_the_wrong_form(answer):
    login = ev2.Login(CIPHERS, bytes(16), 0, bytes(16))
    login.prove(b"\xaf" + bytes(16))
    with pytest.raises(ev2.NotGenuine):
        login.session(answer)


def test_a_refusal_is_told_by_its_number():
    login = ev2.Login(CIPHERS, bytes(16), 0, bytes(16))
    with pytest.raises(ev2.CardStatus) as refused:
        login.prove(b"\xae")
    assert refused.value.status == ev2.AUTHENTICATION_ERROR and "0xae" in str(refused.value)


def test_no_bit_of_an_answer_may_turn():
    draw = random.Random(11)
    keys = draw.randbytes(16), draw.randbytes(16)
    card = ev2.Session(CIPHERS, *keys, b"abcd", 1)
    body = CIPHERS.aes_cbc(keys[0], card._iv(b"\x5a\xa5"), ev2.pad(b"secret"), False)
    answer = b"\0" + body + card._mac_over(0, body)
    reader = ev2.Session(CIPHERS, *keys, b"abcd", 1)
    assert reader.answer(answer, ev2.FULL_ANSWER) == b"secret"
    for bit in range(8 * len(answer)):
        turned = bytearray(answer)
        turned[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises((ev2.NotGenuine, ev2.CardStatus)):
            reader.answer(bytes(turned), ev2.FULL_ANSWER)
    for cut in range(len(answer)):
        with pytest.raises(ev2.NotGenuine):
            reader.answer(answer[:cut], ev2.FULL_ANSWER)


def test_an_old_answer_is_no_answer():
    keys = bytes(16), bytes(range(16))
    session = ev2.Session(CIPHERS, *keys, b"abcd")
    session.command(0x6C, b"\3")
    answer = b"\0" + session._mac_over(0, b"")
    assert session.answer(answer) == b""
    session.command(0x6C, b"\3")
    with pytest.raises(ev2.NotGenuine):
        session.answer(answer)


def test_a_session_ends_with_its_counter():
    session = ev2.Session(CIPHERS, bytes(16), bytes(16), b"abcd", 0xFFFE)
    session.command(0x6C, b"\3")
    with pytest.raises(ValueError, match="used up"):
        session.command(0x6C, b"\3")


@pytest.mark.parametrize("size", range(34))
def test_padding_comes_off_as_it_went_on(size):
    data = bytes(range(1, size + 1))
    assert ev2.unpad(ev2.pad(data)) == data and len(ev2.pad(data)) % 16 == 0


@pytest.mark.parametrize("data", [b"", bytes(16), b"\x80" + bytes(16), b"\1" * 16])
def test_padding_that_nobody_made(data):
    with pytest.raises(ev2.NotGenuine):
        ev2.unpad(data)
