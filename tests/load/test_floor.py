"""Above the floor limit the ledger is asked, with the card lying there and nothing written yet.

The window is the real POS, the centre the ledger's own books and desks; the line between them
loses, doubles, holds back and changes what is said, or its agent says that nobody will answer.
"""

import pytest

from firmware.services.floor import ANSWER_MS, GOOD_MS
from ledger.relay_desk import RelayDesk
from ledger.spend_desk import SpendDesk
from protocols.rules import reasons, screen_texts, screens
from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from tests.firmware.counter import CARD_NO, DEVICE_KEY, NOON_S, new_card
from tests.firmware.pin_window import CLASSIC, DIGITS, WRONG
from tests.firmware.pin_window import new_card as pin_card
from tests.load.counter import CHIPS, Centre, Window, a_card

FLOOR = 2_000
MUCH, LITTLE = "30.00", "20.00"  # at the limit itself nobody is asked
WAIT = screen_texts.TEXTS[screens.ONE_MOMENT][0]


class FloorCentre(Centre):
    """The card centre, whose desk has spends too."""

    def boot(self):
        super().boot()
        self.spends = SpendDesk(self.store.database)
        self.desk = RelayDesk(self.store, self.credit, self.spends)


class FloorWindow(Window):
    """A window with a floor limit, whose agent answers; without network FLOOR is the most."""

    def __init__(self, centre, **policy):
        limits = {"floor_max_fen": FLOOR, "offline_max_fen": FLOOR, **policy}
        super().__init__(centre, loads=False, **limits)

    def boot(self, tell_time=True):
        super().boot(tell_time)
        self.pos._sources = lambda: ("mains", "online" if self.line.online else "offline")

    def pay(self, card, amount=MUCH, hold_ms=ANSWER_MS + 1_500):
        """Key it, hold the card there for so long at most; what was shown in the end."""
        self.key(b"\x1b" + amount.encode() + b"\r")
        self.put(card)
        for _ in range(0, hold_ms, 100):
            self.run_ms(100)
            if self.shown not in ("CARD PLEASE", WAIT):
                break
        self.take(card)
        return self.shown

    def kinds(self):
        return [one["kind"] for one in self.records() if one["kind"] in (2, 3, 4)]

    def asks(self):
        """What was asked, opened: (card_no, counter, amount_fen)."""
        key, found = seal.derive(DEVICE_KEY, messages.RELAY_LABEL), []
        for sealed in self.line.said["up"]:
            said = seal.unseal(key, sealed, messages.RELAY_UP)
            said = messages.decode_relayed(said, (messages.SPEND_ASK,))
            found.append((said["card_no"], said["counter"], said["amount_fen"]))
        return found


def reason_text(reason):
    return reasons.display(reason)


@pytest.fixture(params=CHIPS)
def at(tmp_path, request):
    centre = FloorCentre(tmp_path / "ledger.sqlite", request.param)
    yield centre, FloorWindow(centre), a_card(request.param)
    centre.store.close()


def test_it_is_asked_once_and_pays_and_the_next_one_is_asked_anew(at):
    centre, window, card = at
    assert window.pay(card) == "PAID 30.00"
    assert [amount for _, _, amount in window.asks()] == [3_000]
    assert window.kinds() == [messages.INTENT, messages.OUTCOME]
    window.run_ms(6_000)
    assert window.pay(card) == "PAID 30.00"
    asks = window.asks()
    assert len(asks) == 2 and asks[0][1] + 1 == asks[1][1]
    centre.book(window)


def test_up_to_the_floor_and_without_the_setting_nobody_is_asked(at):
    centre, window, card = at
    assert window.pay(card, LITTLE) == "PAID 20.00"
    other = FloorWindow(centre, floor_max_fen=0)
    assert other.pay(new_card(), MUCH) == "PAID 30.00"
    assert window.line.said["up"] == other.line.said["up"] == []


def test_nobody_is_asked_about_a_spend_that_cannot_be(at):
    _centre, window, card = at
    assert window.pay(card, "100.01") in map(
        reason_text, (reasons.OVER_SPEND_LIMIT, reasons.BALANCE_SHORT)
    )
    window.run_ms(6_000)
    window.line.online = False
    assert window.pay(card) == reason_text(reasons.OVER_OFFLINE_LIMIT)
    assert window.line.said["up"] == []


# --- what the books say --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "reason"),
    [("lose", reasons.CARD_LOST), ("freeze", reasons.CARD_SUSPENDED)],
)
def test_a_card_that_was_lost_a_minute_ago_pays_little_and_not_much(at, verb, reason):
    """The reader's list does not know yet."""
    centre, window, card = at
    centre.store.cards.set(verb, CARD_NO, NOON_S, "withdrawal-notice" if verb == "freeze" else "")
    assert window.pay(card) == reason_text(reason)
    (refusal,) = window.records(messages.REFUSAL)
    assert (refusal["card_no"], refusal["amount_fen"]) == (CARD_NO, 3_000)
    assert window.kinds() == [messages.REFUSAL], "nothing was begun on the card"


def test_a_card_that_shows_an_older_state_than_it_left_pays_nothing_much(tmp_path):
    """A Classic that was written back, or the copy of one whose original has paid since."""
    centre = FloorCentre(tmp_path / "ledger.sqlite", "classic")
    window, card, copy = FloorWindow(centre), new_card(CARD_NO), new_card(CARD_NO)
    assert window.pay(card, LITTLE) == "PAID 20.00"
    centre.book(window)
    window.run_ms(6_000)
    assert window.pay(copy) == reason_text(reasons.CARD_BEHIND)
    window.run_ms(6_000)
    assert window.pay(card) == "PAID 30.00", "the one that is in order"
    centre.store.close()


def test_who_is_not_in_the_books_is_sent_to_the_centre(at):
    _centre, window, _card = at
    assert window.pay(new_card(CARD_NO + 5)) == reason_text(reasons.CARD_BEHIND)


# --- the line ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("fate", ["lost", "forged", "twice"])
def test_one_word_that_is_lost_or_doubled_changes_nothing(at, way, fate):
    _centre, window, card = at
    window.line.plan = {(way, 0): fate}
    assert window.pay(card) == "PAID 30.00"
    assert window.kinds() == [messages.INTENT, messages.OUTCOME]


@pytest.mark.parametrize("way", ["up", "down"])
def test_silence_makes_it_a_spend_without_network(at, way):
    _centre, window, card = at
    window.line.plan = {(way, number): "lost" for number in range(99)}
    assert window.pay(card) == reason_text(reasons.OVER_OFFLINE_LIMIT)
    assert window.kinds() == [messages.REFUSAL]
    # Who tries again at once does not wait again.
    asked = len(window.line.said["up"])
    assert window.pay(card, hold_ms=500) == reason_text(reasons.OVER_OFFLINE_LIMIT)
    assert len(window.line.said["up"]) == asked
    # And what may be taken without network is taken.
    window.line.plan = {}
    window.run_ms(GOOD_MS)
    assert window.pay(card) == "PAID 30.00"


def test_what_is_allowed_without_network_is_allowed_in_silence(tmp_path):
    centre = FloorCentre(tmp_path / "ledger.sqlite", "classic")
    window = FloorWindow(centre, offline_max_fen=5_000)
    window.line.plan = {("up", number): "lost" for number in range(99)}
    assert window.pay(new_card(CARD_NO)) == "PAID 30.00"
    centre.store.close()


def test_an_agent_whose_ledger_is_away_ends_it_at_once(at):
    _centre, window, card = at
    window.line.plan = {("up", 0): "away"}
    assert window.pay(card, hold_ms=700) == reason_text(reasons.OVER_OFFLINE_LIMIT)
    assert len(window.line.said["up"]) == 1


def test_a_word_that_comes_late_or_to_another_question_does_nothing(at):
    _centre, window, card = at
    window.line.plan = {("down", number): "late" for number in range(9)}
    assert window.pay(card) == reason_text(reasons.OVER_OFFLINE_LIMIT)
    window.line.plan = {}
    window.line.bring_late(window.ticks_us() // 1000)
    assert window.pay(card, hold_ms=500) == reason_text(reasons.OVER_OFFLINE_LIMIT)
    window.run_ms(GOOD_MS)
    window.line.plan = {("down", len(window.line.said["down"])): "old"}  # the yes of before
    window.line.plan |= {
        ("down", len(window.line.said["down"]) + more): "lost" for more in range(1, 9)
    }
    assert window.pay(card) == reason_text(reasons.OVER_OFFLINE_LIMIT)


def test_a_yes_is_for_one_card_and_one_amount(at):
    centre, window, card = at
    other = new_card(CARD_NO + 1)
    centre.store.issue_cards([(CARD_NO + 1, 10_000)])
    centre.store.cards.set("lose", CARD_NO + 1, NOON_S, "")
    asked = centre.spends.answer

    def slow(device, key, said, now_ms):
        window.take(card)  # away as soon as it is asked about
        return asked(device, key, said, now_ms)

    centre.spends.answer = slow
    window.key(b"\x1b30.00\r")
    window.put(card)
    window.run_ms(1_000)
    centre.spends.answer = asked
    # Somebody else's is laid there in its place.
    window.put(other)
    window.run_ms(1_000)
    window.take(other)
    assert window.shown == reason_text(reasons.CARD_LOST)
    assert window.kinds() == [messages.REFUSAL]
    assert [card_no for card_no, *_ in window.asks()] == [CARD_NO, CARD_NO + 1]
    window.run_ms(6_000)
    # Nor does it hold for more money.
    assert window.pay(card, "40.00") == "PAID 40.00"
    assert [amount for *_, amount in window.asks()][-1] == 4_000


def test_a_boot_between_the_answer_and_the_spend_asks_anew(at):
    centre, window, card = at
    write = window.pos._recorder.write

    def cut(kind, now_ms, **fields):
        if kind == messages.INTENT:
            raise PowerCut  # the yes is there, the INTENT is not
        return write(kind, now_ms, **fields)

    window.pos._recorder.write = cut
    with pytest.raises(PowerCut):
        window.pay(card)
    window.take(card)
    centre.store.cards.set("lose", CARD_NO, NOON_S, "")
    window.die()
    window.boot()
    window.run_ms(2_000)
    assert window.pay(card) == reason_text(reasons.CARD_LOST)
    assert window.kinds() == [messages.REFUSAL]


def test_while_it_waits_nothing_is_recorded_and_esc_ends_it(at):
    _centre, window, card = at
    window.line.plan = {("up", number): "lost" for number in range(99)}
    window.key(b"\x1b30.00\r")
    window.put(card)
    window.run_ms(1_000)
    assert window.shown == WAIT
    window.key(b"\x1b")
    window.take(card)
    window.run_ms(5_000)
    assert window.kinds() == []


def test_books_from_yesterday_say_yes_where_todays_would_not(tmp_path):
    """Nothing rests on the answer: the spend is booked, and its case opened, when records come."""
    centre = FloorCentre(tmp_path / "ledger.sqlite", "classic")
    window, card, copy = FloorWindow(centre), new_card(CARD_NO), new_card(CARD_NO)
    assert window.pay(card, LITTLE) == "PAID 20.00"  # the books do not know it yet
    window.run_ms(6_000)
    assert window.pay(copy) == "PAID 30.00"
    centre.book(window)
    window.run_ms(6_000)
    assert window.pay(new_card(CARD_NO)) == reason_text(reasons.CARD_BEHIND)
    centre.store.close()


def test_a_pin_is_asked_for_behind_a_yes_and_its_tries_need_no_other(tmp_path):
    """Nobody gives a PIN for a spend that the ledger does not allow."""
    centre = FloorCentre(tmp_path / "ledger.sqlite", "classic")
    window = FloorWindow(centre, no_pin_max_fen=2_500)
    card = pin_card(CLASSIC)
    assert window.pay(card) == reason_text(reasons.PIN_NEEDED)
    asked = len(window.asks())
    assert asked == 1
    for pin in (WRONG, DIGITS):
        window.key(pin + b"\r")
        window.put(card)
        window.run_ms(1_000)
        window.take(card)
    assert window.shown == "PAID 30.00" and len(window.asks()) == asked
    window.run_ms(6_000)
    centre.book(window)
    centre.store.cards.set("lose", CARD_NO, NOON_S, "")
    assert window.pay(card) == reason_text(reasons.CARD_LOST)
    centre.store.close()
