"""Menus in the books: the newest that is for a POS counts; only what a POS would take is kept."""

import pytest

from ledger.dialect import ConstraintBroken, StoreUnavailable
from ledger.menus import MenuDesk, MenuRefused
from ledger.relay_desk import RelayDesk
from protocols.rules import charging, menu
from protocols.wire import messages, seal
from protocols.wire.errors import BAD_SEAL, UNEXPECTED_TYPE, WireError
from tests.ledger.readers import CANTEEN, KIOSK, Reader, open_ledger

NOW_S = 1_790_000_000
HOME = "campus"
NONCE = bytes(range(8))


def a_menu(fen, rows=1):
    others = [(2 + number // 3, 1 + number % 3, 0, 100) for number in range(rows - 1)]
    return menu.encode(charging.packed([(1, 0, 0, fen), *others]), ())


@pytest.fixture
def books():
    store = open_ledger(Reader(1001))
    yield store
    store.close()


def put(store, data, site="", merchant_no=CANTEEN, person="wang"):
    return store.menus.set_menu(merchant_no, site, data, person, NOW_S)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"data": b""}, "no POS would take that"),
        ({"data": b"\xa0"}, "no POS would take that"),
        ({"data": bytes(2_400)}, "no POS would take that"),
        ({"data": a_menu(900) + b"\x00"}, "no POS would take that"),
        ({"site": "No Site"}, "is no site"),
        ({"site": "ledger"}, "is no site"),
        ({"merchant_no": 999}, "was never registered"),
        ({"person": ""}, "a person has a name"),
        ({"person": "a\nb"}, "a person has a name"),
        ({"person": "w" * 33}, "a person has a name"),
    ],
)
def test_what_cannot_be_changes_nothing(books, wrong, said):
    with pytest.raises(MenuRefused, match=said):
        put(books, **{"data": a_menu(900), **wrong})
    assert books.menus.changes() == [] and books.menus.newest(1001) == (0, b"")


def test_the_newest_that_is_for_a_pos_counts(books):
    assert put(books, a_menu(900)) == 1
    assert put(books, a_menu(800), site="elsewhere") == 2
    assert put(books, a_menu(700), merchant_no=KIOSK) == 3
    assert books.menus.newest(1001) == (1, a_menu(900))
    assert put(books, a_menu(600), site=HOME) == 4
    assert books.menus.newest(1001) == (4, a_menu(600))
    assert put(books, a_menu(900)) == 5
    assert books.menus.newest(1001) == (5, a_menu(900))
    assert books.menus.newest(4711) == (0, b"")


def test_the_same_again_is_no_change(books):
    assert put(books, a_menu(900)) == put(books, a_menu(900), person="li") == 1
    assert put(books, a_menu(800), site=HOME) == 2
    assert put(books, a_menu(900)) == 3, "at one site another had come"


def test_nothing_is_taken_back_or_put_in_between(books):
    put(books, a_menu(900))
    for sql in ("UPDATE menu_change SET person = 'li'", "DELETE FROM menu_change"):
        with pytest.raises(ConstraintBroken), books.database.transaction():
            list(books.database.rows(sql))
    row = (3, CANTEEN, "", a_menu(800), "wang", NOW_S)
    with pytest.raises(ConstraintBroken), books.database.transaction():
        books.database.many("INSERT INTO menu_change VALUES (?, ?, ?, ?, ?, ?)", [row])
    assert [one.number for one in books.menus.changes()] == [1]


# --- the desk ------------------------------------------------------------------------------------


class Line:
    """A POS that asks."""

    def __init__(self, store):
        self.desk = MenuDesk(store.menus)
        self._relay = RelayDesk(store, self.desk)
        self._key = seal.derive(Reader(1001).key, messages.RELAY_LABEL)

    def ask(self, epoch, page=1, key=None, site=HOME):
        """(epoch, page, data) of the answer, or None."""
        fields = {"nonce": NONCE, "epoch": epoch, "page": page, "data": b""}
        payload = messages.encode_relayed(messages.MENU, fields)
        sealed = seal.seal(key or self._key, payload, messages.RELAY_UP)
        answer = self._relay.hear(site, 1001, sealed, 0)
        if answer is None:
            return None
        payload = seal.unseal(self._key, answer, messages.RELAY_DOWN)
        said = messages.decode_relayed(payload, (messages.MENU,))
        assert said["nonce"] == NONCE
        return said["epoch"], said["page"], said["data"]


def test_a_pos_gets_what_is_newer_page_by_page(books):
    line = Line(books)
    assert line.ask(0) == (0, 0, b""), "nobody has set one"
    data = a_menu(900, 100)
    epoch = put(books, data)
    assert line.ask(0) == (epoch, 1, data[:256])
    pages = [line.ask(epoch, page)[2] for page in (2, 3)]
    assert data[:256] + b"".join(pages) == data and len(pages[-1]) < 256
    assert line.ask(epoch) == (epoch, 0, b"")
    # Another one meanwhile: its first page, whatever was asked for.
    put(books, a_menu(800))
    assert line.ask(epoch, 3) == (epoch + 1, 1, a_menu(800))


def test_one_whose_last_page_is_full_ends_with_an_empty_one(books, monkeypatch):
    data = bytes(512)
    monkeypatch.setattr(books.menus, "newest", lambda _device: (1, data))
    assert [line[2] for line in (Line(books).ask(1, page) for page in (2, 3))] == [bytes(256), b""]


def test_books_that_were_put_back_say_nothing_older(books):
    line = Line(books)
    put(books, a_menu(900))
    assert line.ask(7) == (1, 0, b"") and line.desk.counters["ahead"] == 1


@pytest.mark.parametrize(
    ("wrong", "code"), [({"key": bytes(32)}, BAD_SEAL), ({"site": "elsewhere"}, UNEXPECTED_TYPE)]
)
def test_a_stranger_and_one_that_stands_elsewhere_are_told_nothing(books, wrong, code):
    line = Line(books)
    put(books, a_menu(900))
    with pytest.raises(WireError) as caught:
        line.ask(0, **wrong)
    assert caught.value.code == code and line.desk.counters["asks"] == 0


def test_books_that_cannot_be_read_now_answer_later(books, monkeypatch):
    line = Line(books)

    def unavailable(_device):
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(books.menus, "newest", unavailable)
    assert line.ask(0) is None and line.desk.counters["store_unavailable"] == 1
