"""The menu of a POS from the ledger: whole or not at all, never an older one, and no sale waits.

The window is the real POS, the centre the ledger's own books and desk; the line between them
loses, doubles, holds back and changes what is said.
"""

import pytest

from firmware.services.order import ASK_MS
from ledger.menus import MenuDesk
from ledger.relay_desk import RelayDesk
from protocols.rules import charging, menu, settings
from protocols.wire import messages
from simulator.chips.nor_flash import PowerCut
from tests.firmware.counter import MERCHANT, NOON_S, SITE, new_card
from tests.load.counter import Centre, Window

PERIODS = ((630, 810, 0, 0, 1, 1, 1, 0, 0, 0),)
MINUTE_MS = 60_000


def a_menu(fen, rows=1):
    """Item 1 for so much; `rows` of others make it longer."""
    others = [(2 + number // 3, 1 + number % 3, 0, 100) for number in range(rows - 1)]
    return menu.encode(charging.packed([(1, 0, 0, fen), *others]), PERIODS)


LONG = 200  # rows: more than 1,200 bytes, five pages


class MenuCentre(Centre):
    """The card centre, whose desk has menus too."""

    def boot(self):
        super().boot()
        self.menu_desk = MenuDesk(self.store.menus)
        self.desk = RelayDesk(self.store, self.credit, self.menu_desk)

    def set_menu(self, data, site=""):
        return self.store.menus.set_menu(MERCHANT, site, data, "wang", NOON_S)


class MenuWindow(Window):
    """A window whose settings say that its menu is the ledger's."""

    def boot(self, tell_time=True):
        own = settings.decode(self.hardware.nvs["settings"])
        self.hardware.nvs["settings"] = settings.encode({**own, "ledger_menu": 1})
        super().boot(tell_time)

    def price(self, card_no=1):
        """What item 1 costs there now, as the display says; the sale is dropped."""
        self.key(b"\x1bF31\r")
        shown = self.lines
        self.key(b"\x1b\x1bF1")
        return shown[1] if shown[0] == "CARD PLEASE" else shown[0]

    def wait(self):
        """Until it has asked again, and heard."""
        self.run_ms(ASK_MS + MINUTE_MS)


@pytest.fixture
def at(tmp_path):
    centre = MenuCentre(tmp_path / "ledger.sqlite", "classic")
    yield centre, MenuWindow(centre)
    centre.store.close()


def test_it_comes_page_by_page_and_holds_behind_a_boot(at):
    centre, window = at
    before = window.price()
    epoch = centre.set_menu(a_menu(900, LONG))
    window.wait()
    assert before != window.price() == "9.00"
    assert centre.menu_desk.counters["pages"] == 5
    assert window.hardware.nvs["menu"] == a_menu(900, LONG)
    assert window.hardware.nvs["menu_epoch"] == epoch.to_bytes(4, "big")
    window.die()
    window.boot()
    assert window.price() == "9.00"
    window.wait()
    assert centre.menu_desk.counters["pages"] == 5, "what it has is not fetched again"
    card = new_card(7)
    window.key(b"F31\r")
    window.tap(card)
    assert window.shown == "PAID 9.00"


@pytest.mark.parametrize("fate", ["lost", "late", "forged", "twice", "old"])
@pytest.mark.parametrize("way", ["up", "down"])
def test_whatever_happens_to_a_word_the_old_one_holds_until_the_new_one_is_whole(at, way, fate):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    for number in range(4):
        centre.set_menu(a_menu(1_000 + 100 * number, LONG))
        line = window.line
        line.plan = {(way, len(line.said[way]) + number): fate}
        prices = set()
        for _ in range(15):
            window.run_ms(MINUTE_MS)
            line.bring_late(window.ticks_us() // 1000)
            prices.add(window.price())
        was = "9.00" if not number else f"{9 + number}.00"
        assert prices <= {was, f"{10 + number}.00"}
        window.wait()
        assert window.price() == f"{10 + number}.00"


def test_one_that_is_replaced_while_it_comes_is_begun_with_anew(at):
    centre, window = at
    centre.set_menu(a_menu(900, LONG))
    answer, asked = centre.menu_desk.answer, []

    def changing(device, key, said, now_ms):
        asked.append(said["page"])
        if len(asked) == 3:
            centre.set_menu(a_menu(1_100, LONG - 40))
        return answer(device, key, said, now_ms)

    centre.menu_desk.answer = changing
    window.wait()
    assert window.price() == "11.00" and asked[:5] == [1, 2, 3, 2, 3]


def test_power_goes_at_any_page_and_between_the_two_values(at):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    epoch = centre.set_menu(a_menu(1_000, LONG))
    answer, said = centre.menu_desk.answer, []

    def until(pages):
        """The centre answers so many questions more."""
        said.clear()

        def answers(*question):
            said.append(question)
            return answer(*question) if len(said) <= pages else None

        centre.menu_desk.answer = answers

    for pages in range(1, 5):
        until(pages)
        window.wait()
        assert len(said) > pages
        assert window.hardware.nvs["menu"] == a_menu(900), "not before it is whole"
        window.die()
        window.boot()
        window.line.online = False
        assert window.price() == "9.00"
        window.line.online = True
    until(100)
    store, writes = window.pos._order._board.store, []

    def cut(name, data):
        if name == "menu_epoch":
            writes.append(name)
            raise PowerCut  # behind the first of the two
        store(name, data)

    window.pos._order._board.store = cut
    with pytest.raises(PowerCut):
        window.wait()
    window.die()
    window.boot()
    assert writes and window.price() == "10.00", "it was whole"
    window.wait()
    assert window.price() == "10.00"
    assert window.hardware.nvs["menu_epoch"] == epoch.to_bytes(4, "big")


def test_an_older_one_is_refused(at):
    """The books were put back, or somebody says an old word under the right key."""
    centre, window = at
    centre.set_menu(a_menu(900))
    epoch = centre.set_menu(a_menu(1_000))
    window.wait()
    centre.store.menus.newest = lambda _device: (epoch - 1, a_menu(900))
    window.wait()
    assert window.price() == "10.00" and centre.menu_desk.counters["ahead"] > 0
    centre.menu_desk.answer = lambda _d, _k, said, _n: (
        messages.MENU,
        {"epoch": epoch - 1, "page": 1, "data": a_menu(900)},
    )
    window.wait()
    assert window.price() == "10.00"
    assert window.hardware.nvs["menu_epoch"] == epoch.to_bytes(4, "big")


@pytest.mark.parametrize("bad", [b"\xa0", b"\x00", bytes(2_400), b"\xff" * 300])
def test_one_that_is_none_is_told_and_stops_nothing(at, bad):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    centre.store.menus.newest = lambda _device: (7, bad)
    window.wait()
    (fault,) = window.records(messages.FAULT)
    assert fault["last_reason"] == charging.PRICE_FORM
    assert window.price() == "9.00" and window.hardware.nvs["menu"] == a_menu(900)
    assert window.sell("12.50", new_card(3)) == "PAID 12.50"
    window.wait()
    assert len(window.records(messages.FAULT)) == 1, "told once, not every ten minutes"
    # What is set right comes, and a boot forgets nothing of the good one.
    centre.store.menus.newest = lambda _device: (8, a_menu(1_200))
    window.wait()
    assert window.price() == "12.00"


def test_no_room_for_it_is_told_and_the_old_one_holds(at):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()

    def full(_name, _data):
        raise OSError("ESP_ERR_NVS_NOT_ENOUGH_SPACE")

    window.pos._order._board.store = full
    centre.set_menu(a_menu(1_000))
    window.wait()
    assert len(window.records(messages.FAULT)) == 1 and window.price() == "9.00"


def test_prices_do_not_change_under_a_sale(at):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    window.run_ms(ASK_MS - 2 * MINUTE_MS)
    centre.set_menu(a_menu(1_000))
    for _ in range(20):
        window.key(b"\x1bF31\r")
        shown = window.lines[1]
        window.run_ms(20_000)
        assert window.lines == ("CARD PLEASE", shown)
    window.key(b"\x1b")
    window.run_ms(3 * MINUTE_MS)
    assert window.price() == "10.00"


def test_it_is_asked_for_when_the_network_is_back(at):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.line.online = False
    window.wait()
    assert window.price() not in ("9.00",)
    window.line.online = True
    window.run_ms(2 * MINUTE_MS)
    assert window.price() == "9.00"


def test_a_site_has_its_own_and_without_the_setting_nobody_asks(at):
    centre, window = at
    centre.set_menu(a_menu(900))
    centre.set_menu(a_menu(800), site="elsewhere")
    centre.set_menu(a_menu(700), site=SITE)
    window.wait()
    assert window.price() == "7.00"
    asks = centre.menu_desk.counters["asks"]
    silent = Window(centre)
    silent.run_ms(ASK_MS + MINUTE_MS)
    assert centre.menu_desk.counters["asks"] == asks
