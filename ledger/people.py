"""Who at the five departments may say what, as one table over every role and verb.

Rules of this file. It is pure. An operator has one department and some roles; a verb is for some
roles. Where money or rights move it takes two persons, who say two verbs (TWO_PERSONS); nobody has
two roles that between them say both, and whoever lets people in does nothing else. Where both
verbs may be of one role (administrators; two heads of one form), that they are two is looked at
when the second one speaks. Whoever builds something that takes signatures adds its verbs here,
and asks `signed` of ledger/signatures.py with them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ledger import lifecycle, procedures

# --- numbered reasons ---------------------------------------------------------------------------

NO_SESSION = 750
WRONG_LOGIN = 751
LOCKED = 752
NOT_FOR_ROLE = 753
SAME_PERSON = 754
OTHER_DEPARTMENT = 755
ROLES_APART = 756
WEAK_PASSWORD = 757
INITIAL_PASSWORD = 758
TYPED_NAME = 759
NO_OPERATOR = 760
NO_PROPOSAL = 761
FOUNDED = 762
NO_REASON_GIVEN = 763
NO_HOLDER = 764
NOT_FOUNDED = 765
DISABLED = 766
LAST_TWO = 767
TEXTS = {
    NO_SESSION: "nobody has logged in, or the session is over",
    WRONG_LOGIN: "login or password is wrong, or the login is locked for now",
    LOCKED: "too many wrong passwords: locked for now (in the journal of acts only)",
    NOT_FOR_ROLE: "not for the roles of this person",
    SAME_PERSON: "the second step takes another person",
    OTHER_DEPARTMENT: "for the department that it is about, and no other",
    ROLES_APART: "roles that nobody may have together, or not in this department",
    WEAK_PASSWORD: "no password to keep: too short, too long, or easy to guess",
    INITIAL_PASSWORD: "the first password only serves to choose another, and only for some days",
    TYPED_NAME: "these books have operators: a name that is typed proves nothing",
    NO_OPERATOR: "no operator of this login, or one who is known already",
    NO_PROPOSAL: "no such proposal, or it is done, or counts no more",
    FOUNDED: "these books have operators: another one takes two administrators",
    NO_REASON_GIVEN: "whoever sees personal data says who they are, and why in a few words",
    NO_HOLDER: "whose this card is, nobody has said",
    NOT_FOUNDED: "these books have no operators yet: the first two are made together",
    DISABLED: "let in no more: only a reset of the password, which two say, lets them in again",
    LAST_TWO: "fewer than two would be left who can let people in: let in another administrator, "
    "who chooses a password, first",
}

# --- departments and roles ----------------------------------------------------------------------

INFORMATION, FINANCE, GENERAL = "Information Centre", "Finance", "General Affairs"
STUDENTS, SECURITY = "Student Affairs", "Security"
DEPARTMENTS = {
    INFORMATION: ("图书信息中心", "R5"),
    FINANCE: ("财务处 (一卡通中心)", "R6"),
    GENERAL: ("总务处", "R7"),
    STUDENTS: ("学生处", "R8"),
    SECURITY: ("保卫部", "R9"),
}
ANY = ""  # any department or college of the school
DEPARTMENT_CHARS_MAX = 32


@dataclass(frozen=True, slots=True)
class Role:
    """`department`: whose people may have it; ANY: of each its own."""

    department: str
    text: str


ADMINISTRATOR, ENGINEER, CLERK, TREASURER = "administrator", "engineer", "clerk", "treasurer"
STEWARD, WARDEN, GUARD, HEAD = "steward", "warden", "guard", "head"
LEADER, PRESIDENT, DISPLAY = "leader", "president", "display"
ROLES = {
    ADMINISTRATOR: Role(INFORMATION, "lets people in, and does nothing else"),
    ENGINEER: Role(INFORMATION, "readers, their limits and firmware, what is kept how long"),
    CLERK: Role(FINANCE, "the counter of the card centre"),
    TREASURER: Role(FINANCE, "the second person where money moves"),
    STEWARD: Role(GENERAL, "merchants, their menus and readers, attendance"),
    WARDEN: Role(STUDENTS, "the doors of dormitories"),
    GUARD: Role(SECURITY, "the doors of family and public places"),
    HEAD: Role(ANY, "signs for the own department or college"),
    LEADER: Role(ANY, "signs as the school's leader over the own department (分管校领导)"),
    PRESIDENT: Role(ANY, "signs as the president (校长)"),
    DISPLAY: Role(INFORMATION, "a screen on a wall: shows the campus, and says nothing"),
}
# So many let somebody in, and whom it is about is none of them.
ADMINISTRATORS_LEAST = 2
# Who enters what somebody says of a card (ledger/lifecycle.py); readers and the ledger are nobody.
ENTERED_BY = {
    lifecycle.HOLDER: (CLERK,),
    lifecycle.CLERK: (CLERK,),
    lifecycle.DEPARTMENT: (HEAD, WARDEN, STEWARD),
    lifecycle.SECURITY: (GUARD,),
}
_ENTERED_AT = (lifecycle.COUNTER, lifecycle.BATCH)
# Who says a step of a dossier as which role of ledger/procedures.py. A merchant's people have no
# login: what they say on paper is entered, and is the word of who has entered it.
_OF_READERS = (STEWARD, WARDEN, GUARD, HEAD)
SAID_BY = {
    procedures.MERCHANT: (STEWARD,),
    procedures.DEPARTMENT: _OF_READERS,
    procedures.DEPARTMENT_LEADER: (LEADER,),
    procedures.PROJECT: (HEAD,),
    procedures.PROJECT_LEADER: (LEADER,),
    procedures.PRESIDENT: (PRESIDENT,),
    procedures.CENTRE: (ENGINEER,),
    procedures.CARD_CENTRE: (CLERK,),
    procedures.SECURITY: (GUARD,),
    procedures.FINANCE: (TREASURER,),
}
_ANNEX_2 = "annex-2"
# Where it is others: an opinion of annex 2 is a head's; a merchant may bring a card to the counter
# before anybody has entered that it is withheld; only General Affairs asks merchants.
_SAID_OTHERWISE = {
    f"{_ANNEX_2}.{procedures.DEPARTMENT}": (HEAD,),
    f"{procedures.CAPTURE}.{procedures.MERCHANT}": (CLERK, STEWARD),
    f"{procedures.QUESTION}.{procedures.DEPARTMENT}": (STEWARD, HEAD),
}

# --- verbs --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verb:
    """What `roles` may say, by `article`."""

    roles: tuple[str, ...]
    article: str
    text: str


def _of_cards() -> Iterator[tuple[str, Verb]]:
    """What the life of a card knows, by whoever enters it."""
    for name, rule in lifecycle.RULES.items():
        at_desk = [role for role, channel in rule.who if channel in _ENTERED_AT]
        roles = {one for role in at_desk for one in ENTERED_BY.get(role, ())}
        if roles:
            in_order = tuple(role for role in ROLES if role in roles)
            yield f"card.{name}", Verb(in_order, rule.article, rule.text)


def step_verb(kind: str, role: str) -> str:
    """The verb of whoever says a step of a dossier of `kind` as `role` of ledger/procedures.py."""
    return f"{_ANNEX_2 if kind in procedures.ANNEX_2 else kind}.{role}"


def _of_dossiers() -> Iterator[tuple[str, Verb]]:
    """What the procedures of merchants and devices know: a verb for each of their roles."""
    for kind, (text, article) in procedures.KINDS.items():
        words = text, article
        if kind in procedures.ANNEX_2:
            words = "a new merchant, or more readers", "annex 2, R16, R7.2"
        steps: dict[str, dict[str, None]] = {}
        for row in procedures.of(kind):
            steps.setdefault(row.role, {})[row.verb] = None
        for role, verbs in steps.items():
            name = step_verb(kind, role)
            roles = _SAID_OTHERWISE.get(name, SAID_BY[role])
            yield name, Verb(roles, words[1], f"{words[0]}: {', '.join(verbs)}")


VERBS = {
    "operator.propose": Verb((ADMINISTRATOR,), "R4", "propose who may work here, with what roles"),
    "operator.approve": Verb((ADMINISTRATOR,), "R4", "approve that, as another person"),
    "operator.decline": Verb((ADMINISTRATOR,), "R4", "decline what was proposed, and say why"),
    "operator.disable": Verb((ADMINISTRATOR,), "R4", "let somebody in no more, at once"),
    "operator.unlock": Verb((ADMINISTRATOR,), "R4", "end a lock-out"),
    **dict(_of_cards()),
    "card.warn": Verb((CLERK,), "R15.1", "note that who leaves was told"),
    "card.payee": Verb((CLERK,), "R15.3", "register the account that a card's money goes to"),
    "settlement.decide": Verb(
        (TREASURER,), "R15", "let money of ended cards go though a reader may tell of a spend yet"
    ),
    "refund.sign": Verb((CLERK,), "R15.3", "sign the dry run of a file that pays to it"),
    "refund.approve": Verb((TREASURER,), "R15.3", "sign it as the second person"),
    "refund.decline": Verb((TREASURER,), "R15.3", "decline it, and say why"),
    "refund.file": Verb((TREASURER,), "R15.3", "make the file that was signed"),
    "refund.results": Verb((CLERK,), "R15.3", "note what the bank says"),
    "payment.restored": Verb(
        (CLERK, ENGINEER, TREASURER), "R5.2", "say that the books came back: files to banks wait"
    ),
    "payment.note": Verb((CLERK,), "R6.5", "note a payment that the bank has, after a restore"),
    "payment.release": Verb((CLERK,), "R6.5", "say, by its statement, that the bank has no other"),
    "payment.approve": Verb((TREASURER,), "R6.5", "say so as the second person: files go again"),
    "temporary.apply": Verb((CLERK,), "annex 1", "enter an application for a temporary card"),
    "temporary.department": Verb((HEAD,), "annex 1", "sign an application, for its department"),
    "temporary.finance": Verb((TREASURER,), "annex 1", "sign it, for finance"),
    "temporary.decline": Verb((TREASURER, HEAD), "annex 1", "decline it, and say why"),
    "batch.sign": Verb((CLERK,), "R15.4", "sign the dry run of a list"),
    "batch.approve": Verb((TREASURER,), "R15.4", "sign it as the second person"),
    "batch.decline": Verb((TREASURER,), "R15.4", "decline it, and say why"),
    "batch.run": Verb((CLERK,), "R15.4", "do what was signed"),
    "case.propose": Verb((CLERK,), "R6.5", "propose who bears a case"),
    "case.approve": Verb((TREASURER,), "R6.5", "approve that, and book it"),
    "case.decline": Verb((TREASURER,), "R6.5", "decline that, and say why"),
    "device.department": Verb(
        (STEWARD, WARDEN, GUARD, HEAD), "R18.2", "approve that an opened or moved reader goes on"
    ),
    "device.centre": Verb((ENGINEER,), "R18.2", "approve that for the information centre"),
    "subsidy.sign": Verb((CLERK,), "R14.1", "sign the dry run of a list of subsidies"),
    "subsidy.approve": Verb((TREASURER,), "R14.1", "sign it as the second person"),
    "subsidy.decline": Verb((TREASURER,), "R14.1", "decline it, and say why"),
    "subsidy.run": Verb((CLERK,), "R14.1", "pay in what was signed"),
    "topup.propose": Verb((CLERK,), "R14.1", "say what was paid in and no channel has told"),
    "topup.book": Verb((TREASURER,), "R14.1", "book that, as the second person"),
    "topup.decline": Verb((TREASURER,), "R14.1", "decline that, and say why"),
    "aggregate.enter": Verb((CLERK,), "R24.1", "enter a statement of payments by aggregate code"),
    "code.propose": Verb(
        (CLERK,), "R14b.4", "say whose a payment by code is that no record settles"
    ),
    "code.settle": Verb((TREASURER,), "R14b.4", "settle it so, as the second person"),
    "code.decline": Verb((TREASURER,), "R14b.4", "decline that, and say why"),
    "phone.bind": Verb((CLERK,), "R14b.3", "bind the phone of a card, or unbind it"),
    "door.add": Verb((ENGINEER,), "R8.1, R9.1", "say that a reader is a door, and whose"),
    "access.appoint": Verb((HEAD,), "R8.2, R9.2", "appoint or dismiss who grants at doors"),
    "access.dorm": Verb((WARDEN,), "R8.2", "grant at dormitory doors, and hear who opened them"),
    "access.public": Verb((GUARD,), "R9.2", "grant at the other doors, and hear who opened them"),
    "door.key": Verb((WARDEN, GUARD), "R23.3b", "say that they have opened a door with a key"),
    "reader.release": Verb((ENGINEER,), "R14.4b", "say that nothing comes of a reader any more"),
    "policy.set": Verb((ENGINEER,), "R5.2", "set the limits of readers"),
    "firmware.stage": Verb((ENGINEER,), "R5.2", "hand firmware to readers"),
    "menu.set": Verb((STEWARD,), "R7.1", "set what a merchant sells"),
    "day.sign": Verb((STEWARD,), "R7.1", "sign that a merchant's day is that of its readers"),
    "roster.set": Verb((STEWARD,), "R7.4", "say the hours of shifts, and who works in them"),
    "punch.enter": Verb((STEWARD,), "R7.4", "enter a punch by hand, or withdraw it"),
    "personal.show": Verb((CLERK,), "R10.1", "see a personal number unmasked, and say why"),
    "personal.name": Verb((CLERK,), "R10.1", "enter the name by which a holder is found"),
    "personal.roster": Verb((STEWARD,), "R7.4", "see a roster or a month unmasked, and say why"),
    "personal.form": Verb(
        (CLERK, TREASURER, HEAD), "annex 1", "see a form of annex 1 unmasked, and say why"
    ),
    "personal.export": Verb((CLERK,), "R10.1", "write down all that the books have of a person"),
    "retention.run": Verb((ENGINEER,), "R5.2", "blank what has been kept long enough"),
    **dict(_of_dossiers()),
    "device.admit": Verb((ENGINEER,), "R20, annex 2", "admit readers of an approved application"),
    "duty.name": Verb((HEAD,), "R21", "name who makes the rounds of the own department"),
    "duty.round": Verb(
        (ENGINEER, CLERK, STEWARD, WARDEN, GUARD, HEAD), "R21", "note a round, as who was named"
    ),
    "duty.drill": Verb(
        (ENGINEER, CLERK, STEWARD, WARDEN, GUARD, HEAD), "R23, R24", "file a drill of an outage"
    ),
    "period.rate": Verb((CLERK,), "R6.5", "set a merchant's commission"),
    "period.account": Verb((CLERK,), "R6.5", "register the account that a merchant is paid to"),
    "period.decide": Verb((TREASURER,), "R7.1", "let a period be closed though readers are open"),
    "period.close": Verb((CLERK,), "R7.1", "close a period"),
    "period.audit": Verb((STEWARD,), "R7.1", "audit its report (总务处审核), or refuse it"),
    "period.head": Verb((HEAD,), "R7.1", "sign it for General Affairs, or refuse it"),
    "period.leader": Verb((LEADER,), "R7.1", "sign it as the leader over that, or refuse it"),
    "period.centre": Verb((TREASURER,), "R7.1", "audit it again for the card centre, or refuse"),
    "period.file": Verb((TREASURER,), "R7.1", "make a file that pays merchants"),
    "period.results": Verb((CLERK,), "R7.1", "note what the bank says of it"),
}
# What takes two persons: who says the one does not say the other of the same thing.
TWO_PERSONS = (
    ("operator.propose", "operator.approve"),
    ("card.payee", "refund.approve"),
    ("card.payee", "refund.file"),
    ("refund.sign", "refund.approve"),
    ("payment.note", "payment.approve"),
    ("payment.release", "payment.approve"),
    ("subsidy.sign", "subsidy.approve"),
    ("topup.propose", "topup.book"),
    ("code.propose", "code.settle"),
    ("temporary.department", "temporary.finance"),
    ("batch.sign", "batch.approve"),
    ("case.propose", "case.approve"),
    ("device.department", "device.centre"),
    ("access.appoint", "access.dorm"),
    ("access.appoint", "access.public"),
    ("annex-2.merchant", "annex-2.department"),
    ("annex-2.department", "annex-2.department-leader"),
    ("annex-2.department-leader", "annex-2.project"),
    ("annex-2.project", "annex-2.project-leader"),
    ("annex-2.project", "annex-2.president"),
    ("annex-2.project-leader", "annex-2.president"),
    ("relocation.department", "relocation.centre"),
    ("retirement.department", "retirement.centre"),
    ("closing.department", "closing.department-leader"),
    ("closing.card-centre", "closing.finance"),
    ("damage.department", "damage.centre"),
    ("damage.centre", "damage.security"),
    ("damage.security", "damage.card-centre"),
    ("period.decide", "period.close"),
    ("period.close", "period.audit"),
    ("period.close", "period.leader"),
    ("period.close", "period.centre"),
    ("period.audit", "period.head"),
    ("period.audit", "period.leader"),
    ("period.head", "period.leader"),
    ("period.head", "period.centre"),
    ("period.leader", "period.centre"),
    ("period.account", "period.file"),
)


def may(roles: Iterable[str], verb: str, among: Iterable[str] = ROLES) -> bool:
    """Whether somebody with these roles says `verb`; `among`: with one of these only."""
    return bool(set(roles) & set(VERBS[verb].roles) & set(among))


def apart(one: str, other: str) -> bool:
    """Whether nobody may have both roles."""
    if one == other:
        return False
    if {ADMINISTRATOR, DISPLAY} & {one, other}:
        return True
    return any(
        {one, other} == {first, second}
        for first_verb, second_verb in TWO_PERSONS
        for first in VERBS[first_verb].roles
        for second in VERBS[second_verb].roles
    )


def check_roles(department: str, roles: Iterable[str]) -> int:
    """0: somebody of this department may have all of these roles; else ROLES_APART."""
    held = tuple(roles)
    is_word = 0 < len(department) <= DEPARTMENT_CHARS_MAX and department.isprintable()
    if not is_word or department != department.strip():
        return ROLES_APART
    is_known = bool(held) and len(set(held)) == len(held) and set(held) <= set(ROLES)
    if not is_known or any(apart(one, other) for one in held for other in held):
        return ROLES_APART
    wrong = [role for role in held if ROLES[role].department not in (ANY, department)]
    return ROLES_APART if wrong else 0


def matrix() -> list[tuple[str, ...]]:
    """(verb, what it is, the article, then for each of ROLES "yes" or "") of every verb."""
    return [
        (name, verb.text, verb.article, *("yes" if role in verb.roles else "" for role in ROLES))
        for name, verb in VERBS.items()
    ]


def apart_rows() -> list[tuple[str, ...]]:
    """(role, then for each of ROLES "apart" or "") of every role."""
    return [(one, *("apart" if apart(one, other) else "" for other in ROLES)) for one in ROLES]
