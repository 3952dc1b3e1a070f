"""The table of a lock in words and as a diagram, for docs and tests; no reader imports it."""

from protocols.rules import lock

STATES = {
    lock.UNSURE: "it has just booted: the end contacts say where the bolt is",
    lock.LOCKED: "the bolt is thrown",
    lock.DRAWING: "the motor draws the bolt, for 0.9 s at most",
    lock.OPEN: "the bolt is drawn, for 5 s (3 to 15 s)",
    lock.THROWING: "the motor throws the bolt, for 0.9 s at most",
    lock.JAMMED: "the bolt could not be thrown: somebody is called",
}
EVENTS = {
    "home": "behind a boot the bolt is thrown",
    "adrift": "behind a boot it is anywhere else",
    "spent": "it is, and the motor is what has broken the cells down before",
    "grant": "somebody may enter",
    "drawn": "the contact of the drawn bolt closes",
    "thrown": "the contact of the thrown bolt closes",
    "stall": "the motor has run for too long",
    "over": "the time of the state is over",
    "slip": "the bolt has left its end by itself, for %d ms, the second time for %d s, and no key "
    "is turned" % (lock.SLIP_MS, lock.SLIP_AGAIN_MS // 1000),
    "retry": "3 s later, twice; then at the next waking",
    "key": "a key is turned",
    "inside": "the inner handle is pressed",
    "tamper": "the case is open, or its wire is cut",
    "intact": "the case is shut",
    "visited": "a handheld is plugged in",
    "weaker": "the cells have got to a worse grade",
    "swapped": "other cells were put in",
}
ACTIONS = {
    "draw": "the motor draws",
    "open": "green light, quiet",
    "throw": "lights out, the motor throws",
    "lock": "quiet",
    "quiet": "quiet",
    "alarm": "three beeps and red light, once",
    "note": "a record",
}
GRADES = {
    0: "good",
    1: "low: every holder hears it, the warden's list shows it",
    2: "empty: no card opens, a key does",
}


def rows():
    """Lines of cells: each event, and what each state answers to it."""
    return [
        (EVENTS[event],) + tuple([_told(state, event) for state in STATES]) for event in EVENTS
    ]


def diagram():
    """A Mermaid state diagram: every way that leads to another state."""
    lines = ["stateDiagram-v2", "    [*] --> " + lock.UNSURE]
    for state in STATES:
        for event in EVENTS:
            after = answer(state, event)[0]
            if after != state:
                lines.append("    %s --> %s: %s" % (state, after, event))
    return lines


def answer(state, event):
    """As lock.cell; (state, None) for what cannot happen."""
    try:
        return lock.cell(state, event)
    except ValueError:
        return state, None


def _told(state, event):
    after, action = answer(state, event)
    if action is None:
        return "cannot happen"
    text = ACTIONS.get(action, "")
    return text if after == state else "%s → %s" % (text, after)
