"""The lives of cards on the command line: onecard ledger card, temporary, batch.

What stands on paper or belongs to a person (a personal number, an account at a bank) is read from
standard input, so that neither a shell's history nor `ps` has it.
"""

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import EXIT_FAILED, LOGGED_IN, AfterHours, InputFile, refuse

card = typer.Typer(
    help="What becomes of a card, from its order to its end (R10 to R15).", no_args_is_help=True
)
temporary = typer.Typer(help="Temporary cards (annex 1).", no_args_is_help=True)
batch = typer.Typer(help="Lists of cards, and the money of those that end.", no_args_is_help=True)

# What is said of one card and takes no other: as ledger.card_status.VERBS.
SIMPLE = {
    "lose": "Report its loss (R14.2).",
    "unlose": "Undo that report, with ID shown (R14.3).",
    "suspend": "Suspend it: a leave of absence, or a doubt (R15.2).",
    "resume": "End that, with the registrar's proof (R15.2).",
    "freeze": "Freeze it, with the notice of withdrawal (R15.3).",
    "unfreeze": "End that, with ID shown (R6.4).",
    "terminate": "End it with its holder's work, by the notice (R15.1).",
    "close": "Close it for good; what is left is paid out when it is due (R15).",
}
NEW = {
    "order": "The bank makes a card of this number.",
    "issue": "It is made, and not activated yet.",
}
REPLACING = {
    "swap": "Put another in the place of a card that was handed in (R6.4).",
    "reissue": "Put another in the place of one that is reported lost (R14.4a).",
}


class Role(StrEnum):
    """Who says it."""

    HOLDER = "holder"
    CLERK = "clerk"
    DEPARTMENT = "department"
    SECURITY = "security"


class Channel(StrEnum):
    """Where it was said."""

    COUNTER = "counter"
    APP = "app"
    KIOSK = "kiosk"


class Kind(StrEnum):
    """Whose a card is; a temporary one takes an application."""

    STAFF = "staff"
    STUDENT = "student"


class ListKind(StrEnum):
    """What a list asks for."""

    ISSUE = "issue"
    GRADUATION = "graduation"


class Step(StrEnum):
    """Whose signature it is on an application."""

    DEPARTMENT = "department"
    FINANCE = "finance"


CardNo = Annotated[int, typer.Option("--card", min=0, help="The card's number.")]
NewCard = Annotated[int, typer.Option("--new", min=0, help="The card in its place.")]
Evidence = Annotated[
    str,
    typer.Option(help='What was shown, in words: "id-card", "id-card+hr-notice". Never a number.'),
]
As = Annotated[Role, typer.Option("--as", help="Who says it.")]
Through = Annotated[Channel, typer.Option("--channel", help="Where it was said.")]
By = Annotated[str, typer.Option("--by", help=f"Who does it, by name. {LOGGED_IN}")]
Department = Annotated[str, typer.Option(help="The department or college.")]
Application = Annotated[int, typer.Option(min=1, help="The number of the application.")]
ApplicationMark = Annotated[
    str, typer.Option("--mark", help="Of the application: without it, the refusal shows both.")
]
First = Annotated[str, typer.Option("--from", help="The first day, such as 2026-09-01.")]
Last = Annotated[str, typer.Option("--to", help="The last day.")]
UtcOffset = Annotated[int, typer.Option(help="Where the school is, in seconds.")]
ListFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
KindOfList = Annotated[ListKind, typer.Option(help="What the list asks for.")]
Sha256 = Annotated[str, typer.Option(help="The hash that the dry run printed.")]


def say(what: Callable[[], str]) -> None:
    from ledger.card_status import CardRefused
    from ledger.dialect import StoreUnavailable
    from ledger.marks import OtherMark
    from ledger.signatures import NotAllowed
    from tools.ledger_forks import NotBooks
    from tools.ledger_lives import BadInput

    try:
        typer.echo(what())
    except (NotBooks, CardRefused, NotAllowed, OtherMark, StoreUnavailable, BadInput) as error:
        refuse(error)


def now_s() -> int:
    return int(time.time())


# --- one card ------------------------------------------------------------------------------------


@card.command("show")
def card_show(database: InputFile, card_no: CardNo, after_h: AfterHours = None) -> None:
    """Say what a card of DATABASE is, what became of it, and what is frozen of those before it."""
    from tools.ledger_card import show

    say(lambda: show(database, card_no, after_h))


def _simple(verb: str) -> Callable[..., None]:
    def set_it(
        database: InputFile,
        card_no: CardNo,
        evidence: Evidence = "",
        role: As = Role.CLERK,
        channel: Through = Channel.COUNTER,
        by: By = "",
    ) -> None:
        from tools.ledger_card import set_status

        act = role.value, channel.value, evidence, by
        say(lambda: set_status(database, verb, card_no, act, now_s()))

    return set_it


def _new(verb: str) -> Callable[..., None]:
    def begin(database: InputFile, card_no: CardNo, by: By = "") -> None:
        from tools.ledger_lives import begin

        say(lambda: begin(database, verb, card_no, by, now_s()))

    return begin


def _replacing(verb: str) -> Callable[..., None]:
    def put(
        database: InputFile,
        card_no: CardNo,
        new_card: NewCard,
        evidence: Evidence = "",
        by: By = "",
    ) -> None:
        from tools.ledger_card import replace

        say(lambda: replace(database, verb, (card_no, new_card), evidence, by, now_s()))

    return put


for _verbs, _make in ((NEW, _new), (SIMPLE, _simple), (REPLACING, _replacing)):
    for _verb, _about in _verbs.items():
        card.command(_verb, help=_about)(_make(_verb))


@card.command("open")
def card_open(
    database: InputFile,
    card_no: CardNo,
    kind: Annotated[Kind, typer.Option(help="staff or student.")],
    department: Department,
    first: First,
    last: Last,
    by: By = "",
    evidence: Evidence = "",
) -> None:
    """Activate an issued card (R12). The holder's number is read from standard input."""
    from tools.ledger_lives import open_card

    person_no = sys.stdin.readline().strip()
    facts = kind.value, department, first, last
    say(lambda: open_card(database, card_no, person_no, facts, evidence, by, now_s()))


@card.command("warn")
def card_warn(database: InputFile, card_no: CardNo, by: By = "") -> None:
    """Note that who leaves the staff was told: what is not spent by then is lost (R15.1)."""
    from tools.ledger_lives import warn

    say(lambda: warn(database, card_no, by, now_s()))


@card.command("payee")
def card_payee(database: InputFile, card_no: CardNo, by: By = "") -> None:
    """Register where a card's money goes. From standard input: the account, then its owner."""
    from tools.ledger_lives import register_payee

    account = [sys.stdin.readline().strip() for _ in range(2)]
    say(lambda: register_payee(database, card_no, account, by, now_s()))


@card.command("expire")
def card_expire(database: InputFile, utc_offset_s: UtcOffset = 28_800) -> None:
    """Mark the temporary cards of DATABASE whose last day is over."""
    from tools.ledger_lives import expire

    say(lambda: expire(database, utc_offset_s, now_s()))


# --- temporary cards -----------------------------------------------------------------------------


@temporary.command("apply")
def temporary_apply(
    database: InputFile,
    category: Annotated[
        str, typer.Option(help="casual-worker, family, property, tenant, trainee or other.")
    ],
    relation: Annotated[str, typer.Option(help="Of who is to use it to who applies.")],
    department: Department,
    first: First,
    last: Annotated[str, typer.Option("--to", help="The last day; family: none is needed.")] = "",
    by: By = "",
) -> None:
    """Note a form of annex 1. From standard input: number of the user, then of the applicant."""
    from tools.ledger_lives import apply

    people = [sys.stdin.readline().strip() for _ in range(2)]
    facts = relation, category, department, first, last
    say(lambda: apply(database, people, facts, by, now_s()))


@temporary.command("approve")
def temporary_approve(
    database: InputFile,
    application: Application,
    step: Annotated[Step, typer.Option(help="Whose signature it is.")],
    mark: ApplicationMark = "",
    by: By = "",
) -> None:
    """Note a signature under an application: the department's, then that of finance."""
    from tools.ledger_lives import approve

    say(lambda: approve(database, (application, mark), step.value, by, now_s()))


@temporary.command("hand-out")
def temporary_hand_out(
    database: InputFile,
    application: Application,
    card_no: CardNo,
    mark: ApplicationMark = "",
    by: By = "",
    evidence: Evidence = "application",
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Open an issued card for an approved application, and book its fee of 20 yuan, once."""
    from tools.ledger_lives import hand_out

    what = application, mark, card_no, utc_offset_s
    say(lambda: hand_out(database, what, evidence, by, now_s()))


@temporary.command("extend")
def temporary_extend(
    database: InputFile,
    card_no: CardNo,
    department: Department,
    last: Last,
    by: By = "",
    evidence: Evidence = "renewal-proof",
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Give a card a later last day, within its last ten days and by the same department."""
    from tools.ledger_lives import extend

    facts = department, last, utc_offset_s
    say(lambda: extend(database, card_no, facts, evidence, by, now_s()))


@temporary.command("form")
def temporary_form(
    database: InputFile,
    application: Application,
    out: Annotated[Path, typer.Option(help="The page (HTML), for its owner alone.")],
    school: Annotated[str, typer.Option(help="What stands before the title.")] = "",
    utc_offset_s: UtcOffset = 28_800,
    because: Annotated[
        str, typer.Option(help="Why numbers are needed unmasked, such as to sign; this is kept.")
    ] = "",
    by: By = "",
) -> None:
    """Write annex 1 of an application, to print: what the books never take is left blank.

    Numbers of persons are masked, unless --because says why.
    """
    from tools.annex_form import write

    why = because, by
    say(lambda: write(database, application, out, (school, utc_offset_s), why, now_s()))


@temporary.command("ending")
def temporary_ending(database: InputFile, utc_offset_s: UtcOffset = 28_800) -> None:
    """List the temporary cards that can be extended now."""
    from tools.ledger_lives import ending

    say(lambda: ending(database, utc_offset_s, now_s()))


# --- lists ---------------------------------------------------------------------------------------


def told(what: Callable[[], tuple[str, bool]]) -> None:
    """As `say`; exit code 1 if something was left."""
    good = True

    def text() -> str:
        nonlocal good
        said, good = what()
        return said

    say(text)
    raise typer.Exit(0 if good else EXIT_FAILED)


@batch.command("dry-run")
def batch_dry_run(database: InputFile, file: ListFile, kind: KindOfList) -> None:
    """Say what a list (CSV) would do in DATABASE and what contradicts it; nothing is done.

    issue: card_no,person_no,kind,department,valid_from,valid_to. graduation:
    card_no,person_no,account_no,name. Exit code 1 if a line contradicts.
    """
    from tools.ledger_batch import dry_run

    told(lambda: dry_run(database, file, kind.value))


@batch.command("sign")
def batch_sign(
    database: InputFile, file: ListFile, kind: KindOfList, sha256: Sha256, by: By = ""
) -> None:
    """Sign a dry run by its hash; two persons have to, and before anything has changed."""
    from tools.ledger_batch import sign

    say(lambda: sign(database, file, kind.value, sha256, by, now_s()))


@batch.command("run")
def batch_run(
    database: InputFile, file: ListFile, kind: KindOfList, sha256: Sha256, by: By = ""
) -> None:
    """Do what two persons have signed, each line once; stopped, it goes on when run again."""
    from tools.ledger_batch import run

    told(lambda: run(database, file, kind.value, sha256, by, now_s()))


@batch.command("settle")
def batch_settle(
    database: InputFile,
    after_h: AfterHours = None,
    despite: Annotated[
        list[str] | None,
        typer.Option(help="A reader (1001) or record (1001/7) that is passed over; repeat it."),
    ] = None,
    by: Annotated[str, typer.Option("--by", help=f"Who decides that, by name. {LOGGED_IN}")] = "",
    because: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
) -> None:
    """Send on what is left of ended cards, so long after their end and when no spend is missing.

    Exit code 1 if money waits for readers; they are named. A person may pass over each by name.
    """
    from tools.ledger_batch import settle

    decided = by, because, tuple(despite or ())
    told(lambda: settle(database, after_h, decided, now_s()))
