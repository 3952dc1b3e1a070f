"""The written protocol says what the code does: topics, directions, sizes, payloads.

What the grammar says of each record and message is pinned by the vectors (test_vectors.py).
"""

import inspect
import re
import struct

import pycddl
import pytest
import yaml

from ledger.service import WILL
from protocols.card import mailbox
from protocols.rules import access, menu, release, settings, slots
from protocols.wire import (
    access_news,
    card_news,
    firmware_news,
    fleet_news,
    letter_news,
    menu_news,
    messages,
    mqtt,
    policy_news,
    seal,
    topics,
)
from protocols.wire.frame import PIECE_BYTES_MAX, UP, encode_frame
from protocols.wire.ledger_status import STATUS_OFFLINE, STATUS_ONLINE
from tests.link.bench import DEVICE, SITE, Bench
from tests.rules.tables import POLICY
from tests.wire.test_vectors import GRAMMAR, accepts, schema
from tools.rooms import ROOT

ENTRY = {
    "kind": messages.ENTRY,
    "device": 3001,
    "seq": 1,
    "earliest_s": 1_790_000_000,
    "latest_s": 1_790_000_002,
    "boot_id": 1,
    "mono_ms": 1_000,
    "card_no": 4711,
    "reason": 0,
}
FOLDER = ROOT / "protocols" / "spec"
DOCUMENT = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text(encoding="utf-8"))
CHANNELS, OPERATIONS = DOCUMENT["channels"], DOCUMENT["operations"]
MESSAGES = DOCUMENT["components"]["messages"]
SPEC = (FOLDER / "SPEC.md").read_text(encoding="utf-8")
RULES = set(re.findall(r"^([a-z][a-z0-9-]*) =", GRAMMAR, re.MULTILINE))

# Channel -> the topic as the code builds it.
BUILT = {
    "up": topics.up(SITE, DEVICE),
    "down": topics.down(SITE, DEVICE),
    "status": topics.status(SITE, DEVICE),
    "agentRecords": topics.agent_records(SITE),
    "agentReceipts": topics.agent_receipts(SITE),
    "agentRelayUp": topics.relay_up(SITE),
    "agentRelayDown": topics.relay_down(SITE),
    "agentCardsUp": topics.cards_up(SITE),
    "agentCardsDown": topics.cards_down(SITE),
    "ledgerCards": topics.LEDGER_CARDS,
    "ledgerStatus": topics.LEDGER_STATUS,
    "ledgerProbe": topics.LEDGER_PROBE,
}


def resolve(reference):
    """What a {$ref: '#/a/b'} points at."""
    found = DOCUMENT
    for part in reference["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


# --- asyncapi.yaml ----------------------------------------------------------------------------


def test_it_is_asyncapi_3():
    assert DOCUMENT["asyncapi"].startswith("3.")
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert not set(DOCUMENT) - {
        "asyncapi",
        "info",
        "servers",
        "channels",
        "operations",
        "components",
    }


def test_every_reference_leads_somewhere():
    found = list(references(DOCUMENT))
    assert len(found) > 20
    for reference in found:
        assert resolve(reference) is not None, reference


def test_channels_are_the_topics_of_the_code():
    addresses = {
        name: channel["address"].replace("{site}", SITE).replace("{device}", str(DEVICE))
        for name, channel in CHANNELS.items()
    }
    assert addresses == BUILT


def test_every_topic_the_code_can_build_is_a_channel():
    builders = {
        name
        for name, function in inspect.getmembers(topics, inspect.isfunction)
        if not name.startswith(("_", "is_", "parse_", "matches"))
    }
    filters = {name for name in builders if name.endswith("_filter")}
    devices, agents = {"up", "down", "status"}, {"agent_records", "agent_receipts"}
    relays, cards = {"relay_up", "relay_down"}, {"cards_up", "cards_down"}
    assert builders - filters == devices | agents | relays | cards
    for name in filters:
        function = getattr(topics, name)
        made = function(SITE) if inspect.signature(function).parameters else function()
        assert [t for t in BUILT.values() if topics.matches(made, t)], name


def test_parameters_are_those_of_the_address():
    for name, channel in CHANNELS.items():
        wanted = re.findall(r"\{(\w+)\}", channel["address"])
        assert sorted(channel.get("parameters", {})) == sorted(wanted), name


def test_examples_of_parameters_are_good_ones():
    parameters = DOCUMENT["components"]["parameters"]
    (site,), (device,) = parameters["site"]["examples"], parameters["device"]["examples"]
    assert topics.parse_up(f"onecard/v1/{site}/{device}/up") == (site, int(device))


def test_every_message_names_a_rule_of_the_grammar():
    for name, message in MESSAGES.items():
        if name == "ledgerStatus":
            assert [word.encode() for word in message["payload"]["enum"]] == [
                STATUS_ONLINE,
                STATUS_OFFLINE,
            ]
        elif name == "ledgerProbe":
            assert message["payload"]["maxLength"] == 0
        else:
            assert message["x-cddl"] in RULES, name
            assert message.get("x-cddl-payload", "record") in RULES, name
    numbered = {
        name: getattr(messages, name)
        for name in (message["name"] for message in MESSAGES.values())
        if name.isupper()
    }
    assert sorted(numbered.values()) == list(range(1, 9))
    for name, number in numbered.items():
        assert re.search(rf"^{name.lower()} = \{{\n  0: {number},", GRAMMAR, re.MULTILINE), name


def test_every_message_is_sent_by_one_and_heard_by_another():
    for name, channel in CHANNELS.items():
        acts = [
            (operation["action"], operation["x-by"])
            for operation in OPERATIONS.values()
            if resolve(operation["channel"]) is channel
        ]
        senders = {by for action, by in acts if action == "send"}
        hearers = {by for action, by in acts if action == "receive"}
        # A probe is for the broker, whoever says it; a reader's status is for whoever looks after
        # readers.
        assert len(senders) == (2 if name == "ledgerProbe" else 1), name
        assert len(hearers - senders) == (name not in ("status", "ledgerProbe")), name
        assert set(channel["messages"]) <= set(MESSAGES)


def test_qos_and_retain():
    for name, operation in OPERATIONS.items():
        binding = operation["bindings"]["mqtt"]
        assert binding["qos"] == 1, name
        status = operation["channel"]["$ref"].lower().endswith("status")
        assert binding["retain"] is status, name
        assert operation.get("x-last-will", False) is (status and operation["action"] == "send")


def test_ledger_leaves_a_last_will_where_it_is_said():
    topic, payload = WILL
    assert (topic, payload) == (BUILT["ledgerStatus"], STATUS_OFFLINE)


def test_reader_does_what_is_said():
    """Everything a reader publishes: topic, QoS, RETAIN and the rule of the payload."""
    bench = Bench(3).settle()
    sent = [event for event in bench.broker.events if event[0] == mqtt.PUBLISH]
    seen = set()
    for _, topic, payload, qos, retain, *_ in sent:
        (name,) = (name for name, address in BUILT.items() if address == topic)
        (binding,) = (
            operation["bindings"]["mqtt"]
            for operation in OPERATIONS.values()
            if operation["x-by"] == "reader"
            and operation["action"] == "send"
            and resolve(operation["channel"]) is CHANNELS[name]
        )
        assert (qos, bool(retain)) == (binding["qos"], binding["retain"]), name
        rules = [resolve(reference)["x-cddl"] for reference in CHANNELS[name]["messages"].values()]
        (rule,) = (rule for rule in rules if accepts(schema(rule), payload))
        seen.add(rule)
    assert seen == {"hello", "batch", "device-status"}


def test_reader_opens_its_session_as_is_said():
    """CONNECT: clean session, keep-alive, and a last will as the status channel has it."""
    bench = Bench()
    for _ in range(3):
        bench.uplink.step(0)
    sent = bytes(bench.net.wires[0].to_broker)
    ((kind, _, keepalive_s, clean, will_topic, *_),) = [
        mqtt.parse(*packet) for packet in mqtt.PacketReader().feed(sent)
    ]
    assert (kind, will_topic) == (mqtt.CONNECT, BUILT["status"])
    server = DOCUMENT["servers"]["building"]["bindings"]["mqtt"]
    assert (clean, keepalive_s) == (server["cleanSession"], server["keepAlive"])
    flags = sent[9]  # MQTT 3.1.1 section 3.1.2.3
    assert flags >> 2 & 1, "will"
    assert (flags >> 3 & 3, flags >> 5 & 1) == (1, 1), "its QoS and RETAIN"
    at = sent.index(will_topic.encode()) + len(will_topic)
    length = int.from_bytes(sent[at : at + 2], "big")
    assert accepts(schema("device-status"), sent[at + 2 : at + 2 + length])


# --- onecard.cddl -----------------------------------------------------------------------------


def test_every_rule_is_used():
    for rule in RULES - {"onecard", "mac-header", "sign-header"}:
        bare = re.sub(r";.*", "", GRAMMAR)
        assert len(re.findall(rf"(?<![\w-]){rule}(?![\w-])", bare)) > 1, rule


def test_headers_of_the_seals():
    for rule, header in (
        ("mac-header", seal.seal(b"", b"", b"")[3:6]),
        ("sign-header", seal.sign1_pack(b"", bytes(64))[3:6]),
    ):
        assert accepts(schema(rule), header)
        assert f"h'{header.hex().upper()}', which is {rule}" in GRAMMAR
        assert header.hex(" ").upper() in SPEC
        assert not accepts(schema(rule), header[:2] + b"\x06")


def test_what_is_said_of_doors_is_what_is_written():
    for pins in ((), (b"", bytes(8))):
        head = access.encode([(5, [1, 2, 3])], [[(127, 0, 1440)]], (), 5000, 60, pins)
        assert accepts(schema("access-head"), head[2 : 2 + int.from_bytes(head[:2], "big")])
    assert accepts(schema("access-news"), access_news.encode(1, 2, b"word", head))
    assert accepts(schema("access-news"), access_news.encode(1, 2, b"word", b"", bytes(16)))
    assert accepts(schema("access-ask"), access_news.encode_ask([(1, 2), (3, 4)]))
    assert accepts(schema("access-hint"), access_news.encode_hint(7))
    assert not accepts(schema("access-hint"), access_news.encode_ask([]))


def test_what_is_said_in_letters_is_what_is_written():
    letters = [(3001, 1_790_000_000, bytes(160)), (1, 1, b"x")]
    assert accepts(schema("letter-news"), letter_news.encode(letters))
    update = mailbox.encode_update(7, 1_790_000_000, 41, bytes(8), bytes(116))
    assert accepts(schema("letter-to-lock"), update)
    sealed = seal.seal(bytes(32), messages.encode_record(ENTRY), seal.CHAIN_START)
    # As it is; as a difference it would be a map, which the validator takes in no choice.
    told = mailbox.encode_events(bytes(32), (7, 1), 5900, 3001, 1, None, [sealed])
    assert told[1] == 1 and accepts(schema("letter-from-lock"), told[0])
    assert not accepts(schema("letter-from-lock"), update)


def test_what_is_said_of_firmware_is_what_is_written():
    digest = bytes(range(32))
    told = firmware_news.encode_news(2, 1_000, digest, [(1001, b"warrant")])
    assert accepts(schema("firmware-news"), told)
    assert accepts(schema("firmware-news"), firmware_news.encode_none())
    assert accepts(schema("firmware-page"), firmware_news.encode_page(digest, 0, bytes(16384)))
    assert accepts(schema("firmware-ask"), firmware_news.encode_ask())
    assert accepts(schema("firmware-ask"), firmware_news.encode_ask(digest, 3))
    assert not accepts(schema("firmware-page"), told)
    assert len(slots.encode(slots.first(1, 5, digest))) == 89
    assert struct.calcsize(release.WARRANT) == 57
    assert len(seal.seal(digest, bytes(57), release.LABEL)) == release.WARRANT_BYTES


def test_what_is_said_of_policies_is_what_is_written():
    assert accepts(schema("policy-news"), policy_news.encode([(1001, 2, bytes(224))]))
    assert accepts(schema("policy"), settings.encode_policy(POLICY))
    assert accepts(schema("fleet-news"), fleet_news.encode(range(1, 1025)))
    assert not accepts(schema("fleet-news"), b"\x81\x20")
    assert f"page {settings.POLICY_PAGE}" in SPEC


def test_what_is_said_of_menus_is_what_is_written():
    digest = menu.digest_of(b"")
    assert accepts(schema("menu-news"), menu_news.encode_news([(1001, 2, digest, bytes(224))]))
    assert accepts(schema("menu"), menu_news.encode_menu(digest, bytes(menu.MENU_BYTES_MAX)))
    assert not accepts(schema("menu"), menu_news.encode_news([]))
    assert accepts(schema("menu-ask"), menu_news.encode_ask(digest))
    assert not accepts(schema("menu-ask"), b"\x41\x00")
    assert f"page {menu.PAGE}" in SPEC and f"page {menu.PAGE + 1} " in SPEC
    assert f"COSE_Mac0 of {struct.calcsize(menu.WARRANT)} bytes: epoch (4 bytes" in SPEC


def test_a_broken_grammar_would_be_noticed():
    with pytest.raises(ValueError, match="parser errors"):
        pycddl.Schema("start = boot\n" + GRAMMAR.replace("\n}\n", "\n", 1))


# --- SPEC.md ----------------------------------------------------------------------------------


def test_the_frame_in_words_is_that_of_the_code():
    (example,) = re.findall(r"^    (00 01 01 [0-9a-f ]+ 00)$", SPEC, re.MULTILINE)
    assert bytes.fromhex(example) == encode_frame(1001, 4660, UP | 1, b"onecard")
    assert f"at most\n{PIECE_BYTES_MAX} bytes" in SPEC


def test_sizes_in_words_are_those_of_the_code():
    table = dict(re.findall(r"^\| ([^|]+?) \| (\d+) \|$", SPEC, re.MULTILINE))
    assert {name: int(size) for name, size in table.items()} == {
        "record (payload, and sealed)": messages.RECORD_BYTES_MAX,
        "HELLO, STORED, body of a receipt": 64,
        "RECEIPT": 512,
        "BATCH": messages.BATCH_BYTES_MAX,
        "FORWARD": messages.FORWARD_BYTES_MAX,
        "RECEIPTS (payload)": messages.RECEIPTS_BYTES_MAX,
        "RELAY": messages.RELAY_BYTES_MAX,
        "relayed (payload, and sealed)": messages.RELAYED_BYTES_MAX,
        "CARDS": messages.CARDS_BYTES_MAX,
        "CARD_NEWS (payload)": card_news.BYTES_MAX,
        "ACCESS_NEWS (payload)": access_news.BYTES_MAX,
        "LETTER_NEWS (payload)": letter_news.BYTES_MAX,
        "FIRMWARE_NEWS (payload)": firmware_news.BYTES_MAX,
        "POLICY_NEWS (payload)": policy_news.BYTES_MAX,
        "FLEET_NEWS (payload)": fleet_news.BYTES_MAX,
        "MENU_NEWS (payload)": menu_news.BYTES_MAX,
    }


def test_figures_of_the_seals_are_right():
    sealed = seal.seal(bytes(32), bytes(74), seal.CHAIN_START)
    (figure,) = (line for line in SPEC.splitlines() if line.lstrip().startswith("D1 84"))
    assert bytes.fromhex(re.sub(r"<.*?>", "", figure)) == sealed[:9] + sealed[9 + 74 : 9 + 74 + 2]
