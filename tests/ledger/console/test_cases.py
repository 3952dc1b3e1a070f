"""The list of cases: a page ends anywhere, and nothing is skipped or told twice."""

import hashlib

from ledger import reasons
from ledger.bearers import Bearer
from ledger.console import cases
from ledger.console.asked import EN, NOBODY, Asked, Settings
from ledger.store import LedgerStore
from ledger.watch import Watch
from tests.ledger.readers import Reader, open_ledger

TILL, OTHER = 1001, 1002
COUNT = 250  # of one record, by their hashes: two pages and a half


def asked(store, query):
    return Asked(store, Settings(0, 0), NOBODY, "", (), 0, EN, {}, {"all": "1"} | query)


def test_cases_of_one_record_that_a_page_ends_in_are_on_the_next_one():
    store = LedgerStore.open(":memory:")
    reader = Reader(TILL)
    reader.intent(card_no=7)
    (sealed,) = reader.records
    hashes = [hashlib.sha256(b"%d" % at).digest() for at in range(COUNT)]
    rows = [(reasons.FORK, TILL, 5, sha256, sealed) for sha256 in hashes]
    rows += [(reasons.FORK, OTHER, seq, b"", b"") for seq in range(1, 8)]
    with store.database.transaction():
        store.database.many("INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?)", rows)
    found, query = [], {}
    while query is not None:
        shown = cases.show(asked(store, query)).context
        found += [one[:4] for one in shown["cases"]]
        assert {one[6] for one in shown["cases"]} <= {7, None}, "the card that it names"
        more = shown["more"]
        query = dict(zip("rdsh", map(str, more), strict=True)) if more else None
    assert len(found) == len(set(found)) == len(rows)
    assert {sha for *_rest, sha in found} == {sha256.hex() for sha256 in hashes} | {""}


def test_all_cases_of_a_sale_that_was_made_good_are_open_no_more():
    one, other = Reader(TILL), Reader(OTHER)
    one.spend()
    other.spend(amount_fen=200)
    store = open_ledger(one, other)
    store.book([one.records, other.records])
    assert Watch(store, lambda: 1, {}).look()

    def still_open():
        return {row[:3] for row in cases.show(asked(store, {"all": "0"})).context["cases"]}

    of_copy = {(reasons.CONTRADICTION, OTHER, 1), (reasons.CARD_FORKED, OTHER, 1)}
    assert still_open() == of_copy | {(reasons.CONTRADICTION, TILL, 1)}
    case = store.corrections.case(reasons.CARD_FORKED, OTHER, 1)
    proposal = store.corrections.propose(case, Bearer.DEVICE_OWNER, "wang", "a copy", 5)
    store.corrections.approve(proposal.number, store.corrections.mark(case, proposal), "li", 6)
    assert still_open() == {(reasons.CONTRADICTION, TILL, 1)}


def test_a_hash_that_is_none_is_as_if_nobody_had_said_one():
    store = LedgerStore.open(":memory:")
    assert cases.show(asked(store, {"h": "x", "r": "1"})).context["cases"] == []
