"""The window and the lanes against a network that loses, repeats and delays whatever it likes."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.outbox import ANSWER_MS, PAUSE_MS_MAX, Outbox

WINDOW = 4
CHUNK = 5


class World:
    """A store, a ledger that books in order, and a lossy way between them; all in lists."""

    def __init__(self, heads):
        self.heads = dict(heads)  # device -> last record in the store
        self.booked = dict.fromkeys(heads, 0)  # what the ledger has
        self.receipted = dict.fromkeys(heads, 0)  # what the agent knows of it
        self.outbox = Outbox(self.receipted.__getitem__, WINDOW)
        self.number = 0
        self.now_ms = 0
        self.wire = []  # (number, {device: (first, last)})
        self.answers = []  # (number, {device: booked})
        for device in heads:
            self.outbox.wake(device)

    def send(self):
        self.outbox.tick(self.now_ms)
        while self.outbox.may_send(self.now_ms) and self._send_one():
            assert self.outbox.under_way <= WINDOW

    def _send_one(self):
        spans, more = {}, []
        room = CHUNK
        while room:
            lane = self.outbox.next_lane()
            if lane is None:
                break
            last = min(lane.cursor + room, self.heads[lane.device])
            if last > lane.cursor:
                spans[lane.device] = (lane.cursor + 1, last)
                room -= last - lane.cursor
            if last < self.heads[lane.device]:
                more.append(lane)
        if spans:
            self.number += 1
            self.outbox.sent(self.number, {d: span[1] for d, span in spans.items()}, self.now_ms)
            self.wire.append((self.number, spans))
        for lane in more:
            self.outbox.put_back(lane)
        return bool(spans)

    def ledger(self, at=0):
        number, spans = self.wire.pop(at)
        for device, (first, last) in spans.items():
            if first <= self.booked[device] + 1:
                self.booked[device] = max(self.booked[device], last)
        self.answers.append((number, {device: self.booked[device] for device in spans}))

    def hear(self, at=0):
        number, booked = self.answers.pop(at)
        for device, upto in booked.items():
            self.receipted[device] = max(self.receipted[device], upto)
        self.outbox.answered(number, [], self.now_ms)

    def finish(self):
        """A network that works from now on; the number of messages it took."""
        before = self.number
        self.wire.clear()
        self.answers.clear()
        for _ in range(1_000):
            self.send()
            while self.wire:
                self.ledger()
            while self.answers:
                self.hear()
            if self.receipted == self.heads:
                return self.number - before
            due_ms = self.outbox.due_ms(self.now_ms)
            assert due_ms is not None, "nothing would ever happen again"
            assert due_ms <= self.now_ms + PAUSE_MS_MAX
            self.now_ms = max(self.now_ms + 1, due_ms)
        raise AssertionError("it never ends")


STEP = st.one_of(
    st.tuples(st.just("send")),
    st.tuples(st.sampled_from(["ledger", "hear", "lose", "drop", "twice"]), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from([1, 100, ANSWER_MS, PAUSE_MS_MAX])),
    st.tuples(st.just("write"), st.integers(1, 3), st.integers(1, 20)),
    st.tuples(st.just("reconnect")),
    st.tuples(st.just("offer"), st.integers(1, 3), st.integers(1, 20)),
)


def _act(world, name, arguments):
    lists = {"ledger": world.wire, "lose": world.wire, "hear": world.answers}
    lists |= {"drop": world.answers, "twice": world.wire}
    if name in lists:
        if not lists[name]:
            return
        at = arguments[0] % len(lists[name])
        if name == "ledger":
            world.ledger(at)
        elif name == "hear":
            world.hear(at)
        elif name == "twice":
            world.wire.insert(at, world.wire[at])
        else:
            del lists[name][at]
    elif name == "wait":
        world.now_ms += arguments[0]
    elif name == "write":
        world.heads[arguments[0]] += arguments[1]
        world.outbox.offer(arguments[0], world.heads[arguments[0]] - arguments[1] + 1)
    elif name == "offer":
        world.outbox.offer(arguments[0], arguments[1])
    elif name == "reconnect":
        world.outbox.restart()
    else:
        world.send()


@given(st.lists(STEP, max_size=60))
def test_whatever_the_network_did_everything_is_booked_in_the_end(steps):
    world = World({1: 30, 2: 7, 3: 0})
    for name, *arguments in steps:
        _act(world, name, arguments)
        assert world.outbox.under_way <= WINDOW
    world.finish()


def test_a_good_network_carries_everything_once():
    world = World({1: 100, 2: 50, 3: 3})
    assert world.finish() == -(-153 // CHUNK)


def test_one_lane_that_does_not_advance_does_not_slow_the_others():
    world = World({1: 50, 2: 50})
    world.booked[1] = -10  # the ledger misses records that nobody here has
    for _ in range(60):
        world.send()
        while world.wire:
            world.ledger()
        while world.answers:
            world.hear()
        world.now_ms += 100
    assert world.receipted == {1: 0, 2: 50}
    assert world.number < 40
    world.booked[1] = 0  # they arrived by another way: the lane must try again by itself
    world.finish()


def test_a_silent_ledger_closes_the_window_to_one():
    world = World({1: 1_000})
    world.send()
    assert world.outbox.under_way == WINDOW
    world.now_ms += ANSWER_MS
    world.send()
    assert world.outbox.under_way == 1
    world.wire = world.wire[-1:]
    world.ledger()
    world.hear()
    world.send()
    assert world.outbox.under_way == WINDOW


def test_nothing_to_do_has_no_due_time():
    world = World({1: 10})
    world.finish()
    assert world.outbox.due_ms(world.now_ms) is None
