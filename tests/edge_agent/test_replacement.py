"""Agents come and go: a new empty box, an old one found again, the same inputs to two of them."""

import pytest

from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger

A, B = 1001, 1002


@pytest.fixture
def building(tmp_path):
    return Building(tmp_path, Ledger([A, B]), [A, B])


def test_an_empty_new_agent_takes_over(building, tmp_path):
    reader = building.readers[A]
    reader.write(24)
    building.play()
    reader.write(40)
    building.put(A, reader.journal[25:41])
    building.crash()  # stolen: 16 records were stored, not booked
    fresh = tmp_path / "new box"
    fresh.mkdir()
    building.folder = fresh
    building.start()
    building.play()
    assert building.ledger.head(A) == 64
    assert building.store.mark(A).receipted == 64


def test_batches_at_a_new_agent_before_any_hello_are_kept_and_then_counted(building):
    reader = building.readers[A]
    reader.write(24)
    building.ledger.booked[A] = reader.journal[:17]
    reader.receipted = reader.cursor = 16
    building.say(A, reader.batch())
    building.step()
    assert building.stored(A) == []
    assert building.store.count() == 8
    building.say(A, reader.hello())
    building.step()
    assert building.stored(A) == [24]
    assert building.store.mark(A).receipted == 0  # its word frees nothing
    building.settle()
    assert building.store.mark(A).receipted == 24


def test_an_old_agent_to_which_a_reader_returns_asks_the_ledger_about_its_leftovers(building):
    reader = building.readers[A]
    reader.write(16)
    building.upstream.down()
    building.put(A, reader.journal[1:])
    # Meanwhile the reader was elsewhere, where all this and more was booked.
    reader.write(16)
    building.ledger.booked[A] = list(reader.journal)
    reader.receipted = 32
    reader.write(8)
    building.port.sent()
    building.say(A, reader.hello())
    building.step()
    assert building.stored(A) == [32]
    assert building.store.count() == 16
    building.upstream.up()
    building.say(A, reader.batch(33))
    building.step(1_000)
    building.settle()
    building.step(1_000)
    assert building.store.mark(A).receipted == 40
    assert building.store.count() == 0


def test_two_runs_of_the_same_inputs_say_the_same(tmp_path):
    def run(folder):
        folder.mkdir()
        building = Building(folder, Ledger([A, B]), [A, B])
        said = []
        for device in (A, B):
            building.readers[device].write(100)
        for _ in range(30):
            for device, reader in building.readers.items():
                done = reader.cursor == reader.head
                building.say(device, reader.hello() if done else reader.batch())
            building.step(50)
            for topic, payload in building.port.sent():
                said.append((topic, payload))
                building.readers[int(topic.split("/")[3])].hear(payload)
            for payload in building.forwarded():
                said.append((SITE, payload))
                building.answer(building.ledger.answer(payload))
        return said

    assert run(tmp_path / "one") == run(tmp_path / "two")
