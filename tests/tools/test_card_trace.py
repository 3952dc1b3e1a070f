"""What is said between desk and card, decoded: every frame of a tap, and never a key."""

import json
import random

import pytest

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.drivers.mifare_classic import AuthFailed, CardRefused, Classic
from simulator.cards.mifare_classic import FACTORY_KEY, MifareClassic, value_block
from tests.drivers.desk import UID4, UID7
from tests.tools.cards import KEYS, assert_no_key, desk_with, onecard, written
from tools.card import decode, jobs, trace
from tools.card.errors import BadInput
from tools.card.trace import APDU, FRAME, Exchange, Recorder, octets
from tools.card.tray import TrayBoard


def meanings(exchanges):
    """The last column, both directions in order."""
    return [line.meaning for line in decode.decode(exchanges)]


def frame(sent, heard, bits=None, sent_bits=None):
    """A recorded frame from two hexadecimal strings; `heard` None for silence."""
    out, answer = bytes.fromhex(sent), None if heard is None else bytes.fromhex(heard)
    heard_bits = 8 * len(answer or b"") if bits is None else bits
    octets_heard = None if answer is None else octets(answer)
    return Exchange(FRAME, 0, 10, octets(out), sent_bits or 8 * len(out), octets_heard, heard_bits)


def recorded(*exchanges):
    recorder = Recorder()
    for exchange in exchanges:
        recorder.add(exchange)
    return recorder.exchanges


# ---------------------------------------------------------------- live


def test_a_tap_line_by_line():
    desk = desk_with(written(UID4))
    answer = jobs.tap(desk, KEYS)
    assert answer.exit_code == 0
    said = [line["meaning"] for line in answer.data["lines"]]
    assert said[:10] == [
        "WUPA",
        "ATQA, 4-byte uid",
        "ANTICOLL level 1, 0 bits known",
        "5 bytes",
        "SELECT level 1",
        "SAK: MIFARE Classic",
        "AUTH sector 1 (block 4) with key A: key **",
        "authentic",
        "READ block 4",
        "16 bytes",
    ]
    assert said[10:12] == ["AUTH sector 4 (block 16) with key B: key **", "authentic"]
    times = [line["t_us"] for line in answer.data["lines"]]
    assert times[0] == 0
    assert times == sorted(times)
    # Select 4.6 ms, four authentications and seven blocks: as the air and the card take them.
    assert 20_000 < times[-1] < 60_000
    assert_no_key("\n".join(answer.lines), UID4)


def test_a_tap_with_wrong_keys_ends_with_the_refusal():
    card = written(UID4)
    card.blocks[7] = bytes(6) + card.blocks[7][6:]
    desk = desk_with(card)
    answer = jobs.tap(desk, KEYS)
    said = [line["meaning"] for line in answer.data["lines"]]
    assert answer.exit_code == 1
    assert "no proof: wrong key or no card" in said


def test_value_operations_and_their_operands():
    card = MifareClassic(UID7)
    card.blocks[8] = value_block(1_000, 8)
    desk = desk_with(card)
    port = desk.card()
    port.authenticate(8, FACTORY_KEY, 0x60)
    port.decrement(8, 350)
    port.transfer(9)
    port.restore(9)
    said = meanings(desk.recorder.exchanges)
    at = said.index("DECREMENT block 8")
    assert said[at:] == [
        "DECREMENT block 8",
        "ACK",
        "  by 350",
        "consent by silence",
        "TRANSFER block 9",
        "ACK",
        "RESTORE block 9",
        "ACK",
        "  by 0",
        "consent by silence",
    ]


def test_a_refusal_a_collision_and_a_halt():
    card, other = MifareClassic(UID4), MifareClassic(bytes.fromhex("de3ac518"))
    desk = desk_with(card)
    port = desk.card()
    port.authenticate(8, FACTORY_KEY, 0x60)
    with pytest.raises(CardRefused):
        port.decrement(8, 1)  # no value stands there
    desk.board.field.place(other)
    desk.board.clock.advance_us(10_000)
    with pytest.raises(Exception, match="one card please"):
        desk_card_anew(desk).card()
    said = meanings(desk.recorder.exchanges)
    assert "NAK: not allowed" in said
    assert "collision" in said
    assert said[-2:] == ["HALT", "asleep"]


def desk_card_anew(desk):
    """Forget the card that lay there, as a fresh command does."""
    desk._pcd.card = None
    return desk


def test_a_damaged_answer_is_called_so():
    desk = desk_with(MifareClassic(UID4))
    port = desk.card()
    port.authenticate(8, FACTORY_KEY, 0x60)
    desk.board.field.disturb("flip_answer", 40)
    port.read(8)  # the driver asks again
    said = meanings(desk.recorder.exchanges)
    assert said.count("READ block 8") == 2
    assert said[said.index("READ block 8") + 1] == "damaged"


def test_tracing_changes_nothing_on_the_bus():
    """The same card, the same exchanges, with and without somebody listening."""

    def bus_traffic(make_chip):
        board = TrayBoard(MifareClassic(UID7))
        seen = []
        board.chip.on_exchange = lambda out, into: seen.append((out, into))
        pcd = Pcd(make_chip(board))
        card = Classic(pcd, pcd.poll())
        card.authenticate(8, FACTORY_KEY)
        card.write(8, bytes(range(16)))
        with pytest.raises(AuthFailed):
            card.authenticate(12, bytes(6))
        return seen

    traced = bus_traffic(lambda board: trace.TracedChip(board, Recorder()))
    assert traced == bus_traffic(Mfrc522)
    assert len(traced) > 50


# ---------------------------------------------------------------- without a card


@pytest.mark.parametrize(
    ("sent", "heard", "command", "answer"),
    [
        ("e050", "067577810280", "RATS, frames of up to 64 bytes", "ATS, 6 bytes"),
        ("9320", None, "ANTICOLL level 1, 0 bits known", "no answer"),
        ("953310a0", "11", "ANTICOLL level 2, 11 bits known", "1 bytes"),
        ("97700102030400", "20", "SELECT level 3", "SAK: ISO 14443-4"),
        ("ab", "00", "unknown command", "1 bytes"),
        ("50", "00", "unknown command", "1 bytes"),
    ],
)
def test_single_frames(sent, heard, command, answer):
    assert meanings(recorded(frame(sent, heard))) == [command, answer]


def test_iso_dep_and_native_commands():
    said = meanings(
        recorded(
            frame("e080", "067577810280"),
            frame("d01100", "d0"),
            frame("025a01caf0", "0200"),
            frame("0371010000", "03af" + "00" * 16),
            frame("02af" + "11" * 32, "f201"),
            frame("f201", "0200" + "22" * 32),
            frame("13ad01", "a3"),
            frame("b2", "1200aa"),
            frame("a2", "039d"),
            frame("0290af0000200000", "0391ae"),
            frame("c2", "c2"),
        )
    )
    assert said == [
        "RATS, frames of up to 256 bytes",
        "ATS, 6 bytes",
        "PPS",
        "PPS",
        "I-block 0: SelectApplication",
        "I-block 0: ok, 0 bytes",
        "I-block 1: AuthenticateEV2First",
        "I-block 1: more to come, 16 bytes",
        "I-block 0: AdditionalFrame",
        "S(WTX), 1 times",
        "S(WTX), 1 times",
        "I-block 0: ok, 32 bytes",
        "I-block 1, more follows: ReadData",
        "R(ACK) 1",
        "R(NAK) 0",
        "I-block 0, more follows: ok, 1 bytes",
        "R(ACK) 0",
        "I-block 1: permission denied, 0 bytes",
        "I-block 0: AdditionalFrame",
        "I-block 1: authentication error, 0 bytes",
        "S(DESELECT)",
        "S(DESELECT)",
    ]


def test_a_new_key_of_desfire_is_starred_in_every_block_that_carries_it():
    secret = "5ec2e7" * 10
    said = recorded(
        frame("e080", "067577810280"),
        frame("12c402" + secret[:40], "a2"),
        frame("03" + secret[40:], "0300"),
        frame("0290c400002102" + secret, "039100"),
        frame("03f5", "0300aa"),
    )
    shown = json.dumps([line.octets for line in decode.decode(said)]).replace(" ", "")
    assert "5ec2e7" not in shown
    assert "12c402**" in shown
    assert "03f5" in shown


def test_a_trailer_is_starred_when_written_and_when_read():
    secret = "c0ffee00beef"
    said = recorded(
        frame("a007", "0a", bits=4),
        frame(secret + "ff078069" + secret, "0a", bits=4),
        frame("3007", "00" * 6 + "ff078069" + secret),
        frame("a006", "0a", bits=4),
        frame(secret + "ff078069" + secret, "0a", bits=4),
    )
    rows = ["".join(exchange.sent) for exchange in said]
    assert rows[1] == "**" * 6 + "ff078069" + "**" * 6
    assert "".join(said[2].heard) == "**" * 6 + "ff078069" + "**" * 6
    assert rows[4].startswith(secret)  # data of block 6 is no key


def test_pcsc_keys_are_starred():
    secret = "c0ffee00beef"
    apdus = [
        ("ff82000006" + secret, "9000", "load key **", "ok, 0 bytes"),
        ("ff8600000501000760 00", "9000", "authenticate block 7 with key A", "ok, 0 bytes"),
        (
            "ffd6000710" + secret + "ff078069" + secret,
            "6982",
            "write block 7",
            "not authenticated, 0 bytes",
        ),
        (
            "ffb0000710",
            "00" * 6 + "ff078069" + secret + "9000",
            "read block 7",
            "ok, 16 bytes",
        ),
        ("ffca000000", "04a1b2c3d4e5f69000", "get uid", "ok, 7 bytes"),
        ("90c400001902" + secret * 4, "91ae", "ChangeKey key **", "authentication error, 0 bytes"),
    ]
    said = recorded(
        *(
            Exchange(APDU, 0, 1, octets(bytes.fromhex(out)), 0, octets(bytes.fromhex(into)))
            for out, into, _, _ in apdus
        )
    )
    assert meanings(said) == [text for *_, out, into in apdus for text in (out, into)]
    for exchange in said:
        assert secret not in "".join((*exchange.sent, *exchange.heard))


# ---------------------------------------------------------------- files


def test_a_trace_file_tells_the_same_as_the_tap(tmp_path):
    desk = desk_with(written(UID4))
    answer = jobs.tap(desk, KEYS)
    path = tmp_path / "trace.json"
    trace.save(path, desk.recorder.exchanges)
    assert trace.load(path) == desk.recorder.exchanges
    result = onecard("trace", "--file", path)
    assert (result.exit_code, result.stdout.splitlines()) == (0, answer.lines)
    result = onecard("trace", "--file", path, "--json")
    assert json.loads(result.stdout) == answer.data


def test_keys_in_somebody_elses_file_are_starred(tmp_path):
    path = tmp_path / "trace.json"
    row = {"start_us": 0, "end_us": 1, "sent_bits": 96, "heard": "", "heard_bits": 0, "note": ""}
    rows = [{**row, "kind": "auth", "sent": "6007c0ffee00beefde3ac417"}]
    path.write_text(json.dumps({"format": trace.FORMAT, "version": 1, "exchanges": rows}))
    result = onecard("trace", "--file", path)
    assert result.exit_code == 0
    assert "60 07 ** ** ** ** ** ** de 3a c4 17" in result.stdout


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop("sent"),
        lambda row: row.update(sent=""),
        lambda row: row.update(sent="5"),
        lambda row: row.update(sent="zz"),
        lambda row: row.update(sent="52", heard=7),
        lambda row: row.update(kind="dance"),
        lambda row: row.update(start_us="soon"),
        lambda row: row.update(sent=None),
    ],
)
def test_a_damaged_trace_file_is_told(tmp_path, spoil):
    path = tmp_path / "trace.json"
    trace.save(path, [frame("52", "0400")])
    data = json.loads(path.read_text())
    spoil(data["exchanges"][0])
    path.write_text(json.dumps(data))
    with pytest.raises(BadInput, match="exchange 0 is damaged"):
        trace.load(path)
    assert onecard("trace", "--file", path).exit_code == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "onecard card trace"}'])
def test_what_is_no_trace_file_is_told(tmp_path, text):
    path = tmp_path / "trace.json"
    path.write_text(text)
    result = onecard("trace", "--file", path)
    assert (result.exit_code, "trace.json" in result.stderr) == (2, True)


def test_any_bytes_are_decoded_somehow():
    """A trace is the last thing one has when nothing works: it must not fail itself."""
    dice = random.Random(5)
    exchanges = [frame("e080", "067577810280")] * 2
    for _ in range(20_000):
        sent = dice.randbytes(dice.choice((1, 1, 2, 2, 3, 5, 16, 20)))
        heard = dice.choice((None, b"", dice.randbytes(dice.choice((1, 2, 16)))))
        kind = dice.choice((FRAME, FRAME, APDU))
        bits = dice.choice((4, 8, 8 * len(heard or b"")))
        into = None if heard is None else octets(heard)
        sent_bits = 7 if dice.random() < 0.05 else 8 * len(sent)
        if dice.random() < 0.05:
            exchanges.append(frame("e080", "067577810280"))
        exchanges.append(Exchange(kind, 0, 1, octets(sent), sent_bits, into, bits))
    lines = list(decode.decode(recorded(*exchanges)))
    assert len(lines) == 2 * len(exchanges)
    assert all(line.meaning for line in lines)
