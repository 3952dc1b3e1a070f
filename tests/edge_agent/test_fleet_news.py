"""Readers that have ended: nobody waits for them, and what they tell all the same goes on."""

import pytest

from protocols.wire import cbor, fleet_news, policy_news
from protocols.wire.errors import BAD_FIELD, BAD_SIGNATURE, TOO_LONG, WireError
from tests.edge_agent.test_cards import Centre, Site

A, B = 1001, 1002


class Office(Site):
    def ended(self, *devices, label=fleet_news.LABEL):
        self.give(self.ledger.signed(fleet_news.encode(devices), label))

    def hello(self, device):
        self.say(device, self.readers[device].hello())
        self.step()

    def shown(self):
        return [one["device"] for one in self.agent.readers()]


@pytest.fixture
def site(tmp_path):
    made = Office(tmp_path, Centre((A, B)), (A, B), with_cards=True)
    made.step()
    for device in (A, B):
        made.hello(device)
    return made


def test_one_that_has_ended_is_in_the_fleet_no_more(site):
    assert site.shown() == [A, B]
    for _ in range(2):
        site.ended(A)
        assert site.shown() == [B]
    site.ended(A, 1009)  # one that never spoke here
    assert site.shown() == [B]


def test_it_is_known_behind_a_restart_and_one_that_is_still_on_is_shown(site):
    site.ended(A)
    site.inventory.flush()
    site.crash()
    site.start()
    later_s = site.inventory.utc_s() + 60
    site.inventory.utc_s = lambda: later_s
    for device in (A, B):
        site.hello(device)  # it is on, though the ledger says that it has ended
    assert site.shown() == [A, B]
    site.ended(A)
    assert site.shown() == [A, B]  # it was heard since: somebody has to look


def test_one_that_speaks_all_the_same_is_shown_and_what_it_tells_goes_on(site):
    site.ended(A)
    later_s = site.inventory.utc_s() + 60
    site.inventory.utc_s = lambda: later_s
    site.hello(A)
    (found,) = [one for one in site.agent.readers() if one["device"] == A]
    assert found["ended_s"] < found["last_seen_s"]
    site.ended(A)
    assert A in site.shown()  # said again, it hides nothing


def test_one_that_only_the_disk_knows_is_none_either(site):
    """The inventory was damaged and put aside: a reader that has ended never speaks again."""
    for reader in site.readers.values():
        reader.write(1)
    site.play()
    site.crash()
    (site.folder / "inventory.json").unlink(missing_ok=True)
    site.start()
    site.settle()
    assert site.shown() == [A, B]
    site.ended(A)
    assert site.shown() == [B]
    site.hello(A)
    assert site.shown() == [A, B]


@pytest.mark.parametrize("label", [policy_news.LABEL, b"fleet"])
def test_under_another_label_it_is_nothing(site, label):
    site.ended(A, label=label)
    assert site.shown() == [A, B]
    counted = site.agent.counters
    if label == b"fleet":
        assert counted[f"bad_receipts_{BAD_SIGNATURE}"] == 1


def test_what_is_no_list_of_readers():
    assert fleet_news.decode(fleet_news.encode([])) == []
    assert fleet_news.decode(fleet_news.encode([1, 7, 0xFFFFFFFF])) == [1, 7, 0xFFFFFFFF]
    for wrong in ([0], [2, 2], [3, 1], [True], [1 << 32], ["1"], 7, list(range(1, 1026))):
        with pytest.raises(WireError) as refused:
            fleet_news.decode(cbor.encode(wrong))
        assert refused.value.code == BAD_FIELD, wrong
    with pytest.raises(WireError) as refused:
        fleet_news.decode(bytes(fleet_news.BYTES_MAX + 1))
    assert refused.value.code == TOO_LONG
