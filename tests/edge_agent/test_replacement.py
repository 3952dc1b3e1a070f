"""Agents come and go: a new empty box, an old one found again, the same inputs to two of them."""

import pytest

from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger, Reader

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


def test_batches_at_a_new_agent_before_any_hello_only_make_the_reader_say_hello(building):
    reader = building.readers[A]
    reader.write(24)
    building.ledger.booked[A] = reader.journal[:17]
    reader.receipted = reader.cursor = 16
    building.say(A, reader.batch())
    building.step()
    assert building.answers(A) == []
    assert building.store.count() == 0  # nobody was told that we have it
    building.say(A, reader.hello())
    building.step()
    assert building.stored(A) == [16]
    assert building.store.mark(A).receipted == 0  # its word frees nothing
    building.say(A, reader.batch())
    building.step()
    assert building.stored(A) == [24]
    building.settle()
    assert building.store.mark(A).receipted == 24


def test_a_new_agent_learns_from_the_ledger_what_the_reader_has_not_heard(building):
    # Booked through the agent before this one, and the receipts lost together with it.
    reader = building.readers[A]
    reader.write(40)
    building.ledger.booked[A] = reader.journal[:33]
    reader.receipted = reader.cursor = 8
    building.say(A, reader.hello())
    building.step()
    building.say(A, reader.batch())  # 9 to 16 of a journal that is booked up to 32
    building.step()
    building.settle()
    building.step()
    assert building.store.mark(A).receipted == 32
    for _topic, payload in building.port.sent():
        reader.hear(payload)
    assert reader.receipted == 32
    reader.cursor = max(reader.cursor, reader.receipted)
    building.play()
    building.step(600)
    assert building.ledger.head(A) == 40
    assert building.store.count() == 0
    assert building.ledger.received.keys() == {(A, seq) for seq in (*range(9, 17), *range(33, 41))}


def test_what_only_the_lost_agent_had_the_reader_sends_again(building, tmp_path):
    reader = building.readers[A]
    reader.write(24)
    building.upstream.down()
    for first in (1, 9, 17):
        building.say(A, reader.batch(first))
    building.step()
    for _topic, payload in building.port.sent():
        reader.hear(payload)
    assert (reader.cursor, reader.receipted) == (24, 0)  # stored is not booked: nothing is freed
    building.crash()
    building.folder = tmp_path / "new box"
    building.folder.mkdir()
    building.start()
    building.play()
    building.step(600)
    assert building.ledger.head(A) == reader.receipted == 24
    assert building.store.count() == 0


@pytest.mark.parametrize("first", [0, 1])
def test_two_agents_at_once_for_one_building(tmp_path, first):
    """The old box comes back to life beside the new one: both hear everything, both answer."""
    ledger = Ledger([A, B])
    boxes = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        boxes.append(Building(tmp_path / name, ledger, []))
    readers = {device: Reader(device) for device in (A, B)}
    for device, reader in readers.items():
        reader.write(20)
        boxes[0].put(device, reader.journal[1:])  # of before: only the old box has them
    for reader in readers.values():
        reader.write(40)
    for turn in range(40):
        for reader in readers.values():
            is_asking = turn % 4 == 0 or reader.cursor == reader.head
            payload = reader.hello() if is_asking else reader.batch()
            for box in boxes:
                box.say(reader.device, payload)
        for box in boxes if first == 0 else boxes[::-1]:
            box.step(500)
            for topic, payload in box.port.sent():
                readers[int(topic.split("/")[3])].hear(payload)
            for payload in box.forwarded():
                answer = ledger.answer(payload)
                for other in boxes:  # receipts go to a site, and both are that site
                    other.answer(answer)
    for box in boxes:
        box.settle()
        box.step(600)
        box.step(600)
    for device, reader in readers.items():
        assert ledger.booked[device] == reader.journal
        assert reader.receipted == 60
        assert [box.store.mark(device).receipted for box in boxes] == [60, 60]
    assert [box.store.count() for box in boxes] == [0, 0]
    assert [box.store.first_refused(A, 0) for box in boxes] == [None, None]


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
