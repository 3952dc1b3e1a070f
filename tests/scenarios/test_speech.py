"""A window that speaks, end to end and in both homes: amount and result, and nothing else.

What was said is decoded here once more, from the bytes that left the reader's pin.
"""

import re

import pytest

from firmware.drivers import syn6288
from firmware.services.panel import Panel
from ledger.store import LedgerStore
from protocols.wire import messages, seal
from simulator.run import run_scenario

EXPECTED = [
    *("扣款3.50元", "扣款51.00元", "失败", "失败", "扣款7.80元", "撤销7.80元"),
    # One was paid on battery, in silence.
    "扣款1.00元",
]


@pytest.fixture(scope="module")
def path(repo_root):
    return repo_root / "simulator" / "scenarios" / "speech.toml"


def spoken(log):
    """(reader, text) of every frame on a pole display's line, by the data sheet's words."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines():
        _, who, what, *data = line.split(" ")
        data = bytes.fromhex(data[0]) if what == "display" and data else b""
        for at in (at for at, byte in enumerate(data) if byte == 0xFD):
            if data[at - 3 : at] != b"\x1b=\x01":
                continue  # the check byte of the frame before
            length = int.from_bytes(data[at + 1 : at + 3], "big")
            frame = data[at : at + 3 + length]
            check = 0
            for byte in frame[:-1]:
                check ^= byte
            assert frame[-1] == check and frame[3:5] == b"\x01\x00"
            assert data[at + 3 + length :][:3] == b"\x1b=\x02"
            found.append((who, frame[5:-1].decode("gb2312")))
    return found


def test_amount_and_result_and_nothing_else(path, micropython, tmp_path):
    host = run_scenario(path, broker="amqtt", keep=tmp_path / "kept")
    vm = run_scenario(path, home="vm", broker="amqtt")
    for report in (host, vm):
        assert (report.failures, report.violations, report.timed_out) == ([], [], False)
    assert host.transcript_sha256 == vm.transcript_sha256
    frames = spoken(tmp_path / "kept" / "events.log")
    assert {who for who, _ in frames} == {"pos-1"}
    assert all(text.startswith("[v10]") for _, text in frames)
    said = [text.removeprefix("[v10]") for _, text in frames]
    assert said == EXPECTED
    assert all(re.fullmatch(r"(扣款|撤销)\d+\.\d\d元|失败", text) for text in said)
    # What is said to be taken was: the books have each of them, and one more.
    store = LedgerStore.open(str(tmp_path / "kept" / "ledger.sqlite"))
    rows = store.database.rows("SELECT sealed FROM record WHERE device = 1001 ORDER BY seq")
    records = [messages.decode_record(seal.payload_of(sealed)) for (sealed,) in rows]
    store.close()
    paid = [one["amount_fen"] for one in records if one["kind"] == messages.INTENT]
    assert [fen for fen in paid if fen] == [350, 5100, 780, 220, 100]


@pytest.mark.parametrize("slip", ["balance", "broken"])
def test_who_says_more_is_named(path, monkeypatch, slip):
    """Planted: a panel that tells the balance, and frames that nobody understands."""
    if slip == "balance":
        paid = Panel.paid

        def telling(self, amount_fen, balance_fen, is_online, now_ms):
            paid(self, amount_fen, balance_fen, is_online, now_ms)
            self._speak("余额".encode("gb2312"), f"{balance_fen // 100}.00")

        monkeypatch.setattr(Panel, "paid", telling)
    else:
        frame = syn6288.frame
        monkeypatch.setattr(syn6288, "frame", lambda *said: frame(*said)[:-1] + b"\x00")
    report = run_scenario(path, depth="card", broker="amqtt")
    said = {"balance": "pos-1 says '余额", "broken": "pos-1 speaks in broken frames"}[slip]
    assert any(found.startswith(said) for found in report.violations), report.violations
