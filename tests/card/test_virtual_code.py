"""The codes of a virtual card: what goes wrong with them, and what is good once and for 60 s."""

import base64
import hashlib
import hmac
import json
import os
import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.card import virtual_code
from protocols.card.virtual_code import EARLY_S, LIFE_S, make, parse, verify
from protocols.rules import clock, reasons
from protocols.rules.scan_codes import CAMPUS_IDENTITY, CAMPUS_PAYMENT, WECHAT, kind_of
from protocols.wire import seal
from tests.card import virtual_code_vectors

SEED = bytes(range(32))
CARD, MADE_S, NONCE = 4711, 1_795_600_000, b"\x12\x34"
NOW = (MADE_S * 1000 + 900, MADE_S * 1000 + 1000)
KINDS = (CAMPUS_PAYMENT, CAMPUS_IDENTITY)
# What QR codes of versions 2 and 3 hold in alphanumeric mode (ISO/IEC 18004, table 7).
QR_ALPHANUMERIC = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
VERSION_2M_CHARACTERS, VERSION_3Q_CHARACTERS = 38, 47


def payment(seed=SEED, **changed):
    fields = {"card": CARD, "made_s": MADE_S, "nonce": NONCE, **changed}
    return make(seed, CAMPUS_PAYMENT, **fields)


def judged(text, kind=CAMPUS_PAYMENT, seed=SEED, interval_ms=NOW, seen=()):
    code = parse(text)
    return reasons.CODE_UNKNOWN if code is None else verify(code, kind, seed, interval_ms, seen)


def at(earliest_s, latest_s):
    return (int(earliest_s * 1000), int(latest_s * 1000))


# -- what goes wrong ----------------------------------------------------------------------------


def test_no_character_may_be_another():
    """At every place, by every character of the alphabet and some beside it."""
    good = payment()
    refused = {reasons.CODE_UNKNOWN, reasons.CODE_FORGED}
    tried = 0
    for place in range(len(good)):
        for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567abc018= \r\x00\xff":
            if other != good[place]:
                spoiled = good[:place] + bytes((other,)) + good[place + 1 :]
                assert judged(spoiled) in refused, spoiled
                tried += 1
    assert tried > 1500
    assert judged(good) == reasons.APPROVED


@pytest.mark.parametrize("size", [0, 1, 6, 37, 39, 76])
def test_no_other_length(size):
    assert parse((payment() * 2)[:size]) is None


@pytest.mark.parametrize(
    "seed", [None, b"", bytes(31), bytes(32), bytes(33), bytes(range(1, 33)), SEED[::-1]]
)
def test_another_seed_or_none_is_a_forgery(seed):
    assert judged(payment(), seed=seed) == reasons.CODE_FORGED


def test_a_card_without_a_seed_has_no_code_at_all():
    """Not even one that was made with the zeros that stand in for it."""
    text = payment(seed=bytes(32))
    assert judged(text, seed=bytes(32)) == reasons.APPROVED
    for seed in (None, b""):
        assert judged(text, seed=seed) == reasons.CODE_FORGED


@pytest.mark.parametrize(
    ("made", "asked", "reason"),
    [
        (CAMPUS_IDENTITY, CAMPUS_PAYMENT, reasons.CODE_IS_IDENTITY),
        (CAMPUS_PAYMENT, CAMPUS_IDENTITY, reasons.CODE_IS_PAYMENT),
    ],
)
def test_one_kind_is_not_the_other(made, asked, reason):
    text = make(SEED, made, CARD, MADE_S, NONCE)
    assert judged(text, asked) == reason
    prefixes = {b"OCPAYA": b"OCIDYA", b"OCIDYA": b"OCPAYA"}
    assert judged(prefixes[text[:6]] + text[6:], asked) == reasons.CODE_FORGED
    assert judged(text, made) == reasons.APPROVED


def test_a_picture_of_a_used_code():
    seen = set()
    text = payment()
    assert judged(text, seen=seen) == reasons.APPROVED
    seen.add(parse(text).number)
    assert judged(text, seen=seen) == reasons.CODE_USED
    for other in (payment(nonce=b"\x12\x35"), payment(made_s=MADE_S + 1), payment(card=4712)):
        assert judged(other, seen=seen) == reasons.APPROVED
    identity = make(SEED, CAMPUS_IDENTITY, CARD, MADE_S, NONCE)
    assert judged(identity, CAMPUS_IDENTITY, seen=seen) == reasons.APPROVED


def test_a_forged_code_does_not_use_up_a_good_one():
    """Numbers of codes go into `seen` only when approved; and a forged number says forged."""
    good = parse(payment())
    forged = payment(seed=bytes(32))
    assert parse(forged).number == good.number
    assert judged(forged, seen={good.number}) == reasons.CODE_FORGED


BEGIN_S, END_S = MADE_S - EARLY_S, MADE_S + LIFE_S


@pytest.mark.parametrize(
    ("interval_ms", "reason"),
    [
        (at(MADE_S, MADE_S), reasons.APPROVED),
        (at(BEGIN_S, END_S), reasons.APPROVED),
        (at(END_S, END_S), reasons.APPROVED),
        (at(END_S, END_S + 0.001), reasons.CODE_EXPIRED),
        (at(END_S + 1, END_S + 1), reasons.CODE_EXPIRED),
        (at(END_S + 86400, END_S + 86400), reasons.CODE_EXPIRED),
        (at(BEGIN_S - 0.001, BEGIN_S), reasons.CODE_NOT_YET),
        (at(BEGIN_S - 86400, BEGIN_S - 86400), reasons.CODE_NOT_YET),
        (at(BEGIN_S - 0.001, END_S), reasons.CODE_NOT_YET),
        (at(BEGIN_S, END_S + 0.001), reasons.CODE_EXPIRED),
        (at(BEGIN_S - 0.001, END_S + 0.001), reasons.CLOCK_UNKNOWN),
        (clock.NEVER_SET, reasons.CLOCK_UNKNOWN),
    ],
)
def test_time_is_judged_on_the_safe_side(interval_ms, reason):
    assert judged(payment(), interval_ms=interval_ms) == reason


@given(st.integers(-200_000, 200_000), st.integers(0, 200_000), st.data())
def test_whatever_is_approved_was_alive_whenever_it_was(offset_ms, width_ms, data):
    earliest_ms = MADE_S * 1000 + offset_ms
    interval_ms = (earliest_ms, earliest_ms + width_ms)
    truth_ms = data.draw(st.integers(*interval_ms))
    is_alive = BEGIN_S * 1000 <= truth_ms <= END_S * 1000
    reason = judged(payment(), interval_ms=interval_ms)
    if reason == reasons.APPROVED:
        assert is_alive
    elif is_alive:  # refused in doubt only, and then the doubt is real
        assert width_ms > 0
        assert not BEGIN_S * 1000 <= earliest_ms <= earliest_ms + width_ms <= END_S * 1000


@given(st.integers(0, 100_000))
def test_what_is_forgotten_has_expired(late_ms):
    code = parse(payment())
    now_ms = code.forget_s() * 1000 + late_ms
    assert verify(code, CAMPUS_PAYMENT, SEED, (now_ms, now_ms), ()) == reasons.CODE_EXPIRED


def test_a_tag_is_compared_as_a_whole(monkeypatch):
    """The seal's comparison is asked, and its answer is believed; the seed is used or not."""
    asked = []

    def recorded(a, b):
        asked.append((len(a), len(b)))
        return seal.is_same(a, b)

    monkeypatch.setattr(virtual_code, "is_same", recorded)
    for seed in (SEED, bytes(32), None):
        judged(payment(), seed=seed)
    assert asked == [(10, 10)] * 3


@pytest.mark.parametrize(
    ("seed", "kind", "card", "made_s", "nonce"),
    [
        (SEED[:31], CAMPUS_PAYMENT, CARD, MADE_S, NONCE),
        (SEED, WECHAT, CARD, MADE_S, NONCE),
        (SEED, CAMPUS_PAYMENT, -1, MADE_S, NONCE),
        (SEED, CAMPUS_PAYMENT, 1 << 32, MADE_S, NONCE),
        (SEED, CAMPUS_PAYMENT, CARD, -1, NONCE),
        (SEED, CAMPUS_PAYMENT, CARD, 1 << 32, NONCE),
        (SEED, CAMPUS_PAYMENT, CARD, MADE_S, b"\x01"),
    ],
)
def test_only_what_fits_is_made(seed, kind, card, made_s, nonce):
    with pytest.raises(ValueError):
        make(seed, kind, card, made_s, nonce)


def test_forgeries():
    """Right form under no key, or a good code with a bit turned: 200,000 read, 20,000 judged."""
    draw = random.Random(5)
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    good = base64.b32decode(payment()[6:])
    reached = 0
    for turn in range(200_000):
        if turn % 50:
            text = b"OCPAYA" + bytes(draw.choices(alphabet, k=32))
        else:
            flipped = int.from_bytes(good, "big") ^ 1 << draw.randrange(160)
            text = b"OCPAYA" + base64.b32encode(flipped.to_bytes(20, "big"))
        if turn % 10:
            assert parse(text) is not None
        else:
            assert judged(text) == reasons.CODE_FORGED
            reached += 1
    assert reached == 20_000


@given(st.binary(max_size=256))
def test_no_bytes_raise(text):
    code = parse(text)
    assert code is None or code.kind in KINDS


# -- what is good -------------------------------------------------------------------------------


def independent(seed, kind, card, made_s, nonce):
    """A code as the module's header describes it, by the library of CPython."""
    prefix, label = {
        CAMPUS_PAYMENT: (b"OCPAYA", b"onecard/v1/code/pay"),
        CAMPUS_IDENTITY: (b"OCIDYA", b"onecard/v1/code/identity"),
    }[kind]
    fields = card.to_bytes(4, "big") + made_s.to_bytes(4, "big") + nonce
    key = hmac.new(seed, label, hashlib.sha256).digest()
    tag = hmac.new(key, prefix + fields, hashlib.sha256).digest()[:10]
    return prefix + base64.b32encode(fields + tag)


@given(
    st.binary(min_size=32, max_size=32),
    st.sampled_from(KINDS),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFF00),
    st.binary(min_size=2, max_size=2),
)
def test_what_is_made_is_read_and_good(seed, kind, card, made_s, nonce):
    text = make(seed, kind, card, made_s, nonce)
    assert text == independent(seed, kind, card, made_s, nonce)
    assert kind_of(text) == kind
    code = parse(text)
    assert (code.kind, code.card, code.made_s) == (kind, card, made_s)
    now_ms = (made_s * 1000, made_s * 1000 + 30_000)
    assert verify(code, kind, seed, now_ms, ()) == reasons.APPROVED


def test_it_fits_a_small_code():
    text = payment()
    assert all(character in QR_ALPHANUMERIC for character in text)
    assert len(text) <= VERSION_2M_CHARACTERS < VERSION_3Q_CHARACTERS


# -- the vectors --------------------------------------------------------------------------------


def document(root):
    return json.loads((root / "protocols/vectors/virtual_code.json").read_text())


def test_vectors_say_what_we_do(repo_root):
    items = document(repo_root)["items"]
    for item in items:
        reason, again = virtual_code_vectors.outcome(item)
        assert reason == item["reason"], item["id"]
        assert again == (item["code"] if reason == reasons.APPROVED else ""), item["id"]
    found = {item["reason"] for item in items}
    assert found == {
        reasons.APPROVED,
        reasons.CLOCK_UNKNOWN,
        reasons.CODE_UNKNOWN,
        reasons.CODE_IS_IDENTITY,
        reasons.CODE_IS_PAYMENT,
        reasons.CODE_EXPIRED,
        reasons.CODE_NOT_YET,
        reasons.CODE_USED,
        reasons.CODE_FORGED,
    }
    assert sum(item["reason"] != reasons.APPROVED for item in items) > 2 * 3


def test_good_vectors_are_what_the_library_makes(repo_root):
    for item in document(repo_root)["items"]:
        if item["reason"] == reasons.APPROVED:
            kind = virtual_code_vectors.KINDS[item["asked"]]
            nonce = bytes.fromhex(item["nonce"])
            made = independent(
                bytes.fromhex(item["seed"]), kind, item["card"], item["made_s"], nonce
            )
            assert made.decode() == item["code"], item["id"]


def test_a_reader_judges_vectors_the_same(repo_root, micropython):
    script = repo_root / "tests" / "card" / "virtual_code_vectors.py"
    vectors = repo_root / "protocols" / "vectors" / "virtual_code.json"
    environment = {**os.environ, "MICROPYPATH": f"{repo_root}:.frozen"}
    command = [micropython, "-X", "heapsize=128k", str(script), str(vectors)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = []
    for item in document(repo_root)["items"]:
        again = item["code"] if item["reason"] == reasons.APPROVED else ""
        expected.append(f"{item['id']} {item['reason']} {again}")
    assert done.stdout.splitlines() == expected
