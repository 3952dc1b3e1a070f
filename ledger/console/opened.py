"""Readers that were opened or moved, and go on only when two have approved it (R18.2).

The department that answers for the reader comes first, then the information centre; until then
its records are kept and nothing of it is trusted further (ledger/tampers.py).
"""

from dataclasses import dataclass

from ledger.console import typed
from ledger.console.asked import Asked, Page, Refused, Shown, ToSign, Waiting
from ledger.console.refusals import BAD_FIELDS, Words
from ledger.console.texts import Texts
from ledger.tampers import CENTRE, DEPARTMENT, ApprovalRefused, Tamper
from protocols.wire import messages

PATH = "/opened"
REFUSED = 802
_VERBS = {DEPARTMENT: "device.department", CENTRE: "device.centre"}
_STATES = {messages.CASE_OPENED: "opn_case", messages.MOVED: "opn_moved"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A reader that waits. `state`: a key of TEXTS; `step`: what whoever looks may take, or 0."""

    tamper: Tamper
    state: str
    department: str
    steps: dict[int, tuple[str, int]]
    step: int


def found(asked: Asked) -> list[Opened]:
    """Every reader that is barred, by number."""
    tampers = asked.store.tampers
    rows = []
    for one in tampers.waiting():
        steps = tampers.steps(one.device, one.seq)
        department = tampers.responsible(one.device)
        state = _STATES.get(one.state, "opn_other")
        rows.append(Opened(one, state, department, steps, _step(asked, department, steps)))
    return rows


def _step(asked: Asked, department: str, steps: dict[int, tuple[str, int]]) -> int:
    """The step that whoever asks may take now; 0: none."""
    following = DEPARTMENT if DEPARTMENT not in steps else CENTRE
    is_theirs = following == CENTRE or department == asked.department
    is_new = str(asked.person) not in [person for person, _time_s in steps.values()]
    is_open = following not in steps and is_theirs and is_new
    return following if is_open and asked.may(_VERBS[following]) else 0


def show(asked: Asked) -> Shown:
    with asked.store.database.reading():
        rows = found(asked)
    return Shown("opened.html", {"rows": rows, "names": {DEPARTMENT: "opn_department",
                                                         CENTRE: "opn_centre"}})  # fmt: skip


def approve(asked: Asked) -> str:
    """The step of whoever asks, for the record that bars the reader."""
    device, seq = typed.number(asked, "device"), typed.number(asked, "seq")
    step = typed.number(asked, "step")
    if step not in _VERBS:
        raise Refused(BAD_FIELDS, "step")
    try:
        asked.store.tampers.approve(device, seq, step, asked.person, asked.now_s)
    except ApprovalRefused as error:
        raise Refused(REFUSED, str(error)) from None
    return f"{PATH}?done=opn"


def to_sign(asked: Asked) -> list[ToSign]:
    lines = []
    for one in found(asked):
        if one.step:
            person, time_s = one.steps.get(DEPARTMENT, ("", one.tamper.latest_s))
            what = "opened", f"{one.tamper.device} / {one.tamper.seq}", person, time_s
            lines.append(ToSign(*what, "", PATH))
    return lines


def waiting(asked: Asked) -> list[Waiting]:
    return [Waiting("opn_waits", len(to_sign(asked)), PATH)]


WAITING, TO_SIGN = (waiting,), (to_sign,)
REASONS = {
    REFUSED: Words(
        ("这台终端现在不能这样放行", "this reader cannot be approved like that"),
        (
            "请看提示：可能有了更新的记录，或要另一个人。",
            "See what the text says: a newer record, or another person.",
        ),
    )
}
PAGES = (
    Page(
        PATH,
        ("被打开或移动的终端", "Opened or moved readers"),
        show,
        verbs=tuple(_VERBS.values()),
        do=approve,
        menu="menu_devices",
    ),
)
TEXTS: Texts = {
    "opn_waits": ("台被打开或移动的终端等您放行", "opened or moved readers wait for you"),
    "opn_case": ("外壳被打开", "its case was opened"),
    "opn_moved": ("换了地方或网络", "it stands elsewhere"),
    "opn_other": ("变动", "changed"),
    "opn_none": ("没有等放行的终端。", "No reader waits."),
    "opn_department": ("归口部门", "Department"),
    "opn_centre": ("图书信息中心", "Information centre"),
    "opn_approve": ("查看过，同意继续用", "Looked at: it may go on"),
    "opn_says": (
        "擅自拆装移机，责任和损失由商户承担（R18.1）。看过实物再放行，两个部门各一人。",
        "Self-made moves are the merchant's loss (R18.1). Look at it first; two departments sign.",
    ),
    "done_opn": ("已记下；两人都同意后继续用", "Noted; it goes on once both have approved"),
    "sign_opened": ("被打开或移动的终端", "opened or moved reader"),
}
