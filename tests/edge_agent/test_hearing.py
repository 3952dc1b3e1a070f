"""A reader that floods loses its listener for a while; nobody else is heard later, or less."""

import pytest

from edge_agent.hearing import SHUN_MS, SHUNNED_MAX
from edge_agent.rate import BURST, FLOOD
from edge_agent.service import reader_subscriptions
from protocols.wire import topics
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger, Reader

A, B, C = 1001, 1002, 1003
EVERYBODY = reader_subscriptions(SITE)


@pytest.fixture
def building(tmp_path):
    return Building(tmp_path, Ledger([A, B]), [A, B])


def _up(*devices, site=SITE):
    return [topics.up(site, device) for device in devices]


def _flood(building, device=A, messages=BURST + FLOOD, site=SITE):
    for _ in range(messages):
        building.port.deliver(topics.up(site, device), Reader(device).hello())
    building.step()


def test_the_others_are_served_in_the_same_step(building):
    for reader in building.readers.values():
        reader.write(8)
    for _ in range(2 * BURST):
        building.say(A, building.readers[A].hello())
    building.say(B, building.readers[B].batch())
    building.step()
    assert building.stored(B) == [8]
    assert building.agent.counters["messages_too_many"] == BURST


def test_a_flooder_loses_its_listener_and_nobody_else_does(building):
    building.say(B, building.readers[B].hello())
    _flood(building, messages=BURST + FLOOD - 1)
    assert building.port.listens == []  # too much, and no flood yet
    _flood(building, messages=3 * BURST)
    assert building.port.listens == [_up(B)]
    assert list(building.agent.hearing.events) == [("reader_floods", {"site": SITE, "device": A})]
    assert building.agent.status()["readers_shunned"] == 1
    shown = {each["device"]: each.get("is_shunned") for each in building.agent.readers()}
    assert shown == {A: 1, B: None}


def test_what_was_on_its_way_is_acknowledged_unread(building):
    _flood(building)
    before = building.agent.counters["hellos"]
    message = building.say(A, building.readers[A].hello())
    building.step(SHUN_MS - 1)
    assert building.port.acked[-1] is message
    assert building.agent.counters["hellos"] == before


def test_after_a_minute_all_are_heard_and_who_still_floods_is_not(building):
    _flood(building)
    assert building.step(0) <= building.now_ms + SHUN_MS
    building.step(SHUN_MS)
    assert building.port.listens[-1] == EVERYBODY
    assert building.agent.hearing.events[-1] == ("reader_heard_again", {"site": SITE, "device": A})
    building.readers[A].write(8)
    building.say(A, building.readers[A].batch())
    building.step()
    assert building.stored(A)[-1] == 8  # it has kept its records, and is well again
    _flood(building)
    assert building.port.listens[-1] == []
    assert len(building.port.listens) == 3


def test_who_is_only_on_the_disk_is_heard_by_an_agent_that_begins_in_a_flood(building):
    building.readers[B].write(8)
    building.say(B, building.readers[B].batch())
    building.say(C, Reader(C).hello())  # said who it is, and has nothing stored
    building.step()
    building.inventory.flush()
    building.crash()
    building.start()
    _flood(building)
    assert building.port.listens == [_up(B, C)]


def test_two_that_flood_end_one_after_the_other(building):
    building.say(C, Reader(C).hello())
    _flood(building, A)
    building.now_ms += 10_000
    _flood(building, B)
    assert building.port.listens == [_up(C), _up(C)]
    building.step(SHUN_MS - 10_000)
    assert building.port.listens[-1] == _up(A, C)
    building.step(10_000)
    assert building.port.listens[-1] == EVERYBODY


def test_who_was_moved_is_heard_beside_a_flood_and_a_number_elsewhere_is_another_reader(tmp_path):
    building = Building(tmp_path, Ledger([A, B]), [A, B], strangers=True)
    building.say(A, building.readers[A].hello())
    _flood(building, A, site="elsewhere")
    building.port.deliver(topics.up("third", B), Reader(B).hello())
    building.readers[A].write(8)
    building.say(A, building.readers[A].batch())
    building.step()
    assert building.port.listens == [_up(A)]
    assert building.stored(A)[-1] == 8
    _flood(building, C)
    assert building.port.listens[-1] == sorted(_up(A) + _up(B, site="third"))


def test_nobody_of_another_site_is_asked_for_where_no_stranger_is_heard(building):
    building.port.deliver(topics.up("elsewhere", B), Reader(B).hello())
    building.port.deliver("x" * 70_000, b"")
    _flood(building)
    assert building.port.listens == [[]]


def test_names_that_are_invented_take_a_bounded_part_of_the_memory(building):
    for device in range(1, SHUNNED_MAX + 10):
        _flood(building, device)
    assert len(building.agent.hearing.shunned()) == SHUNNED_MAX
    building.readers[A].write(8)
    building.say(A, building.readers[A].batch())
    building.step()
    assert building.stored(A)[-1] == 8


class _Line:
    """A serial line on which somebody says too much."""

    url, connected, last_error, devices, counters = "loop://", True, "", [C], {}

    def __init__(self):
        self.waiting = [(C, Reader(C).hello())] * (2 * (BURST + FLOOD))

    def take(self):
        return self.waiting.pop() if self.waiting else None

    def publish(self, device, payload):
        return True


def test_a_line_is_heard_less_and_the_network_as_before(tmp_path):
    building = Building(tmp_path, Ledger([A]), [A], lines=[_Line()])
    building.readers[A].write(8)
    building.say(A, building.readers[A].batch())
    building.step()
    assert building.stored(A)[-1] == 8
    assert building.agent.counters["messages_too_many"] == BURST + 2 * FLOOD
    assert building.port.listens == []
