"""A reader with a new key: which receipts still free what the old one sealed, and which never."""

import pytest

from protocols.wire import seal
from tests.link.bench import KEY, Bench, Source, receipt

NEW, OLDER = bytes(range(1, 33)), bytes(range(2, 34))
OLD_RECORDS, ALL_RECORDS = 5, 8


def rotated(*, knows_previous=True):
    """A journal of five records under the old key and three under the new one, at its uplink."""
    source = Source(OLD_RECORDS)
    source.key = NEW
    source.grow(ALL_RECORDS - OLD_RECORDS)
    return Bench(source=source, previous_key=KEY if knows_previous else None).settle()


def heard(bench, *said):
    """The receipts that counted, and the counters, after these were said."""
    for message in said:
        bench.say(message)
    bench.settle()
    names = ("forged", "mismatched", "repeated", "refused")
    counted = {name: count for name, count in bench.counters.items() if name in names}
    return [upto for upto, *_ in bench.receipts], counted


# --- what frees nothing --------------------------------------------------------------------------


@pytest.mark.parametrize("upto", range(OLD_RECORDS + 1, ALL_RECORDS + 1))
def test_the_old_key_frees_nothing_that_the_new_one_has_sealed(upto):
    # Whoever learnt the old key can read tags on the wire, and makes a perfect receipt of them.
    bench = rotated()
    assert heard(bench, receipt(bench.source, upto, key=KEY)) == ([], {"forged": 1})
    assert heard(bench, receipt(bench.source, upto, key=NEW)) == ([upto], {"forged": 1})


def test_a_retired_key_is_nobody_s():
    bench = rotated(knows_previous=False)
    assert heard(bench, receipt(bench.source, 4, key=KEY)) == ([], {"forged": 1})


def test_a_key_from_before_the_previous_one_is_nobody_s():
    bench = rotated()
    assert heard(bench, receipt(bench.source, 4, key=OLDER)) == ([], {"forged": 1})


def test_the_old_key_frees_nothing_beyond_the_head():
    bench = rotated()
    beyond = receipt(bench.source, ALL_RECORDS + 1, key=KEY, tag=bytes(8))
    assert heard(bench, beyond) == ([], {"forged": 1})


def test_the_old_key_frees_nothing_under_another_tag():
    bench = rotated()
    assert heard(bench, receipt(bench.source, 4, key=KEY, tag=bytes(8))) == ([], {"mismatched": 1})


# --- what counts, in any order -------------------------------------------------------------------


def test_a_receipt_under_the_old_key_that_comes_late_frees_what_that_key_has_sealed():
    bench = rotated()
    said = [receipt(bench.source, upto, key=KEY) for upto in (3, OLD_RECORDS)]
    assert heard(bench, *said) == ([3, OLD_RECORDS], {})


def test_an_old_receipt_replayed_after_newer_ones_lowers_nothing():
    bench = rotated()
    replayed = [receipt(bench.source, upto, key=KEY) for upto in (3, OLD_RECORDS)]
    said = [*replayed, receipt(bench.source, 7, key=NEW), *replayed]
    assert heard(bench, *said) == ([3, OLD_RECORDS, 7], {"repeated": 2})
    assert bench.source.receipted == 7


def test_old_receipts_overtaken_by_a_newer_one_are_old():
    bench = rotated()
    said = [receipt(bench.source, ALL_RECORDS, key=NEW), receipt(bench.source, 4, key=KEY)]
    assert heard(bench, *said) == ([ALL_RECORDS], {"repeated": 1})


def test_records_keep_the_seal_they_were_written_with():
    bench = rotated()
    bench.run(50_000)
    sent = [sealed for _, records in bench.batches for sealed in records]
    assert sent == bench.source.sealed
    for key, sealed, before in (
        (KEY, sent[4], sent[3]),  # record 5
        (NEW, sent[5], sent[4]),  # record 6 goes on with the chain of record 5
    ):
        seal.unseal(key, sealed, seal.tag_of(before))
