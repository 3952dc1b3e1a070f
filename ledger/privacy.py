"""Personal data in answers: masked, unless somebody who may says why, which is an act.

Rules of this file. Of a person the books know the school's number, a kind and a department. Who
asks whose a card is gets the number masked, and so it stands in rosters, months and forms that are
printed. Unmasked it is for roles that may (ledger/people.py), and with the reason that they gave
it stands among the acts, before anything is told.
"""

from dataclasses import dataclass, replace

from ledger import people
from ledger.dialect import Dialect
from ledger.holders import KIND_NAMES, holder_of
from ledger.signatures import NotAllowed, signed, works_as

BECAUSE_CHARS_MAX = 64
_SHOWN_MAX = 2
_FORM = "personal.form"
_OF = "JOIN holder h ON h.number = g.holder WHERE h.person_no = ?"
# name -> (table, its columns behind card_no): what hangs on each card that is or was theirs.
_OF_CARDS = {
    "opening": ("card", "opening_fen"),
    "validity": ("card_validity", "kind valid_from valid_to"),
    "changes": ("card_change", "time_s cause evidence"),
    "spends": ("intent", "device seq merchant_no amount_fen earliest_s latest_s state"),
    "paid_in": ("load", "number amount_fen order_id is_loaded"),
    "code_payments": ("reservation", "number device seq amount_fen asked_s state"),
    "codes_at_doors": ("code_answer", "number device asked_s"),
    "loss_reports": ("loss_report", "device lost_s"),
    "punches": ("punch", "device earliest_s latest_s"),
    "entered_punches": ("manual_punch", "number time_s because withdraws"),
    "phones": ("phone_proof", "binding way time_s"),
    "phone_apps": ("phone_app", "binding client reference time_s"),
    "wrong_phones": ("phone_refusal", "number client time_s"),
    "fees": ("card_fee", "amount_fen time_s"),
    "extensions": ("temporary_extension", "number valid_to was_to time_s"),
    "notices": ("leaving_notice", "number time_s"),
    "settlements": ("card_settlement", "number amount_fen is_forfeit time_s"),
    "payees": ("payee", "number account_no name time_s"),
    "findings": ("finding", "reason device seq found_s"),
    "listed": ("batch_line", "line reason"),
    "listed_amounts": ("money_line", "line amount_fen reason"),
}
# table -> (columns, what stands there of a person)
_EXPORT = {
    "names": (
        "name",
        "SELECT n.name FROM holder_name n JOIN holder h ON h.number = n.holder"
        " WHERE h.person_no = ?",
    ),
    "holder": ("kind department", "SELECT kind, department FROM holder WHERE person_no = ?"),
    "numbers": ("card_no", "SELECT card_no FROM person_no WHERE person_no = ? ORDER BY card_no"),
    "cards": (
        "card_no is_current",
        f"SELECT g.card_no, g.is_current FROM holding g {_OF} ORDER BY g.card_no",
    ),
    **{
        name: (
            f"card_no {columns}",
            f"SELECT t.card_no, {', '.join(f't.{one}' for one in columns.split())} FROM {table} t"
            f" JOIN holding g ON g.card_no = t.card_no {_OF}"
            f" ORDER BY t.card_no, {', '.join(f't.{one}' for one in columns.split())}",
        )
        for name, (table, columns) in _OF_CARDS.items()
    },
    "replaced": (
        "old_card new_card lost_s",
        "SELECT r.old_card, r.new_card, r.lost_s FROM reissue r"
        f" JOIN holding g ON g.card_no = r.old_card {_OF} ORDER BY r.old_card",
    ),
    "door_rights": (
        "card_no number device group_no time_s",
        "SELECT g.card_no, a.number, a.device, a.group_no, a.time_s FROM access_change a"
        " JOIN holding g ON g.card_no BETWEEN a.first_no AND a.first_no + a.count - 1"
        f" {_OF} AND a.verb = 'grant' ORDER BY a.number, g.card_no",
    ),
    "applications": (
        "number category department valid_from valid_to time_s",
        "SELECT number, category, department, valid_from, valid_to, time_s"
        " FROM temporary_application WHERE person_no = ? OR applicant_no = ? ORDER BY number",
    ),
    "roster": (
        "from_day team shift time_s",
        "SELECT from_day, team, shift, time_s FROM roster_change WHERE person_no = ?"
        " ORDER BY number",
    ),
}
# What has a card's or a person's number and tells no more of the person than those above.
NOT_EXPORTED = {
    "chip": "of the card",
    "name_key": "made from the name",
    "phone": "a seed, which is the phone's alone",
    "temporary_card": "the application and the card",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose a card is, or was; `person_no` is masked where `is_masked`."""

    card_no: int
    kind: str
    department: str
    person_no: str
    is_masked: bool

    def __repr__(self) -> str:
        return f"Shown(card_no={self.card_no}, kind={self.kind!r})"  # no number in a log


def masked(text: str) -> str:
    """`text` with two characters left at each end at most, and less of what is short."""
    left = min(_SHOWN_MAX, len(text) // 4)
    return text[:left] + "*" * (len(text) - 2 * left) + text[len(text) - left :]


def show_holder(database: Dialect, card_no: int) -> Shown:
    """Whose a card is, masked. NotAllowed: NO_HOLDER."""
    shown = _shown(database, card_no)
    return replace(shown, person_no=masked(shown.person_no), is_masked=True)


def reveal_holder(
    database: Dialect, card_no: int, person: str, because: str, time_s: int
) -> Shown:
    """The same with the number as it stands, which is an act of `person`. NotAllowed."""
    _check_because(person, because)
    with database.transaction():
        signed(database, "personal.show", person, time_s, f"card {card_no}", because)
        return _shown(database, card_no)


def reveal_roster(database: Dialect, what: str, person: str, because: str, time_s: int) -> None:
    """The numbers of `what` (a roster, a month of staff) are told: an act of `person`. NotAllowed.

    Whoever tells them does it in the transaction of the caller, or behind it.
    """
    _check_because(person, because)
    with database.transaction():
        signed(database, "personal.roster", person, time_s, what, because)


def reveal_form(
    database: Dialect, number: int, department: str, person: str, because: str, time_s: int
) -> None:
    """The numbers on the form of annex 1 of an application are told: an act of `person`.

    A head sees those of the own `department`, which stands on the form. NotAllowed.
    """
    _check_because(person, because)
    of_centre = tuple(role for role in people.VERBS[_FORM].roles if role != people.HEAD)
    with database.transaction():
        _works_in, roles = works_as(database, person)
        is_head = people.HEAD in roles and not set(of_centre) & set(roles)
        whose = department if is_head else ""
        signed(database, _FORM, person, time_s, f"application {number}", because, department=whose)


def everything_of(
    database: Dialect, person_no: str, person: str, because: str, time_s: int
) -> dict[str, list[dict[str, object]]]:
    """All that the books have of a person, table by table; an act of `person`. NotAllowed.

    What stands in sealed records alone (doors) is not in it.
    """
    _check_because(person, because)
    with database.transaction():
        subject = f"person {masked(person_no)}"
        signed(database, "personal.export", person, time_s, subject, because)
        return {
            name: [
                dict(zip(columns.split(), row, strict=True))
                for row in database.rows(sql, (person_no,) * sql.count("?"))
            ]
            for name, (columns, sql) in _EXPORT.items()
        }


def _check_because(person: str, because: str) -> None:
    is_said = len(because.strip()) > 0 and len(because) <= BECAUSE_CHARS_MAX
    if not is_said or not because.isprintable() or not person:
        raise NotAllowed(people.NO_REASON_GIVEN)


def _shown(database: Dialect, card_no: int) -> Shown:
    holder = holder_of(database, card_no)
    if holder is None:
        raise NotAllowed(people.NO_HOLDER)
    kind = KIND_NAMES[holder.kind]
    return Shown(card_no, kind, holder.department, holder.person_no, is_masked=False)
