"""Enrolment: who is not admitted on a link leaves nothing here, and loses nothing over there."""

import fcntl
import json
import os
import threading

import pytest

from edge_agent import decisions
from edge_agent.admission import (
    ENROLLED_PER_WINDOW_MAX,
    LOOK_MS,
    WAITING_MAX,
    Admissions,
)
from edge_agent.decisions import Decisions, Standing, standing
from edge_agent.inventory import WRITE_EVERY_MS, waiting_in
from protocols.wire import messages, topics
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger
from tests.edge_agent.test_serial_line import FakeLine

A, B = 1001, 1002
NETWORK, LINE = "network", "/dev/ttyUSB0"
MINUTE_MS = 60_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / decisions.NAME


@pytest.fixture
def gate(path):
    """An agent's list that has begun, and a person who decides."""
    return _gate(path)


def _gate(path, *before):
    return Admissions(path, lambda: 1_700_000_000, before)


def _say(path, act, **fields):
    Decisions(path).append({"act": act, **fields})


def _taken(gate, device, link=NETWORK, now_ms=0):
    return gate.may(device, link, now_ms)


# --- the window ------------------------------------------------------------------------------


def test_outside_a_window_nobody_new_is_taken_and_inside_they_are(gate, path):
    assert not _taken(gate, A)
    _say(path, decisions.OPEN, minutes=10)
    gate.step(LOOK_MS)
    assert gate.open_s(LOOK_MS) == 600
    assert _taken(gate, A, now_ms=LOOK_MS)
    assert gate.waiting() == []
    assert gate.said_of(A) == {"link": NETWORK, "admitted": "enrolled"}
    gate.step(LOOK_MS + 10 * MINUTE_MS)
    assert not _taken(gate, B, now_ms=LOOK_MS + 10 * MINUTE_MS)
    assert _taken(gate, A, now_ms=LOOK_MS + 10 * MINUTE_MS)
    assert not standing(path).is_open


def test_a_window_ends_at_its_very_millisecond_without_a_step(gate, path):
    _say(path, decisions.OPEN, minutes=1)
    gate.step(LOOK_MS)
    assert not _taken(gate, A, now_ms=LOOK_MS + MINUTE_MS)
    assert gate.step(LOOK_MS + MINUTE_MS - 1) <= LOOK_MS + MINUTE_MS
    assert _taken(gate, B, now_ms=LOOK_MS + MINUTE_MS - 1)


def test_after_a_restart_a_window_is_closed_and_says_so(gate, path):
    _say(path, decisions.OPEN, minutes=10)
    gate.step(LOOK_MS)
    assert standing(path).is_open
    again = _gate(path)
    assert not _taken(again, A, now_ms=LOOK_MS)
    assert again.open_s(LOOK_MS) == 0
    assert not standing(path).is_open


def test_a_window_asked_of_an_agent_that_did_not_run_never_opens(path):
    _gate(path)
    _say(path, decisions.OPEN, minutes=10)
    gate = _gate(path)
    gate.step(LOOK_MS)
    assert not _taken(gate, A, now_ms=LOOK_MS)


def test_a_person_closes_it_before_its_time(gate, path):
    _say(path, decisions.OPEN, minutes=10)
    gate.step(LOOK_MS)
    _say(path, decisions.CLOSE)
    gate.step(2 * LOOK_MS)
    assert not _taken(gate, A, now_ms=2 * LOOK_MS)


def test_one_window_lets_only_so_many_in(gate, path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    _say(path, decisions.OPEN, minutes=1)
    gate.step(LOOK_MS)
    numbers = range(1, ENROLLED_PER_WINDOW_MAX + 2)
    assert [_taken(gate, device, now_ms=LOOK_MS) for device in numbers].count(False) == 1


# --- where it hangs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("home", "elsewhere"), [(NETWORK, LINE), (LINE, NETWORK), (LINE, "/dev/ttyUSB1")]
)
def test_elsewhere_it_waits_also_in_a_window_and_its_owner_goes_on(gate, path, home, elsewhere):
    _say(path, decisions.OPEN, minutes=1)
    gate.step(LOOK_MS)
    assert _taken(gate, A, home, LOOK_MS)
    assert not _taken(gate, A, elsewhere, LOOK_MS)
    assert _taken(gate, A, home, LOOK_MS)
    assert [(each.device, each.link) for each in gate.waiting()] == [(A, elsewhere)]
    _say(path, decisions.APPROVED, device=A, link=elsewhere)
    gate.step(2 * LOOK_MS)
    assert _taken(gate, A, elsewhere, 2 * LOOK_MS)
    assert not _taken(gate, A, home, 2 * LOOK_MS)
    assert gate.said_of(A) == {"link": elsewhere, "admitted": "approved"}


def test_who_uses_a_number_elsewhere_is_denied_and_its_owner_goes_on(gate, path):
    _say(path, decisions.APPROVED, device=A, link=LINE)
    gate.step(LOOK_MS)
    assert not _taken(gate, A, NETWORK)
    _say(path, decisions.DENIED, device=A, link=NETWORK)
    gate.step(2 * LOOK_MS)
    assert gate.waiting() == []
    assert not _taken(gate, A, NETWORK)
    assert gate.waiting() == []
    assert gate.counters["denied"] == 1
    assert _taken(gate, A, LINE)
    _say(path, decisions.APPROVED, device=A, link=NETWORK)  # it was the owner after all
    gate.step(3 * LOOK_MS)
    assert _taken(gate, A, NETWORK) and not _taken(gate, A, LINE)


def test_one_that_was_admitted_is_denied_for_ever_even_in_a_window(gate, path):
    _say(path, decisions.APPROVED, device=A, link=NETWORK)
    gate.step(LOOK_MS)
    assert _taken(gate, A)
    _say(path, decisions.DENIED, device=A, link=NETWORK)
    _say(path, decisions.OPEN, minutes=5)
    gate.step(2 * LOOK_MS)
    assert not _taken(gate, A, now_ms=2 * LOOK_MS)
    assert not _taken(_gate(path, A), A)


def test_who_was_taken_before_there_was_a_list_stays_on_the_link_it_is_heard_on_first(path):
    gate = _gate(path, A, B)
    assert _taken(gate, A, LINE)
    assert not _taken(gate, A, NETWORK)
    assert not _taken(gate, 1003)
    again = _gate(path, A, B)
    assert not _taken(again, A, NETWORK)
    assert _taken(again, B, NETWORK)
    assert again.said_of(A) == {"link": LINE, "admitted": "known"}


# --- the file --------------------------------------------------------------------------------


def test_the_file_is_its_users_alone_and_an_open_one_is_refused(gate, path):
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        _gate(path)


def test_a_full_disk_admits_nobody_and_the_same_reader_comes_in_later(gate, path, monkeypatch):
    _say(path, decisions.OPEN, minutes=1)
    gate.step(LOOK_MS)

    def full(_handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert not _taken(gate, A, now_ms=LOOK_MS)
    assert gate.counters["enrolment_write_errors"] == 1
    assert _taken(gate, A, now_ms=LOOK_MS)


def test_a_cut_at_every_byte_of_the_last_line_leaves_all_before_it_and_takes_all_after(path):
    _gate(path)
    _say(path, decisions.APPROVED, device=A, link=NETWORK)
    before = path.read_bytes()
    _say(path, decisions.DENIED, device=A, link=NETWORK)
    whole = path.read_bytes()
    for cut in range(len(before), len(whole) - 1):  # without its newline it is whole already
        path.write_bytes(whole[:cut])
        gate = _gate(path)
        assert _taken(gate, A), cut
        _say(path, decisions.APPROVED, device=B, link=LINE)
        gate.step(LOOK_MS)
        assert _taken(gate, B, LINE), cut
        assert _taken(_gate(path), A), cut


def test_nobody_acts_on_a_line_before_it_is_on_the_disk(gate, path):
    with open(path, "ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.write(b'{"act":"approved","device":1001,"link":"network"}\n')
        writer.flush()
        reader = threading.Thread(target=gate.step, args=(LOOK_MS,))
        reader.start()
        reader.join(0.2)
        assert reader.is_alive() and not _taken(gate, A)
        os.fsync(writer.fileno())
    reader.join()
    assert _taken(gate, A)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"5",
        b"\xff\xfe",
        b"[" * 900,
        b"{}",
        b'{"act": "approved"}',
        b'{"act": "approved", "device": true, "link": "network"}',
        b'{"act": "approved", "device": 0, "link": "network"}',
        b'{"act": "approved", "device": 1001}',
        b'{"act": "approved", "device": 1001, "link": ""}',
        b'{"act": "approved", "device": 1001, "link": "a\\nb"}',
        b'{"act": "approved", "device": 1001, "link": "%s"}' % (b"x" * 2_000),
        b'{"act": "known", "device": 1001, "link": "network"}',
        b'{"act": "open", "minutes": 100000}',
        b'{"act": "open", "minutes": 1.5}',
        b'{"act": "opened", "until_s": "soon"}',
        b'{"act": "welcome", "device": 1001, "link": "network"}',
    ],
)
def test_a_line_that_says_nothing_changes_nothing_and_is_counted(gate, path, line):
    with open(path, "ab") as file:
        file.write(line + b"\n")
    _say(path, decisions.APPROVED, device=B, link=NETWORK)
    gate.step(LOOK_MS)
    assert gate.counters["enrolment_bad_lines"] == 1
    assert not _taken(gate, A, now_ms=LOOK_MS)
    assert _taken(gate, B, now_ms=LOOK_MS)


def test_a_file_that_somebody_has_replaced_or_cut_is_read_anew_and_opens_no_window(gate, path):
    _say(path, decisions.APPROVED, device=A, link=NETWORK)
    gate.step(LOOK_MS)
    other = path.with_suffix(".new")
    lines = [{"act": "approved", "device": B, "link": NETWORK}, {"act": "open", "minutes": 5}]
    other.write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.replace(other, path)
    gate.step(2 * LOOK_MS)
    assert _taken(gate, B, now_ms=2 * LOOK_MS)
    assert not _taken(gate, A, now_ms=2 * LOOK_MS)
    path.write_text("")
    gate.step(3 * LOOK_MS)
    assert not _taken(gate, B, now_ms=3 * LOOK_MS)


def test_a_file_that_is_gone_stops_nobody_who_was_admitted(gate, path):
    _say(path, decisions.APPROVED, device=A, link=NETWORK)
    gate.step(LOOK_MS)
    path.unlink()
    gate.step(2 * LOOK_MS)
    assert _taken(gate, A)
    assert gate.counters["enrolment_read_errors"] == 1


def test_the_list_alone_says_all_whoever_reads_it(gate, path):
    _say(path, decisions.OPEN, minutes=1)
    gate.step(LOOK_MS)
    for device in (A, B):
        _taken(gate, device, now_ms=LOOK_MS)
    _say(path, decisions.DENIED, device=B, link=NETWORK)
    found = standing(path)
    assert (found.links, found.ways) == ({A: NETWORK}, {A: "enrolled"})
    assert found.denied == {(B, NETWORK)} and found.is_open


def test_whoever_invents_numbers_fills_neither_memory_nor_the_log(gate, path):
    for device in range(1, 10 * WAITING_MAX):
        assert not _taken(gate, device)
    assert len(gate.waiting()) == WAITING_MAX
    assert len(gate.events) == WAITING_MAX
    assert path.read_bytes() == b""
    assert Standing().apply(b"") is None


# --- a building ------------------------------------------------------------------------------


@pytest.fixture
def building(tmp_path):
    return Building(tmp_path, Ledger([A, B]), [A], enrolment=True)


def _look(building):
    building.step(LOOK_MS)


def test_of_a_reader_that_waits_nothing_is_kept_answered_or_handed_on(building, tmp_path):
    reader = building.readers[A]
    reader.write(20)
    said = [
        building.say(A, reader.hello()),
        building.say(A, reader.batch()),
        building.say(A, messages.encode_message(messages.RELAY, {"device": A, "sealed": b"x"})),
    ]
    building.step()
    assert building.port.acked == said
    assert building.port.sent() == [] and building.upstream.sent() == []
    assert building.store.count() == 0 and building.store.devices() == []
    assert building.agent.readers() == []
    assert building.agent.status()["quarantined"] == 3
    (waits,) = building.agent.enrolment(building.now_ms)["waiting"]
    assert (waits["device"], waits["link"], waits["messages"]) == (A, NETWORK, 3)
    _look(building)
    building.step(WRITE_EVERY_MS)
    (kept,) = waiting_in(tmp_path / "inventory.json")
    assert (kept["device"], kept["link"]) == (A, NETWORK)


def test_once_it_is_approved_all_its_records_come_and_are_booked_once(building, tmp_path):
    building.readers[A].write(20)
    building.say(A, building.readers[A].hello())
    building.step()
    _say(tmp_path / decisions.NAME, decisions.APPROVED, device=A, link=NETWORK)
    _look(building)
    building.play()
    assert building.ledger.head(A) == 20
    (shown,) = building.agent.readers()
    assert (shown["link"], shown["admitted"]) == (NETWORK, "approved")
    building.step(WRITE_EVERY_MS)
    assert waiting_in(tmp_path / "inventory.json") == []


def test_a_crash_behind_an_enrolment_forgets_neither_reader_nor_record(building, tmp_path):
    _say(tmp_path / decisions.NAME, decisions.OPEN, minutes=1)
    _look(building)
    building.readers[A].write(8)
    building.say(A, building.readers[A].hello())
    building.step()
    building.crash()
    building.start()
    building.play()
    assert building.ledger.head(A) == 8


def test_a_moved_reader_keeps_its_records_until_the_move_is_approved(tmp_path):
    line = FakeLine(A)
    building = Building(tmp_path, Ledger([A]), [A], enrolment=True, lines=[line])
    path, reader = tmp_path / decisions.NAME, building.readers[A]
    _say(path, decisions.APPROVED, device=A, link=NETWORK)
    _look(building)
    reader.write(8)
    line.inbox += [(A, reader.hello()), (A, reader.batch())]
    building.step()
    assert line.said == [] and building.store.count() == 0
    _say(path, decisions.APPROVED, device=A, link=line.url)
    _look(building)
    line.inbox += [(A, reader.hello()), (A, reader.batch())]
    building.step()
    for _device, payload in line.said:
        reader.hear(payload)
    assert reader.cursor == 8 and building.store.count() == 8


def test_an_agent_that_had_no_list_knows_its_readers_when_it_gets_one(tmp_path):
    building = Building(tmp_path, Ledger([A, B]), [A, B])
    for device in (A, B):
        building.readers[device].write(3)
    building.play()
    building.inventory.flush()
    building.crash()
    (tmp_path / "inventory.json").write_text("{")  # damaged: the store knows them too
    building.enrolment = True
    building.start()
    for device in (A, B):
        building.readers[device].write(2)
    building.play()
    assert (building.ledger.head(A), building.ledger.head(B)) == (5, 5)
    assert building.agent.enrolment(building.now_ms)["waiting"] == []


def test_a_reader_of_another_site_asks_as_before(tmp_path):
    building = Building(tmp_path, Ledger([A]), strangers=True, enrolment=True)
    payload = messages.encode_message(messages.RELAY, {"device": B, "sealed": b"x"})
    building.port.deliver(topics.up("south", B), payload)
    building.step()
    assert building.upstream.sent() == [(topics.relay_up(SITE), payload)]
