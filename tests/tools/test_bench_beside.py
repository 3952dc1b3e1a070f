"""`onecard bench agent_beside`: what it counts is what happened."""

import json

from protocols.wire import messages, topics
from tests.tools.test_bench import check_shape
from tools.bench.agent_beside import Run, Size, Tally, _rates, run, tally
from tools.bench.beside_buildings import bridge
from tools.bench.beside_upstream import GATEWAY_TELEMETRY, mark, marks, records_in
from tools.bench.load_reader import batch_of
from tools.bench.prepared import SITE, Campus, Device

SENT = [b"1", b"2", b"3", b"4"]


def test_what_is_lost_and_repeated():
    assert tally(SENT, SENT) == Tally(4, 0, 0)
    assert tally(SENT, [b"4", b"1", b"3", b"2"]) == Tally(4, 0, 0), "order is nobody's promise"
    assert tally(SENT, [b"1", b"1", b"1", b"3"]) == Tally(4, 2, 2)
    assert tally(SENT, []) == Tally(4, 4, 0)
    # What the first reader said until it came through is not of this run.
    assert tally(SENT, [b"0", b"0", *SENT]) == Tally(4, 0, 0)


def test_a_record_is_found_in_all_that_carries_it():
    device = Device(0, 4)
    batch, count = batch_of(device, 0, records_max=3)
    assert count == 3
    telemetry = {"readers": [{"ts": 1, "values": {"a": batch.hex(), "b": batch.hex()}}]}
    assert records_in(topics.up(SITE, 1001), batch) == device.records[:3]
    assert records_in(topics.agent_records(SITE), Campus([device], 4).forwards()[0]) == (
        device.records
    )
    assert records_in(GATEWAY_TELEMETRY, json.dumps(telemetry).encode()) == device.records[:3] * 2
    hello = {"device": 1001, "boot_id": 7, "receipted": 0, "head": 8}
    assert records_in(topics.up(SITE, 1001), messages.encode_message(messages.HELLO, hello)) == []


def test_half_a_mark_is_not_counted_yet(tmp_path):
    path = tmp_path / "arrived"
    path.write_bytes(mark(b"1") + mark(b"2") + mark(b"3")[:5])
    assert marks(path) == [mark(b"1"), mark(b"2")]


def test_all_that_a_bridge_carries_is_counted(mosquitto):
    found = run(bridge(on_changes=True), Size(4, 10, quiet_s=5.0), 8)
    assert found.tally == Tally(sent=80, lost=0, repeated=0)
    assert found.per_s > 0 and found.cpu_us > 0 and found.peak_mib > 1
    (rate, cpu, memory) = check_shape("agent_beside", _rates("8", found, found, "a bridge"))
    assert [row["unit"] for row in (rate, cpu, memory)] == ["records/s", "us a record", "MiB"]
    assert rate["other"] == round(found.per_s)


def test_a_rate_with_a_lost_record_is_none():
    found = Run(1000.0, 10.0, 20.0, Tally(sent=80, lost=1, repeated=0))
    rate, cpu, _memory = check_shape("agent_beside", _rates("8", found, found, "a bridge"))
    assert (rate["ours"], rate["other"]) == (1000, None) and cpu["other"] is None
