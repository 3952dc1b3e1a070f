"""A door that a magnet holds, as a table: what each state answers to each event (R8, R9, R23.2).

Rules of this file. TABLE answers every pair of event and state, on purpose. An entry is next state
and action; "=" stays, and alone it answers with nothing. "-" cannot happen: who brings it about
has a fault of its own. The coil follows from the state alone, never from an action: it may have
current in LOCKING, and nowhere else. Whoever waits for somebody waits with the coil off.

The coil's current runs through the lock's supply, the fire loop, the exit button and a relay, one
behind the other, so software can only take its own consent away: it reports fire and button, and
is not what opens (docs/adr/0019-pulses-hold-the-door.md). Locked is a door again only from
"settling", after everything has been in order for a while: that one guard is the same behind a
boot, a power cut, a fire and a visitor.

Records name states and events by where they stand: new ones come last.

Times come as arguments, monotonic, in ms. Levels are bits, and 0 is what a cut wire gives: on its
side stands what opens or alarms.
"""

SETTLING, SECURED, GRANTED, HELD, FORCED = "settling", "secured", "granted", "held", "forced"
EXIT, FREE, FIRE, DARK, FAULT = "exit", "free", "fire", "dark", "fault"
STATES = (SETTLING, SECURED, GRANTED, HELD, FORCED, EXIT, FREE, FIRE, DARK, FAULT)
# A forced door is held on: a cut wire of its contact must not open it, and one that falls shut is
# shut.
LOCKING = (SECURED, FORCED)
# What only somebody with a key at the door ends; a reboot does not.
LATCHED = (FIRE, FAULT)
TABLE = """
event     settling     secured      granted        held           forced        exit           free           fire           dark           fault
fire      fire/alarm   fire/alarm   fire/alarm     fire/alarm     fire/alarm    fire/alarm     fire/alarm     =              fire/alarm     fire/alarm
fault     fault/alarm  fault/alarm  fault/alarm    fault/alarm    fault/alarm   fault/alarm    fault/alarm    =              fault/alarm    =
dark      dark/open    dark/open    dark/open      dark/open      dark/open     dark/open      dark/open      =              =              =
mains     =            =            =              =              =             =              =              =              settling/close =
exit      exit/open    exit/open    exit/open      =/note         exit/open     =/note         =/note         =/note         =/note         =/note
opened    =/note       forced/alarm =/note         -              -             =/note         =/note         =/note         =/note         =/note
closed    =/note       -            settling/close settling/quiet secured/quiet =/note         =/note         =/note         =/note         =/note
left-open held/alarm   -            -              -              -             -              -              -              -              -
grant     granted/open granted/open =/open         =/open         granted/open  =/open         =/open         =/open         =/open         =/open
over      -            -            settling/close -              -             settling/close -              -              -              -
free      free/open    free/open    free/open      free/quiet     free/quiet    =              =              =              =              =
bound     =            =            =              =              =             =              settling/close =              =              =
ready     secured/lock -            -              -              -             -              -              -              -              -
slip      -            =/note       -              -              =/note        -              -              -              -              -
tamper    =/alarm      =/alarm      =/alarm        =/alarm        =/alarm       =/alarm        =/alarm        =/alarm        =/alarm        =/alarm
arm       =            =            =              =/quiet        =/quiet       =              =              settling/quiet =              settling/quiet
"""  # noqa: E501

# Inputs, as bits of a level; each is 0 when its wire is cut, and then on the side that opens.
CLOSED, MAINS, FIRE_QUIET, EXIT_IDLE, INTACT, RELAY, KEY = 1, 2, 4, 8, 16, 32, 64
_INPUTS = 7
_CLOSED_AT, _MAINS_AT, _FIRE_AT, _EXIT_AT, _RELAY_AT = 0, 1, 2, 3, 5
_IN_ORDER = CLOSED | MAINS | FIRE_QUIET
# A schedule opens a door that nothing else has opened.
_SCHEDULED = (SETTLING, SECURED, GRANTED, HELD, FORCED)

# How long mains, fire loop and a shut door must have been in order before it is locked again.
SETTLE_MS = 2000
# A grant: at least 3 s (IEC 60839-11-1); 10 to 15 s where somebody needs longer.
GRANT_MS_MIN, GRANT_MS, GRANT_MS_MAX = 3000, 5000, 15000
# After the exit button has been let go (IBC 1010, NFPA 101 7.2.1.6.2).
EXIT_MS = 30000
# Open for so much longer than a grant lasts, and somebody is told.
HELD_MS = 15000
# A contact that bounces is no open door; a siren has a second (GB 50396).
OPENED_MS = 100
# A forced door is shut again when its contact says so for so long: one that chatters is one
# opening. Each time within ten minutes doubles it.
SHUT_MS, SHUT_MS_MAX, SHUT_AGAIN_MS = 2000, 64000, 600000
# More than three losses of mains in so long are no supply.
CHATTER_MS, CHATTER_LOSSES = 10000, 4
# The relay follows its pulses within 500 ms; a little later it disagrees for good.
RELAY_MS = 600

# Inputs that are told when they change: the event when they become 1, and when they become 0.
_EDGES = (
    (EXIT_IDLE, "", "exit"),
    (CLOSED, "closed", "opened"),
    (RELAY, "", "slip"),
    (INTACT, "", "tamper"),
    (KEY, "arm", ""),
)

# Why a door is in "fault".
HUNG, WELDED, NOT_HELD, CHATTER = 1, 2, 3, 4


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
    after, action = entry.split("/")
    return (state if after == "=" else after), action


def number(event):
    """Where an event stands in TABLE, from 0."""
    return TABLE.count("\n", 0, TABLE.index("\n" + event + " ")) - 1


class Door:
    """One door: `state` by its name, `cause` of a fault (0: none), `levels` as seen last.

    `latch` and `cause` are what stands on flash of the life before: one of LATCHED and why, or
    "" and 0. `grant_ms` is how long a grant lasts. Ask for `event` until there is none, and let
    each of them `happen` before asking for the next one.
    """

    def __init__(self, latch, cause, grant_ms, now_ms):
        self.state = latch if latch in LATCHED else SETTLING
        self.cause = cause if self.state == FAULT else 0
        self.levels = EXIT_IDLE  # until it is pressed there is nothing to wait for
        self.let_last(grant_ms)
        self._since_ms = [now_ms] * _INPUTS
        self._since_ms[_EXIT_AT] = now_ms - EXIT_MS
        self._until_ms = self._turned_ms = now_ms
        self._losses_ms = []
        self._shut_ms, self._forced_ms = SHUT_MS, now_ms - SHUT_AGAIN_MS
        self._told = EXIT_IDLE | INTACT

    def let_last(self, grant_ms):
        """How long a grant lasts from now on, within its bounds; 0: as long as it does."""
        self._grant_ms = min(max(grant_ms or GRANT_MS, GRANT_MS_MIN), GRANT_MS_MAX)

    def holds(self):
        """Whether the coil may have current."""
        return self.state in LOCKING

    def happen(self, event, now_ms):
        """Let an event happen; the action it asks for ("": none)."""
        before = self.state
        self.state, action = cell(before, event)
        if event == "grant":
            self._until_ms = now_ms + self._grant_ms
        if self.state != before == FORCED:
            self._told |= self.levels & CLOSED  # it may have been shut for a moment only
        elif self.state == FORCED != before:
            is_again = now_ms - self._forced_ms < SHUT_AGAIN_MS
            self._shut_ms = min(self._shut_ms * 2, SHUT_MS_MAX) if is_again else SHUT_MS
            self._forced_ms = now_ms
        if before == FAULT and self.state != FAULT:
            self.cause, self._losses_ms = 0, []
        if (before in LOCKING) != self.holds():
            self._turned_ms = now_ms
            self._told &= ~RELAY
        return action

    def event(self, levels, is_free, now_ms):
        """The most urgent thing that has come about, "" if nothing has.

        `levels` are the inputs, `is_free` whether a schedule leaves the door open to everybody.
        """
        changed = levels ^ self.levels
        if changed:
            self._note(changed, levels, now_ms)
        state = self.state
        if not levels & FIRE_QUIET and state != FIRE:
            return "fire"
        if state not in LATCHED:
            self.cause = self._fault(now_ms)
            if self.cause:
                return "fault"
            if not levels & MAINS and state != DARK:
                return "dark"
        if levels & MAINS and state == DARK and self._for_ms(_MAINS_AT, now_ms) >= SETTLE_MS:
            return "mains"
        return self._edge(now_ms) or self._end(is_free, now_ms)

    def _note(self, changed, levels, now_ms):
        self.levels = levels
        for at in range(_INPUTS):
            if changed >> at & 1:
                self._since_ms[at] = now_ms
        if changed & MAINS and not levels & MAINS:
            self._losses_ms = self._losses_ms[1 - CHATTER_LOSSES :] + [now_ms]

    def _for_ms(self, at, now_ms):
        """For how long an input has been as it is."""
        return now_ms - self._since_ms[at]

    def _fault(self, now_ms):
        """Why this door must not be trusted, 0 if it may be."""
        losses = self._losses_ms
        if len(losses) == CHATTER_LOSSES and now_ms - losses[0] <= CHATTER_MS:
            return CHATTER
        is_pulled = self.levels & RELAY != 0
        since_ms = max(self._turned_ms, self._since_ms[_RELAY_AT])
        if self.holds() == is_pulled or now_ms - since_ms < RELAY_MS:
            return 0
        # Without its supply no relay can be pulled: that has a state of its own.
        return WELDED if is_pulled else NOT_HELD if self.levels & MAINS else 0

    def _edge(self, now_ms):
        """What is told once, when it begins."""
        levels, told = self.levels, self._told
        news = levels ^ told
        steady_ms = OPENED_MS
        if levels & CLOSED:
            steady_ms = self._shut_ms if self.state == FORCED else 0
        if self._for_ms(_CLOSED_AT, now_ms) < steady_ms:
            news &= ~CLOSED
        if not self.holds():
            news &= ~RELAY
        for bit, event, event_at_0 in _EDGES:
            if news & bit:
                self._told ^= bit
                event = event if levels & bit else event_at_0
                if event:
                    return event
        return ""

    def _end(self, is_free, now_ms):
        """What time brings about."""
        state = self.state
        if is_free and state in _SCHEDULED:
            return "free"
        if state == FREE and not is_free:
            return "bound"
        if state == GRANTED and now_ms >= self._until_ms:
            return "over"
        if state == EXIT and self._is_exit_over(now_ms):
            return "over"
        if state != SETTLING:
            return ""
        if not self._told & CLOSED and self._for_ms(_CLOSED_AT, now_ms) > self._grant_ms + HELD_MS:
            return "left-open"
        return "ready" if self._is_ready(now_ms) else ""

    def _is_exit_over(self, now_ms):
        return self.levels & EXIT_IDLE and self._for_ms(_EXIT_AT, now_ms) >= EXIT_MS

    def _is_ready(self, now_ms):
        """Whether this door may be locked: the one place that says so."""
        if self.levels & (_IN_ORDER | RELAY) != _IN_ORDER or not self._is_exit_over(now_ms):
            return False
        return all(self._for_ms(at, now_ms) >= SETTLE_MS for at in range(_FIRE_AT + 1))
