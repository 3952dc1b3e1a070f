"""Topics: what is built can be taken apart, and nothing else can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire import topics
from protocols.wire.errors import BAD_TOPIC, WireError

SITES = st.from_regex(r"[a-z0-9-]{1,16}", fullmatch=True).filter(lambda site: site != "ledger")
DEVICES = st.integers(1, topics.DEVICE_MAX)
BUILDERS = (topics.up, topics.down, topics.status)
SITE_BUILDERS = (
    topics.agent_records,
    topics.agent_receipts,
    topics.relay_up,
    topics.relay_down,
    topics.cards_up,
    topics.cards_down,
    topics.up_filter,
)

BAD_SITES = [
    "",
    "a" * 17,
    "Canteen",
    "canteen 1",
    "canteen_1",
    "canteen/1",
    "+",
    "#",
    "a+",
    "a#",
    "$sys",
    "食堂",
    "canteen\n",
    "canteen\x00",
    "é",
    "ledger",
    None,
    b"canteen",
    7,
    ["a"],
]
BAD_DEVICES = [0, -1, topics.DEVICE_MAX + 1]
BAD_UPS = [
    "",
    "/",
    "onecard/v1/north/1001",
    "onecard/v1/north/1001/up/",
    "/onecard/v1/north/1001/up",
    "onecard/v1/north/1001/up/up",
    "onecard/v1/north/1001/down",
    "onecard/v1/north/1001/status",
    "onecard/v1/north/1001/UP",
    "onecard/v2/north/1001/up",
    "Onecard/v1/north/1001/up",
    "twocard/v1/north/1001/up",
    "onecard/v1//1001/up",
    "onecard/v1/north//up",
    "onecard/v1/North/1001/up",
    "onecard/v1/ledger/1001/up",
    "onecard/v1/+/1001/up",
    "onecard/v1/north/+/up",
    "onecard/v1/north/#",
    "onecard/v1/north/0/up",
    "onecard/v1/north/01001/up",
    "onecard/v1/north/-1/up",
    "onecard/v1/north/+1/up",
    "onecard/v1/north/1e3/up",
    "onecard/v1/north/0x10/up",
    "onecard/v1/north/1_001/up",
    "onecard/v1/north/1001 /up",
    "onecard/v1/north/4294967296/up",
    "onecard/v1/north/99999999999/up",
    "onecard/v1/north/١٠٠١/up",  # digits, but not ours
    "onecard/v1/north/１００１/up",
    "onecard/v1/north/agent/up",
    "onecard/v1/north/agent/records",
    "$share/all/onecard/v1/north/1001/up",
]
BAD_RECORDS = [
    "onecard/v1/ledger/agent/records",
    "onecard/v1/north/agent/receipts",
    "onecard/v1/north/1001/records",
    "onecard/v1/north/agents/records",
    "onecard/v1/+/agent/records",
    "onecard/v1/north/agent/records/",
    "onecard/v1/agent/records",
]


def refused(call, *arguments):
    with pytest.raises(WireError) as caught:
        call(*arguments)
    assert caught.value.code == BAD_TOPIC


# --- bad input first --------------------------------------------------------------------------


@pytest.mark.parametrize("site", BAD_SITES, ids=repr)
def test_no_topic_has_such_a_site(site):
    assert not topics.is_site(site)
    for build in BUILDERS:
        refused(build, site, 1001)
    for build in SITE_BUILDERS:
        refused(build, site)


@pytest.mark.parametrize("device", BAD_DEVICES)
def test_no_topic_has_such_a_device(device):
    for build in BUILDERS:
        refused(build, "north", device)


@pytest.mark.parametrize("topic", BAD_UPS, ids=ascii)
def test_not_an_up_topic(topic):
    refused(topics.parse_up, topic)


@pytest.mark.parametrize("topic", BAD_RECORDS)
def test_not_a_records_topic(topic):
    refused(topics.parse_records, topic)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["onecard", "v1", "north", "1", "+", "#", "up", ""])).map("/".join)
)
def test_any_text(topic):
    for parse, build in (
        (topics.parse_up, lambda found: topics.up(*found)),
        (topics.parse_records, topics.agent_records),
    ):
        try:
            found = parse(topic)
        except WireError as error:
            assert error.code == BAD_TOPIC
        else:
            assert build(found) == topic


# --- good input -------------------------------------------------------------------------------


@given(SITES, DEVICES)
def test_what_is_built_is_taken_apart(site, device):
    assert topics.parse_up(topics.up(site, device)) == (site, device)
    assert topics.parse_records(topics.agent_records(site)) == site


@given(SITES, DEVICES)
def test_topics_differ_and_hold_no_wildcard(site, device):
    built = [build(site, device) for build in BUILDERS]
    built += [topics.agent_records(site), topics.agent_receipts(site), topics.LEDGER_STATUS]
    assert len(set(built)) == len(built)
    for topic in built:
        assert topic.startswith(topics.PREFIX)
        assert not set(topic) & set("+#$\x00")
        assert topic.isascii()


@given(SITES, DEVICES, SITES)
def test_filters_let_through_what_they_should(site, device, other):
    assert topics.matches(topics.up_filter(site), topics.up(site, device))
    assert not topics.matches(topics.up_filter(site), topics.down(site, device))
    assert not topics.matches(topics.up_filter(site), topics.status(site, device))
    assert topics.matches(topics.records_filter(), topics.agent_records(site))
    assert not topics.matches(topics.records_filter(), topics.agent_receipts(site))
    assert not topics.matches(topics.records_filter(), topics.LEDGER_STATUS)
    if other != site:
        assert not topics.matches(topics.up_filter(site), topics.up(other, device))


# MQTT 3.1.1 section 4.7.1, the examples of the standard.
MATCHES = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/#", "sport", True),
    ("#", "sport/tennis", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("sport/tennis", "sport/tennis/player1", False),
    ("sport/tennis/player1", "sport/tennis", False),
    ("Sport", "sport", False),
]


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES)
def test_filters_match_as_the_standard_says(topic_filter, topic, expected):
    assert topics.matches(topic_filter, topic) is expected
