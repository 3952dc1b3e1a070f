"""`onecard ledger access`: beside a ledger that has the books open, and each grant has a name."""

import re

import pytest
from typer.testing import CliRunner

from ledger.access import AccessRefused
from protocols.rules import access
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.test_code_entries import Entry
from tools.cli import app
from tools.ledger_access import hours_text, read_hours

DOOR, WANG = 1001, "Wang Fang"


@pytest.fixture
def books(tmp_path):
    """Books that a ledger has open, and the command on them."""
    path = tmp_path / "ledger.sqlite"
    store = open_ledger(Reader(DOOR), path=str(path))
    ((site,),) = store.database.rows("SELECT site FROM device")

    def onecard(verb, *words, typed=None):
        words = [*map(str, words)]
        if verb in ("appoint", "dismiss"):
            words += ["--site", site]
        return CliRunner().invoke(app, ["ledger", "access", verb, str(path), *words], input=typed)

    store.run = onecard
    yield store
    store.close()


def test_a_building_is_set_up_and_somebody_grants(books):
    door, by = ("--device", DOOR), ("--person", WANG)
    steps = [
        ("appoint", "--scope", "dorm", *by),
        ("door", *door, "--scope", "dorm"),
        ("grant", *door, *by, "--card", CARD),
        ("hours", *door, *by, "--group", 2, "--hours", "mon-fri 08:00-18:00, sat"),
        ("grant", *door, *by, "--card", CARD, "--group", 2),
        ("free", *door, *by, "--hours", "sun 10:00-12:00"),
        ("revoke", *door, *by, "--card", CARD),
    ]
    groups = []
    for verb, *words in steps:
        done = books.run(verb, *words)
        assert done.exit_code == 0, done.output
        if verb in ("grant", "revoke"):
            groups.append(access.whole(books.access.access_map(DOOR)).group(CARD))
    assert groups == [1, 2, 0]
    lines = books.run("show", *door).output.splitlines()
    told = [re.sub(r", \d{4}-\d\d-\d\dT[\d:]{8}Z", "", line).strip() for line in lines]
    assert told == [
        f"epoch 1, {WANG}: card {CARD} into group 1",
        f"epoch 2, {WANG}: group 2: mon-fri 08:00-18:00, sat",
        f"epoch 3, {WANG}: card {CARD} into group 2",
        f"epoch 4, {WANG}: open to everybody: sun 10:00-12:00",
        f"epoch 5, {WANG}: card {CARD} may not enter",
    ]


def test_a_pin_comes_from_a_pipe_and_is_printed_nowhere(books):
    words = ("--device", DOOR, "--group", 1, "--person", WANG)
    books.run("door", "--device", DOOR, "--scope", "dorm")
    books.run("appoint", "--scope", "dorm", "--person", WANG)
    weak = books.run("pin", *words, typed="123456\n\n")
    assert (weak.exit_code, books.access.changes(DOOR)) == (2, [])
    assert books.run("pin", *words, typed="918276\n\n").exit_code == 0
    assert books.run("pin", *words, "--none").exit_code == 0
    shown = books.run("show", "--device", DOOR).output
    assert "group 1: a PIN" in shown and "group 1: no PIN" in shown and "918276" not in shown


def test_what_cannot_be_is_refused(books):
    books.run("door", "--device", DOOR, "--scope", "public")
    words = ("--device", DOOR, "--card", CARD, "--person", WANG)
    refused = books.run("grant", *words)
    assert (refused.exit_code, "has not been appointed" in refused.output) == (2, True)
    books.run("appoint", "--scope", "public", "--person", WANG)
    assert books.run("grant", *words).exit_code == 0
    books.run("dismiss", "--scope", "public", "--person", WANG)
    assert books.run("revoke", *words).exit_code == 2
    assert "nothing has been granted" in books.run("show", "--device", 9).output


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("always", ((127, 0, 1440),)),
        ("never", ()),
        ("mon-fri 08:00-18:00, sat", ((31, 480, 1080), (32, 0, 1440))),
        ("sun 00:00-24:00", ((64, 0, 1440),)),
    ],
)
def test_hours(text, periods):
    assert read_hours(text) == periods
    assert read_hours(hours_text(periods)) == periods
    access.packed(periods)


@pytest.mark.parametrize(
    "text", ["", "mo", "mon 8:00-9:00", "fri-mon", "mon 22:00-06:00", "mon-fri 08:00", "daily"]
)
def test_hours_that_are_none(text):
    with pytest.raises(AccessRefused):
        read_hours(text)


def test_answers_about_codes_that_no_door_has_used_are_listed(tmp_path):
    entry = Entry(str(tmp_path / "ledger.sqlite"))
    path, line = str(tmp_path / "ledger.sqlite"), ["ledger", "access", "codes"]
    said = "Every answer that is that old has its entry."
    assert CliRunner().invoke(app, [*line, path]).output.strip() == said
    entry.ask(2001)
    done = CliRunner().invoke(app, [*line, path, "--older-s", "0"])
    assert done.exit_code == 1
    text = r"answer 1, 2026-09-01T\d\d:\d\d:\d\dZ, door 2001 \(campus\): card 7"
    assert re.fullmatch(text, done.output.strip())
    assert entry.enter(2001, 1) == []
    assert CliRunner().invoke(app, [*line, path, "--older-s", "0"]).exit_code == 0
    done = CliRunner().invoke(app, [*line, str(tmp_path / "none.sqlite")])
    assert done.exit_code == 2
    entry.store.close()
