"""The list of what is open shows all of it, however much has been closed or stands before it."""

import pytest

from ledger import people
from ledger.console import dossiers
from ledger.console.asked import EN, Asked, Settings
from ledger.onboarding import Form
from ledger.procedures import MERCHANT, REPAIR, Act
from ledger.signatures import Proven
from tests.ledger.campus import NOW_S, TILL, apply, campus, sign
from tests.ledger.readers import CANTEEN

MANY = dossiers._SHOWN + 5
FORM = Form("Canteen 1", "General Affairs", "Informatisation", 1, 100)


@pytest.fixture(scope="module")
def store():
    """Books in which more applications are approved than a page has lines; then more faults."""
    store = campus()
    for number in range(MANY):
        sign(store, apply(store, "device", f"A-{number}", CANTEEN, FORM))
    for number in range(MANY):
        by = Act(MERCHANT, "wu", said="the display is dark")
        store.merchants.tickets.report(f"R-{number}", TILL, by, NOW_S)
    yield store
    store.close()


def page(store, behind, kind=""):
    """The dossiers of a page behind a number, and where the next one begins (0: nowhere)."""
    steward = Proven("stella", b"")
    query = {"after": str(behind), "kind": kind}
    who = steward, people.GENERAL, (people.STEWARD,)
    asked = Asked(store, Settings(259_200, 28_800), *who, NOW_S, EN, {}, query)
    context = dossiers.show(asked).context
    return [one.dossier.reference for one in context["found"]], context["more"], asked


@pytest.mark.parametrize("kind", ["", REPAIR])
def test_what_is_closed_hides_nothing_that_is_open(store, kind):
    found, behind = [], 0
    while True:
        shown, behind, _asked = page(store, behind, kind)
        found += shown
        if not behind:
            break
        assert len(shown) == dossiers._SHOWN
    assert sorted(found) == sorted(f"R-{number}" for number in range(MANY))


def test_whoever_may_go_on_is_told_of_all_of_them(store):
    """The last of them waits as well as the first."""
    _shown, _more, asked = page(store, 0)
    (waits,) = dossiers.waiting(asked)
    assert waits.count == MANY
