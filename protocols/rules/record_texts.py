"""What each reason of reasons.py leaves in the journal, and how it sounds; for docs and tests.

No reader imports it. A test drives every one at a real POS and looks at its journal.
"""

from protocols.rules import reason_texts, reasons, screen_texts

_SPEND = "INTENT, OUTCOME"
_CODE = "CODE_SALE, REFUSAL"
_TAP = "REFUSAL"
# Where it is not a REFUSAL: the records from the first key of the sale on, in their order, and
# what else there is to say of them. None at all only with a reason why.
_OTHERS = {
    reasons.CARD_GONE: (_SPEND, "not committed; none if the card left before anything was begun"),
    reasons.TAP_AGAIN: (_SPEND, "unknown, until the card tells"),
    reasons.SAME_CARD_PLEASE: (_SPEND, "unknown: that of the card which is waited for"),
    reasons.ASK_LEDGER: (_SPEND, "unknown for good; the ledger knows by the card's next tap"),
    reasons.PAID_JUST_NOW: ("", "a question to the clerk; a second spend has its own"),
    reasons.BATTERY_UNTESTED: ("INSPECTION", ""),
    reasons.BATTERY_WORN: ("INSPECTION", ""),
    reasons.JOURNAL_FULL: ("", "there is no room; the records that filled it tell"),
    reasons.PIN_WRONG: ("REFUSAL, " + _SPEND + ", REFUSAL", "asked for; the try; refused"),
    reasons.IDENTITY_CHECK: (_SPEND + ", REFUSAL", "the last try; its holder is asked for"),
    reasons.CARD_CAPTURED: ("CAPTURE, REFUSAL", "kept; each tap of it from then on"),
    reasons.CODE_OF_WECHAT: (_CODE, "of a ledger without an acquirer"),
    reasons.CODE_OF_ALIPAY: (_CODE, "of a ledger without an acquirer"),
    reasons.CODE_OF_UNIONPAY: (_CODE, "of a ledger without an acquirer"),
    reasons.CODE_EXPIRED: (_CODE, ""),
    reasons.CODE_NOT_YET: (_CODE, ""),
    reasons.CODE_USED: (_CODE, ""),
    reasons.CODE_FORGED: (_CODE, ""),
    reasons.CASE_OPENED: ("TAMPER, REFUSAL", "opened; each tap from then on"),
    reasons.MOVED: ("TAMPER, REFUSAL", "found elsewhere; each tap from then on"),
}
# Not of a POS: who says it instead.
ELSEWHERE = {
    reasons.NO_NUMBER: (_TAP, "at a library desk"),
    reasons.CODE_IS_PAYMENT: (
        "ENTRY",
        "at a door; none at a self-service machine, which asks again",
    ),
    reasons.NOT_TYPED: (_TAP, "at a library desk"),
    reasons.NOT_A_DESK: (_TAP, "at a library desk"),
    reasons.NO_PERSON_NO: (_TAP, "at a library desk"),
    reasons.LOSS_UNSURE: ("", "at a self-service machine, where nothing was done"),
}
# number: (kinds of record in order, "" for none; a note)
RECORDS = {
    number: _OTHERS.get(number, ELSEWHERE.get(number, (_TAP, "")))
    for number in sorted(reasons.DISPLAY)
}


def told(number):
    """What a reason leaves, for people."""
    kinds, note = RECORDS[number]
    return "%s: %s" % (kinds or "none", note) if note else kinds


def rows():
    """(number, display, meaning, Chinese, sound, record) of every reason."""
    found = []
    for number in RECORDS:
        words = (number, reasons.DISPLAY[number]) + reason_texts.TEXTS[number]
        found.append(words + (screen_texts.TEXTS[number][2], told(number)))
    return found
