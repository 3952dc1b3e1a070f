"""Menus in the books: the newest that is for a POS counts; only what a POS would take is kept."""

import struct

import pytest

from ledger.dialect import ConstraintBroken
from ledger.menu_news import MenuNews
from ledger.menus import MenuRefused
from ledger.receipts import Signer
from protocols.rules import charging, menu
from protocols.wire import cbor, menu_news, seal
from protocols.wire.errors import WireError
from tests.ledger.readers import CANTEEN, KIOSK, Reader, open_ledger

NOW_S = 1_790_000_000
HOME = "campus"


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


# --- what agents are told ------------------------------------------------------------------------


def news(store, site=HOME):
    """(device, epoch, digest, sealed) of all that an agent is told."""
    told = MenuNews(store.menus, Signer(bytes(32))).news(site)
    payloads = [seal.sign1_split(one)[0] for one in told]
    return [each for payload in payloads for each in menu_news.decode(payload)[0]]


def given(store, digest, site=HOME):
    """What is answered to an agent that asks for a menu."""
    said = MenuNews(store.menus, Signer(bytes(32))).hear(site, menu_news.encode_ask(digest), 0)
    return menu_news.decode(seal.sign1_split(said[0])[0])[1]


def test_each_pos_has_a_warrant_of_its_own_and_the_bytes_go_once(books):
    assert news(books) == []
    store = open_ledger(Reader(1001), Reader(1002))
    data = a_menu(900, 100)
    epoch = put(store, data)
    told = news(store)
    assert [(device, at) for device, at, _, _ in told] == [(1001, epoch), (1002, epoch)]
    assert {digest for _, _, digest, _ in told} == {menu.digest_of(data)}
    for device, _, digest, sealed in told:
        body = seal.unseal(seal.derive(Reader(device).key, menu.LABEL), sealed, menu.LABEL)
        assert struct.unpack(menu.WARRANT, body) == (epoch, len(data), digest)
        assert len(body) == menu.WARRANT_BYTES
        with pytest.raises(WireError):
            seal.unseal(seal.derive(Reader(device + 1).key, menu.LABEL), sealed, menu.LABEL)
    assert given(store, menu.digest_of(data)) == (menu.digest_of(data), data)
    assert news(store, "elsewhere") == []
    store.close()


def test_an_agent_is_given_what_its_own_readers_sell_and_nothing_else(books):
    data, old = a_menu(800), a_menu(900)
    put(books, old)
    put(books, data)
    for digest, site in (
        (menu.digest_of(old), HOME),  # nobody shall have that any more
        (menu.digest_of(data), "elsewhere"),
        (bytes(16), HOME),
    ):
        assert given(books, digest, site) == (digest, b"")
    assert given(books, menu.digest_of(data)) == (menu.digest_of(data), data)


def test_who_sells_for_nobody_with_a_menu_gets_none(books):
    put(books, a_menu(900), merchant_no=KIOSK)
    assert news(books) == []
    put(books, a_menu(900))
    assert [device for device, *_ in news(books)] == [1001]


def test_a_site_of_many_pos_fits_into_messages():
    many = [Reader(2001 + number) for number in range(menu_news.WARRANTS_MAX + 1)]
    store = open_ledger(*many)
    put(store, a_menu(900))
    told = MenuNews(store.menus, Signer(bytes(32))).news(HOME)
    assert len(told) == 2 and len(news(store)) == len(many)
    assert max(map(len, told)) <= menu_news.BYTES_MAX
    store.close()


WARRANT = [1001, 1, bytes(16), b"sealed"]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\xff",
        bytes(menu_news.BYTES_MAX + 1),
        cbor.encode({}),
        cbor.encode([WARRANT] * (menu_news.WARRANTS_MAX + 1)),
        *(
            cbor.encode([[*WARRANT[:at], value, *WARRANT[at + 1 :]]])
            for at, value in (
                (0, 0),
                (0, -1),
                (0, True),
                (0, 1 << 32),
                (1, 0),
                (1, b""),
                (2, bytes(15)),
                (2, bytes(17)),
                (2, 1),
                (3, b""),
                (3, bytes(225)),
                (3, 1),
            )
        ),
        cbor.encode([WARRANT[:3]]),
        cbor.encode([bytes(16)]),
        cbor.encode([bytes(15), b"menu"]),
        cbor.encode([bytes(16), "menu"]),
        cbor.encode([bytes(16), bytes(menu_news.MENU_BYTES_MAX + 1)]),
        cbor.encode([bytes(16), b"menu", b"more"]),
    ],
)
def test_news_that_nobody_can_have_said_are_an_error(wrong):
    with pytest.raises(WireError):
        menu_news.decode(wrong)


@pytest.mark.parametrize(
    "wrong", [b"", b"\x00", b"\xa0", b"\x80", b"\x4f" + bytes(15), b"\x50" + bytes(17), b"\x50"]
)
def test_a_question_that_is_none_is_an_error(books, wrong):
    with pytest.raises(WireError):
        MenuNews(books.menus, Signer(bytes(32))).hear(HOME, wrong, 0)


def test_one_bound_is_written_in_two_places():
    """The wire may not ask the rules."""
    assert menu_news.MENU_BYTES_MAX == menu.MENU_BYTES_MAX
    assert menu.PAGES_MAX * menu.PAGE_BYTES == menu.MENU_BYTES_MAX
    assert len(menu.digest_of(b"")) == menu_news.DIGEST_BYTES
