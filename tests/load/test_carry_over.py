"""The new card of somebody who lost one comes to a window: real card, real reader, real books.

What was on the old card comes on the new one once its time has come, whatever happens to the words
between; before that, and without network, the reader says later and makes no money.
"""

import pytest

from ledger.carry_over import AFTER_S
from ledger.invariants import check
from ledger.reasons import SPENT_WHILE_LOST
from protocols.rules.card_status import CLOSED
from protocols.wire import messages
from tests.firmware.counter import CARD_NO, DEVICE, MERCHANT, NOON_S
from tests.load.counter import BALANCE_FEN, CHIPS, Centre, Window, a_card, view_of

NEW_NO = CARD_NO + 1
LATER = "LOAD LATER"


class Replaced(Centre):
    """A card centre where CARD_NO was lost `lost_s` ago, and NEW_NO, empty, is in its place."""

    def __init__(self, path, chip, lost_s=AFTER_S, **options):
        super().__init__(path, chip, loads=0, **options)
        self.store.issue_cards([(NEW_NO, 0)])
        self.new_card = a_card(chip, card_no=NEW_NO, balance_fen=0)
        kind = messages.DESFIRE if chip == "desfire" else messages.CLASSIC
        self.store.know_chips([(NEW_NO, self.new_card.uid)], kind)
        self.store.cards.set("lose", CARD_NO, NOON_S - lost_s)
        self.store.reissues.reissue(CARD_NO, NEW_NO, NOON_S - 60, "id-card")

    def holds(self):
        """(purse of the old card, waiting for the new one, purse of that)."""
        balances = self.store.balances()
        return (
            balances["holder", CARD_NO],
            balances.get(("pending", NEW_NO), 0),
            balances["holder", NEW_NO],
        )


@pytest.fixture(params=CHIPS)
def chip(request):
    return request.param


@pytest.fixture
def centre_of(tmp_path, chip):
    """Makes card centres; each has a database of its own."""
    made = []

    def make(**options):
        made.append(Replaced(tmp_path / f"{len(made)}.sqlite", chip, **options))
        return made[-1]

    yield make
    for centre in made:
        centre.store.close()


def test_the_tap_that_is_refused_brings_what_was_frozen(centre_of):
    centre = centre_of()
    card, window = centre.new_card, Window(centre)
    assert window.visit(card, "8.00") == f"LOADED {BALANCE_FEN // 100}.00"
    assert view_of(card).balance_fen == BALANCE_FEN
    assert window.visit(card, "8.00") == f"BALANCE {BALANCE_FEN // 100 - 8}.00"
    centre.book(window)
    assert centre.holds() == (0, 0, BALANCE_FEN - 800)
    for _ in range(2):
        window.visit(card)
    centre.book(window)
    assert centre.holds() == (0, 0, view_of(card).balance_fen)
    assert centre.credit.counters["carried_over"] == 1


def test_before_its_time_the_reader_says_later(centre_of):
    centre = centre_of(lost_s=AFTER_S - 3600)
    card, window = centre.new_card, Window(centre)
    for _ in range(2):
        assert window.visit(card, "8.00") == LATER
    assert not window.records(messages.CREDIT) and view_of(card).balance_fen == 0
    assert centre.holds() == (BALANCE_FEN, 0, 0)
    assert centre.credit.counters["not_due"] == 2
    centre.skew_s = 3600
    assert window.visit(card, "8.00") == f"LOADED {BALANCE_FEN // 100}.00"
    assert centre.holds()[:2] in ((0, 0), (0, BALANCE_FEN))


def test_a_later_that_comes_late_or_twice_or_forged_does_nothing(centre_of):
    for act in ("late", "twice", "forged", "lost"):
        centre = centre_of(lost_s=AFTER_S - 3600)
        card, window = centre.new_card, Window(centre)
        window.line.plan["down", 0] = act
        said = window.visit(card, "8.00")
        assert (said == LATER) == (act == "twice"), act
        window.line.bring_late(window.ticks_us() // 1000)
        assert view_of(card).balance_fen == 0
        window.line.plan.clear()
        centre.skew_s = 3600
        assert window.visit(card, "8.00") == f"LOADED {BALANCE_FEN // 100}.00", act


def test_offline_the_reader_says_later_to_whoever_has_too_little(centre_of):
    centre = centre_of()
    card, window = centre.new_card, Window(centre)
    window.line.online = False
    assert window.visit(card, "8.00") == LATER
    assert not window.records(messages.CREDIT) and view_of(card).balance_fen == 0
    assert centre.holds() == (BALANCE_FEN, 0, 0)
    window.line.online = True
    assert window.visit(card, "8.00").startswith("LOADED")
    # With enough on the card there is nothing to say.
    window.line.online = False
    assert window.visit(card, "8.00").startswith("BALANCE")


def test_who_has_paid_is_shown_the_balance_and_no_later(centre_of):
    centre = centre_of(lost_s=AFTER_S - 3600)
    card, window = centre.new_card, Window(centre)
    centre.store.top_ups.top_up(NEW_NO, 2_000, "order-1")
    assert window.visit(card, "8.00") == "LOADED 20.00"
    assert window.visit(card, "8.00") == "BALANCE 12.00"
    centre.book(window)
    assert window.visit(card, "15.00") == LATER


@pytest.mark.parametrize("act", ["lost", "late", "twice", "forged", "die"])
def test_whatever_happens_to_a_word_it_comes_once(centre_of, act):
    """To each word of the first visit; the centre forgets everything that is not on its disk."""
    for direction, number in [(way, at) for way in ("up", "down") for at in range(3)]:
        centre = centre_of()
        card, window = centre.new_card, Window(centre)
        if act == "die":
            window.line.plan[direction, number] = "late"
            window.visit(card, "8.00")
            centre.die()
        else:
            window.line.plan[direction, number] = act
            window.visit(card, "8.00")
        assert view_of(card).balance_fen in (0, BALANCE_FEN)
        window.line.plan.clear()
        window.line.bring_late(window.ticks_us() // 1000)
        for _ in range(3):
            window.visit(card, "1.00")
            centre.book(window)
        took_fen = centre.store.takings(MERCHANT)
        assert 100 <= took_fen <= 1_100
        assert view_of(card).balance_fen + took_fen == BALANCE_FEN, (direction, number)
        assert centre.holds() == (0, 0, view_of(card).balance_fen)


def test_the_old_card_is_asked_for_nothing_more(centre_of, chip):
    """Its finder pays where nobody knows yet: booked, not its holder's, and nothing is loaded."""
    centre = centre_of(devices=(DEVICE, DEVICE + 1))
    old, new = a_card(chip), centre.new_card
    window, far = Window(centre), Window(centre, DEVICE + 1)
    far.visit(old, "9.00")
    assert view_of(old).balance_fen == BALANCE_FEN - 900
    assert centre.credit.counters["barred"] == 1
    assert window.visit(new, "8.00").startswith("LOADED")
    centre.book(window, far)
    assert centre.holds() == (0, 0, BALANCE_FEN)
    assert centre.store.balances()["loss", SPENT_WHILE_LOST] == -900
    assert centre.store.cards.status(CARD_NO) == CLOSED
    assert check(centre.store) == []
