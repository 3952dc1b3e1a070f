"""Codes before a scanner: every kind by its published rule, and nothing else by accident."""

import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.rules import reasons, scan_codes
from protocols.rules.scan_codes import (
    ALIPAY,
    CAMPUS_IDENTITY,
    CAMPUS_PAYMENT,
    E_CNY,
    EMV,
    TRANSIT,
    UNIONPAY,
    UNKNOWN,
    WECHAT,
    decide,
    kind_of,
)
from tests.drivers.test_on_micropython import run_here, run_in_vm

KINDS = (
    UNKNOWN,
    CAMPUS_PAYMENT,
    CAMPUS_IDENTITY,
    WECHAT,
    ALIPAY,
    UNIONPAY,
    E_CNY,
    EMV,
    TRANSIT,
)
BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
DIGITS = b"0123456789"
ROWS = [(at, line.split()) for at, line in enumerate(scan_codes._TABLE.split(b"\n"))][1:-1]


def transit(version, size):
    """A transit code as far as its frame goes: version, how many bytes follow, the bytes."""
    return (
        bytes((version,)) + (size - 3).to_bytes(2, "big") + bytes(i & 255 for i in range(size - 3))
    )


EMV_EXAMPLE = b"hQVDUFYwMWEaTwegAAAAVVVVVw8SNFZ4kBI0WNGRIgESNF8="  # EMVCo's shape: 85 05 "CPV01"

CODES = [
    (b"134567890123456789", WECHAT),
    (b"100000000000000000", WECHAT),
    (b"159999999999999999", WECHAT),
    (b"2800000000000000", ALIPAY),  # 16
    (b"250000000000000000000000", ALIPAY),  # 24
    (b"309999999999999999", ALIPAY),  # 18, as long as a WeChat code
    (b"3000000000000000000", ALIPAY),  # 19, as long as a UnionPay code
    (b"6212345678901234567", UNIONPAY),
    (b"0112345678901234567", E_CNY),
    (b"OCPAYA" + b"A2" * 16, CAMPUS_PAYMENT),
    (b"OCIDYA" + b"Z7" * 16, CAMPUS_IDENTITY),
    (EMV_EXAMPLE, EMV),
    (transit(0x80, 243), TRANSIT),
    (transit(0x81, 256), TRANSIT),
    # Known ambiguities, written down in the module: they are what they look like.
    (b"110101199003077758", WECHAT),  # the form of a citizen's number, Beijing
    (b"6222021234567890123", UNIONPAY),  # the form of a bank card's number
]
NEAR_MISSES = [
    b"",
    b"0",
    b"13456789012345678",  # a WeChat code that lost a digit
    b"1345678901234567890",  # and one that was read twice
    b"090000000000000000",
    b"160000000000000000",
    b"13456789012345678X",  # a citizen's number with its check character
    b"13456789012345678 ",
    b" 134567890123456789",
    b"1345678901234567\xef\xbc\x99",
    b"\xef\xbc\x91" * 6,  # digits to str.isdigit, not to us
    "²³¹¹¹¹¹¹¹¹¹¹¹¹¹¹¹¹".encode("latin-1"),
    b"280000000000000",  # 15
    b"2800000000000000000000000",  # 25
    b"240000000000000000",
    b"310000000000000000",
    b"2:00000000000000",  # between "25" and "30" as text
    b"2z00000000000000",
    b"621234567890123456",  # 18
    b"62123456789012345678",  # 20
    b"6112345678901234567",
    b"0212345678901234567",
    b"5678123456789012345",
    b"8100000000000000000",
    b"6901234567892",  # an EAN-13 of a bottle
    b"https://qr.alipay.com/fkx1234567890",  # a merchant's own sign
    b"wxp://f2f0abcdefghijklmnop",
    b"OCPAYA" + b"A" * 31,
    b"OCPAYA" + b"A" * 33,
    b"OCPAYA" + b"a" * 32,
    b"OCPAYA" + b"1" * 32,
    b"OCPAYA" + b"A" * 31 + b"=",
    b"OCPAYB" + b"A" * 32,  # a version that is not there yet
    b"OCXXXA" + b"A" * 32,
    b"ocpaya" + b"A" * 32,
    b"OCPAYA" + b"A" * 31 + b"\n",
    EMV_EXAMPLE[:-1] + b"*",
    b"hQVDUFYw",
    transit(0x82, 243),
    transit(0x7F, 243),
    transit(0x81, 360),  # longer than a scanner here takes in
    transit(0x80, 99),
    transit(0x80, 243)[:-1],
    transit(0x80, 243) + b"\x00",
    bytes(256),
    bytes(255 for _ in range(256)),
]


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_a_code_is_of_its_kind(code, kind):
    assert kind_of(code) == kind


@pytest.mark.parametrize("code", NEAR_MISSES)
def test_what_is_nearly_a_code_is_unknown(code):
    assert kind_of(code) == UNKNOWN


@pytest.mark.parametrize(("code", "kind"), CODES)
@pytest.mark.parametrize("holder", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(holder, code, kind):
    assert kind_of(holder(code)) == kind


def rows_that_fit(code):
    return [kind for kind, row in ROWS if scan_codes._fits(row, code)]


def test_digits_belong_to_one_kind_at_most():
    """Every prefix of two digits at every length: by the rules as published, written anew."""
    for head in range(100):
        for size in range(2, 33):
            code = b"%02d" % head + b"7" * (size - 2)
            expected = UNKNOWN
            if size == 18 and 10 <= head <= 15:
                expected = WECHAT
            if 16 <= size <= 24 and 25 <= head <= 30:
                expected = ALIPAY
            if size == 19 and head in (62, 1):
                expected = UNIONPAY if head == 62 else E_CNY
            assert kind_of(code) == expected, code
            assert len(rows_that_fit(code)) == (expected != UNKNOWN)


def test_one_wrong_byte_anywhere_makes_it_another():
    for code, kind in CODES:
        if kind == TRANSIT:
            continue
        for at in range(len(code)):
            for wrong in (0, 10, 13, 32, 0x2F, 0x3A, 0x80, 0xFF):
                spoiled = bytearray(code)
                spoiled[at] = wrong
                # A slash is Base64.
                if not (kind == EMV and wrong == 0x2F and at > 6):
                    assert kind_of(spoiled) == UNKNOWN, (code, at, wrong)


def drawn(draw):
    """Bytes that come near a code: a prefix of one, then what may follow it, or not."""
    prefix = draw.choice(
        (b"", b"13", b"28", b"62", b"01", b"OCPAYA", b"OCIDYA", b"hQVDUFY", b"\x81")
    )
    alphabet = draw.choice((DIGITS, BASE32, bytes(range(256)), b"0\xff\r"))
    size = draw.choice((14, 16, 17, 22, 32, draw.randrange(257 - len(prefix))))
    return prefix + bytes(draw.choices(alphabet, k=size))


def test_two_hundred_thousand_inputs():
    """None raises, none is of two kinds, and every answer is a number that people can read."""
    draw = random.Random(20261125)
    counts = dict.fromkeys(KINDS, 0)
    for turn in range(200_000):
        code = drawn(draw)
        kind = kind_of(code)
        counts[kind] += 1
        if turn % 10 == 0:
            assert rows_that_fit(code) == ([] if kind == UNKNOWN else [kind])
            check_answer(code, kind, (kind,), turn % 20 == 0)
    assert all(counts[kind] > 100 for kind in KINDS if kind != TRANSIT)


def check_answer(code, kind, taken, is_online):
    found, reason = decide(code, taken, is_online)
    assert found == kind
    if kind == UNKNOWN or kind not in taken:
        assert reason not in (reasons.APPROVED, reasons.CODE_NEEDS_NETWORK)
        assert reason in reasons.DISPLAY
    else:
        assert reason == (reasons.APPROVED if is_online else reasons.CODE_NEEDS_NETWORK)


@given(
    st.binary(max_size=256) | st.from_regex(rb"[0-9]{14,26}", fullmatch=True),
    st.sets(st.sampled_from(KINDS)),
    st.booleans(),
)
@example(b"", {UNKNOWN}, True)
def test_any_bytes_get_an_answer(code, taken, is_online):
    check_answer(code, kind_of(code), taken, is_online)


@given(st.binary(min_size=97, max_size=253), st.sampled_from([0x80, 0x81]))
def test_a_transit_code_says_how_long_it_is(body, version):
    code = bytes((version,)) + len(body).to_bytes(2, "big") + body
    assert kind_of(code) == TRANSIT
    assert kind_of(code[:-1]) == UNKNOWN


def test_what_a_pos_says_to_each():
    pos = (CAMPUS_PAYMENT,)
    said = {kind: decide(code, pos, True)[1] for code, kind in CODES}
    assert said == {
        WECHAT: reasons.CODE_OF_WECHAT,
        ALIPAY: reasons.CODE_OF_ALIPAY,
        UNIONPAY: reasons.CODE_OF_UNIONPAY,
        E_CNY: reasons.CODE_OF_WALLET,
        EMV: reasons.CODE_OF_WALLET,
        TRANSIT: reasons.CODE_OF_TRANSIT,
        CAMPUS_PAYMENT: reasons.APPROVED,
        CAMPUS_IDENTITY: reasons.CODE_IS_IDENTITY,
    }
    assert decide(b"hello", pos, True) == (UNKNOWN, reasons.CODE_UNKNOWN)


def test_the_two_kinds_of_ours_are_not_interchangeable():
    payment, identity = b"OCPAYA" + b"A" * 32, b"OCIDYA" + b"A" * 32
    assert decide(payment, (CAMPUS_IDENTITY,), True) == (CAMPUS_PAYMENT, reasons.CODE_IS_PAYMENT)
    assert decide(identity, (CAMPUS_PAYMENT,), True) == (
        CAMPUS_IDENTITY,
        reasons.CODE_IS_IDENTITY,
    )


def test_without_network_nothing_is_taken():
    for code, kind in CODES:
        assert decide(code, KINDS, False) == (kind, reasons.CODE_NEEDS_NETWORK)


def test_what_is_refused_anyway_is_not_promised_for_later():
    """A WeChat code does not become good when the network is back."""
    assert decide(CODES[0][0], (CAMPUS_PAYMENT,), False)[1] == reasons.CODE_OF_WECHAT


def test_a_reader_classifies_the_same(micropython):
    script = str(Path(__file__).with_name("portable_scan_codes.py"))
    here = run_here(script).stdout.splitlines()
    assert run_in_vm(micropython, script).splitlines() == here
    assert len(here) == 2001
    assert len({line.split()[1] for line in here[:-1]}) == len(KINDS)
    assert here[-1].startswith("sum ")
