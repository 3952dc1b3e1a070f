"""Policies in the books: whom one is for, its epoch, what no reader would take; and the word."""

import pytest

from ledger.dialect import ConstraintBroken
from ledger.policies import PolicyRefused
from ledger.policy_news import PolicyNews
from ledger.receipts import Signer
from ledger.reentry import NUMBERS_APART, enter_again
from protocols.rules import settings
from protocols.rules.settings import POLICY_LABEL
from protocols.wire import messages, policy_news, seal
from protocols.wire.errors import WireError
from tests.ledger.readers import Reader, open_ledger
from tests.rules.tables import POLICY

NOW_S = 1_790_000_000
HOME = "campus"
LIMITS = {name: value for name, value in POLICY.items() if name != "epoch"}
LOWER = {**LIMITS, "amount_max_fen": 1_000}


@pytest.fixture
def readers():
    return [Reader(1001), Reader(1002)]


@pytest.fixture
def books(readers):
    store = open_ledger(*readers)
    yield store
    store.close()


def put(store, policy=LOWER, person="wang", **where):
    return store.policies.set_policy(policy, person, NOW_S, **(where or {"site": HOME}))


def boot(store, reader, epoch):
    fields = {"policy_epoch": epoch} if epoch else {}
    store.book([[reader.write(messages.BOOT, cause=1, firmware=1, **fields)]])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"policy": {**LOWER, "amount_max_fen": -1}}, "no reader would take that"),
        ({"policy": {**LOWER, "amount_max_fen": 1 << 24}}, "no reader would take that"),
        ({"policy": {"amount_max_fen": 1}}, "no reader would take that"),
        ({"policy": {**LOWER, "epoch": 7}}, "epoch: the books do not take that"),
        ({"policy": {**LOWER, "device_key": 7}}, "device_key: the books do not take that"),
        ({"device": 999}, "never registered"),
        ({"site": "elsewhere"}, "no reader there"),
        ({"site": HOME, "device": 1001}, "of one reader, or of one site"),
        ({"device": 0}, "of one reader, or of one site"),
        ({"person": ""}, "a person has a name"),
        ({"person": "w" * 33}, "a person has a name"),
    ],
)
def test_what_cannot_be_changes_nothing(books, wrong, said):
    with pytest.raises(PolicyRefused, match=said):
        put(books, **wrong)
    assert books.policies.newest() == []


def test_each_reader_has_epochs_of_its_own(books, readers):
    one, other = readers
    boot(books, one, 7)  # by cable
    boot(books, other, 1)
    assert put(books) == [(1001, 8), (1002, 2)]
    assert put(books) == [(1001, 8), (1002, 2)]  # the same again
    assert put(books, LIMITS, device=1002) == [(1002, 3)]
    assert put(books) == [(1001, 8), (1002, 4)]
    found = {each.device: each for each in books.policies.newest()}
    assert found[1001].policy == settings.decode_policy(
        settings.encode_policy({**LOWER, "epoch": 8})
    )
    # By cable once more: what is set next is above that.
    boot(books, one, 20)
    assert put(books) == [(1001, 21), (1002, 4)]
    boot(books, one, 21)
    boot(books, other, 0)  # of a firmware of before
    assert books.policies.said() == {1001: 21, 1002: 0}


@pytest.mark.parametrize("by_cable", [1, 5_000_000])
def test_behind_a_restore_no_reader_has_the_epoch_with_other_limits(books, readers, by_cable):
    """What it was given behind the backup nobody knows until its BOOT has come again."""
    one, _other = readers
    lost = open_ledger(*readers)
    boot(lost, one, by_cable)
    books.book([one.records])
    ((device, epoch),) = put(lost, LIMITS, device=1001)
    boot(lost, one, epoch)
    enter_again(books, ())
    ((_, anew),) = put(books, device=device)
    books.book([one.records])
    assert books.policies.said()[device] == epoch < anew - NUMBERS_APART / 2
    assert put(books, device=device) == [(device, anew)]  # the same again
    assert put(books, device=1002)[0][1] > NUMBERS_APART  # also who has never been given one
    enter_again(books, ())  # restored once more
    assert put(books, device=device)[0][1] > anew + NUMBERS_APART / 2
    lost.close()


def test_an_epoch_that_a_cable_made_too_large_bars_nobody_behind_a_restore(books, readers):
    boot(books, readers[0], 0xFFFF_FFF0)
    enter_again(books, ())
    assert put(books) == [(1001, 0xFFFF_FFF1), (1002, NUMBERS_APART + 1)]
    enter_again(books, ())
    assert put(books, LIMITS) == [(1001, 0xFFFF_FFF2), (1002, 2 * NUMBERS_APART + 2)]


def test_the_books_keep_every_change(books):
    put(books)
    for sql in ("UPDATE policy_change SET person = 'li'", "DELETE FROM policy_change"):
        with pytest.raises(ConstraintBroken), books.database.transaction():
            books.database.many(f"{sql} WHERE device = ?", [(1001,)])


def test_each_is_sealed_for_its_reader_under_the_key_that_it_has(books, readers):
    put(books)
    news = PolicyNews(books.policies, Signer(bytes(32)))
    (told,) = news.news(HOME)
    payload, _signature = seal.sign1_split(told)
    policies = {device: (epoch, sealed) for device, epoch, sealed in policy_news.decode(payload)}
    assert set(policies) == {1001, 1002}
    for reader in readers:
        epoch, sealed = policies[reader.device]
        body = seal.unseal(seal.derive(reader.key, POLICY_LABEL), sealed, POLICY_LABEL)
        assert settings.decode_policy(body)["epoch"] == epoch == 1
        other = readers[1 - readers.index(reader)]
        with pytest.raises(WireError):
            seal.unseal(seal.derive(other.key, POLICY_LABEL), sealed, POLICY_LABEL)
    assert news.news("elsewhere") == []


def test_a_site_of_many_readers_fits_into_messages(readers):
    many = [Reader(2001 + number) for number in range(policy_news.POLICIES_MAX + 1)]
    store = open_ledger(*many)
    put(
        store,
        {name: 0xFFFFFF if name.endswith("_fen") else 7 for name in LOWER}
        | {
            "pin_tries_max": 1,
            "since_pin_count_max": 1,
            "clock_width_max_ms": 0xFFFFFFFF,
        },
    )
    told = PolicyNews(store.policies, Signer(bytes(32))).news(HOME)
    counts = [len(policy_news.decode(seal.sign1_split(one)[0])) for one in told]
    assert counts == [policy_news.POLICIES_MAX, 1]
    store.close()


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\xa0",
        b"\x81\x01",
        bytes(policy_news.BYTES_MAX + 1),
        b"\x81\x83\x00\x01\x41x",
        b"\x81\x83\x01\x00\x41x",
        b"\x81\x83\x01\x01\x40",
        b"\x81\x83\x01\xf5\x41x",
    ],
)
def test_what_is_no_news_is_refused(wrong):
    with pytest.raises(WireError):
        policy_news.decode(wrong)
