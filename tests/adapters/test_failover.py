"""Addresses as people write them, and what is no address."""

import pytest

from adapters.failover import ADDRESSES_MAX, BadAddress, Failover, parse, parse_all

FIRST = ("10.0.0.11", 1883)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.12:1883", ("10.0.0.12", 1883)),
        ("broker-2.example.edu:8883", ("broker-2.example.edu", 8883)),
        ("[fd00::2]:65535", ("fd00::2", 65_535)),
    ],
)
def test_an_address_is_host_and_port(text, address):
    assert parse(text) == address
    assert parse_all(FIRST, [text]) == (address,)


WRONG = ["", ":", "x", "x:", ":1", "x:0", "x:65536", "x:1e3", "x:-1", "x:+1", "x: 1", "x:١"]
WRONG += ["fd00::2:1883", "[]:1", "a b:1", "a\n:1", "mqtt://x:1", "x:000001", 1883, None, ["x:1"]]


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused_with_what_is_wanted(text):
    with pytest.raises(BadAddress, match="host:port"):
        parse(text)


def test_a_node_is_named_where_there_are_others():
    assert Failover([FIRST]).node == ""
    assert Failover([FIRST, ("fd00::2", 1883)]).node == "10.0.0.11:1883"
    of_two = Failover([("fd00::2", 1883), FIRST])
    assert of_two.node == "[fd00::2]:1883"
    of_two.failed()
    assert of_two.node == "10.0.0.11:1883"


def test_a_node_stands_there_once_and_there_are_not_many():
    for texts in (["10.0.0.11:1883"], ["x:1", "x:1"]):
        with pytest.raises(BadAddress, match="twice"):
            parse_all(FIRST, texts)
    for texts in ("x:1", {}, None, [f"x:{n}" for n in range(1, ADDRESSES_MAX + 1)]):
        with pytest.raises(BadAddress, match="a list of at most 8"):
            parse_all(FIRST, texts)
    assert parse_all(FIRST, []) == ()
