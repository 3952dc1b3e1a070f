"""The uplink on a serial line: everything a line, a reader and an agent can do to each other."""

import itertools
import random

import pytest

from edge_agent.polling import ANSWER_MS, PACE_MS
from protocols.wire import messages
from protocols.wire.frame import MORE, START, UP, decode_frame, encode_frame
from protocols.wire.serial_client import SILENCE_MS, SerialClient
from tests.link.bench import Source, receipt, stored
from tests.link.serial_bench import Desk

SEED = 27


def desk_of(*counts, **options):
    """A running line with a reader for each count of records, 1001 and on."""
    devices = [1001 + place for place in range(len(counts))]
    desk = Desk(random.Random(SEED), devices, **options)
    for device, count in zip(devices, counts, strict=True):
        desk.add(device, Source(count, device))
    desk.bus.start()
    return desk


def all_held(desk):
    living = [reader for reader in desk.readers if reader.uplink]
    return all(desk.held[reader.device] == reader.source.sealed for reader in living)


def frames_of(data):
    return [decode_frame(body) for body in bytes(data).split(b"\x00") if body]


def test_records_go_up_and_a_receipt_comes_back():
    desk = desk_of(30)
    reader = desk.readers[0]
    took_ms = desk.run_until(lambda: all_held(desk), 2_000)
    print("30 records in", took_ms, "ms")
    assert desk.hellos == {1001: 1}
    assert reader.uplink.online
    assert desk.book(reader)
    desk.run_until(lambda: reader.source.receipted == 30, 500)
    assert desk.bus.events == [("reader_up", 1001)]
    assert {name for name, count in reader.uplink.counters.items() if count} == {"sessions"}


def test_a_relay_goes_both_ways():
    desk = desk_of(1)
    reader = desk.readers[0]
    desk.run_until(lambda: reader.uplink.online, 2_000)
    sealed = bytes(300)
    assert reader.uplink.say(messages.RELAY, {"sealed": sealed})
    down = messages.encode_message(messages.RELAY, {"device": 1001, "sealed": sealed})
    assert len(down) > 240, "more than a frame"
    assert desk.bus.publish(1001, down)
    desk.run_until(lambda: desk.relayed and reader.relays, 4 * PACE_MS)
    assert desk.relayed == reader.relays == [sealed]


def test_an_idle_line_is_quiet_and_a_new_record_is_fast():
    desk = desk_of(0)
    reader = desk.readers[0]
    desk.run_until(lambda: reader.uplink.online, 2_000)
    desk.run(1_000)
    polls, steps = desk.bus.counters["polls"], reader.steps
    desk.run(10_000)
    assert desk.bus.counters["polls"] - polls <= 10_000 // PACE_MS
    assert reader.steps - steps < 500
    reader.source.grow(1)
    assert desk.run_until(lambda: all_held(desk), 1_000) < 3 * PACE_MS


# -- the line --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["lost", "doubled", "garbled", "truncated", "all"])
def test_a_bad_line_loses_nothing(seed, kind):
    """Every tenth frame meets it, and records arrive whole, once, in order; receipts too."""
    print("seed", seed)
    draw = random.Random(seed)

    def spoil(data):
        if draw.random() > 0.1:
            return [data]
        what = draw.choice(["lost", "doubled", "garbled", "truncated"]) if kind == "all" else kind
        if what == "lost":
            return []
        if what == "doubled":
            return [data, data]
        if what == "truncated":
            return [data[: draw.randrange(len(data))]]
        spoiled = bytearray(data)
        spoiled[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        return [bytes(spoiled)]

    desk = desk_of(20, 20, 20)
    desk.bus.mischief = spoil
    desk.run_until(lambda: all_held(desk), 60_000)
    for reader in desk.readers:
        while not desk.book(reader):
            desk.run(100)
    desk.run_until(lambda: all(reader.source.receipted for reader in desk.readers), 20_000)
    assert all(not reader.uplink.counters["malformed"] for reader in desk.readers)
    assert all(not reader.uplink.counters["forged"] for reader in desk.readers)


def test_a_cut_line_and_a_mended_one():
    desk = desk_of(10, 10)
    desk.run_until(lambda: all_held(desk), 4_000)
    desk.bus.is_cut = True
    for reader in desk.readers:
        reader.source.grow(40)
    desk.run(SILENCE_MS + 2_000)
    assert not any(reader.uplink.online for reader in desk.readers)
    assert desk.bus.polling.readers_up() == 0
    assert sorted(desk.bus.events[2:]) == [("reader_silent", 1001), ("reader_silent", 1002)]
    desk.bus.is_cut = False
    desk.run_until(lambda: all_held(desk), 20_000)
    assert all(reader.uplink.online for reader in desk.readers)


def test_a_line_cut_in_the_middle_of_a_frame():
    """At every tenth of a batch; what the agent had half of is forgotten with the session."""
    for tenth in range(10):
        desk = desk_of(0)
        reader = desk.readers[0]
        desk.run_until(lambda reader=reader: reader.uplink.online, 2_000)
        reader.source.grow(16)
        desk.run(5 * tenth)
        desk.bus.is_cut = True
        desk.run(3_000)
        desk.bus.is_cut = False
        desk.run_until(lambda desk=desk: all_held(desk), 20_000)


def test_the_far_end_dead_costs_the_near_one_a_timeout_a_round():
    desk = desk_of(*[0] * 8)
    desk.run_until(lambda: all(reader.uplink.online for reader in desk.readers), 6_000)
    for reader in desk.readers[2:]:
        reader.tap.is_cut = True
    desk.run(60_000)
    assert all(reader.uplink.online for reader in desk.readers[:2])
    heard = []
    desk.bus.mischief = lambda data: heard.append((desk.world.now_us, frames_of(data))) or [data]
    desk.run(20_000)
    times = [at for at, frames in heard if (frames[0][0], frames[0][2] & UP) == (1001, 0)]
    longest_ms = max(b - a for a, b in itertools.pairwise(times)) // 1000
    print("longest between two polls", longest_ms, "ms of", desk.bus.polling.turn_ms_max())
    assert longest_ms <= desk.bus.polling.turn_ms_max()
    assert longest_ms < PACE_MS + 3 * (ANSWER_MS + 30)


def test_a_transceiver_that_lets_go_too_early_is_not_heard():
    """What the driver's wait is for: without it nothing of 1001 ever arrives whole."""
    desk = Desk(random.Random(SEED))
    reader = desk.add(1001, Source(3))
    reader.forgets_to_flush = True
    desk.bus.start()
    desk.run(10_000)
    assert not desk.held[1001]
    assert desk.bus.polling.readers_up() == 0
    reader.forgets_to_flush = False
    desk.run_until(lambda: all_held(desk), 20_000)


# -- the readers -----------------------------------------------------------------------------


def test_two_readers_of_one_number_are_seen_and_get_no_session():
    desk = Desk(random.Random(SEED))
    first, second = desk.add(1001, Source(5)), desk.add(1001, Source(9))
    desk.bus.start()
    desk.run_until(lambda: ("reader_twice", 1001) in desk.bus.events, 20_000)
    # Their answers may have met first.
    assert desk.bus.events[:-1] in ([], [("reader_garbled", 1001)])
    desk.run(5_000)
    assert not first.uplink.online and not second.uplink.online
    second.die()
    desk.run_until(lambda: desk.held[1001] == first.source.sealed, 60_000)


def test_a_second_reader_that_comes_later_is_seen_within_two_minutes():
    desk = desk_of(5)
    first = desk.readers[0]
    desk.run_until(lambda: all_held(desk), 2_000)
    second = desk.add(1001, Source(9))
    assert first.uplink.online
    desk.run_until(lambda: ("reader_twice", 1001) in desk.bus.events, 120_000)
    assert desk.held[1001] == first.source.sealed, "the second was never heard"
    assert not second.uplink.online


def test_a_reader_that_boots_in_the_middle():
    """At every millisecond of a delivery: the journal is the same, and nothing comes twice."""
    for delay_ms in range(0, 120, 7):
        desk = desk_of(0)
        reader = desk.readers[0]
        desk.run_until(lambda reader=reader: reader.uplink.online, 2_000)
        reader.source.grow(24)
        desk.run(delay_ms)
        reader.die()
        desk.run(50)
        reader.boot()
        desk.run_until(lambda desk=desk: all_held(desk), 20_000)


def test_a_reader_that_babbles_is_told_and_the_others_go_on():
    desk = desk_of(5, 5)
    desk.run_until(lambda: all_held(desk), 4_000)
    babbler = desk.readers[1]
    babbler.uplink = None
    noise = bytes(encode_frame(1002, 7, UP | 1, b"me me me"))

    def babble():
        if desk.world.now_us < 8_000_000:
            babbler.tap.drive(1, desk.world.now_us)
            babbler.tap.write(noise, desk.world.now_us)
            desk.world.at(babbler.tap.sent_us, babble)

    babble()
    desk.run(3_000)
    assert ("line_babbles", 1002) in desk.bus.events
    desk.readers[0].source.grow(5)
    desk.run_until(lambda: desk.world.now_us >= 8_000_000, 30_000)
    babbler.tap.power_off(desk.world.now_us)
    babbler.boot()
    desk.run_until(lambda: all_held(desk), 30_000)
    assert ("line_quiet", 0) in desk.bus.events


def test_a_reader_at_a_card_never_speaks_in_anothers_turn():
    """A card comes just as a reader is polled, and holds it for 100 to 400 ms; the others talk."""
    desk = desk_of(0, 0, 0)
    desk.run_until(lambda: all(reader.uplink.online for reader in desk.readers), 4_000)
    draw = random.Random(SEED)
    taps = {}

    def watch(data):
        assert not desk.bus.collisions, "two spoke at once"
        device, _session, control, _piece = frames_of(data)[0]
        if not control & UP and device in taps:
            taps.pop(device).busy_us = draw.randrange(100_000, 400_000)
        return [data]

    desk.bus.mischief = watch
    for _ in range(30):
        reader = draw.choice(desk.readers)
        taps[reader.device] = reader
        for each in desk.readers:
            each.source.grow(12)
        desk.run(draw.randrange(500, 1_500))
    desk.run_until(lambda: all_held(desk), 10_000)
    assert desk.bus.counters["unanswered"] > 20
    assert desk.bus.counters["garbled"] == 0
    assert all(reader.uplink.counters["lost"] == 0 for reader in desk.readers)


def test_without_polls_a_reader_is_offline():
    desk = desk_of(1)
    reader = desk.readers[0]
    desk.run_until(lambda: reader.uplink.online, 2_000)
    desk.bus.stop()
    desk.run(SILENCE_MS - 500)
    assert reader.uplink.counters["lost"] == 0
    desk.run(1_000)
    assert reader.uplink.counters["lost"] == 1
    assert not reader.uplink.online
    desk.bus.start()
    desk.run_until(lambda: reader.uplink.online, 10_000)


def test_whoever_taps_the_wires_frees_nothing():
    """Right frames with wrong words: each is counted and the journal stays."""
    desk = desk_of(5)
    reader = desk.readers[0]
    desk.run_until(lambda: all_held(desk), 2_000)
    other = Source(5)
    words = {
        "forged": receipt(reader.source, 5, key=bytes(32)),
        "mismatched": receipt(reader.source, 5, tag=bytes(8)),
        "foreign": receipt(reader.source, 5, device=1002),
        "refused": stored(9),
        "malformed": b"\xa1\x01\x02",
    }
    for word in words.values():
        assert desk.bus.publish(1001, word)
    desk.run(2_000)
    assert {name: reader.uplink.counters[name] for name in words} == dict.fromkeys(words, 1)
    assert reader.source.receipted == 0
    assert reader.source.sealed == other.sealed


# -- the agent -------------------------------------------------------------------------------


def test_an_agent_that_starts_anew():
    """At every turn of a delivery: it has forgotten sessions and what it was to say."""
    for delay_ms in range(0, 150, 10):
        desk = desk_of(0)
        reader = desk.readers[0]
        desk.run_until(lambda reader=reader: reader.uplink.online, 2_000)
        reader.source.grow(24)
        desk.run(delay_ms)
        desk.bus.stop()
        desk.run(30)
        desk.bus.start()
        desk.run_until(lambda desk=desk: all_held(desk), 20_000)
        assert reader.uplink.counters["lost"] == 0, "it has heard of it by the next poll"


def test_an_agent_whose_disk_refuses_stops_asking():
    desk = desk_of(8)
    reader = desk.readers[0]
    taken = desk.bus.take
    desk.bus.take = lambda: None
    desk.bus.polling.inbox.extend([(1001, b"")] * 64)
    desk.run(SILENCE_MS + 2_000)
    assert not reader.uplink.online
    desk.bus.polling.inbox.clear()
    desk.bus.take = taken
    desk.run_until(lambda: all_held(desk), 10_000)


def test_a_message_to_nobody_goes_nowhere():
    desk = Desk(random.Random(SEED), (1001, 1002))
    desk.bus.start()
    desk.run(2_000)
    assert not desk.bus.publish(1002, b"anybody?")
    assert desk.bus.counters["not_sent"] == 1
    assert desk.bus.events == [("reader_silent", 1001), ("reader_silent", 1002)]


def test_the_minutes_call_for_second_readers_holds_nobody_up():
    """All sessions began together, and so fall due together: still one call a round."""
    desk = desk_of(*[0] * 8)
    desk.run_until(lambda: all(reader.uplink.online for reader in desk.readers), 6_000)
    polled, gaps_us, calls = {}, [], set()

    def watch(data):
        device, session, control, _piece = frames_of(data)[0]
        if session and not control & UP:
            if control == START:
                calls.add(device)
            else:
                gaps_us.append(desk.world.now_us - polled.get(device, desk.world.now_us))
                polled[device] = desk.world.now_us
        return [data]

    desk.bus.mischief = watch
    desk.run(70_000)
    assert len(calls) == 8
    print("longest between two polls", max(gaps_us) // 1000, "ms")
    assert max(gaps_us) // 1000 <= PACE_MS + 3 * (ANSWER_MS + 30)
    assert all(reader.uplink.online for reader in desk.readers)


@pytest.mark.parametrize("count", [1, 8, 16])
def test_a_turn_is_bounded(count):
    """All readers have much to say: the longest time between two polls of one is what we say."""
    desk = desk_of(*[40] * count)
    polled, longest_us = {}, 0

    def watch(data):
        nonlocal longest_us
        device, session, control, _piece = frames_of(data)[0]
        if session and not control & UP and control != START:
            longest_us = max(longest_us, desk.world.now_us - polled.get(device, desk.world.now_us))
            polled[device] = desk.world.now_us
        return [data]

    desk.bus.mischief = watch
    took_ms = desk.run_until(lambda: all_held(desk), 240_000)
    bound_ms = desk.bus.polling.turn_ms_max()
    print(f"{count} readers: turn {longest_us // 1000} ms of {bound_ms}; all in {took_ms} ms")
    assert longest_us // 1000 <= bound_ms


# -- a reader alone --------------------------------------------------------------------------


def client_of(device=1001):
    client = SerialClient(device, lambda count: b"\x12\x30"[:count])
    client.subscribe("down")
    client.connect(0)
    client.tick(10)
    return client


def started():
    client = client_of()
    client.receive(bytes(encode_frame(1001, 0, START)))
    assert frames_of(client.data_to_send()) == [(1001, 0x1230, UP, b"")]
    return client


def test_it_speaks_only_when_it_is_asked():
    client = client_of()
    client.publish("up", b"hello")
    assert client.data_to_send() == b""
    for frame in (
        encode_frame(1002, 0, START),  # another
        encode_frame(1001, 0, UP | START),  # not the agent
        encode_frame(1001, 9, 1),  # a session it is not in
        encode_frame(1001, 0, 1),
    ):
        assert client.receive(bytes(frame)) == []
        assert client.data_to_send() == b""


def test_a_poll_with_something_behind_it_is_not_answered():
    client = started()
    client.receive(bytes(encode_frame(1001, 0x1230, 1) + encode_frame(1002, 5, 1)))
    assert client.data_to_send() == b""
    client.receive(bytes(encode_frame(1001, 0x1230, 1)))
    assert frames_of(client.data_to_send()) == [(1001, 0x1230, UP | 1, b"")]


def test_the_same_poll_is_heard_once_and_answered_alike():
    client = started()
    client.publish("up", b"x" * 300)
    poll = bytes(encode_frame(1001, 0x1230, 1, b"news"))
    assert [event[2] for event in client.receive(poll)] == [b"news"]
    answer = client.data_to_send()
    assert frames_of(answer) == [(1001, 0x1230, UP | MORE | 1, b"x" * 240)]
    client.publish("up", b"later")
    assert client.receive(poll) == []
    assert client.data_to_send() == answer
    client.receive(bytes(encode_frame(1001, 0x1230, 2)))
    assert frames_of(client.data_to_send()) == [(1001, 0x1230, UP | 2, b"x" * 60)]


def test_what_is_begun_again_begins_with_nothing():
    """Half a message in each direction, and then a new session."""
    client = started()
    client.publish("up", b"x" * 300)
    client.receive(bytes(encode_frame(1001, 0x1230, 1, b"all of it")))
    client.receive(bytes(encode_frame(1001, 0x1230, 2 | MORE, b"half a")))
    client.data_to_send()
    events = client.receive(bytes(encode_frame(1001, 0, START)))
    assert [event[0] for event in events] == [2, 9]
    assert client.unacked == client_of().unacked
    assert frames_of(client.data_to_send()) == [(1001, 0x1230, UP, b"")]
    assert [e[2] for e in client.receive(bytes(encode_frame(1001, 0x1230, 1, b"whole")))] == [
        b"whole"
    ]
