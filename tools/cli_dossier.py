"""What `onecard ledger merchant` and `onecard ledger device` have in common: dossiers.

Staff are called by a word; a reference is the number on the paper form. Whoever gives a command
again after a lost answer does nothing twice. Where the books have operators, whoever has logged in
is the person of a step.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import LOGGED_IN, InputFile, refuse


class Role(StrEnum):
    """Who says it, as in docs/procedures.md."""

    MERCHANT = "merchant"
    DEPARTMENT = "department"
    DEPARTMENT_LEADER = "department-leader"
    PROJECT = "project"
    PROJECT_LEADER = "project-leader"
    PRESIDENT = "president"
    CENTRE = "centre"
    CARD_CENTRE = "card-centre"
    SECURITY = "security"
    FINANCE = "finance"


class Bearer(StrEnum):
    """Who pays for a damage: the merchant of the reader, or a person, who pays it in."""

    MERCHANT = "merchant"
    PERSON = "person"


By = Annotated[
    str, typer.Option("--by", help=f"Who does it, in a word of a-z, 0-9 and -. {LOGGED_IN}")
]
As = Annotated[Role, typer.Option("--as", help="As what (docs/procedures.md).")]
Ref = Annotated[str, typer.Option("--ref", help="The number on the paper; each dossier has one.")]
Said = Annotated[str, typer.Option("--said", help="In words, at most 200 characters; no names.")]
Shown = Annotated[str, typer.Option("--shown", help="What was shown, in a word.")]
GivenBy = Annotated[str, typer.Option("--from", help="Whose hands it comes from.")]
Number = Annotated[int, typer.Option("--dossier", min=1, help="The dossier's number.")]
Device = Annotated[int, typer.Option("--device", min=1, help="The reader's number.")]
MerchantNo = Annotated[int, typer.Option("--merchant", min=0, help="The merchant's number.")]
Records = Annotated[list[str], typer.Option("--record", help="A record, such as 1001/17.")]
Name = Annotated[str, typer.Option(help="The merchant's name, as in the register.")]
Department = Annotated[str, typer.Option(help="The department that answers for it.")]
Project = Annotated[str, typer.Option(help="The project's department.")]
Quantity = Annotated[int, typer.Option("--readers", min=0, help="How many readers.")]
AmountFen = Annotated[int, typer.Option("--amount-fen", min=0, help="For all of them.")]
Fen = Annotated[int | None, typer.Option(min=0, help="What it has cost, in fen.")]
UtcOffset = Annotated[int, typer.Option("--utc-offset-s", help="Local time, ahead of UTC.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of text.")]


def tell(what: Callable[[], str]) -> None:
    """Print what was done, or refuse."""
    with _refusing():
        typer.echo(what())


def tell_with_code(what: Callable[[], tuple[int, str]]) -> None:
    """Print a report, and leave with its exit code."""
    with _refusing():
        code, text = what()
    typer.echo(text)
    raise typer.Exit(code)


def now_s() -> int:
    """The time of this machine, UTC."""
    return int(time.time())


def apply_as(kind: str) -> Callable[..., None]:
    """The command that notes a form of annex 2."""

    def apply(
        database: InputFile,
        ref: Ref,
        merchant_no: MerchantNo,
        name: Name,
        department: Department,
        project: Project,
        quantity: Quantity,
        amount_fen: AmountFen,
        said: Said,
        by: By = "",
    ) -> None:
        from ledger.onboarding import Form
        from tools.ledger_dossier import apply

        form = Form(name, department, project, quantity, amount_fen)
        tell(lambda: apply(database, kind, ref, merchant_no, form, said, by, now_s()))

    return apply


def write_form(
    database: InputFile,
    number: Number,
    out: Annotated[Path, typer.Option(help="The page (HTML), for its owner alone.")],
    school: Annotated[str, typer.Option(help="What stands before the title.")] = "",
    utc_offset_s: UtcOffset = 28_800,
) -> None:
    """Write annex 2 of an application, to print: contacts, and who has not signed, are blank."""
    from tools.device_form import write

    tell(lambda: write(database, number, out, school, utc_offset_s))


def add_steps(group: typer.Typer, kinds: Sequence[str]) -> None:
    """The commands form, say, show and open of a group."""
    group.command("form")(write_form)

    @group.command("say")
    def say(
        database: InputFile,
        number: Number,
        verb: Annotated[str, typer.Option(help="As in docs/procedures.md.")],
        role: As,
        by: By = "",
        shown: Shown = "",
        said: Said = "",
        given_by: GivenBy = "",
        labour_fen: Fen = None,
        material_fen: Fen = None,
        compensation_fen: Fen = None,
        bearer: Annotated[Bearer, typer.Option(help="Of a compensation.")] = Bearer.MERCHANT,
    ) -> None:
        """Take the next step of a dossier; docs/procedures.md has them. Again: nothing."""
        from ledger.procedures import Act
        from tools.ledger_dossier import say

        act = Act(role.value, by, shown, said, given_by)
        costs = {
            "labour": labour_fen,
            "material": material_fen,
            "compensation": compensation_fen,
        }
        tell(lambda: say(database, number, verb, act, costs, bearer.value, now_s()))

    @group.command("show")
    def show(database: InputFile, number: Number) -> None:
        """Print a dossier: its steps, in whose hands a thing is, its evidence."""
        from tools.ledger_dossier import show

        tell(lambda: show(database, number))

    @group.command("open")
    def open_ones(
        database: InputFile,
        as_csv: Csv = False,
        hours: Annotated[
            list[str] | None,
            typer.Option(help="Others than docs/procedures.md has: repair/reported=2."),
        ] = None,
    ) -> None:
        """List what is not ended, and what nobody has taken up; exit code 1: some is late."""
        from tools.ledger_dossier import hours_of, open_ones

        def listed() -> tuple[int, str]:
            return open_ones(database, kinds, now_s(), as_csv, hours_of(hours or []))

        tell_with_code(listed)


@contextmanager
def _refusing() -> Iterator[None]:
    from ledger.dialect import StoreUnavailable
    from ledger.dossiers import DossierRefused
    from ledger.signatures import NotAllowed
    from tools.ledger_dossier import BadHours, BadRecord
    from tools.ledger_forks import NotBooks

    try:
        yield
    except (NotBooks, DossierRefused, NotAllowed, StoreUnavailable) as error:
        refuse(error)
    except (BadRecord, BadHours) as error:
        refuse(error)
