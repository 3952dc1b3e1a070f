"""What an agent knows of doors: the ledger's word, on disk, page by page for each door."""

from hashlib import sha256

import pytest

from edge_agent.cards import ASK_MS, HURRY_MS
from protocols.rules.access import PAGES_AT
from protocols.rules.card_status import PAGE_BYTES
from protocols.wire import access_news, card_news, topics
from tests.edge_agent.test_cards import DOWN, Centre, Site

DOOR, OTHER = 1001, 1002
OLD, NEW = b"o" * 600, b"n" * 300


class Doors(Site):
    def news(self, epoch, data, device=DOOR, word=b"word", label=access_news.LABEL, digest=b""):
        payload = access_news.encode(device, epoch, word, data, digest)
        self.give(self.ledger.signed(payload, label))

    def asks_of_doors(self):
        self.step()
        self.asks()
        return [access_news.decode_ask(payload) for payload in self.door_asks]


@pytest.fixture
def site(tmp_path):
    made = Doors(tmp_path, Centre((DOOR, OTHER)), (DOOR, OTHER), with_cards=True)
    made.step()
    return made


def test_it_asks_with_what_it_has_at_each_connection_and_now_and_then(site):
    assert site.asks_of_doors() == [{}]
    site.news(7, OLD)
    assert site.asks_of_doors() == []
    site.step(ASK_MS)
    assert site.asks_of_doors() == [{DOOR: 7}]
    site.crash()
    site.start()
    assert site.asks_of_doors() == [{DOOR: 7}]


def test_a_hint_makes_it_ask_and_the_same_hint_does_not(site):
    site.step(HURRY_MS)
    site.asks_of_doors()
    for asked in (1, 0):
        site.upstream.deliver(topics.LEDGER_CARDS, access_news.encode_hint(3))
        site.step(HURRY_MS)
        site.step()
        assert len(site.asks_of_doors()) == asked


def test_a_door_is_told_whenever_the_ledger_speaks_of_it(site):
    """A word may get lost where no connection does, or be under a key that has been replaced."""
    site.news(7, OLD)
    assert site.told(DOOR) == [(0, PAGES_AT, b"word")] and site.told(OTHER) == []
    site.port.published = []
    site.news(7, b"", word=b"the same, under another key")
    site.news(6, NEW, word=b"late")
    again = (0, PAGES_AT, b"the same, under another key")
    assert site.told(DOOR) == [again, again]


def test_a_door_fetches_its_map_page_by_page(site):
    site.news(7, OLD)
    site.port.published = []
    got = b""
    for page in range(1, 4):
        got += site.ask(DOOR, 7, PAGES_AT + page)[-1][2]
    assert got == OLD
    site.port.published = []
    assert site.ask(DOOR, 7, PAGES_AT + 4) == [(7, PAGES_AT + 4, b"")]


def test_of_a_map_that_was_replaced_it_tells_what_is_new(site):
    site.news(7, OLD)
    site.news(8, NEW, word=b"newer")
    site.port.published = []
    assert site.ask(DOOR, 7, PAGES_AT + 2) == [(0, PAGES_AT, b"newer")]
    assert site.ask(DOOR, 8, PAGES_AT + 1)[-1] == (8, PAGES_AT + 1, NEW[:PAGE_BYTES])


def test_nothing_older_replaces_what_it_has(site):
    site.news(8, NEW, word=b"newer")
    site.news(7, OLD)
    site.port.published = []
    assert site.ask(DOOR, 0, PAGES_AT) == [(0, PAGES_AT, b"newer")]


def test_the_word_for_a_map_it_does_not_have_makes_it_ask(site):
    site.asks_of_doors()
    site.news(7, b"")
    site.step(HURRY_MS)
    assert site.asks_of_doors() == [{}]
    assert site.agent.counters["door_gaps"] == 1


def test_another_map_under_the_same_number_is_forgotten_and_comes_anew(site):
    """Books that came back from a backup have gone on otherwise than those that were lost."""
    old, new = (sha256(data).digest()[:16] for data in (OLD, NEW))
    for device in (DOOR, OTHER):
        site.news(7, OLD, device)
    site.news(7, b"", digest=old)
    site.asks_of_doors()
    site.news(7, b"", digest=new, word=b"of another")
    site.step(HURRY_MS)
    assert site.asks_of_doors() == [{OTHER: 7}]
    assert site.told(DOOR)[-1] == (0, PAGES_AT, b"word")
    site.news(7, NEW, digest=new, word=b"of another")
    site.port.published = []
    assert site.ask(DOOR, 7, PAGES_AT + 1)[-1] == (7, PAGES_AT + 1, NEW[:PAGE_BYTES])
    site.crash()
    site.start()
    assert site.history.access(DOOR) == (7, b"of another", NEW)


def test_a_door_that_the_ledger_has_said_nothing_of(site):
    assert site.ask(OTHER, 0, PAGES_AT) == []
    assert site.agent.counters["doors_unknown"] == 1


@pytest.mark.parametrize("label", [card_news.LABEL, b"", b"receipts"])
def test_only_what_the_ledger_has_signed_as_such_is_kept(site, label):
    site.news(7, OLD, label=label)
    site.give(b"noise")
    site.upstream.deliver(DOWN, b"", retain=True)
    site.step()
    assert site.ask(DOOR, 0, PAGES_AT) == []


def test_a_broken_disk_says_nothing_and_asks_again(site):
    site.asks_of_doors()
    site.history._db.close()
    site.news(7, OLD)
    assert site.told(DOOR) == []
    assert site.ask(DOOR, 0, PAGES_AT) == []
    assert site.agent.counters["store_unavailable"] >= 2
