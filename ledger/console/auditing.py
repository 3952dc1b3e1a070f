"""Audit: a reader's chain to its first broken link, one yuan from tap to bank, a person's acts.

It only looks, and names no holder: cards by number. A head sees the acts of the own department.
"""

from ledger import chain_check, one_yuan, people
from ledger.console.asked import Asked, Page, Shown
from ledger.console.doors import number_of
from ledger.console.texts import Texts
from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.signatures import Said

STRETCH = 5_000  # records of a chain at one look
COUNT = 50
_OF_SCHOOL = (people.ENGINEER, people.TREASURER, people.LEADER, people.PRESIDENT)
_ROLES = (*_OF_SCHOOL, people.HEAD)
_WHERE = "SELECT department FROM operator WHERE login = ?"
_ACTS = """
SELECT number, login, verb, subject, evidence, reason, time_s FROM operator_act
WHERE login = ? AND number < ? ORDER BY number DESC LIMIT ?"""
_ALL = 1 << 62


def show(asked: Asked) -> Shown:
    """Whatever of the three was asked for."""
    database, query = asked.store.database, asked.query
    device, seq = number_of(query.get("device", "")), number_of(query.get("seq", ""))
    reader = number_of(query.get("reader", ""))
    behind = number_of(query.get("behind", "")) or 0
    login = asked.fields.get("login", "").strip()
    before = number_of(asked.fields.get("before", "")) or _ALL
    acts = acts_of(asked, login, before) if login else []
    is_asked = device is not None and seq is not None
    context = {
        "query": query,
        "stretch": _stretch(asked, reader, behind),
        "path": one_yuan.follow(database, device or 0, seq or 0) if is_asked else None,
        "is_followed": is_asked,
        "committed": int(State.COMMITTED),
        "login": login,
        "acts": acts[:COUNT],
        "next": acts[COUNT - 1].number if len(acts) > COUNT else 0,
    }
    return Shown("audit.html", context)


def acts_of(asked: Asked, login: str, before: int) -> list[Said]:
    """A page of somebody's acts and one more, the newest first, below that number."""
    database = asked.store.database
    is_of_school = bool(set(asked.roles) & set(_OF_SCHOOL))
    if not is_of_school and _department(database, login) != asked.department:
        return []
    return [Said(*row) for row in database.rows(_ACTS, (login, before, COUNT + 1))]


def _department(database: Dialect, login: str) -> str:
    """Where somebody works, or has worked who is let in no more; "": there is nobody."""
    return next((department for (department,) in list(database.rows(_WHERE, (login,)))), "")


def _stretch(asked: Asked, reader: int | None, behind: int) -> chain_check.Stretch | None:
    if reader is None:
        return None
    return chain_check.check(asked.store.database, reader, behind, STRETCH)


PAGES = (
    Page(
        "/audit",
        ("审计", "Audit"),
        show,
        roles=_ROLES,
        do=show,  # whose acts, which stands in no address
        menu="menu_audit",
        access_key="j",
        is_once=False,
    ),
)
TEXTS: Texts = {
    "audit_chain": ("一台机具的记录链", "The chain of a reader"),
    "audit_reader": ("机具号", "Reader"),
    "audit_check": ("核对", "Check it"),
    "audit_holds": ("每一环都对得上", "every link holds"),
    "audit_upto": ("核对到第几条", "Checked up to record"),
    "audit_head": ("账簿中最新一条", "Newest in the books"),
    "audit_broken": ("断在这一条", "The first broken link is record"),
    "audit_broken_head": ("最后一条不是账簿所说的最新一条", "the last is not the books' newest"),
    "audit_no_reader": ("没有这台机具或这条记录。", "No such reader or record."),
    "audit_on": ("接着核对", "Go on"),
    "audit_follow": ("跟一笔钱：从刷卡到结算", "Follow one spend, from tap to settlement"),
    "audit_seq": ("记录号", "Record"),
    "audit_find": ("跟踪", "Follow"),
    "audit_no_record": ("账簿里没有这条记录。", "The books have no such record."),
    "audit_tap": ("机具密封的记录", "What the reader sealed"),
    "audit_state": ("结果", "What became of it"),
    "audit_is_committed": ("已扣款", "debited"),
    "audit_is_open": ("未扣款或未明", "not debited, or not known"),
    "audit_amount": ("金额", "Amount"),
    "audit_moves": ("账上的钱怎么走", "Where the money went"),
    "audit_debit": ("从", "From"),
    "audit_credit": ("到", "To"),
    "audit_no_moves": ("没有动钱。", "No money moved."),
    "audit_period": ("结算期", "Period"),
    "audit_not_settled": ("还没有结算。", "Not settled yet."),
    "audit_approvals": ("审批", "Approved by"),
    "audit_payments": ("付款", "Payments"),
    "audit_paid": ("已付", "paid"),
    "audit_not_paid": ("未付成", "not paid"),
    "audit_under_way": ("在途", "under way"),
    "audit_acts": ("一个人办过的事", "What somebody has done"),
    "audit_login": ("用户名", "Login"),
    "audit_no_acts": ("没有，或不是您部门的人。", "None, or not of your department."),
    "audit_act": ("办理", "Act"),
    "audit_about": ("对象", "Of"),
    "audit_shown": ("依据", "Shown"),
    "audit_refused": ("被拒", "refused"),
}
