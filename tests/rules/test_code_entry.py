"""What is a wrong try among codes, and how long one waits at a door."""

from protocols.rules import access, code_entry, reason_texts, reasons

WRONG = {
    reasons.CODE_UNKNOWN,
    reasons.CODE_OF_WECHAT,
    reasons.CODE_OF_ALIPAY,
    reasons.CODE_OF_UNIONPAY,
    reasons.CODE_OF_TRANSIT,
    reasons.CODE_OF_WALLET,
    reasons.CODE_USED,
    reasons.CODE_FORGED,
    reasons.CARD_LOST,
}


def test_what_is_none_of_ours_or_was_used_is_a_wrong_try_and_nothing_else():
    of_doors = range(access.NO_ACCESS, access.CODE_NO_VALIDITY + 1)
    every = {*reason_texts.TEXTS, *of_doors, 0}
    assert {reason for reason in every if code_entry.is_wrong(reason)} == WRONG


def test_silence_ends_when_gb_50396_says():
    """Within 2 s, and more than one try of saying it lies in that time."""
    assert code_entry.ANSWER_MS == 2_000
    assert 300 < code_entry.AGAIN_MS < code_entry.ANSWER_MS // 2
