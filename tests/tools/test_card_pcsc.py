"""The PC/SC desk: which APDUs it sends, and what it makes of status bytes.

No PC/SC reader is here. `Reader` below answers the pseudo-APDUs as PC/SC part 3 words them, with
our own driver and the card model behind it; which status a real reader gives where the standard
leaves the choice is written in STATUSES and has not been seen on one.
"""

import random
import sys
from types import ModuleType, SimpleNamespace

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from simulator.cards.desfire import Desfire
from simulator.cards.mifare_classic import FACTORY_KEY, MifareClassic
from tests.drivers.desk import UID4, UID7
from tests.tools.cards import DESFIRE_KEYS, KEYS, ORDER, desk_with, deviations, onecard, written
from tools.card import classic_check, desfire, desfire_check, jobs
from tools.card.classic import write_card
from tools.card.decode import decode
from tools.card.errors import DeskMissing
from tools.card.order import WRITTEN
from tools.card.pcsc import PcscDesk, PcscPort, PcscRefused, sak_of
from tools.card.trace import Recorder

ATR_1K = bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")
ATR_4K = bytes.fromhex("3b8f8001804f0ca0000003060300020000000069")
ATR_ULTRALIGHT = bytes.fromhex("3b8f8001804f0ca0000003060300030000000068")
ATR_DESFIRE = bytes.fromhex("3b8180018080")

OK, FAILED = b"\x90\x00", b"\x63\x00"


class Reader:
    """A reader with a card on it: pseudo-APDU in, answer and status bytes out."""

    def __init__(self, card):
        self.desk = desk_with(card)
        self._port = self.desk.card()
        self._key = bytes(6)
        self.log = []

    def __call__(self, command):
        self.log.append(command)
        head, body = command[:2], command[5:]
        acts = {
            b"\xff\xca": lambda: self._uid(),
            b"\xff\x82": lambda: self._load(body),
            b"\xff\x86": lambda: self._port.authenticate(body[2], self._key, body[3]),
            b"\xff\xb0": lambda: self._port.read(command[3]),
            b"\xff\xd6": lambda: self._port.write(command[3], body),
        }
        assert len(body) == (0 if command[1] in (0xB0, 0xCA) else command[4])
        try:
            return (acts[head]() or b"") + OK
        except (AuthFailed, CardRefused, CardGone):
            return FAILED

    def _uid(self):
        self._port.reselect()
        return self._port.uid

    def _load(self, key):
        self._key = key


def port_on(card, atr=ATR_1K):
    reader = Reader(card)
    return PcscPort(reader, atr, Recorder()), reader


@pytest.mark.parametrize("uid", [UID4, UID7])
def test_a_card_is_personalised_and_verified_through_apdus(uid):
    card = MifareClassic(uid)
    port, reader = port_on(card)
    assert (port.uid, port.sak) == (uid, 0x08)
    assert write_card(port, ORDER, KEYS, False) == WRITTEN
    assert classic_check.check(port, KEYS).deviations == []
    assert deviations(card) == []
    assert {bytes(command[:2]).hex() for command in reader.log} == {
        *("ffca", "ff82", "ff86", "ffb0", "ffd6")
    }


def test_the_apdus_word_by_word():
    port, reader = port_on(MifareClassic(UID7))
    port.authenticate(8, FACTORY_KEY, 0x60)
    port.write(8, bytes(range(16)))
    assert port.read(8) == bytes(range(16))
    assert [command.hex() for command in reader.log] == [
        "ffca000000",
        "ff82000006ffffffffffff",
        "ff860000050100086000",
        "ffd6000810000102030405060708090a0b0c0d0e0f",
        "ffb0000810",
    ]


def test_a_wrong_key_and_a_block_that_may_not_be_written():
    port, reader = port_on(written(UID7))
    with pytest.raises(AuthFailed):
        port.authenticate(8, FACTORY_KEY, 0x60)
    with pytest.raises(PcscRefused, match="6300"):
        port.read(8)  # the card is there, so it was a refusal
    assert [c[:2].hex() for c in reader.log[-2:]] == ["ffb0", "ffca"]


def test_a_card_that_left_and_one_that_was_changed():
    card = MifareClassic(UID7)
    port, reader = port_on(card)
    port.authenticate(8, FACTORY_KEY, 0x60)
    reader.desk.board.field.remove(card)
    with pytest.raises(CardGone):
        port.read(8)
    other = PcscPort(lambda _command: UID4 + OK, ATR_1K, Recorder())
    other.uid = UID7
    with pytest.raises(CardGone, match="another card"):
        other.reselect()


def test_a_desfire_through_wrapped_commands():
    """Every native command goes as 90 INS 00 00 Lc data 00, the model takes those as well."""
    card = Desfire(UID7, random.Random(0))
    log = []

    def transmit(command):
        log.append(command[0])
        return UID7 + OK if command[0] == 0xFF else card.apply(command, 0)[0]

    port = PcscPort(transmit, ATR_DESFIRE, Recorder())
    assert port.sak == 0x20
    assert desfire.write_card(port, ORDER, DESFIRE_KEYS, False) == WRITTEN
    assert desfire_check.check(port, DESFIRE_KEYS).deviations == []
    assert log.count(0xFF) == 1
    assert len(log) > 50
    port = PcscPort(lambda command: UID7 + OK if command[0] == 0xFF else FAILED, b"", Recorder())
    with pytest.raises(CardGone, match="6300"):
        port.transmit(b"\x60")


# Status bytes -> what a read with them is. 6300 and 6401 say nothing: the uid is asked for.
STATUSES = {
    "6300": PcscRefused,
    "6401": PcscRefused,
    "6581": PcscRefused,
    "6700": PcscRefused,
    "6981": PcscRefused,
    "6982": PcscRefused,
    "6986": PcscRefused,
    "6a81": PcscRefused,
    "6a82": PcscRefused,
    "": CardGone,
    "90": CardGone,
    "9000": CardGone,  # success without the 16 bytes
}


@pytest.mark.parametrize(("status", "error"), list(STATUSES.items()))
def test_the_status_of_a_read(status, error):
    def transmit(command):
        return UID7 + OK if command[1] == 0xCA else bytes.fromhex(status)

    port = PcscPort(transmit, ATR_1K, Recorder())
    with pytest.raises(error):
        port.read(8)


@pytest.mark.parametrize(
    ("status", "error"),
    [("6300", AuthFailed), ("6982", AuthFailed), ("6983", AuthFailed), ("6700", PcscRefused)],
)
def test_the_status_of_an_authentication(status, error):
    def transmit(command):
        return {0xCA: UID7 + OK, 0x82: OK, 0x86: bytes.fromhex(status)}[command[1]]

    port = PcscPort(transmit, ATR_1K, Recorder())
    with pytest.raises(error):
        port.authenticate(8, FACTORY_KEY, 0x60)


def test_a_reader_that_takes_no_key():
    def transmit(command):
        return {0xCA: UID7 + OK, 0x82: bytes.fromhex("6a81")}[command[1]]

    with pytest.raises(PcscRefused, match="6A81"):
        PcscPort(transmit, ATR_1K, Recorder()).authenticate(8, FACTORY_KEY, 0x60)


@pytest.mark.parametrize(
    ("atr", "sak"),
    [(ATR_1K, 0x08), (ATR_4K, 0x18), (ATR_ULTRALIGHT, 0x00), (ATR_DESFIRE, 0x20), (b"", 0x20)],
)
def test_the_kind_of_card_stands_in_the_atr(atr, sak):
    assert sak_of(atr) == sak


def test_no_uid_is_no_card():
    for answer in (b"", FAILED, b"\x01\x02" + OK):
        with pytest.raises(CardGone):
            PcscPort(lambda _command, answer=answer: answer, ATR_1K, Recorder())


def test_the_trace_shows_apdus_and_no_key():
    port, _reader = port_on(MifareClassic(UID7))
    secret = bytes.fromhex("c0ffee00beef")
    with pytest.raises(AuthFailed):
        port.authenticate(8, secret, 0x61)
    lines = list(decode(port._recorder.exchanges))
    assert [line.meaning for line in lines] == [
        *("get uid", "ok, 7 bytes", "load key **", "ok, 0 bytes"),
        *("authenticate block 8 with key B", "failed, 0 bytes"),
    ]
    assert "c0 ff" not in " ".join(line.octets for line in lines)


# ---------------------------------------------------------------- pyscard


class SmartcardException(Exception):
    pass


@pytest.fixture
def pyscard(monkeypatch):
    """The two modules of pyscard that are asked for; `readers` is what is plugged in."""
    plugged = SimpleNamespace(readers=[])
    system, errors = ModuleType("smartcard.System"), ModuleType("smartcard.Exceptions")
    vars(system)["readers"] = lambda: plugged.readers
    vars(errors)["SmartcardException"] = SmartcardException
    monkeypatch.setitem(sys.modules, "smartcard", ModuleType("smartcard"))
    monkeypatch.setitem(sys.modules, "smartcard.System", system)
    monkeypatch.setitem(sys.modules, "smartcard.Exceptions", errors)
    return plugged


class Plugged:
    """A reader as pyscard shows it, with its only connection."""

    def __init__(self, name, card=None):
        self._name = name
        self._reader = None if card is None else Reader(card)
        self.is_open = False

    def __str__(self):
        return self._name

    def createConnection(self):  # noqa: N802 (pyscard's name)
        return self

    def connect(self):
        if self._reader is None:
            raise SmartcardException("no smart card inserted")
        self.is_open = True

    def disconnect(self):
        self.is_open = False

    def getATR(self):  # noqa: N802
        return list(ATR_1K)

    def transmit(self, command):
        answer = self._reader(bytes(command))
        return list(answer[:-2]), answer[-2], answer[-1]


def test_info_through_pyscard(pyscard):
    plugged = Plugged("ACS ACR122U 00 00", written(UID7))
    pyscard.readers = [Plugged("Broadcom slot"), plugged]
    desk = PcscDesk("acr122")
    said = jobs.info(desk, KEYS, None).data
    assert (said["desk"], said["belongs"], said["uid"]) == (
        "pcsc ACS ACR122U 00 00",
        "ours",
        UID7.hex(),
    )
    assert plugged.is_open
    desk.close()
    assert not plugged.is_open


def test_a_reader_that_is_not_plugged_in(pyscard):
    pyscard.readers = [Plugged("Broadcom slot")]
    with pytest.raises(DeskMissing, match="there are: Broadcom slot"):
        PcscDesk("acr122")
    result = onecard("info", "--desk", "pcsc")
    assert (result.exit_code, result.stderr) == (1, "onecard: no card on the desk\n")


def test_without_pyscard_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "smartcard", None)
    monkeypatch.setitem(sys.modules, "smartcard.System", None)
    result = onecard("info", "--desk", "pcsc")
    assert result.exit_code == 2
    assert "pip install pyscard" in result.stderr
