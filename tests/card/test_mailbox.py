"""Letters on a card: what is sealed comes out, what is spoilt does not, and records stay."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.aes import CIPHERS
from protocols.card import mailbox
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
LOCK, MADE_S = 3001, 1_790_000_000
LABELS = (mailbox.TO_LABEL, mailbox.FROM_LABEL)


def letter(content=b"content", key=KEY, label=mailbox.TO_LABEL):
    return mailbox.seal_letter(CIPHERS, key, label, content)


def opened(sealed, key=KEY, label=mailbox.TO_LABEL):
    return mailbox.open_letter(CIPHERS, key, label, sealed)


def chain(count, key=KEY, first=1, tag=seal.CHAIN_START, seed=1, make=None):
    """Sealed records of a lock, as its Recorder writes them."""
    draw, records, time_s, mono_ms = random.Random(seed), [], MADE_S, 5_000
    for seq in range(first, first + count):
        time_s, mono_ms = time_s + draw.randrange(90_000), mono_ms + draw.randrange(90_000_000)
        fields = {"kind": messages.ENTRY, "card_no": draw.randrange(60_000), "reason": 0}
        if make is not None:
            fields = make(seq, draw)
        fields |= {"device": LOCK, "seq": seq, "boot_id": 3, "mono_ms": mono_ms}
        fields |= {"earliest_s": time_s, "latest_s": time_s + draw.randrange(40)}
        sealed = seal.seal(key, messages.encode_record(fields), tag)
        records.append(sealed)
        tag = seal.tag_of(sealed)
    return records


def carried(records, first=1, tag=seal.CHAIN_START, key=KEY, known=True):
    """What the ledger has of records that went through a letter; and how many that were."""
    told = mailbox.encode_events(key, (7, MADE_S), 5900, LOCK, first, tag, records)
    sealed = letter(told[0], key, mailbox.FROM_LABEL)
    assert len(sealed) <= mailbox.LETTER_BYTES_MAX
    epoch, made_s, battery_mv, begin, entries = mailbox.decode_events(
        opened(sealed, key, mailbox.FROM_LABEL)
    )
    assert (epoch, made_s, battery_mv, begin) == (7, MADE_S, 5900, first)
    found = mailbox.records_of(key, LOCK, begin, made_s, tag if known else None, entries)
    return found, told[1]


# -- letters --------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 14, 15, 16, mailbox.CONTENT_BYTES_MAX])
def test_what_goes_in_comes_out(length):
    content = random.Random(length).randbytes(length)
    assert opened(letter(content)) == content


def test_equal_letters_are_equal_and_say_nothing():
    content = b"card 4711 may open room 302"
    assert letter(content) == letter(content)
    assert content[:8] not in letter(content)
    assert letter(content) != letter(content, OTHER)


def test_no_more_than_a_slot_holds():
    assert len(letter(bytes(mailbox.CONTENT_BYTES_MAX))) == mailbox.LETTER_BYTES_MAX
    with pytest.raises(WireError):
        letter(bytes(mailbox.CONTENT_BYTES_MAX + 1))


def test_every_bit_counts():
    sealed = letter(b"epoch 8")
    for bit in range(len(sealed) * 8):
        spoilt = bytearray(sealed)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            opened(bytes(spoilt))
    for length in range(len(sealed)):
        with pytest.raises(WireError):
            opened(sealed[:length])
    with pytest.raises(WireError):
        opened(sealed + bytes(16))


def test_only_one_lock_and_one_direction_open_it():
    for key, label in ((OTHER, mailbox.TO_LABEL), (KEY, mailbox.FROM_LABEL)):
        with pytest.raises(WireError):
            opened(letter(), key, label)


@given(st.binary(max_size=200))
def test_no_bytes_are_a_letter(data):
    for label in LABELS:
        with pytest.raises(WireError):
            opened(data, KEY, label)


@given(st.binary(max_size=mailbox.CONTENT_BYTES_MAX))
def test_no_content_breaks_what_reads_it(content):
    for decode in (mailbox.decode_update, mailbox.decode_events):
        try:
            values = decode(content)
        except WireError:
            continue
        if decode is mailbox.decode_events:
            try:
                mailbox.records_of(KEY, LOCK, values[3], values[1], seal.CHAIN_START, values[4])
            except WireError:
                pass


def test_an_update_says_what_it_was_told():
    said = (8, MADE_S, 41, b"12345678", bytes(mailbox.MAP_BYTES_MAX))
    most = (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, *said[3:])
    for each in (said, most):
        assert mailbox.decode_update(opened(letter(mailbox.encode_update(*each)))) == each


# -- records --------------------------------------------------------------------------------


def test_records_come_out_as_they_were_sealed():
    records = chain(12)
    found, count = carried(records)
    assert found == records[:count]
    print(f"{count} openings in a letter of {mailbox.LETTER_BYTES_MAX} bytes")
    assert count >= 5


def test_the_next_letter_goes_on_behind_it():
    records, tag, first = chain(20), seal.CHAIN_START, 1
    while first <= len(records):
        found, count = carried(records[first - 1 :], first, tag)
        assert count and found == records[first - 1 : first - 1 + count]
        first, tag = first + count, seal.tag_of(found[-1])


def test_kinds_of_all_sorts_come_out():
    def make(seq, draw):
        return draw.choice(
            (
                {"kind": messages.BOOT, "cause": seq, "firmware": 1},
                {"kind": messages.ENTRY, "card_no": seq, "reason": 281},
                {"kind": messages.DOOR, "state": 1, "event": 2, "levels": 3, "cause": 0},
                {"kind": messages.FAULT, "network": 1, "last_reason": 224},
                {
                    "kind": messages.OUTCOME,
                    "intent_device": 1,
                    "intent_seq": seq,
                    "result": 1,
                    "card_proof": draw.randbytes(21) if seq % 2 else b"",
                },
            )
        )

    for seed in range(40):
        records = chain(6, make=make, seed=seed)
        found, count = carried(records)
        assert count and found == records[:count], f"seed {seed}"


def test_what_the_ledger_cannot_make_anew_goes_as_it_is():
    # The lock got another key behind its second record; later, it has no tag before the first.
    old = chain(2, OTHER)
    records = old + chain(2, KEY, 3, seal.tag_of(old[-1]))
    found, count = carried(records[:1])
    assert (found, count) == (records[:1], 1)
    found, count = carried(records[2:], 3, None)
    assert count and found == records[2 : 2 + count]


def test_without_the_tag_before_nothing_is_made_up():
    found, count = carried(chain(4), known=False)
    assert count > 1 and not found


def test_a_wrong_tag_makes_records_that_no_chain_takes():
    records = chain(4)
    found, _count = carried(records)
    told = mailbox.encode_events(KEY, (7, MADE_S), 0, LOCK, 1, seal.CHAIN_START, records)
    entries = mailbox.decode_events(told[0])[4]
    wrong = mailbox.records_of(KEY, LOCK, 1, MADE_S, bytes(32 * [9]), entries)
    assert found[0] == records[0] and wrong[0] != records[0]


def test_no_more_records_are_taken_than_have_room():
    taken = []
    records = iter(chain(40))
    told = mailbox.encode_events(
        *(KEY, (7, MADE_S), 0, LOCK, 1, seal.CHAIN_START),
        (taken.append(each) or each for each in records),
    )
    assert 1 < told[1] <= len(taken) <= told[1] + 1
    assert told == mailbox.encode_events(KEY, (7, MADE_S), 0, LOCK, 1, seal.CHAIN_START, chain(40))


# -- heads and slots ------------------------------------------------------------------------


def heads(*given):
    """The heads that stand in the first blocks of a card."""
    blocks = b"".join(mailbox.encode_head(head) if head else bytes(16) for head in given)
    return mailbox.decode_heads(blocks + bytes(16 * (mailbox.SLOTS - len(given))))


def test_a_head_knows_its_letter():
    (head, none, _) = heads(mailbox.head_of(LOCK, MADE_S, letter()))
    assert none is None and (head.device, head.stamp) == (LOCK, MADE_S)
    assert head.is_of(letter()) and not head.is_of(letter(b"another"))
    head.state = mailbox.TAKEN  # which is written later, and without the letter at hand
    (again, _, _) = heads(head)
    assert again.state == mailbox.TAKEN and again.is_of(letter())


@given(st.binary(min_size=48, max_size=48))
def test_no_blocks_break_it(blocks):
    for head in mailbox.decode_heads(blocks):
        assert head is None or 0 < head.length <= mailbox.LETTER_BYTES_MAX


def test_where_a_letter_belongs():
    mine, other = (mailbox.head_of(device, MADE_S, letter()) for device in (LOCK, 3002))
    third = mailbox.head_of(3003, MADE_S, letter())
    for found, stamp, carries, slot in (
        ((None, None), MADE_S, {LOCK}, 1),
        ((mine, other), MADE_S + 1, {LOCK, 3002}, 0),
        ((other, mine), MADE_S + 1, {LOCK, 3002}, 1),
        ((other, mine), MADE_S, {LOCK, 3002}, None),  # it has that one
        ((other, mine), MADE_S - 1, {LOCK, 3002}, None),  # and nothing older replaces it
        ((other, None), MADE_S, {LOCK, 3002}, 1),
        ((other, third), MADE_S, {LOCK, 3002}, 1),  # it has moved out of the third
        ((other, third), MADE_S, {LOCK, 3002, 3003}, None),
    ):
        assert mailbox.slot_for(heads(*found), LOCK, stamp, carries) == slot


def test_a_stamp_of_the_future_is_not_respected():
    mine = mailbox.head_of(LOCK, 0xFFFFFFFF, letter())
    assert mailbox.slot_for(heads(mine), LOCK, MADE_S, {LOCK}) == 0


def test_what_an_agent_answers():
    letters = [(LOCK, MADE_S, letter()), (3002, MADE_S + 1, bytes(160))]
    assert mailbox.decode_carried(mailbox.encode_carried(letters)) == letters
    assert mailbox.decode_carried(b"") == []
    assert len(mailbox.encode_carried(letters)) <= messages.CARDS_DATA_BYTES_MAX


@given(st.binary(max_size=60))
def test_no_answer_breaks_it(data):
    try:
        assert mailbox.encode_carried(mailbox.decode_carried(data)) == data
    except WireError:
        pass
