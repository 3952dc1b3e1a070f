"""`onecard ledger access`: beside a ledger that has the books open, and each grant has a name."""

import re
import time

import pytest
from typer.testing import CliRunner

from ledger.access import AccessRefused
from ledger.holders import Holder
from protocols.rules import access
from protocols.rules.spending import STUDENT
from protocols.wire import messages
from tests.ledger.lives import BY
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


def test_a_grant_ends_on_its_day_and_says_so(books, monkeypatch):
    words = ("--device", DOOR, "--person", WANG)
    books.run("door", "--device", DOOR, "--scope", "dorm")
    books.run("appoint", "--scope", "dorm", "--person", WANG)
    monkeypatch.setattr(time, "time", lambda: 1_795_708_800)  # 2026-11-27 00:00 in Changsha
    done = books.run("grant", *words, "--card", CARD, "--until", "2026-11-27")
    assert done.exit_code == 0, done.output
    for day, said in (("2026-11-26", "later than now"), ("soon", "a day is a date")):
        done = books.run("grant", *words, "--card", CARD, "--until", day)
        assert done.exit_code == 2 and said in done.output
    assert books.run("end").output == "nothing is over\n"
    monkeypatch.setattr(time, "time", lambda: 1_795_708_800 + 86_400)
    assert books.run("end").output == f"door {DOOR}: epoch 2\n"
    told = books.run("show", "--device", DOOR).output.splitlines()
    assert told[0].endswith(f"card {CARD} into group 1, until 2026-11-27T16:00:00Z")
    assert told[1].endswith(f"{WANG}: card {CARD} may not enter: epoch 1 is over")


def test_who_opened_it_is_told_for_a_purpose_that_stays(books, monkeypatch):
    reader = Reader(DOOR)
    for card_no, reason, when in ((CARD, 0, (60, 60)), (0, access.LOCKED_OUT, (70, 90))):
        times = {"earliest_s": when[0], "latest_s": when[1]}
        reader.write(messages.ENTRY, card_no=card_no, reason=reason, **times)
    books.book([reader.records])
    books.holders.open(CARD, Holder("S7", STUDENT, "Nursing"), (0, 9), 1, BY)
    books.run("door", "--device", DOOR, "--scope", "dorm")
    books.run("appoint", "--scope", "dorm", "--person", WANG)
    monkeypatch.setattr(time, "time", lambda: 1_000)
    asked = ("--device", DOOR, "--from", "1970-01-01T08:00:00+08:00", "--purpose", "a wallet")
    words = (*asked, "--to", "1970-01-01T09:00:00+08:00", "--person")
    assert books.run("who", *words, "Li Lei").exit_code == 2
    told = books.run("who", *words, WANG).output.splitlines()
    assert told[0] == f"1970-01-01 08:01:00, record 1: card {CARD} of S7: opened"
    assert told[1].startswith(
        "1970-01-01 08:01:10~1970-01-01 08:01:30, record 2: no card: refused"
    )
    done = books.run("who", *asked, "--to", "1970-01-01T09:00:00", "--person", WANG)
    assert done.exit_code == 2 and "no time with its zone" in done.output
    assert books.run("questions").output == (
        f"1, 1970-01-01 08:16:40, {WANG}: door {DOOR}, 1970-01-01 08:00:00 to 1970-01-01 09:00:00:"
        " a wallet\n"
    )
