"""docs/console.md: what each department does in the console, and which pages a role has.

The pages come from the console's own table; what personas take is counted by tests, and stands
here as they have told it (`pytest tests/ledger/console -k persona`).
"""

from collections.abc import Callable, Sequence

from ledger import people
from ledger.console import pages, texts

_INTRODUCTION = """\
# The console

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

The departments' daily work in a browser, served beside the ledger ([running.md](running.md),
[ADR 74](adr/0074-the-console.md)). Chinese first, English by the word at the top right. What a
role may not do does not exist on its pages. Whatever takes two persons stands under "等我签字"
(To sign, `Alt` `2`) of whoever signs next, with who has said what before, and is signed or
declined there with a reason ([ADR 79](adr/0079-a-no-is-an-act.md)).

## By the keyboard

`Alt` and the letter in the box leads to a page of the menu or does what the button says; `/`
leads to the search. A page begins behind the menu, in its first field where it has one to fill
in: `Tab`, `Enter` and `Space` do the rest. A reader at the counter types a card's number and
leads on to the next field. Every page is walked by `Tab` alone in a test, and looked at by axe.

## What each does here

**柜员, the counter of the card centre.** Search by number, name, pinyin initials or a tap; an
account with what was done to it and what can be done now.

![An account: what can be done, what it holds, what was done](img/console-account.png)

A loss names the hours that are left, what will go on, and the readers that have not said they
know.

![A loss with its 72 hours](img/console-loss.png)

**结算会计, settlement.** One line says whether the day balances; red, it leads to the case with
both records side by side, which one proposes to settle and another approves.

![A case with both its records](img/console-case.png)

A period's report takes four approvals; then there is a file for the bank. Refunds of ended
cards take two signatures under the sum on one's own paper.

![A period with its approvals](img/console-period.png)

![Its sheet to print, with the amount in words](img/console-sheet.png)

**总务处, General Affairs.** Merchants' days to sign, tickets with their clocks, inspections and
rounds, readers, attendance, takings.

![Takings by meal](img/console-takings.png)

**宿管 and 保卫部, wardens and guards.** On a phone too: why a door does not open and what to
do, cells by building, rights until a day, keys, released doors, one card blocked at all doors.

![Why a door does not open](img/console-door.png)
![Cells of locks, the weakest first](img/console-batteries.png)

**图书信息中心, the information centre.** The wall, opened readers, the audit; administrators
let people in, two together.

![The wall of the campus](img/console-wall.png)

![The audit: a chain, and one spend to its settlement](img/console-audit.png)

![Operators: proposed by one administrator, approved by another](img/console-operators.png)

**Whoever signs** has all of it in one place.

![What waits for a second signature](img/console-waiting.png)
"""
_JOBS = """\
## What a job takes

By the keyboard alone, from the first page unless a job goes on where the one before has ended. An
action is a key, a text typed at once, or a tap on the counter's reader; keys count every letter
too. Seconds are those of two cores with a load of eight to sixteen, and no promise. A test fails
for a job of more than a dozen actions, or of more than it says where it is a form or a list.

"""
# As `pytest tests/ledger/console -k persona` has printed it: persona, job, actions, keys, seconds
# (None: not told apart from what others did in between).
JOBS: tuple[tuple[str, str, int, int, float | None], ...] = (
    ("一卡通中心柜员", "挂失", 4, 6, 6.5),
    ("一卡通中心柜员", "解挂", 6, 6, 8.0),
    ("一卡通中心柜员", "补卡", 7, 7, 3.0),
    ("一卡通中心柜员", "还有几小时、结转多少", 11, 11, 3.5),
    ("一卡通中心柜员", "临时卡：录入附表一", 18, 69, 6.8),
    ("部门负责人", "临时卡：签字", 3, 3, 11.4),
    ("财务复核", "临时卡：签字", 3, 3, 13.1),
    ("一卡通中心柜员", "临时卡：收费、发卡、收据", 10, 9, 14.3),
    ("一卡通中心柜员", "批量开卡：核对、签字", 10, 10, 15.9),
    ("财务复核", "批量开卡：核对、签第二个字", 13, 13, 17.1),
    ("一卡通中心柜员", "批量开卡：办理", 11, 11, None),
    ("一卡通中心柜员", "毕业离校：核对、签字", 10, 10, 15.1),
    ("财务复核", "毕业离校：核对、签第二个字", 13, 13, 30.2),
    ("一卡通中心柜员", "毕业离校：办理", 9, 9, None),
    ("管理员", "登记操作员", 22, 31, 12.2),
    ("管理员", "批准，交初始密码", 5, 5, 4.1),
    ("结算会计", "今日是否平账", 1, 1, 1.8),
    ("结算会计", "差错：看两条记录、提议", 11, 14, 5.4),
    ("财务复核", "差错：批准并入账", 7, 7, 5.9),
    ("结算会计", "结算单 Excel", 7, 7, 6.9),
    ("结算会计", "结算单打印，大写", 2, 2, 2.4),
    ("结算会计", "导入聚合码账单，看没对上的", 5, 5, 5.0),
    ("总务处", "结算报告：审批", 6, 6, 11.2),
    ("总务处负责人", "结算报告：审批", 6, 6, 8.5),
    ("分管校领导", "结算报告：审批", 6, 6, 6.6),
    ("财务复核", "结算报告：审批", 6, 6, 7.5),
    ("财务复核", "付款文件", 7, 13, 7.1),
    ("结算会计", "银行回单", 10, 10, 9.8),
    ("总务处", "商户日合计签字", 11, 11, 9.1),
    ("总务处", "报修工单转下一步", 6, 6, 6.2),
    ("图书信息中心", "看到这张工单", 1, 1, 1.8),
    ("总务处", "今天哪些终端没有巡检", 1, 1, 3.0),
    ("总务处", "登记定期检查", 7, 7, 5.0),
    ("总务处", "物业考勤月报 Excel", 5, 5, 2.7),
    ("审计", "核对一台终端的链", 4, 7, 3.6),
    ("审计", "跟一元钱从刷卡到结算", 7, 10, 1.2),
    ("宿管", "门打不开", 3, 6, 2.0),
    ("宿管", "低电量清单", 1, 1, 0.7),
    ("宿管", "授权到某日", 8, 22, 2.4),
    ("宿管", "记一次钥匙开门", 3, 6, 0.9),
    ("保卫部值班", "谁开过这扇门", 7, 15, 4.9),
    ("保卫部值班", "停电：哪些门开着", 1, 1, 1.8),
    ("保卫部值班", "立即停用一张卡", 6, 10, 3.2),
    ("图书信息中心", "哪些机具落后", 1, 1, 2.4),
    ("图书信息中心", "编号是什么意思", 3, 5, 2.9),
)
_ROLES = """\
## Which pages a role has

By the verbs and roles of each row ([people.md](people.md)); whoever has logged in has those of
"我" and "今日" too.

"""

Table = Callable[[Sequence[str], Sequence[Sequence[object]]], str]


def page(table: Table) -> str:
    """The whole page; `table`: heads and rows as Markdown."""
    heads = ("谁", "办什么", "actions", "keys", "seconds")
    parts = [
        _INTRODUCTION,
        _JOBS
        + table(heads, [(*job, "—" if taken_s is None else taken_s) for *job, taken_s in JOBS]),
        _ROLES + table(*_of_roles()),
    ]
    return "\n".join(parts)


def _of_roles() -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """A row for each page of the menu and the roles that see it."""
    heads = ("page", "", *(texts.TEXTS[f"role_{role}"][0] for role in people.ROLES))
    rows = [
        (f"`{one.path}`", " / ".join(one.title),
         *("✓" if one.is_for((role,)) else "" for role in people.ROLES))
        for one in pages.PAGES
        if not one.is_open and (one.verbs or one.roles)
    ]  # fmt: skip
    return heads, rows
