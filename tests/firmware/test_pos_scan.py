"""FN 8 at the POS: paid by the merchant's aggregate code, on the merchant's word (R23.1b).

No card and no network have a part in it. Either a record stands on flash, or the clerk sees that
the order is gone.
"""

from functools import partial

import pytest
import zxingcpp

from firmware.services.journal import Journal, JournalFull
from ledger.aggregate_picture import BYTES_MAX, NoPicture, draw
from protocols.rules import charging, charging_texts, menu, reasons
from protocols.wire import messages
from simulator import screen
from simulator.chips.nor_flash import PowerCut
from tests.firmware.counter import MERCHANT, Counter, new_card, truth, writes_of
from tests.firmware.test_pos import Online, heard
from tests.firmware.test_pos_cuts import SAME_CARD, unsettled

ADDRESS = "https://qr.alipay.com/fkx18756nqmm5rmfgqpty88"
PICTURE = draw(ADDRESS).data
AMOUNT, AMOUNT_FEN = "12.50", 1250
SHOWN = ("SCAN ME", AMOUNT)
WELCOME = ("WELCOME", "")
CARD_PLEASE = ("CARD PLEASE", AMOUNT)
PATIENCE_MS = 120_000


class Window(Counter):
    """A counter whose reader has a clerk's display, and the picture of a code."""

    picture = PICTURE

    def __init__(self, **fields):
        super().__init__(**{"language": "en", **fields})

    def boot(self, tell_time=True):
        self.hardware.nvs["aggregate"] = self.picture
        super().boot(tell_time)

    def ask(self, amount=AMOUNT):
        self.key(amount.encode() + b"\rF8")
        return self.lines

    def scans(self):
        return self.records(messages.AGGREGATE)

    def lcd(self):
        return [line.decode("gb2312").strip() for line in self.hardware.lcd.lines()]


def read_by_phone(window):
    """What a phone that is held before the clerk's display reads there."""
    image = screen.render(window.hardware.lcd)
    scale = 4
    rows = []
    for at in range(0, len(image.dots), 16):
        bits = f"{int.from_bytes(image.dots[at : at + 16], 'big'):0128b}"
        row = b"".join((b"\x00" if bit == "1" else b"\xff") * scale for bit in bits)
        rows += [b"\xff" * 16 + row + b"\xff" * 16] * scale  # the glass is wider than its dots
    edge = [b"\xff" * len(rows[0])] * 16
    rows = edge + rows + edge
    picture = memoryview(b"".join(rows)).cast("B", [len(rows), len(rows[0])])
    return [code.text for code in zxingcpp.read_barcodes(picture, try_invert=False)]


# -- failures first -----------------------------------------------------------------------------


def confirm(window):
    window.key(b"\r")
    window.run_ms(50)


def check_told(window):
    """After a boot: whether there is a record, which the reader then tells of."""
    scans = window.scans()
    assert len(scans) <= 1
    told = ("BY SCAN, UNCHKD", f"{AMOUNT} #{scans[0]['seq']}") if scans else WELCOME
    assert window.lines == told
    return bool(scans)


def test_power_goes_at_any_moment_of_the_confirmation():
    """The record stands and the reader says so, or it welcomes the next one and there is none."""
    outcomes = set()
    for cut_us in range(0, 20_000, 800):
        window = Window()
        window.ask()

        def fail():
            raise PowerCut

        window.clock.at(window.clock.now_us + cut_us, fail)
        assert not window.survives(partial(confirm, window))
        window.boot()
        outcomes.add(check_told(window))
    assert outcomes == {True}, "it was on flash before anything else"


def test_power_goes_in_the_flash_operation_of_the_confirmation():
    outcomes = set()
    for seed in range(24):
        window = Window(seed=seed)
        window.ask()
        window.flash.cut_after(0)
        assert not window.survives(lambda window=window: window.key(b"\r"))
        window.flash.cut_after(1 << 40)
        window.boot()
        outcomes.add(check_told(window))
    assert outcomes == {True, False}, "torn ones and whole ones"


@pytest.mark.parametrize("cut_ms", range(0, 400, 20))
def test_power_goes_at_any_moment_while_the_code_comes_up(cut_ms):
    window = Window()
    window.key(AMOUNT.encode() + b"\r")

    def fail():
        raise PowerCut

    window.after_ms(cut_ms, fail)
    assert not window.survives(lambda: (window.key(b"F8"), window.run_ms(1000)))
    window.boot()
    assert window.lines == WELCOME and window.scans() == []


def test_over_two_boots_in_a_row_it_is_still_told():
    window = Window()
    window.ask()
    window.key(b"\r")
    (scan,) = window.scans()
    for _ in range(2):
        window.die()
        window.boot()
        assert window.lines == ("BY SCAN, UNCHKD", f"{AMOUNT} #{scan['seq']}")
        assert window.lcd()[:3] == ["BY SCAN, UNCHKD", "AMOUNT     12.50", f"REF{scan['seq']:>13}"]
    assert len(window.scans()) == 1
    card = new_card()
    assert window.sell("3", card) == "PAID 3.00"
    window.die()
    window.boot()
    assert window.shown == "LAST PAID"


def test_a_full_journal_shows_no_code_and_takes_nobodys_word():
    window = Window(sectors=4)
    while window.pos._recorder.has_room():
        window.pos._recorder.note(messages.POWER, 0, source=0, battery_mv=4000)
    count = len(window.records())
    assert window.ask()[0] == reasons.display(reasons.JOURNAL_FULL)
    assert not window.hardware.lcd.has_graphics
    window.key(b"\r")
    assert len(window.records()) == count and window.scans() == []


def test_a_journal_that_is_full_behind_the_code_says_so():
    """Somebody may have paid: the clerk is told that nothing was written."""
    window = Window(sectors=4)
    assert window.ask() == SHOWN
    while window.pos._recorder.has_room():
        window.pos._recorder.note(messages.POWER, 0, source=0, battery_mv=4000)
    window.key(b"\r")
    assert window.shown == reasons.display(reasons.JOURNAL_FULL) and window.scans() == []


def test_flash_that_turns_out_to_be_worn_says_so(monkeypatch):
    window = Window()
    window.ask()

    def worn(self, sealed):
        raise JournalFull

    monkeypatch.setattr(Journal, "append", worn)
    window.key(b"\r")
    assert window.shown == reasons.display(reasons.JOURNAL_FULL) and window.scans() == []


def test_confirm_twice_is_one_record():
    window = Window()
    window.ask()
    window.key(b"\r\r\r")
    assert len(window.scans()) == 1


@pytest.mark.parametrize("leave", [b"\x1b", None])
def test_who_does_not_pay_leaves_nothing(leave):
    window = Window()
    window.ask()
    if leave is None:
        window.run_ms(PATIENCE_MS - 2_000)
        assert window.lines == SHOWN
        window.run_ms(3_000)
    else:
        window.key(leave)
    assert window.lines == WELCOME and not window.hardware.lcd.has_graphics
    window.key(b"\r")
    assert window.scans() == []


def test_a_card_held_to_the_code_pays_nothing():
    window, card = Window(), new_card()
    window.ask()
    window.tap(card)
    assert writes_of(card) == 0 and window.lines == SHOWN
    window.key(b"\r")
    window.tap(card)
    assert truth(card).counter == 0 and len(window.scans()) == 1
    assert window.records(messages.INTENT, messages.OUTCOME) == []


@pytest.mark.parametrize("torn", ["new", "old"])
def test_a_card_that_may_have_paid_comes_first(torn):
    """Torn at the commit: nobody pays the same order by phone before the card has told."""
    counter, card = unsettled(torn)
    before = counter.lines
    counter.key(b"F8\r")
    assert counter.lines == before and counter.records(messages.AGGREGATE) == []
    counter.tap(card)
    assert counter.shown == "PAID 12.50" and truth(card).counter == 1


def test_when_it_is_known_that_no_card_has_paid_a_phone_may():
    """After a cut: the card says that it was not debited, and leaves for good."""
    counter, card = unsettled("old")
    counter.die()
    counter.boot()
    assert counter.shown == SAME_CARD

    def leave(_number):
        if counter.pos._till.pending is None:
            counter.take(card)

    counter.hardware.chip.before_exchange = leave
    counter.put(card)
    counter.run_ms(700)
    assert counter.lines == (reasons.display(reasons.CARD_GONE), AMOUNT)
    counter.key(b"F8\r")
    (scan,) = counter.records(messages.AGGREGATE)
    assert scan["amount_fen"] == AMOUNT_FEN and truth(card).counter == 0


def test_the_next_key_begins_the_next_order_and_no_old_card_is_asked_for():
    window, card = Window(), new_card()
    window.ask()
    window.key(b"\r")
    window.key(b"3\r")
    assert window.lines == ("CARD PLEASE", "3.00")
    window.tap(card)
    assert window.shown == "PAID 3.00" and truth(card).balance_fen == 9_700


# -- what it is for ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_online", [True, False])
@pytest.mark.parametrize("has_mains", [True, False])
def test_on_battery_and_offline_as_ever(is_online, has_mains):
    window = Window()
    if is_online:
        window.pos._uplink = Online()
    window.hardware.set_mains(has_mains)
    window.run_ms(1000)
    heard(window)
    assert window.ask() == SHOWN
    window.key(b"\r")
    _beeps, lights = heard(window)
    window.run_ms(500)
    (scan,) = window.scans()
    assert (scan["amount_fen"], scan["merchant_no"]) == (AMOUNT_FEN, MERCHANT)
    assert window.lines == ("BY SCAN, UNCHKD", f"{AMOUNT} #{scan['seq']}")
    assert not any(light[:1] == b"\x01" for light in lights), "nobody has verified anything"
    window.run_ms(5_000)
    assert window.lines[0] == "BY SCAN, UNCHKD", "somebody writes it down"
    window.run_ms(6_000)
    assert window.lines == WELCOME


def test_a_phone_reads_the_address_from_the_glass():
    window = Window()
    window.ask()
    assert read_by_phone(window) == [ADDRESS]
    assert window.lcd() == ["SCAN ME", "12.50", "PAID?", "OK / ESC"]
    window.run_ms(6_000)
    assert read_by_phone(window) == [ADDRESS], "refreshed"
    assert window.hardware.lcd.violations == []


def test_the_light_stays_on_for_the_phone_and_goes_then():
    window = Window(has_radio=True)
    window.hardware.set_mains(False)
    window.run_ms(10_000)
    assert not window.hardware.panel.is_lit
    window.ask()
    window.run_ms(100_000)
    assert window.hardware.panel.is_lit and window.lines == SHOWN
    window.key(b"\r")
    window.run_ms(6_000)
    assert not window.hardware.panel.is_lit


def test_no_warning_is_drawn_over_a_code():
    window = Window()
    window.ask()
    shown = window.lcd()
    window.hardware.set_mains(False)
    window.run_ms(30_000)
    assert read_by_phone(window) == [ADDRESS] and window.lcd() == shown
    window.key(b"\x1b")
    assert window.lcd()[2].startswith("BATT")


@pytest.mark.parametrize("picture", [b"", bytes(127), bytes(129), b"x"])
def test_without_a_picture_the_code_on_paper_has_to_do(picture):
    window = Window()
    window.hardware.nvs["aggregate"] = picture
    assert window.ask() == SHOWN
    assert not window.hardware.lcd.has_graphics
    assert window.lcd() == ["SCAN ME", "12.50", "PAID?", "OK / ESC"]
    window.key(b"\r")
    assert len(window.scans()) == 1


def test_without_a_clerks_display_too():
    window = Window(language=None)
    assert window.ask() == SHOWN
    window.key(b"\r")
    assert len(window.scans()) == 1


def test_an_amount_that_does_not_fit_beside_the_picture_is_never_cut():
    window = Window()
    window.ask("100000")
    assert window.lcd() == ["SCAN ME", "100000.00", "PAID?", "OK / ESC"]
    assert not window.hardware.lcd.has_graphics
    window.key(b"\x1b")
    window.ask("99999.99")
    assert window.lcd()[1] == "99999.99" and read_by_phone(window) == [ADDRESS]


def test_nothing_keyed_is_no_order():
    window = Window()
    window.key(b"F8")
    said = charging_texts.TEXTS[charging.NOTHING_KEYED][0]
    assert window.shown == said
    window.key(b"7\r")
    assert window.lines == ("CARD PLEASE", "7.00"), "and the next keys are an amount"
    window.key(b"F")
    assert window.lines == ("CARD PLEASE", "7.00")
    window.key(b"7F")
    card = new_card()
    window.tap(card)
    assert window.shown == "PAID 7.00"


def test_who_shows_no_card_pays_the_highest_price():
    rows = ((5, 1, 0, 800), (5, 2, 0, 600), (5, 3, 0, 1200))
    window = Window(menu=menu.encode(charging.packed(rows), ()))
    window.key(b"F35\r")
    assert window.lines == ("CARD PLEASE", "6.00-12.00")
    window.tap(new_card(balance_fen=1))
    window.run_ms(3_000)
    window.key(b"5\rF8")
    assert window.lines == ("SCAN ME", "12.00")
    window.key(b"\r")
    assert window.scans()[0]["amount_fen"] == 1200


def test_shift_and_week_have_a_line_of_their_own():
    window, card = Window(), new_card()
    window.sell("3", card)
    for _ in range(2):
        window.ask()
        window.key(b"\r")
    window.key(b"\x1bFT")
    for page in ("SHIFT TOTALS", "7-DAY TOTALS"):
        assert window.lcd() == [page, "SALES          1", "TOTAL       3.00", "SCAN     2 25.00"]
        assert window.lines == ("SALES 3", "3.00 +25.00")
        window.key(b"T")
    for _ in range(20):
        window.key(b"\x1b")
        window.ask()
        window.key(b"\r")
    window.run_ms(1000)
    window.die()
    window.boot()
    window.pos._totals.read_on()
    assert window.pos._totals.sums(True) == [1, 300, 0, 0, 22, 27500]


def test_the_last_sale_that_can_be_cancelled_is_the_cards():
    window, card = Window(), new_card()
    window.pos._uplink = Online()
    window.sell("3", card)
    window.ask()
    window.key(b"\r\x1bF7")
    assert window.shown == "CANCEL: TAP CARD"


# -- the picture ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["https://a.cn/1", "HTTPS://PAY.EXAMPLE/71", "1", "x" * BYTES_MAX, "A1" * 38 + "Z", "0" * 127],
)
def test_what_fits_is_read_back(text):
    window = Window()
    window.hardware.nvs["aggregate"] = draw(text).data
    window.ask()
    assert read_by_phone(window) == [text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * (BYTES_MAX + 1), "54 characters do not fit"),
        ("A" * 78, "78 characters do not fit"),
        ("x" * 5_000, "5000 characters do not fit"),
        ("", "printable ASCII"),
        ("https://a.cn/1 2", "printable ASCII"),
        ("https://支付.cn", "printable ASCII"),
        ("a\n", "printable ASCII"),
    ],
)
def test_what_does_not_fit_is_refused(text, said):
    with pytest.raises(NoPicture, match=said):
        draw(text)
