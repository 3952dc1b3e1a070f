"""The MQTT topics of this system: one place builds them, one place takes them apart.

No person's data ever stands in a topic. Devices are decimal numbers and sites are plain names, so
no identity can smuggle a wildcard or a level into a topic (CVE-2017-7650 is what happens else).
"""

from protocols.wire.errors import BAD_TOPIC, WireError

PREFIX = "onecard/v1/"
LEDGER_STATUS = PREFIX + "ledger/status"
LEDGER_CARDS = PREFIX + "ledger/cards"
LEDGER_PROBE = PREFIX + "ledger/probe"
SITE_CHARS_MAX = 16
DEVICE_MAX = 0xFFFFFFFF
_SITE_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789-"


def is_site(site):
    """Whether `site` is a site name: [a-z0-9-], 1 to 16 characters, and no room's own word."""
    if not isinstance(site, str) or not 1 <= len(site) <= SITE_CHARS_MAX or site == "ledger":
        return False
    return all(char in _SITE_CHARS for char in site)


def up(site, device):
    """Reader to agent: HELLO, BATCH, RELAY and CARDS."""
    return _device_topic(site, device, "up")


def down(site, device):
    """Agent to reader: STORED, RECEIPT, RELAY and CARDS."""
    return _device_topic(site, device, "down")


def status(site, device):
    """Reader's retained status and its last will."""
    return _device_topic(site, device, "status")


def up_filter(site):
    """What the agent of a site subscribes to."""
    return _site_topic(site) + "+/up"


def any_up_filter():
    """What the agent subscribes to whose broker is its building's alone: readers of any site."""
    return PREFIX + "+/+/up"


def agent_records(site):
    """Agent to ledger: FORWARD."""
    return _site_topic(site) + "agent/records"


def agent_receipts(site):
    """Ledger to agent: RECEIPTS."""
    return _site_topic(site) + "agent/receipts"


def relay_up(site):
    """Agent to ledger: RELAY, from a reader."""
    return _site_topic(site) + "agent/relay-up"


def relay_down(site):
    """Ledger to agent: RELAY, for a reader."""
    return _site_topic(site) + "agent/relay-down"


def cards_up(site):
    """Agent to ledger: CARD_ASK."""
    return _site_topic(site) + "agent/cards-up"


def cards_down(site):
    """Ledger to agent: CARD_NEWS."""
    return _site_topic(site) + "agent/cards-down"


def records_filter():
    """What the ledger books: every agent's records."""
    return PREFIX + "+/agent/records"


def relay_filter():
    """What the ledger answers: every agent's relays."""
    return PREFIX + "+/agent/relay-up"


def cards_filter():
    """What the ledger answers: every agent's questions about cards."""
    return PREFIX + "+/agent/cards-up"


def parse_up(topic):
    """(site, device) of an up topic; WireError BAD_TOPIC for anything else."""
    site, word, leaf = _split(topic)
    if leaf != "up" or not _is_device(word):
        raise WireError(BAD_TOPIC)
    return site, int(word)


def parse_agent(topic, leaf):
    """The site of an agent's topic that ends in `leaf`; WireError BAD_TOPIC for anything else."""
    site, word, last = _split(topic)
    if word != "agent" or last != leaf:
        raise WireError(BAD_TOPIC)
    return site


def parse_records(topic):
    """The site of an agent's records topic; WireError BAD_TOPIC for anything else."""
    return parse_agent(topic, "records")


def matches(topic_filter, topic):
    """Whether an MQTT filter with + and # matches a topic (MQTT 3.1.1 section 4.7)."""
    wanted = topic_filter.split("/")
    levels = topic.split("/")
    for i, word in enumerate(wanted):
        if word == "#":
            return True
        if i >= len(levels) or word not in ("+", levels[i]):
            return False
    return len(wanted) == len(levels)


def _split(topic):
    parts = topic.split("/")
    if len(parts) != 5 or not topic.startswith(PREFIX) or not is_site(parts[2]):
        raise WireError(BAD_TOPIC)
    return parts[2], parts[3], parts[4]


def _is_device(word):
    # Only the form we write: digits without a leading zero, so one device has one topic.
    digits = all(char in "0123456789" for char in word)
    return digits and 1 <= len(word) <= 10 and word[0] != "0" and int(word) <= DEVICE_MAX


def _site_topic(site):
    if not is_site(site):
        raise WireError(BAD_TOPIC, "site name")
    return PREFIX + site + "/"


def _device_topic(site, device, leaf):
    if not 1 <= device <= DEVICE_MAX:
        raise WireError(BAD_TOPIC, "device number")
    return _site_topic(site) + str(device) + "/" + leaf
