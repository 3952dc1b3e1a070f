"""A reader that floods is heard less, and nobody else is heard later for it."""

from edge_agent.rate import BUCKETS_MAX, BURST, MESSAGES_PER_S, Rate
from tests.edge_agent.building import Building
from tests.edge_agent.peers import Ledger

A, B = 1001, 1002


def test_a_flood_is_cut_to_the_rate_and_a_pause_fills_the_bucket_again():
    rate = Rate()
    heard = sum(rate.may(A, now_ms) for now_ms in range(10_000) for _ in range(10))
    assert heard == BURST + (10_000 - 1) * MESSAGES_PER_S // 1000
    assert not rate.may(A, 10_000 - 1)
    assert rate.may(B, 10_000 - 1)
    assert sum(rate.may(A, 60_000) for _ in range(2 * BURST)) == BURST


def test_a_clock_that_stands_or_goes_back_gives_nothing():
    rate = Rate()
    assert sum(rate.may(A, 5_000) for _ in range(2 * BURST)) == BURST
    assert not rate.may(A, 4_000)


def test_invented_devices_do_not_fill_the_memory():
    rate = Rate()
    for device in range(3 * BUCKETS_MAX):
        assert rate.may(device, 0)
    assert len(rate._buckets) <= BUCKETS_MAX


def test_beside_a_flood_the_others_are_served_in_the_same_step(tmp_path):
    building = Building(tmp_path, Ledger([A, B]), [A, B])
    for reader in building.readers.values():
        reader.write(8)
    for _ in range(2 * BURST):
        building.say(A, building.readers[A].hello())
    building.say(B, building.readers[B].batch())
    building.step()
    assert building.stored(B) == [8]
    assert building.agent.counters["messages_too_many"] == BURST
