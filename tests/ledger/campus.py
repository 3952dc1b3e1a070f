"""Books in which merchants apply, readers are moved, mended and damaged, and rounds are made."""

from ledger.drill_rules import Window
from ledger.drills import Judged
from ledger.onboarding import Form
from ledger.procedures import Act
from protocols.wire import messages
from tests.ledger.readers import CANTEEN, CARD, OTHER_CARD, Reader, open_ledger

NOW_S, TODAY = 1_790_000_000, 20_717
BAKERY = 14
FORM = Form("Bakery", "General Affairs", "Informatisation", 2, 600_000)
SIGNERS = {
    "department": "zhao",
    "department-leader": "qian",
    "project": "sun",
    "project-leader": "li",
    "president": "zhou",
}
TILL = 1009
SEIZED, SPENT, BROKEN = (TILL, 1), (TILL, 3), (TILL, 7)


def campus(path=":memory:"):
    """Books of a canteen, and no more."""
    store = open_ledger(path=path)
    open_till(store)
    return store


def open_till(store):
    """A till that has withheld a card, was opened, has sold twice and is broken."""
    till = Reader(TILL)
    till.write(messages.CAPTURE, card_no=OTHER_CARD, reason=226)
    till.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    first = till.spend(card_no=CARD, amount_fen=400)
    till.spend(card_no=CARD, amount_fen=300, counter=2, last=first)
    till.write(messages.FAULT, network=1, last_reason=0)
    store.register_device(TILL, till.key, CANTEEN)
    store.book([till.records])
    store.tampers.answer_for([(TILL, "General Affairs")])


def apply(store, kind="merchant", reference="2026-1", merchant_no=BAKERY, form=FORM):
    return store.merchants.onboarding.apply(
        kind, reference, merchant_no, form, "bread for the east gate", "wu", NOW_S
    )


def once(store, number, verb, by):
    """Whether a step was taken and others behind it: whoever looks does not say it again."""
    steps = store.merchants.dossiers.dossier(number).steps[:-1]
    return any((step.verb, step.by) == (verb, by) for step in steps)


def sign(store, number, signers=SIGNERS):
    for role, person in signers.items():
        store.merchants.dossiers.say(number, "sign", Act(role, person), NOW_S)


def say(store, number, verb, role, person, **more):
    costs, bearer = more.pop("costs", ()), more.pop("bearer", "merchant")
    by = Act(role, person, **more)
    if once(store, number, verb, by):
        return ""
    return store.merchants.dossiers.say(number, verb, by, NOW_S, costs, bearer)


def fill(store):
    """One of everything, each as somebody would give it again; what is there already stays."""
    for part in PARTS:
        part(store)


def _onboard(store):
    bakery = apply(store)
    sign(store, bakery)
    store.merchants.onboarding.admit(bakery, [2001], "wang", NOW_S)


def _round(store):
    duties = store.merchants.duties
    duties.name("General Affairs", "campus", "wang", 7, TODAY - 9, "zhao", NOW_S)
    results = ("ok", "mended", "told")
    duties.go_round("General Affairs", "campus", TODAY, "wang", results, "a socket sparks", NOW_S)
    # A drill of no reader: what a journal keeps of one is the same.
    judged = Judged("power", "campus", Window(NOW_S - 9000, NOW_S - 1000), (), ())
    store.merchants.drills.file(judged, "General Affairs", "wang", NOW_S)


def _move(store):
    number = store.merchants.tickets.move("M-1", TILL, "north", "wu", "the hall is rebuilt", NOW_S)
    say(store, number, "sign", "department", "zhao")
    say(store, number, "sign", "centre", "feng")
    say(store, number, "move", "centre", "chen", costs=[("labour", 8_000), ("material", 1_250)])


def _repair(store):
    by = Act("merchant", "wu", said="the display is dark")
    number = store.merchants.tickets.report("R-1", TILL, by, NOW_S, [BROKEN])
    for verb, role, person in (
        ("accept", "centre", "feng"),
        ("hand-over", "centre", "feng"),
        ("fix", "centre", "chen"),
        ("confirm", "merchant", "wu"),
    ):
        say(store, number, verb, role, person)


def _capture(store):
    number = store.merchants.tickets.withhold(SEIZED, "wu", NOW_S)
    say(store, number, "pass", "security", "han", given_by="wu")
    say(store, number, "receive", "card-centre", "yang", given_by="han")
    say(store, number, "return", "card-centre", "yang", given_by="yang", evidence="id-card")


def _damage(store):
    by = Act("department", "zhao", said="its case was broken open")
    number = store.merchants.tickets.damage("D-1", TILL, by, NOW_S)
    say(store, number, "take", "security", "han")
    cost = [("compensation", 30_000)]
    say(
        store,
        number,
        "establish",
        "centre",
        "feng",
        evidence="finding-report",
        costs=cost,
        bearer="person",
    )
    say(store, number, "refer", "security", "han")
    say(store, number, "compensate", "card-centre", "yang", evidence="receipt")


def _question(store):
    records = [SPENT, (TILL, 5)]
    number = store.merchants.tickets.ask("Q-1", CANTEEN, records, "zhao", "one meal?", NOW_S)
    say(store, number, "answer", "merchant", "wu", said="two friends, one card")
    say(store, number, "accept", "department", "qian")


# In the order of their dossiers' numbers in `fill`.
PARTS = (_onboard, _move, _repair, _capture, _damage, _question, _round)
