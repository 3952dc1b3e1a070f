"""The life of a card as one table: from which state which verb leads where, and who may say it.

Rules of this file. It is pure and total: every state, verb, role and channel has an answer, which
is the next state or a numbered reason with the article it rests on. Nothing else in this house
decides what may follow what (ledger/card_status.py only writes down). A state is what the verbs
so far come to, so the journal of changes is all there is to keep. What readers are told of it are
the four words of their map; two states may be one word there.

Whoever is asked twice for what is there already does nothing. What kills a card is for good. A
loss is reported by anybody from anywhere, and undone only by the card centre with something shown
(R14.2a, R14.3). Two persons stand behind whatever touches many cards at once, or gives one to
somebody who is neither staff nor student (R15.4, annex 1).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from protocols.rules.card_status import ACTIVE, CLOSED, LOST, SUSPENDED
from protocols.rules.spending import STAFF, STUDENT, TEMPORARY

# --- numbered reasons ---------------------------------------------------------------------------

NO_CARD = 410
WRONG_STATE = 411
WRONG_ROLE = 412
WRONG_CHANNEL = 413
NO_EVIDENCE = 414
ONE_PERSON = 415
NOT_NOW = 416
MONEY_IN_THE_AIR = 417
HAS_A_CARD = 418
TEXTS = {
    NO_CARD: "no card of this number is in the books",
    WRONG_STATE: "not what follows on the state that this card is in",
    WRONG_ROLE: "not for this role to say",
    WRONG_CHANNEL: "not through this channel",
    NO_EVIDENCE: "what has to be shown was not",
    ONE_PERSON: "it takes two persons, and another one than before",
    NOT_NOW: "not at this time, or not for this department: a renewal has its ten days",
    MONEY_IN_THE_AIR: "its money is not where it has to be for this",
    HAS_A_CARD: "one person, one card (R10.1)",
}

# --- states -------------------------------------------------------------------------------------

ABSENT = "absent"
STATES = {
    ABSENT: "not in the books",
    "ordered": "the bank is making it",
    "issued": "made and not activated yet",
    "active": "in use",
    "lost": "its loss is reported (挂失)",
    "suspended": "leave of absence, or withheld by a merchant (中止)",
    "frozen": "withdrawn from school, until its money is paid out (冻结)",
    "expired": "temporary, and its last day is over",
    "terminated": "its holder has left; what is on it is spent or forfeited (终止)",
    "closed": "for good (注销)",
    "swapped": "another is in its place, and it was handed in (换卡)",
    "reissued": "another is in its place, and it was lost (补卡)",
}
# What the map of the readers says of it (protocols/rules/card_status.py).
MAP_STATUS = {
    **dict.fromkeys(("ordered", "issued", "suspended", "frozen", "expired"), SUSPENDED),
    **dict.fromkeys((ABSENT, "active"), ACTIVE),
    "lost": LOST,
    **dict.fromkeys(("terminated", "closed", "swapped", "reissued"), CLOSED),
}
DEAD = tuple(state for state, status in MAP_STATUS.items() if status == CLOSED)
_BEFORE = "before"  # what it was before it was lost, or frozen
SAME = "same"  # it stays what it is
_IN_USE = ("active", "lost", "suspended", "frozen", "expired")

# --- who, where, with what ----------------------------------------------------------------------

HOLDER, CLERK, DEPARTMENT = "holder", "clerk", "department"
SECURITY, READER, LEDGER = "security", "reader", "ledger"
ROLES = {
    HOLDER: "the holder",
    CLERK: "a clerk of the card centre",
    DEPARTMENT: "the department or college of the holder",
    SECURITY: "the security office",
    READER: "a reader, by a record",
    LEDGER: "the ledger itself, by the calendar",
}
COUNTER, APP, KIOSK, BATCH, RECORD = "counter", "app", "kiosk", "batch", "record"
CHANNELS = {
    COUNTER: "in person at the card centre",
    APP: "the telephone",
    KIOSK: "the self-service machine",
    BATCH: "a list that two persons have approved",
    RECORD: "the readers' records",
}
_AT_COUNTER = ((CLERK, COUNTER),)
_LISTS = ((CLERK, COUNTER), (CLERK, BATCH))
_ID = ("id-card", "passport", "residence-permit")
_HR_NOTICE, _BANK_CARD = "hr-notice", "bank-card"
# What a person shows who gets a card at the counter, by its kind: one of each row. R12.1 names
# three papers: the ID, the notice of the personnel office, the card that the bank has issued.
PAPERS = {
    STAFF: (_ID, (_HR_NOTICE,), (_BANK_CARD,)),
    STUDENT: ((*_ID, "admission-notice"),),
    TEMPORARY: ((*_ID, "application"),),
}
AND = "+"  # between the words of what was shown


@dataclass(frozen=True, slots=True)
class Rule:
    """From one of `before` to `after`, for each of `who` (role, channel), by `article`.

    `evidence`: some of these words are shown; (): nothing has to be. `two`: the channels in which
    it takes the approval of two persons.
    """

    before: tuple[str, ...]
    after: str
    who: tuple[tuple[str, str], ...]
    article: str
    text: str
    evidence: tuple[str, ...] = ()
    two: tuple[str, ...] = ()


RULES = {
    "order": Rule((ABSENT,), "ordered", _LISTS, "R6.2", "ask the bank for it", two=(BATCH,)),
    "issue": Rule(
        (ABSENT, "ordered"), "issued", _LISTS, "R6.2", "the bank has made it", two=(BATCH,)
    ),
    "open": Rule(
        ("issued",),
        "active",
        _LISTS,
        "R12",
        "activate it for its holder (开通)",
        (*_ID, "admission-notice", "application", "issue-list", _HR_NOTICE, _BANK_CARD),
        (BATCH,),
    ),
    "lose": Rule(
        ("active", "suspended"),
        "lost",
        (
            (HOLDER, APP),
            (HOLDER, KIOSK),
            (HOLDER, COUNTER),
            (CLERK, COUNTER),
            (DEPARTMENT, COUNTER),
            (SECURITY, COUNTER),
        ),
        "R14.2",
        "report its loss (挂失)",
    ),
    "unlose": Rule(
        ("lost",), _BEFORE, _AT_COUNTER, "R14.3", "undo the report of a loss (解挂)", _ID
    ),
    "swap": Rule(
        ("active",),
        "swapped",
        _AT_COUNTER,
        "R6.4",
        "put another in its place and keep it (换卡)",
        _ID,
    ),
    "reissue": Rule(
        ("lost",), "reissued", _AT_COUNTER, "R14.4a", "put another in its place (补卡)", _ID
    ),
    "suspend": Rule(
        ("active",),
        "suspended",
        (*_LISTS, (DEPARTMENT, COUNTER), (SECURITY, COUNTER)),
        "R15.2",
        "leave of absence, or a doubt (中止)",
        two=(BATCH,),
    ),
    "capture": Rule(
        ("active",), "suspended", ((READER, RECORD),), "R19.4", "a merchant withholds it"
    ),
    "resume": Rule(
        ("suspended",),
        "active",
        _AT_COUNTER,
        "R15.2",
        "the end of a suspension, with the card and the registrar's proof",
        (*_ID, "reinstatement"),
    ),
    "freeze": Rule(
        ("active", "suspended", "expired"),
        "frozen",
        _AT_COUNTER,
        "R15.3",
        "its holder withdraws from school (冻结)",
        ("withdrawal-notice",),
    ),
    "unfreeze": Rule(
        ("frozen",), _BEFORE, _AT_COUNTER, "R6.4", "the withdrawal is withdrawn (解冻)", _ID
    ),
    "extend": Rule(
        ("active",),
        SAME,
        _AT_COUNTER,
        "annex 1, note 2",
        "a later last day for a temporary card",
        ("renewal-proof",),
    ),
    "expire": Rule(
        ("active", "suspended"),
        "expired",
        ((LEDGER, BATCH),),
        "R13",
        "a temporary card's last day is over",
    ),
    "terminate": Rule(
        ("issued", *_IN_USE),
        "terminated",
        _AT_COUNTER,
        "R15.1",
        "its holder leaves the staff (终止)",
        ("leaving-notice",),
    ),
    "close": Rule(
        ("ordered", "issued", *_IN_USE),
        "closed",
        _LISTS,
        "R15.3, R15.4",
        "for good; what is left is paid out (注销)",
        (*_ID, "department-letter", "withdrawal-notice", "college-list"),
        (BATCH,),
    ),
}


@dataclass(frozen=True, slots=True)
class Act:
    """Who says a verb, where, what was shown, and how many persons stand behind it."""

    role: str = CLERK
    channel: str = COUNTER
    evidence: str = ""
    persons: int = 1
    person: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason` 0: the card is `state` from then on. Else nothing changes, and `because` says why.

    `is_new` is False if it is that already.
    """

    reason: int
    state: str
    is_new: bool = False
    because: str = ""


CENTRE = Act()  # a clerk at the counter


def answer(states: Sequence[str], verb: str, act: Act) -> Answer:
    """What becomes of a card whose states so far are `states` (the last one is what it is)."""
    rule, state = RULES[verb], states[-1]
    for reason, because in _refusals(rule, verb, state, act):
        return Answer(reason, state, because=f"{because} ({reason}, {rule.article})")
    after = {SAME: state, _BEFORE: states[-2] if len(states) > 1 else state}.get(
        rule.after, rule.after
    )
    return Answer(0, after, is_new=state != rule.after)


def states_after(verbs: Iterable[str]) -> list[str]:
    """The states that a card in the books has gone through: it begins as one in use.

    Unless it was ordered or issued: those verbs come first. ValueError if the verbs are none of
    this table, or one does not follow: somebody else has written them.
    """
    states: list[str] = []
    for verb in verbs:
        rule = RULES.get(verb)
        if not states:
            states.append(ABSENT if rule and ABSENT in rule.before else "active")
        if rule is None or states[-1] not in rule.before:
            raise ValueError(f"{verb} does not follow {states[-1]}")
        if rule.after == _BEFORE:
            states.append(states[-2])
        elif rule.after != SAME:
            states.append(rule.after)
    return states or ["active"]


def lacking(kind: int, evidence: str) -> list[str]:
    """What has to be shown beside that for a card of a kind: "hr-notice", "x or y"."""
    shown = set(evidence.split(AND))
    return [" or ".join(papers) for papers in PAPERS[kind] if not shown & set(papers)]


def _refusals(rule: Rule, verb: str, state: str, act: Act) -> Iterator[tuple[int, str]]:
    """(reason, what stands behind "card N"), the first one first."""
    if act.role not in {role for role, _channel in rule.who}:
        yield WRONG_ROLE, f"is not for {ROLES[act.role]} to {verb}"
    if (act.role, act.channel) not in rule.who:
        yield WRONG_CHANNEL, f"is not for {ROLES[act.role]} to {verb} by {act.channel}"
    if state == ABSENT and ABSENT not in rule.before:
        yield NO_CARD, "was never issued"
    if state not in (*rule.before, rule.after):
        yield WRONG_STATE, f"is {state}: cannot {verb} it"
    if rule.evidence and not set(act.evidence.split(AND)) <= set(rule.evidence):
        shown = " or ".join(rule.evidence)
        yield NO_EVIDENCE, f"takes evidence to {verb}, shown in person: {shown}"
    if act.channel in rule.two and act.persons < 2:
        yield ONE_PERSON, f"takes two persons to {verb} by {act.channel}"
