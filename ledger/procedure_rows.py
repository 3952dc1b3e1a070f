"""The steps of the procedures of merchants and devices, as they stand in the books too.

Rules of this file. It is released history: migrations have put FIRST, ENDING, WRITE_OFF and
REOPENING into `procedure_rule`, and the database takes no step that is not there. A change is
another text and another migration.
A row: the procedures, the verb, the states before, the state after ("=": the same), the roles
that may say it, and what saying it is. Commas stand for each of them. `say`: a person says it.
`sign`: their signature, one for each person and dossier. `take`: a thing comes into that person's
hands. `give`: it leaves them, for good.
"""

from itertools import product
from typing import NamedTuple

FIRST = """
merchant,device apply    absent    applied  merchant          say
merchant,device sign     applied   signed-1 department        sign
merchant,device sign     signed-1  signed-2 department-leader sign
merchant,device sign     signed-2  signed-3 project           sign
merchant,device sign     signed-3  signed-4 project-leader    sign
merchant,device sign     signed-4  approved president         sign
merchant,device reject   applied   rejected department        say
merchant,device reject   signed-1  rejected department-leader say
merchant,device reject   signed-2  rejected project           say
merchant,device reject   signed-3  rejected project-leader    say
merchant,device reject   signed-4  rejected president         say
merchant,device withdraw applied,signed-1,signed-2,signed-3,signed-4 withdrawn merchant say

relocation apply    absent   applied  merchant   say
relocation sign     applied  signed-1 department sign
relocation sign     signed-1 approved centre     sign
relocation reject   applied  rejected department say
relocation reject   signed-1 rejected centre     say
relocation withdraw applied,signed-1,approved withdrawn merchant say
relocation move     approved moved    centre     say

repair report    absent             reported  merchant,department,centre say
repair accept    reported           accepted  department,centre          say
repair hand-over accepted           at-vendor centre                     say
repair take-back at-vendor          accepted  centre                     say
repair fix       accepted,at-vendor fixed     department,centre          say
repair confirm   fixed              closed    merchant,department        sign
repair reopen    fixed              reported  merchant,department        say
repair withdraw  reported           withdrawn merchant,department        say

capture withhold absent              withheld   merchant                     take
capture pass     withheld,in-transit in-transit merchant,department,security take
capture receive  withheld,in-transit received   card-centre                  take
capture pass     received            =          card-centre                  take
capture return   received            returned   card-centre                  give
capture destroy  received            destroyed  card-centre                  sign

damage open       absent                      opened      department,centre,security say
damage take       opened,established,referred =           department,centre,security take
damage establish  opened                      established centre                     sign
damage dismiss    opened                      dismissed   centre                     sign
damage refer      established                 referred    security                   sign
damage compensate referred                    compensated card-centre                say

question ask    absent         asked    department sign
question answer asked          answered merchant   say
question accept answered       accepted department sign
question uphold asked,answered upheld   department sign
"""
ENDING = """
retirement apply     absent           applied   merchant,department,centre say
retirement sign      applied          approved  department                 sign
retirement reject    applied          rejected  department                 say
retirement withdraw  applied,approved withdrawn merchant,department,centre say
retirement end       approved         retired   centre                     sign
retirement pass-over approved         retired   centre                     sign

closing apply    absent     applied    merchant            say
closing expel    absent     expelled   department,security say
closing sign     applied    winding-up department          sign
closing sign     expelled   winding-up department-leader   sign
closing reject   applied    rejected   department          say
closing reject   expelled   rejected   department-leader   say
closing withdraw applied    withdrawn  merchant            say
closing pay-in   winding-up =          card-centre         say
closing settle   winding-up settled    card-centre         say
closing reopen   settled    winding-up card-centre         say
closing close    settled    closed     card-centre         sign
"""
WRITE_OFF = """
closing propose   winding-up    debt-proposed card-centre say
closing decline   debt-proposed winding-up    finance     say
closing write-off debt-proposed winding-up    finance     sign
"""
REOPENING = """
closing reopen closed winding-up card-centre say
"""


class Row(NamedTuple):
    """One way that a dossier of `kind` may go. Its fields are the columns of `procedure_rule`."""

    kind: str
    verb: str
    before: str
    after: str
    role: str
    act: str


def rows_of(text: str) -> tuple[Row, ...]:
    """Every row that `text` stands for, in its order."""
    found = []
    for line in text.split("\n"):
        if not line:
            continue
        kinds, verb, befores, after, roles, act = line.split()
        every = product(kinds.split(","), befores.split(","), roles.split(","))
        for kind, before, role in every:
            found.append(Row(kind, verb, before, before if after == "=" else after, role, act))
    return tuple(found)


ROWS = rows_of(FIRST) + rows_of(ENDING) + rows_of(WRITE_OFF) + rows_of(REOPENING)
