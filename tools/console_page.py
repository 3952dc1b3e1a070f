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

By the keyboard alone, from the first page unless a job goes on where the one before has ended.
An action is a key, a text typed at once, or a tap on the counter's reader; keys count every
letter too. Seconds are those of the computer that has printed this, with the pages' own time in
them, and are no promise. A test fails for a job of more actions than it says. Lists are opened
anew by each of two persons; a form of nine fields is as long as it is.

"""
# As `pytest tests/ledger/console -k persona` has printed it: persona, job, actions, keys, seconds.
JOBS: tuple[tuple[str, str, int, int, float], ...] = ()
_ROLES = """\
## Which pages a role has

By the verbs and roles of each row ([people.md](people.md)); whoever has logged in has those of
"我" and "今日" too.

"""

Table = Callable[[Sequence[str], Sequence[Sequence[object]]], str]


def page(table: Table) -> str:
    """The whole page; `table`: heads and rows as Markdown."""
    heads = ("谁", "办什么", "actions", "keys", "seconds")
    parts = [_INTRODUCTION, _JOBS + table(heads, JOBS), _ROLES + table(*_of_roles())]
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
