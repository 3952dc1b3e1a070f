"""What an agent has of policies: the newest of each reader, on disk, told while it lives."""

import pytest

from edge_agent.policies import TELL_MS
from protocols.rules.settings import POLICY_PAGE
from protocols.wire import letter_news, messages, policy_news, seal, topics
from protocols.wire.errors import BAD_SIGNATURE
from tests.edge_agent.peers import SITE
from tests.edge_agent.test_cards import Centre, Site

A, B = 1001, 1002


class Office(Site):
    def policies(self, *policies, label=policy_news.LABEL):
        self.give(self.ledger.signed(policy_news.encode(policies), label))


@pytest.fixture
def site(tmp_path):
    made = Office(tmp_path, Centre((A, B)), (A, B), with_cards=True)
    made.step()
    return made


def told(site):
    """(device, epoch, sealed) of each policy said to readers since the last look."""
    said = []
    for topic, payload in site.port.sent():
        fields = messages.decode_message(payload, (messages.CARDS,))
        assert topic == topics.down(SITE, fields["device"]) and fields["page"] == POLICY_PAGE
        said.append((fields["device"], fields["epoch"], fields["data"]))
    return said


def test_what_is_new_is_told_at_once_and_again_every_few_minutes(site):
    site.policies((A, 2, b"two"), (B, 5, b"five"))
    assert told(site) == [(A, 2, b"two"), (B, 5, b"five")]
    site.policies((A, 2, b"two"), (B, 6, b"six"))
    assert told(site) == [(B, 6, b"six")]
    site.step(TELL_MS)
    assert told(site) == [(A, 2, b"two"), (B, 6, b"six")]


def test_it_is_told_while_the_centre_is_away_and_behind_a_restart(site):
    site.policies((A, 2, b"two"))
    site.crash()
    site.start()
    site.upstream.down()
    site.step()
    assert told(site) == [(A, 2, b"two")]
    due_ms = site.step(1)
    assert told(site) == [] and due_ms - site.now_ms <= TELL_MS
    site.step(TELL_MS)
    assert told(site) == [(A, 2, b"two")]


def test_nothing_older_replaces_it(site):
    site.policies((A, 2, b"two"))
    site.policies((A, 1, b"one"))
    assert told(site) == [(A, 2, b"two")]
    site.policies((A, 2, b"two under a new key"))
    assert told(site) == [(A, 2, b"two under a new key")]


def test_only_the_ledger_s_word_is_kept(site):
    site.policies((A, 2, b"two"), label=letter_news.LABEL)  # signed, for something else
    assert told(site) == [] and site.history.policies() == []
    forged = policy_news.encode([(A, 2, b"two")])
    site.give(seal.sign1_pack(forged, bytes(64)))
    assert site.agent.counters[f"bad_receipts_{BAD_SIGNATURE}"] == 1
    assert told(site) == [] and site.history.policies() == []
