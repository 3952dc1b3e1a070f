"""The life of a sale at the window, as a table: what each state answers to each event.

Rules of this file. TABLE answers every pair of event and state, on purpose. It is words in a text,
because a text costs a reader no heap, in two blocks, because a line has an end, and of bytes, as
the table of posture.py is and for its reason. An entry is next state and action; "=" stays. "-" is
what cannot happen, because in that state no card is looked at: nothing is done. The money is not
here: an outcome is what services/till.py has said after everything stands on flash.

Digits and modes are a machine of their own (charging.py), which is asked where the action is
"key". ESC and silence lead home; an order whose card may have been debited is dropped then, and
the card itself tells the ledger. Only whether somebody is the holder has to be answered: confirm
is yes, ESC is no (R19.3). Whoever begins to key the next order has left the last one behind: a
question that nobody has read is never answered by its confirm key. A cancellation whose card does
not come has not been.

Of an order that is paid by the merchant's aggregate code (FN 8) no card is looked at any more.
Confirm says that the merchant has seen it paid on a phone; nothing else writes that down.

While the ledger is asked about a payment code, no key, card or further code is heard: its answer
ends that, or silence, and a record that says which (ADR 20).
"""

from protocols.rules import reasons, screens

KEYED, ARMED, SHOWN, AGAIN = "keyed", "armed", "shown", "again"
PIN, IDENTITY = "pin", "identity"
CANCEL, SCAN, ASKED = "cancel", "scan", "asked"
STATES = (KEYED, ARMED, SHOWN, AGAIN, PIN, IDENTITY, CANCEL, SCAN, ASKED)
TABLE = b"""
event    keyed armed      shown      again      pin         identity      cancel      scan
digit    =/key =/key      keyed/anew keyed/anew =/digit     =/who         =/wrong-key =/wrong-key
confirm  =/key =/key      keyed/anew armed/tap  armed/prove armed/match   =/wrong-key shown/scanned
esc      =/key keyed/drop keyed/home keyed/home keyed/home  shown/mismatch keyed/home keyed/home
key      =/key =/key      keyed/anew keyed/anew =/wrong-key =/who         =/wrong-key =/wrong-key
order    armed/ask -      -          -          -           -             -           -
cancel   cancel/which -   -          -          -           -             -           -
scan     -     scan/code  -          -          -           -             -           -
paid     -     shown/paid -          -          -           -             -           -
undone   -     -          -          -          -           -             shown/undone -
look     -     =/look     -          -          -           -             =/look      -
refused  -     shown/refuse -        -          -           -             shown/refuse -
again    -     again/ask-again -     -          -           -             -           -
pin      -     pin/ask-pin -         -          -           -             -           -
identity -     identity/who -        -          -           -             -           -
load     shown/load -     =/load     -          -           -             -           -
code     -     asked/wait -          -          -           -             -           -
silence  -     keyed/drop keyed/home keyed/home keyed/home  =/who         keyed/home  keyed/home

event    asked
digit    =/wrong-key
confirm  =/wrong-key
esc      =/wrong-key
key      =/wrong-key
order    -
cancel   -
scan     -
paid     shown/paid
undone   -
look     -
refused  shown/refuse
again    -
pin      -
identity -
load     -
code     -
silence  shown/unheard
"""
# How long a state waits for somebody.
PATIENCE_MS = {
    ARMED: 30000,
    SHOWN: 2000,
    AGAIN: 10000,
    PIN: 30000,
    IDENTITY: 15000,  # then it is asked once more
    CANCEL: 30000,
    SCAN: 120000,
    ASKED: 5000,
}
# After these the same amount waits for the next tap.
TRY_AGAIN = (
    reasons.TWO_CARDS,
    reasons.CARD_GONE,
    reasons.READER_FAULT,
    reasons.TAP_AGAIN,
    reasons.SAME_CARD_PLEASE,
)
# What till or cancel say -> the event that it is; of any other reason it is "refused".
EVENT_OF = {
    reasons.APPROVED: "paid",
    reasons.PAID_JUST_NOW: "again",
    reasons.PIN_NEEDED: "pin",
    reasons.PIN_WRONG: "pin",
    reasons.IDENTITY_CHECK: "identity",
    screens.CANCELLED: "undone",
    screens.ONE_MOMENT: "look",
}
for _reason in TRY_AGAIN:
    EVENT_OF[_reason] = "look"


def cell(state, event):
    """(next state, action) that TABLE has for a state and an event, by name; action "" for "-"."""
    column, at, end = state.encode(), 0, 0
    while not at:
        start = TABLE.index(b"\nevent ", end) + 1
        end = TABLE.index(b"\n", start)
        states = TABLE[start:end].split()
        at = states.index(column) if column in states else 0
    start = TABLE.index(b"\n" + event.encode() + b" ", end) + 1
    entry = TABLE[start : TABLE.index(b"\n", start)].split()[at]
    if entry == b"-":
        return state, ""
    after, action = entry.split(b"/")
    return (state if after == b"=" else after.decode()), action.decode()
