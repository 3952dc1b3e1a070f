"""A form is done once, whoever sends it how often, and whatever goes wrong in between."""

import threading

import pytest

from ledger.console import forms, refusals
from ledger.console.asked import Refused
from ledger.lifecycle import Act
from ledger.operators import Operators
from ledger.signatures import acts
from ledger.store import LedgerStore
from protocols.rules.card_status import ACTIVE, LOST
from tests.ledger.console.campus import books_in
from tests.ledger.staff import log_in

CARD, NOW_S = 70, 1_800_000_000
TOKEN, PATH = "op_token", f"/cards/{CARD}/lose"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "books").mkdir()
    opened = books_in(tmp_path)
    opened.issue_cards([(CARD, 500)])
    yield opened
    opened.close()


@pytest.fixture
def clerk(store):
    return log_in(store, "clara", NOW_S)


def lose(person, fails=None):
    def do(books):
        books.cards.set("lose", CARD, NOW_S, by=Act(person=person))
        if fails:
            raise fails
        return "/done"

    return do


def form(person, text="x", number=b"n" * 16):
    return number, str(person), forms.digest(PATH, {"because": text}, {})


def done(store):
    """How often the act stands there, and what the card is."""
    said = [
        one
        for one in acts(store.database, 10_000)
        if one.verb == "card.lose" and one.time_s >= NOW_S
    ]
    return len(said), store.cards.status(CARD)


def test_sent_again_it_leads_where_it_led(store, clerk):
    for _ in range(3):
        assert forms.once(store, form(clerk), NOW_S, lose(clerk)) == "/done"
    assert done(store) == (1, LOST)


def test_sent_again_with_other_content_it_does_nothing(store, clerk):
    forms.once(store, form(clerk), NOW_S, lose(clerk))
    with pytest.raises(Refused) as refused:
        forms.once(store, form(clerk, "y"), NOW_S, lose(clerk))
    assert refused.value.reason == refusals.FORM_DIFFERS
    assert done(store) == (1, LOST)


@pytest.mark.parametrize("error", [Refused(775), OSError("disk"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing_and_may_be_sent_again(store, clerk, error):
    with pytest.raises(type(error)):
        forms.once(store, form(clerk), NOW_S, lose(clerk, error))
    assert done(store) == (0, ACTIVE)
    assert forms.once(store, form(clerk), NOW_S, lose(clerk)) == "/done"
    assert done(store) == (1, LOST)


def test_half_of_what_failed_is_not_kept_because_somebody_caught_it(store, clerk):
    def do(books):
        try:
            with books.database.transaction():
                books.cards.set("lose", CARD, NOW_S, by=Act(person=clerk))
                raise ValueError
        except ValueError:
            return "/done"

    with pytest.raises(RuntimeError):
        forms.once(store, form(clerk), NOW_S, do)
    assert done(store) == (0, ACTIVE)


def test_a_double_click_waits_for_the_first_and_is_answered_like_it(store, clerk, tmp_path):
    has_begun, led = threading.Event(), []

    def slowly(books):
        path = lose(clerk)(books)
        has_begun.set()
        second.join(0.3)  # it cannot end: the turn to write is ours
        assert second.is_alive()
        return path

    def again():
        has_begun.wait(30)
        other = LedgerStore.open(str(tmp_path / "books" / "ledger.sqlite"))
        led.append(forms.once(other, form(clerk), NOW_S, lose(clerk)))
        other.close()

    second = threading.Thread(target=again)
    second.start()
    led.append(forms.once(store, form(clerk), NOW_S, slowly))
    second.join(30)
    assert led == ["/done", "/done"]
    assert done(store) == (1, LOST)


def test_whose_session_is_over_does_nothing(store, clerk):
    Operators(store.database).end(clerk)
    with pytest.raises(Exception, match="session is over"):
        forms.once(store, form(clerk), NOW_S, lose(clerk))
    assert done(store) == (0, ACTIVE)


def test_numbers_are_kept_for_as_long_as_a_session_and_longer(store, clerk):
    forms.once(store, form(clerk), NOW_S, lose(clerk))
    for later_s, kept in ((forms.KEPT_S, 2), (forms.KEPT_S + 1, 2)):
        other = form(clerk, number=bytes([later_s % 251]) * 16)
        forms.once(store, other, NOW_S + later_s, lambda _books: "/other")
        assert len(list(store.database.rows("SELECT 1 FROM console_form"))) == kept


def test_a_seal_is_of_one_session_and_one_path():
    number, seal = forms.opened(TOKEN, PATH)
    fields = {forms.NUMBER: number, forms.SEAL: seal}
    assert forms.check(TOKEN, PATH, fields) == bytes.fromhex(number)
    other, _seal = forms.opened(TOKEN, PATH)
    for token, path, said in (
        ("op_other", PATH, fields),
        (TOKEN, "/cards/8/lose", fields),
        (TOKEN, PATH, fields | {forms.NUMBER: other}),
        (TOKEN, PATH, fields | {forms.SEAL: seal[:-1]}),
        (TOKEN, PATH, fields | {forms.SEAL: "\u4e2d"}),
        (TOKEN, PATH, {}),
    ):
        with pytest.raises(Refused) as refused:
            forms.check(token, path, said)
        assert refused.value.reason == refusals.FORM_FORGED


def test_a_digest_is_of_all_that_is_said():
    one = forms.digest(PATH, {"a": "1", "b": "2", forms.NUMBER: "x"}, {"f": b"data"})
    assert one == forms.digest(PATH, {"b": "2", "a": "1", forms.NUMBER: "y"}, {"f": b"data"})
    for fields, files in (
        ({"a": "1", "b": "3"}, {"f": b"data"}),
        ({"a": "1", "b": "2"}, {"f": b"other"}),
        ({"a": "1", "b": "2"}, {}),
        ({"a": "1b2"}, {"f": b"data"}),
    ):
        assert forms.digest(PATH, fields, files) != one
