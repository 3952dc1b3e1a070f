"""The wall of the campus: what readers have said last, in figures, charts and a list."""

import dataclasses
import datetime
import re
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ledger import fleet_state
from ledger.console import wall
from ledger.fleet_state import HEARD_S, QUEUE_S, ReaderState
from ledger.signatures import hash_of
from protocols.wire import messages
from tests.ledger.console import dorm
from tests.ledger.console.campus import visitor
from tests.ledger.readers import Reader, open_ledger

NOW_S, DAY_S = 1_790_000_000, 86_400
FINE = ReaderState(1, "a", NOW_S, True, 0, 0, 3, NOW_S, 1, 5)


def inspected(reader, time_s, **fields):
    said = {
        "earliest_s": time_s,
        "latest_s": time_s,
        "network": 1,
        "waiting": 0,
        "battery_mv": 4_100,
        "clock_width_s": 1,
        "reader_faults": 0,
        "free_sectors": 9,
        "map_made_s": max(time_s - 60, 0),
        "map_epoch": 4,
    }
    reader.write(messages.INSPECTION, **(said | fields))


def state_of(reader):
    store = open_ledger(reader)
    store.book([reader.records])
    (state,) = fleet_state.readers(store.database)
    return state


def test_a_reader_that_never_spoke_is_known_and_nothing_is_made_up():
    state = state_of(Reader(1001))
    assert state == ReaderState(1001, "campus", 0, None, None, 0, None, 0, None, None)
    assert state.wrong(NOW_S) == ("never",)


def test_the_newest_word_of_each_kind_counts():
    reader = Reader(1001)
    reader.write(messages.BOOT, cause=1, firmware=4)
    inspected(reader, NOW_S - 9_000, waiting=7, receipt_s=NOW_S - 20_000, clock_width_s=500)
    reader.write(messages.BOOT, cause=1, firmware=6)
    inspected(reader, NOW_S - 50, waiting=2, receipt_s=NOW_S - 7_250, network=0)
    reader.write(messages.POWER, source=1, battery_mv=4_000, earliest_s=NOW_S, latest_s=NOW_S)
    state = state_of(reader)
    assert (state.heard_s, state.firmware, state.waiting) == (NOW_S, 6, 2)
    assert (state.queue_s, state.clock_width_s) == (7_200, 1)
    assert (state.map_epoch, state.map_made_s) == (4, NOW_S - 110)
    assert state.wrong(NOW_S) == ("offline", "queue")


def test_a_clock_that_knows_nothing_is_no_time_of_ours():
    reader = Reader(1001)
    inspected(reader, 0, latest_s=0xFFFFFFFF, waiting=3, receipt_s=5)
    state = state_of(reader)
    assert (state.heard_s, state.queue_s) == (0, 0)
    assert "never" in state.wrong(NOW_S)


@pytest.mark.parametrize(
    ("fields", "newest", "wrong"),
    [
        ({}, None, ()),
        ({}, 5, ()),
        ({"heard_s": NOW_S - HEARD_S}, None, ()),
        ({"heard_s": NOW_S - HEARD_S - 1}, None, ("silent",)),
        ({"is_online": False}, None, ("offline",)),
        ({"queue_s": QUEUE_S}, None, ()),
        ({"queue_s": QUEUE_S + 1}, None, ("queue",)),
        ({"map_made_s": NOW_S - DAY_S - 1}, None, ("map",)),
        ({"clock_width_s": 121}, None, ("clock",)),
        ({"firmware": 4}, 5, ("firmware",)),
        ({"firmware": None}, 5, ()),
    ],
)
def test_what_is_wrong_with_a_reader(fields, newest, wrong):
    assert dataclasses.replace(FINE, **fields).wrong(NOW_S, newest) == wrong


def test_locks_and_readers_that_have_ended_are_not_on_it():
    store = open_ledger(Reader(1), Reader(2), Reader(3))
    store.access.add_door(2, "dorm", 5_000, 0, True)
    store.access.add_door(3, "dorm", 5_000, 0)
    assert [one.device for one in fleet_state.readers(store.database)] == [1, 3]


# --- figures ----


def test_bars_come_to_all_readers_and_the_worst_building_is_first():
    gone = dataclasses.replace(FINE, heard_s=1, site="b")
    states = [FINE, gone, dataclasses.replace(FINE, site="b")]
    first, second = wall.online_bars(states, NOW_S)
    assert (first.label, first.text, first.kind, first.width) == ("b", "1 / 2", "bad", 50)
    assert (second.label, second.text, second.kind, second.width) == ("a", "1 / 1", "good", 100)
    hours = (0, 2, 2, 30, 100)
    queued = [dataclasses.replace(FINE, waiting=1, queue_s=h * 3_600) for h in hours]
    bars = wall.queue_bars([*queued, FINE])
    assert [(bar.label, bar.value) for bar in bars] == [
        ("< 1 h", 1),
        ("< 6 h", 2),
        ("< 24 h", 0),
        ("< 72 h", 1),
        ("≥ 72 h", 1),
    ]
    assert wall.queue_bars([FINE])[0].width == 0


def certificate(path, days):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ledger")])
    now = datetime.datetime.fromtimestamp(NOW_S, datetime.UTC)
    until = now + datetime.timedelta(days=days)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    built = built.public_key(key.public_key()).serial_number(1)
    built = built.not_valid_before(now - datetime.timedelta(days=90)).not_valid_after(until)
    path.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


def test_a_certificate_is_told_before_it_ends_and_one_that_cannot_be_read_too(tmp_path):
    for days, kind in ((45, "good"), (29, "warn"), (-2, "bad")):
        certificate(tmp_path / "c.pem", days)
        (one,) = wall.certificates([("broker", tmp_path / "c.pem")], NOW_S)
        assert (one.name, one.days, one.kind) == ("broker", days, kind)
    (tmp_path / "c.pem").write_text("nothing")
    for path in (tmp_path / "c.pem", tmp_path / "none.pem"):
        (one,) = wall.certificates([("http", path)], NOW_S)
        assert (one.days, one.kind) == (None, "bad")


# --- the page ----


def test_the_page_says_it_in_figures_charts_and_a_list(campus):
    console, store = campus
    engineer = visitor(console, store, "eng")
    answer = engineer.get("/wall")
    states = fleet_state.readers(store.database)
    now_s = int(time.time())
    heard = sum(one.is_heard(now_s) for one in states)
    assert 0 < heard < len(states), "one reader of these books never spoke"
    assert f"{heard} / {len(states)}" in answer.text
    share = heard * 100 // len(states)
    assert f"<b>{share}<small>%</small></b>" in answer.text
    assert answer.text.count("<svg") == 3 and answer.text.count('role="img"') == 3
    assert re.search(r"<td>1001</td>.*从没有消息", answer.text)
    assert str(dorm.ROOM) not in answer.text, "locks without a network are on the list of cells"
    assert 'data-again-s="60"' in answer.text
    assert "data-again-s" not in engineer.get("/wall?still=1").text


def test_a_wall_that_looks_again_is_nobody_s_presence(campus):
    """Otherwise a session would never end on a screen that nobody sits at."""
    console, store = campus
    who = visitor(console, store, "lin")
    mine = (hash_of(who.cookies["session"]),)
    sql = "SELECT seen_s FROM operator_session WHERE token_hash = ?"
    ((before,),) = store.database.rows(sql, mine)
    with store.database.transaction():
        earlier = "UPDATE operator_session SET seen_s = ? WHERE token_hash = ?"
        store.database.update(earlier, [(before - 600, *mine)])
    assert who.get("/wall").status == 200
    assert list(store.database.rows(sql, mine)) == [(before - 600,)]
    assert who.get("/").status == 200
    ((seen,),) = store.database.rows(sql, mine)
    assert seen > before - 600
