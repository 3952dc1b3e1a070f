"""`onecard ledger card`: beside a ledger that has the books open, and no more than may be."""

import re

import pytest
from typer.testing import CliRunner

from ledger.card_status import VERBS
from ledger.holders import KINDS
from ledger.lifecycle import CHANNELS, ROLES, RULES
from ledger.temporary import STEPS
from protocols.rules.card_status import ACTIVE, CLOSED, LOST
from tests.ledger.readers import CARD, Reader, open_ledger
from tools.cli import app
from tools.cli_lives import NEW, REPLACING, SIMPLE, Channel, Kind, Role, Step


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", "card", *map(str, words)])


@pytest.fixture
def store(tmp_path):
    """Books that a ledger has open."""
    store = open_ledger(Reader(1001), path=str(tmp_path / "ledger.sqlite"))
    yield store
    store.close()


def test_lost_and_found(store, tmp_path):
    path = tmp_path / "ledger.sqlite"
    for _ in range(2):
        done = onecard("lose", path, "--card", CARD)
        assert (done.exit_code, done.output) == (0, f"card {CARD} is lost\n")
    assert (store.cards.status(CARD), store.cards.epoch()) == (LOST, 1)
    refused = onecard("unlose", path, "--card", CARD)
    assert refused.exit_code == 2 and "shown in person" in refused.output
    assert store.cards.status(CARD) == LOST
    done = onecard("unlose", path, "--card", CARD, "--evidence", "id-card")
    assert (done.exit_code, store.cards.status(CARD)) == (0, ACTIVE)
    shown = onecard("show", path, "--card", CARD).output.splitlines()
    assert shown[0] == f"card {CARD}: active"
    assert re.fullmatch(r"  epoch 1, \d{4}-\d\d-\d\dT[\d:]{8}Z: lose, lost", shown[1])
    assert shown[2].endswith(": unlose (id-card), active")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lose", "--card", 99), "card 99 was never issued"),
        (("resume", "--card", CARD), "evidence"),
        (("unlose", "--card", CARD, "--evidence", "id-card"), "cannot unlose"),
        (("lose", "--card", CARD, "--evidence", "4301 02"), "words of a-z"),
    ],
)
def test_what_cannot_be_is_refused(store, tmp_path, words, said):
    verb, *rest = words
    before = store.dump()
    done = onecard(verb, tmp_path / "ledger.sqlite", *rest)
    assert done.exit_code == 2
    assert said in done.output
    assert store.dump() == before


def test_closed_is_closed(store, tmp_path):
    path = tmp_path / "ledger.sqlite"
    assert onecard("close", path, "--card", CARD, "--evidence", "id-card").exit_code == 0
    assert onecard("lose", path, "--card", CARD).exit_code == 2
    assert store.cards.status(CARD) == CLOSED


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"no database, but long enough to be read as the first page of one" * 20)
    for verb in ("lose", "show"):
        assert onecard(verb, path, "--card", 7).exit_code == 2


def test_every_verb_of_the_books_has_a_word():
    assert tuple(SIMPLE) == VERBS
    alone = {"open", "extend", "capture", "expire"}  # capture: by a reader's record only
    assert {*SIMPLE, *NEW, *REPLACING, *alone} == RULES.keys()
    assert {role.value for role in Role} < ROLES.keys()
    assert {channel.value for channel in Channel} < CHANNELS.keys()
    assert {kind.value for kind in Kind} | {"temporary"} == KINDS.keys()
    assert {step.value for step in Step} == STEPS.keys()
