"""Identity codes at a door (R14b.5, R24): how long one waits, what is a wrong try, what is heard.

The ledger says whose code it is; whether they may enter is decided as for a card (access.py); what
it says instead only names why the door stays shut (ADR 32).
"""

from protocols.rules import reasons

# GB 50396: an answer within 2 s. Between two times that the same question is said; the ledger
# takes one in 300 ms of a reader.
ANSWER_MS, AGAIN_MS = 2000, 500


def is_wrong(reason):
    """Whether a code that was refused for this is a wrong try, as a foreign card is.

    What is none of ours, nobody has made, was used before, or is of a lost card. Not who shows the
    payment code, or an old one, or comes when nobody can answer.
    """
    if reasons.CODE_OF_WECHAT <= reason <= reasons.CODE_OF_WALLET:
        return True
    wrong = reasons.CODE_UNKNOWN, reasons.CODE_USED, reasons.CODE_FORGED, reasons.CARD_LOST
    return reason in wrong
