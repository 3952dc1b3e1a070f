"""The seed of a phone: told once, never again, and worth nothing without the key or elsewhere."""

import pytest

from ledger.phones import PhoneRefused, Phones, SeedUnreadable
from tests.ledger.checkout import CODE_KEY, Checkout
from tests.ledger.readers import CARD, OTHER_CARD


@pytest.fixture
def checkout():
    return Checkout()


def test_a_binding_is_followed_by_another_with_another_seed(checkout):
    phones = checkout.phones
    seeds = [checkout.seed]
    for binding in (2, 3):
        number, seed = phones.bind(CARD)
        assert (number, phones.binding(CARD), phones.seed_of(CARD)) == (binding, binding, seed)
        seeds.append(seed)
    assert len(set(seeds)) == 3
    assert phones.unbind(CARD) == 4
    assert (phones.binding(CARD), phones.seed_of(CARD)) == (0, None)
    assert phones.bind(CARD)[0] == 5


def test_a_card_that_was_never_issued_has_no_phone(checkout):
    before = checkout.store.dump()
    for verb in (checkout.phones.bind, checkout.phones.unbind):
        with pytest.raises(PhoneRefused, match="card 99 was never issued"):
            verb(99)
    assert checkout.store.dump() == before
    assert (checkout.phones.binding(99), checkout.phones.seed_of(99)) == (0, None)


def test_no_seed_stands_in_the_database(tmp_path):
    path = tmp_path / "ledger.sqlite"
    checkout = Checkout(path=str(path))
    seeds = [checkout.seed, checkout.phones.bind(CARD)[1]]
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
    checkout.phones.bind(CARD)
    checkout.store.database.rows("UPDATE phone SET binding = 3, sealed_seed = ?", (old,))
    with pytest.raises(SeedUnreadable):
        checkout.phones.seed_of(CARD)


def test_a_key_of_another_length_is_none(checkout):
    with pytest.raises(ValueError, match="AESGCM"):
        Phones(checkout.store.database, CODE_KEY[:-1], bytes)
