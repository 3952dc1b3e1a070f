"""The table of a door in words and as a diagram, for docs and tests; no reader imports it."""

from protocols.rules import door

STATES = {
    door.SETTLING: "everything has to be in order for 2 s, and the door shut, before it is locked",
    door.SECURED: "locked",
    door.GRANTED: "open for whoever may enter, 5 s (3 to 15 s)",
    door.HELD: "open for 15 s longer than a grant lasts: somebody is called",
    door.FORCED: "opened although it was locked: somebody is called, until it has been shut for "
    "%d s; each time within %d min doubles that, up to %d s"
    % (door.SHUT_MS // 1000, door.SHUT_AGAIN_MS // 60000, door.SHUT_MS_MAX // 1000),
    door.EXIT: "the exit button, until 30 s after it was let go",
    door.FREE: "open to everybody, by schedule",
    door.FIRE: "the fire loop was open: until a key is turned at the door",
    door.DARK: "the lock has no supply (R23.2)",
    door.FAULT: "not to be trusted: until a key is turned at the door",
}
EVENTS = {
    "fire": "the fire loop is open, or its wire is cut",
    "fault": "relay and order disagree, the supply chatters, or the firmware hung",
    "dark": "the lock's supply is gone",
    "mains": "it has been back for 2 s",
    "exit": "the exit button is pressed, or its wire is cut",
    "opened": "the door is open",
    "closed": "the door is shut",
    "left-open": "it has stood open for too long",
    "grant": "somebody may enter",
    "over": "the time of the state is over",
    "free": "a schedule leaves the door open",
    "bound": "the schedule is over",
    "ready": "all has been in order for long enough",
    "slip": "the relay has let go by itself",
    "tamper": "the housing is open, or its wire is cut",
    "arm": "a key is turned at the door",
}
ACTIONS = {
    "lock": "red light, quiet",
    "open": "green light, quiet",
    "close": "lights out, quiet",
    "quiet": "quiet",
    "alarm": "siren and red light",
    "note": "a record",
}
CAUSES = {
    door.HUNG: "the firmware hung, its watchdog has reset it",
    door.WELDED: "the relay holds against the order",
    door.NOT_HELD: "the relay does not follow the order",
    door.CHATTER: "the supply came and went more than three times in 10 s",
}


def rows():
    """Lines of cells: each event, and what each state answers to it."""
    return [
        (EVENTS[event],) + tuple([_told(state, event) for state in STATES]) for event in EVENTS
    ]


def diagram():
    """A Mermaid state diagram: every way that leads to another state."""
    lines = ["stateDiagram-v2", "    [*] --> " + door.SETTLING]
    for state in STATES:
        for event in EVENTS:
            after = answer(state, event)[0]
            if after != state:
                lines.append("    %s --> %s: %s" % (state, after, event))
    return lines


def answer(state, event):
    """As door.cell; (state, None) for what cannot happen."""
    try:
        return door.cell(state, event)
    except ValueError:
        return state, None


def _told(state, event):
    after, action = answer(state, event)
    if action is None:
        return "cannot happen"
    text = ACTIONS.get(action, "")
    return text if after == state else "%s → %s" % (text, after)
