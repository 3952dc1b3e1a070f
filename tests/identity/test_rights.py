"""The rights that brokers are shipped with are those of the written protocol: a topic that comes
to it gets them, or this fails. That Mosquitto reads them so is tried in test_broker.py.
"""

import pytest

from protocols.wire import topics
from tests.link.bench import DEVICE, SITE
from tests.wire.test_spec import BUILT, CHANNELS, OPERATIONS
from tools.identity.broker import building_rights, centre_rights

NAMES = {"reader": f"{SITE}/{DEVICE}", "agent": f"{SITE}/agent", "ledger": "ledger"}
RIGHTS = {"building": building_rights(SITE), "centre": centre_rights()}
ACCESS = {"send": "write", "receive": "read"}
# What patterns give besides, to whom it is of no use: they cannot tell an agent from a reader.
# What the ledger tells all agents, whoever has a certificate of ours may hear.
BESIDES = {
    "building": {("ledger", "write", topics.LEDGER_STATUS)},
    "centre": {
        ("reader", "read", topics.LEDGER_STATUS),
        ("reader", "read", topics.LEDGER_CARDS),
        ("reader", "write", topics.LEDGER_PROBE),
        ("ledger", "read", topics.LEDGER_CARDS),
    },
}


def may(rights, who, access, topic):
    """Whether Mosquitto lets `who` do that with these rights."""
    user = None
    for line in rights.splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] == "user":
            user = words[1]
            continue
        kind, granted, wanted = words
        assert granted in ("read", "write") and kind in ("pattern", "topic")
        mine = kind == "pattern" or user == who
        if mine and granted == access and topics.matches(wanted.replace("%u", who), topic):
            return True
    return False


def written():
    """(server, party, access, topic) of all operations of the written protocol."""
    for operation in OPERATIONS.values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        for server in CHANNELS[channel]["servers"]:
            name = server["$ref"].rpartition("/")[2]
            yield name, operation["x-by"], ACCESS[operation["action"]], BUILT[channel]


def test_each_party_may_do_what_the_protocol_says():
    for server, party, access, topic in written():
        assert may(RIGHTS[server], NAMES[party], access, topic), (server, party, access, topic)


@pytest.mark.parametrize("server", RIGHTS)
def test_nobody_may_do_anything_else(server):
    said = {(party, access, topic) for at, party, access, topic in written() if at == server}
    granted = {
        (party, access, topic)
        for party, name in NAMES.items()
        for access in ("read", "write")
        for topic in BUILT.values()
        if may(RIGHTS[server], name, access, topic)
    }
    assert granted - said == BESIDES[server]


@pytest.mark.parametrize("other", [f"{SITE}/1002", "south/1001", "south/agent"])
@pytest.mark.parametrize("server", RIGHTS)
def test_nobody_may_do_anything_on_anothers_topics(server, other):
    rights = RIGHTS[server]
    for access in ("read", "write"):
        for topic in BUILT.values():
            if topic.startswith(f"{topics.PREFIX}{SITE}/"):
                assert not may(rights, other, access, topic), (other, access, topic)
