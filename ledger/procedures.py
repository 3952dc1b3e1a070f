"""The procedures of merchants and devices as tables: what may follow what, by whom (R16 to R22).

Rules of this file. It is pure and total: each step of each procedure has an answer, which is the
next state or a numbered reason with its article. A dossier (one application, ticket or case) is
in the state that its steps come to, so the journal of steps is all there is to keep. Signatures
are by different persons, and nobody signs what they have said themselves in the step before, nor
what they have applied for or opened; a fault is confirmed by whoever told it. A
thing in custody is in the hands of who took it last, and comes from those and no others.
Whoever says the last step again, word for word, or signs again what he has signed, does nothing.
An older hand-over that is said again is refused: it may be a late copy, and would put a thing in
hands in which it is no more. Who means it says something with it. The end of a merchant may come
to the same verb more than once (a second debt, a second statement): who has signed with it signs
with it again, in words of their own, for a late copy of the first time signs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.procedure_rows import ROWS, Row

# --- numbered reasons ---------------------------------------------------------------------------

NO_DOSSIER = 441
WRONG_STATE = 442
WRONG_ROLE = 443
ANOTHER_PERSON = 444
NO_EVIDENCE = 445
NOT_IN_CUSTODY = 446
BEYOND_APPROVAL = 447
NOT_NOW = 448
SAID_OTHERWISE = 449
NOT_QUIET = 473
HAS_ENDED = 474
NOT_SETTLED = 475
OTHER_STATEMENT = 476
OTHER_DEBT = 640
TEXTS = {
    NO_DOSSIER: "no dossier, merchant, reader or record of this number is in the books",
    WRONG_STATE: "not what follows on the state that this dossier is in",
    WRONG_ROLE: "not for this role to say, in this state",
    ANOTHER_PERSON: "a signature takes another person than those before",
    NO_EVIDENCE: "what has to be shown, or said with it, was not",
    NOT_IN_CUSTODY: "it is in other hands than those that it is said to come from",
    BEYOND_APPROVAL: "not what the five signatures of annex 2 stand under",
    NOT_NOW: "not at this time yet",
    SAID_OTHERWISE: "said before otherwise, or of something else: is it new?",
    NOT_QUIET: "records of this reader may still come; or nothing bars, and nobody decides",
    HAS_ENDED: "this reader or merchant has ended",
    NOT_SETTLED: "a merchant is settled when its readers, its money and its dossiers are",
    OTHER_STATEMENT: "not the statement that was settled, or the books say something else now",
    OTHER_DEBT: "not what was proposed to be written off, or the merchant owes something else now",
}

# --- who, and what ------------------------------------------------------------------------------

ABSENT = "absent"
MERCHANT, DEPARTMENT, PROJECT, PRESIDENT = "merchant", "department", "project", "president"
DEPARTMENT_LEADER, PROJECT_LEADER = "department-leader", "project-leader"
CENTRE, CARD_CENTRE, SECURITY = "centre", "card-centre", "security"
FINANCE = "finance"
ROLES = {
    MERCHANT: "the merchant",
    DEPARTMENT: "the department that answers for it (归口管理部门)",
    DEPARTMENT_LEADER: "the school's leader over that department (分管校领导)",
    PROJECT: "the head of the project's department",
    PROJECT_LEADER: "the school's leader over the project's department",
    PRESIDENT: "the president (校长)",
    CENTRE: "the library and information centre (图书信息中心)",
    CARD_CENTRE: "the card centre (一卡通中心)",
    SECURITY: "the security office (保卫部)",
    FINANCE: "the finance department (财务处)",
}
SAY, SIGN, TAKE, GIVE = "say", "sign", "take", "give"
ACTS = {
    SAY: "said",
    SIGN: "signed, by a person of its own",
    TAKE: "taken into custody",
    GIVE: "given out of custody",
}
MOVE_OF, DAMAGE, REPAIR = "relocation", "damage", "repair"
CAPTURE, QUESTION = "capture", "question"
RETIREMENT, CLOSING = "retirement", "closing"
ANNEX_2 = (MERCHANT, "device")
KINDS = {
    MERCHANT: ("to become a merchant, with so many readers", "R16, annex 2"),
    "device": ("more readers for a merchant", "R7.2, annex 2"),
    MOVE_OF: ("to move a reader, for the merchant's money (移机)", "R18.2"),
    REPAIR: ("a fault, until who told it says that it is mended (报修)", "R17.2, R7.2"),
    CAPTURE: ("a card that a merchant has withheld, from hand to hand", "R19.4"),
    DAMAGE: ("a reader that was damaged on purpose", "R22"),
    QUESTION: ("what a merchant's records show, for him to answer", "R19.1"),
    RETIREMENT: ("a reader that is in use no more: broken, sold, replaced, lost", "R20"),
    CLOSING: ("a merchant that leaves, or is thrown out", "R16, R22"),
}
# Whoever has begun one of these signs nothing of it.
NOT_BY_WHO_BEGAN = (*ANNEX_2, MOVE_OF, DAMAGE, RETIREMENT, CLOSING)
# Here the same verb may come again, and may be the same person's: it is of another thing then.
SIGNED_AGAIN = (CLOSING,)
# What its applicant may withdraw at any step before the last, and apply for anew.
WITHDRAWN_ANY_TIME = (*ANNEX_2, MOVE_OF, RETIREMENT)
_OF = {kind: tuple(row for row in ROWS if row.kind == kind) for kind in KINDS}
APPROVED, MOVED, COMPENSATED = "approved", "moved", "compensated"
DEBT_PROPOSED = "debt-proposed"
RETIRED, WINDING_UP, SETTLED, CLOSED = "retired", "winding-up", "settled", "closed"
# Something may follow on these, and nothing waits for it.
AT_REST = ((CLOSING, CLOSED),)
# One of these words is shown, or what is said of it stands in the step.
EVIDENCE = {
    (CAPTURE, "return"): ("id-card", "passport", "residence-permit"),
    (CAPTURE, "destroy"): ("closed-card",),
    (DAMAGE, "establish"): ("finding-report",),
    (DAMAGE, "compensate"): ("receipt", "booked-to-merchant"),
    (RETIREMENT, "apply"): ("broken", "sold", "replaced", "lost"),
    (CLOSING, "propose"): ("card-centre", "department"),
}
# Verbs that are nothing without a text.
WITH_TEXT = {
    *((kind, verb) for kind in (*ANNEX_2, MOVE_OF) for verb in ("apply", "reject")),
    (REPAIR, "report"),
    (REPAIR, "reopen"),
    (DAMAGE, "open"),
    (DAMAGE, "dismiss"),
    (QUESTION, "ask"),
    (QUESTION, "answer"),
    (QUESTION, "uphold"),
    (RETIREMENT, "reject"),
    (RETIREMENT, "pass-over"),
    *((CLOSING, verb) for verb in ("apply", "expel", "reject", "pay-in", "reopen")),
    *((CLOSING, verb) for verb in ("propose", "decline")),
}
# What it costs is said with this verb, and booked with that one.
COSTS = {MOVE_OF: ("labour", "material"), DAMAGE: ("compensation",)}
COSTS_SAID = {MOVE_OF: "move", DAMAGE: "establish"}
COSTS_BOOKED = {MOVE_OF: MOVED, DAMAGE: COMPENSATED}
# Hours that a dossier may be in a state. The regulation says "promptly" and has no figure: these
# are ours, and a report may be asked with others.
DUE_H = {
    (REPAIR, "reported"): 4,
    (REPAIR, "accepted"): 24,
    (REPAIR, "at-vendor"): 120,
    (REPAIR, "fixed"): 72,
    (CAPTURE, "withheld"): 24,
    (CAPTURE, "in-transit"): 24,
    (CAPTURE, "received"): 720,
    (DAMAGE, "opened"): 168,
    (DAMAGE, "established"): 72,
    (DAMAGE, "referred"): 720,
    (QUESTION, "asked"): 168,
    (QUESTION, "answered"): 168,
    (RETIREMENT, "applied"): 168,
    (RETIREMENT, APPROVED): 168,
    **{(CLOSING, state): 168 for state in ("applied", "expelled", SETTLED)},
    (CLOSING, WINDING_UP): 1440,
    (CLOSING, DEBT_PROPOSED): 168,
    **{(kind, state): 168 for kind in ANNEX_2 for state in ("applied", "signed-1", "signed-2")},
    **{(kind, state): 168 for kind in ANNEX_2 for state in ("signed-3", "signed-4")},
    **{(MOVE_OF, state): 168 for state in ("applied", "signed-1", APPROVED)},
}


@dataclass(frozen=True, slots=True)
class Act:
    """Who says a verb, as what, and what was shown or said with it.

    `given_by`: whose hands a thing came from; "" where nothing changes hands.
    """

    role: str
    person: str
    evidence: str = ""
    said: str = ""
    given_by: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was taken, at `time_s` by the clock of who entered it."""

    verb: str
    before: str
    after: str
    act: str
    by: Act
    time_s: int


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason` 0: `row` is the step to be taken; None: it was taken already, word for word.

    Else nothing changes, and `because` says why.
    """

    reason: int
    row: Row | None = None
    because: str = ""


def states(kind: str) -> tuple[str, ...]:
    """Those of a procedure, the first one first."""
    found = dict.fromkeys(state for row in of(kind) for state in (row.before, row.after))
    return tuple(found)


def of(kind: str) -> tuple[Row, ...]:
    """The rows of one procedure."""
    return _OF[kind]


def is_open(kind: str, state: str) -> bool:
    """Whether anything has to follow on it."""
    return (kind, state) not in AT_REST and any(row.before == state for row in of(kind))


def custodian(steps: Sequence[Step]) -> str:
    """Who has the thing; "" if nobody has taken it, or it was given back."""
    hands = [step for step in steps if step.act in (TAKE, GIVE)]
    return hands[-1].by.person if hands and hands[-1].act == TAKE else ""


def answer(kind: str, steps: Sequence[Step], verb: str, by: Act) -> Answer:
    """What becomes of a dossier of `kind` with these steps so far."""
    last = steps[-1] if steps else None
    same = [step for step in steps if (step.verb, step.by) == (verb, by)]
    state = last.after if last else ABSENT
    rows = [row for row in of(kind) if (row.verb, row.before) == (verb, state)]
    may = [row for row in rows if row.role == by.role]
    # Where the same is to be signed anew (a second debt), an old signature is no answer.
    if any(step is last or (step.act == SIGN and not may) for step in same):
        return Answer(0)
    if not rows:
        return _no(kind, WRONG_STATE, f"is {state}: cannot {verb}")
    if not may:
        who = " or ".join(ROLES[row.role] for row in rows)
        return _no(kind, WRONG_ROLE, f"is {state}: to {verb} it is for {who}")
    return _refusal(kind, steps, may[0], by) or Answer(0, may[0])


def _refusal(kind: str, steps: Sequence[Step], row: Row, by: Act) -> Answer | None:
    words = EVIDENCE.get((kind, row.verb), ())
    if words and by.evidence not in words:
        return _no(kind, NO_EVIDENCE, f"takes evidence to {row.verb}: {' or '.join(words)}")
    if (kind, row.verb) in WITH_TEXT and not by.said:
        return _no(kind, NO_EVIDENCE, f"takes a text to {row.verb}")
    if row.act == SIGN and by.person in _barred(kind, steps, row.verb):
        return _no(kind, ANOTHER_PERSON, f"takes another person than {by.person} to {row.verb}")
    if row.act != SAY and any((s.verb, s.by) == (row.verb, by) for s in steps):
        was = "was signed in these words" if row.act == SIGN else "went through these hands"
        return _no(kind, SAID_OTHERWISE, f"{was} before: say what is new")
    has_it = custodian(steps)
    comes_from = has_it if row.act in (TAKE, GIVE) else ""
    is_giver = row.act != GIVE or by.person == by.given_by
    if by.given_by != comes_from or not is_giver:
        whose = f"in the hands of {has_it}" if has_it else "in nobody's hands yet"
        return _no(kind, NOT_IN_CUSTODY, f"is {whose}, and cannot come from others")
    return None


def _barred(kind: str, steps: Sequence[Step], verb: str) -> set[str]:
    """Who may not sign next: who has signed, said the step before, or begun what is not theirs."""
    again = verb if kind in SIGNED_AGAIN else ""
    signed = {step.by.person for step in steps if step.act == SIGN and step.verb != again}
    said = [*steps[-1:], *(steps[:1] if kind in NOT_BY_WHO_BEGAN else ())]
    return signed | {step.by.person for step in said}


def _no(kind: str, reason: int, because: str) -> Answer:
    return Answer(reason, because=f"{because} ({reason}, {KINDS[kind][1]})")
