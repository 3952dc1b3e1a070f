"""What an agent has for cards to carry: the newest letter of each lock, for its residents."""

import pytest

from protocols.card import mailbox
from protocols.rules import access
from protocols.wire import access_news, card_news, cbor, letter_news
from protocols.wire.errors import WireError
from tests.edge_agent.test_cards import Centre, Site

DOOR, ROOM, COMMON, ELSE = 1001, 3001, 3002, 3003
WANG, LI, WARDEN, STRANGER = 4711, 4712, 99, 5000
STAMP = 1_790_000_000


class Post(Site):
    def map(self, device, epoch, *cards):
        spans = [(card_no, (1,)) for card_no in sorted(cards)]
        data = access.encode(spans, [[(127, 0, 1440)]], (), 3000, 0)
        payload = access_news.encode(device, epoch, b"word", data)
        self.give(self.ledger.signed(payload, access_news.LABEL))

    def letters(self, *letters, label=letter_news.LABEL):
        self.give(self.ledger.signed(letter_news.encode(letters), label))

    def carries(self, card_no):
        """What a door is told that this card carries."""
        self.port.published = []
        ((epoch, page, data),) = self.ask(DOOR, card_no, mailbox.PAGE)
        assert (epoch, page) == (card_no, mailbox.PAGE)
        return mailbox.decode_carried(data)


@pytest.fixture
def site(tmp_path):
    made = Post(tmp_path, Centre((DOOR,)), (DOOR,), with_cards=True)
    made.step()
    made.map(DOOR, 1, WANG, LI, WARDEN, STRANGER)
    made.map(ROOM, 2, WANG, WARDEN)
    made.map(COMMON, 3, WANG, LI, WARDEN)
    made.map(ELSE, 4, WARDEN)
    made.letters((ROOM, STAMP, b"room"), (COMMON, STAMP, b"common"), (ELSE, STAMP, b"else"))
    return made


def test_a_card_carries_for_the_locks_that_it_opens(site):
    assert site.carries(LI) == [(COMMON, STAMP, b"common")]
    assert site.carries(WANG) == [(COMMON, STAMP, b"common"), (ROOM, STAMP, b"room")]
    assert site.carries(STRANGER) == []
    # A warden opens more than a card carries for: what was changed last is the most urgent.
    assert [lock for lock, _, _ in site.carries(WARDEN)] == [ELSE, COMMON]


def test_who_has_moved_out_carries_no_more(site):
    site.map(ROOM, 5, WARDEN)
    assert [lock for lock, _, _ in site.carries(WANG)] == [COMMON]


def test_nothing_older_replaces_it_and_a_restart_forgets_nothing(site):
    site.letters((ROOM, STAMP + 60, b"newer"))
    site.letters((ROOM, STAMP + 59, b"late"))
    site.crash()
    site.start()
    assert (ROOM, STAMP + 60, b"newer") in site.carries(WANG)


def test_only_the_ledgers_word_counts(site):
    for label in (card_news.LABEL, access_news.LABEL, b"x"):
        site.letters((ROOM, STAMP + 1, b"forged"), label=label)
    assert (ROOM, STAMP, b"room") in site.carries(WANG)


def test_a_lock_whose_map_is_not_known_is_carried_for_by_nobody(site):
    site.letters((3009, STAMP, b"nobody"))
    site.give(site.ledger.signed(access_news.encode(3008, 9, b"w", b"no map"), access_news.LABEL))
    site.letters((3008, STAMP, b"nobody"))
    assert [lock for lock, _, _ in site.carries(WARDEN)] == [ELSE, COMMON]
    assert site.agent.counters["letters_without_map"] == 1


def test_it_never_learns_what_a_letter_says(site):
    """Carried as it came, whatever it is; and on disk as it came."""
    noise = bytes(range(160))
    site.letters((ROOM, STAMP + 1, noise))
    assert (ROOM, STAMP + 1, noise) in site.carries(WANG)


@pytest.mark.parametrize(
    "value",
    [
        7,
        [[1, 2]],
        [[0, 1, b"x"]],
        [[1, 0, b"x"]],
        [[1, 1, b""]],
        [[1, 1, bytes(161)]],
        [[True, 1, b"x"]],
        [[1, 1 << 32, b"x"]],
        [[1, 1, b"x"]] * 33,
    ],
)
def test_what_is_no_letter_news(value):
    with pytest.raises(WireError):
        letter_news.decode(cbor.encode(value))


def test_as_many_as_a_message_holds():
    most = [(0xFFFFFFFF, 0xFFFFFFFF, bytes(160))] * letter_news.LETTERS_MAX
    assert letter_news.decode(letter_news.encode(most)) == most
