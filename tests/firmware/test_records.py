"""Records: a chain of seals that starts anew with no boot, and what a boot finds at its end."""

import re

import pytest

from firmware.services.clock import Clock
from firmware.services.journal import Journal, JournalFull
from firmware.services.records import Recorder
from protocols.rules.clock import BUILT_S
from protocols.wire import messages, seal
from protocols.wire.errors import WireError
from tests.firmware.ring import PlainFlash
from tests.firmware.test_clock import UTC_S, Board, knowing
from tests.ledger import readers

DEVICE, KEY = 1001, bytes(range(32))
CARD_NO = 4711
COMMITTED, NOT_COMMITTED, UNKNOWN = messages.COMMITTED, messages.NOT_COMMITTED, messages.UNKNOWN


def booted(flash, utc_s=UTC_S, key=KEY):
    """The recorder of a reader that has just started, and has heard a receipt if `utc_s`."""
    journal = Journal(flash)
    journal.recover()
    clock = knowing(journal, utc_s) if utc_s else Clock(Board(None), journal, 0)
    return Recorder(journal, DEVICE, key, clock)


def boot(recorder):
    return recorder.write(messages.BOOT, 0, cause=1, firmware=1)


def power(recorder):
    return recorder.write(messages.POWER, 0, source=messages.MAINS, battery_mv=4000)


def refusal(recorder, card_no=CARD_NO):
    return recorder.write(messages.REFUSAL, 0, card_no=card_no, amount_fen=1, reason=213)


def unread(recorder):
    return refusal(recorder, card_no=0)


def intent(recorder, amount_fen=1250):
    return recorder.write(
        messages.INTENT,
        0,
        card_no=CARD_NO,
        counter=3,
        amount_fen=amount_fen,
        before_fen=10_000,
        after_fen=10_000 - amount_fen,
        merchant_no=71,
        last_device=0,
        last_seq=0,
        flags=0,
    )


def outcome(recorder, result, seq=None, device=DEVICE):
    seq = recorder.head_seq() if seq is None else seq
    return recorder.write(messages.OUTCOME, 0, intent_device=device, intent_seq=seq, result=result)


def fields_of(recorder, seq):
    (sealed,) = recorder.records_from(seq, 1, 256)
    return messages.decode_record(seal.payload_of(sealed))


# -- failures -------------------------------------------------------------------------------


def test_full_journal_leaves_the_chain_as_it_was():
    flash = PlainFlash(4)
    recorder = booted(flash)
    with pytest.raises(JournalFull):
        while True:
            power(recorder)
    head = recorder.head_seq()
    assert not recorder.has_room()
    recorder.receipt(head)
    assert power(recorder) == head + 1
    sealed = recorder.records_from(head, 2, 512)
    seal.unseal(KEY, sealed[1], seal.tag_of(sealed[0]))


def test_a_full_journal_takes_the_first_boot_under_a_new_key_and_no_other():
    flash = PlainFlash(4)
    recorder = booted(flash)
    while recorder.has_room():
        power(recorder)
    heads = [recorder.head_seq()]
    for key in (KEY, bytes(32), bytes(32), bytes(range(1, 33))):
        recorder = booted(flash, key=key)
        recorder.note(messages.POWER, 0, source=messages.MAINS, battery_mv=4000)
        recorder.note(messages.BOOT, 0, cause=1, firmware=1)
        heads.append(recorder.head_seq())
    assert [head - heads[0] for head in heads] == [0, 0, 1, 1, 2]
    assert recorder.is_sealed_with(bytes(range(1, 33)), heads[-1])


@pytest.mark.parametrize(
    "fields", [{"source": 2, "battery_mv": 1}, {"source": 0}, {"source": 0, "battery_mv": -1}]
)
def test_record_of_a_wrong_form_is_not_written(fields):
    recorder = booted(PlainFlash(4))
    with pytest.raises(WireError):
        recorder.write(messages.POWER, 0, **fields)
    assert recorder.head_seq() == 0 and power(recorder) == 1


def test_what_is_not_there_is_none():
    recorder = booted(PlainFlash(4))
    assert recorder.tag_at(0) is None and recorder.tag_at(1) is None
    assert recorder.records_from(1, 8, 2048) == [] and recorder.last_spend() is None


# -- the chain ------------------------------------------------------------------------------


def test_the_chain_runs_through_boots_and_turns_of_the_ring():
    flash = PlainFlash(4)
    recorder = booted(flash)
    link = seal.CHAIN_START
    for seq in range(1, 401):
        if seq % 37 == 0:
            recorder = booted(flash)
        power(recorder)
        (sealed,) = recorder.records_from(seq, 1, 256)
        fields = messages.decode_record(seal.unseal(KEY, sealed, link))
        assert (fields["device"], fields["seq"]) == (DEVICE, seq)
        link = recorder.tag_at(seq)
        assert link == seal.tag_of(sealed)
        recorder.receipt(seq - 3)
        assert recorder.receipted_seq() == max(seq - 3, 0)


def test_the_chain_runs_through_a_change_of_the_key():
    flash = PlainFlash(4)
    recorder = booted(flash)
    for _ in range(3):
        power(recorder)
    other = bytes(32)
    recorder = booted(flash, key=other)
    power(recorder)
    sealed = recorder.records_from(3, 2, 512)
    seal.unseal(other, sealed[1], seal.tag_of(sealed[0]))
    sealers = [
        (recorder.is_sealed_with(KEY, seq), recorder.is_sealed_with(other, seq))
        for seq in range(6)
    ]
    old, new, absent = (True, False), (False, True), (False, False)
    assert sealers == [absent, old, old, old, new, absent]


def test_boot_ids_only_grow():
    flash = PlainFlash(4)
    last = 0
    for number in range(200):
        recorder = booted(flash, utc_s=None)
        assert recorder.boot_id == last + 1
        for _ in range(1 + number % 3):
            assert fields_of(recorder, power(recorder))["boot_id"] == recorder.boot_id
        recorder.receipt(recorder.head_seq())  # everything booked: the last one is still known
        last = recorder.boot_id


def test_time_is_the_clock_s_interval():
    recorder = booted(PlainFlash(4))
    fields = fields_of(recorder, recorder.write(messages.BOOT, 5000, cause=1, firmware=1))
    assert fields["mono_ms"] == 5000
    assert fields["earliest_s"] == UTC_S + 4 and fields["latest_s"] == UTC_S + 7


def test_time_nobody_knows_is_all_time():
    recorder = booted(PlainFlash(4), utc_s=None)
    fields = fields_of(recorder, boot(recorder))
    assert (fields["earliest_s"], fields["latest_s"]) == (BUILT_S, 0xFFFFFFFF)


# -- the last spend -------------------------------------------------------------------------


def spend(*results):
    """A story: an INTENT and its OUTCOMEs, the later ones after a boot."""

    def tell(recorder):
        seq = intent(recorder)
        for number, result in enumerate(results):
            if number:
                boot(recorder)
            outcome(recorder, result, seq)

    return tell


STORIES = [
    ([], None),
    ([boot, power], None),
    ([intent], None),  # result None: nobody has closed it
    ([intent, boot, power, boot], None),
    ([spend(COMMITTED)], COMMITTED),
    ([spend(COMMITTED), boot, power], COMMITTED),
    ([spend(COMMITTED), *[boot, power] * 19], COMMITTED),  # a saw-tooth of mains
    ([spend(NOT_COMMITTED), boot], NOT_COMMITTED),
    ([spend(UNKNOWN)], UNKNOWN),
    ([spend(UNKNOWN), boot, power, boot, boot], UNKNOWN),
    ([spend(UNKNOWN, COMMITTED), boot], COMMITTED),
    ([spend(UNKNOWN, NOT_COMMITTED)], NOT_COMMITTED),
    ([spend(COMMITTED), spend(UNKNOWN)], UNKNOWN),
    ([spend(UNKNOWN), spend(COMMITTED)], COMMITTED),
    ([spend(COMMITTED), intent], None),
    ([spend(UNKNOWN), unread, boot, unread], UNKNOWN),
]


@pytest.mark.parametrize(("story", "result"), STORIES)
def test_the_last_spend_is_found_after_a_boot(story, result):
    flash = PlainFlash(4)
    recorder = booted(flash)
    intents = []
    for tell in story:
        first = recorder.head_seq() + 1
        tell(recorder)
        if fields_of(recorder, first)["kind"] == messages.INTENT:
            intents.append(first)
    last = booted(flash).last_spend()
    if not intents:
        assert last is None
        return
    found, its_result = last
    assert (found["seq"], found["card_no"], found["counter"]) == (intents[-1], CARD_NO, 3)
    assert its_result == result


def credit(last_seq, *results):
    """A story: money on the card, which names the record `last_seq`, and what became of it."""

    def tell(recorder):
        seq = recorder.write(
            messages.CREDIT,
            5000,
            card_no=CARD_NO,
            counter=4,
            number=8,
            amount_fen=2000,
            before_fen=1000,
            last_device=DEVICE,
            last_seq=last_seq,
        )
        for result in results:
            outcome(recorder, result, seq)

    return tell


@pytest.mark.parametrize(
    "after",
    [
        [credit(2, COMMITTED)],
        [credit(2, NOT_COMMITTED), boot],
        [credit(2, UNKNOWN)],
        [credit(2), boot, power],
        [credit(2, COMMITTED), boot, unread, boot],
        [credit(2), power, lambda recorder: outcome(recorder, COMMITTED, 4)],
    ],
)
def test_money_that_comes_on_a_card_behind_its_spend_does_not_hide_that(after):
    # The torture's seed 8: the power went before anybody had seen that the spend was paid.
    flash = PlainFlash(4)
    recorder = booted(flash)
    boot(recorder)
    spend(COMMITTED)(recorder)
    for tell in after:
        tell(recorder)
    found, result = booted(flash).last_spend()
    assert (found["seq"], result) == (2, COMMITTED)


def test_money_that_comes_on_another_card_is_no_news_of_a_spend():
    flash = PlainFlash(4)
    recorder = booted(flash)
    boot(recorder)
    spend(COMMITTED)(recorder)
    credit(1, COMMITTED)(recorder)
    assert booted(flash).last_spend() is None


@pytest.mark.parametrize("after", [[refusal], [boot] * 40])
def test_a_spend_long_past_is_none_of_a_boot_s_business(after):
    flash = PlainFlash(4)
    recorder = booted(flash)
    spend(UNKNOWN)(recorder)
    for tell in after:
        tell(recorder)
    assert booted(flash).last_spend() is None


# -- records that rot has taken -------------------------------------------------------------


def rot(flash, sealed):
    """Two bits of a record turn over: more than can be put right."""
    at = flash.cells.index(sealed)
    flash.cells[at + 30] ^= 4
    flash.cells[at + len(sealed) - 9] ^= 32


def rotten(count, *seqs):
    """A reader whose records `seqs` of `count` have rotted; and all of them as they were."""
    flash = PlainFlash(4)
    recorder = booted(flash)
    for _ in range(count):
        power(recorder)
    sealed = [None, *(recorder.records_from(seq, 1, 256)[0] for seq in range(1, count + 1))]
    for seq in seqs:
        rot(flash, sealed[seq])
    return flash, recorder, sealed


def lost(seq, successor=None):
    return readers.lost(KEY, DEVICE, seq, successor)


def test_the_newest_record_may_be_torn_and_is_not_called_lost():
    _, recorder, _ = rotten(6, 5, 6)
    assert recorder.records_from(5, 8, 2048) == recorder.records_from(6, 8, 2048) == []
    power(recorder)
    assert recorder.records_from(5, 8, 2048) == [lost(5)]
    (newest,) = recorder.records_from(7, 8, 2048)
    assert recorder.records_from(6, 8, 2048) == [lost(6, newest)]


@pytest.mark.parametrize("seq", [0, 3, 6, 7])
def test_what_is_booked_or_never_was_is_not_called_lost(seq):
    _, recorder, sealed = rotten(6, 3)
    recorder.receipt(3)
    assert recorder.records_from(seq, 8, 2048) == (sealed[6:] if seq == 6 else [])


def test_a_lost_record_names_the_next_one_and_the_rest_is_as_it_was():
    flash, recorder, sealed = rotten(6, 3)
    for reader in (recorder, booted(flash)):
        assert reader.records_from(1, 8, 2048) == sealed[1:3]
        assert reader.records_from(3, 8, 2048) == [lost(3, sealed[4])]
        assert reader.records_from(4, 8, 2048) == sealed[4:]


def test_a_stretch_over_the_end_of_a_sector_is_lost_one_by_one():
    flash, recorder, sealed = rotten(80, *range(10, 70))
    stand_ins = [recorder.records_from(seq, 8, 2048) for seq in range(10, 70)]
    assert stand_ins == [[lost(seq)] for seq in range(10, 69)] + [[lost(69, sealed[70])]]
    assert booted(flash).records_from(69, 8, 2048) == [lost(69, sealed[70])]
    assert recorder.records_from(70, 1, 256) == [sealed[70]]


def test_calling_a_record_lost_writes_nothing():
    flash, recorder, _ = rotten(6, 3)
    before = bytes(flash.cells)
    recorder.records_from(3, 8, 2048)
    assert flash.cells == before


def test_no_two_services_of_a_reader_keep_under_one_key(repo_root):
    """Two once did (site and payment codes), and each took the other's value for its own."""
    found = {}
    for path in sorted((repo_root / "firmware" / "services").glob("*.py")):
        for key in re.findall(r"^_?[A-Z]*_?KEY = (\d)\b", path.read_text("utf-8"), re.MULTILINE):
            found.setdefault(int(key), []).append(path.stem)
    assert len(found) >= 5
    # A door has no site of its own and sells nothing; a POS has no access map.
    found[4].remove("access_map")
    assert [names for names in found.values() if len(names) > 1] == []
