"""The table of a sale in words and as a diagram, for docs and tests; no reader imports it."""

from protocols.rules import sale

STATES = {
    sale.KEYED: "an order is keyed in, or nothing is",
    sale.ARMED: "a card or a payment code is waited for, 30 s",
    sale.SHOWN: "the end of the sale is shown, 2 s",
    sale.AGAIN: "the clerk is asked whether the same card pays once more, 10 s",
    sale.PIN: "the PIN is keyed in, 30 s",
    sale.IDENTITY: "wrong PINs are used up: is this the holder? (R19.3)",
    sale.CANCEL: "the last sale shall be cancelled, its card is waited for, 30 s",
    sale.SCAN: "the aggregate code is shown, to be paid by a phone, 120 s",
    sale.ASKED: "the ledger is asked about a payment code, 5 s",
}
EVENTS = {
    "digit": "a digit",
    "confirm": "the confirm key",
    "esc": "ESC",
    "key": "any other key",
    "order": "charging.py says that the order is complete",
    "cancel": "FN 7, and the last sale may be cancelled",
    "scan": "FN 8, and no card may have paid the order already",
    "paid": "the till or codes.py says: paid, and it stands on flash",
    "undone": "cancel.py says: cancelled, and it stands on flash",
    "look": "the till, cancel.py or codes.py says: the same amount, one more tap",
    "refused": "the till, cancel.py or codes.py says: no, for good",
    "again": "the till says: this card paid here within 5 s",
    "pin": "the till says: only with the PIN, or another one",
    "identity": "the till says: look who it is",
    "load": "money for the last card: load.py has something to say, and nothing is keyed",
    "code": "a payment code was read, and the ledger is going to be asked",
    "silence": "nobody came",
}
ACTIONS = {
    "key": "ask charging.py",
    "anew": "forget the order before, then ask charging.py",
    "ask": "ask for a card",
    "which": "say which sale, ask for its card",
    "code": "show the merchant's aggregate code and the amount",
    "scanned": "record that it was paid so, unverified; show its number",
    "ask-again": "ask the clerk",
    "tap": "ask for the card once more",
    "ask-pin": "ask for the PIN",
    "digit": "one digit of the PIN",
    "prove": "ask for the same card, to try the PIN",
    "wrong-key": "three beeps",
    "who": "ask whether that is the holder",
    "match": "ask for the same card, the merchant answers for its holder",
    "mismatch": "keep the card: record, refused here (R19.4)",
    "look": "say what is to be done",
    "paid": "green, one beep, amount and balance",
    "undone": "three beeps, amount and card, that it comes onto the card",
    "load": "show it beneath what its tap said",
    "refuse": "red, one long beep, the reason",
    "home": "welcome the next one",
    "wait": "ask the customer to wait",
    "unheard": "record that nothing was sold by code; red, one long beep, the reason",
    "drop": "leave what is open to the card and the ledger, welcome the next one",
}


def rows():
    """Lines of cells: each event, and what each state answers to it."""
    return [
        (EVENTS[event],) + tuple([_told(*sale.cell(state, event), state) for state in STATES])
        for event in EVENTS
    ]


def diagram():
    """A Mermaid state diagram: every way that leads to another state."""
    lines = ["stateDiagram-v2", "    [*] --> " + sale.KEYED]
    for state in STATES:
        for event in EVENTS:
            after, _ = sale.cell(state, event)
            if after != state:
                lines.append("    %s --> %s: %s" % (state, after, event))
    return lines


def _told(after, action, state):
    if not action:
        return ""
    return ACTIONS[action] + ("" if after == state else " → %s" % after)
