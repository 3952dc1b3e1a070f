"""What is shown of a device that was opened: the truth, and nothing changes by looking."""

import pytest

from simulator.desk import views
from simulator.desk.device_look import DeviceLooker
from simulator.desk.look import Looker
from simulator.run import run_scenario
from tests.desk.conftest import SECOND_US, SMALL

TAP = {"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "3.00"}
NETWORK = {"what": "reader-network", "site": "canteen-1"}
MAINS = {"what": "mains", "site": "canteen-1"}


@pytest.fixture
def look_at(open_session):
    """Sessions, and what looks into their devices."""

    def open_one(**options):
        session = open_session(SMALL, **options)
        return session, DeviceLooker(session.run, session.homes, Looker(session.run, None))

    return open_one


def go(session, seconds):
    session.advance(session.now_us + int(seconds * SECOND_US))


def part(looker, kind, name="pos-1"):
    return looker.parts(name)[f"{kind}:{name}"]


def test_a_posture_is_the_one_of_the_firmware_with_the_row_that_says_so(look_at):
    session, looker = look_at()
    pos = session.run.readers["pos-1"]
    go(session, 6)
    for step, posture in (
        (None, "serving"),
        ({"do": "cut"} | NETWORK, "serving-offline"),
        ({"do": "plug"} | NETWORK, "serving"),
        ({"do": "cut"} | MAINS, "serving-offline"),  # with the broker of its building
        ({"do": "plug"} | MAINS, "serving"),
    ):
        if step:
            session.act(step)
            go(session, 40)
        session.act(TAP)
        go(session, 4)
        seen = part(looker, "posture")
        own = pos.home._device._till._conditions
        assert tuple(seen["conditions"].values())[:4] == own
        assert seen["posture"] == posture == seen["rows"][seen["fits"]][-1]
    session.advance(session.act({"do": "kill", "reader": "pos-1"}).at_us)
    assert part(looker, "posture")["posture"] == "dark"


def test_a_door_tells_of_its_fire_and_its_mains(look_at):
    session, looker = look_at()
    go(session, 6)
    assert part(looker, "posture", "gate")["posture"] == "secured"
    session.act({"do": "fire", "reader": "gate"})
    go(session, 1)
    seen = part(looker, "posture", "gate")
    assert (seen["conditions"]["fire"], seen["posture"]) == ("alarm", "released")


def test_a_journal_that_was_tampered_with_is_seen(look_at):
    session, looker = look_at()
    go(session, 6)
    session.act(TAP)
    go(session, 4)
    seen = part(looker, "journal")
    assert (seen["records"], seen["broken"], seen["trouble"]) == (3, 0, "")
    assert {line["seal"] for line in seen["lines"]} == {"ok"}
    assert all(line["booked"] for line in seen["lines"])
    hardware = session.run.readers["pos-1"].hardware
    hardware.flash.flip(52 + 12 + 40, 3)  # in the first record
    hardware.flash_operations += 1  # somebody was at the chip
    seen = part(looker, "journal")
    assert seen["torn"] and seen["records"] == 2


def test_sectors_are_what_they_are(look_at):
    session, looker = look_at()
    go(session, 6)
    session.act({"do": "cut"} | NETWORK)
    for _ in range(3):
        session.act(TAP)
        go(session, 5)
    found = part(looker, "flash")
    assert [state for state, _, _ in found["journal"]].count("current") == 1
    assert all(state in ("current", "erased") for state, _, _ in found["journal"])
    assert len(found["journal"]) == 64 and len(found["cards"]) == 10
    state, percent, erases = found["journal"][0]
    assert state == "current" and 0 < percent < 100 and erases >= 1
    assert part(looker, "journal")["lines"][0]["booked"] is False


def test_nothing_secret_is_shown(look_at):
    session, looker = look_at()
    go(session, 6)
    session.act(TAP)
    go(session, 4)
    text = repr(looker.parts("pos-1"))
    keys = [session.run.device_keys[1001], session.run.keys.purse, session.run.keys.mac]
    assert not any(key.hex() in text or repr(key)[2:-1] in text for key in keys)
    assert "settings" in text


def test_who_looks_changes_nothing(look_at, tmp_path):
    session, looker = look_at(seed=21)
    go(session, 6)
    for step in (TAP, {"do": "cut"} | MAINS, TAP, {"do": "plug"} | MAINS, TAP):
        session.act(step)
        for _ in range(30):
            go(session, 0.31)
            for name in session.run.readers:
                looker.parts(name)
    there = session.finish()
    recorded = tmp_path / "recorded.toml"
    recorded.write_text(session.recorder.text(), encoding="utf-8")
    here = run_scenario(recorded)
    assert (there.violations, there.failures) == ([], [])
    assert there.approved == 3 and here.transcript_sha256 == there.transcript_sha256


def test_a_view_is_told_what_it_shows():
    pos = views.device_view("pos-1")
    for key, told in (
        ("time", (True, True, True)),
        ("sites", (True, True, True)),
        ("reader:pos-1", (True, True, False)),
        ("reader:pos-11", (True, False, False)),
        ("journal:pos-1", (False, True, False)),
        ("journal:gate", (False, False, False)),
        ("card:zhang-san", (True, False, False)),
        ("money", (True, False, False)),
        ("wall:pos-1", (False, False, True)),
    ):
        assert tuple(views.is_told(one, key) for one in (views.CAMPUS, pos, views.WALL)) == told
    assert views.devices_of([pos, views.WALL, views.CAMPUS]) == ["pos-1"]
    assert views.is_only_of(pos, "journal:pos-1") and not views.is_only_of(pos, "reader:pos-1")
