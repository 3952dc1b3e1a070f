"""The menu of a POS from the ledger: whole or not at all, never an older one, and no sale waits.

The window is the real POS, between it and the ledger's own books and desk an agent's own disk; the
line between window and agent loses, doubles, holds back and changes what is said.
"""

import struct

import pytest

from edge_agent.card_history import CardHistory
from edge_agent.menus import MenuSide
from firmware.services.order import ASK_MS
from ledger.menu_news import MenuNews
from ledger.receipts import Signer
from protocols.rules import charging, menu, settings
from protocols.wire import messages, seal
from protocols.wire.errors import WireError
from simulator.chips.nor_flash import PowerCut
from tests.firmware.counter import DEVICE, DEVICE_KEY, MERCHANT, NOON_S, SITE, new_card
from tests.load.counter import Centre, Line, Window

PERIODS = ((630, 810, 0, 0, 1, 1, 1, 0, 0, 0),)
MINUTE_MS = 60_000


def a_menu(fen, rows=1):
    """Item 1 for so much; `rows` of others make it longer."""
    others = [(2 + number // 3, 1 + number % 3, 0, 100) for number in range(rows - 1)]
    return menu.encode(charging.packed([(1, 0, 0, fen), *others]), PERIODS)


LONG = 200  # rows: more than 1,200 bytes, five pages


class MenuCentre(Centre):
    """The card centre, and the agent that keeps its menus; `is_away`: it answers no agent."""

    is_away = False

    def boot(self):
        super().boot()
        self.menu_news = MenuNews(self.store.menus, Signer(bytes(32)))

    def set_menu(self, data, site=""):
        return self.store.menus.set_menu(MERCHANT, site, data, "wang", NOON_S)


class Agent:
    """What an agent does for menus, with a disk of its own; `told` is what it has said."""

    def __init__(self, centre, path=":memory:"):
        self.centre, self.told, self.counters = centre, [], {}
        self.history = CardHistory(str(path))
        self.menus = MenuSide(self.history, self._tell, self._ask, self._count)

    def refresh(self):
        """The agent asks what there is, as it does every five minutes."""
        if not self.centre.is_away:
            for data in self.centre.menu_news.news(SITE):
                self.menus.keep(seal.sign1_split(data)[0])

    def _ask(self, question):
        if not self.centre.is_away:
            for data in self.centre.menu_news.hear(SITE, question, 0):
                self.menus.keep(seal.sign1_split(data)[0])

    def _tell(self, device, epoch, page, data):
        self.told.append({"device": device, "epoch": epoch, "page": page, "data": data})

    def _count(self, name):
        self.counters[name] = self.counters.get(name, 0) + 1


class MenuLine(Line):
    """A line to an agent, on which CARDS go both ways."""

    def __init__(self, window, agent):
        super().__init__(window.centre, DEVICE)
        self.window, self.agent = window, agent
        self.counters = {"sessions": 1, "forged": 0}
        self.asked = []  # the pages

    def say(self, message_type, fields):
        if message_type != messages.CARDS:
            return super().say(message_type, fields)
        if not self.online:
            return False
        data = messages.encode_message(message_type, {**fields, "device": DEVICE})
        self._up += self._fate("up", data)
        return True

    def pump(self, now_ms):
        ups, self._up = self._up, []
        for data in ups:
            try:
                asked = messages.decode_message(data, (messages.CARDS,))
            except WireError:
                continue
            self.asked.append(asked["page"] - menu.PAGE)
            self.agent.menus.asked(asked["device"], asked["epoch"], asked["page"])
        told, self.agent.told = self.agent.told, []
        if self.online:
            for fields in told:
                self._down += self._fate("down", messages.encode_message(messages.CARDS, fields))
        downs, self._down = self._down, []
        for data in downs:
            try:
                word = self.window.pos._uplink.hear(data, now_ms)
            except WireError as error:
                word = str(error)
            self.refused += [word] if word else []
        return bool(downs)

    @property
    def pages(self):
        """How many pages of menus were asked for."""
        return sum(page > 0 for page in self.asked)


class MenuWindow(Window):
    """A window whose settings say that its menu is the ledger's."""

    def __init__(self, centre, agent=None):
        self.agent = agent or Agent(centre)
        super().__init__(centre)

    def boot(self, tell_time=True):
        own = settings.decode(self.hardware.nvs["settings"])
        self.hardware.nvs["settings"] = settings.encode({**own, "ledger_menu": 1})
        super().boot(tell_time)
        self.line = MenuLine(self, self.agent)
        self.pos._order._uplink = self.line

    def replace(self):
        """Another reader in its place: its NVS has what provisioning writes, and no menu."""
        self.die()
        for name in ("menu", "menu_epoch"):
            self.hardware.nvs.pop(name, None)
        self.boot()

    def price(self, card_no=1):
        """What item 1 costs there now, as the display says; the sale is dropped."""
        self.key(b"\x1bF31\r")
        shown = self.lines
        self.key(b"\x1b\x1bF1")
        return shown[1] if shown[0] == "CARD PLEASE" else shown[0]

    def wait(self):
        """Until the agent has asked again, and it has, and both have heard."""
        self.agent.refresh()
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
    assert window.line.pages == 5
    assert window.hardware.nvs["menu"] == a_menu(900, LONG)
    assert window.hardware.nvs["menu_epoch"] == epoch.to_bytes(4, "big")
    window.die()
    window.boot()
    assert window.price() == "9.00"
    window.wait()
    assert window.line.pages == 0, "what it has is not fetched again"
    card = new_card(7)
    window.key(b"F31\r")
    window.tap(card)
    assert window.shown == "PAID 9.00"


def test_a_new_one_is_told_without_being_asked_for(at):
    centre, window = at
    window.run_ms(MINUTE_MS)
    centre.set_menu(a_menu(900, LONG))
    window.agent.refresh()
    window.run_ms(1_000)
    assert window.price() == "9.00"


# --- the centre is away --------------------------------------------------------------------------


def test_a_reader_in_another_s_place_has_it_from_the_agent_while_the_centre_is_away(at):
    centre, window = at
    centre.set_menu(a_menu(900, LONG))
    window.wait()
    centre.is_away = True
    window.replace()
    window.run_ms(5_000)
    assert window.price() == "9.00"
    card = new_card(7)
    window.key(b"F31\r")
    window.tap(card)
    assert window.shown == "PAID 9.00"


def test_what_the_agent_keeps_outlives_it_and_a_backup_of_yesterday_is_refused(at, tmp_path):
    centre, window = at
    old, new = tmp_path / "yesterday.sqlite", tmp_path / "today.sqlite"
    window.agent = window.line.agent = Agent(centre, old)
    centre.set_menu(a_menu(900))
    window.wait()
    window.agent = window.line.agent = Agent(centre, new)
    epoch = centre.set_menu(a_menu(1_000, LONG))
    window.wait()
    centre.is_away = True
    # A box that was started anew has it.
    window.agent.history.close()
    window.agent = Agent(centre, new)
    window.replace()
    window.run_ms(5_000)
    assert window.price() == "10.00"
    # One that came back from a backup of yesterday changes nothing for who knows better.
    window.agent = window.line.agent = Agent(centre, old)
    window.wait()
    assert window.price() == "10.00"
    assert window.hardware.nvs["menu_epoch"] == epoch.to_bytes(4, "big")
    # And is put right as soon as the centre is back.
    centre.is_away = False
    window.replace()
    window.wait()
    assert window.price() == "10.00"


def test_what_has_rotted_on_the_agent_s_disk_is_put_aside_and_fetched_again(at):
    centre, window = at
    centre.set_menu(a_menu(900, LONG))
    window.wait()
    database = window.agent.history._db
    database.execute("UPDATE menu SET data = substr(data, 1, 700)")
    centre.is_away = True
    window.replace()
    window.run_ms(MINUTE_MS)
    assert window.line.pages == 0, "nobody is given what has rotted"
    assert window.agent.counters["menus_damaged"] == 1
    assert list(database.execute("SELECT count(*) FROM menu")) == [(0,)]
    assert window.sell("12.50", new_card(3)) == "PAID 12.50"
    centre.is_away = False
    window.wait()
    assert window.price() == "9.00"


def test_the_agent_gives_no_older_one_than_it_has_told(at):
    """The books were put back: what the ledger says now is of yesterday."""
    centre, window = at
    centre.set_menu(a_menu(900))
    yesterday = list(centre.menu_news.news(SITE))
    centre.set_menu(a_menu(1_000))
    window.wait()
    for data in yesterday:
        window.agent.menus.keep(seal.sign1_split(data)[0])
    window.replace()
    window.run_ms(5_000)
    assert window.price() == "10.00"


def test_a_disk_holds_one_menu_for_each_pos_at_most(at):
    centre, window = at
    for fen in range(900, 2_000, 100):
        centre.set_menu(a_menu(fen, LONG))
        window.wait()
    assert list(window.agent.history._db.execute("SELECT count(*) FROM menu")) == [(1,)]
    assert len(window.agent.history.menu_warrants()) == 1


# --- the line ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["lost", "late", "forged", "twice", "old"])
@pytest.mark.parametrize("way", ["up", "down"])
def test_whatever_happens_to_a_word_the_old_one_holds_until_the_new_one_is_whole(at, way, fate):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    for number in range(4):
        centre.set_menu(a_menu(1_000 + 100 * number, LONG))
        window.agent.refresh()
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
    asked, seen = window.agent.menus.asked, []

    def changing(device, epoch, page):
        seen.append(page - menu.PAGE)
        if len(seen) == 3:
            centre.set_menu(a_menu(1_100, LONG - 40))
            window.agent.refresh()
        asked(device, epoch, page)

    window.agent.menus.asked = changing
    window.wait()
    assert window.price() == "11.00" and window.hardware.nvs["menu"] == a_menu(1_100, LONG - 40)
    assert seen[:3] == [0, 1, 2] or seen[:3] == [1, 2, 3]


def test_power_goes_at_any_page_and_between_the_two_values(at):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    epoch = centre.set_menu(a_menu(1_000, LONG))
    window.agent.refresh()
    answer = window.agent.menus.asked
    said = []

    def until(pages):
        """The agent gives so many pages more."""
        said.clear()

        def answers(device, told, page):
            if page > menu.PAGE:
                said.append(page)
            if len(said) <= pages:
                answer(device, told, page)

        window.agent.menus.asked = answers

    for pages in range(1, 5):
        until(pages)
        window.run_ms(MINUTE_MS)
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


def warrant(epoch, data, key=None, label=menu.LABEL):
    """The ledger's word for a menu of this epoch, under the window's key or another."""
    body = struct.pack(menu.WARRANT, epoch, len(data), menu.digest_of(data))
    return seal.seal(seal.derive(key or DEVICE_KEY, label), body, label)


def tell(window, epoch, data, sealed=None, pages=None):
    """An agent that says whatever it likes: a warrant, and pages of `pages`."""

    def asked(device, said, page):
        if page == menu.PAGE:
            window.agent._tell(device, epoch, page, sealed or warrant(epoch, data))
            return
        at = (page - menu.PAGE - 1) * menu.PAGE_BYTES
        told = (data if pages is None else pages)[at : at + menu.PAGE_BYTES]
        window.agent._tell(device, said, page, told)

    window.agent.menus.asked = asked
    window.run_ms(ASK_MS + MINUTE_MS)


def test_an_older_one_is_refused(at):
    """Somebody says an old word under the right key."""
    centre, window = at
    centre.set_menu(a_menu(900))
    epoch = centre.set_menu(a_menu(1_000))
    window.wait()
    for older in (epoch - 1, epoch):
        tell(window, older, a_menu(900))
        assert window.price() == "10.00"
        assert "repeated" in window.line.refused
    assert window.hardware.nvs["menu_epoch"] == epoch.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("sealed", "said"),
    [
        (warrant(9, b"menu", key=bytes(32)), "forged"),  # of another reader
        (warrant(9, b"menu", label=b"cards"), "forged"),  # a word about something else
        (warrant(9, b"menu")[:-1], "forged"),
        (b"\x00", "forged"),
        (seal.seal(seal.derive(DEVICE_KEY, menu.LABEL), bytes(21), menu.LABEL), "malformed"),
        (warrant(9, bytes(menu.MENU_BYTES_MAX + 1)), "malformed"),
    ],
)
def test_what_the_ledger_has_not_said_to_this_reader_changes_nothing(at, sealed, said):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    written = dict(window.hardware.nvs)
    tell(window, 9, a_menu(500), sealed)
    assert said in window.line.refused and window.price() == "9.00"
    assert window.hardware.nvs == written


def test_pages_that_are_not_what_the_warrant_says_are_thrown_away(at):
    """A good warrant, and somebody else's bytes behind it."""
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    good = a_menu(1_000, LONG)
    for pages in (a_menu(500, LONG), good[:-1] + b"\x01"):
        tell(window, 9, good, pages=pages)
        assert window.price() == "9.00" and window.hardware.nvs["menu"] == a_menu(900)
        assert window.line.counters["forged"] > 0
        assert not window.records(messages.FAULT)
    for pages in (good[:300], b"", good + b"x" * 256):  # a page that is too short or too long
        tell(window, 9, good, pages=pages)
        assert "malformed" in window.line.refused and window.price() == "9.00"
        window.line.refused.clear()
    tell(window, 9, good)
    assert window.price() == "10.00"


@pytest.mark.parametrize("bad", [b"", b"\xa0", b"\x00", bytes(2_300), b"\xff" * 300])
def test_one_that_is_none_is_told_and_stops_nothing(at, bad):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.wait()
    tell(window, 7, bad)
    (fault,) = window.records(messages.FAULT)
    assert fault["last_reason"] == charging.PRICE_FORM
    assert window.price() == "9.00" and window.hardware.nvs["menu"] == a_menu(900)
    assert window.sell("12.50", new_card(3)) == "PAID 12.50"
    tell(window, 7, bad)
    assert len(window.records(messages.FAULT)) == 1, "told once, not every ten minutes"
    # What is set right comes, and a boot forgets nothing of the good one.
    tell(window, 8, a_menu(1_200))
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
    for number in range(20):
        window.key(b"\x1bF31\r")
        shown = window.lines[1]
        if number == 9:
            centre.set_menu(a_menu(1_000))
            window.agent.refresh()
        window.run_ms(20_000)
        assert window.lines == ("CARD PLEASE", shown)
        if number < 9:
            assert shown == "9.00"
    window.key(b"\x1b")
    window.run_ms(MINUTE_MS)
    assert window.price() == "10.00"


def test_it_is_asked_for_when_the_network_is_back(at):
    centre, window = at
    centre.set_menu(a_menu(900))
    window.line.online = False
    window.wait()
    assert window.price() not in ("9.00",)
    window.line.online = True
    window.line.counters["sessions"] += 1
    window.run_ms(5_000)
    assert window.price() == "9.00"


def test_a_site_has_its_own_and_without_the_setting_nobody_asks(at):
    centre, window = at
    centre.set_menu(a_menu(900))
    centre.set_menu(a_menu(800), site="elsewhere")
    centre.set_menu(a_menu(700), site=SITE)
    window.wait()
    assert window.price() == "7.00"
    silent = Window(centre)
    silent.run_ms(ASK_MS + MINUTE_MS)
    assert silent.line.said["up"] == []
    # And who has not asked for it is not touched by what an agent says.
    fields = {"device": DEVICE, "epoch": 9, "page": menu.PAGE, "data": warrant(9, a_menu(500))}
    data = messages.encode_message(messages.CARDS, fields)
    assert silent.pos._uplink.hear(data, 1_000) != ""
    assert "menu_epoch" not in silent.hardware.nvs
