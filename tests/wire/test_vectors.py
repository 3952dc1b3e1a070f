"""The vectors, read by our code on CPython and on MicroPython, by cbor2, pycddl and pycose.

Nothing that made the vectors (tools/vectors) calls our code, so agreement means something.
"""

import json
import random
import subprocess
from functools import cache

import cbor2
import pycddl
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.wire import errors, seal
from protocols.wire.error_texts import TEXTS
from tests.wire.cose import mac0, sign1
from tests.wire.vector_outcomes import meant, outcome, outcomes
from tools import make_vectors
from tools.rooms import ROOT

FOLDER = ROOT / "protocols" / "vectors"
GRAMMAR = (ROOT / "protocols" / "spec" / "onecard.cddl").read_text(encoding="utf-8")
NAMES = ("cbor", "records", "messages", "seal")
DOCUMENTS = {
    name: json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES
}
# Raised above this layer: a topic has no bytes of CBOR, and Ed25519 is checked where a key is.
ELSEWHERE = {
    errors.BAD_TOPIC,
    errors.BAD_SIGNATURE,
    errors.MALFORMED_FRAME,
    errors.FRAME_CHECKSUM,
}
# What the grammar says and the validator (cddl 0.9.5, in pycddl 0.6) does not see: the type where
# a range or a size is left to compare, a map where a literal stands, the number of arrays in an
# array, the pairs of a map that must be empty.
OVERLOOKED = {
    "device is bytes",
    "lock is bytes",
    "sealed is '1'",
    "sealed is 1",
    "data in text",
    "intent_device is bytes",
    "card_no is bytes",
    "battery_test is 1",
    "number is bytes",
    "source is an array",
    "network is an array",
    "version is bytes",
    "state is bytes",
    "step is bytes",
    "result is an array",
    "state is an array",
    "a nonce that is a number",
    "an answer in text",
    "a number in text",
    "sealed in text",
    "key 0 is {1: 1}",
    "a record that is text",
    "a record that is a number",
    "a receipt that is text",
    "a receipt that is a number",
    "a receipt that is not a list",
    "a tag in text",
    "amount_fen is bytes",
    "reason is bytes",
    "a code in text",
    "65 receipts",
    "65 refusals",
    "a key id outside the seal",
}
SEALS = ("mac0", "sign1")
GROUPS = [
    pytest.param(group, id=f"{name}-{group['id']}")
    for name in NAMES
    for group in DOCUMENTS[name]["groups"]
]
BY_GRAMMAR = {
    flag: note["grammar"] for name in NAMES for flag, note in DOCUMENTS[name]["notes"].items()
}


@cache
def schema(rule):
    """The grammar with another first rule, which is the one that a document is held against."""
    return pycddl.Schema(f"start = {rule}\n{GRAMMAR}")


def accepts(grammar, data):
    try:
        grammar.validate_cbor(data)
    except pycddl.ValidationError:
        return False
    return True


# --- our code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
def test_ours(group):
    expected = [
        [item["id"], 0, item["value"], item["hex"]]
        if item["result"] == "valid"
        else [item["id"], item["error"], None, ""]
        for item in group["items"]
    ]
    assert [outcome(group, item) for item in group["items"]] == expected


@pytest.mark.parametrize("name", NAMES)
def test_micropython_gives_the_same(micropython, repo_root, name):
    assert on_micropython(micropython, repo_root, DOCUMENTS[name]) == outcomes(DOCUMENTS[name])


def on_micropython(micropython, repo_root, document):
    done = subprocess.run(
        [micropython, "-X", "heapsize=64M", "tests/wire/vector_outcomes.py"],
        input=json.dumps(document, ensure_ascii=False),
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=repo_root,
        env={"MICROPYPATH": f"{repo_root}:.frozen"},
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_micropython_gives_the_same_for_broken_bytes(micropython, repo_root):
    """Every valid vector, damaged a few times: the same number, or the same value, in both."""
    rng = random.Random(8949)
    groups = []
    for name in NAMES:
        for group in DOCUMENTS[name]["groups"]:
            damaged = [
                {**{key: item[key] for key in ("id", "key", "aad") if key in item}, "hex": data}
                for item in group["items"]
                if item["result"] == "valid" and group["decode"] not in ("hmac", "derive")
                for data in damage(rng, bytes.fromhex(item["hex"]))
            ]
            groups.append({**group, "items": damaged})
    found = outcomes({"groups": groups})
    assert on_micropython(micropython, repo_root, {"groups": groups}) == found
    # The damage is neither always found by one check nor never there.
    assert {code for _, code, _, _ in found} >= {0, errors.TRUNCATED, errors.TRAILING}
    assert len(found) > 3000


def damage(rng, data):
    """Versions of `data` as a bad wire or a bad person would make them, in hexadecimal."""
    for _ in range(32):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(broken) + 1)
            act = rng.randrange(4)
            if act == 0:
                broken[place:] = b""
            elif act == 1:
                broken[place:place] = rng.randbytes(rng.randint(1, 4))
            elif act == 2:
                broken[place : place + rng.randint(1, 4)] = b""
            elif place < len(broken):
                broken[place] ^= 1 << rng.randrange(8)
        yield bytes(broken).hex()


# --- others -----------------------------------------------------------------------------------


def test_cbor2_reads_and_writes_the_same():
    for item in (item for group in DOCUMENTS["cbor"]["groups"] for item in group["items"]):
        if item["result"] == "valid":
            value, data = meant(item["value"]), bytes.fromhex(item["hex"])
            read = cbor2.loads(data)
            assert (read, type(read)) == (value, type(value)), item["id"]
            assert cbor2.dumps(value, canonical=True) == data, item["id"]


def test_grammar_accepts_what_is_valid():
    whole = schema("onecard")
    for group, item in by_rule("valid"):
        data = bytes.fromhex(item["hex"])
        assert accepts(schema(group["rule"]), data), item
        assert accepts(whole, data), item


def test_grammar_refuses_what_it_can_say():
    overlooked, refused = set(), 0
    for group, item in by_rule("invalid"):
        if any(BY_GRAMMAR[flag] for flag in item["flags"]):
            if accepts(schema(group["rule"]), bytes.fromhex(item["hex"])):
                overlooked.add(item["comment"])
            else:
                refused += 1
    # When one of them is missing here, the validator has learnt it: shorten OVERLOOKED.
    assert overlooked == OVERLOOKED
    assert refused > 400


def by_rule(result):
    """(group, item) of every item of this result that a rule of the grammar speaks of."""
    for group in (group for name in NAMES for group in DOCUMENTS[name]["groups"]):
        if "rule" in group:
            yield from ((group, item) for item in group["items"] if item["result"] == result)


@pytest.mark.parametrize("group", [g for g in GROUPS if g.values[0]["decode"] in SEALS])
def test_pycose_and_cryptography_agree(group):
    for item in group["items"]:
        data, aad = bytes.fromhex(item["hex"]), bytes.fromhex(item["aad"])
        if group["decode"] == "mac0" and (item["result"] == "valid" or "Forged" in item["flags"]):
            message = mac0(data, bytes.fromhex(item["key"]), aad)
            assert message.verify_tag() == (item["result"] == "valid"), item
        elif item["result"] == "valid":
            public_key = bytes.fromhex(item["public_key"])
            assert sign1(data, public_key, aad).verify_signature(), item
            payload, signature = seal.sign1_split(data)
            key = Ed25519PublicKey.from_public_bytes(public_key)
            key.verify(signature, seal.sign1_tbs(payload, aad))
            with pytest.raises(InvalidSignature):
                key.verify(signature, seal.sign1_tbs(payload + b"\x00", aad))


# --- the vectors themselves -------------------------------------------------------------------


def test_making_them_again_changes_nothing():
    made = make_vectors.documents()
    assert sorted(made) == sorted(f"{name}.json" for name in NAMES)
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, name


def test_every_kind_and_type_has_examples_and_counterexamples():
    groups = {
        group["rule"]: group["items"]
        for name in ("records", "messages")
        for group in DOCUMENTS[name]["groups"]
    }
    rules = {rule for rule in ("record", "message", "relayed") for rule in choices(rule)}
    assert set(groups) == rules | {"receipt-body"}
    for rule, group in groups.items():
        results = [item["result"] for item in group]
        assert results.count("valid") >= 1, rule
        assert results.count("invalid") >= 3, rule
    # Counterexamples are what finds faults.
    found = [item["result"] for group in groups.values() for item in group]
    assert found.count("invalid") > 3 * found.count("valid")


def choices(rule):
    (line,) = (line for line in GRAMMAR.splitlines() if line.startswith(f"{rule} = "))
    return [choice.strip() for choice in line.partition("=")[2].split("/")]


def test_every_error_number_is_hit():
    hit = {
        item["error"]
        for name in NAMES
        for group in DOCUMENTS[name]["groups"]
        for item in group["items"]
        if item["result"] == "invalid"
    }
    numbers = {value for name, value in vars(errors).items() if name.isupper()}
    assert hit | ELSEWHERE == numbers == set(TEXTS)
    assert not hit & ELSEWHERE


@pytest.mark.parametrize("name", NAMES)
def test_form(name):
    document = DOCUMENTS[name]
    found = [item for group in document["groups"] for item in group["items"]]
    ids = [item["id"] for item in found]
    assert len(ids) == len(set(ids))
    used = set()
    for item in found:
        assert item["flags"], item["id"]
        used.update(item["flags"])
        assert ("value" in item, "error" in item) == (
            (True, False) if item["result"] == "valid" else (False, True)
        ), item["id"]
    assert used == set(document["notes"])
    hexes = [
        (group["id"], item["hex"], item.get("key"), item.get("aad"))
        for group in document["groups"]
        for item in group["items"]
    ]
    assert len(hexes) == len(set(hexes)), "an example twice"
