"""The seed of a phone: told once, never again, and worth nothing without the key or elsewhere."""

from dataclasses import replace

import pytest

from ledger.card_status import change_state
from ledger.card_validity import Validity, know
from ledger.holders import Holder
from ledger.invariants import check
from ledger.lifecycle import ABSENT, BATCH, DEAD, LEDGER, STATES, Act
from ledger.phones import ENDED, PhoneRefused, Phones, Proof, SeedUnreadable
from protocols.rules import clock, reasons
from protocols.rules.spending import STUDENT
from tests.ledger.checkout import CODE_KEY, NOW_S, PROOF, Checkout
from tests.ledger.readers import CANTEEN, CARD, OTHER_CARD, Reader


@pytest.fixture
def checkout():
    return Checkout()


def test_a_binding_is_followed_by_another_with_another_seed(checkout):
    phones = checkout.phones
    seeds = [checkout.seed]
    for binding in (2, 3):
        number, seed = phones.bind(CARD, PROOF, 1)
        assert (number, phones.binding(CARD), phones.seed_of(CARD)) == (binding, binding, seed)
        seeds.append(seed)
    assert len(set(seeds)) == 3
    assert phones.unbind(CARD, "wang", 2) == 4
    assert (phones.binding(CARD), phones.seed_of(CARD)) == (0, None)
    assert phones.bind(CARD, PROOF, 1)[0] == 5


def test_a_card_that_was_never_issued_has_no_phone(checkout):
    before = checkout.store.dump()
    for verb, rest in ((checkout.phones.bind, (PROOF, 1)), (checkout.phones.unbind, ("wang", 1))):
        with pytest.raises(PhoneRefused, match="card 99 was never issued"):
            verb(99, *rest)
    assert checkout.store.dump() == before
    assert (checkout.phones.binding(99), checkout.phones.seed_of(99)) == (0, None)


def test_who_has_ended_a_phone_stands_beside_it_for_good(checkout):
    for nobody in ("", "x" * 33):
        with pytest.raises(PhoneRefused, match="somebody"):
            checkout.phones.unbind(CARD, nobody, 5)
    assert checkout.phones.unbind(CARD, "li", 5) == 2
    sql = "SELECT binding, way, person, time_s FROM phone_proof WHERE card_no = ? ORDER BY binding"
    rows = [*checkout.store.database.rows(sql, (CARD,))]
    assert rows == [(1, "id-card", "wang", 1), (2, ENDED, "li", 5)]
    assert checkout.phones.proof(CARD) is None


def test_no_seed_stands_in_the_database(tmp_path):
    path = tmp_path / "ledger.sqlite"
    checkout = Checkout(path=str(path))
    seeds = [checkout.seed, checkout.phones.bind(CARD, PROOF, 1)[1]]
    checkout.store.close()
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert data.count(b"phone") > 0
    for seed in seeds:
        assert seed not in data
        assert seed.hex().encode() not in data


def test_another_key_opens_nothing_and_says_no_seed(checkout):
    other = Phones(checkout.store.database, bytes(32), bytes)
    with pytest.raises(SeedUnreadable) as error:
        other.seed_of(CARD)
    assert str(error.value) == f"binding 1 of card {CARD}"


@pytest.mark.parametrize(
    "change",
    [
        f"INSERT INTO phone SELECT {OTHER_CARD}, binding, sealed_seed FROM phone",
        f"INSERT INTO phone SELECT {OTHER_CARD}, 1, zeroblob(60)",
    ],
)
def test_a_row_in_the_place_of_another_opens_nothing(checkout, change):
    """Whoever could write the database would otherwise lend his phone another's money."""
    checkout.store.database.rows(change)
    with pytest.raises(SeedUnreadable):
        checkout.phones.seed_of(OTHER_CARD)


def test_an_old_row_put_back_opens_nothing(checkout):
    ((old,),) = checkout.store.database.rows("SELECT sealed_seed FROM phone")
    checkout.phones.bind(CARD, PROOF, 1)
    checkout.store.database.rows("UPDATE phone SET binding = 3, sealed_seed = ?", (old,))
    with pytest.raises(SeedUnreadable):
        checkout.phones.seed_of(CARD)


def test_a_key_of_another_length_is_none(checkout):
    with pytest.raises(ValueError, match="AESGCM"):
        Phones(checkout.store.database, CODE_KEY[:-1], bytes)


# --- who binds one (R14b.3), and with what it lives and dies (R14b.1) -------------------------


def test_what_was_shown_and_to_whom_stands_beside_the_binding(checkout):
    assert checkout.phones.proof(CARD) == ("id-card", "wang", 1)
    checkout.phones.bind(CARD, Proof("passport", "li"), 9)
    assert checkout.phones.proof(CARD) == ("passport", "li", 9)
    checkout.phones.unbind(CARD, "wang", 1)
    assert checkout.phones.proof(CARD) is None
    assert check(checkout.store) == []


@pytest.mark.parametrize("source", ["holder", "register"])
def test_the_person_who_is_shown_is_the_holder(checkout, source):
    store = checkout.store
    if source == "holder":
        store.holders.issue(40, 1)
        holder, by = Holder("N40", STUDENT, "Nursing"), Act(evidence="id-card", person="wang")
        store.holders.open(40, holder, (1, 20_000), 1, by)
    else:
        store.issue_cards([(40, 0)])
        store.person_numbers.know([(40, "N40")])
    before = store.dump()
    for person_no in ("", "N41"):
        with pytest.raises(PhoneRefused, match="not that of the person") as error:
            checkout.phones.bind(40, Proof("id-card", "wang", person_no), 2)
        assert "N4" not in str(error.value)
        assert store.dump() == before
    proof = Proof("id-card", "wang", "N40")
    assert "N40" not in repr(proof)
    assert checkout.phones.bind(40, proof, 2)[0] == 1
    assert check(store) == []


@pytest.mark.parametrize("proof", [Proof("", "wang"), Proof("id-card", ""), Proof("face", "li")])
def test_what_is_no_proof_binds_nothing(checkout, proof):
    before = checkout.store.dump()
    with pytest.raises(PhoneRefused, match="somebody has seen one of"):
        checkout.phones.bind(CARD, proof, 2)
    assert checkout.store.dump() == before


# By which verbs a card comes to each state of ledger/lifecycle.py, in whose name.
_BY = Act(evidence="id-card", person="wang")
WAYS_TO = {
    "active": (),
    "lost": (("lose", _BY),),
    "suspended": (("suspend", _BY),),
    "frozen": (("freeze", replace(_BY, evidence="withdrawal-notice")),),
    "expired": (("expire", Act(LEDGER, BATCH)),),
    "terminated": (("terminate", replace(_BY, evidence="leaving-notice")),),
    "closed": (("close", _BY),),
    "swapped": (("swap", _BY),),
    "reissued": (("lose", _BY), ("reissue", _BY)),
}
SHOWN_THERE = {
    "active": reasons.APPROVED,
    "lost": reasons.CARD_LOST,
    **dict.fromkeys(("suspended", "frozen", "expired"), reasons.CARD_SUSPENDED),
}
# Before it is opened nobody has it, so nobody can have a phone.
NOT_YET = {ABSENT, "ordered", "issued"}


def test_every_state_of_a_card_is_here():
    assert set(STATES) == set(WAYS_TO) | NOT_YET
    assert set(SHOWN_THERE) == set(WAYS_TO) - set(DEAD)


@pytest.mark.parametrize("state", WAYS_TO)
def test_a_phone_is_taken_where_its_card_is(checkout, state):
    """Frozen with it, and dead with it: of a dead one nobody can make a code any more."""
    store, reader = checkout.store, Reader(1001)
    store.register_device(1001, reader.key, CANTEEN)
    with store.database.transaction():
        for time_s, (verb, act) in enumerate(WAYS_TO[state], 2):
            change_state(store.database, verb, CARD, time_s, act)
    assert store.cards.state(CARD) == state
    is_dead = state in DEAD
    assert (checkout.phones.seed_of(CARD) is None) == is_dead
    assert checkout.phones.binding(CARD) == (0 if is_dead else 1)
    expected = SHOWN_THERE.get(state, reasons.CODE_FORGED)
    assert checkout.ask(reader)["reason"] == expected
    if state == "active":
        return
    before = store.dump()
    with pytest.raises(PhoneRefused, match=f"card {CARD} is {state}"):
        checkout.phones.bind(CARD, PROOF, 9)
    assert store.dump() == before
    assert check(store) == []


@pytest.mark.parametrize("verbs", [("order",), ("order", "issue"), ("issue",)])
def test_a_card_that_nobody_has_yet_gets_no_phone(checkout, verbs):
    for verb in verbs:
        getattr(checkout.store.holders, verb)(40, 1)
    with pytest.raises(PhoneRefused, match="card 40"):
        checkout.phones.bind(40, PROOF, 2)
    assert checkout.phones.binding(40) == 0


def test_what_thaws_is_taken_again_and_what_is_dead_is_bound_anew(checkout):
    """The phone of the card before is worth nothing beside the new card."""
    store, reader = checkout.store, Reader(1001)
    store.register_device(1001, reader.key, CANTEEN)
    for verb, undo in (("lose", "unlose"), ("suspend", "resume")):
        store.cards.set(verb, CARD, 1, "id-card")
        store.cards.set(undo, CARD, 2, "id-card")
        assert checkout.ask(reader)["reason"] == reasons.APPROVED
        reader.boot()
    old_seed = checkout.seed
    store.issue_cards([(40, 0)])
    store.cards.set("lose", CARD, 3, "id-card")
    store.reissues.reissue(CARD, 40, 4, "id-card")
    assert checkout.phones.binding(CARD) == 0
    with pytest.raises(PhoneRefused, match="reissued"):
        checkout.phones.bind(CARD, PROOF, 5)
    new_seed = checkout.phones.bind(40, PROOF, 5)[1]
    assert new_seed != old_seed
    code = checkout.code(seed=old_seed, card=40)
    assert checkout.ask(reader, code=code)["reason"] == reasons.CODE_FORGED
    assert check(store) == []


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [(-1, 0, reasons.APPROVED), (1, 2, reasons.NOT_YET_VALID), (-2, -1, reasons.EXPIRED)],
)
def test_a_phone_pays_on_the_days_of_its_card(checkout, first, last, reason):
    reader = Reader(1001)
    checkout.store.register_device(1001, reader.key, CANTEEN)
    today = clock.day(NOW_S, checkout.policy.utc_offset_s)
    know(checkout.store.database, [Validity(CARD, STUDENT, today + first, today + last)])
    assert checkout.ask(reader)["reason"] == reason
