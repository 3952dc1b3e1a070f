"""Books with something in every table of the lives of cards, and what must not happen to them."""

import hashlib

from ledger.batches import GraduationLine
from ledger.carry_over import AFTER_S
from ledger.holders import Holder
from ledger.lifecycle import Act
from ledger.money_lists import Signature
from ledger.settlement_basis import Decision
from ledger.subsidies import SubsidyLine
from ledger.temporary import Application
from protocols.rules.spending import STAFF, STUDENT

END_S = 1_000_000
DUE_S = END_S + AFTER_S
ACCOUNT, NAME = "430102199001011", "Zhang San"
FILE = hashlib.sha256(b"list").digest()
BY = Act(evidence="id-card", person="wang")
STAFF_BY = Act(evidence="id-card+hr-notice+bank-card", person="wang")
# Those of here: a student who graduates, one who withdraws, staff who leave, a temporary card.
GRADUATE, WITHDRAWN, LEAVER, TEMPORARY_CARD, PAID = 60, 61, 62, 63, 64


def let_go(store, now_s=DUE_S, after_s=AFTER_S):
    """Settle what is due, then by a person's word what nothing is proven of."""
    settled = store.settlements.settle(now_s, after_s)
    found = store.settlements.waiting(now_s, after_s)
    despite = frozenset((one.device, one.seq) for card in found for one in card.blocking)
    if despite:
        decision = Decision("zhou", "its merchant has left", despite)
        settled += store.settlements.settle(now_s, after_s, decision)
    return settled


def make_file(store, file, person, time_s, signers=("sun", "qian")):
    """The file of refunds of that name, signed by two; what it pays. Again: by its own hash."""
    plan, made = store.payouts.dry_run(file), store.payouts.made(file)
    for signer in signers if plan.payments and made is None else ():
        signature = Signature(plan.sha256, plan.amount_fen, signer, time_s)
        store.payouts.sign(file, signature)
    return store.payouts.make_file(file, made or plan.sha256, person, time_s)


def pay_in(store, name, lines, signers=("sun", "qian"), time_s=END_S):
    """A list of subsidies, signed by two and run; what became of each line."""
    plan = store.subsidies.dry_run(name, lines, FILE)
    for signer in signers:
        signature = Signature(plan.sha256, plan.amount_fen, signer, time_s)
        store.subsidies.sign(name, lines, FILE, signature)
    return store.subsidies.run(name, lines, FILE, plan.sha256, "li", time_s)


def fill(store):
    """Four lives: two are over and paid or forfeited, one is with the bank, one goes on."""
    purses = [(GRADUATE, 400), (WITHDRAWN, 300), (LEAVER, 200), (PAID, 100)]
    store.issue_cards(purses)
    for card_no, kind in ((GRADUATE, STUDENT), (WITHDRAWN, STUDENT), (LEAVER, STAFF)):
        holder = Holder(f"N{card_no}", kind, "Nursing")
        by = STAFF_BY if kind == STAFF else BY
        store.holders.open(card_no, holder, (1, 2), END_S - 9, by)
    _temporary(store)
    store.settlements.warn(LEAVER, "wang", END_S - 1)
    store.cards.set("terminate", LEAVER, END_S, "leaving-notice", BY)
    store.payouts.register_payee(WITHDRAWN, ACCOUNT, NAME, "wang", END_S - 1)
    store.payouts.register_payee(PAID, ACCOUNT, NAME, "wang", END_S - 1)
    for card_no in (WITHDRAWN, PAID):
        store.cards.set("close", card_no, END_S, "withdrawal-notice", BY)
    _graduation(store)
    pay_in(store, "2026-11", [SubsidyLine(2, TEMPORARY_CARD, "T1", 50)])
    let_go(store)
    first, second, *_rest = make_file(store, "2026-06", "li", DUE_S)
    for number, result in ((1, "paid"), (2, "paid"), (2, "returned")):
        assert (first.number, second.number) == (1, 2)
        store.payouts.note_results([(number, result, "")], "li", DUE_S)


def _temporary(store):
    """One that is handed out and extended, and an application that nobody has signed."""
    store.holders.issue(TEMPORARY_CARD, END_S - 9)
    for _ in range(2):
        form = Application("T1", "S1", "cook", 1, "General Affairs", 1, 20)
        number = store.temporaries.apply(form, END_S)
    for step, person in ((1, "zhao"), (2, "qian")):
        store.temporaries.approve(number - 1, step, person, END_S)
    store.temporaries.hand_out(number - 1, TEMPORARY_CARD, END_S, BY)
    proof = Act(evidence="renewal-proof", person="wang")
    store.temporaries.extend(TEMPORARY_CARD, "General Affairs", 40, 15, END_S, proof)


def _graduation(store):
    lines = [GraduationLine(2, GRADUATE, f"N{GRADUATE}", ACCOUNT, NAME)]
    plan = store.batches.dry_run("graduation", lines, FILE)
    for person in ("wang", "sun"):
        store.batches.sign("graduation", lines, FILE, plan.sha256, person, END_S)
    store.batches.run("graduation", lines, FILE, plan.sha256, "wang", END_S)
