"""Write the pages of docs/ that say what the code says: `python -m tools.make_docs`."""

import json
from collections.abc import Mapping, Sequence

from firmware.drivers import annunciator
from firmware.roles import entrance
from ledger import (
    api_reasons,
    bearers,
    lifecycle,
    lifecycle_texts,
    money_lists,
    people,
    period_reasons,
    phones,
    procedure_texts,
    procedures,
    reason_words,
)
from ledger import reasons as ledger_reasons
from ledger.api import openapi
from ledger.api.clients import OF_ROLES
from ledger.api.operations import OPERATIONS
from ledger.console import refusals as console_refusals
from ledger.console.pages import REASONS
from ledger.payments import reasons as payment_reasons
from protocols.link import delivery_texts
from protocols.rules import (
    access_texts,
    charging_texts,
    door_texts,
    lock_texts,
    posture_texts,
    record_texts,
    sale_texts,
    screen_texts,
)
from protocols.wire import error_texts, mqtt_texts
from tools import console_page, ledger_firmware, wire_page, wiring
from tools.rooms import ROOT

FOLDER = ROOT / "docs"
SHORT = 8  # of annunciator's units

_INTRODUCTION = """\
# Reason codes

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

A number has one meaning, on a display, in a journal, in a log and in the ledger, and never gets
another. 0 means approved, or no error.
"""

_REFUSED = """\
On the display, in a sound, and in a record of the journal: what it leaves from the first key of
the sale on. Whatever the ledger says of a payment code, or its silence, leaves a CODE_SALE that is
not committed and a REFUSAL with the reason. An answer to a key (501 and on,
[pos-states.md](pos-states.md)) leaves none, for nothing has begun; 517 leaves a REFUSAL.
`protocols/rules/reasons.py`
"""

_LOSSES = """\
# Who bears what an offline tap has cost

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

From the table in `ledger/bearers.py`. Each loss has one bearer, and its reason is the number of
its case. The rule is what a proposal starts from: two persons may say otherwise
(`onecard ledger case`), and their transfer stands in the books. "The card centre" is its loss
account of that number. Of 332 the "bearer" is who gets the money.
"""

_WRITTEN_OFF = """
## What a merchant never pays

No tap, and no case: two persons write it off (`ledger/debts.py`), and the loss account of that
number has it.
"""

_POS = """\
# The states of a POS

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

From the tables in `protocols/rules/sale.py` and `protocols/rules/charging.py`.
"""

_DOOR = """\
# The states of a door

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

From the table in `protocols/rules/door.py`. The coil has current in "secured" and "forced" and
nowhere else, and only while fire loop, exit button and supply, which interrupt it themselves,
let it. Every change of state and every answer with an action is a record.
"""

_NOTE_S, _NOTE_MAX_MIN = entrance.NOTE_MS // 1000, entrance.NOTE_MS_MAX // 60000
_CHATTER = f"""\
An input that chatters is no flood of records: an answer that changes no state is one once in
{_NOTE_S} s, while it goes on in {entrance.NOTE_TIMES} times as long each time,
up to {_NOTE_MAX_MIN} min, until the input is quiet for as long or the state changes.
"""

_LOCK = """\
# The states of a lock on batteries

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

From the table in `protocols/rules/lock.py`. The motor draws in "drawing" and throws in "throwing"
and nowhere else; a contact at each end stops it by itself. What a card does is in its ENTRY
record; every other change of state and every answer with an action is a DOOR record, whose states
count from 32 and whose cause is the grade of the cells.
"""

_CARD = """\
# The life of a card

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

From the table in `ledger/lifecycle.py` (R10 to R15, annex 1). A number is a reason: nothing is
changed. An empty cell: the card is that already, and nothing is done. Readers know four words of
it, in the second column of the states.
"""

_PROCEDURES = """\
# The procedures of merchants and devices

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

From the tables in `ledger/procedure_rows.py` and `ledger/procedures.py` (R16 to R22, annex 2).
What is not in a table is refused with a number ([reason-codes.md](reason-codes.md)), by the
database too. Nobody signs twice in a dossier, nor what they have said in the step before. Hours
are ours: the regulation says "promptly". An inspection's round, and what follows on it, is in
`ledger/duties.py`; what it cannot put right is a repair.
"""

_PEOPLE = """\
# Who may say what

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

From the table in `ledger/people.py` (R4 to R9). An operator has one department and some roles,
proposed by one administrator and approved by another (`onecard ledger operator`). Whatever a role
may not say is refused with its number and changes nothing; that it was tried is kept.
"""

_POSTURE = """\
# Postures

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

What each kind of device does when something is missing (R23, R24), from
`protocols/rules/posture.py`. The first row that fits counts, the last one always does, and an
empty cell fits everything. A full journal keeps nobody out of a door, and is told later; what an
unknown clock means to it says `protocols/rules/access.py`; to locks both mean the same.
No device tells "building" (the agent answers, the card centre does not) from "online".
"""


def pages() -> dict[str, str]:
    """File name in docs/ -> text of every page that this program writes."""
    return {
        "reason-codes.md": reason_codes(),
        "losses.md": losses(),
        "posture.md": postures(),
        "pos-states.md": pos_states(),
        "door-states.md": door_states(),
        "lock-states.md": lock_states(),
        "card-states.md": card_states(),
        "procedures.md": procedures_of_merchants(),
        "people.md": who_may_what(),
        "wiring.md": wiring.page(),
        "SPEC.md": wire_page.page(),
        "console.md": console_page.page(_table),
        "openapi.json": json.dumps(openapi.document(), indent=2) + "\n",
    }


def pos_states() -> str:
    """What a sale goes through, and what the keys of the POS mean."""
    return "\n".join(
        [
            _POS,
            "## A sale\n",
            "An empty cell cannot happen: in that state no card is looked at.\n",
            _table(
                ("event", *(f"{state}: {text}" for state, text in sale_texts.STATES.items())),
                sale_texts.rows(),
            ),
            "```mermaid\n" + "\n".join(sale_texts.diagram()) + "\n```\n",
            "## The keys\n",
            "A number is an answer: the key is refused and changes nothing.\n",
            "\n".join(charging_texts.table()) + "\n",
            "Behind FN:\n",
            _table(("key", "function"), sorted(charging_texts.FUNCTIONS.items())),
            "## The answers\n",
            _table(
                ("", "display", "meaning", "中文"),
                [(number, *texts) for number, texts in sorted(charging_texts.TEXTS.items())],
            ),
        ]
    )


def door_states() -> str:
    """What a door answers to everything that may happen to it."""
    heads = ("event", *(f"{state}: {text}" for state, text in door_texts.STATES.items()))
    return "\n".join(
        [
            _DOOR,
            _CHATTER,
            "An empty cell: nothing is done, on purpose.\n",
            _table(heads, door_texts.rows()),
            "```mermaid\n" + "\n".join(door_texts.diagram()) + "\n```\n",
            'Why a door is in "fault":\n',
            _numbered(door_texts.CAUSES),
        ]
    )


def lock_states() -> str:
    """What a lock on batteries answers to everything that may happen to it."""
    heads = ("event", *(f"{state}: {text}" for state, text in lock_texts.STATES.items()))
    return "\n".join(
        [
            _LOCK,
            _CHATTER,
            "An empty cell: nothing is done, on purpose.\n",
            _table(heads, lock_texts.rows()),
            "```mermaid\n" + "\n".join(lock_texts.diagram()) + "\n```\n",
            "The grade of its cells:\n",
            _numbered(lock_texts.GRADES),
        ]
    )


def card_states() -> str:
    """What may be done to a card in each of its states, by whom, where, with what shown."""
    words = {0: "active", 1: "lost", 2: "suspended", 3: "closed"}
    states = [
        (state, words[lifecycle.MAP_STATUS[state]], text)
        for state, text in lifecycle.STATES.items()
    ]
    return "\n".join(
        [
            _CARD,
            _table(("state", "on the map", "that is"), states),
            _table(("verb", *lifecycle.STATES), lifecycle_texts.rows()),
            "```mermaid\n" + "\n".join(lifecycle_texts.diagram()) + "\n```\n",
            "## Who says it, where, and what is shown\n",
            _table(("verb", "it means", "who (where)", "shown", "by"), lifecycle_texts.rights()),
            "The numbers: [reason-codes.md](reason-codes.md).\n",
        ]
    )


def procedures_of_merchants() -> str:
    """What may follow what in each procedure, who says it, and within how many hours."""
    heads = ("verb", "from", "to", "who", "it is", "with it")
    parts = [_PROCEDURES, _table(("role", "that is"), list(procedures.ROLES.items()))]
    for kind, (text, article) in procedures.KINDS.items():
        parts += [
            f"## {kind}: {text}\n",
            f"{article}.\n",
            _table(heads, procedure_texts.steps(kind)),
            "```mermaid\n" + "\n".join(procedure_texts.diagram(kind)) + "\n```\n",
            _table(("state", "hours"), procedure_texts.hours(kind)),
        ]
    return "\n".join(parts)


def who_may_what() -> str:
    """The matrix of roles and verbs, which roles are apart, what takes two."""
    departments = [(name, *words) for name, words in people.DEPARTMENTS.items()]
    roles = [(name, role.department or "any", role.text) for name, role in people.ROLES.items()]
    return "\n".join(
        [
            _PEOPLE,
            _table(("department", "中文", "article"), departments),
            _table(("role", "of which department", "that is"), roles),
            "## Verbs and roles\n",
            _table(("verb", "that is", "by", *people.ROLES), people.matrix()),
            "## What takes two persons\n",
            "Who has said the one does not say the other of the same thing.\n",
            _table(("first", "then"), people.TWO_PERSONS),
            "## Roles that nobody has together\n",
            _table(("", *people.ROLES), people.apart_rows()),
            "## The HTTP API\n",
            "What a role may not ask is refused with 753. Subsystems have tokens with scopes of"
            " their own, and none of those that take a person (701, 702).\n",
            _table(("operation", "scope", *people.ROLES), _operations()),
        ]
    )


def _operations() -> list[tuple[str, ...]]:
    """Each operation of the API by each role."""
    return [
        (
            f"{one.method} {one.path}",
            one.scope or "none, and no token",
            *(
                "yes" if one.scope is None or role in OF_ROLES.get(one.scope, ()) else ""
                for role in people.ROLES
            ),
        )
        for one in OPERATIONS
    ]


def postures() -> str:
    """The table of each kind of device."""
    parts = [_POSTURE]
    heads = (*posture_texts.CONDITIONS, "posture", "that is")
    for device, title in posture_texts.DEVICES.items():
        rows = [
            ["" if word == "*" else word for word in row] + [posture_texts.TEXTS[row[-1]]]
            for row in posture_texts.rows(device)
        ]
        parts += [f"## {title}\n", _table(heads, rows)]
    return "\n".join(parts)


def reason_codes() -> str:
    """Every number, by who says it."""
    parts = [
        _INTRODUCTION,
        "## Why a tap was refused\n",
        _REFUSED,
        _table(("", "display", "meaning", "中文", "sound", "record"), record_texts.rows()),
        "The sounds, 0.08 s short and 0.4 s long. `firmware/drivers/annunciator.py`\n",
        _table(("sound", "beeps"), sounds()),
        "## Why a door stayed shut\n",
        "Beside those above, in the ENTRY record. `protocols/rules/access.py`\n",
        _table(
            ("", "meaning", "中文"),
            [(number, *texts) for number, texts in access_texts.TEXTS.items()],
        ),
        "## Why firmware was not updated\n",
        "In the UPDATE record of a reader. `protocols/rules/release.py`\n",
        _numbered(ledger_firmware.REASONS),
        "## Why bytes were refused\n",
        "By any tier; the ledger sends it back in RECEIPTS. `protocols/wire/errors.py`\n",
        _numbered(error_texts.TEXTS),
        "## Why an MQTT connection ended\n",
        "On the reader, which then connects again. `protocols/wire/mqtt.py`\n",
        _numbered(mqtt_texts.TEXTS),
        "## Answers a reader does not follow\n",
        "They cannot be about its journal. `protocols/link/delivery.py`\n",
        _numbered(delivery_texts.TEXTS),
        "## What the ledger says of a record\n",
        "301 and 440: nothing was kept. The others open a case for somebody to look at.\n"
        "`ledger/reasons.py`\n",
        _numbered(ledger_reasons.TEXTS),
        "## Why the ledger's HTTP API refused\n",
        "In the `reason` of its problem details (RFC 9457). `ledger/api_reasons.py`\n",
        _table(
            ("", "status", "meaning", "中文", "怎么办"),
            [
                (number, *texts, *_zh(number))
                for number, texts in sorted(api_reasons.TEXTS.items())
                if number not in people.TEXTS
            ],
        ),
        *_of_the_console(),
        "## Why the card centre does not do it\n",
        "What is asked of a card is refused and nothing is changed ([card-states.md]"
        "(card-states.md)).\n`ledger/lifecycle.py`\n",
        _numbered(lifecycle.TEXTS),
        "## Why nothing was done about a merchant or a reader\n",
        "By `onecard ledger merchant` and `device` ([procedures.md](procedures.md)).\n"
        "`ledger/procedures.py`\n",
        _numbered(procedures.TEXTS),
        "## Why a settlement of merchants does not go on\n",
        "Nothing is changed (`onecard ledger period`). `ledger/period_reasons.py`\n",
        _numbered(period_reasons.TEXTS),
        "## Why a phone is not bound\n",
        "At the counter (`onecard ledger phone`); those that an app hears too stand above.\n"
        "`ledger/phones.py`\n",
        _numbered(phones.TEXTS),
        "## Why an operator may not\n",
        "Nothing is changed ([people.md](people.md)). The status is that of the HTTP API.\n"
        "`ledger/people.py`\n",
        _table(
            ("", "status", "meaning", "中文", "怎么办"),
            [
                (number, api_reasons.TEXTS.get(number, ("",))[0], text, *_zh(number))
                for number, text in sorted(people.TEXTS.items())
            ],
        ),
        *_of_money(),
    ]
    return "\n".join(parts)


def _of_the_console() -> list[str]:
    """Why a page is not shown, or a form not done."""
    first = console_refusals.FORM_FORGED
    own = sorted((number, words) for number, words in REASONS.items() if number >= first)
    return [
        "## Why the console refused\n",
        "In words on its page, with what to do. `ledger/console/refusals.py` and beside\n",
        _table(("", "meaning", "中文"), [(number, *words.text[::-1]) for number, words in own]),
    ]


def _of_money() -> list[str]:
    """Why money that persons sign for does not move."""
    return [
        "## Why a list that moves money is not done, or a line of it is left\n",
        "Beside those above. `ledger/money_lists.py`\n",
        _numbered(money_lists.TEXTS),
        "## Why no payment goes to a bank, or is noted, after a restore\n",
        "Of both kinds (`onecard ledger payments`). `ledger/payments/reasons.py`\n",
        _numbered(payment_reasons.TEXTS),
    ]


def losses() -> str:
    """The page about who bears what."""
    heads = ("case", "whom it has cost", "who bears it as a rule", "why")
    rows = [
        (f"{reason} {ledger_reasons.TEXTS[reason]}", loss.relieved, loss.bearer, loss.why)
        for reason, loss in sorted(bearers.LOSSES.items())
    ]
    none = [
        (f"{reason} {ledger_reasons.TEXTS[reason]}", why)
        for reason, why in sorted(bearers.NO_LOSS.items())
    ]
    parts = [_LOSSES, _table(heads, rows), _WRITTEN_OFF, _numbered(ledger_reasons.WRITE_OFFS)]
    return "\n".join([*parts, "\n## Cases without money\n", _table(("case", "why"), none)])


def sounds() -> list[tuple[str, str]]:
    """(name, its beeps) of "look" and of every sound of a refusal."""
    named = [(screen_texts.LOOK, annunciator.LOOK)]
    named += [(name, annunciator.REFUSED + at) for at, name in enumerate(screen_texts.REFUSALS)]
    size, found = annunciator.SIGNAL_BYTES, []
    for name, signal in named:
        beeps = annunciator.SIGNALS[signal * size + 1 : (signal + 1) * size].rstrip(b"\x00")
        found.append((name, " ".join("long" if beep > SHORT else "short" for beep in beeps)))
    return found


def _numbered(texts: Mapping[int, str]) -> str:
    """Numbers with their meaning, and in Chinese with what to do where they have words."""
    if not any(_zh(number)[0] for number in texts):
        return _table(("", "meaning"), sorted(texts.items()))
    rows = [(number, text, *_zh(number)) for number, text in sorted(texts.items())]
    return _table(("", "meaning", "中文", "怎么办"), rows)


def _zh(number: int) -> tuple[str, str]:
    """(what it is, what to do) in Chinese; "" where nobody is told the number in words."""
    words = REASONS.get(number)
    return (words.text[0], words.advice[0]) if words else reason_words.ZH.get(number, ("", ""))


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def main() -> None:
    """Write all pages."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
