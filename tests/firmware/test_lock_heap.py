"""Memory runs out in a lock while a card lies there: its watchdog resets it, and nothing is lost.

Nothing in a lock catches it, on purpose: what it had in memory is not to be trusted any more.
"""

import pytest

from firmware.roles import lock as lock_role
from protocols.rules import lock, reasons
from protocols.wire import messages
from simulator.host.card_port import front_end
from simulator.host.home import HostHome
from tests.drivers.mail_cards import MAKES, mail_card
from tests.firmware.lodge import CARD_NO, WATCHDOG_RESET
from tests.firmware.post import Post
from tests.firmware.test_heap import NEVER, Heap

PARTS = (
    ("", ("ticks_ms", "urandom", "aes", "aes_cbc", "led", "store", "celsius")),
    ("flash", ("read", "program", "erase")),
    ("card_flash", ("read", "program", "erase")),
    ("lock", ("levels", "drive")),
)


class ScarceHome(HostHome):
    """A lock whose calls to its board pass `heap`; `visits` counts mailboxes that it has begun."""

    def __init__(self, hardware, heap):
        super().__init__("lock", hardware, front_end)
        self._build, self._heap, self.visits = self._build_scarce, heap, 0

    def _build_scarce(self, board, front):
        for name, calls in PARTS:
            part = getattr(board, name) if name else board
            for call in calls:
                setattr(part, call, self._heap.guarded(getattr(part, call)))
        device = lock_role.build(board, front)
        visit = device.mailbox.visit

        def counted(*arguments):
            self.visits += 1
            visit(*arguments)

        device.mailbox.visit = counted
        return device


def scarce_post(make):
    """A post whose lock knows a resident, that resident's card, and the heap of the lock."""
    post, card, heap = Post(), mail_card(make), Heap()
    post.grant(CARD_NO)
    post.inform()
    post.enter(card)
    assert post.open(card)
    post.lodge.home = ScarceHome(post.lodge.hardware, heap)
    return post, card, heap


def approved(post):
    return post.lodge.entries().count((CARD_NO, reasons.APPROVED))


def strike(post, card, heap, number):
    """Hold a card there; whether memory ran out, at call `number` from now on."""
    lodge = post.lodge
    lodge.touch()
    heap.empty_at = heap.calls + number
    lodge.hardware.put_card(card)
    try:
        lodge.run_ms(1500)
        is_struck = False
    except MemoryError:
        is_struck = True
    heap.empty_at = NEVER
    lodge.hardware.take_card(card)
    if is_struck:
        lodge.hang()
    lodge.until_asleep()
    return is_struck


@pytest.mark.parametrize("make", MAKES)
def test_memory_runs_out_while_a_card_is_visited(make):
    """At some of the calls of a tap: an opening whose mailbox was begun is in the books, once."""
    post, card, heap = scarce_post(make)
    draws = []
    drive = post.lodge.hardware.bolt_drive

    def counted(direction):
        if direction == lock.DRAW:
            draws.append(approved(post))
        drive(direction)

    post.lodge.hardware.bolt_drive = counted
    struck = within = 0
    for number in range(1, 2000, 13):
        drawn, written, visited = len(draws), approved(post), post.lodge.home.visits
        if not strike(post, card, heap, number):
            break
        struck += 1
        new = approved(post) - written
        assert new <= len(draws) - drawn <= 1, "told, and nobody had opened it"
        if post.lodge.home.visits > visited:
            within += 1
            assert new == 1, "what was open is written before the mailbox is looked at"
    print(make, struck, "times without memory,", within, "of them in the mailbox")
    assert struck > 10 and within > 5
    causes = [each["cause"] for each in post.lodge.records(messages.BOOT)]
    assert causes.count(WATCHDOG_RESET) == struck, "each of them says why it has started anew"
    # And all of it comes home, each once.
    sequences = [each["seq"] for each in post.lodge.records(*range(64))]
    assert sequences == sorted(set(sequences))
    for _ in range(40):
        post.enter(card)
        post.settle()
        if post.booked() and post.booked()[-1] >= sequences[-1]:
            break
        post.enter(card)
        post.open(card)
    booked = post.booked()
    assert booked == list(range(1, booked[-1] + 1)) and booked[-1] >= sequences[-1]
    assert post.store.cases() == []
