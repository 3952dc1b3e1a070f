"""Who works with the books: what administrators propose and approve, and let in no more (R4).

A login stands in forms only, in no path and no query. A first password is shown once, to whoever
has approved it: it is in no page that can be asked for again.
"""

from dataclasses import dataclass

from ledger import declines, marks, people
from ledger.console import typed
from ledger.console.asked import Asked, Page, Refused, Shown, ToSign, Waiting
from ledger.console.refusals import BAD_FIELDS
from ledger.console.texts import Texts
from ledger.console.verb_words import TEXTS as OF_VERBS
from ledger.operators import CHANGE, ENROL, RESET, Operator, Proposed, Wanted

PATH = "/operators"
_VERBS = ("operator.propose", "operator.approve", "operator.disable", "operator.unlock")
_ROLE = "role-"


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody who works with the books, and a key of TEXTS that says how it stands with them."""

    operator: Operator
    state: str
    until_s: int


def show(asked: Asked) -> Shown:
    return _page(asked)


def _page(asked: Asked, **more: str) -> Shown:
    me = str(asked.person)
    operators = asked.store.operators
    mine = [one.number for one in operators.proposals() if _is_mine(one, me)]
    context = {
        "rows": [_row(one, asked.now_s) for one in operators.all()],
        "proposals": operators.proposals(),
        "mine": {number: _mark(asked, number) for number in mine},
        "departments": tuple(people.DEPARTMENTS),
        "all_roles": tuple(people.ROLES),
        "wanted": (ENROL, CHANGE, RESET),
        "first": "",
        "about": "",
    }
    return Shown("operators.html", context | more)


def _is_mine(one: Proposed, me: str) -> bool:
    """Whether whoever looks may approve it: neither has proposed it, nor is it about them."""
    return me not in (one.person, one.login)


def _row(one: Operator, now_s: int) -> Row:
    if not one.is_active:
        return Row(one, "op_disabled", 0)
    if one.locked_until_s > now_s:
        return Row(one, "op_locked", one.locked_until_s)
    if one.initial_until_s:
        return Row(one, "op_first", one.initial_until_s)
    return Row(one, "op_in", 0)


def propose(asked: Asked) -> str:
    """Somebody new, other roles, or another first password; another administrator approves it."""
    verb, login = asked.fields.get("verb", ""), typed.text(asked, "login")
    if verb not in (ENROL, CHANGE, RESET):
        raise Refused(BAD_FIELDS, "verb")
    roles = tuple(role for role in people.ROLES if asked.fields.get(_ROLE + role))
    wanted = Wanted(verb, login, typed.text(asked, "department"), roles)
    asked.store.operators.propose(wanted, asked.person, asked.now_s)
    return f"{PATH}?done=op_proposed"


def approve(asked: Asked) -> Shown:
    """Do what another one has proposed; the first password is shown now and never again."""
    number = typed.number(asked, "number")
    try:
        marks.check(asked.store, declines.OPERATOR, str(number), asked.fields.get("mark", ""))
    except marks.OtherMark:
        # The books came back from a backup since it was shown.
        raise Refused(people.NO_PROPOSAL) from None
    about = {one.number: one.login for one in asked.store.operators.proposals()}
    first = asked.store.operators.approve(number, asked.person, asked.now_s)
    return _page(asked, first=first, about=about.get(number, ""))


def _mark(asked: Asked, number: int) -> str:
    _told, mark = marks.shown(asked.store, declines.OPERATOR, str(number))
    return mark


def alone(asked: Asked) -> str:
    """End a lock-out, or let somebody in no more: what gives nobody anything."""
    act, login = asked.fields.get("act", ""), asked.fields.get("login", "")
    operators = asked.store.operators
    what = {"unlock": operators.unlock, "disable": operators.disable}.get(act)
    if what is None:
        raise Refused(BAD_FIELDS, "act")
    what(login, asked.person, asked.now_s)
    return f"{PATH}?done=op_{act}"


def show_roles(asked: Asked) -> Shown:
    """Who may say what, and which roles nobody has together."""
    del asked
    context = {
        "all_roles": tuple(people.ROLES),
        "apart": people.apart_rows(),
        "verbs": list(people.VERBS.items()),
        "two": people.TWO_PERSONS,
    }
    return Shown("roles.html", context)


def to_sign(asked: Asked) -> list[ToSign]:
    """Proposals of another administrator."""
    if not asked.may("operator.approve"):
        return []
    me = str(asked.person)
    found = [one for one in asked.store.operators.proposals() if _is_mine(one, me)]
    return [
        ToSign(
            f"operator_{one.verb}",
            f"proposal {one.number}",
            one.person,
            one.time_s,
            f"{one.login} · {one.department} · {', '.join(one.roles)}",
            PATH,
            declines.OPERATOR,
        )
        for one in found
    ]


def waiting(asked: Asked) -> list[Waiting]:
    return [Waiting("op_waits", len(to_sign(asked)), PATH)]


WAITING, TO_SIGN = (waiting,), (to_sign,)
PAGES = (
    Page(
        PATH,
        ("操作员", "Operators"),
        show,
        verbs=_VERBS,
        do=propose,
        menu="menu_people",
        access_key="i",
    ),
    Page(
        f"{PATH}/approve",
        ("操作员", "Operators"),
        show,
        verbs=("operator.approve",),
        do=approve,
        is_once=False,  # a proposal is approved once; its password is in no table to lead back to
    ),
    Page(f"{PATH}/alone", ("操作员", "Operators"), show, verbs=("operator.disable",), do=alone),
    Page("/roles", ("岗位与权限", "Roles and rights"), show_roles, menu="menu_me"),
)
TEXTS: Texts = {
    **OF_VERBS,
    "op_waits": ("项操作员提议等您批准", "proposals about operators wait for you"),
    "op_proposals": ("等另一位管理员批准", "Waits for another administrator"),
    "op_login": ("用户名", "Login"),
    "op_department": ("部门", "Department"),
    "op_roles": ("岗位", "Roles"),
    "op_state": ("状态", "State"),
    "op_in": ("在用", "let in"),
    "op_first": ("初始密码，有效到", "first password, until"),
    "op_locked": ("密码错五次，锁到", "locked by wrong passwords, until"),
    "op_disabled": ("已停用", "let in no more"),
    "op_enrol": ("登记新操作员", "somebody new"),
    "op_change": ("改部门或岗位", "other department or roles"),
    "op_reset": ("重发初始密码", "another first password"),
    "op_by": ("提议人", "Proposed by"),
    "op_approve": ("同意", "Approve"),
    "op_yours": ("您提议的，要另一位批准", "yours: another one approves it"),
    "op_propose": ("提议", "Propose"),
    "op_propose_says": (
        "要另一位管理员批准才生效。重发密码不用填部门和岗位。",
        "It counts once another administrator has approved it. A reset needs no roles.",
    ),
    "op_what": ("要做什么", "What"),
    "op_alone": ("立即办理", "At once"),
    "op_alone_says": (
        "一个人就能办：不给任何人任何权限。停用后要两人重发密码才能恢复。",
        "One is enough: it gives nobody anything. Only a reset by two lets them in again.",
    ),
    "op_unlock": ("解锁", "end the lock-out"),
    "op_disable": ("停用（离岗）", "let in no more"),
    "op_do": ("办理", "Do it"),
    "op_all": ("操作员", "Operators"),
    "op_password": ("初始密码（只显示这一次）", "First password (shown this once)"),
    "op_password_do": (
        "当面交给本人，三天内用它设自己的密码；丢了就再重发一次。",
        "Hand it over in person: it serves for three days to choose another. Lost: reset it.",
    ),
    "op_is_done": ("已批准", "Approved"),
    "op_apart": ("不能由一个人兼任的岗位", "Roles that nobody has together"),
    "op_is_apart": ("不能兼任", "apart"),
    "op_rights": ("谁能办什么", "Who may say what"),
    "op_verb": ("事项", "What"),
    "op_article": ("条款", "By"),
    "op_two": ("要两个人办的（前一半 → 后一半）", "What takes two persons (first → second)"),
    "sign_operator_enrol": ("登记新操作员", "somebody new"),
    "sign_operator_change": ("改操作员的岗位", "other roles of somebody"),
    "sign_operator_reset": ("重发初始密码", "another first password"),
    "done_op_proposed": (
        "已提议，等另一位管理员批准",
        "Proposed; another administrator approves it",
    ),
    "done_op_unlock": ("已解锁", "The lock-out is over"),
    "done_op_disable": ("已停用，登录已结束", "Let in no more; sessions are over"),
    "menu_people": ("操作员", "Operators"),
}
