"""What an agent has of menus: the newest of each POS on disk, and what it says while away."""

import pytest

from edge_agent.card_history import CardHistory
from edge_agent.disk import StoreUnavailable
from protocols.rules import menu
from protocols.wire import menu_news, messages, policy_news, seal, topics
from protocols.wire.errors import BAD_SIGNATURE
from tests.edge_agent.peers import SITE
from tests.edge_agent.test_cards import UP, Centre, Site

A, B = 1001, 1002
NOODLES, RICE = b"noodles " * 70, b"rice " * 90


class Kitchen(Site):
    def menus(self, *warrants, label=menu_news.LABEL):
        """The ledger tells of (device, epoch, menu, sealed)."""
        said = [(device, epoch, menu.digest_of(data), it) for device, epoch, data, it in warrants]
        self.give(self.ledger.signed(menu_news.encode_news(said), label))

    def menu(self, data, digest=None, label=menu_news.LABEL):
        """It gives a menu."""
        payload = menu_news.encode_menu(digest or menu.digest_of(data), data)
        self.give(self.ledger.signed(payload, label))

    def menu_asks(self):
        """The digests that were asked for since the last look."""
        said, self.upstream.published = self.upstream.sent(), []
        asks = [payload for topic, payload in said if topic == UP]
        return [menu_news.decode_ask(each) for each in asks if menu_news.is_question(each)]

    def fetched(self, *warrants):
        """All of them are here, and everybody was told."""
        self.menus(*warrants)
        for data in {data for _, _, data, _ in warrants}:
            self.menu(data)
        self.menu_asks()
        self.port.sent()


@pytest.fixture
def site(tmp_path):
    made = Kitchen(tmp_path, Centre((A, B)), (A, B), with_cards=True)
    made.step()
    made.asks()
    return made


def told(site):
    """(device, epoch, page, data) of each CARDS said to readers since the last look."""
    said = []
    for topic, payload in site.port.sent():
        fields = messages.decode_message(payload, (messages.CARDS,))
        assert topic == topics.down(SITE, fields["device"])
        said.append(tuple(fields[name] for name in ("device", "epoch", "page", "data")))
    return said


def test_a_menu_is_asked_for_once_and_who_has_it_is_told_when_it_is_whole(site):
    site.menus((A, 2, NOODLES, b"a2"), (B, 2, NOODLES, b"b2"))
    assert site.menu_asks() == [menu.digest_of(NOODLES)] and told(site) == []
    site.menu(NOODLES)
    assert told(site) == [(A, 2, menu.PAGE, b"a2"), (B, 2, menu.PAGE, b"b2")]
    # Said again it is no news, and nothing is asked for.
    site.menus((A, 2, NOODLES, b"a2"), (B, 2, NOODLES, b"b2"))
    site.menu(NOODLES)
    assert site.menu_asks() == [] and told(site) == []
    site.menus((A, 3, RICE, b"a3"))
    site.menu(RICE)
    assert told(site) == [(A, 3, menu.PAGE, b"a3")]
    assert site.menu_asks() == [menu.digest_of(RICE)]
    # One that is here already needs no question.
    site.menus((B, 3, RICE, b"b3"))
    assert told(site) == [(B, 3, menu.PAGE, b"b3")] and site.menu_asks() == []


def test_a_question_that_was_lost_is_asked_again_with_the_next_news(site):
    for _ in range(2):
        site.menus((A, 2, NOODLES, b"a2"))
        assert site.menu_asks() == [menu.digest_of(NOODLES)]


def test_a_reader_is_answered_while_the_centre_is_away_and_behind_a_restart(site):
    site.fetched((A, 2, NOODLES, b"a2"))
    site.crash()
    site.start()
    site.upstream.down()
    site.step()
    assert site.ask(A, 0, menu.PAGE) == [(2, menu.PAGE, b"a2")]
    pages = [site.ask(A, 2, menu.PAGE + page)[0][2] for page in (1, 2, 3)]
    assert b"".join(pages) == NOODLES and [len(page) for page in pages] == [256, 256, 48]
    assert site.ask(A, 2, menu.PAGE + 4) == [(2, menu.PAGE + 4, b"")]
    assert site.ask(A, 2, menu.PAGE) == [], "who has it is told nothing"
    assert site.ask(A, 7, menu.PAGE) == []
    # Pages of one that was replaced: the word for the one there is.
    assert site.ask(A, 1, menu.PAGE + 2) == [(2, menu.PAGE, b"a2")]
    assert site.ask(B, 0, menu.PAGE) == [] and site.agent.counters["menus_unknown"] == 1


def test_nothing_older_replaces_it_and_a_new_key_does(site):
    site.fetched((A, 2, NOODLES, b"a2"))
    site.menus((A, 1, RICE, b"a1"))
    assert site.menu_asks() == [] and told(site) == []
    assert site.ask(A, 0, menu.PAGE) == [(2, menu.PAGE, b"a2")]
    site.menus((A, 2, NOODLES, b"a2 under a new key"))
    assert told(site) == [(A, 2, menu.PAGE, b"a2 under a new key")]


def test_only_the_ledger_s_word_is_kept(site):
    site.menus((A, 2, NOODLES, b"a2"), label=policy_news.LABEL)  # signed, for something else
    forged = menu_news.encode_news([(A, 2, menu.digest_of(NOODLES), b"a2")])
    site.give(seal.sign1_pack(forged, bytes(64)))
    assert site.agent.counters[f"bad_receipts_{BAD_SIGNATURE}"] == 1
    assert site.history.menu_warrants() == []
    # A menu that nobody shall have, and one that is not what it is called.
    site.menu(NOODLES)
    site.menus((A, 2, NOODLES, b"a2"))
    site.menu(RICE, menu.digest_of(NOODLES))
    site.menu(b"", menu.digest_of(NOODLES))
    assert site.agent.counters["menus_wrong"] == 3 and told(site) == []
    assert site.history.menu(menu.digest_of(NOODLES)) == b""


def test_what_nobody_is_to_have_any_more_is_forgotten(site):
    site.fetched((A, 2, NOODLES, b"a2"), (B, 2, NOODLES, b"b2"))
    site.menus((A, 3, RICE, b"a3"))
    assert site.history.menu(menu.digest_of(NOODLES)) == NOODLES, "B has it yet"
    site.menus((B, 3, RICE, b"b3"))
    assert site.history.menu(menu.digest_of(NOODLES)) == b""


def test_a_disk_that_refuses_loses_no_more_than_five_minutes(site, monkeypatch):
    def refuses(*_values):
        raise StoreUnavailable("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(CardHistory, "add_menu_warrants", refuses)
        site.menus((A, 2, NOODLES, b"a2"))
    with monkeypatch.context() as patch:
        site.menus((A, 2, NOODLES, b"a2"))
        patch.setattr(CardHistory, "add_menu", refuses)
        site.menu(NOODLES)
    assert told(site) == [] and site.agent.counters["store_unavailable"] == 2
    site.menus((A, 2, NOODLES, b"a2"))
    site.menu(NOODLES)
    assert told(site) == [(A, 2, menu.PAGE, b"a2")]


def test_rot_is_put_aside_and_asked_for_when_somebody_wants_it(site):
    site.fetched((A, 2, NOODLES, b"a2"))
    site.history._db.execute("UPDATE menu SET data = x'00'")
    assert site.ask(A, 0, menu.PAGE) == []
    assert site.menu_asks() == [menu.digest_of(NOODLES)]
    assert site.history.menu(menu.digest_of(NOODLES)) == b""
    site.menu(NOODLES)
    assert told(site) == [(A, 2, menu.PAGE, b"a2")]
