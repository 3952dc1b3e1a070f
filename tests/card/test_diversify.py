"""AES-CMAC and AN10922 against the published vectors, and against an independent CMAC."""

import json
import random

import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC

from protocols.card.diversify import Cmac, cmac, diversify_aes128
from tests.drivers.desk import aes


def vectors(repo_root, group):
    """The items of one group of the vector file."""
    document = json.loads((repo_root / "protocols/vectors/an10922.json").read_text())
    (found,) = (entry["items"] for entry in document["groups"] if entry["id"] == group)
    return found


def test_published_cmac(repo_root):
    items = vectors(repo_root, "cmac")
    assert len(items) == 4
    for item in items:
        mac = cmac(aes(bytes.fromhex(item["key"])), bytes.fromhex(item["message"]))
        assert mac.hex() == item["mac"], item["id"]


def test_published_diversification(repo_root):
    items = vectors(repo_root, "an10922")
    assert {item["result"] for item in items} == {"valid", "invalid"}
    for item in items:
        key = diversify_aes128(aes(bytes.fromhex(item["key"])), bytes.fromhex(item["div_input"]))
        assert (key.hex() == item["diversified"]) == (item["result"] == "valid"), item["id"]


def test_the_common_mistake_is_a_plain_cmac(repo_root):
    (item,) = (i for i in vectors(repo_root, "an10922") if "un-padded" in i["id"])
    message = b"\x01" + bytes.fromhex(item["div_input"])
    assert cmac(aes(bytes.fromhex(item["key"])), message).hex() == item["diversified"]


def test_agrees_with_an_independent_cmac():
    rng = random.Random(4493)
    for length in [*range(70), 255, 1000]:
        key, message = rng.randbytes(16), rng.randbytes(length)
        other = CMAC(algorithms.AES(key))
        other.update(message)
        assert Cmac(aes(key)).digest(message) == other.finalize()


def test_every_length_of_input():
    """Two whole blocks, or padded to two: a CMAC of a message that long, when it is that long."""
    rng = random.Random(10922)
    key = rng.randbytes(16)
    seen = set()
    for length in range(1, 32):
        data = rng.randbytes(length)
        diversified = diversify_aes128(aes(key), data)
        seen.add(diversified)
        if length >= 16:
            assert diversified == cmac(aes(key), b"\x01" + data)
        else:
            assert diversified != cmac(aes(key), b"\x01" + data)
    assert len(seen) == 31


@pytest.mark.parametrize("length", [0, 32, 33])
def test_input_of_impossible_length(length):
    with pytest.raises(ValueError, match="1 to 31"):
        diversify_aes128(aes(bytes(16)), bytes(length))
