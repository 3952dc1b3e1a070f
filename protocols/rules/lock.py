"""A lock on batteries, as a table: what each state answers to each event (R23.3, R24.3).

Rules of this file. TABLE answers every pair of event and state, on purpose. An entry is next state
and action; "=" stays, and alone it answers with nothing. "-" cannot happen: who brings it about
has a fault of its own. A motor moves a bolt that blocks the outer handle: thrown, the lock is
locked; drawn, it opens. The motor follows from the state alone, never from an action, and nothing
but a card draws the bolt. The inner handle and the key move the latch by hand, past the bolt: from
inside it always opens, here it is only told.

Each boot begins unsure and believes the end contacts alone: a bolt that is not thrown, wherever
power left it, is thrown, and that is told. One that meets something half way goes back to where it
locks; one that cannot is jammed, and tries again at each waking.

Records name states and events by where they stand (states from STATES_AT on, which tells a lock
from a door): new ones come last. Times come as arguments, monotonic, in ms.
"""

UNSURE, LOCKED, DRAWING, OPEN = "unsure", "locked", "drawing", "open"
THROWING, JAMMED = "throwing", "jammed"
STATES = (UNSURE, LOCKED, DRAWING, OPEN, THROWING, JAMMED)
STATES_AT = 32  # of a DOOR record: below it are those of rules/door.py
TABLE = """
event     unsure         locked         drawing        open           throwing     jammed
home      locked         -              -              -              -            -
adrift    throwing/throw -              -              -              -            -
spent     jammed/alarm   -              -              -              -            -
grant     -              drawing/draw   =              =/open         drawing/draw drawing/draw
drawn     -              -              open/open      -              -            -
thrown    -              -              -              -              locked/lock  locked/lock
stall     -              -              throwing/throw -              jammed/alarm -
over      -              -              -              throwing/throw -            -
slip      -              throwing/throw -              -              -            -
retry     -              -              -              -              -            throwing/throw
key       -              =/note         =/note         =/note         =/note       =/note
inside    -              =/note         =/note         =/note         =/note       =/note
tamper    -              =/alarm        =/alarm        =/alarm        =/alarm      =/alarm
intact    -              =/quiet        =/quiet        =/quiet        =/quiet      =/quiet
visited   -              =/note         =/note         =/note         =/note       =/note
weaker    -              =/note         =/note         =/note         =/note       =/note
swapped   -              =/note         =/note         =/note         =/note       =/note
"""

# Inputs, as bits of a level.
TOUCHED, THROWN, DRAWN, KEY, INSIDE, INTACT, LINE = 1, 2, 4, 8, 16, 32, 64
# What wakes a lock that sleeps, when it becomes 1; and INTACT, when it becomes 0.
WAKING = TOUCHED | KEY | INSIDE | LINE
# What the motor does.
REST, DRAW, THROW = 0, 1, 2

# A stroke takes 300 ms with fresh cells, and less than this with the last that may do it.
MOTOR_MS = 900
SLIP_MS = 100  # an end contact that bounces has not been left
SLIP_AGAIN_MS = (
    5000  # one that was left before may chatter: each time moves the bolt, by the cells
)
# How long the bolt stays drawn: bounds as of rules/door.py.
OPEN_MS_MIN, OPEN_MS, OPEN_MS_MAX = 3000, 5000, 15000
RETRY_MS, RETRIES = 3000, 2  # of a bolt that is jammed; then it waits for the next waking
KEY_MS = 10000  # so long after a key nobody moves the bolt against whoever turns it

# Inputs that are told when they change: the event when they become 1, and when they become 0.
_EDGES = (
    (KEY, "key", ""),
    (INSIDE, "inside", ""),
    (INTACT, "intact", "tamper"),
    (LINE, "visited", ""),
)


def cell(state, event):
    """(next state, action) that TABLE has for a state and an event, by name; "" is no action.

    ValueError for what cannot happen.
    """
    start = TABLE.index("\n" + event + " ") + 1
    entry = TABLE[start : TABLE.index("\n", start)].split()[1 + STATES.index(state)]
    if entry == "-":
        raise ValueError(event)
    if entry == "=":
        return state, ""
    after, _, action = entry.partition("/")
    return (state if after == "=" else after), action


def number(event):
    """Where an event stands in TABLE, from 0."""
    return TABLE.count("\n", 0, TABLE.index("\n" + event + " ")) - 1


class Lock:
    """One lock: `state` by its name, `levels` as seen last.

    `told` are the inputs as they were told before, in a life that ended in sleep, or INTACT.
    `may_move`: whether a bolt that is found adrift may be thrown, or its motor is what has ended
    the lives before. Ask for `event` until there is none, and let each of them `happen` before
    asking for the next one.
    """

    def __init__(self, told, may_move, open_ms, now_ms):
        self.state = UNSURE
        self._may_move = may_move
        self.levels = self._told = told
        self.let_last(open_ms)
        self._since_ms = now_ms  # in this state
        self._left = 0  # the ends whose contacts were open in it
        self._end_ms = now_ms  # since when the end contacts are as they are
        self._key_ms = now_ms - KEY_MS
        self._retries = 0 if may_move else RETRIES
        self._slip_ms = SLIP_MS

    def let_last(self, open_ms):
        """How long the bolt stays drawn from now on, within its bounds; 0: as long as it does."""
        self._open_ms = min(max(open_ms or OPEN_MS, OPEN_MS_MIN), OPEN_MS_MAX)

    def motor(self):
        """What the motor does now: REST, DRAW or THROW."""
        return DRAW if self.state == DRAWING else THROW if self.state == THROWING else REST

    def told(self):
        """The inputs as they were told."""
        return self._told

    def happen(self, event, now_ms):
        """Let an event happen; the action it asks for ("": none)."""
        before = self.state
        self.state, action = cell(before, event)
        if self.state != before or event == "grant":
            self._since_ms = now_ms
            self._left = 0
        if self.state in (LOCKED, OPEN):
            self._retries = 0
        elif event == "retry":
            self._retries += 1
        elif event == "slip":
            self._slip_ms = SLIP_AGAIN_MS
        return action

    def event(self, levels, now_ms):
        """The most urgent thing that has come about, "" if nothing has. `levels`: the inputs."""
        if (levels ^ self.levels) & (THROWN | DRAWN):
            self._end_ms = now_ms
        self.levels = levels
        if levels & KEY:
            self._key_ms = now_ms
        is_thrown = levels & (THROWN | DRAWN) == THROWN
        is_drawn = levels & (THROWN | DRAWN) == DRAWN
        state, for_ms = self.state, now_ms - self._since_ms
        self._left |= ~levels & (THROWN | DRAWN)
        is_over = for_ms >= MOTOR_MS
        if state == UNSURE:
            return "home" if is_thrown else "adrift" if self._may_move else "spent"
        if state == DRAWING and is_drawn and (is_over or self._left & DRAWN):
            return "drawn"
        if state in (THROWING, JAMMED) and is_thrown and (is_over or self._left & THROWN):
            return "thrown"
        if state in (DRAWING, THROWING) and is_over:
            return "stall"
        return self._edge() or self._end(is_thrown, for_ms, now_ms)

    def _edge(self):
        """What is told once, when it begins."""
        news = self.levels ^ self._told
        for bit, event, event_at_0 in _EDGES:
            if news & bit:
                self._told ^= bit
                event = event if self.levels & bit else event_at_0
                if event:
                    return event
        return ""

    def _end(self, is_thrown, for_ms, now_ms):
        """What time brings about."""
        state = self.state
        if state == OPEN and for_ms >= self._open_ms:
            return "over"
        if now_ms - self._key_ms < KEY_MS:
            return ""
        if state == LOCKED and not is_thrown and now_ms - self._end_ms >= self._slip_ms:
            return "slip"
        if state == JAMMED and for_ms >= RETRY_MS and self._retries < RETRIES:
            return "retry"
        return ""
