"""Each rule about replaced cards sees what somebody did behind the ledger's back."""

import pytest

from ledger import chart, reissue_rules
from ledger.invariants import check
from tests.ledger.readers import CARD, OTHER_CARD, Reader
from tests.ledger.replaced import AFTER, BEFORE, DUE_S, LOST_S, NEW_CARD, books, lose, replace
from tests.ledger.tampering import tamper


def filled():
    """Books in which everything has happened that can happen to a replaced card."""
    reader = Reader(1001)
    reader.spend(amount_fen=100, **AFTER)
    sale = reader.spend(amount_fen=200, counter=2, **BEFORE)
    reader.cancel(sale, amount_fen=200)
    reader.spend(amount_fen=300, counter=4, **BEFORE)
    reader.outcome(reader.credit(counter=7, number=1, amount_fen=500, last=(1, 1)))
    store = books(reader)
    store.top_ups.top_up(CARD, 500, "order-1")
    store.top_ups.note_try(1, 7, 1001)
    lose(store)
    replace(store)
    store.carry_overs.claim(NEW_CARD, DUE_S)
    for count in (4, 5, len(reader.records)):
        store.book([reader.records[:count]])
        store.carry_overs.claim(NEW_CARD, DUE_S)
    assert check(store) == []
    kinds = {kind for (kind,) in store.database.rows("SELECT kind FROM transfer")}
    assert kinds > {9, 10, 11, 12}
    return store


TAMPERED = {
    "a replaced card is closed, and was lost before": [
        f"INSERT INTO card_change VALUES (3, {CARD}, 0, 9, 'unlose', '')"
    ],
    "what is carried over goes from a replaced card to one behind it": [
        f"UPDATE transfer SET credit_account = {chart.pending(OTHER_CARD)} WHERE kind = 9"
    ],
    "a load that has ended was cancelled, or its card has, and comes on it no more": [
        "DELETE FROM transfer WHERE kind = 10"
    ],
    "nothing is undone but a load that has ended": ["DELETE FROM load_end"],
    "what the card centre bears is a spend of a card lost for good, not more, and has a case": [
        "UPDATE transfer SET amount_fen = amount_fen + 1 WHERE kind = 11"
    ],
    "a spend of after the loss of a card lost for good is not its holder's": [
        f"DELETE FROM transfer WHERE kind = 11 AND debit_account = {chart.loss(342)}"
    ],
    "a purse that was carried over lacks nothing": [
        f"UPDATE account SET balance_fen = -1, overdrawn = 1 WHERE id = {chart.purse(CARD)}"
    ],
    "who has borne a cancelled sale has it back once its money goes on": [
        "DELETE FROM transfer WHERE kind = 12"
    ],
    "what covers an overdrawn purse is what a cancelled sale gave back, and not more": [
        "UPDATE transfer SET kind = 13, line = 7 WHERE kind = 10"
    ],
    "nothing is recovered but what was borne of a cancelled sale": ["DELETE FROM cancel"],
}


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = filled()
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


def test_every_rule_has_its_tampering():
    assert set(TAMPERED) == set(reissue_rules.RULES)


def test_a_lost_card_that_is_not_replaced_is_no_matter_of_these():
    store = books()
    lose(store, time_s=LOST_S)
    assert check(store) == []


@pytest.mark.parametrize("deed", ["it was found", "another loss", "nobody bears it"])
def test_tampering_with_one_that_ended_while_it_was_lost_is_seen(deed):
    reader = Reader(1001)
    reader.spend(amount_fen=100, **AFTER)
    store = books(reader)
    lose(store)
    store.book([reader.records])
    store.cards.set("close", CARD, DUE_S, "id-card")
    assert check(store) == []
    of_loss = f"WHERE card_no = {CARD} AND cause = 'lose'"
    statements = {
        "it was found": f"UPDATE card_change SET status = 0 {of_loss}",
        "another loss": f"UPDATE card_change SET time_s = {DUE_S} {of_loss}",
        "nobody bears it": "DELETE FROM transfer WHERE kind = 11",
    }
    tamper(store, [statements[deed]])
    borne, not_its_holder_s = [rule for rule in TAMPERED if "lost for good" in rule]
    seen = not_its_holder_s if deed == "nobody bears it" else borne
    assert seen in [violation.rule for violation in check(store)]
